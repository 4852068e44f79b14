"""Examples with their weights: what becomes of them before they are trained on."""

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
"""So many rows for each given, on average, are made at most of weights that are whole numbers."""


class Examples(NamedTuple):
    """Features (n, features), targets as a loss takes them, and weights (n,) or None."""

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
        """Without the rows of weight zero."""
        if self.weights is None or self.weights.all():
            return self
        return self.take(np.flatnonzero(self.weights))

    def repeated(self) -> Examples:
        """Rows in so many copies as their weights say, where those are whole numbers and not large.

        That is the same to the bit as examples that were given so many times; with other weights
        the gradients are weighted, which is the same but for rounding and for the cut into batches.
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
        """Sorted by their bytes.

        For batches of all rows: their order means nothing there, and with one of its own it has no
        effect on the rounding of sums either.
        """
        order = np.arange(self.rows)
        for column in (self.weights, self.targets, self.features):  # the last one decides first
            if column is not None:
                order = order[np.argsort(_as_bytes(column)[order], kind="stable")]
        return self.take(order)

    def reweighted(self, factors: Weights | None) -> Examples:
        """With the weights multiplied."""
        if factors is None:
            return self
        weights = factors
        if self.weights is not None:
            with np.errstate(over="ignore", under="ignore"):
                weights = self.weights * factors
        return self._replace(weights=_with_a_sum("sample_weight times class_weight", weights))


def _as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Shape (n,): each row as its bytes, which can be compared."""
    rows = np.ascontiguousarray(array).reshape(len(array), -1)
    return rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()


def check_range(X: Any) -> None:
    """Raise an ArgumentError where X is finite, but not as float32."""
    values = np.asarray(X.data if issparse(X) else X)
    if values.dtype.kind not in "fiu":  # X is wrong in another way
        return
    largest = np.abs(values).max(initial=0)
    if checks.MAX_FLOAT32 < largest < np.inf:
        raise ArgumentError(
            f"{NOT_FINITE}: X goes up to {largest:.2g}, and as float32, in which it is trained on,"
            f" numbers go up to {checks.MAX_FLOAT32:.2g}; scale it, as with StandardScaler"
        )


def check_weights(sample_weight: Any, rows: int) -> Weights | None:
    """sample_weight as (rows,) float64, from anything that is like an array; None stays.

    Raises:
        ArgumentError: The shape does not fit, or a weight is negative, or all are zero, or their
            sum is not finite.
        ValueError: scikit-learn's, where a weight is not finite.
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
    """The weights, if their sum is a number: alpha is weighed against it."""
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not np.isfinite(total):
        raise ArgumentError(
            f"{name} must have a sum that is finite, got values up to {weights.max():g}; scale them"
            " down"
        )
    return weights


def class_factors(
    class_weight: Any, classes: npt.NDArray[Any], examples: Examples
) -> Weights | None:
    """What the weights of examples are multiplied by, by their classes, (n,).

    "balanced" gives all classes the same sum of weights, and all together what they had.

    Raises:
        ArgumentTypeError: class_weight is neither None nor "balanced" nor a dict.
        ArgumentError: A class is unknown, or a weight negative or not finite, or all are zero.
    """
    if class_weight is None:
        return None
    factors = np.ones(len(classes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        sums = np.bincount(examples.targets, examples.weights, minlength=len(classes))
        present = sums > 0
        with np.errstate(over="ignore"):  # the product is looked at
            factors[present] = sums.sum() / present.sum() / sums[present]
    elif isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            index = np.flatnonzero(classes == label)
            if len(index) != 1:
                known = ", ".join(map(str, classes[:10]))
                raise ArgumentError(f"class_weight: {label!r} is none of the classes: {known}")
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
