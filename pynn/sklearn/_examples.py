"""Examples with their weights, and how they are checked and prepared for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.utils import check_array

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn.sklearn._errors import NOT_FINITE

Weights = npt.NDArray[np.float64]

MOST_COPIES = 4
"""Rows with whole-number weights are copied only if there are at most so many copies a row, on
average."""


class Examples(NamedTuple):
    """Features (n, features); labels or targets as pynn's loss takes them; weights (n,) or None."""

    features: Floats
    targets: npt.NDArray[Any]
    weights: Weights | None

    @property
    def rows(self) -> int:
        """The number of examples."""
        return len(self.features)

    def take(self, indices: npt.NDArray[np.intp]) -> Examples:
        """Some of the rows, copied."""
        weights = None if self.weights is None else self.weights[indices]
        return Examples(self.features[indices], self.targets[indices], weights)

    def without_zeros(self) -> Examples:
        """Leave out the rows whose weight is zero."""
        if self.weights is None or self.weights.all():
            return self
        return self.take(np.flatnonzero(self.weights))

    def repeated(self) -> Examples:
        """Copy each row as many times as its weight says, if weights are small whole numbers.

        Then training gives the same bits as if the caller had given each row so many times. Other
        weights multiply the gradients. That has the same effect, except for rounding and for the
        division into batches.
        """
        weights = self.weights
        if weights is None or (weights != np.floor(weights)).any():
            return self
        if (weights == 1).all():
            return self._replace(weights=None)
        if weights.sum() > MOST_COPIES * self.rows:
            return self
        copies = np.repeat(np.arange(self.rows), weights.astype(np.intp))
        return Examples(self.features[copies], self.targets[copies], None)

    def in_canonical_order(self) -> Examples:
        """Sort the rows by their bytes, for a batch that holds all rows.

        The order of such a batch means nothing. Sorted, it does not affect the rounding of sums
        either.
        """
        order = np.arange(self.rows)
        for column in (self.weights, self.targets, self.features):  # the last one decides first
            if column is not None:
                order = order[np.argsort(_as_bytes(column)[order], kind="stable")]
        return self.take(order)

    def reweighted(self, factors: Weights | None) -> Examples:
        """Multiply the weights by factors, (n,)."""
        if factors is None:
            return self
        weights = factors
        if self.weights is not None:
            with np.errstate(over="ignore", under="ignore"):
                weights = self.weights * factors
        return self._replace(weights=_with_a_sum("sample_weight times class_weight", weights))


def _as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn each row into one value, its bytes, which can be compared: shape (n,)."""
    rows = np.ascontiguousarray(array).reshape(len(array), -1)
    return rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()


def check_range(X: Any) -> None:
    """Raise an ArgumentError if X has finite values that are too large for float32."""
    values = np.asarray(X.data if issparse(X) else X)
    if values.dtype.kind not in "fiu":  # something else is wrong with X
        return
    largest = np.abs(values).max(initial=0)
    if checks.MAX_FLOAT32 < largest < np.inf:
        raise ArgumentError(
            f"{NOT_FINITE}: X has values up to {largest:.2g}, and training is in float32, whose"
            f" largest number is {checks.MAX_FLOAT32:.2g}; scale X, for instance with"
            " StandardScaler"
        )


def check_weights(sample_weight: Any, rows: int) -> Weights | None:
    """Convert sample_weight, anything like an array, to (rows,) float64; None stays None.

    Raises:
        ArgumentError: The shape does not fit, a weight is negative, all weights are zero, or their
            sum is not finite.
        ValueError: scikit-learn refuses a weight that is not finite.
    """
    if sample_weight is None:
        return None
    if np.isscalar(sample_weight):
        sample_weight = np.full(rows, sample_weight)
    weights: Weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.shape != (rows,):
        raise ArgumentError(
            f"sample_weight must have shape ({rows},), one for each row of X, got {weights.shape}"
        )
    if (weights < 0).any():
        raise ArgumentError(f"sample_weight must be at least 0, got {weights.min()}")
    if not weights.any():
        raise ArgumentError("sample_weight must not be zero for all rows: nothing is left to fit")
    return _with_a_sum("sample_weight", weights)


def _with_a_sum(name: str, weights: Weights) -> Weights:
    """Return the weights; raise an ArgumentError if their sum is infinite: it divides alpha."""
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ArgumentError(
            f"{name} must have a finite sum, got values up to {weights.max():g}; scale them down"
        )
    return weights


def class_factors(
    class_weight: Any, classes: npt.NDArray[Any], examples: Examples
) -> Weights | None:
    """The factors, (n,), that multiply the examples' weights, each by its class.

    "balanced" gives all classes the same sum of weights, and leaves the total sum as it is.

    Raises:
        ArgumentTypeError: class_weight is neither None nor "balanced" nor a dict.
        ArgumentError: A class is unknown, a weight is negative or not finite, or all weights are
            zero.
    """
    if class_weight is None:
        return None
    factors = np.ones(len(classes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        sums = np.bincount(examples.targets, examples.weights, minlength=len(classes))
        present = sums > 0
        with np.errstate(over="ignore"):  # _with_a_sum() checks the product with the weights
            factors[present] = sums.sum() / present.sum() / sums[present]
    elif isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            index = np.flatnonzero(classes == label)
            if len(index) != 1:
                known = ", ".join(map(str, classes[:10]))
                raise ArgumentError(f"class_weight: {label!r} is not one of the classes: {known}")
            factors[index] = checks.real(f"class_weight[{label!r}]", weight, least=0.0)
    else:
        raise ArgumentTypeError(
            "class_weight must be None, 'balanced' or a dict of weights by class, got"
            f" {checks.describe(class_weight)}"
        )
    weights: Weights = factors[examples.targets]
    if not weights.any():
        raise ArgumentError("class_weight must not be zero for all classes of y")
    return weights
