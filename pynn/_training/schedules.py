"""Learning rate schedules, and their form in a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.errors import ArgumentTypeError


class Schedule(Arguments):
    """The base class of the schedules."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} has no rule for its learning rate")


class Constant(Schedule):
    """The same learning rate in all steps.

    Args:
        rate: The learning rate, greater than 0.

    Raises:
        ArgumentTypeError: The rate is not a number.
        ArgumentError: The rate is out of range.

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
    """A rate that is multiplied by a factor every few steps: rate * factor ** (step // every).

    Args:
        rate: The first learning rate, greater than 0.
        every: The number of steps between two changes, at least 1.
        factor: The factor of each change, greater than 0.

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
        """Return the learning rate of a step; infinity if it is too large for a float."""
        try:
            return float(self.rate * self.factor ** (step // self.every))
        except OverflowError:
            return math.inf if self.factor > 1.0 else 0.0


class Cosine(Schedule):
    """A rate that falls along half a cosine wave, and then stays.

    It is least + (rate - least) (1 + cos(pi step / steps)) / 2, and `least` after `steps` steps
    (Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts).

    Args:
        rate: The first learning rate, greater than 0.
        steps: The number of steps until the rate is `least`, at least 1. For a whole run this is
            epochs * ceil(examples / batch_size).
        least: The last learning rate, at least 0.

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
    """A rate that rises and then falls, each along half a cosine wave (Smith and Topin 2019).

    It rises from rate / 25 to `rate`, and falls to rate / 250,000 in the last step. The factors are
    those of PyTorch's OneCycleLR.

    Args:
        rate: The highest learning rate, greater than 0.
        steps: The number of steps of rise and fall together, at least 2; then the rate stays.
        rise: The share of these steps in which the rate rises, in (0, 1).

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
    """A rate that rises linearly to another schedule's first rate, and then follows that schedule.

    In step s < steps it is (s + 1) / steps of that first rate (Goyal et al. 2017, section 2.2).

    Args:
        schedule: The schedule to follow: a schedule, any function of the step, or a number.
        steps: The number of steps in which the rate rises, at least 1.

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
            first = check_value("schedule: its value for step 0", self.schedule(0))
            return first * ((step + 1) / self.steps)
        return self.schedule(step - self.steps)


def wave(start: float, end: float, share: float) -> float:
    """Interpolate along half a cosine wave: `start` at share 0, `end` at share 1."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


_KINDS: dict[str, type[Schedule]] = {
    kind.__name__: kind for kind in (Constant, StepDecay, Cosine, OneCycle, WarmUp)
}


class _Unknown(Schedule):
    """Stands for the caller's own function, of which a checkpoint keeps only that there was one."""


def to_dict(rate: Callable[[int], float] | float) -> Any:
    """Convert a learning rate to plain values for a checkpoint: a number, or a schedule's entry."""
    if not callable(rate):
        return rate
    if type(rate).__name__ not in _KINDS or not isinstance(rate, Schedule):
        return {"kind": "callable"}
    arguments = {name: to_dict(value) for name, value in vars(rate).items()}
    return {"kind": type(rate).__name__, **arguments}


def from_dict(entry: Any) -> Any:
    """Make the learning rate that to_dict() converted.

    Raises:
        ValueError, TypeError or LookupError: The entry is damaged.
    """
    if not isinstance(entry, dict):
        return entry
    arguments = {name: from_dict(value) for name, value in entry.items() if name != "kind"}
    if entry["kind"] == "callable" and not arguments:
        return _Unknown()
    if entry["kind"] not in _KINDS:
        raise ValueError(f"unknown schedule {checks.describe(entry['kind'])}")
    return _KINDS[entry["kind"]](**arguments)


def check_rate(name: str, rate: Callable[[int], float]) -> Callable[[int], float]:
    """Check that a callable is not a class: the user forgot its arguments."""
    if isinstance(rate, type):
        raise ArgumentTypeError(
            f"{name} must be a number or a schedule, got the class {rate.__name__}; call it with"
            f" its arguments, as in {rate.__name__}(...)"
        )
    return rate


def check_value(name: str, value: object) -> float:
    """Check the value that a schedule, or the caller's own function, returns for a step."""
    if isinstance(value, float) and 0.0 < value < checks.MIN_FLOAT32:
        return 0.0  # too small for float32: the schedule has fallen to almost nothing
    return checks.real(name, value, least=0.0)
