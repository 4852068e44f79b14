"""pynn.sklearn: parameters, weights and classes that are refused, with their names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn_pairs import ROWS, data, pair

import pynn
from pynn.sklearn import MLPClassifier, MLPRegressor

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"solver": "lbfgs", "dropout": 0.1}, ValueError, r"dropout must be 0 with solver='lbfgs'"),
        (
            {"solver": "rprop"},
            ValueError,
            "solver must be 'sgd' or 'adam' or 'lbfgs', got",
        ),
        ({"activation": "swish"}, ValueError, "activation must be 'identity' or"),
        ({"learning_rate": 0.1}, ValueError, "learning_rate must be 'constant' or"),
        ({"hidden_layer_sizes": (5, 0)}, ValueError, "hidden_layer_sizes must be at least 1"),
        ({"hidden_layer_sizes": "5"}, TypeError, "hidden_layer_sizes must be an integer"),
        ({"hidden_layer_sizes": iter([5])}, TypeError, "hidden_layer_sizes must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": "all"}, ValueError, "must be 'auto', got str 'all'"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"max_iter": 2.5}, TypeError, "max_iter must be an integer"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be at least 1"),
        ({"alpha": -1.0}, ValueError, "alpha must be at least 0"),
        ({"learning_rate_init": 0}, ValueError, "learning_rate_init must be greater than 0"),
        ({"momentum": 1.0}, ValueError, r"momentum must be in \[0, 1\), got 1.0"),
        ({"dropout": 1}, ValueError, r"dropout must be in \[0, 1\), got 1"),
        ({"beta_2": "x"}, TypeError, "beta_2 must be a number"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True or False, got str 'yes'"),
        ({"random_state": -1}, ValueError, r"random_state must be in \[0, 4294967295\], got -1"),
        ({"random_state": 2**32}, ValueError, r"random_state must be in \[0, 4294967295\]"),
        ({"random_state": "0"}, TypeError, "random_state must be an integer, got str '0'; it may"),
        ({"random_state": 1.5}, TypeError, "random_state must be an integer"),
        ({"callbacks": [1]}, TypeError, "callbacks must be a callable or a list of them"),
        ({"class_weight": "equal"}, TypeError, "class_weight must be None, 'balanced' or a dict"),
        (
            {"class_weight": {"z": 1}},
            ValueError,
            "class_weight: 'z' is not one of the classes: a, b",
        ),
        ({"class_weight": {"a": -1}}, ValueError, r"class_weight\['a'\] must be at least 0"),
        ({"class_weight": dict.fromkeys("abc", 0)}, ValueError, "must not be zero for all classes"),
    ],
    ids=str,
)
def test_wrong_parameters(parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    """fit names the parameter, what it got and what it needs."""
    estimator = MLPClassifier(**parameters)
    with pytest.raises(error, match=message):
        estimator.fit(*data("classes"))


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize(
    "parameters",
    [
        {name: value}
        for name, value in [
            ("hidden_layer_sizes", "5"),
            ("hidden_layer_sizes", 2.5),
            ("activation", 3),
            ("solver", None),
            ("alpha", "1"),
            ("batch_size", 2.5),
            ("learning_rate", 0.1),
            ("learning_rate_init", None),
            ("power_t", "x"),
            ("max_iter", 2.5),
            ("shuffle", "yes"),
            ("tol", []),
            ("verbose", "yes"),
            ("verbose", -1),
            ("warm_start", 3),
            ("momentum", "x"),
            ("nesterovs_momentum", None),
            ("early_stopping", "yes"),
            ("validation_fraction", "0.1"),
            ("beta_1", None),
            ("beta_2", 1.0),
            ("epsilon", 0.0),
            ("n_iter_no_change", 1.5),
            ("max_fun", 0),
        ]
    ],
    ids=str,
)
def test_wrong_parameters_are_value_errors(parameters: dict[str, Any], kind: str) -> None:
    """scikit-learn raises ValueError whatever is wrong with a parameter, and so does pynn."""
    for estimator in pair(kind, **parameters):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            estimator.fit(*data(kind))


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_partial_fit_is_there_with_the_solver(estimator: type[Any]) -> None:
    """hasattr() says so, and follows set_params."""
    assert hasattr(estimator(), "partial_fit") and hasattr(estimator(solver="sgd"), "partial_fit")
    assert not hasattr(estimator(solver="lbfgs"), "partial_fit")
    other = estimator().set_params(solver="lbfgs")
    assert not hasattr(other, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        other.partial_fit(*data("number"))


def test_wrong_validation() -> None:
    """A pair of X and y, not a fraction: that is validation_fraction."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"validation must be a pair \(X, y\), got"):
        MLPClassifier().fit(*data("classes"), validation=0.2)


def test_one_example_is_too_few_to_validate_on() -> None:
    """R2 needs two."""
    regressor = MLPRegressor(early_stopping=True, validation_fraction=0.004)
    with pytest.raises(pynn.ArgumentError, match=r"at least 2 examples to validate with, got 1"):
        regressor.fit(*data("number"))


@pytest.mark.parametrize("weight", [1e308, 1.7e308])
def test_weights_too_large_to_add_up_are_refused(weight: float) -> None:
    """Those given, and their products with those of classes; without a warning of NumPy's."""
    X, y = data("classes")
    with pytest.raises(pynn.ArgumentError, match=r"^sample_weight must have a finite sum"):
        MLPClassifier().fit(X, y, np.full(ROWS, weight))
    weights = np.zeros(ROWS)
    weights[0] = weight
    with pytest.raises(pynn.ArgumentError, match=r"^sample_weight times class_weight must have a"):
        MLPClassifier(class_weight={y[0]: 1e30}).fit(X, y, weights)


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(ROWS), np.zeros(ROWS)])
def test_wrong_weights(weights: Any) -> None:
    """One for each row, none negative, not all zero."""
    with pytest.raises(pynn.ArgumentError, match=r"^sample_weight must"):
        MLPClassifier().fit(*data("classes"), weights)


def test_poisson_is_for_counts() -> None:
    """A target below 0 is refused, and so is a loss that there is not."""
    with pytest.raises(pynn.ArgumentError, match="y must be at least 0 with loss='poisson', which"):
        MLPRegressor("poisson").fit(*data("number"))
    with pytest.raises(pynn.ArgumentError, match="loss must be 'squared_error' or 'poisson', got"):
        MLPRegressor("gamma").fit(*data("number"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"early_stopping": True}, "partial_fit does not support early_stopping=True, as it is"),
        ({"class_weight": "balanced"}, "class_weight='balanced' cannot be used with partial_fit"),
    ],
)
def test_what_partial_fit_cannot_have(parameters: dict[str, Any], message: str) -> None:
    """What needs all examples at once is refused."""
    with pytest.raises(pynn.ArgumentError, match=message):
        MLPClassifier(**parameters).partial_fit(*data("classes"), classes=["a", "b", "c"])


def test_partial_fit_needs_the_classes() -> None:
    """The first call needs them, as its y may not have all."""
    with pytest.raises(pynn.ArgumentError, match="classes must be given in the first call"):
        MLPClassifier().partial_fit(*data("classes"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "d"] * 120, "y must hold only classes of the first call, .*, got .*'d'"),
        (
            np.ones((ROWS, 3), int),
            r"y must have shape \(n,\), as in the first call, got \(240, 3\)",
        ),
    ],
)
def test_y_of_another_kind_later(y: Any, message: str) -> None:
    """Labels that the first call did not know, or labels of another kind."""
    X, first = data("classes")
    classifier = MLPClassifier().partial_fit(X, first, classes=["a", "b", "c"])
    with pytest.raises(pynn.ArgumentError, match=message):
        classifier.partial_fit(X, y)


def test_other_classes_later() -> None:
    """The classes of partial_fit are those of its first call."""
    X, y = data("classes")
    classifier = MLPClassifier().partial_fit(X, y, classes=["a", "b", "c"])
    with pytest.raises(pynn.ArgumentError, match="classes must be those of the first call"):
        classifier.partial_fit(X, y, classes=["a", "b"])


def test_class_weights_of_labels() -> None:
    """They are refused, as each row has several labels."""
    with pytest.raises(pynn.ArgumentError, match="class_weight cannot be used with several labels"):
        MLPClassifier(class_weight="balanced").fit(*data("labels"))


def test_several_columns_that_are_no_labels() -> None:
    """Classes in several columns are refused, other than labels."""
    X, _ = data("labels")
    with pytest.raises(pynn.ArgumentError, match="its values must be 0 and 1"):
        MLPClassifier().fit(X, np.arange(2 * ROWS).reshape(ROWS, 2) % 3)


def test_other_columns_later() -> None:
    """The number of targets stays."""
    X, y = data("numbers")
    regressor = MLPRegressor().partial_fit(X, y)
    with pytest.raises(pynn.ArgumentError, match="y must have 3 columns, as in the first call"):
        regressor.partial_fit(X, y[:, :2])


def test_targets_beyond_float32() -> None:
    """An error that says where the limit is and how to scale."""
    X, y = data("number")
    with pytest.raises(
        pynn.ArgumentError, match=r"number is 3\.4e\+38; .*TransformedTargetRegressor"
    ):
        MLPRegressor().fit(X, y * 1e300)


@pytest.mark.parametrize("classes", ["ab", "abcd", "abd"])
def test_other_classes_with_warm_start(classes: str) -> None:
    """They are refused, as in scikit-learn; partial_fit may see a part of them."""
    X, y = data("classes")
    other = np.resize(list(classes), ROWS)
    for classifier in pair("classes", warm_start=True, max_iter=1):
        classifier.fit(X, y)
        with pytest.raises(
            ValueError, match=r"^warm_start can only be used where `y` has the same"
        ):
            classifier.fit(X, other)
    classifier = MLPClassifier(max_iter=1).fit(X, y)
    classifier.partial_fit(X[:9], np.resize(["a", "b"], 9))


def test_other_layers_with_warm_start() -> None:
    """The network stays as it is."""
    X, y = data("number")
    regressor = MLPRegressor(hidden_layer_sizes=4, warm_start=True, max_iter=1).fit(X, y)
    with pytest.raises(pynn.ArgumentError, match=r"hidden_layer_sizes must be \[4\], .* got \[5\]"):
        regressor.set_params(hidden_layer_sizes=5).fit(X, y)
