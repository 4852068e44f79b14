"""Statistics of the columns of large arrays, without a float64 copy of the whole array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles

VALUES_AT_A_TIME = 1 << 20


def _parts(
    array: npt.NDArray[Any], rows: npt.NDArray[Any] | None
) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
    """Yield some rows at a time, with their places among all rows that are taken."""
    count = len(array) if rows is None else len(rows)
    step = max(1, VALUES_AT_A_TIME // max(1, array.shape[1]))
    for first in range(0, count, step):
        some = slice(first, first + step)
        yield some, array[some] if rows is None else array[rows[some]]


def means(array: npt.NDArray[Any], weights: Doubles | None = None) -> Doubles:
    """Calculate the mean of each column of an array (n, columns); weights are (n,)."""
    found: Doubles = np.average(array.astype(np.float64), axis=0, weights=weights)
    return found


def variances(
    array: npt.NDArray[Any],
    rows: npt.NDArray[Any] | None = None,
    weights: Doubles | None = None,
) -> Doubles:
    """Calculate the mean squared distance of each column's values from their mean.

    If all values of a column are equal, the result is exactly 0 without weights: the sum of n equal
    floats has at most 24 + log2(n) bits, which float64 holds, so that the mean is that value.

    Args:
        array: Shape (n, columns), float32; n is at least 1.
        rows: The rows to take; None for all.
        weights: The weights of the rows that are taken, not all 0; None if all are 1.

    Returns:
        Shape (columns,).
    """
    count = len(array) if rows is None else len(rows)
    total = float(count) if weights is None else float(weights.sum())
    mean, squares = np.zeros(array.shape[1]), np.zeros(array.shape[1])
    for some, part in _parts(array, rows):
        mean += part.sum(axis=0, dtype=np.float64) if weights is None else weights[some] @ part
    mean /= total
    for some, part in _parts(array, rows):
        distances = np.square(part - mean)
        squares += distances.sum(axis=0) if weights is None else weights[some] @ distances
    return squares / total


def ranges(
    array: npt.NDArray[Any], rows: npt.NDArray[Any] | None = None
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Find the least and the largest value of each column, which NaN is not.

    Args:
        array: Shape (n, columns).
        rows: The rows to take; None for all.

    Returns:
        Two arrays of shape (columns,); NaN for a column that has only NaN.
    """
    least = np.full(array.shape[1], np.nan)
    largest = least.copy()
    for _, part in _parts(array, rows):
        least = np.fmin(least, np.fmin.reduce(part, axis=0))
        largest = np.fmax(largest, np.fmax.reduce(part, axis=0))
    return least, largest


def entropy(shares: Doubles) -> float:
    """Calculate -sum p log p, where 0 log 0 is 0."""
    some = shares[shares > 0.0]
    return float(-(some * np.log(some)).sum())
