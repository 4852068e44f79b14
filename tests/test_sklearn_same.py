"""pynn.sklearn beside scikit-learn's own estimators: the same parameters, losses and weights."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import sklearn.neural_network
from sklearn_pairs import KINDS, ROWS, data, pair

import pynn
from pynn.sklearn import MLPClassifier

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def assert_same(ours: Any, theirs: Any, tolerance: float = 2e-4, curve: float = 0.0) -> None:
    """The same curve, the same end of it, the same weights."""
    assert ours.n_iter_ == theirs.n_iter_
    rtol = max(tolerance, curve)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    for own, other in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(own, other, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_are_scikit_learns(name: str) -> None:
    """Names, order, defaults and which may go without a name; what is more has a name."""
    theirs = inspect.signature(getattr(sklearn.neural_network, name)).parameters
    ours = inspect.signature(getattr(pynn.sklearn, name)).parameters
    assert [(p.name, p.default, p.kind) for p in ours.values()][: len(theirs)] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]
    more = list(ours.values())[len(theirs) :]
    assert {p.name for p in more} <= {"dropout", "callbacks", "class_weight"}
    assert {p.kind for p in more} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("kind", KINDS)
def test_attributes_are_scikit_learns(kind: str) -> None:
    """After a fit there are the same attributes, with the same types and shapes."""
    X, y = data(kind)
    ours, theirs = pair(kind)
    ours.fit(X, y)
    theirs.fit(X, y)
    for name in (name for name in vars(theirs) if name.endswith("_") and name[0] != "_"):
        own, other = getattr(ours, name), getattr(theirs, name)
        assert np.shape(own) == np.shape(other) if name == "classes_" else True
        if name not in ("coefs_", "intercepts_", "loss_", "best_loss_", "loss_curve_"):
            np.testing.assert_array_equal(own, other, err_msg=name)
    assert [w.shape for w in ours.coefs_] == [w.shape for w in theirs.coefs_]
    assert [b.shape for b in ours.intercepts_] == [b.shape for b in theirs.intercepts_]
    assert ours.best_loss_ == min(ours.loss_curve_)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_the_same_way(kind: str, solver: str) -> None:
    """Each kind of target, with a penalty that shows: losses, weights and predictions agree."""
    X, y = data(kind)
    ours, theirs = pair(kind, solver=solver, alpha=0.5)
    # The penalty in the curve is taken to change evenly within an epoch.
    assert_same(ours.fit(X, y), theirs.fit(X, y), curve=2e-3)
    if kind.startswith("number"):
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=2e-3)
    else:
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-3)
        assert (ours.predict(X) == theirs.predict(X)).mean() > 0.99
        assert ours.predict(X).dtype == theirs.predict(X).dtype


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activations_are_scikit_learns(activation: str) -> None:
    """Each gives the same training, first weights included."""
    ours, theirs = pair("classes", activation=activation)
    tolerance = 2e-3 if activation == "relu" else 2e-4
    assert_same(ours.fit(*data("classes")), theirs.fit(*data("classes")), tolerance)


@pytest.mark.parametrize(
    "parameters",
    [
        {"momentum": 0.0},
        {"momentum": 0.5, "nesterovs_momentum": False},
        {"momentum": 0.8, "nesterovs_momentum": True},
        {"learning_rate": "invscaling", "momentum": 0.0, "learning_rate_init": 0.5},
        {"learning_rate": "invscaling", "momentum": 0.0, "power_t": 0.1},
        {"learning_rate": "invscaling", "learning_rate_init": 0.2},
        {"learning_rate": "invscaling", "learning_rate_init": 0.2, "nesterovs_momentum": False},
        {"learning_rate": "invscaling", "momentum": 0.99, "power_t": 30.0},  # the rate is all but 0
        {"learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
        {
            "learning_rate": "adaptive",
            "tol": 1.0,
            "n_iter_no_change": 1,
            "nesterovs_momentum": False,
        },
        {"learning_rate": "adaptive", "momentum": 0.0, "tol": 1.0, "n_iter_no_change": 1},
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9},
        {"solver": "adam", "hidden_layer_sizes": ()},
        {"solver": "adam", "hidden_layer_sizes": 7, "batch_size": "auto"},
        {"solver": "adam", "hidden_layer_sizes": np.array([4, 3])},
    ],
    ids=str,
)
def test_steps_are_scikit_learns(parameters: dict[str, Any]) -> None:
    """Momentum of both kinds, the three learning rates, Adam's constants, shapes."""
    ours, theirs = pair("classes", **{"solver": "sgd", **parameters})
    assert_same(ours.fit(*data("classes")), theirs.fit(*data("classes")))


@pytest.mark.parametrize("kind", KINDS)
def test_epsilon_is_scikit_learns(kind: str) -> None:
    """Where it is larger than the gradients, and Adam's start, where the two differ, is short."""
    ours, theirs = pair(kind, epsilon=0.3, beta_2=0.1, learning_rate_init=0.05)
    assert_same(ours.fit(*data(kind)), theirs.fit(*data(kind)), 1e-2)


@pytest.mark.parametrize(
    "parameters",
    [
        {"tol": 0.02, "n_iter_no_change": 3},
        {"tol": 1.0, "n_iter_no_change": 1, "learning_rate": "adaptive", "solver": "sgd"},
        {"tol": 0.5, "n_iter_no_change": 10},
    ],
    ids=str,
)
def test_training_ends_as_scikit_learns(parameters: dict[str, Any]) -> None:
    """After as many epochs without progress; an adaptive rate gets small first."""
    ours, theirs = pair("binary", max_iter=150, momentum=0.0, **parameters)
    ours.fit(*data("binary"))
    theirs.fit(*data("binary"))
    assert ours.n_iter_ == theirs.n_iter_ < 150


@pytest.mark.parametrize("kind", ["binary", "labels", "number", "numbers"])
def test_early_stopping_is_scikit_learns(kind: str) -> None:
    """The same examples are held out, the scores and the epoch of the best weights agree."""
    X, y = data(kind)
    if kind == "binary":
        y = (y == "yes").astype(int)  # with names, scikit-learn 1.7's own fails
    ours, theirs = pair(kind, early_stopping=True, max_iter=12, batch_size=36)
    ours.fit(X, y)
    theirs.fit(X, y)
    step = 1 / 24 if kind in ("binary", "labels") else 2e-3  # an example may go either way
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=step)
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert ours.best_loss_ is None
    assert len(ours.validation_loss_curve_) == 12
    assert_same(ours, theirs)


def test_weights_of_examples_are_scikit_learns() -> None:
    """With all examples in one batch, where the sums that they are divided by are the same."""
    X, y = data("classes")
    weights = np.random.default_rng(1).uniform(0.1, 3, ROWS)
    ours, theirs = pair("classes", batch_size=ROWS, alpha=5.0)
    assert_same(ours.fit(X, y, weights), theirs.fit(X, y, weights))


def test_partial_fit_is_scikit_learns() -> None:
    """Pieces of different sizes, each in whole batches; the optimizer goes on between them."""
    X, y = data("classes")
    ours, theirs = pair("classes", solver="sgd", batch_size=20)
    for piece in (slice(0, 100), slice(100, 140), slice(140, 240)):
        ours.partial_fit(X[piece], y[piece], classes=np.unique(y))
        theirs.partial_fit(X[piece], y[piece], classes=np.unique(y))
    assert_same(ours, theirs)
    assert (ours.t_, ours.n_iter_) == (theirs.t_, theirs.n_iter_) == (240, 1)


@pytest.mark.parametrize("schedule", ["invscaling", "adaptive"])
@pytest.mark.parametrize("kind", ["binary", "labels", "numbers"])
def test_momentum_is_kept_from_call_to_call(kind: str, schedule: str) -> None:
    """Also where the rate falls at the end of a call, and where a loss is a multiple of pynn's."""
    X, y = data(kind)
    rate = {"learning_rate": schedule, "learning_rate_init": 0.1, "n_iter_no_change": 1}
    ours, theirs = pair(kind, solver="sgd", tol=1.0, **rate)
    for each in (ours, theirs):
        each.set_params(max_iter=4).fit(X, y)
        for _ in range(4):
            each.partial_fit(X, y)
    assert_same(ours, theirs)


def test_a_rate_that_falls_to_nothing() -> None:
    """Beyond the least float it is 0: what moves still moves, for ever less."""
    X, y = data("number")
    estimator = pair("number", solver="sgd", learning_rate="invscaling", power_t=300.0)[0]
    curve = estimator.fit(X, y).loss_curve_
    assert len(set(curve)) > 3 and np.isfinite(curve).all()


SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_setting_is_scikit_learns(seed: int) -> None:
    """Drawn at random: every figure that there is, also after a warm start and partial_fit."""
    rng = np.random.default_rng([20, seed])
    kind = KINDS[seed % len(KINDS)]
    X, y = data(kind)
    if kind == "binary":
        y = (y == "yes").astype(int)
    early_stopping = bool(rng.random() < 0.3)
    ours, theirs = pair(
        kind,
        solver="sgd",
        learning_rate=str(rng.choice(["constant", "invscaling", "adaptive"])),
        learning_rate_init=float(rng.choice([0.1, 0.05, 0.01])),
        power_t=float(rng.choice([0.1, 0.5, 1.0])),
        momentum=float(rng.choice([0.0, 0.5, 0.9])),
        nesterovs_momentum=bool(rng.random() < 0.5),
        max_iter=int(rng.integers(3, 20)),
        batch_size=36 if early_stopping else int(rng.choice([24, 40, ROWS])),
        tol=float(rng.choice([0.0, 1e-3, 0.05])),
        n_iter_no_change=int(rng.choice([1, 2, 5])),
        early_stopping=early_stopping,
        warm_start=bool(rng.random() < 0.3),
    )
    for each in (ours, theirs):
        each.fit(X, y)
        if each.warm_start:
            each.fit(X, y)
        if not early_stopping:
            each.partial_fit(X, y)
    assert_same(ours, theirs)
    for name in ("t_", "n_layers_", "n_outputs_", "out_activation_", "_no_improvement_count"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_", "validation_scores_"):
        own, other = getattr(ours, name), getattr(theirs, name)
        assert (own is None) == (other is None), name
        if own is not None:  # of a score an example may go either way
            np.testing.assert_allclose(own, other, atol=0.05 if "validation" in name else 1e-3)


def test_warm_start_is_scikit_learns() -> None:
    """The weights, the curve and the count of examples go on; the optimizer starts anew."""
    X, y = data("number")
    ours, theirs = pair("number", warm_start=True, max_iter=3)
    assert_same(ours.fit(X, y).fit(X, y), theirs.fit(X, y).fit(X, y))
    assert len(ours.loss_curve_) == 6
    assert ours.t_ == theirs.t_ == 6 * ROWS


@pytest.mark.parametrize("early_stopping", [True, False])
def test_early_stopping_can_be_switched_with_warm_start(early_stopping: bool) -> None:
    """What counts as the best so far is of the kind that is looked at."""
    X, y = data("classes")
    classifier = MLPClassifier(
        warm_start=True, early_stopping=not early_stopping, max_iter=2, random_state=0
    ).fit(X, y)
    classifier.set_params(early_stopping=early_stopping).fit(X, y)
    assert (classifier.best_loss_ is None) == early_stopping
    assert (classifier.best_validation_score_ is not None) == early_stopping


@pytest.mark.parametrize("loss", ["one of a class", "forty rows of ten"])
def test_few_of_a_class_are_held_out_or_not(loss: str) -> None:
    """As in scikit-learn's own only two classes are held out alike: more need no example each."""
    X = np.random.default_rng(3).normal(size=(40, 5))
    y = np.arange(40) % 10
    if loss == "one of a class":
        y = np.minimum(np.arange(40) % 3, np.arange(40) // 39 * 2)
        y[:20] = 1
    kinds = [MLPClassifier, sklearn.neural_network.MLPClassifier]
    fitted = [
        kind(early_stopping=True, max_iter=2, random_state=0, hidden_layer_sizes=(4,)).fit(X, y)
        for kind in kinds
    ]
    assert len(fitted[0].validation_scores_) == len(fitted[1].validation_scores_)
