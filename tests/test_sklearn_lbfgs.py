"""pynn.sklearn with the solver "lbfgs" and the loss "poisson", beside scikit-learn's own."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn_pairs import KINDS, ROWS, data, pair

import pynn
from pynn.sklearn import MLPClassifier, MLPRegressor

LBFGS: dict[str, Any] = {"solver": "lbfgs", "batch_size": "auto", "alpha": 0.5, "tol": 1e-4}


# For several numbers, what scikit-learn's own search compares is not what its gradient is of.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "numbers"])
def test_the_minimum_is_scikit_learns(kind: str) -> None:
    """Without a hidden layer's bend there is one minimum: the same loss, the same predictions."""
    X, y = data(kind)
    given = LBFGS | {"hidden_layer_sizes": 4, "activation": "identity", "max_iter": 2000}
    ours, theirs = pair(kind, **given)
    ours.fit(X, y)
    theirs.fit(X, y)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-3)
    if kind == "number":
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=0.01)
    else:
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=0.01)
    assert ours.loss_curve_[-1] == ours.loss_ == ours.best_loss_
    assert ours.n_iter_ == len(ours.loss_curve_) < 200


def test_weights_count() -> None:
    """Rows with weights 3 and 0 are rows three times and none."""
    X, y = data("classes")
    weights = np.random.default_rng(0).choice([0.0, 1.0, 3.0], ROWS)
    ours, theirs = pair("classes", **LBFGS | {"activation": "identity", "max_iter": 2000})
    ours.fit(X, y, weights)
    theirs.fit(np.repeat(X, weights.astype(int), axis=0), np.repeat(y, weights.astype(int)))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=0.01)


@pytest.mark.parametrize("limit", [{"max_iter": 3}, {"max_fun": 4}])
def test_a_limit_ends_it_with_a_warning(limit: dict[str, int]) -> None:
    """It says which parameter to raise."""
    X, y = data("classes")
    classifier = MLPClassifier(solver="lbfgs", tol=0.0, random_state=0, **limit)
    with pytest.warns(ConvergenceWarning, match=rf"{next(iter(limit))}=\d .*raise max_iter"):
        classifier.fit(X, y)
    assert classifier.n_iter_ <= 4


def test_what_the_solver_leaves_alone() -> None:
    """early_stopping holds nothing out; validation and callbacks do what they do elsewhere."""
    X, y = data("classes")
    seen: list[pynn.EpochResult] = []
    classifier = MLPClassifier(
        **LBFGS, early_stopping=True, callbacks=lambda it: seen.append(it) or it.epoch == 5
    )
    classifier.fit(X, y, validation=(X, y))
    assert classifier.best_validation_score_ is None
    assert classifier.n_iter_ == len(seen) == len(classifier.validation_scores_) == 5
    classifier.set_params(warm_start=True, callbacks=None)
    other = pickle.loads(pickle.dumps(classifier.set_params(tol=0.01)))
    assert other.fit(X, y).loss_ < classifier.loss_


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    """The advice is about the features, because there is no learning rate."""
    X = np.full((4, 2), 3e38, np.float32)
    with pytest.raises(ValueError, match=r"non-finite.* epoch 1\. Try features scaled to about 1"):
        MLPRegressor(solver="lbfgs").fit(X, [1, 2, 3, 4])


# ------------------------------------------------------------ poisson


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_poisson_steps_are_scikit_learns(solver: str, outputs: int) -> None:
    """Losses epoch by epoch, and what is predicted."""
    X, y = data("numbers")
    counts = np.random.default_rng(1).poisson(np.exp(y))[:, :outputs]
    counts = counts[:, 0] if outputs == 1 else counts
    ours, theirs = pair("number", loss="poisson", solver=solver, alpha=0.1)
    with pytest.warns(ConvergenceWarning):
        ours.fit(X, counts)
        theirs.fit(X, counts)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=2e-3)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)
    assert ours.out_activation_ == theirs.out_activation_ == "exp"
    assert ours.score(X, counts) == pytest.approx(theirs.score(X, counts), abs=1e-3)


def test_poisson_stops_early() -> None:
    """The loss and R2 on what is held out are those of the rates."""
    X, y = data("numbers")
    counts = np.random.default_rng(1).poisson(np.exp(y[:, 0]))
    ours, theirs = pair("number", loss="poisson", early_stopping=True, max_iter=5)
    with pytest.warns(ConvergenceWarning):
        ours.fit(X, counts)
        theirs.fit(X, counts)
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=1e-3)
    with pytest.warns(ConvergenceWarning):
        held_out = ours.fit(X, counts, validation=(X, counts)).validation_loss_curve_[-1]
    best = int(np.argmax(ours.validation_scores_))
    rates = ours.predict(X).astype(np.float64)
    terms = counts * np.log(np.maximum(counts, 1) / rates) - counts + rates
    assert best == 4 and held_out == pytest.approx(terms.mean(), rel=1e-4)


# ------------------------------------------------------------ first weights


@pytest.mark.parametrize("by", ["partial_fit", "warm_start"])
def test_weights_may_be_given_first(by: str) -> None:
    """They are kept until there is a model; a fit without warm_start draws its own."""
    X, y = data("number")
    rng = np.random.default_rng(2)
    coefs = [rng.normal(size=(6, 3)), rng.normal(size=(3, 1))]
    given: dict[str, Any] = {"hidden_layer_sizes": 3, "learning_rate_init": 1e-9, "max_iter": 1}
    regressor = MLPRegressor(**given)
    regressor.coefs_ = coefs
    assert not hasattr(regressor, "intercepts_")
    regressor.coefs_[0] = 2 * coefs[0]
    regressor.intercepts_ = [np.zeros(3), np.ones(1)]
    if by == "partial_fit":
        regressor.partial_fit(X, y)
    else:
        with pytest.warns(ConvergenceWarning):
            regressor.set_params(warm_start=True).fit(X, y)
    np.testing.assert_allclose(regressor.coefs_[0], 2 * coefs[0], atol=1e-6)
    np.testing.assert_allclose(regressor.intercepts_[1], [1.0], atol=1e-6)
    assert regressor._optimizer.learning_rate == 1e-9
    wrong = MLPRegressor(hidden_layer_sizes=3, warm_start=True)
    wrong.coefs_ = coefs[:1]
    with pytest.raises(pynn.ArgumentError, match="must have the shapes"):
        wrong.fit(X, y)
    wrong = MLPRegressor(**given).set_params(max_iter=1)
    wrong.coefs_ = coefs
    with pytest.warns(ConvergenceWarning):  # without warm_start they are drawn
        assert np.abs(wrong.fit(X, y).coefs_[0] - coefs[0]).max() > 0.1
