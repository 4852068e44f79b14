"""Measure each layer of the networks for images: a block of 32 rows on one thread.

images_layers.c is compiled with the library's sources, measures, and prints what this module makes
a table of. `python benchmarks/images.py --only layers` runs it.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from figures import table

ROOT = Path(__file__).parent.parent
ROWS = 32
"""Rows of a block, which is what the seconds of a piece of work are of."""
STEP = 16
"""Floats of the widest vector, and of the steps in which convolutions go through memory."""
FLAGS = ["-std=c11", "-O3", "-D_GNU_SOURCE", '-DPYNN_VERSION="benchmark"', "-pthread"]
FLAGS += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
NOT_COMPILED = {"base/gemm_cblas.c", "base/gemm_portable.c", "base/gemm_reference.c"}
NOT_COMPILED |= {"base/team_single.c", "base/threads_win32.c"}

# The numbers of pynn.h.
KINDS = {
    **{1: "dense", 2: "relu", 12: "conv2d", 13: "max_pool2d", 15: "global_avg_pool"},
    **{16: "flatten", 17: "batch_norm"},
}
# How many floats a value of the inputs, and one of the outputs, makes work go through memory, where
# it computes little: what is read and what is written. An activation works in place.
FLOATS = {
    ("relu", "forward"): (1, 1),
    ("relu", "backward"): (1, 2),
    ("max_pool2d", "forward"): (1, 1),
    ("max_pool2d", "backward"): (2, 2),
    ("global_avg_pool", "forward"): (1, 1),
    ("global_avg_pool", "backward"): (1, 1),
    ("batch_norm", "observe"): (1, 0),
    ("batch_norm", "forward"): (1, 1),
    ("batch_norm", "sum"): (1, 1),
    ("batch_norm", "backward"): (2, 1),
}

Shape = tuple[int, int, int]


class Work(NamedTuple):
    """What a function of a layer takes, in seconds for a block of rows."""

    network: str
    layer: int
    kind: str
    inputs: Shape
    outputs: Shape
    size: int
    """Rows and columns of a filter or window; 0 where there is none."""
    turned: bool
    """Of a convolution: whether dX is a convolution of dY."""
    what: str
    seconds: float


class Measured(NamedTuple):
    """All that images_layers.c prints."""

    level: str
    peak: float
    """Gflop/s."""
    streams: dict[int, float]
    """GB/s of a loop that reads and writes so many bytes."""
    steps: dict[str, float]
    """Seconds of pynn_gradient() for a block of rows, by network."""
    works: list[Work]


def build(folder: Path) -> Path:
    """Compile the program, with OpenBLAS where its package is there."""
    csrc, program = ROOT / "csrc", folder / "images_layers"
    names = [str(path.relative_to(csrc)) for path in sorted(csrc.glob("**/*.c"))]
    sources = [csrc / n for n in names if n not in NOT_COMPILED and not n.startswith("plain/")]
    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is None or spec.origin is None:
        blas: list[str | Path] = [csrc / "base/gemm_portable.c"]
    else:
        openblas = Path(spec.origin).parent
        blas = ["-DPYNN_SCIPY_OPENBLAS", f"-isystem{openblas / 'include'}"]
        blas += [csrc / "base/gemm_cblas.c", openblas / "lib/libscipy_openblas.so"]
        blas += [f"-Wl,-rpath,{openblas / 'lib'}"]
    own = ROOT / "benchmarks/images_layers.c"
    files: list[str | Path] = [*sources, own, *blas]
    command = ["cc", *FLAGS, f"-I{csrc}", *files, "-lm", "-o", program]
    subprocess.run(command, check=True)
    return program


def run(rounds: int) -> Measured:
    """Compile, and measure so many rounds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [build(Path(folder)), str(rounds)]
        return parse(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def parse(printed: str) -> Measured:
    """Read what the program prints: a line is a word, which says what follows, and its figures."""
    found = Measured("", 0.0, {}, {}, [])
    for line in printed.splitlines():
        word, *rest = line.split()
        if word == "level":
            found = found._replace(level=rest[0])
        elif word == "peak":
            found = found._replace(peak=float(rest[0]))
        elif word == "stream":
            found.streams[int(rest[0])] = float(rest[1])
        elif word == "step":
            found.steps[rest[0]] = float(rest[1]) * ROWS / 128
        elif word == "work":
            found.works.append(_work(rest))
        else:
            raise ValueError(f"the program printed {line!r}")
    return found


def _work(words: list[str]) -> Work:
    numbers = [int(word) for word in words[1:11]]
    layer, kind, c, h, w, out_c, out_h, out_w, size, turned = numbers
    where, shapes = (words[0], layer, KINDS[kind]), ((c, h, w), (out_c, out_h, out_w))
    return Work(*where, *shapes, size, bool(turned), words[11], float(words[12]))


# ---------------------------------------------------------------- what a piece of work is


def flop(work: Work) -> int:
    """Products and sums of a product that a block of rows needs; 0 where there is no product.

    Products with the zeros around an image count: the library does not leave them out.
    """
    inputs, outputs = math.prod(work.inputs), math.prod(work.outputs)
    if work.kind == "dense" and work.what in ("forward", "backward", "accumulate"):
        return 2 * ROWS * inputs * outputs
    if work.kind == "conv2d" and work.what in ("forward", "dW", "dX"):
        return 2 * ROWS * work.inputs[0] * work.size**2 * outputs
    return 0


def nbytes(work: Work) -> int:
    """What a block of rows reads and writes, where that is most of the work; else 0."""
    if work.what == "gather":
        return 5 * ROWS * math.prod(work.inputs)  # from bytes to floats
    of_inputs, of_outputs = FLOATS.get((work.kind, work.what), (0, 0))
    floats = of_inputs * math.prod(work.inputs) + of_outputs * math.prod(work.outputs)
    return 4 * ROWS * floats


def useful(work: Work) -> float:
    """The share of the products that is not added to fill up whole vectors; 1 where there are none.

    Forward computes whole vectors of the outputs of a filter. dW sums over them, with zeros behind.
    dX does so with the inputs of a channel, or as forward, if it is made of sums for each tap.
    The networks here have no groups.
    """
    if work.kind != "conv2d" or flop(work) == 0:
        return 1.0
    shape = work.inputs if work.what == "dX" and work.turned else work.outputs
    values = math.prod(shape[1:])
    if work.turned and shape[0] >= 8 and values > STEP and values % STEP <= 2:
        return 1.0  # The last ones are computed together with those of other images.
    return values / (math.ceil(values / STEP) * STEP)


def split(works: list[Work]) -> Iterator[tuple[Work, float]]:
    """The rows of the table: pieces of work, and the seconds of each that lay out planes.

    The gradients of a convolution are one function: dX is what it takes more than without dX.
    """
    seconds = {(w.network, w.layer, w.what): w.seconds for w in works}
    for work in works:

        def other(what: str, work: Work = work) -> float:
            return seconds.get((work.network, work.layer, what), 0.0)

        if work.kind != "conv2d" or work.what == "gather":
            yield work, 0.0
        elif work.what == "forward":
            yield work, other("x-planes")
        elif work.what == "sum":
            alone = other("sum-without-dx")
            yield work._replace(what="dW", seconds=alone), other("x-planes")
            if work.layer > 1:
                dx = max(work.seconds - alone, 1e-9)
                yield work._replace(what="dX", seconds=dx), other("dy-planes")
        elif work.what == "accumulate":
            yield work, 0.0


# ---------------------------------------------------------------- the table


HEADERS = ["layer", "work", "us", "share", "Gflop/s", "of peak", "GB/s", "useful", "planes"]
SMALL = 0.005
"""Pieces of work that take less of a step are one row, `the rest`."""


def text(found: Measured) -> str:
    """The speed of the processor, and a table for each network."""
    streams = ", ".join(
        f"{speed:.0f} ({nbytes // 1024} kB)" for nbytes, speed in found.streams.items()
    )
    lines = [
        f"Peak of a core, {found.level}: {found.peak:.0f} Gflop/s. GB/s of a loop that reads and "
        f"writes so much in turn: {streams}."
    ]
    for network, step in found.steps.items():
        works = [work for work in found.works if work.network == network]
        lines.append(f"**{network}**, a block of {ROWS} rows\n\n{network_table(works, found.peak)}")
        measured = sum(work.seconds for work, _ in split(works))
        lines.append(
            f"All together {measured * 1e6:.0f} us; pynn_gradient() takes {step * 1e6:.0f} us."
        )
    return "\n\n".join(lines)


def network_table(works: list[Work], peak: float) -> str:
    """A row for each piece of work, in the order of the layers."""
    rows, rest = [], 0.0
    pieces = list(split(works))
    total = sum(work.seconds for work, _ in pieces)
    for work, planes in pieces:
        if work.seconds < SMALL * total:
            rest += work.seconds
        else:
            rows.append(_cells(work, planes, total, peak))
    products = [work for work, _ in pieces if flop(work)]
    rows.append(["", "the rest", f"{rest * 1e6:.0f}", f"{rest / total:.0%}", *[""] * 5])
    speed = sum(map(flop, products)) / sum(work.seconds for work in products) * 1e-9
    share = sum(work.seconds for work in products) / total
    time = f"{share * total * 1e6:.0f}"
    cells = ["", "all products", time, f"{share:.0%}", f"{speed:.0f}", f"{speed / peak:.0%}"]
    return table(HEADERS, [*rows, [*cells, "", "", ""]])


def _cells(work: Work, planes: float, total: float, peak: float) -> list[str]:
    speed, through = flop(work) / work.seconds * 1e-9, nbytes(work) / work.seconds * 1e-9
    return [
        _name(work),
        work.what,
        f"{work.seconds * 1e6:.0f}",
        f"{work.seconds / total:.0%}",
        f"{speed:.0f}" if speed else "",
        f"{speed / peak:.0%}" if speed else "",
        f"{through:.0f}" if through else "",
        f"{useful(work):.0%}" if speed and work.kind == "conv2d" else "",
        f"{planes / work.seconds:.0%}" if planes else "",
    ]


def _name(work: Work) -> str:
    """The layer, and what it is given: "5 conv2d 16 x 3 x 3, of 8 x 14 x 14"."""
    if work.what == "gather":
        return "the batch"
    given = " x ".join(map(str, work.inputs if work.inputs[1:] != (1, 1) else work.inputs[:1]))
    does = ""
    if work.kind == "conv2d":
        does = f" {work.outputs[0]} x {work.size} x {work.size}"
    elif work.kind == "dense":
        does = f" {work.outputs[0]}"
    return f"{work.layer} {work.kind}{does}, of {given}"
