"""pynn.sklearn: training that diverges, and numbers beyond float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted
from sklearn_pairs import KINDS, data, pair

import pynn
from pynn.sklearn import MLPClassifier, MLPRegressor

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WILD: dict[str, Any] = {"solver": "sgd", "activation": "identity", "max_iter": 20}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["fit", "again", "warm", "validated", "partial_fit"])
def test_an_estimator_that_diverged_is_not_fitted(kind: str, call: str) -> None:
    """The error is a ValueError, as scikit-learn's, and starts with its words."""
    X, y = data(kind)
    estimator = pair(kind, **WILD)[0]
    if call in ("again", "warm"):
        estimator.fit(X, y)
    estimator.set_params(learning_rate_init=1e30, momentum=0.0, warm_start=call == "warm")
    first = {"classes": np.unique(y)} if kind in ("binary", "classes") else {}
    train = {
        "partial_fit": lambda: estimator.partial_fit(X, y, **first),
        "validated": lambda: estimator.fit(X, y, validation=(X, y)),
    }.get(call, lambda: estimator.fit(X, y))
    words = r"^Solver produced non-finite parameter weights\. The input .* than 1e\+30, or"
    with pytest.raises(pynn.DivergenceError, match=words) as caught:
        train()
    assert isinstance(caught.value, ValueError)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)
    with pytest.raises(NotFittedError):
        estimator.predict(X)
    estimator.set_params(learning_rate_init=0.01).fit(X, y).predict(X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [1.5, 1e30])
def test_early_stopping_keeps_the_best_before_divergence(kind: str, rate: float) -> None:
    """There is a warning; without a best epoch the first weights stay, as in scikit-learn."""
    X, y = data(kind)
    if kind == "binary":
        y = (y == "yes").astype(int)
    wild = {**WILD, "early_stopping": True, "learning_rate_init": rate, "batch_size": 36}
    estimator = pair(kind, **wild | {"max_iter": 500}, n_iter_no_change=500)[0]
    estimator.set_params(hidden_layer_sizes=(), alpha=75.0, momentum=0.0)  # they double each step
    with pytest.warns(ConvergenceWarning, match=r"in epoch [0-9]+; the weights are now t") as seen:
        estimator.fit(X, y)
    assert len(seen) == 1 and seen[0].filename == __file__
    epochs = estimator.n_iter_
    scores = estimator.validation_scores_
    assert len(scores) == len(estimator.loss_curve_) == epochs < 500
    assert type(scores[-1]) is float and np.isnan(scores[-1])
    assert estimator.t_ == 216 * epochs
    assert all(np.isfinite(array).all() for array in estimator.coefs_)
    assert (epochs > 1) == (rate == 1.5)
    if epochs > 1:
        assert estimator.best_validation_score_ == max(scores[:-1])
    assert estimator.model_._engine.state.moments == []  # those that are not finite do not stay


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_data_that_diverge_alone(kind: str) -> None:
    """Features are finite, their sums are not: an error, or with early stopping the end."""
    X, y = data(kind)
    if kind == "binary":
        y = (y == "yes").astype(int)
    X = np.repeat(X, 20, axis=1)
    held_out = (np.full_like(X[:9], 3e38), y[:9])
    estimator = pair(kind, activation="identity")[0]
    with pytest.raises(pynn.DivergenceError, match=r"features scaled .* StandardScaler$"):
        estimator.fit(X, y, validation=held_out)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)
    estimator.set_params(early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="in epoch 1; the weights are now t"):
        estimator.fit(X, y, validation=held_out)
    assert np.isnan(estimator.validation_scores_).all() and estimator.n_iter_ == 1
    assert all(np.isfinite(array).all() for array in estimator.coefs_)


@pytest.mark.parametrize("form", [np.asarray, csr_array])
@pytest.mark.parametrize("estimator", [MLPClassifier(), MLPRegressor()])
def test_features_beyond_float32(estimator: Any, form: Any) -> None:
    """They are finite, and would not be when trained on: scikit-learn's words, and the limit."""
    X, y = data("binary")
    X[3, 2] = 1e300
    with pytest.raises(
        pynn.ArgumentError, match=r"^Solver produced .* up to 1e\+300, .* 3\.4e\+38"
    ):
        clone(estimator).fit(form(X), (y == "yes").astype(int))
    X[3, 2] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        clone(estimator).fit(form(X), (y == "yes").astype(int))


@pytest.mark.parametrize("rate", [1e5, 1234567.25])
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "adaptive"])
def test_divergence_names_the_rate_as_it_was_given(schedule: str, rate: float) -> None:
    """The error has the rate that was given, not the one that a step of pynn takes for it."""
    X, y = data("numbers")
    regressor = MLPRegressor(
        solver="sgd", learning_rate=schedule, learning_rate_init=rate, random_state=1
    )
    with pytest.raises(
        pynn.DivergenceError, match=f"a smaller learning_rate_init than {rate:.9g}, "
    ):
        regressor.fit(1000 * X, y)
