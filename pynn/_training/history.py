"""The results of training: of an epoch, and of all of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pynn._base import checks, vocabulary, words
from pynn._base.atomic import write_atomically
from pynn._base.formulas import figure
from pynn._training.evaluation import ClassEvaluation, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

__all__ = ["ClassEvaluation", "EpochResult", "Evaluation", "History", "Progress"]

CLASSIFICATION = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
REGRESSION = (
    "loss",
    "r2",
    "mean_absolute_error",
    "val_loss",
    "val_r2",
    "val_mean_absolute_error",
    "seconds",
)
"""The metrics of an epoch in the order in which they are shown."""


class Progress(NamedTuple):
    """The progress of a running epoch."""

    epoch: int
    """The number of the running epoch, from 1."""
    epochs: int
    """The number of epochs that `fit` was asked for."""
    step: int
    """The number of steps done in this epoch."""
    steps: int
    """The number of steps in an epoch; those so far in the first one on batches that have no
    length."""
    loss: float
    """The mean loss over the examples of this epoch so far."""
    accuracy: float
    """The accuracy over the examples of this epoch so far; nan for regression."""
    r2: float = math.nan
    """For regression, R2 over the examples of this epoch so far, with the variance of all targets;
    nan for classification."""
    mean_absolute_error: float = math.nan
    """For regression, the mean absolute error over the examples of this epoch so far; nan for
    classification."""


class EpochResult(NamedTuple):
    """The metrics of one epoch.

    loss, accuracy, r2 and mean_absolute_error are those of the examples of the epoch; those of each
    batch are measured before the update that it makes. Those whose names begin with val_ are
    measured on the validation data after the epoch; without validation data they are None.
    `Evaluation` explains the metrics. Accuracies are nan for regression; the other two are nan for
    classification.
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
    r2: float = math.nan
    mean_absolute_error: float = math.nan
    val_r2: float | None = None
    val_mean_absolute_error: float | None = None


@words.corrected
class History:
    """A list for each metric, with one entry for each epoch; `EpochResult` explains the metrics.

    The lists whose names begin with val_ stay empty if `fit` was given no validation data.
    accuracy and val_accuracy stay empty for regression; r2, mean_absolute_error and their
    validation stay empty for classification.
    """

    def __init__(
        self,
        loss: list[float] | None = None,
        accuracy: list[float] | None = None,
        val_loss: list[float] | None = None,
        val_accuracy: list[float] | None = None,
        seconds: list[float] | None = None,
        r2: list[float] | None = None,
        mean_absolute_error: list[float] | None = None,
        val_r2: list[float] | None = None,
        val_mean_absolute_error: list[float] | None = None,
        ended: str = "",
    ) -> None:
        self.loss = loss or []
        self.accuracy = accuracy or []
        self.val_loss = val_loss or []
        self.val_accuracy = val_accuracy or []
        self.seconds = seconds or []
        self.r2 = r2 or []
        self.mean_absolute_error = mean_absolute_error or []
        self.val_r2 = val_r2 or []
        self.val_mean_absolute_error = val_mean_absolute_error or []
        self.ended = ended
        """Why LBFGS ended before the epochs were done, such as "converged: ..."; or empty."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled history; those of older versions have fewer metrics."""
        self.__init__(**state)  # type: ignore[misc]

    @classmethod
    def of(cls, results: Iterable[EpochResult], ended: str = "") -> History:
        """Make a history from the results of some epochs."""
        history = cls(ended=ended)
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
        # An epoch that an older version trained has no r2, but keeps its place in the list.
        metrics = CLASSIFICATION if not math.isnan(result.accuracy) else REGRESSION
        for name in metrics:
            if (value := getattr(result, name)) is not None:
                getattr(self, name).append(value)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file with one line for each epoch.

        The columns are epoch,loss,accuracy,val_loss,val_accuracy,seconds; for regression r2 and
        mean_absolute_error stand in the place of accuracy. Epochs count from 1. A metric that was
        not measured is left empty. Numbers have enough digits to be read back exactly. A crash
        leaves the old file or the new one.

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
        names = self._metrics()
        rows = zip_longest(*(getattr(self, name) for name in names))
        lines = [",".join(("epoch", *names))]
        for epoch, row in enumerate(rows, start=1):
            cells = ("" if _is_missing(value) else repr(float(value)) for value in row)
            lines.append(",".join((str(epoch), *cells)))
        write_atomically(path, "".join(f"{line}\n" for line in lines).encode())

    def to_dict(self) -> dict[str, list[float]]:
        """Return the metrics that were measured, by name, each with one entry for each epoch.

        "epoch" is their number, from 1.

        Examples:
            >>> import pynn
            >>> pynn.History(loss=[0.5, 0.25], r2=[0.1, 0.6]).to_dict()
            {'epoch': [1, 2], 'loss': [0.5, 0.25], 'r2': [0.1, 0.6]}
        """
        metrics = {name: list(getattr(self, name)) for name in self._metrics()}
        measured = {name: values for name, values in metrics.items() if values}
        return {"epoch": list(range(1, self.epochs + 1)), **measured}

    def to_frame(self) -> DataFrame:
        """Return the metrics that were measured as a pandas DataFrame, with a row for each epoch.

        Its index is the number of the epoch, from 1.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ModuleNotFoundError as error:
            if error.name != "pandas":
                raise
            raise ImportError(
                "to_frame needs pandas, which is not installed: pip install pandas; or use"
                " to_dict, which gives the same columns as lists"
            ) from None
        return DataFrame(self.to_dict()).set_index("epoch")

    def _metrics(self) -> tuple[str, ...]:
        """The names of the metrics that such a training has."""
        return REGRESSION if self.r2 or self.mean_absolute_error else CLASSIFICATION

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        ax: Axes | Sequence[Axes] | None = None,
    ) -> Figure:
        """Draw loss and accuracy, or R2, over the epochs, as `pynn.plots.history` does.

        Args:
            path: A file to write the picture to; the end of its name, such as ".png", decides the
                format.
            ax: Axes of matplotlib to draw into, instead of a new figure: one for the loss, or a
                list of two, for the loss and the other metric.

        Returns:
            The matplotlib figure. A notebook shows it if it is the last expression of a cell.

        Raises:
            ArgumentTypeError: `path` is not a path.
            ArgumentError: There are no epochs, or matplotlib cannot write this format.
            ImportError: matplotlib is not installed.
            OSError: The file cannot be written.
        """
        from pynn import plots  # here, because plots imports this module

        return plots.history(self, path, ax=ax)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            """Raise the error for an attribute that the history does not have."""
            words.refuse(self, name, vocabulary.METRICS, vocabulary.OF_HISTORIES)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # a history is mutable

    def __repr__(self) -> str:
        if self.epochs == 0:
            return "History(0 epochs)"
        metrics = {name: getattr(self, name) for name in self._metrics() if name != "seconds"}
        parts = [f"{name}={figure(values[-1])}" for name, values in metrics.items() if values]
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        return f"History({epochs} in {sum(self.seconds):.2f} s; last: {', '.join(parts)})"

    def _repr_html_(self) -> str:
        """Show curves and a table in a notebook."""
        from pynn._training import shown  # here, because only notebooks need it

        return shown.history(self)


def _is_missing(value: float | None) -> bool:
    """Whether a metric of an epoch was not measured."""
    return value is None or math.isnan(value)
