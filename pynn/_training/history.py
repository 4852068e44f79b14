"""The results of training and evaluation."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks, words
from pynn._base.atomic import write_atomically
from pynn._base.errors import OutOfMemoryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Evaluation(NamedTuple):
    """Mean loss and accuracy over a set of examples.

    With softmax_cross_entropy, accuracy is the share of examples whose class is predicted right.
    With binary_cross_entropy, it is the share of right predictions over all examples and outputs.
    With mean_squared_error or poisson there is no accuracy, and it is nan.
    """

    loss: float
    accuracy: float

    def __repr__(self) -> str:
        return f"Evaluation(loss={self.loss:.4f}, accuracy={self.accuracy:.4f})"


class ClassEvaluation(NamedTuple):
    """An `Evaluation` with metrics for each class.

    A metric is 0 where its formula would divide by zero, as for a class that never occurs.
    """

    loss: float
    accuracy: float
    confusion: npt.NDArray[np.intp]
    """Shape (classes, classes): [i, j] counts the examples of class i that were predicted as j."""
    precision: npt.NDArray[np.float64]
    """Shape (classes,): of the examples predicted as this class, the share that belongs to it."""
    recall: npt.NDArray[np.float64]
    """Shape (classes,): of the examples of this class, the share that was predicted as it."""
    f1: npt.NDArray[np.float64]
    """Shape (classes,): 2 precision recall / (precision + recall)."""
    support: npt.NDArray[np.intp]
    """Shape (classes,): the number of examples of this class."""

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        labels: npt.NDArray[Any],
        predicted: npt.NDArray[Any],
        classes: int,
    ) -> ClassEvaluation:
        """Calculate the metrics of each class.

        Args:
            evaluation: The loss and accuracy of the examples.
            labels: The class of each example, shape (n,), integers below `classes`.
            predicted: The predicted class of each example, likewise.
            classes: The number of classes.

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
        np.add.at(confusion, (labels, predicted), 1)
        # Count from the labels, not from the matrix. Most of a large matrix is zeros, for which
        # the system provides memory only when they are used.
        right = np.bincount(labels[labels == predicted], minlength=classes)
        support = np.bincount(labels, minlength=classes)
        predictions = np.bincount(predicted, minlength=classes)
        precision = right / np.maximum(predictions, 1)
        recall = right / np.maximum(support, 1)
        f1 = 2.0 * right / np.maximum(support + predictions, 1)
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
    """The progress of a running epoch."""

    epoch: int
    """The number of the running epoch, from 1."""
    epochs: int
    """The number of epochs that `fit` was asked for."""
    step: int
    """The number of steps done in this epoch."""
    steps: int
    """The number of steps in an epoch."""
    loss: float
    """The mean loss over the examples of this epoch so far."""
    accuracy: float
    """The accuracy over the examples of this epoch so far; nan for regression."""


class EpochResult(NamedTuple):
    """The metrics of one epoch.

    loss and accuracy are means over the examples of the epoch; those of each batch are measured
    before the update that it makes. val_loss and val_accuracy are measured on the validation data
    after the epoch; without validation data they are None. Accuracies are nan for regression.
    """

    epoch: int
    """The number of the epoch, from 1."""
    epochs: int
    """The number of epochs that `fit` was asked for."""
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    """The wall time of the epoch's steps in seconds, without validation and callbacks."""


@words.corrected
class History:
    """A list for each metric, with one entry for each epoch; `EpochResult` explains the metrics.

    val_loss and val_accuracy stay empty if `fit` was given no validation data. accuracy and
    val_accuracy stay empty for regression.
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
        """Make a history from the results of some epochs."""
        history = cls()
        for result in results:
            history.append(result)
        return history

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return len(self.loss)

    def append(self, result: EpochResult) -> None:
        """Add the metrics of an epoch.

        Args:
            result: The result of the epoch, as `on_epoch` receives it.
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
        """Write a CSV file with one line for each epoch.

        The columns are epoch,loss,accuracy,val_loss,val_accuracy,seconds. Epochs count from 1. A
        metric that was not measured is left empty. Numbers have enough digits to be read back
        exactly. A crash leaves the old file or the new one.

        Args:
            path: The file to write; by custom its name ends in ".csv".

        Raises:
            ArgumentTypeError: `path` is not a path.
            OSError: The file cannot be written.

        Examples:
            >>> import pathlib, pynn
            >>> pynn.History(loss=[0.5, 0.25], accuracy=[0.75, 1.0]).to_csv("run.csv")
            >>> print(pathlib.Path("run.csv").read_text(), end="")
            epoch,loss,accuracy,val_loss,val_accuracy,seconds
            1,0.5,0.75,,,
            2,0.25,1.0,,,
        """
        checks.path("path", path)
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
        rows = zip_longest(*(getattr(self, name) for name in names))
        lines = [",".join(("epoch", *names))]
        for epoch, row in enumerate(rows, start=1):
            cells = ("" if value is None else repr(float(value)) for value in row)
            lines.append(",".join((str(epoch), *cells)))
        write_atomically(path, "".join(f"{line}\n" for line in lines).encode())

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw loss and accuracy over the epochs, as `pynn.plots.history` does.

        Args:
            path: A file to write the picture to; the end of its name, such as ".png", decides the
                format.

        Returns:
            The matplotlib figure. A notebook shows it if it is the last expression of a cell.

        Raises:
            ArgumentTypeError: `path` is not a path.
            ArgumentError: There are no epochs, or matplotlib cannot write this format.
            ImportError: matplotlib is not installed.
            OSError: The file cannot be written.
        """
        from pynn import plots  # here, because plots imports this module

        return plots.history(self, path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # a history is mutable

    def __repr__(self) -> str:
        if self.epochs == 0:
            return "History(0 epochs)"
        metrics = {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "val_loss": self.val_loss,
            "val_accuracy": self.val_accuracy,
        }
        parts = [f"{name}={values[-1]:.4f}" for name, values in metrics.items() if values]
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        return f"History({epochs} in {sum(self.seconds):.2f} s; last: {', '.join(parts)})"
