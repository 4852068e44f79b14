"""Train two epochs and predict, with the installed pynn: what scripts/wheels tries each wheel with.

python scripts/_wheel_program.py [FOLDER OF MNIST]
python scripts/_wheel_program.py "" [HOW MANY RANDOM DIGITS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import pynn

data = sys.argv[1] if len(sys.argv) > 1 else ""
if data:
    train, test = pynn.datasets.mnist(data)
    x, y, new, labels = train.images, train.labels, test.images, test.labels
else:
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 6000
    random = np.random.default_rng(0)
    digits = random.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    y, labels = random.integers(0, 10, count), random.integers(0, 10, 1000)
    x, new = digits[y], digits[labels]
chain = pynn.Builder().input(784).dense(256).relu().dense(64).relu().dense(10)
model = chain.softmax_cross_entropy().build(seed=0)
began = time.perf_counter()
model.fit(x, y, epochs=2, batch_size=128 if data else 32)
seconds = time.perf_counter() - began
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    model.save(path)
    same = (pynn.load(path).predict(new) == model.predict(new)).all()
assert same, "a loaded model predicts as the saved one"
accuracy = model.evaluate(new, labels).accuracy
assert accuracy > 0.9, accuracy
info = pynn.build_info()
used = f"{info['instruction_set']}, {info['blas']}"
print(f"trained in {seconds:.1f} s to {100 * accuracy:.2f} %, {used}")
