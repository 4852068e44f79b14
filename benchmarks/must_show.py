"""The table of limits that pynn is held to: how each line is measured, and whether it holds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cases
import processes
from cases import BATCHES, BOUNDS, HIDDEN, INDEPENDENT, Shape, both
from figures import Case, Line, Spread, against_best, gains, options, worst
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
    for batch, hidden in cells:
        shape = cases.grid_shape("mnist", batch, hidden)
        shape = shape._replace(rows=min(rows, shape.rows))
        yield (
            f"grid batch {batch} width {hidden}",
            lambda s=shape: cases.epochs(workers, s, [PYNN, *both("torch")], rounds),
        )
    for folder in folders:
        folder.cleanup()


def _predict_program(models: Path, rounds: int) -> Case:
    if not any(models.iterdir()):  # where train.py's case was done in an earlier run
        processes.train_program(1, models)
    return processes.predict_program(models, rounds)


def judge(done: dict[str, Case]) -> list[Line]:
    """The lines of the table for the cases that are there."""
    lines = []
    for data, to_torch, to_jax, to_bound in (
        ("mnist", 0.30, 0.60, 0.75),
        ("dense", 0.50, 1.00, 1.15),
    ):
        if f"epoch {data}" not in done:
            continue
        case = done[f"epoch {data}"]
        what = f"epoch, {NAMES[data]}, batch 128"
        lines += _against(case, what, "torch", to_torch)
        lines += _against(case, what, "jax", to_jax)
        two = [c.name for c in BOUNDS if c.name in case["contenders"]]
        for threads, names in ((2, two), (1, two[:1])):
            if not names:
                continue
            ratio, against = against_best(case, f"pynn@{threads}", names)
            work = f"{what}, {'1 thread' if threads == 1 else '2 threads'}"
            lines.append(Line(work, ratio, to_bound, against=f"the products alone, {against}"))
    lines += _grid({name: case for name, case in done.items() if name.startswith("grid ")})
    if "epoch dense" in done and INDEPENDENT.name in done["epoch dense"]["contenders"]:
        lines.append(_scaling(done["epoch dense"]))
    for data in ("mnist", "dense"):
        if f"busy {data}" in done:
            ratio, _ = against_best(done[f"busy {data}"], "busy", ["free"])
            work = f"epoch, {NAMES[data]}, one of two cores kept busy"
            lines.append(Line(work, ratio, 2.2, against="both free"))
    if "predict 1" in done:
        lines += _against(done["predict 1"], "predict_proba of one row", "torch", 0.20)
        lines += _against(done["predict 1"], "predict_proba of one row", "numpy", 0.70)
    if "train.py" in done:
        peak = done["train.py"]["contenders"]["train.py"]["peak_nbytes"] / 1e6
        lines.append(Line("whole train.py, peak memory", Spread(peak, peak, peak), 130, " MB"))
    if "import" in done:
        ratio, _ = against_best(done["import"], "pynn", ["numpy"])
        lines.append(Line("import pynn", ratio, 1.20, against="import numpy"))
    if "predict.py" in done:
        ratio, _ = against_best(done["predict.py"], "predict.py", ["imports"])
        lines.append(Line("predict.py, one image", ratio, 1.4, against="import numpy, PIL.Image"))
    return lines


NAMES = {"mnist": "MNIST", "dense": "dense data"}


def _against(case: Case, work: str, peer: str, at_most: float) -> list[Line]:
    """pynn at two threads against the peer's best setting; nothing where the peer was left out."""
    names = options(case, peer)
    if not names:
        return []
    ratio, against = against_best(case, PYNN.name, names)
    return [Line(work, ratio, at_most, against=against)]


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
    )


def _grid(grid: dict[str, Case]) -> list[Line]:
    """The worst cell of the grid, and the worst of the small ones."""
    cells = []
    for case in grid.values():
        names = options(case, "torch")
        if names:
            ratio, against = against_best(case, PYNN.name, names)
            shape = case["shape"]
            where = f"batch {shape['batch']}, width {shape['hidden']}, {against}"
            small = shape["batch"] <= 32 and shape["hidden"] <= 256
            cells.append((small, Line("", ratio, 1.0, against=where)))
    lines = []
    count = len(cells)
    if cells:
        line = worst([line for _, line in cells])
        lines.append(line._replace(work=f"MNIST, all {count} batches and widths: the worst"))
    if any(small for small, _ in cells):
        line = worst([line._replace(at_most=0.33) for small, line in cells if small])
        lines.append(line._replace(work="MNIST, batch <= 32, width <= 256: the worst"))
    return lines
