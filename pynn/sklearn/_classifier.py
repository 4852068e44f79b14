"""MLPClassifier."""

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
        hidden_layer_sizes: The widths of the hidden layers; an integer is one layer, () none.
        activation: Of the hidden layers: "identity", "logistic", "tanh", "relu", "leaky_relu" (with
            slope 0.01) or "gelu".
        solver: "adam" or "sgd". ("lbfgs" is for scikit-learn's own.)
        alpha: Strength of the L2 penalty: the loss of a batch has 0.5 * alpha / batch size times
            the sum of all squared weights, without biases, added.
        batch_size: Examples a step; "auto" is 200, or all if they are fewer.
        learning_rate: Of "sgd": "constant"; "invscaling", learning_rate_init / (t_ + 1) ** power_t
            from the second epoch on; or "adaptive", divided by 5 where the training would end, down
            to 1e-6.
        learning_rate_init: The learning rate at first.
        power_t: The exponent of "invscaling".
        max_iter: The most epochs.
        shuffle: Whether to take the examples in a new order each epoch.
        random_state: Seed or RandomState for weights, split and order. The first weights are those
            of scikit-learn's own with the same seed; the order is not.
        tol: What counts as progress, in the loss or, with early_stopping, in accuracy.
        verbose: Whether to print a line each epoch.
        warm_start: Whether `fit` goes on from the weights it left.
        momentum: Of "sgd".
        nesterovs_momentum: Nesterov's form of it.
        early_stopping: Whether to hold data out (of two classes about the same share), end when the
            accuracy on it gets no better, and go back to the weights where it was best.
        validation_fraction: How much of the data that is.
        beta_1: Of "adam": the decay of the first moment.
        beta_2: Of "adam": the decay of the second.
        epsilon: Of "adam": what keeps it from dividing by zero.
        n_iter_no_change: Epochs without progress before the end.
        max_fun: Not used; of a solver that pynn does not have.
        class_weight: What the weights of examples are multiplied by: a dict of factors by class,
            1 where it has none, or "balanced", which gives all classes the same sum. Not for
            several labels.
        dropout: The rate of dropout after each hidden layer, in [0, 1).
        callbacks: A callable or several, called after each epoch with a `pynn.EpochResult`, its
            losses as loss_curve_ has them; one that returns True ends the training. `clone`, and so
            a grid search, copies objects that can be called, but not functions.

    Attributes:
        model_: The `pynn.Model`, to save, export or look into.
        classes_: The classes in order; for several labels their numbers.
        coefs_: The weights of each layer, (inputs, outputs) float32: views of the model's.
        intercepts_: The biases of each layer, (outputs,) float32: views of the model's.
        loss_: The loss of the last epoch, with the penalty.
        best_loss_: The least of them; None with early_stopping.
        loss_curve_: The loss of each epoch.
        validation_loss_curve_: The loss on the validation data after each epoch, without penalty;
            None without such data.
        validation_scores_: Accuracy on them after each epoch; None without such data.
        best_validation_score_: The best of them; None without early_stopping.
        t_: Examples trained on, counted each time.
        n_iter_: Epochs of the last call.
        n_features_in_: Features of an example.
        feature_names_in_: Their names, where X was a data frame with such.
        n_layers_: Layers, counted with input and output.
        n_outputs_: Outputs: 1 for two classes, else one for each class or label.
        out_activation_: Of the outputs: "logistic" for two classes or several labels, or "softmax".

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
        """Train for one epoch more, from new weights the first time.

        Args:
            X: As for `fit`.
            y: As for `fit`; it need not hold all classes.
            sample_weight: As for `fit`.
            classes: All classes that any y will hold. Needed in the first call, but for several
                labels, where y itself says how many.

        Returns:
            The estimator.

        Raises:
            ArgumentError: As for `fit`; also with early_stopping, or with "balanced" weights, which
                need all examples.
            ArgumentTypeError: As for `fit`.
            ValueError: scikit-learn's, for X or y.
            DivergenceError: As for `fit`.
            AttributeError: The solver is none of pynn's.
        """
        if isinstance(self.class_weight, str):
            raise ArgumentError(
                f"class_weight={self.class_weight!r} cannot be had with partial_fit, which does not"
                " see all examples: give a dict of weights by class"
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
        """The classes of examples.

        Args:
            X: Shape (n, features), as for `fit`.

        Returns:
            Shape (n,), of classes_; for several labels (n, labels), 1 where one holds and else 0.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: scikit-learn's, for X.
        """
        outputs = self._outputs(X)
        if self._has_labels():
            return (outputs > 0).astype(np.int64)
        found: npt.NDArray[Any] = self.classes_[self._class_indices(outputs)]
        return found

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """The probability of each class, or of each label.

        Args:
            X: Shape (n, features), as for `fit`.

        Returns:
            Shape (n, classes), rows that sum to 1, or (n, labels); float64, or float32 where X is
            float32 or holds integers.

        Raises:
            NotFittedError: `fit` comes first.
            ValueError: scikit-learn's, for X.
        """
        return self._probabilities(X, logarithms=False)

    def predict_log_proba(self, X: Any) -> npt.NDArray[Any]:
        """The logarithms of `predict_proba`, finite also where that is zero.

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
            p = log_expit(z) if logarithms else expit(z)
            if len(self.classes_) == 1 and not self._has_labels():
                p = np.zeros((len(z), 1)) if logarithms else np.ones((len(z), 1))
        return np.asarray(p, outputs.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # ------------------------------------------------------------ inside

    def _has_labels(self) -> bool:
        """Whether the outputs are labels, several of which may hold; one is two classes."""
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _class_indices(self, outputs: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """The classes that outputs stand for."""
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
                raise ArgumentError(f"y must have shape {needed}, as in the first call: {y.shape}")
            if not type_of_target(y).startswith("multilabel"):
                raise ArgumentError("y must be a matrix of 0 and 1, as it has several columns")
            labels: npt.NDArray[Any] = (y != 0).astype(np.uint8)
            return labels
        indices = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = np.flatnonzero(self.classes_[indices] != y)
        if len(unknown) > 0:
            raise ArgumentError(
                f"y must hold classes of the first call, {self.classes_}, got {y[unknown[0]]!r}"
            )
        return indices.astype(np.int64 if self.out_activation_ == "softmax" else np.uint8)

    def _class_factors(self, examples: Examples) -> Weights | None:
        if self.class_weight is not None and self._has_labels():
            raise ArgumentError(
                "class_weight cannot be had with several labels; weigh the rows: sample_weight"
            )
        return class_factors(self.class_weight, self.classes_, examples)

    def _strata(self, examples: Examples) -> npt.NDArray[Any] | None:
        if self.n_outputs_ > 1:
            return None
        # A column of booleans, as scikit-learn has it: its errors then name the same classes.
        return examples.targets.astype(bool).reshape(-1, 1)

    def _score_outputs(self, outputs: Floats, examples: Examples) -> float:
        if self._has_labels():
            right = ((outputs > 0) == (examples.targets != 0)).all(axis=1)
        else:
            right = self._class_indices(outputs) == examples.targets
        return float(np.average(right, weights=examples.weights))
