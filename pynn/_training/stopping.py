"""Early stopping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._training.history import EpochResult

Monitor = Literal[
    "val_loss",
    "val_accuracy",
    "val_r2",
    "val_mean_absolute_error",
    "loss",
    "accuracy",
    "r2",
    "mean_absolute_error",
]
_MONITORS = get_args(Monitor)
_LARGER_IS_BETTER = ("accuracy", "r2")


class EarlyStopping(Arguments):
    """End the training when a metric has not improved for some epochs.

    Args:
        patience: The number of epochs without improvement after which to end, at least 1.
        monitor: The metric to watch: "val_loss", "val_accuracy" or, for regression, "val_r2" or
            "val_mean_absolute_error"; or one of these on the examples of training, without "val_".
        min_delta: At least 0; a smaller change than this, or an equal one, is no improvement.
        restore_best: Whether the model gets the parameters of the best epoch at the end.

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
        choice: object = monitor  # the caller may pass any type, whatever the annotation says
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
        """Find the number of the best epoch, from 1; 0 if there is none.

        Args:
            results: The results of all epochs so far.
        """
        best, place = math.inf, 0
        for result in results:
            value = getattr(result, self.monitor)
            cost = -value if self.monitor.endswith(_LARGER_IS_BETTER) else value
            if cost < best - self.min_delta:
                best, place = cost, result.epoch
        return place

    def _is_over(self, results: Sequence[EpochResult]) -> bool:
        """Tell whether the training ends after these epochs.

        Args:
            results: The results of all epochs so far.
        """
        return len(results) - self._best_epoch(results) >= self.patience

    def _check(self, *, has_validation: bool, has_accuracy: bool, has_errors: bool) -> None:
        """Check that a call of `fit` will have the metric."""
        if self.monitor.startswith("val_") and not has_validation:
            raise ArgumentError(
                f"early_stopping watches {self.monitor}, so fit needs validation data, or a"
                " fraction such as validation=0.1"
            )
        name = self.monitor.removeprefix("val_")
        prefix = self.monitor.removesuffix(name)
        if name == "accuracy" and not has_accuracy:
            raise ArgumentError(
                f"early_stopping watches {self.monitor}, which regression does not have; watch"
                f" {prefix}loss or {prefix}r2"
            )
        if name in ("r2", "mean_absolute_error") and not has_errors:
            raise ArgumentError(
                f"early_stopping watches {self.monitor}, which only regression has; watch"
                f" {prefix}loss or {prefix}accuracy"
            )


def to_dict(stopping: EarlyStopping | None) -> dict[str, Any] | None:
    """Convert early stopping to plain values for a checkpoint."""
    return None if stopping is None else dict(vars(stopping))


def from_dict(entry: Any) -> EarlyStopping | None:
    """Make what to_dict() converted; raise a ValueError or TypeError if the entry is damaged."""
    return None if entry is None else EarlyStopping(**entry)
