"""MLPClassifier, in the place of scikit-learn's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn.sklearn._base import BaseMLP
from pynn.sklearn._examples import Examples, Weights, class_factors
from pynn.sklearn._parameters import has_partial_fit


@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]  # scikit-learn has no types
    """scikit-learn's MLPClassifier, trained by pynn: two classes, more, or several labels at once.

    Args:
        hidden_layer_sizes: The widths of the hidden layers; an integer is one layer, () is none.
        activation: The activation of the hidden layers: "identity", "logistic", "tanh", "relu",
            "leaky_relu" (with slope 0.01) or "gelu".
        solver: "adam", "sgd" or "lbfgs". The last is for small data: its steps take all examples
            (`pynn.LBFGS`), and batch_size, the learning rate and early_stopping mean nothing to it.
        alpha: The strength of the L2 penalty: 0.5 * alpha / batch size times the sum of all squared
            weights, without biases, is added to the loss of a batch.
        batch_size: The number of examples in a step; "auto" is 200, or all examples if these are
            fewer.
        learning_rate: How the learning rate of "sgd" changes. "constant": not at all. "invscaling":
            it is learning_rate_init / (t_ + 1) ** power_t from the second epoch on. "adaptive": it
            is divided by 5 each time that training would otherwise end, until it is at most 1e-6.
        learning_rate_init: The first learning rate.
        power_t: The exponent of "invscaling".
        max_iter: The greatest number of epochs.
        shuffle: Whether to shuffle the examples before each epoch; otherwise they are taken in
            their order.
        random_state: A seed or RandomState for the first weights, the validation split and the
            order. The first weights are the same as scikit-learn's with the same seed; the order is
            not.
        tol: The least improvement that counts as progress: of the loss, or with early_stopping of
            the accuracy. With "lbfgs", training ends where no part of the gradient is larger.
        verbose: Whether to print a line after each epoch.
        warm_start: Whether `fit` starts from the weights of the call before.
        momentum: The momentum of "sgd", in [0, 1).
        nesterovs_momentum: Whether "sgd" uses Nesterov's momentum.
        early_stopping: Whether to hold out a part of the data (with two classes, about the same
            share of each), to stop when the accuracy on it no longer improves, and then to go back
            to the weights with the best accuracy.
        validation_fraction: The fraction of the data that early_stopping holds out.
        beta_1: The decay rate of the first moment, for "adam".
        beta_2: The decay rate of the second moment, for "adam".
        epsilon: A small number that prevents a division by zero, for "adam".
        n_iter_no_change: How many epochs may pass without progress before training ends.
        max_fun: The most gradients that "lbfgs" calculates.
        class_weight: Factors for the weights of examples: a dict of factors by class, where a
            missing class has factor 1; or "balanced", which gives all classes the same sum of
            weights. It cannot be used with several labels.
        dropout: The rate of dropout after each hidden layer, in [0, 1).
        callbacks: A callable or several. Each is called after each epoch with a
            `pynn.EpochResult`, whose losses are those of loss_curve_; if it returns True, training
            ends. `clone`, and so a grid search, copies callable objects, but not functions.

    Attributes:
        model_: The `pynn.Model`, to save, to export or to inspect.
        classes_: The classes, sorted; for several labels the labels' numbers.
        coefs_: The weights of each layer, (inputs, outputs) float32: views of the model's.
        intercepts_: The biases of each layer, (outputs,) float32: views of the model's.
        loss_: The loss of the last epoch, with the penalty.
        best_loss_: The smallest loss of an epoch; None with early_stopping.
        loss_curve_: The loss of each epoch, with the penalty.
        validation_loss_curve_: The loss on the validation data after each epoch, without the
            penalty; None without validation data.
        validation_scores_: The accuracy on the validation data after each epoch; None without
            validation data.
        best_validation_score_: The best of validation_scores_; None without early_stopping.
        t_: The number of examples trained on; an example counts again in each epoch.
        n_iter_: The number of epochs of the last call.
        n_features_in_: The number of features.
        feature_names_in_: The names of the features, if X was a data frame with names.
        n_layers_: The number of layers, including input and output.
        n_outputs_: The number of outputs: 1 for two classes, else one for each class or label.
        out_activation_: The activation of the outputs: "logistic" for two classes or several
            labels, else "softmax".

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import cross_val_score
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from pynn.sklearn import MLPClassifier
        >>> network = MLPClassifier(learning_rate_init=0.01, random_state=0, tol=0.001)
        >>> X, y = load_iris(return_X_y=True)
        >>> bool(cross_val_score(make_pipeline(StandardScaler(), network), X, y).mean() > 0.9)
        True
    """

    class_weight: Any = None

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train for one more epoch; the first call starts from new weights.

        Args:
            X: As for `fit`.
            y: As for `fit`; it need not hold all classes.
            sample_weight: As for `fit`.
            classes: All classes that any y will hold. The first call needs them, except for several
                labels, where y itself shows how many there are.

        Returns:
            The estimator.

        Raises:
            ArgumentError: As for `fit`; also with early_stopping, or with class_weight="balanced",
                which needs all examples.
            ArgumentTypeError: As for `fit`.
            ValueError: scikit-learn refuses X or y.
            DivergenceError: As for `fit`.
            AttributeError: The solver is "lbfgs", whose steps take all examples.
        """
        if isinstance(self.class_weight, str):
            raise ArgumentError(
                f"class_weight={self.class_weight!r} cannot be used with partial_fit, which does"
                " not see all examples: give a dict of weights by class"
            )
        if classes is not None:
            classes = np.unique(np.asarray(classes))
        if not hasattr(self, "model_"):
            if classes is None and not type_of_target(y).startswith("multilabel"):
                raise ArgumentError(
                    "classes must be given in the first call of partial_fit: all that y will hold"
                )
            self.classes_ = classes
        elif classes is not None and not np.array_equal(classes, self.classes_):
            raise ArgumentError(
                f"classes must be those of the first call, {self.classes_}, got {classes}"
            )
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict the classes of examples.

        Args:
            X: Shape (n, features), as for `fit`.

        Returns:
            Values of classes_, shape (n,). For several labels 1 or 0, shape (n, labels): whether
            each label holds.

        Raises:
            NotFittedError: `fit` was not called before.
            ValueError: scikit-learn refuses X.
        """
        outputs = self._outputs(X)
        if self._has_labels():
            return (outputs > 0).astype(np.int64)
        found: npt.NDArray[Any] = self.classes_[self._class_indices(outputs)]
        return found

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Predict the probability of each class, or of each label.

        Args:
            X: Shape (n, features), as for `fit`.

        Returns:
            Shape (n, classes), where each row sums to 1; or (n, labels). The dtype is float32 if X
            is float32 or holds integers, otherwise float64.

        Raises:
            NotFittedError: `fit` was not called before.
            ValueError: scikit-learn refuses X.
        """
        return self._probabilities(X, logarithms=False)

    def predict_log_proba(self, X: Any) -> npt.NDArray[Any]:
        """Predict the logarithms of probabilities. They are finite even where those round to 0.

        Arguments and errors are those of `predict_proba`.
        """
        return self._probabilities(X, logarithms=True)

    def _probabilities(self, X: Any, *, logarithms: bool) -> npt.NDArray[Any]:
        outputs = self._outputs(X)
        z = outputs.astype(np.float64)
        if self.out_activation_ == "softmax":
            p = log_softmax(z, axis=1) if logarithms else softmax(z, axis=1)
        else:
            if not self._has_labels():
                z = np.hstack([-z, z])
            p = expit(z)
            if logarithms:  # near 1 of p itself, so that equal probabilities have equal logarithms
                p = np.where(z > 0.0, np.log(np.maximum(p, 0.5)), log_expit(z))
            if len(self.classes_) == 1 and not self._has_labels():
                p = np.zeros((len(z), 1)) if logarithms else np.ones((len(z), 1))
        return np.asarray(p, outputs.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # ------------------------------------------------------------ inside

    def _has_labels(self) -> bool:
        """Whether each output is a label, of which several may hold at once."""
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _class_indices(self, outputs: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """The places in classes_ of the classes that these outputs predict."""
        if self.out_activation_ == "softmax":
            indices: npt.NDArray[np.intp] = outputs.argmax(axis=1)
            return indices
        return np.minimum((outputs[:, 0] > 0).astype(np.intp), len(self.classes_) - 1)

    def _learn_targets(self, y: npt.NDArray[Any], *, incremental: bool) -> None:
        check_classification_targets(y)
        labels = y.ndim == 2
        if not incremental or self.classes_ is None:
            self.classes_ = np.arange(y.shape[1]) if labels else np.unique(y)
        several = labels or len(self.classes_) > 2
        self.n_outputs_ = len(self.classes_) if several else 1
        self.out_activation_ = "softmax" if several and not labels else "logistic"

    def _check_same_targets(self, y: npt.NDArray[Any]) -> None:
        classes = unique_labels(y)
        if set(classes) != set(self.classes_):
            raise ArgumentError(
                "warm_start can only be used where `y` has the same classes as in the previous call"
                f" to fit. Previously got {self.classes_}, `y` has {classes}"
            )

    def _targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        check_classification_targets(y)
        if y.ndim == 2 or self._has_labels():
            if not self._has_labels() or y.shape[1:] != (self.n_outputs_,):
                needed = f"(n, {self.n_outputs_})" if self._has_labels() else "(n,)"
                raise ArgumentError(
                    f"y must have shape {needed}, as in the first call, got {y.shape}"
                )
            if not type_of_target(y).startswith("multilabel"):
                raise ArgumentError("y has several columns, so its values must be 0 and 1")
            labels: npt.NDArray[Any] = (y != 0).astype(np.uint8)
            return labels
        indices = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = np.flatnonzero(self.classes_[indices] != y)
        if len(unknown) > 0:
            raise ArgumentError(
                f"y must hold only classes of the first call, {self.classes_}, got"
                f" {y[unknown[0]]!r}"
            )
        return indices.astype(np.int64 if self.out_activation_ == "softmax" else np.uint8)

    def _class_factors(self, examples: Examples) -> Weights | None:
        if self.class_weight is not None and self._has_labels():
            raise ArgumentError(
                "class_weight cannot be used with several labels; give weights of the rows instead:"
                " sample_weight"
            )
        return class_factors(self.class_weight, self.classes_, examples)

    def _strata(self, examples: Examples) -> npt.NDArray[Any] | None:
        if self.n_outputs_ > 1:
            return None
        # A column of booleans, which is what scikit-learn's own passes on: so errors are the same.
        return examples.targets.astype(bool).reshape(-1, 1)

    def _score_outputs(self, outputs: Floats, examples: Examples) -> float:
        if self._has_labels():
            right = ((outputs > 0) == (examples.targets != 0)).all(axis=1)
        else:
            right = self._class_indices(outputs) == examples.targets
        return float(np.average(right, weights=examples.weights))
