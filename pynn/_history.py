"""What training and evaluation report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Evaluation(NamedTuple):
    """Mean loss and accuracy over a set of examples."""

    loss: float
    accuracy: float

    def __repr__(self) -> str:
        return f"Evaluation(loss={self.loss:.4f}, accuracy={self.accuracy:.4f})"


class Progress(NamedTuple):
    """Where a running epoch stands; loss and accuracy are means over its steps so far."""

    epoch: int
    """The epoch that runs, from 1."""
    epochs: int
    """The epochs that `fit` was asked for."""
    step: int
    """Steps done in this epoch."""
    steps: int
    """Steps in an epoch."""
    loss: float
    accuracy: float


class EpochResult(NamedTuple):
    """What one epoch gave.

    loss and accuracy are means over the epoch's examples, each as it was before its batch's update;
    val_loss and val_accuracy are those of the validation data after the epoch, or None without any.
    """

    epoch: int
    """The epoch, from 1."""
    epochs: int
    """The epochs that `fit` was asked for."""
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    """Wall time of the epoch's steps, without validation and callbacks."""


class History:
    """One list for each figure, with one entry an epoch; see `EpochResult` for their meaning.

    val_loss and val_accuracy stay empty where `fit` was given no validation data.
    """

    def __init__(
        self,
        loss: list[float] | None = None,
        accuracy: list[float] | None = None,
        val_loss: list[float] | None = None,
        val_accuracy: list[float] | None = None,
        seconds: list[float] | None = None,
    ) -> None:
        self.loss = loss or []
        self.accuracy = accuracy or []
        self.val_loss = val_loss or []
        self.val_accuracy = val_accuracy or []
        self.seconds = seconds or []

    @classmethod
    def of(cls, results: Iterable[EpochResult]) -> History:
        """The figures of some epochs."""
        history = cls()
        for result in results:
            history.append(result)
        return history

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return len(self.loss)

    def append(self, result: EpochResult) -> None:
        """Add an epoch's figures.

        Args:
            result: The epoch's, as `on_epoch` got it.
        """
        self.loss.append(result.loss)
        self.accuracy.append(result.accuracy)
        self.seconds.append(result.seconds)
        if result.val_loss is not None and result.val_accuracy is not None:
            self.val_loss.append(result.val_loss)
            self.val_accuracy.append(result.val_accuracy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        if self.epochs == 0:
            return "History(0 epochs)"
        parts = [f"loss={self.loss[-1]:.4f}", f"accuracy={self.accuracy[-1]:.4f}"]
        if self.val_loss:
            parts += [
                f"val_loss={self.val_loss[-1]:.4f}",
                f"val_accuracy={self.val_accuracy[-1]:.4f}",
            ]
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        return f"History({epochs} in {sum(self.seconds):.2f} s; last: {', '.join(parts)})"
