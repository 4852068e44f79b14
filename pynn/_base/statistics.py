"""Statistics of the columns of large arrays, without a float64 copy of the whole array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles

VALUES_AT_A_TIME = 1 << 20


def variances(array: npt.NDArray[Any], rows: npt.NDArray[Any] | None = None) -> Doubles:
    """Calculate the mean squared distance of each column's values from their mean.

    If all values of a column are equal, the result is exactly 0: the sum of n equal floats has at
    most 24 + log2(n) bits, which float64 holds, so that the mean is exactly that value.

    Args:
        array: Shape (n, columns), float32; n is at least 1.
        rows: The rows to take; None for all.

    Returns:
        Shape (columns,).
    """
    count = len(array) if rows is None else len(rows)
    step = max(1, VALUES_AT_A_TIME // max(1, array.shape[1]))

    def parts() -> Any:
        for first in range(0, count, step):
            some = slice(first, first + step)
            yield array[some] if rows is None else array[rows[some]]

    sums = np.zeros(array.shape[1])
    for part in parts():
        sums += part.sum(axis=0, dtype=np.float64)
    squares = np.zeros_like(sums)
    for part in parts():
        squares += np.square(part - sums / count).sum(axis=0)
    return squares / count
