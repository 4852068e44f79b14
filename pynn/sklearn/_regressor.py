"""MLPRegressor, in the place of scikit-learn's."""

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

OUT_ACTIVATIONS = {"squared_error": "identity", "poisson": "exp"}
"""What becomes of the outputs, by the parameter `loss`."""


@dataclass(eq=False, repr=False)
class LossParameter:
    """The regressor's own parameter, which stands before all others."""

    loss: str = "squared_error"


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP, LossParameter):  # type: ignore[misc]
    """scikit-learn's MLPRegressor, trained by pynn: any number of targets.

    It has the parameters and attributes of `MLPClassifier`, where they are explained in full,
    without class_weight and classes_, and the parameter `loss` before the others.

    Args:
        loss: "squared_error"; or "poisson", half the Poisson deviance, for targets of at least 0
            such as counts, whose logarithms the outputs are.
        hidden_layer_sizes: The widths of the hidden layers.
        activation: The activation of the hidden layers; the outputs have none.
        solver: "adam", "sgd" or "lbfgs".
        alpha: The strength of the L2 penalty.
        batch_size: The number of examples in a step, or "auto".
        learning_rate: "constant", "invscaling" or "adaptive".
        learning_rate_init: The first learning rate.
        power_t: The exponent of "invscaling".
        max_iter: The greatest number of epochs.
        shuffle: Whether to shuffle the examples before each epoch; otherwise they are taken in
            their order.
        random_state: A seed or RandomState.
        tol: The least improvement that counts as progress: of the loss, or with early_stopping of
            R2.
        verbose: Whether to print a line after each epoch.
        warm_start: Whether `fit` starts from the weights of the call before.
        momentum: The momentum of "sgd", in [0, 1).
        nesterovs_momentum: Whether "sgd" uses Nesterov's momentum.
        early_stopping: Whether to hold out a part of the data, and to stop when R2 on it no longer
            improves.
        validation_fraction: The fraction of the data that early_stopping holds out.
        beta_1: The decay rate of the first moment, for "adam".
        beta_2: The decay rate of the second moment, for "adam".
        epsilon: A small number that prevents a division by zero, for "adam".
        n_iter_no_change: How many epochs may pass without progress before training ends.
        max_fun: The most gradients that "lbfgs" calculates.
        dropout: The rate of dropout after each hidden layer, in [0, 1).
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
        """Train for one more epoch; the first call starts from new weights.

        Args:
            X: As for `fit`.
            y: As for `fit`.
            sample_weight: As for `fit`.

        Returns:
            The estimator.

        Raises:
            ArgumentError: As for `fit`; also with early_stopping.
            ArgumentTypeError: As for `fit`.
            ValueError: scikit-learn refuses X or y.
            DivergenceError: As for `fit`.
            AttributeError: The solver is "lbfgs", whose steps take all examples.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict the targets of examples.

        Args:
            X: Shape (n, features), as for `fit`.

        Returns:
            Shape (n,), or (n, outputs) for several targets. The dtype is float32 if X is float32 or
            holds integers, otherwise float64.

        Raises:
            NotFittedError: `fit` was not called before.
            ValueError: scikit-learn refuses X.
        """
        outputs = self._values(self._outputs(X))
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_own_parameters(self) -> None:
        choice("loss", self.loss, tuple(OUT_ACTIVATIONS))

    def _learn_targets(self, y: npt.NDArray[Any], *, incremental: bool) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self.out_activation_ = OUT_ACTIVATIONS[self.loss]

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
                "y must be finite in float32, whose largest number is"
                f" {checks.MAX_FLOAT32:.2g}; scale y, for instance with"
                " sklearn.compose.TransformedTargetRegressor"
            )
        if self.out_activation_ == "exp" and (targets < 0).any():
            raise ArgumentError("y must be at least 0 with loss='poisson', which is for counts")
        return targets

    def _values(self, outputs: Floats) -> npt.NDArray[Any]:
        """The predicted values; with "poisson" the outputs are their logarithms."""
        return np.exp(outputs) if self.out_activation_ == "exp" else outputs

    def _score_outputs(self, outputs: Floats, examples: Examples) -> float:
        outputs64 = self._values(outputs.astype(np.float64))  # in float32 squares could overflow
        targets = examples.targets.reshape(outputs.shape)
        return float(r2_score(targets, outputs64, sample_weight=examples.weights))
