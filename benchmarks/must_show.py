"""The table of limits that pynn is held to: how each line is measured, and whether it holds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cases
import processes
from cases import BATCHES, BOUNDS, HIDDEN, INDEPENDENT, Shape, both
from figures import Case, Line, Spread, against_best, gains, options, stolen, worst
from harness import Contender, Workers

Plan = Iterator[tuple[str, Callable[[], Case]]]

PYNN = Contender("pynn", 2)


def plan(workers: Workers, rounds: int, *, quick: bool) -> Plan:
    """The cases by name, to be run in order. A quick one has few rows, rounds and cells."""
    rows = 2048 if quick else cases.ROWS
    for data in ("mnist", "dense"):
        shape = Shape(data, rows=rows)
        peers = [Contender("torch", 2), Contender("jax", 2, "plain")] if quick else None
        contenders = [*both("pynn"), *(peers or both("torch", "jax")), *BOUNDS, INDEPENDENT]
        yield f"epoch {data}", lambda s=shape, c=contenders: cases.epochs(workers, s, c, rounds)
    for data in ("mnist", "dense"):
        shape = Shape(data, rows=rows)
        yield f"busy {data}", lambda s=shape: cases.busy(workers, s, rounds)
    contenders = [PYNN, *both("torch", "numpy")]
    yield (
        "predict 1",
        lambda: cases.predictions(workers, 1, contenders, rounds if quick else 2 * rounds + 1),
    )

    folders = [tempfile.TemporaryDirectory() for _ in range(2)]
    models, empty = (Path(folder.name) for folder in folders)
    yield "train.py", lambda: processes.train_program(1 if quick else 15, models)
    starts = 3 if quick else max(15, 3 * rounds)
    yield "import", lambda: processes.imports(["numpy", "pynn"], starts, empty)
    yield "predict.py", lambda: _predict_program(models, starts)

    cells = [(16, 64), (128, 256)] if quick else [(b, h) for h in HIDDEN for b in BATCHES]
    for data, begin in GRID_CASES.items():
        for batch, hidden in cells:
            shape = cases.grid_shape(data, batch, hidden)
            shape = shape._replace(rows=min(rows, shape.rows))
            yield (
                f"{begin} {batch} width {hidden}",
                lambda s=shape: cases.epochs(workers, s, [PYNN, *both("torch")], rounds),
            )
    for folder in folders:
        folder.cleanup()


def _predict_program(models: Path, rounds: int) -> Case:
    if not any(models.iterdir()):  # where train.py's case was done in an earlier run
        processes.train_program(1, models)
    return processes.predict_program(models, rounds)


class Limits(NamedTuple):
    """What an epoch of a data set may take at most, as a ratio; None: no limit."""

    torch: float | None
    jax: float | None
    products: float | None
    products_serial: float | None


EPOCHS = {
    "mnist": Limits(0.30, 0.40, 0.60, 0.75),
    "dense": Limits(0.55, 0.85, 1.10, 1.15),
}
# With pynn held to a lower level than the processor's, peers and BLAS still run their best. On
# MNIST, which pynn's own kernel does, PyTorch alone is the limit then; dense products are BLAS's.
FORCED_EPOCHS = EPOCHS | {"mnist": Limits(0.45, None, None, None)}


def judge(done: dict[str, Case], *, forced: bool = False) -> list[Line]:
    """The lines of the table for the cases that are there.

    Args:
        done: The cases by name.
        forced: Whether pynn was held to a lower level than the processor's.
    """
    lines = []
    for data, limits in (FORCED_EPOCHS if forced else EPOCHS).items():
        if f"epoch {data}" in done:
            lines += _epoch(done[f"epoch {data}"], data, limits)
    for data in ("mnist", "dense"):
        lines += _grid({n: c for n, c in done.items() if n.startswith(GRID_CASES[data])}, data)
    if "epoch dense" in done and INDEPENDENT.name in done["epoch dense"]["contenders"]:
        lines.append(_scaling(done["epoch dense"]))
    for data in ("mnist", "dense"):
        if f"busy {data}" in done:
            work = f"epoch, {NAMES[data]}, one of two cores kept busy"
            lines.append(_line(done[f"busy {data}"], work, "busy", ["free"], 2.2, "both free"))
    if "predict 1" in done:
        lines += _against(done["predict 1"], "predict_proba of one row", "torch", 0.20)
        lines += _against(done["predict 1"], "predict_proba of one row", "numpy", 0.70)
    if "train.py" in done:
        peak = done["train.py"]["contenders"]["train.py"]["peak_nbytes"] / 1e6
        lines.append(Line("whole train.py, peak memory", Spread(peak, peak, peak), 130, " MB"))
    if "import" in done:
        lines.append(_line(done["import"], "import pynn", "pynn", ["numpy"], 1.20, "import numpy"))
    if "predict.py" in done:
        case, against = done["predict.py"], "import numpy, PIL.Image"
        lines.append(_line(case, "predict.py, one image", "predict.py", ["imports"], 1.4, against))
    return lines


def _epoch(case: Case, data: str, limits: Limits) -> list[Line]:
    """The lines of an epoch of the recipe's network."""
    what = f"epoch, {NAMES[data]}, batch 128"
    lines = _against(case, what, "torch", limits.torch) + _against(case, what, "jax", limits.jax)
    bounds = [c.name for c in BOUNDS if c.name in case["contenders"]]
    for threads, names, at_most in (
        (2, bounds, limits.products),
        (1, bounds[:1], limits.products_serial),
    ):
        if names and at_most is not None:
            work = f"{what}, {'1 thread' if threads == 1 else '2 threads'}"
            line = _line(case, work, f"pynn@{threads}", names, at_most)
            lines.append(line._replace(against=f"the products alone, {line.against}"))
    return lines


def _line(
    case: Case, work: str, own: str, names: Sequence[str], at_most: float, against: str = ""
) -> Line:
    """A contender against the best of some others."""
    ratio, best = against_best(case, own, names)
    return Line(work, ratio, at_most, against=against or best, stolen=stolen(case))


NAMES = {"mnist": "MNIST", "dense": "dense data"}
# How the names of their cases of the grid begin.
GRID_CASES = {"mnist": "grid batch", "dense": "grid dense batch"}


def _against(case: Case, work: str, peer: str, at_most: float | None) -> list[Line]:
    """pynn at two threads against the peer's best setting; nothing where the peer was left out."""
    names = options(case, peer)
    if not names or at_most is None:
        return []
    return [_line(case, work, PYNN.name, names, at_most)]


def _scaling(case: Case) -> Line:
    """How much less a second thread gains pynn than it gains two loops that share nothing."""
    own = gains(case, "pynn@1", "pynn@2")
    most = gains(case, "gemm@1:serial", INDEPENDENT.name, work=2)
    ratio = Spread.of(theirs / ours for ours, theirs in zip(own, most, strict=True))
    gained = f"{Spread.of(most).median:.2f} / {Spread.of(own).median:.2f}"
    return Line(
        "gain from a second thread, dense data",
        ratio,
        1.10,
        against=f"that of two independent loops of products: {gained}",
        stolen=stolen(case),
    )


def _grid(grid: dict[str, Case], data: str) -> list[Line]:
    """The worst cell of the grid, and on MNIST the worst of the small ones."""
    cells = []
    for case in grid.values():
        if names := options(case, "torch"):
            line = _line(case, "", PYNN.name, names, 1.0)
            shape = case["shape"]
            where = f"batch {shape['batch']}, width {shape['hidden']}, {line.against}"
            small = data == "mnist" and shape["batch"] <= 32 and shape["hidden"] <= 256
            cells.append((small, line._replace(against=where)))
    lines = []
    if cells:
        work = f"{NAMES[data]}, all {len(cells)} batches and widths: the worst"
        lines.append(worst([line for _, line in cells])._replace(work=work))
    if any(small for small, _ in cells):
        line = worst([line._replace(at_most=0.33) for small, line in cells if small])
        lines.append(line._replace(work=f"{NAMES[data]}, batch <= 32, width <= 256: the worst"))
    return lines
