"""What training and evaluation report."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.errors import OutOfMemoryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Evaluation(NamedTuple):
    """Mean loss and accuracy over a set of examples.

    accuracy is the share of right classes; with binary_cross_entropy of right answers, one for each
    output; with mean_squared_error, which has none, nan.
    """

    loss: float
    accuracy: float

    def __repr__(self) -> str:
        return f"Evaluation(loss={self.loss:.4f}, accuracy={self.accuracy:.4f})"


class ClassEvaluation(NamedTuple):
    """An `Evaluation` with the figures of each class.

    A figure that would divide by zero, as of a class that never occurs, is 0.
    """

    loss: float
    accuracy: float
    confusion: npt.NDArray[np.intp]
    """Shape (classes, classes): [i, j] counts examples of class i that were taken for j."""
    precision: npt.NDArray[np.float64]
    """Shape (classes,): of the examples that were taken for a class, how many are of it."""
    recall: npt.NDArray[np.float64]
    """Shape (classes,): of the examples of a class, how many were found."""
    f1: npt.NDArray[np.float64]
    """Shape (classes,): 2 precision recall / (precision + recall)."""
    support: npt.NDArray[np.intp]
    """Shape (classes,): the examples of a class."""

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        labels: npt.NDArray[Any],
        answers: npt.NDArray[Any],
        classes: int,
    ) -> ClassEvaluation:
        """The figures of some examples.

        Args:
            evaluation: Their loss and accuracy.
            labels: The class of each, shape (n,), integers below `classes`.
            answers: What each was taken for, likewise.
            classes: How many there are.

        Raises:
            OutOfMemoryError: There is no memory for the confusion matrix.
        """
        try:
            confusion = np.zeros((classes, classes), np.intp)
        except (MemoryError, ValueError):  # ValueError: more bytes than can be addressed
            raise OutOfMemoryError(
                f"out of memory for the confusion matrix of {classes:,} classes, {classes**2:,}"
                " counts; evaluate without per_class"
            ) from None
        np.add.at(confusion, (labels, answers), 1)
        # Not from the matrix: where that is large it is mostly memory that was never touched.
        right = np.bincount(labels[labels == answers], minlength=classes)
        support = np.bincount(labels, minlength=classes)
        taken = np.bincount(answers, minlength=classes)
        precision = right / np.maximum(taken, 1)
        recall = right / np.maximum(support, 1)
        f1 = 2.0 * right / np.maximum(support + taken, 1)
        return cls(*evaluation, confusion, precision, recall, f1, support)

    def __repr__(self) -> str:
        lines = [
            f"ClassEvaluation(loss={self.loss:.4f}, accuracy={self.accuracy:.4f})",
            f"{'class':>5}{'precision':>11}{'recall':>9}{'f1':>9}{'support':>10}",
        ]
        for label in range(len(self.support)):
            lines.append(
                f"{label:>5}{self.precision[label]:>11.4f}{self.recall[label]:>9.4f}"
                f"{self.f1[label]:>9.4f}{self.support[label]:>10,}"
            )
        return "\n".join(lines)


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

    val_loss and val_accuracy stay empty where `fit` was given no validation data, accuracy and
    val_accuracy for regression.
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
        self.seconds.append(result.seconds)
        if result.val_loss is not None:
            self.val_loss.append(result.val_loss)
        if not math.isnan(result.accuracy):
            self.accuracy.append(result.accuracy)
            if result.val_accuracy is not None:
                self.val_accuracy.append(result.val_accuracy)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table: epoch,loss,accuracy,val_loss,val_accuracy,seconds, one line an epoch.

        Epochs count from 1; what was not measured is left empty. Numbers have all the digits that
        it takes to read the same ones back. A crash leaves the old file or the new one.

        Args:
            path: The file; by custom its name ends in ".csv".

        Raises:
            ArgumentTypeError: It is not a path.
            OSError: The file cannot be written.

        Examples:
            >>> import pathlib, pynn
            >>> pynn.History(loss=[0.5, 0.25], accuracy=[0.75, 1.0]).to_csv("run.csv")
            >>> print(pathlib.Path("run.csv").read_text(), end="")
            epoch,loss,accuracy,val_loss,val_accuracy,seconds
            1,0.5,0.75,,,
            2,0.25,1.0,,,
        """
        from pynn._base.atomic import write_atomically

        checks.path("path", path)
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
        rows = zip_longest(*(getattr(self, name) for name in names))
        lines = [",".join(("epoch", *names))]
        for epoch, row in enumerate(rows, start=1):
            cells = ("" if value is None else repr(float(value)) for value in row)
            lines.append(",".join((str(epoch), *cells)))
        write_atomically(path, "".join(f"{line}\n" for line in lines).encode())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw loss and accuracy over the epochs; `pynn.plots.history` is this function.

        Args:
            path: A file to write the picture to, in the format that its name ends in.

        Returns:
            The figure, of matplotlib. A notebook shows it where it is the last line of a cell.

        Raises:
            ArgumentTypeError: It is not a path.
            ArgumentError: There are no epochs, or matplotlib does not write such files.
            ImportError: matplotlib is not installed.
            OSError: The file cannot be written.
        """
        from pynn import plots

        return plots.history(self, path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        if self.epochs == 0:
            return "History(0 epochs)"
        figures = {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "val_loss": self.val_loss,
            "val_accuracy": self.val_accuracy,
        }
        parts = [f"{name}={figure[-1]:.4f}" for name, figure in figures.items() if figure]
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        return f"History({epochs} in {sum(self.seconds):.2f} s; last: {', '.join(parts)})"
