#!/usr/bin/env python3
"""Measure what docs/learn/7-speed.md says, and write its tables between their marks.

    python benchmarks/learn.py            # two minutes; prints the tables
    python benchmarks/learn.py --write    # writes them into the chapter, too
    python benchmarks/learn.py --only threads --write    # one table
    python benchmarks/learn.py --quick    # only to see that it works

Ways to do the same work take turns, so that each has its share of what else the machine does. A
table has the median of all rounds, and their range. NumPy multiplies on one thread.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

import numpy as np
from figures import Spread, between, table
from harness import processor, take_turns
from peers import common

import pynn
from pynn._native import library, threads
from pynn._native.data import Data
from pynn._native.library import lib
from pynn._native.network import Network
from pynn._native.state import State
from pynn._native.workspace import Workspace

PAGE = Path(__file__).parents[1] / "docs" / "learn" / "7-speed.md"
ROUNDS = 15
PATHS = {"dense": lib.PYNN_PATH_DENSE, "sparse": lib.PYNN_PATH_SPARSE}

Floats = common.Floats
Work = Callable[[], object]


class Part(NamedTuple):
    """A table of the chapter: ways to do one piece of work."""

    unit: str
    """"ms", or "Gflop/s" if the operations of each way are given."""
    ways: dict[str, Work]
    flops: dict[str, float] = {}  # noqa: RUF012 (a part without them has none)


def compiled(folder: str, *options: str) -> ctypes.CDLL:
    """The C functions that the chapter shows, as a library in a folder."""
    source, library = (
        Path(folder, "product.c"),
        Path(folder, "-".join(["product", *options]) + ".so"),
    )
    block = re.search(r"^```c\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert block is not None
    source.write_text(block[1], "utf-8")
    command = ["cc", *options, "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def product(function: Any, x: Floats, w: Floats, y: Floats) -> None:
    """Call one of the chapter's C functions, which add X W to Y."""
    sizes = *x.shape, w.shape[1]
    function(*sizes, *(ctypes.c_void_p(array.ctypes.data) for array in (x, w, y)))


def part_of_products(rng: np.random.Generator) -> Part:
    """One product, X (256, 2048) times W (2048, 2048); in Python's loops only a part of it."""
    n, i, o = 256, 2048, 2048
    x, w = rng.random((n, i), np.float32), rng.random((i, o), np.float32)
    y, few, small = np.zeros((n, o), np.float32), x[0, :64].tolist(), w[:64, :64].tolist()
    with tempfile.TemporaryDirectory() as folder:
        simple = compiled(folder, "-O1")
        vectors = compiled(folder, "-O3", "-march=native")

    def loops() -> list[float]:
        return [sum(few[k] * small[k][c] for k in range(64)) for c in range(64)]

    def rows() -> None:
        for row in range(n):
            np.dot(x[row], w, out=y[row])

    ways: dict[str, Work] = {
        "loops in Python": loops,
        "C, `plain`, one number at a time (-O1)": lambda: product(simple.plain, x, w, y),
        "C, `plain`, vectors (-O3 -march=native)": lambda: product(vectors.plain, x, w, y),
        "C, `tiled`, vectors": lambda: product(vectors.tiled, x, w, y),
        "BLAS, one row of X at a time": rows,
        "BLAS, all rows": lambda: np.dot(x, w, out=y),
    }
    whole = 2.0 * n * i * o
    return Part("Gflop/s", ways, {**dict.fromkeys(ways, whole), "loops in Python": 2.0 * 64 * 64})


class Trainer:
    """Training below pynn's public API, where the path of the first layer can be chosen."""

    def __init__(
        self, features: Any, labels: Any, widths: tuple[int, ...], batch: int, path: str = "dense"
    ) -> None:
        chain: Any = pynn.Builder().input(common.INPUTS)
        for width in widths:
            chain = chain.dense(width).relu()
        network = Network(chain.dense(common.CLASSES).softmax_cross_entropy()._spec)
        self.workspace, self.batch = Workspace(network, batch), batch
        self.parameters, self.state = network.initialize(1), State(seed=0)
        self.data = Data(features, labels.astype(np.int32))
        self.data.handle.path = PATHS[path]
        self.order = library.permutation(0, 0, len(features))
        self.steps = len(features) // batch

    def epoch(self, optimizer: Any) -> None:
        """All whole batches once."""
        self.workspace.train(
            *(self.data, self.order, self.batch, 0, self.steps),
            *(optimizer._update(0, self.steps), self.state, self.parameters),
        )


SGD = pynn.SGD(learning_rate=1e-3)


def parts_in_numpy(rng: np.random.Generator) -> dict[str, Work]:
    """The parts of a step of 784-256-64-10 with a batch of 128."""
    x, y1, y2, y3 = (rng.random((128, w), np.float32) for w in (common.INPUTS, 256, 64, 10))
    w1, w2, w3 = (
        rng.random(shape, np.float32) for shape in ((common.INPUTS, 256), (256, 64), (64, 10))
    )
    made = [np.empty_like(array) for array in (x, y1, y2, y3, w1, w2, w3)]
    _, dy1, dy2, dy3, *gradients = made  # NumPy writes into them: new memory would cost time

    def others() -> None:
        for into, out, w, dw, dinto, dout in (
            (y1, y2, w2, gradients[1], dy1, dy2),
            (y2, y3, w3, gradients[2], dy2, dy3),
        ):
            np.dot(into, w, out=dout)
            np.dot(into.T, out, out=dw)
            np.dot(out, w.T, out=dinto)

    def functions() -> None:
        for y, dy in ((y1, dy1), (y2, dy2)):
            np.maximum(y, 0, out=dy)
            np.multiply(y, y > 0, out=dy)
        e = np.exp(y3 - y3.max(axis=1, keepdims=True))
        np.log(e / e.sum(axis=1, keepdims=True))

    def update() -> None:
        for w, dw in zip((w1, w2, w3), gradients, strict=True):
            np.multiply(w, np.float32(1e-9), out=dw)
            np.subtract(w, dw, out=w)

    return {
        "first layer, forward: X W": lambda: np.dot(x, w1, out=dy1),
        "first layer, backward: X^T dY": lambda: np.dot(x.T, y1, out=gradients[0]),
        "the other two layers: six products": others,
        "ReLU there and back, softmax, loss": functions,
        "update: W - r dW": update,
    }


def part_of_a_step(rng: np.random.Generator) -> Part:
    """32 steps of 784-256-64-10 with batches of 128: the parts in NumPy, then the whole in pynn."""
    pynn.set_num_threads(1)
    ways: dict[str, Work] = {
        name: lambda work=work: [work() for _ in range(32)]
        for name, work in parts_in_numpy(rng).items()
    }
    trainer = Trainer(*common.load("dense", 4096), widths=(256, 64), batch=128)
    ways["the whole in pynn, no pixel 0"] = lambda: trainer.epoch(SGD)
    return Part("ms", ways)


def part_of_sparse_rows(rng: np.random.Generator) -> Part:
    """Both paths through the first layer, on MNIST and on data without zeros; 32 steps."""
    pynn.set_num_threads(1)
    ways: dict[str, Work] = {}
    for data, name in (("mnist", "MNIST"), ("dense", "no pixel 0")):
        examples = common.load(data, 4096)
        for path, words in (("dense", "all pixels"), ("sparse", "sparse rows")):
            trainer = Trainer(*examples, widths=(256, 64), batch=128, path=path)
            ways[f"{name}: {words}"] = lambda trainer=trainer: trainer.epoch(SGD)
    return Part("ms", ways)


def part_of_updates(rng: np.random.Generator) -> Part:
    """The same steps with different memory of the gradient: 16 steps of a wide network."""
    pynn.set_num_threads(1)
    optimizers = {
        "plain SGD: no gradient is stored": SGD,
        "SGD with clipping: gradient stored": pynn.SGD(learning_rate=1e-3, max_gradient_norm=1e9),
        "SGD with momentum: and one moment": pynn.SGD(learning_rate=1e-3, momentum=0.9),
        "Adam: and two moments": pynn.Adam(learning_rate=1e-6),
    }
    examples = common.load("dense", 512)
    ways: dict[str, Work] = {}
    for name, optimizer in optimizers.items():
        trainer = Trainer(*examples, widths=(1024, 1024), batch=32)
        ways[name] = lambda trainer=trainer, o=optimizer: trainer.epoch(o)
    return Part("ms", ways)


def part_of_tiles(rng: np.random.Generator) -> Part:
    """dW = X^T dY, (1024, 1024) over a batch of 1024, cut into 16 tiles of dW in different ways."""
    n, i, o = 1024, 1024, 1024
    x, dy = rng.random((n, i), np.float32), rng.random((n, o), np.float32)
    dw = np.empty((i, o), np.float32)

    def tiles(rows: int, columns: int) -> Work:
        high, wide = i // rows, o // columns

        def work() -> None:
            for top in range(0, i, high):
                for left in range(0, o, wide):
                    one, other = x[:, top : top + high].T, dy[:, left : left + wide]
                    np.matmul(one, other, out=dw[top : top + high, left : left + wide])

        return work

    shapes = {
        "one product": (1, 1),
        "4 x 4 tiles": (4, 4),
        "16 x 1 tiles": (16, 1),
        "1 x 16 tiles": (1, 16),
    }
    ways = {name: tiles(*shape) for name, shape in shapes.items()}
    return Part("Gflop/s", ways, dict.fromkeys(ways, 2.0 * n * i * o))


def part_of_threads(rng: np.random.Generator) -> Part:
    """One thread and two, with little and with much work in a step; 8192 rows."""
    examples = common.load("dense", 8192)
    ways: dict[str, Work] = {}
    for batch, widths in ((16, (32,)), (128, (256, 64)), (1024, (1024, 256))):
        shape = "-".join(map(str, (common.INPUTS, *widths, common.CLASSES)))
        for count in (1, 2):
            threads.set_num_threads(count)
            trainer = Trainer(*examples, widths=widths, batch=batch)
            ways[f"{shape}, batch {batch}: {count} thread{'s'[: count - 1]}"] = (
                lambda trainer=trainer, count=count: (
                    threads.set_num_threads(count),
                    trainer.epoch(SGD),
                )
            )
    return Part("ms", ways)


PARTS: dict[str, Callable[[np.random.Generator], Part]] = {
    "products": part_of_products,
    "a step": part_of_a_step,
    "sparse rows": part_of_sparse_rows,
    "updates": part_of_updates,
    "tiles": part_of_tiles,
    "threads": part_of_threads,
}


def timed(work: Work) -> Callable[[], dict[str, float]]:
    """A turn: the seconds of one call, after one that warms up."""

    def turn() -> dict[str, float]:
        work()
        began = time.perf_counter()
        work()
        return {"seconds": time.perf_counter() - began}

    return turn


def measured(part: Part, rounds: int) -> str:
    """The table of a part, the figures of each way over all rounds."""
    done = take_turns({name: timed(work) for name, work in part.ways.items()}, rounds, pause=0.0)
    rows = []
    for name in part.ways:
        seconds = [one["turns"][name]["seconds"] for one in done]
        if part.flops:
            figures = [part.flops[name] / each / 1e9 for each in seconds]
        else:
            figures = [each * 1e3 for each in seconds]
        rows.append([name, Spread.of(figures).text(3 if max(figures) < 1 else 1)])
    return table(["", f"{part.unit}: median (range)"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the tables into the chapter")
    parser.add_argument("--quick", action="store_true", help="one round, only to see that it works")
    parser.add_argument("--only", choices=PARTS, help="measure one table only")
    arguments = parser.parse_args()
    page = PAGE.read_text("utf-8")
    level = pynn.build_info()["instruction_set"]
    machine = f"Measured on {processor()}, {level}, {os.cpu_count()} cores, {ROUNDS} rounds."
    for name in [arguments.only] if arguments.only else PARTS:
        make = PARTS[name]
        text = measured(make(np.random.default_rng(0)), 1 if arguments.quick else ROUNDS)
        print(f"{name}\n{text}\n", flush=True)
        page = between(page, name, f"{text}\n\n{machine}")
    if arguments.write:
        PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # NumPy's BLAS has read it: begin anew
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    sys.exit(main())
