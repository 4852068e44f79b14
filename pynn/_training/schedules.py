"""The schedules, and how a checkpoint keeps them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.errors import ArgumentTypeError


class Schedule(Arguments):
    """The base of the schedules here."""

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its rate is")


class Constant(Schedule):
    """The same rate for each step.

    Args:
        rate: Greater than 0.

    Raises:
        ArgumentTypeError: It is no number.
        ArgumentError: It is out of range.

    Examples:
        >>> Constant(0.1)(5)
        0.1
    """

    rate: float

    def __init__(self, rate: float) -> None:
        super().__init__(rate=checks.real("rate", rate, above=0.0))

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        return self.rate


class StepDecay(Schedule):
    """A rate that falls at once, again and again: rate * factor ** (step // every).

    Args:
        rate: The first, greater than 0.
        every: Steps between, at least 1.
        factor: What the rate is multiplied by, greater than 0.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> [StepDecay(0.5, every=10, factor=0.5)(step) for step in (0, 9, 10, 20)]
        [0.5, 0.5, 0.25, 0.125]
    """

    rate: float
    every: int
    factor: float

    def __init__(self, rate: float, every: int, factor: float = 0.1) -> None:
        super().__init__(
            rate=checks.real("rate", rate, above=0.0),
            every=checks.integer("every", every, least=1),
            factor=checks.real("factor", factor, above=0.0),
        )

    def __call__(self, step: int) -> float:
        """The learning rate of a step; infinity where that is no number any more."""
        try:
            return float(self.rate * self.factor ** (step // self.every))
        except OverflowError:
            return math.inf if self.factor > 1.0 else 0.0


class Cosine(Schedule):
    """Half a wave down: least + (rate - least) (1 + cos(pi step / steps)) / 2, then `least`.

    Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts.

    Args:
        rate: The first, greater than 0.
        steps: How many it takes, at least 1: epochs times ceil(examples / batch size) for a run.
        least: Where it ends, at least 0.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> [round(Cosine(0.4, steps=4)(step), 3) for step in range(6)]
        [0.4, 0.341, 0.2, 0.059, 0.0, 0.0]
    """

    rate: float
    steps: int
    least: float

    def __init__(self, rate: float, steps: int, least: float = 0.0) -> None:
        super().__init__(
            rate=checks.real("rate", rate, above=0.0),
            steps=checks.integer("steps", steps, least=1),
            least=checks.real("least", least, least=0.0),
        )

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        return wave(self.rate, self.least, min(step / self.steps, 1.0))


class OneCycle(Schedule):
    """Up to a high rate and down to almost nothing, each by half a wave (Smith and Topin 2019).

    From rate / 25 it reaches `rate` after a share of the steps, and at the last one
    rate / 250,000; the figures are those of PyTorch's OneCycleLR.

    Args:
        rate: The highest, greater than 0.
        steps: How many it takes, at least 2; behind them the rate stays.
        rise: The share of steps that it rises, in (0, 1).

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> [round(OneCycle(1.0, steps=11)(step), 3) for step in (0, 1, 2, 6, 10)]
        [0.04, 0.422, 0.96, 0.531, 0.0]
    """

    rate: float
    steps: int
    rise: float

    def __init__(self, rate: float, steps: int, rise: float = 0.3) -> None:
        super().__init__(
            rate=checks.real("rate", rate, above=0.0),
            steps=checks.integer("steps", steps, least=2),
            rise=checks.real("rise", rise, above=0.0, below=1.0),
        )

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        first, last = self.rate / 25.0, self.rate / 25.0 / 1e4
        top, end = self.rise * self.steps - 1, self.steps - 1
        if step < top:
            return wave(first, self.rate, step / top)
        return wave(self.rate, last, min((step - top) / (end - top), 1.0))


class WarmUp(Schedule):
    """A line up to another schedule's first rate, and then that schedule.

    Step s below `steps` has (s + 1) / steps of the first rate; Goyal et al. 2017, section 2.2.

    Args:
        schedule: What follows: a schedule, any callable of the step, or a number.
        steps: How long the line is, at least 1.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> [WarmUp(0.4, steps=4)(step) for step in range(6)]
        [0.1, 0.2, 0.30000000000000004, 0.4, 0.4, 0.4]
    """

    schedule: Callable[[int], float]
    steps: int

    def __init__(self, schedule: Callable[[int], float] | float, steps: int) -> None:
        super().__init__(
            schedule=check_rate("schedule", schedule) if callable(schedule) else Constant(schedule),
            steps=checks.integer("steps", steps, least=1),
        )

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.steps:
            first = check_value("schedule: what it gives for step 0", self.schedule(0))
            return first * ((step + 1) / self.steps)
        return self.schedule(step - self.steps)


def wave(start: float, end: float, share: float) -> float:
    """From `start` to `end` as the cosine goes from 0 to pi, where `share` of the way is done."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


_KINDS: dict[str, type[Schedule]] = {
    kind.__name__: kind for kind in (Constant, StepDecay, Cosine, OneCycle, WarmUp)
}


class _Unknown(Schedule):
    """A callable of the caller's in a checkpoint: that there was one is all that a file can say."""


def to_dict(rate: Callable[[int], float] | float) -> Any:
    """What a checkpoint keeps of a learning rate: a number, or the schedule's arguments."""
    if not callable(rate):
        return rate
    if type(rate).__name__ not in _KINDS or not isinstance(rate, Schedule):
        return {"kind": "callable"}
    arguments = {name: to_dict(value) for name, value in vars(rate).items()}
    return {"kind": type(rate).__name__, **arguments}


def from_dict(entry: Any) -> Any:
    """What to_dict() was given; ValueError, TypeError or LookupError if it is damaged."""
    if not isinstance(entry, dict):
        return entry
    arguments = {name: from_dict(value) for name, value in entry.items() if name != "kind"}
    if entry["kind"] == "callable" and not arguments:
        return _Unknown()
    if entry["kind"] not in _KINDS:
        raise ValueError(f"unknown schedule {checks.describe(entry['kind'])}")
    return _KINDS[entry["kind"]](**arguments)


def check_rate(name: str, rate: Callable[[int], float]) -> Callable[[int], float]:
    """A callable of the step, and not the class of one."""
    if isinstance(rate, type):
        raise ArgumentTypeError(
            f"{name} must be a number or a schedule, got the class {rate.__name__}; make one of"
            f" it, as in {rate.__name__}(...)"
        )
    return rate


def check_value(name: str, value: object) -> float:
    """What a schedule gives, as it may be a callable of the caller's: a number that is a rate."""
    if isinstance(value, float) and 0.0 < value < checks.MIN_FLOAT32:
        return 0.0  # what it is as a float32, where a schedule has all but ended
    return checks.real(name, value, least=0.0)
