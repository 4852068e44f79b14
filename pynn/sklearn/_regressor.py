"""MLPRegressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn.sklearn._base import BaseMLP
from pynn.sklearn._examples import Examples
from pynn.sklearn._parameters import choice, has_partial_fit


@dataclass(eq=False, repr=False)
class LossParameter:
    """The regressor's own parameter, which stands before all others."""

    loss: str = "squared_error"


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP, LossParameter):  # type: ignore[misc]
    """scikit-learn's MLPRegressor, trained by pynn: any number of targets, half the squared error.

    Parameters and attributes are those of `MLPClassifier`, but for class_weight and classes_, with
    `loss` before them.

    Args:
        loss: "squared_error". (scikit-learn's own has "poisson", too.)
        hidden_layer_sizes: As for `MLPClassifier`, as are all others.
        activation: Of the hidden layers; the outputs have none.
        solver: "adam" or "sgd".
        alpha: Strength of the L2 penalty.
        batch_size: Examples a step, or "auto".
        learning_rate: "constant", "invscaling" or "adaptive".
        learning_rate_init: The learning rate at first.
        power_t: The exponent of "invscaling".
        max_iter: The most epochs.
        shuffle: Whether to take the examples in a new order each epoch.
        random_state: Seed or RandomState.
        tol: What counts as progress, in the loss or in R2.
        verbose: Whether to print a line each epoch.
        warm_start: Whether `fit` goes on from the weights it left.
        momentum: Of "sgd".
        nesterovs_momentum: Nesterov's form of it.
        early_stopping: Whether to hold data out and end when R2 on it gets no better.
        validation_fraction: How much of the data that is.
        beta_1: Of "adam": the decay of the first moment.
        beta_2: Of "adam": the decay of the second.
        epsilon: Of "adam": what keeps it from dividing by zero.
        n_iter_no_change: Epochs without progress before the end.
        max_fun: Not used; of a solver that pynn does not have.
        dropout: The rate of dropout after each hidden layer.
        callbacks: A callable or several, called after each epoch with a `pynn.EpochResult`.

    Examples:
        >>> from sklearn.compose import TransformedTargetRegressor
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.preprocessing import StandardScaler
        >>> from pynn.sklearn import MLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> network = MLPRegressor(hidden_layer_sizes=20, random_state=0, max_iter=100, tol=0.01)
        >>> scaled = TransformedTargetRegressor(network, transformer=StandardScaler())
        >>> scaled.fit(X * 20, y).score(X * 20, y) > 0.4
        True
    """

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch more, from new weights the first time.

        Args:
            X: As for `fit`.
            y: As for `fit`.
            sample_weight: As for `fit`.

        Returns:
            The estimator.

        Raises:
            ArgumentError: As for `fit`; also with early_stopping.
            ArgumentTypeError: As for `fit`.
            ValueError: scikit-learn's, for X or y.
            DivergenceError: As for `fit`.
            AttributeError: The solver is none of pynn's.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The targets of examples.

        Args:
            X: Shape (n, features), as for `fit`.

        Returns:
            Shape (n,), or (n, outputs) for several targets; float64, or float32 where X is float32
            or holds integers.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: scikit-learn's, for X.
        """
        outputs = self._outputs(X)
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_own_parameters(self) -> None:
        choice("loss", self.loss, ("squared_error",), only_theirs="poisson")

    def _learn_targets(self, y: npt.NDArray[Any], *, incremental: bool) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = "identity"

    def _targets(self, y: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if outputs != self.n_outputs_:
            raise ArgumentError(
                f"y must have {self.n_outputs_} columns, as in the first call, got {outputs}"
            )
        with np.errstate(over="ignore"):
            targets: npt.NDArray[np.float32] = np.ascontiguousarray(y, np.float32)
        if not np.isfinite(targets).all():
            raise ArgumentError(
                f"y must be finite as float32, up to {checks.MAX_FLOAT32:.2g}; scale it, for"
                " instance with sklearn.compose.TransformedTargetRegressor"
            )
        return targets

    def _score_outputs(self, outputs: Floats, examples: Examples) -> float:
        outputs64 = outputs.astype(np.float64)  # squares of float32 may be beyond float32
        targets = examples.targets.reshape(outputs.shape)
        return float(r2_score(targets, outputs64, sample_weight=examples.weights))
