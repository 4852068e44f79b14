"""Measure whether pynn chooses well between a sparse and a dense first layer.

For each density, width and batch, training steps take turns: with the choice left to pynn ("auto"),
and with each way forced. The network is 784-width-10. The data are bytes of which the share
`density`, at random places, is not zero. Auto may take at most 1.10 times as long as the better of
the two ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from figures import Case, Spread, against_best, seconds, table
from harness import Contender, Workers, take_turns
from must_show import Plan

DENSITIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)
BATCHES = (16, 64, 128, 512, 1024, 4096)
WAYS = ("auto", "dense", "sparse")
AT_MOST = 1.10
SECONDS_A_TURN = 0.03
ROUNDS = 9


class Cell(NamedTuple):
    """What is trained: the share of features that are not zero, the first layer, the batch."""

    density: float
    width: int
    batch: int

    @property
    def name(self) -> str:
        return f"density {self.density} width {self.width} batch {self.batch}"


def cells(*, quick: bool) -> Iterator[Cell]:
    """All cells, those of one density after each other, since they share their data."""
    for density in DENSITIES[::5] if quick else DENSITIES:
        for width in WIDTHS[:1] if quick else WIDTHS:
            for batch in BATCHES[:2] if quick else BATCHES:
                yield Cell(density, width, batch)


def plan(workers: Workers, rounds: int, *, quick: bool) -> Plan:
    """The cases by name, to be run in order."""
    for cell in cells(quick=quick):
        yield cell.name, lambda c=cell: measure(workers, c, rounds)


def measure(workers: Workers, cell: Cell, rounds: int) -> Case:
    """Rounds of one turn of each way, on two threads.

    A cell that is over the limit is measured again, for three times as many rounds, and that
    counts: of hundreds of medians of few rounds some are far off without a reason.
    """
    worker = workers.get(Contender("first_layer", 2))
    steps = worker.ask("prepare", **cell._asdict(), wish=SECONDS_A_TURN)["steps"]
    turns = {way: (lambda way=way: worker.ask("steps", way=way, count=steps[way])) for way in WAYS}
    case = condensed(cell, take_turns(turns, rounds, pause=0.0))
    if ratio(case).median > AT_MOST:
        case = condensed(cell, take_turns(turns, 3 * rounds, pause=0.0))
    return case


def condensed(cell: Cell, rounds: list[Any]) -> Case:
    """What is kept of a case: medians, and of the machine all rounds together.

    All turns of hundreds of cases would be megabytes.
    """
    case: Case = {"contenders": {way: {} for way in WAYS}, "rounds": rounds}
    spread, better = against_best(case, "auto", ["dense", "sparse"])
    machine = {
        name: round(sum(one[name] for one in rounds), 2)
        for name in ("stolen_seconds", "core_seconds")
    }
    return {
        "cell": cell._asdict(),
        "contenders": {
            way: {"seconds": float(f"{Spread.of(seconds(case, way)).median:.6g}")} for way in WAYS
        },
        "better": better,
        "ratio": [round(value, 3) for value in spread],
        "turns": len(rounds),
        "rounds": [{"turns": {}, **machine}],
    }


def ratio(case: Case) -> Spread:
    """Seconds of what pynn chose over those of the better way, round by round."""
    return Spread(*case["ratio"])


def worst(done: dict[str, Case]) -> str:
    """The name of the case that is furthest from the better way."""
    return max(done, key=lambda name: ratio(done[name]).median)


def holds(done: dict[str, Case]) -> bool:
    """Whether pynn chooses well in every case."""
    return all(ratio(case).median <= AT_MOST for case in done.values())


def verdict(done: dict[str, Case]) -> str:
    """A line on the worst case."""
    name = worst(done)
    measured = f"{ratio(done[name]).text()} times {done[name]['better']}"
    good = "yes" if holds(done) else "**no**"
    return f"The worst: {name}, {measured}. At most {AT_MOST:.2f}: {good}."


def full_table(done: dict[str, Case]) -> str:
    """A row for each case: milliseconds of a step each way, and the ratio."""
    rows = []
    for case in done.values():
        cell = [str(value) for value in case["cell"].values()]
        millis = [f"{case['contenders'][way]['seconds'] * 1e3:.3f}" for way in WAYS]
        rows.append([*cell, *millis, case["better"], ratio(case).text()])
    headers = ["density", "width", "batch", *(f"{way}, ms" for way in WAYS)]
    return table([*headers, "better", "auto / better"], rows)


def summary(done: dict[str, Case]) -> str:
    """For each width and batch the worst ratio of all densities, and that density."""
    places: dict[tuple[int, int], dict[str, Case]] = {}
    for name, case in done.items():
        places.setdefault((case["cell"]["width"], case["cell"]["batch"]), {})[name] = case
    batches = sorted({batch for _, batch in places})
    rows = [
        [str(width), *(_worst_of(places.get((width, batch), {})) for batch in batches)]
        for width in sorted({width for width, _ in places})
    ]
    return table(["width", *(f"batch {batch}" for batch in batches)], rows)


def _worst_of(some: dict[str, Case]) -> str:
    if not some:
        return "-"
    case = some[worst(some)]
    return f"{ratio(case).median:.2f} ({case['cell']['density']})"
