"""What a model's outputs are worth: loss, accuracy, and the errors of a regression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from pynn._base import checks, vocabulary, words
from pynn._base.arrays import Doubles
from pynn._base.errors import OutOfMemoryError
from pynn._base.formulas import figure
from pynn._native.workspace import Sums


class _LossAndAccuracy(NamedTuple):
    loss: float
    accuracy: float


class Evaluation(_LossAndAccuracy):
    """Mean loss over a set of examples; with accuracy, or for regression with R2 and mean error.

    As a tuple it has two values, so that `loss, accuracy = model.evaluate(x, y)` works; the other
    two are attributes only.

    Args:
        loss: The mean loss.
        accuracy: With softmax_cross_entropy the share of examples whose class is predicted right.
            With binary_cross_entropy the share of right predictions over all examples and outputs.
            A regression has no accuracy: it is nan.
        r2: For regression, the coefficient of determination: 1 minus the sum of (t - y)^2 divided
            by the sum of (t - mean of t)^2, where t are the targets and y the predictions; with
            several outputs the mean of their values. 1 is perfect, and always to predict the mean
            gives 0. As in scikit-learn's r2_score, an output whose targets are all equal has 1 if
            all predictions are right and else 0, and a single example has nan. nan for
            classification.
        mean_absolute_error: For regression, the mean of abs(t - y) over examples and outputs, in
            the units of the targets. nan for classification.

    Weights of examples count in the loss alone.
    """

    r2: float
    mean_absolute_error: float

    def __new__(
        cls,
        loss: float,
        accuracy: float = math.nan,
        r2: float = math.nan,
        mean_absolute_error: float = math.nan,
    ) -> Evaluation:
        # Of two evaluations with the same nan, the tuples are equal; with another nan they are not.
        self = super().__new__(cls, loss, _same_nan(accuracy))
        self.r2, self.mean_absolute_error = _same_nan(r2), _same_nan(mean_absolute_error)
        return self

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            """Raise the error for an attribute that the evaluation does not have."""
            words.refuse(self, name, vocabulary.METRICS, vocabulary.OF_EVALUATIONS)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (*self, self.r2, self.mean_absolute_error)

    @classmethod
    def of(cls, sums: Sums, decisions: int, variances: Doubles | None = None) -> Evaluation:
        """Calculate means from sums over examples.

        Args:
            sums: The sums.
            decisions: How many decisions that are right or wrong the network makes for an example.
            variances: The variance of the targets of each output, if the sums have errors.
        """
        loss, accuracy = sums.mean(decisions)
        if sums.errors is None or variances is None:
            return cls(loss, accuracy)
        absolute, squares = sums.errors / sums.rows
        return cls(loss, accuracy, _r2(squares, variances, sums.rows), float(absolute.mean()))

    def _asdict(self) -> dict[str, Any]:
        """The figures by name: loss and accuracy, or loss, r2 and mean_absolute_error."""
        if not math.isnan(self.accuracy):
            return {"loss": self.loss, "accuracy": self.accuracy}
        return {"loss": self.loss, "r2": self.r2, "mean_absolute_error": self.mean_absolute_error}

    def _replace(self, **changes: Any) -> Evaluation:
        """A copy in which some figures are others."""
        return type(self)(**{**dict(zip(self._fields, self, strict=True)), **vars(self), **changes})

    def __eq__(self, other: object) -> bool:
        same = tuple.__eq__(self, other)
        return same and vars(self) == vars(other) if isinstance(other, Evaluation) else same

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__  # equal evaluations are equal tuples

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={figure(value)}" for name, value in self._asdict().items())
        return f"Evaluation({figures})"

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        from pynn._training import shown  # here, because only notebooks need it

        return shown.evaluation(self)


def _same_nan(value: float) -> float:
    return math.nan if math.isnan(value) else value


def _r2(squares: Doubles, variances: Doubles, rows: int) -> float:
    """The mean coefficient of determination of the outputs.

    Args:
        squares: The mean squared error of each output.
        variances: The variance of the targets of each output.
        rows: The number of examples.
    """
    if rows < 2:
        return math.nan
    constant = variances == 0.0
    ratios = squares / np.where(constant, 1.0, variances)
    return float(np.where(constant, squares == 0.0, 1.0 - ratios).mean())


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
    classes: tuple[str, ...] | None = None
    """The names of the classes, if the model has them."""

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
        names = self._shown_names()
        width = max(5, *map(len, names))
        lines = [
            f"ClassEvaluation(loss={figure(self.loss)}, accuracy={self.accuracy:.4f})",
            f"{'class':>{width}}{'precision':>11}{'recall':>9}{'f1':>9}{'support':>10}",
        ]
        for label, name in enumerate(names):
            lines.append(
                f"{name:>{width}}{self.precision[label]:>11.4f}{self.recall[label]:>9.4f}"
                f"{self.f1[label]:>9.4f}{self.support[label]:>10,}"
            )
        return "\n".join(lines)

    def _shown_names(self) -> list[str]:
        """The names of the classes for a table; their numbers if they have none."""
        if self.classes is None:
            return list(map(str, range(len(self.support))))
        return [checks.printable(name, 30) for name in self.classes]

    def _repr_html_(self) -> str:
        """Show tables in a notebook."""
        from pynn._training import shown  # here, because only notebooks need it

        return shown.classes(self)
