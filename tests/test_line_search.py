"""The line search of L-BFGS, and what a step does where it finds nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pynn
from pynn._native.workspace import Sums
from pynn._training.full_batch import Place, step
from pynn._training.lbfgs import Pairs
from pynn._training.line_search import C1, C2, Point, _between, search

LBFGS = pynn.LBFGS()

LINES: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "parabola": (lambda a: (a - 1) ** 2, lambda a: 2 * (a - 1)),
    "far": (lambda a: (a / 100 - 1) ** 2, lambda a: (a / 100 - 1) / 50),
    "near": (lambda a: (1000 * a - 1) ** 2, lambda a: 2000 * (1000 * a - 1)),
    # Moré and Thuente 1994, (5.1) and (5.2)
    "rational": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "flat": (lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, lambda a: _flat(a + 0.004)),
    "waves": (lambda a: (a - 3) ** 2 + np.sin(5 * a), lambda a: 2 * (a - 3) + 5 * np.cos(5 * a)),
    "barrier": (
        lambda a: -a - np.log(0.5 - a) / 9 if a < 0.5 else np.inf,
        lambda a: -1 + 1 / (9 * (0.5 - a)) if a < 0.5 else np.inf,
    ),
}


def _flat(a: float) -> float:
    return 5 * a**4 - 8 * a**3


@pytest.mark.parametrize("first", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", LINES)
def test_a_step_meets_both_conditions(name: str, first: float) -> None:
    """On lines whose minima are near or far, behind waves, or beside a wall of infinity."""
    value, slope = LINES[name]
    tried: list[float] = []

    def at(step: float) -> Point:
        tried.append(step)
        return Point(step, float(value(step)), float(slope(step)), len(tried))

    start = at(0.0)
    assert start.slope < 0
    found = search(at, start, first, 40)
    assert found is not None and found.value == len(tried)
    assert found.loss <= start.loss + C1 * found.step * start.slope
    assert abs(found.slope) <= -C2 * start.slope
    assert len(tried) <= 20


def test_a_line_without_a_lower_point() -> None:
    """A slope that promises what the values do not hold: no point is better than a wrong one."""
    tried: list[float] = []

    def at(step: float) -> Point:
        tried.append(step)
        return Point(step, 1.0 + step, -1.0)

    assert search(at, Point(0.0, 1.0, -1.0), 1.0, 12) is None
    assert len(tried) == 12


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_line_that_falls_for_ever(most: int) -> None:
    """The longest step that was tried."""
    found = search(lambda a: Point(a, -a, -1.0), Point(0.0, 0.0, -1.0), 1.0, most)
    assert found is not None and found.step == 4.0 ** (most - 1)


def test_between_two_points() -> None:
    """The minimum of the cubic; the middle where it has none; near the first beside infinity."""
    assert _between(Point(0, 1, -2), Point(4, 9, 6)) == pytest.approx(1.0)  # of (a - 1)^2
    assert _between(Point(0, 0, -1), Point(1, -2 / 3, -1)) == 0.5
    assert _between(Point(2, 0, -1), Point(1, np.inf, np.inf)) == pytest.approx(1.9)
    endless = search(lambda a: Point(a, 1 + a, -1), Point(0, 1, -1), 1.0, 10_000)
    assert endless is None  # it ends where there is no float between the two


# ------------------------------------------------------------ where a step finds nothing


class Bowl:
    """The objective |x|^2 / 2, up to a height."""

    def __init__(self, height: float = 1e9) -> None:
        self.height = height
        self.trained = np.ones(2)

    def at(self, x: Any) -> Place | None:
        """Its value and gradient; None above the height."""
        wide = x.astype(np.float64)
        loss = 0.5 * float(wide @ wide)
        return Place(x, loss, wide, Sums(loss, 0, 1)) if loss < self.height else None


def place_of(bowl: Bowl, *values: float) -> Place:
    """Where the bowl has a value."""
    place = bowl.at(np.array(values, np.float32))
    assert place is not None
    return place


def test_pairs_that_mislead_are_dropped() -> None:
    """They claim a curvature that is a million times too small; the gradient alone is better."""
    bowl: Any = Bowl()
    wrong = [np.array([1, 0], np.float32), np.array([1e-6, 0], np.float32)]
    optimizer = pynn.LBFGS(max_evaluations=1)
    found = step(bowl, place_of(bowl, 3.0, 4.0), Pairs(wrong, 10), optimizer)
    assert found.place.loss < 12.5 and found.ended is None
    assert len(found.pairs) == 1 and found.pairs.moments[0][0] == pytest.approx(-0.6)


def test_a_place_without_a_way_down() -> None:
    """Above a gradient whose square is no float, or where every other place is worse."""
    bowl: Any = Bowl(13)
    place = place_of(bowl, 3.0, 4.0)
    uphill = place._replace(gradient=-place.gradient)
    endless = place._replace(gradient=np.full(2, 1e200))
    with np.errstate(over="ignore"):
        for bad in (uphill, endless):
            found = step(bowl, bad, Pairs([], 10), LBFGS)
            assert found.place is bad and found.ended == "search"
