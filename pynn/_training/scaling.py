"""Finding the mean and the scale of features and targets, for a model that standardizes them.

The statistics are those of the examples that a call trains on, each of which counts once, whatever
its weight; held-out examples do not count. They are computed in float64, a part of the examples at
a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles, Features, Targets
from pynn._base.checks import LEAST_NORMAL, MAX_FLOAT32
from pynn._base.errors import ArgumentError
from pynn._native.data import Data
from pynn._network.layers.standardize import Standardize
from pynn._network.parameters import scales
from pynn._training.engine import Engine
from pynn._training.faults import CORRECT

Rows = npt.NDArray[np.uint32] | None
Numbers = Features | Targets

PART = 1 << 18
"""How many values are looked at together."""
MIDDLE_HALF = 1.3489795003921634
"""The range from the first to the third quartile of a normal distribution with deviation 1."""


def fit(engine: Engine, data: Data, rows: Rows = None) -> None:
    """Give a model that standardizes features or targets their mean and scale, if it lacks them.

    Args:
        engine: The engine of the model; the caller holds its `fit_lock`.
        data: The examples.
        rows: The rows to train on; None for all.

    Raises:
        ArgumentError: A feature is infinite; or it is NaN, and must not be missing.
    """
    layer, found = engine.spec.layers[0], []
    for mean, scale in scales(engine.spec):
        if scale.of(engine.parameters).all():
            continue
        if mean.layer > 0:
            assert data.targets is not None
            statistics = moments(data.targets, rows)
        else:
            _check(data, rows)
            features = data.features.reshape(data.rows, -1)[:, layer.scaled_features]
            robust = isinstance(layer, Standardize) and layer.robust
            statistics = quartiles(features, rows) if robust else moments(features, rows)
        found.append((mean, scale, statistics))
    with engine.lock:
        for mean, scale, (center, width) in found:
            # The scale last: it tells that there are both, if Ctrl-C comes between the two.
            mean.of(engine.parameters)[...] = center
            scale.of(engine.parameters)[...] = width


def _check(data: Data, rows: Rows) -> None:
    """Raise an ArgumentError for the first feature that is not a number."""
    bad = data.find_not_finite(rows)
    if bad is not None:
        hint = "; .standardize(missing='mean') takes NaN as a missing value"
        raise ArgumentError(f"{bad[1]}: {CORRECT}{hint if ' nan ' in bad[1] else ''}")


def _parts(features: Numbers, rows: Rows) -> Iterator[Doubles]:
    """The examples in float64, some at a time; uint8 values as the model reads them."""
    count = max(1, PART // features.shape[1])
    for begin in range(0, len(features) if rows is None else len(rows), count):
        chosen = slice(begin, begin + count) if rows is None else rows[begin : begin + count]
        yield _values(features[chosen])


def _values(features: Numbers) -> Doubles:
    """Features in float64, as the model reads them."""
    values = features.astype(np.float64)
    return values / 255.0 if features.dtype == np.uint8 else values


def moments(features: Numbers, rows: Rows = None) -> tuple[Doubles, Doubles]:
    """The mean and the scale of each feature: its standard deviation; NaN is left out.

    Those of two parts with counts n and k, means a and b and sums of squared distances from these
    are combined: the mean is a + (b - a) k / (n + k), and the sum of squares that of both parts
    + (b - a)^2 n k / (n + k) (Chan, Golub and LeVeque 1983).
    """
    width = features.shape[1]
    count, mean, squares = np.zeros(width), np.zeros(width), np.zeros(width)
    least, most = np.full(width, np.inf), np.full(width, -np.inf)
    for values in _parts(features, rows):
        there = ~np.isnan(values)
        own = there.sum(axis=0)
        share = np.maximum(own, 1)
        part = np.where(there, values, 0.0).sum(axis=0) / share
        apart = np.where(there, values - part, 0.0)
        total = np.maximum(count + own, 1)
        step = part - mean
        squares += (apart**2).sum(axis=0) + step**2 * count * own / total
        mean += np.where(own > 0, step * own / total, 0.0)
        count += own
        least = np.fmin(least, np.fmin.reduce(values, axis=0))
        most = np.fmax(most, np.fmax.reduce(values, axis=0))
    deviation = np.sqrt(squares / np.maximum(count, 1))
    return _fitting(mean, np.where(least < most, deviation, 0.0))


def quartiles(features: Features, rows: Rows = None) -> tuple[Doubles, Doubles]:
    """The median and the scale of each feature: its middle half, as that of a normal distribution.

    NaN is left out. Where the middle half are equal, the scale is the standard deviation.
    """
    width = features.shape[1]
    center, scale = np.zeros(width), np.zeros(width)
    chosen = slice(None) if rows is None else rows
    for column in range(width):
        values = _values(features[:, column][chosen])
        values = values[~np.isnan(values)]
        if len(values) == 0:
            continue
        first, center[column], third = np.quantile(values, [0.25, 0.5, 0.75])
        scale[column] = (third - first) / MIDDLE_HALF
        if third == first and values.min() < values.max():
            scale[column] = values.std()
    return _fitting(center, scale)


def _fitting(mean: Doubles, scale: Doubles) -> tuple[Doubles, Doubles]:
    """The same as float32 can hold them; a scale of 0, or nearly so, becomes 1."""
    scale = np.where(scale < LEAST_NORMAL, 1.0, scale)
    return mean, np.minimum(scale, MAX_FLOAT32)
