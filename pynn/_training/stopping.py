"""When to stop: early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._training.history import EpochResult

Monitor = Literal["val_loss", "val_accuracy", "loss", "accuracy"]
_MONITORS = ("val_loss", "val_accuracy", "loss", "accuracy")


class EarlyStopping(Arguments):
    """End the training when a figure has not become better for some epochs.

    Args:
        patience: Epochs without a better one before the end, at least 1.
        monitor: The figure: "val_loss", "val_accuracy", "loss" or "accuracy".
        min_delta: By how much more than this a figure has to be better to count, at least 0.
        restore_best: Whether the model ends with the parameters of the best epoch.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> import pynn
        >>> pynn.EarlyStopping(patience=3)
        EarlyStopping(patience=3)
    """

    _optional: ClassVar[dict[str, Any]] = {
        "monitor": "val_loss",
        "min_delta": 0.0,
        "restore_best": True,
    }
    patience: int
    monitor: Monitor
    min_delta: float
    restore_best: bool

    def __init__(
        self,
        patience: int = 5,
        *,
        monitor: Monitor = "val_loss",
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        choice: object = monitor  # which may be anything
        if not isinstance(choice, str) or choice not in _MONITORS:
            raise ArgumentError(
                f"monitor must be one of {', '.join(map(repr, _MONITORS))}, got"
                f" {checks.describe(monitor)}"
            )
        if not isinstance(restore_best, bool):
            raise ArgumentTypeError(
                f"restore_best must be True or False, got {checks.describe(restore_best)}"
            )
        super().__init__(
            patience=checks.integer("patience", patience, least=1),
            monitor=monitor,
            min_delta=checks.real("min_delta", min_delta, least=0.0),
            restore_best=restore_best,
        )

    def _best_epoch(self, results: Sequence[EpochResult]) -> int:
        """The best of some epochs, from 1; 0 where there is none.

        Args:
            results: What `on_epoch` got, or a run's so far.
        """
        best, place = math.inf, 0
        for result in results:
            figure = getattr(result, self.monitor)
            cost = -figure if self.monitor.endswith("accuracy") else figure
            if cost < best - self.min_delta:
                best, place = cost, result.epoch
        return place

    def _is_over(self, results: Sequence[EpochResult]) -> bool:
        """Whether the training ends after these epochs.

        Args:
            results: What `on_epoch` got, or a run's so far.
        """
        return len(results) - self._best_epoch(results) >= self.patience

    def _check(self, *, has_validation: bool, has_accuracy: bool) -> None:
        """That a call of `fit` has the figure."""
        if self.monitor.startswith("val_") and not has_validation:
            raise ArgumentError(
                f"early_stopping watches {self.monitor}, so fit needs validation data, or a"
                " fraction such as validation=0.1"
            )
        if self.monitor.endswith("accuracy") and not has_accuracy:
            raise ArgumentError(
                f"early_stopping watches {self.monitor}, which regression does not have; watch"
                f" {self.monitor.replace('accuracy', 'loss')}"
            )


def to_dict(stopping: EarlyStopping | None) -> dict[str, Any] | None:
    """What a checkpoint keeps."""
    return None if stopping is None else dict(vars(stopping))


def from_dict(entry: Any) -> EarlyStopping | None:
    """What to_dict() was given; ValueError or TypeError if it is damaged."""
    return None if entry is None else EarlyStopping(**entry)
