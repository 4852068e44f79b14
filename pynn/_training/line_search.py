"""A line search for the strong Wolfe conditions: algorithms 3.5 and 3.6 of Nocedal and Wright 2006.

Along a direction, the objective f is a function of the length a of the step. A step is accepted if
f has fallen enough, and if its slope is small enough beside that at the start:

    f(a) <= f(0) + c1 a f'(0)        |f'(a)| <= c2 |f'(0)|

Near a minimum f changes by less than float32 rounds it by. There the slope alone has to tell how
far f has fallen: Hager and Zhang 2005 call it the approximate Wolfe condition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

C1, C2 = 1e-4, 0.9
"""The constants of the two conditions, as Nocedal and Wright advise for quasi-Newton methods."""

ROUNDING = 1e-7
"""How much f may be off by rounding, relative to f."""

EXTENSION = 4.0
"""While a step is too short, the next is so many times as long."""


class Point(NamedTuple):
    """A point on the line."""

    step: float
    loss: float
    """f(a); infinite where it cannot be computed."""
    slope: float
    """f'(a)."""
    value: Any = None
    """What the caller computed there."""


Evaluate = Callable[[float], Point]


class _Search:
    """The points that were tried, of which there are at most `most`."""

    def __init__(self, evaluate: Evaluate, start: Point, most: int) -> None:
        self.evaluate = evaluate
        self.start = start
        self.left = most

    def at(self, step: float) -> Point:
        """Evaluate a point."""
        self.left -= 1
        return self.evaluate(step)

    def has_fallen(self, point: Point) -> bool:
        """Whether f has fallen enough: the first condition, or the approximate one."""
        start, slope = self.start, self.start.slope
        if point.loss <= start.loss + C1 * point.step * slope:
            return True
        is_near = abs(point.loss - start.loss) <= ROUNDING * abs(start.loss)
        return is_near and point.slope <= (2.0 * C1 - 1.0) * slope

    def is_flat(self, point: Point) -> bool:
        """The second condition."""
        return abs(point.slope) <= -C2 * self.start.slope

    def zoom(self, low: Point, high: Point) -> Point | None:
        """Find an accepted step between two points (algorithm 3.6).

        Args:
            low: The best point so far at which f has fallen enough, or the start.
            high: A point behind which, seen from low, f has not.
        """
        while self.left > 0:
            step = _between(low, high)
            if step in (low.step, high.step):
                break  # there is no number between them
            point = self.at(step)
            if not self.has_fallen(point) or self._is_worse(point, low):
                high = point
                continue
            if self.is_flat(point):
                return point
            if point.slope * (high.step - low.step) >= 0.0:
                high = low
            low = point
        return self.if_lower(low)

    def if_lower(self, point: Point) -> Point | None:
        """A point that the second condition does not accept, if f is less there."""
        return point if point.loss < self.start.loss else None

    def _is_worse(self, point: Point, low: Point) -> bool:
        """Whether a point is not below the best one, by more than rounding can tell."""
        return point.loss >= low.loss + ROUNDING * abs(self.start.loss)


def search(evaluate: Evaluate, start: Point, first: float, most: int) -> Point | None:
    """Find a step that both conditions accept, or else one at which f has fallen (algorithm 3.5).

    Args:
        evaluate: Computes the point of a step.
        start: The point of step 0; its slope is below 0.
        first: The step to try first.
        most: How many points may be computed, at least 1.

    Returns:
        The accepted point; None if f has not fallen at any.
    """
    it, before, step = _Search(evaluate, start, most), start, first
    while it.left > 0:
        point = it.at(step)
        if not it.has_fallen(point) or (before is not start and point.loss >= before.loss):
            return it.zoom(before, point)
        if it.is_flat(point):
            return point
        if point.slope >= 0.0:
            return it.zoom(point, before)
        before, step = point, EXTENSION * step
    return it.if_lower(before)


def _between(low: Point, high: Point) -> float:
    """A step between two points: the minimum of the cubic through them, away from both ends."""
    width = high.step - low.step
    if not math.isfinite(high.loss) or not math.isfinite(high.slope):
        return low.step + 0.1 * width
    share = _minimum(low, high)
    return low.step + min(max(share, 0.1), 0.9) * width


def _minimum(low: Point, high: Point) -> float:
    """Where, from low (0) to high (1), the cubic with their values and slopes is least.

    This is (3.59) of Nocedal and Wright. Without such a minimum it is the middle.
    """
    width = high.step - low.step
    fall, left, right = high.loss - low.loss, low.slope * width, high.slope * width
    d1 = left + right - 3.0 * fall
    square = d1 * d1 - left * right
    if square < 0.0:
        return 0.5
    d2 = math.sqrt(square)
    below = right - left + 2.0 * d2
    return 1.0 - (right + d2 - d1) / below if below > 0.0 else 0.5
