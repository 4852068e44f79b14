"""The methods of a model that use it: evaluate, predict, and calculate outputs."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from pynn._base import words
from pynn._base.arrays import Floats
from pynn._base.columns import Table
from pynn._base.errors import ArgumentError, ChainError
from pynn._model.base import ModelBase
from pynn._native.library import NotFinite
from pynn._training.evaluation import ClassEvaluation, Evaluation
from pynn._training.faults import explain_use


@words.corrected
class PredictingModel(ModelBase):
    """A model as a function from features to outputs."""

    @overload
    def evaluate(
        self,
        features: Table,
        labels: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = ...,
        per_class: Literal[False] = ...,
    ) -> Evaluation: ...

    @overload
    def evaluate(
        self,
        features: Table,
        labels: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = ...,
        per_class: Literal[True],
    ) -> ClassEvaluation: ...

    def evaluate(
        self,
        features: Table,
        labels: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = None,
        per_class: bool = False,
    ) -> Evaluation | ClassEvaluation:
        """Calculate mean loss over examples, and accuracy or, for regression, R2 and mean error.

        Args:
            features: As for `fit`.
            labels: As for `fit`.
            sample_weight: As for `fit`; the weights apply to the loss alone.
            per_class: Whether to return the confusion matrix and metrics of each class as well;
                only with softmax_cross_entropy.

        Returns:
            An `Evaluation`, or a `ClassEvaluation`. Both can be unpacked as `loss, accuracy, ...`;
            r2 and mean_absolute_error of a regression are attributes of the `Evaluation`.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape, or holds NaN or infinity.
            DivergenceError: The loss is not finite, because the parameters are not.
            OutOfMemoryError: There is no memory for the confusion matrix.
            ClosedError: The model is closed.
        """
        classes = self._engine.classes
        data = self._examples(features, labels, sample_weight, learning=False).data
        if per_class and not self._spec.loss.has_classes:
            raise ArgumentError(f"per_class needs classes, and {self._spec.loss.kind} has none")
        try:
            evaluation = self._engine.evaluate(data)
        except NotFinite:
            raise explain_use("the loss", data) from None
        if not per_class:
            return evaluation
        assert data.targets is not None
        predicted = self._engine.predict(data.features, probabilities=False).argmax(axis=1)
        found = ClassEvaluation.of(evaluation, data.targets, predicted, self._spec.outputs)
        return found._replace(classes=classes)

    def predict(self, features: Table) -> npt.NDArray[Any]:
        """Predict for each example its class, its values, or True or False for each output.

        Args:
            features: Shape (n, inputs) or (n, ...), as for `fit`; n may be 0.

        Returns:
            With softmax_cross_entropy the class, shape (n,): the index of the largest output, the
            first one if several are equal; or the name of that class, a str, if the model has
            `classes`. With mean_squared_error the outputs, float32. With
            binary_cross_entropy whether the probability is above one half, bool. With poisson the
            expected counts, the exponentials of the outputs, float32. The shape of the last three
            is (n, outputs), or (n,) for one output.

        Raises:
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not; or with
                poisson an expected count is too large for a float32.
            ClosedError: The model is closed.
        """
        engine = self._engine
        classes = engine.classes
        found = engine.spec.loss.predictions(engine.predict(features, probabilities=False))
        return found if classes is None else np.array(classes)[found]

    def encode(self, table: Any) -> Floats:
        """Make an array of a table: what `Columns.encode` does with the columns of the model.

        Args:
            table: A data frame or another table, as for `Columns`.

        Returns:
            Shape (n, columns), float32: the input of exported files, and of the model itself.

        Raises:
            ChainError: The model's input has no columns.
            ArgumentTypeError: It is no table, or a value has the wrong type.
            ArgumentError: A column is missing, or a number is not finite.
        """
        columns = self._spec.columns
        if columns is None:
            raise ChainError(
                "encode needs columns, and the input of this model are plain features; a chain that"
                " begins with .input(pynn.Columns(...)) has them"
            )
        return columns.encode(table)

    def predict_proba(self, features: Table) -> Floats:
        """Predict the probability of each class, by the softmax of the outputs.

        With binary_cross_entropy, predict for each output the probability that its target is 1, by
        the sigmoid.

        Args:
            features: As for `predict`.

        Returns:
            The probabilities, shape (n, outputs), float32; with softmax_cross_entropy each row sums
            to 1.

        Raises:
            ChainError: The loss is mean_squared_error or poisson, which have no probabilities.
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not.
            ClosedError: The model is closed.
        """
        engine = self._engine
        if not engine.spec.loss.has_probabilities:
            raise ChainError(
                f"predict_proba needs probabilities, but a network with {engine.spec.loss.kind}"
                " gives values: use predict"
            )
        return engine.predict(features, probabilities=True)

    def __call__(self, features: Table) -> Floats:
        """Calculate the outputs of the last layer, such as logits: shape (n, outputs), float32.

        Arguments and errors are those of `predict`.
        """
        return self._engine.predict(features, probabilities=False)
