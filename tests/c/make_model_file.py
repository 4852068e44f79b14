"""Make the model file of test_model_file.c, and the probabilities that it must predict.

    python tests/c/make_model_file.py        writes both beside itself

The test has the same chain in C: change both together.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import pynn

ROWS, CHANNELS, SIDE = 60, 3, 4
FILE = Path(__file__).with_name("model_file.safetensors")

count = np.arange(ROWS * CHANNELS * SIDE * SIDE)
features = ((count * count * 7 + count * 5) % 251 / 16).astype(np.float32)
features = features.reshape(ROWS, CHANNELS, SIDE, SIDE)
labels = (np.arange(ROWS) * 7 + features[:, 0, 0, 3].astype(int)) % 5

chain = pynn.Builder().input((CHANNELS, SIDE, SIDE)).standardize()
chain = chain.conv2d(6, 3, padding=1).batch_norm().relu().max_pool2d(2).flatten()
chain = chain.dense(24).layer_norm().gelu().dropout(0.1).dense(12).tanh().dense(5)

if __name__ == "__main__":
    model = chain.softmax_cross_entropy().build(seed=4)
    model.fit(features, labels, epochs=5, batch_size=12, optimizer=pynn.Adam(learning_rate=0.01))
    model.save(FILE)
    np.savetxt(FILE.with_suffix(".probabilities"), model.predict_proba(features), "%.9g")
