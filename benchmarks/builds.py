"""Compare builds of pynn, each in a virtual environment of its own, by the time of an epoch.

    python benchmarks/builds.py openblas=/tmp/a/bin/python portable=/tmp/b/bin/python --turns 9

One thread; processor time, which other work on the machine changes less than the time of the clock.
The builds take turns, and the medians of the ratios to the first build count. PYNN_DATA has MNIST,
or data/mnist of the clone.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

LEVELS = {"x86-64-v4": "SkylakeX", "x86-64-v3": "Haswell", "x86-64-v2": "Nehalem"}
"""Instruction sets, and the processor that OpenBLAS takes for each."""

NETWORKS = {
    "784-256-64-10": "B().input(784).dense(256).relu().dense(64).relu().dense(10), 60000",
    "784-2048-2048-10": "B().input(784).dense(2048).relu().dense(2048).relu().dense(10), 1280",
    "lenet": "pynn.models.lenet(), 6400",
}
"""Chains, and how many examples they train on."""

PROGRAM = """
import sys, time
import pynn
B = pynn.Builder
chain, count = eval(sys.argv[1])
x, y = (array[:count] for array in pynn.datasets.mnist(sys.argv[2])[0])
model = chain.softmax_cross_entropy().build(seed=0)
model.fit(x[:256], y[:256], epochs=1, batch_size=128)
began = time.process_time()
model.fit(x, y, epochs=1, batch_size=128)
print(time.process_time() - began)
"""


def seconds(python: str, level: str, network: str, data: str) -> float:
    """The processor time of an epoch with one build."""
    env = {
        **os.environ,
        "PYNN_INSTRUCTION_SET": level,
        "OPENBLAS_CORETYPE": LEVELS[level],
        "PYNN_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [python, "-c", PROGRAM, NETWORKS[network], data]
    return float(
        subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, cwd="/").stdout
    )


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("builds", nargs="+", metavar="NAME=PYTHON")
    parser.add_argument("--turns", type=int, default=9)
    here = Path(__file__).resolve().parent.parent / "data/mnist"
    parser.add_argument("--data", default=os.environ.get("PYNN_DATA", str(here)))
    options = parser.parse_args()
    builds = dict(build.split("=", 1) for build in options.builds)
    first, *others = builds
    print("network", "instruction set", first, *(f"{name} / {first} (range)" for name in others),
        "load", sep=" | ")  # fmt: skip
    for network in NETWORKS:
        for level in LEVELS:
            times: dict[str, list[float]] = {name: [] for name in builds}
            for _ in range(options.turns):
                for name in random.sample(list(builds), len(builds)):
                    times[name].append(seconds(builds[name], level, network, options.data))
            row = [f"{statistics.median(times[first]):.2f} s"]
            for name in others:
                ratios = [a / b for a, b in zip(times[name], times[first], strict=True)]
                low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
                row.append(f"{middle:.2f} ({low:.2f} - {high:.2f})")
            print(network, level, *row, f"{os.getloadavg()[0]:.1f}", sep=" | ", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
