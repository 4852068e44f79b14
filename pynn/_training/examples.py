"""Preparing the examples of a call: check them, weight them, hold some out for validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, checks
from pynn._base.arrays import Floats, Targets
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._native import library
from pynn._native.data import Data
from pynn._network import class_names
from pynn._network.class_names import Names
from pynn._network.spec import Spec

VALIDATION_STREAM = 1 << 33
"""The random stream that draws the examples to hold out; `trainer` has the streams below it."""

Rows = npt.NDArray[np.uint32]
MOST_ROWS = 2**32 - 1
"""The most examples that can be trained on: their order is an array of uint32."""


class Examples(NamedTuple):
    """The examples that a run trains on, and those that validate it."""

    data: Data
    rows: Rows | None
    """The rows of `data` to train on; None for all."""
    held_out: Data | None
    """The examples to validate with, or None."""
    held: Rows | None = None
    """The rows of `data` that were copied to `held_out`; None if it is other data."""
    fraction: float = 0.0
    """The fraction of `data` that is held out; 0 if none is."""
    classes: Names | None = None
    """The names by which the labels were numbered, if they were names."""

    @property
    def size(self) -> int:
        """The number of examples to train on."""
        return self.data.rows if self.rows is None else len(self.rows)


def make_data(
    spec: Spec, prefix: str, features: object, labels: object, most: int | None = None
) -> Data:
    """Check features with their labels or targets, and prepare them for C.

    Errors put the prefix before the names of the arguments. `most` is the largest allowed number of
    examples.
    """
    if spec.encoder is not None:
        features = spec.encoder(f"{prefix}features", features)
    x = arrays.features(f"{prefix}features", features, spec.input_shape, most)
    if len(x) == 0:
        raise ArgumentError(f"{prefix}features must have at least one example, got {x.shape}")
    data = Data(x, spec.loss.check_targets(f"{prefix}labels", labels, len(x), spec.outputs))
    data.takes_missing = spec.takes_missing
    return data


def make_examples(
    spec: Spec,
    seed: int,
    data: Data,
    validation: object,
    sample_weight: object,
    class_weight: object,
    classes: Names | None = None,
) -> Examples:
    """Check validation and weights, as `fit` is given them, and prepare the examples.

    `classes` are the names of the classes, if they have names.
    """
    rows: Rows | None = None
    held_out: Data | None = None
    held: Rows | None = None
    fraction = 0.0
    if isinstance(validation, (float, np.floating)):
        fraction = checks.real("validation", validation, above=0.0, below=1.0)
        rows, held = divide(spec, seed, data, fraction)
        assert data.targets is not None
        held_out = Data(data.features[held], data.targets[held])
    elif validation is not None:
        x, y = _pair(validation)
        y, _ = class_names.numbered("validation labels", y, spec, classes, learning=False)
        held_out = make_data(spec, "validation ", x, y)
    if sample_weight is not None or class_weight is not None:
        weights = _weigh(spec, data, rows, sample_weight, class_weight, classes)
        data = Data(data.features, data.targets, weights)
        data.takes_missing = spec.takes_missing
    return Examples(data, rows, held_out, held, fraction, classes)


def _pair(validation: object) -> tuple[object, object]:
    """Check that `validation` is a pair (features, labels), such as a data set; return the pair."""
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise ArgumentTypeError(
            "validation must be a pair (features, labels), or a fraction such as 0.1, got"
            f" {checks.describe(validation)}"
        )
    return validation[0], validation[1]


def divide(spec: Spec, seed: int, data: Data, fraction: float) -> tuple[Rows, Rows]:
    """Divide the rows into those to train on and those to hold out, each in ascending order.

    The choice is random, but the same for the same seed and number of examples. With classes, about
    the same fraction of each class is held out.
    """
    count = data.rows
    order = library.permutation(seed, VALIDATION_STREAM, count)
    held_count = round(fraction * count)
    if not 0 < held_count < count:
        raise ArgumentError(
            f"validation must leave examples to train on and to validate with, got"
            f" {checks.shown(fraction)} of {count}"
        )
    if spec.loss.has_classes:
        assert data.targets is not None
        order = order[np.argsort(_places(data.targets[order]), kind="stable")]
    is_held = np.zeros(count, bool)
    is_held[order[:held_count]] = True
    rows = np.arange(count, dtype=np.uint32)
    return rows[~is_held], rows[is_held]


def _places(labels: Targets) -> npt.NDArray[np.float64]:
    """Calculate the relative position of each example within its class, from 0 to 1.

    If examples are sorted by this position, the first fraction of them has about that fraction of
    each class.
    """
    by_class = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    first = np.cumsum(counts) - counts
    places = np.empty(len(labels))
    sorted_labels = labels[by_class]
    places[by_class] = (np.arange(len(labels)) - first[sorted_labels] + 0.5) / counts[sorted_labels]
    return places


def _weigh(
    spec: Spec,
    data: Data,
    rows: Rows | None,
    sample_weight: object,
    class_weight: object,
    classes: Names | None,
) -> Floats:
    """Multiply both weights of each example to train on, and divide by the mean of the products.

    The weights of held-out examples are ignored, and become 0: however large they are, they must
    not change the mean.
    """
    chosen = slice(None) if rows is None else rows
    weights = np.ones(data.rows if rows is None else len(rows))
    with np.errstate(under="ignore"):  # a weight that is tiny beside the largest may become 0
        if sample_weight is not None:
            weights = _to_size(arrays.weights("sample_weight", sample_weight, data.rows)[chosen])
        if class_weight is not None:
            if not spec.loss.has_classes:
                raise ArgumentError(f"class_weight needs classes, and {spec.loss.kind} has none")
            assert data.targets is not None
            labels = data.targets[chosen]
            factors = _of_classes(class_weight, labels, spec.outputs, classes)
            weights = _to_size(weights * factors[labels])
        if not weights.any():
            raise ArgumentError(
                "the weights of all examples to train on are 0: sample_weight and class_weight must"
                " leave at least one that is greater"
            )
        scaled = np.zeros(data.rows, np.float32)
        scaled[chosen] = weights / weights.mean()
    return scaled


def _to_size(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Divide weights by the largest, so that no product and no sum of them can overflow."""
    largest = weights.max()
    return weights / largest if largest > 0.0 else weights


def _of_classes(
    class_weight: object, labels: Targets, classes: int, names: Names | None
) -> npt.NDArray[np.float64]:
    """Check `class_weight`, by number or by name; return the weight of each class, (classes,)."""
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(labels, minlength=classes)
        weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1.0))
        return np.asarray(weights, np.float64)
    if not isinstance(class_weight, Mapping):
        raise ArgumentTypeError(
            "class_weight must be 'balanced' or a dict from class to weight, got"
            f" {checks.describe(class_weight)}"
        )
    weights = np.ones(classes)
    for label, weight in class_weight.items():
        if isinstance(label, str):
            if label not in (names or ()):
                known = f"among {class_names.shown(names)}" if names else "a number, without names"
                raise ArgumentError(
                    f"class_weight: a class must be {known}, got {checks.describe(label)}"
                )
            number = (names or ()).index(label)
        else:
            number = checks.integer("class_weight: a class", label, least=0, most=classes - 1)
        weights[number] = checks.real(f"class_weight[{label!r}]", weight, least=0.0)
    return weights
