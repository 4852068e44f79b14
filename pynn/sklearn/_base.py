"""The base class of the classifier and the regressor: training, outputs, weights as attributes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn._model import Model
from pynn.sklearn import _networks, _parameters
from pynn.sklearn._examples import Examples, Weights, check_range, check_weights
from pynn.sklearn._losses import LOSSES
from pynn.sklearn._monitor import Rate
from pynn.sklearn._nesting import refuse_nested
from pynn.sklearn._parameters import Parameters
from pynn.sklearn._training import train

Self = TypeVar("Self", bound="BaseMLP")  # typing has Self only from Python 3.11 on


class BaseMLP(Parameters, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """A multilayer perceptron behind scikit-learn's interface; see the two classes that derive."""

    model_: Model
    n_features_in_: int
    n_outputs_: int
    out_activation_: str
    loss_: float
    n_iter_: int

    # ------------------------------------------------------------ train

    def fit(
        self: Self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
    ) -> Self:
        """Train the network from new weights, or with warm_start from those of the last call.

        Args:
            X: Shape (n, features): numbers of any kind, dense or sparse. They are converted to
                float32 once; an array that is float32 and contiguous is not copied. Values are
                not scaled, so images in bytes are best given as X / 255.
            y: Shape (n,), or (n, outputs) for several targets or labels at once.
            sample_weight: Shape (n,), at least 0. If all weights are whole numbers, and at most 4
                on average, each row is copied that many times; otherwise weights multiply losses.
            validation: (X, y) to measure loss and score on after each epoch. With early_stopping it
                replaces the held-out fraction of the training data.

        Returns:
            The estimator.

        Raises:
            ArgumentError: A parameter or argument has a value that does not fit.
            ArgumentTypeError: A parameter or argument has the wrong type.
            ValueError: scikit-learn refuses X or y.
            DivergenceError: The loss or the weights stopped being finite. This error is a
                ValueError, too, and the estimator is then not fitted. With early_stopping there is
                a ConvergenceWarning instead, and the estimator has the best weights so far.
        """
        return self._fit(X, y, sample_weight, validation)

    @refuse_nested
    def _fit(
        self: Self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any] | None = None,
        *,
        incremental: bool = False,
    ) -> Self:
        """Do the work of `fit`; if `incremental`, that of `partial_fit`: one more epoch."""
        _parameters.check(self)
        self._check_own_parameters()
        if incremental and self.early_stopping:
            raise ArgumentError(
                "partial_fit does not support early_stopping=True, as it is one epoch: use fit"
            )
        first = not hasattr(self, "model_") or not (self.warm_start or incremental)
        again = self.warm_start and not first and not incremental
        examples = self._examples(X, y, first=first, incremental=incremental, again=again)
        weights = check_weights(sample_weight, examples.rows)
        examples = examples._replace(weights=weights).without_zeros()
        random = check_random_state(self.random_state)
        keeps = self.warm_start or incremental
        parameters = self._first_parameters(random, keeps) if first else self._go_on()
        if validation is not None:
            pair = _parameters.validation(validation)
            held_out = self._examples(*pair, first=False, incremental=incremental)
        elif self._stops_early:
            examples, held_out = self._split(examples, random)
        else:
            held_out = None
        self._check_held_out(held_out)
        examples = examples.repeated()
        examples = examples.reweighted(self._class_factors(examples)).without_zeros()
        if first or not incremental:
            # The seed depends on the steps done so far: otherwise a warm start with the same
            # random_state would drop the same values again.
            self._build(parameters, (int(random.randint(2**31 - 1)) + self.t_) % 2**31)
        self.n_iter_ = 0
        train(self, examples, held_out, incremental=incremental)
        return self

    def _check_held_out(self, held_out: Examples | None) -> None:
        """With early_stopping, check that there are enough examples to validate with."""
        if self._stops_early and held_out is not None and held_out.rows < 2:
            raise ArgumentError(
                "The validation set is too small. Early stopping needs at least 2 examples to"
                f" validate with, got {held_out.rows}: take a larger validation_fraction or give"
                " more as validation="
            )

    def _first_parameters(
        self, random: np.random.RandomState, keeps: bool
    ) -> list[npt.NDArray[Any]]:
        """Draw the first weights; if `keeps`, take those that were assigned instead."""
        parameters, given = self._begin(random), self.__dict__.pop("_given", {})
        for start, name in enumerate(("coefs_", "intercepts_")):
            if keeps and name in given:
                _networks.set_parameters(parameters[start::2], given[name], name)
        return parameters

    def _begin(self, random: np.random.RandomState) -> list[npt.NDArray[Any]]:
        """Reset the figures of training, and draw the first weights."""
        hidden = _parameters.hidden_sizes(self.hidden_layer_sizes)
        self.n_layers_ = len(hidden) + 2
        self.t_ = 0
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = [] if self._stops_early else None
        self.validation_loss_curve_: list[float] | None = [] if self._stops_early else None
        self.best_loss_ = None if self._stops_early else np.inf
        self.best_validation_score_ = -np.inf if self._stops_early else None
        self._no_improvement_count = 0
        widths = [self.n_features_in_, *hidden, self.n_outputs_]
        return _networks.first_parameters(widths, self.activation, random)

    def _go_on(self) -> list[npt.NDArray[Any]]:
        """Return the present weights, for warm_start; their shapes must still be right."""
        hidden = _parameters.hidden_sizes(self.hidden_layer_sizes)
        before = [bias.size for bias in self.intercepts_[:-1]]
        if hidden != before:
            raise ArgumentError(
                f"hidden_layer_sizes must be {before}, as in the earlier call that this one"
                f" continues, got {hidden}"
            )
        if self._stops_early == (self.best_validation_score_ is None):  # it has changed since
            self.best_loss_ = None if self._stops_early else np.inf
            self.best_validation_score_ = -np.inf if self._stops_early else None
        return list(self.model_.parameters.values())

    def _build(self, parameters: Sequence[Any], seed: int) -> None:
        """Make a new model with these weights. Its optimizer and learning rate start anew."""
        self.model_ = _networks.build(
            [self.n_features_in_, *(bias.size for bias in parameters[1::2])],
            self.activation,
            self.dropout,
            self.out_activation_,
            seed,
        )
        _networks.set_parameters(list(self.model_.parameters.values()), parameters, "parameters")
        self._activation = self.activation  # a user may set the parameter afterwards
        factor = LOSSES[self.out_activation_].objective(self.n_outputs_)
        self._rate = Rate(self.learning_rate_init, factor)

    def _split(
        self, examples: Examples, random: np.random.RandomState
    ) -> tuple[Examples, Examples]:
        """Split the examples, for early stopping, into those to train on and those to validate."""
        train, held_out = train_test_split(
            np.arange(examples.rows),
            random_state=random,
            test_size=self.validation_fraction,
            stratify=self._strata(examples),
        )
        return examples.take(train), examples.take(held_out)

    # ------------------------------------------------------------ data

    def _examples(
        self, X: Any, y: Any, *, first: bool, incremental: bool, again: bool = False
    ) -> Examples:
        """Check X and y, and convert them to what pynn trains on.

        Args:
            X: The caller's features.
            y: The caller's labels or targets.
            first: Whether X and y decide the number of features and outputs, and the classes.
            incremental: Whether this is for `partial_fit`.
            again: Whether y must have the same classes as in the call before.
        """
        try:
            with np.errstate(over="ignore"):  # check_range() finds values too large for float32
                X, y = validate_data(
                    self,
                    X,
                    y,
                    accept_sparse=["csr", "csc"],
                    dtype=np.float32,
                    order="C",
                    multi_output=True,
                    y_numeric=is_regressor(self),
                    reset=first,
                )
        except ValueError:
            check_range(X)
            raise
        if issparse(X):
            X = np.ascontiguousarray(X.toarray())
        if issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if first:
            self._learn_targets(y, incremental=incremental)
        elif again:
            self._check_same_targets(y)
        return Examples(X, self._targets(y), None)

    def _outputs(self, X: Any) -> npt.NDArray[Any]:
        """The outputs before the last activation, (n, outputs), in the precision of X.

        For float64 NumPy computes them, so that the outputs of a row do not depend on the other
        rows, except for float64's rounding. For float32 and for integers pynn computes them in
        float32.
        """
        check_is_fitted(self)
        integers = getattr(getattr(X, "dtype", None), "kind", "") in ("b", "i", "u")
        X = validate_data(
            self,
            X,
            accept_sparse=["csr", "csc"],
            dtype=np.float32 if integers else (np.float64, np.float32),
            order="C",
            reset=False,
        )
        if issparse(X):
            X = np.ascontiguousarray(X.toarray())
        if X.dtype == np.float64:
            return _networks.forward(self.coefs_, self.intercepts_, self._activation, X)
        return self.model_(X)

    # ------------------------------------------------------------ attributes

    @property
    def coefs_(self) -> list[Floats]:
        """The weights of each layer, (inputs, outputs) float32: views of `model_`'s parameters.

        Arrays of the same shapes may be assigned: their values are copied into the model. Before
        there is one, they are the first weights of `partial_fit`, or of `fit` with warm_start.
        """
        return self._views("coefs_", ".weight")

    @coefs_.setter
    def coefs_(self, arrays: Sequence[Any]) -> None:
        self._assign("coefs_", arrays)

    @property
    def intercepts_(self) -> list[Floats]:
        """The bias of each layer, (outputs,) float32: views of `model_`'s parameters.

        Arrays of the same shapes may be assigned: their values are copied into the model.
        """
        return self._views("intercepts_", ".bias")

    @intercepts_.setter
    def intercepts_(self, arrays: Sequence[Any]) -> None:
        self._assign("intercepts_", arrays)

    @property
    def _optimizer(self) -> Rate:
        """What has the learning rate, under scikit-learn's name."""
        return self._rate

    def _assign(self, name: str, arrays: Sequence[Any]) -> None:
        """Copy arrays into the model's; without a model keep them for the one that will be made."""
        if hasattr(self, "model_"):
            _networks.set_parameters(getattr(self, name), arrays, name)
        else:
            self.__dict__.setdefault("_given", {})[name] = list(arrays)

    def _views(self, name: str, ending: str) -> list[Floats]:
        given: dict[str, list[Floats]] = vars(self).get("_given", {})
        if name in given and not hasattr(self, "model_"):
            return given[name]
        named = self.model_.parameters.items()
        return _networks.Views(view for name, view in named if name.endswith(ending))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------ for the derived classes

    def _check_own_parameters(self) -> None:
        """Check the parameters that only this kind of estimator has."""

    @abstractmethod
    def _learn_targets(self, y: npt.NDArray[Any], *, incremental: bool) -> None:
        """Set n_outputs_, out_activation_ and all else that the first y decides."""

    def _check_same_targets(self, y: npt.NDArray[Any]) -> None:
        """Check, for warm_start, that y has the same classes as in the call before."""

    @abstractmethod
    def _targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Convert y to the labels or targets that pynn's loss takes."""

    def _class_factors(self, examples: Examples) -> Weights | None:
        """The factors, (n,), by which class_weight multiplies the examples' weights."""
        return None

    def _strata(self, examples: Examples) -> npt.NDArray[Any] | None:
        """The values, (n, 1), by which a split of the examples is stratified; None if by none."""
        return None

    @abstractmethod
    def _score_outputs(self, outputs: Floats, examples: Examples) -> float:
        """The score of these outputs for the examples: accuracy or R2."""
