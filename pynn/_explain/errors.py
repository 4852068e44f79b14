"""The largest error of numbers that should be others, and where it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles

LEAST = 1e-30
"""Errors are relative to at least this. C takes numbers below 1.2e-38 as 0, which may be factors of
larger ones."""

Index = tuple[int, ...]


class Comparison(NamedTuple):
    """Numbers to check; all arrays are of one shape."""

    name: str
    numbers: npt.NDArray[Any]
    right: Doubles
    sizes: Doubles
    """What the error of each number is relative to."""
    allowed: Doubles | float = 0.0
    """What of each distance is no error."""


class LargestError(NamedTuple):
    """The largest relative error of some numbers, and where it is."""

    error: float
    """It is infinite if a number, or the right one, is not finite."""
    name: str
    """What was computed: "dense1.dW", or "" if nothing could be compared."""
    place: Index
    """Its index in the array of that name."""

    def __str__(self) -> str:
        index = ", ".join(map(str, self.place))
        return f"{self.error:.2g} at {self.name}[{index}]" if self.name else "nothing to compare"


def relative(
    numbers: npt.NDArray[Any], right: Doubles, sizes: Doubles, allowed: Doubles | float = 0.0
) -> Doubles:
    """The relative error of each number; infinite where anything is not finite."""
    finite = np.isfinite(numbers) & np.isfinite(right) & np.isfinite(sizes)
    errors = np.full(numbers.shape, np.inf)
    distances = np.abs(np.subtract(numbers, right, where=finite, out=np.zeros(numbers.shape)))
    sizes = np.maximum(sizes, LEAST)
    np.divide(np.maximum(distances - allowed, 0.0), sizes, where=finite, out=errors)
    return errors


def largest_of(it: Comparison) -> LargestError:
    """The largest error of a comparison."""
    if it.numbers.shape != it.right.shape:
        return LargestError(np.inf, it.name, ())
    errors = relative(it.numbers, it.right, it.sizes, it.allowed)
    place = np.unravel_index(int(errors.argmax()), errors.shape)
    return LargestError(float(errors[place]), it.name, tuple(map(int, place)))


def largest(errors: Iterable[LargestError]) -> LargestError:
    """The largest of all; of equal ones the first."""
    return max(errors, key=lambda one: one.error, default=LargestError(0.0, "", ()))
