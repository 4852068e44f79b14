"""Arrays of examples, prepared for calls of C."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import statistics
from pynn._base.arrays import Doubles, Features, Floats, Targets
from pynn._native.library import ffi, floats, lib

_UINT8, _FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)


class Data:
    """Examples that C may read while this object lives. C gets pointers into the arrays, no copies.

    All arrays must be contiguous.

    Args:
        features: Shape (rows, ...), with as many values a row as the network has inputs; uint8 or
            float32, aligned.
        targets: Class labels, shape (rows,), int32; or target values, shape (rows, outputs),
            float32; or None.
        weights: The weights of the examples, shape (rows,), float32; None if all are 1.
    """

    takes_missing = False
    """Whether NaN may stand for a missing feature, for find_not_finite()."""

    def __init__(
        self, features: Features, targets: Targets | None = None, weights: Floats | None = None
    ) -> None:
        flags, dtype = features.flags, features.dtype
        assert flags.c_contiguous and flags.aligned and dtype in (_UINT8, _FLOAT32)
        self.rows = len(features)
        self.features = features
        self._features = ffi.from_buffer(features)
        self.targets = targets
        self.weights = weights
        self._augmentation: Any = None
        self._changing_epochs: int | None = None
        kind = lib.PYNN_FEATURES_UINT8 if dtype == _UINT8 else lib.PYNN_FEATURES_FLOAT32
        # The other members are zero: the pointers are NULL, the path is PYNN_PATH_AUTO.
        self.handle = ffi.new("pynn_data *", (self._features, kind, self.rows))
        if targets is not None:
            self._lend_targets(targets)
        if weights is not None:
            assert weights.shape == (self.rows,)
            self._weights = self.handle.weights = floats(weights, self.rows)

    def augmented(
        self,
        shape: tuple[int, int, int],
        options: dict[str, float],
        seed: int,
        epochs: int | None = None,
    ) -> Data:
        """The same examples, changed at random whenever C reads them; begin_epoch() begins anew.

        Args:
            shape: (channels, height, width) of an image.
            options: The fields of pynn_augmentation, but for these two.
            seed: The seed of the random numbers.
            epochs: How many epochs change images; None means all.
        """
        data = Data(self.features, self.targets, self.weights)
        data.takes_missing = self.takes_missing
        values = {"shape": shape, "seed": seed, **options}
        data._augmentation = data.handle.augmentation = ffi.new("pynn_augmentation *", values)
        data._changing_epochs = epochs
        return data

    def begin_epoch(self, epoch: int) -> None:
        """Draw other changes from here on, if there are any."""
        if self._augmentation is not None:
            self._augmentation.epoch = epoch
            is_over = self._changing_epochs is not None and epoch >= self._changing_epochs
            self.handle.augmentation = ffi.NULL if is_over else self._augmentation

    def _lend_targets(self, targets: Targets) -> None:
        """Point C's labels or targets to the array, by its dtype."""
        assert targets.flags.c_contiguous and len(targets) == self.rows
        if targets.dtype == np.int32:
            self._targets = self.handle.labels = ffi.from_buffer("int32_t[]", targets)
        else:
            assert targets.dtype == _FLOAT32 and targets.ndim == 2
            self._targets = self.handle.targets = ffi.from_buffer("float[]", targets)

    @cached_property
    def variances(self) -> Doubles:
        """The variance of the targets of each output, shape (outputs,)."""
        assert self.targets is not None
        return statistics.variances(self.targets)

    def find_not_finite(self, rows: npt.NDArray[Any] | None = None) -> tuple[int, str] | None:
        """Find the first row with a feature that is not finite, among some rows or all.

        A feature that may be missing may be NaN.

        Returns:
            The row's index in `rows`, and the value and its place in words; or None if all are
            finite.
        """
        if self.features.dtype == _UINT8:
            return None
        indices = np.arange(self.rows) if rows is None else rows
        for begin in range(0, len(indices), 1024):
            some = indices[begin : begin + 1024]
            values = self.features[some].reshape(len(some), -1)
            wrong = np.isinf(values) if self.takes_missing else ~np.isfinite(values)
            for row, column in np.argwhere(wrong):
                value = values[row, column]
                words = f"features[{some[row]}] holds {value} (feature {column})"
                return begin + int(row), words
        return None
