"""pynn.sklearn: its estimators beside scikit-learn's own, and what they have besides."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import runpy
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn.neural_network
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

import pynn
from pynn.sklearn import MLPClassifier, MLPRegressor

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("binary", "classes", "labels", "number", "numbers")
ROWS = 240


def data(kind: str, dtype: Any = np.float64) -> tuple[Any, Any]:
    """Examples (240, 6) of which a small network can learn most, with targets of some kind."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(ROWS, 6)).astype(dtype)
    scores = np.tanh(X @ rng.normal(size=(6, 3))) + 0.1 * rng.normal(size=(ROWS, 3))
    y = {
        "binary": np.where(scores[:, 0] > 0, "yes", "no"),
        "classes": np.array(["a", "b", "c"])[scores.argmax(axis=1)],
        "labels": (scores > 0.2).astype(int),
        "number": scores[:, 0],
        "numbers": scores,
    }
    return X, y[kind]


def pair(kind: str, **parameters: Any) -> tuple[Any, Any]:
    """Ours and scikit-learn's own with the same parameters, in the order of the examples."""
    name = "MLPRegressor" if kind.startswith("number") else "MLPClassifier"
    given = {
        "hidden_layer_sizes": (9, 5),
        "activation": "tanh",  # without a kink, at which roundings part ways
        "batch_size": 40,
        "max_iter": 8,
        "learning_rate_init": 0.01,
        "shuffle": False,
        "tol": 0.0,
        "random_state": 3,
        **parameters,
    }
    theirs = getattr(sklearn.neural_network, name)(**given)
    return (MLPClassifier if name == "MLPClassifier" else MLPRegressor)(**given), theirs


def assert_same(ours: Any, theirs: Any, tolerance: float = 2e-4, curve: float = 0.0) -> None:
    """The same curve, the same end of it, the same weights."""
    assert ours.n_iter_ == theirs.n_iter_
    rtol = max(tolerance, curve)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    for own, other in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(own, other, rtol=0, atol=10 * tolerance)


# ------------------------------------------------------------ scikit-learn's own checks


def name_of(check: Any) -> str:
    """A check's name, with what it is called with."""
    arguments = "".join(f"-{key}={value}" for key, value in getattr(check, "keywords", {}).items())
    return str(getattr(check, "func", check).__name__) + arguments


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name_of(check)}")
        for made in (MLPClassifier(), MLPRegressor())
        for estimator, check in estimator_checks_generator(made)
    ],
)
def test_estimator_check(estimator: Any, check: Any) -> None:
    """Every check that scikit-learn has for an estimator of its kind; none is expected to fail."""
    check(estimator)


# ------------------------------------------------------------ the same as scikit-learn's own


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
    """What is there after a fit, with the same types and shapes."""
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
    """Also in how their first weights are drawn."""
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
    """Where the rate falls at the end of a call, and in the multiples that some losses need."""
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


# ------------------------------------------------------------ in scikit-learn's tools


def test_grid_search() -> None:
    """In a pipeline, over parameters of both kinds, refitted with the best."""
    X, y = data("classes")
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=30, random_state=0))
    grid = {
        "mlpclassifier__hidden_layer_sizes": [(8,), (8, 8)],
        "mlpclassifier__learning_rate_init": [1e-6, 0.03],
        "mlpclassifier__dropout": [0.0, 0.1],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_["mlpclassifier__learning_rate_init"] == 0.03
    assert search.best_score_ > 0.8
    assert search.score(X, y) > 0.85


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_cross_val_score(kind: str) -> None:
    """Every fold is learnt."""
    estimator = pair(kind, max_iter=60, shuffle=True)[0]
    assert cross_val_score(estimator, *data(kind), cv=3, error_score="raise").min() > 0.7


def through_joblib(estimator: Any) -> Any:
    """Arrays mapped from the file, which cannot be written to."""
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(estimator, f"{folder}/estimator")
        return joblib.load(f"{folder}/estimator", mmap_mode="r")


def through_skops(estimator: Any) -> Any:
    """Of which nothing but the classes is taken on trust."""
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(estimator)
    types = skops.get_untrusted_types(data=content)
    assert {name.partition(".")[0] for name in types} <= {"pynn"}
    return skops.loads(content, trusted=types)


def through_cloudpickle(estimator: Any) -> Any:
    """What joblib sends to its processes."""
    cloudpickle = pytest.importorskip("cloudpickle")
    return pickle.loads(cloudpickle.dumps(estimator))


WAYS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "old pickle": lambda estimator: pickle.loads(pickle.dumps(estimator, protocol=0)),
    "deepcopy": copy.deepcopy,
    "joblib": through_joblib,
    "skops": through_skops,
    "cloudpickle": through_cloudpickle,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_kept_estimators_go_on(kind: str, way: str) -> None:
    """They predict the same, their arrays are their model's, and the training goes on as it was."""
    X, y = data(kind)
    sgd = {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1}
    estimator = pair(kind, **(sgd if kind == "classes" else {}))[0]
    estimator.set_params(dropout=0.1).fit(X, y)
    again = WAYS[way](estimator)
    np.testing.assert_array_equal(again.predict(X), estimator.predict(X))
    again.coefs_[0][...] = 0
    assert not again.model_.parameters["dense1.weight"].any()
    assert estimator.coefs_[0].any()
    for each in (estimator, again):
        each.coefs_[0][...] = 0.5
        each.partial_fit(X, y).partial_fit(X, y)
    assert again.loss_curve_ == estimator.loss_curve_
    np.testing.assert_array_equal(again.coefs_[1], estimator.coefs_[1])
    for each in (estimator, again):
        each.set_params(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(again.coefs_[1], estimator.coefs_[1])


def test_clone_is_unfitted() -> None:
    """With the same parameters and nothing else."""
    estimator = MLPClassifier((3,), dropout=0.1, max_iter=2).fit(*data("classes"))
    other = clone(estimator)
    assert other.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        other.predict(data("classes")[0])
    assert repr(other) == "MLPClassifier(dropout=0.1, hidden_layer_sizes=(3,), max_iter=2)"


# ------------------------------------------------------------ examples


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_bytes_are_plain_numbers(estimator: type[Any]) -> None:
    """uint8 is not scaled, unlike in pynn: it gives the same bits as its values in float32."""
    X = np.random.default_rng(2).integers(0, 9, (50, 4), np.uint8)
    y = (X[:, 0] > 4).astype(int)
    of_bytes = estimator(max_iter=5, random_state=0).fit(X, y)
    of_floats = estimator(max_iter=5, random_state=0).fit(X.astype(np.float32), y)
    np.testing.assert_array_equal(of_bytes.coefs_[0], of_floats.coefs_[0])
    np.testing.assert_array_equal(of_bytes.predict(X), of_floats.predict(X.astype(np.float32)))
    np.testing.assert_allclose(of_bytes.predict(X), of_bytes.predict(X.astype(float)), atol=1e-5)


def test_sparse_examples_are_the_same_as_dense() -> None:
    """To the bit, in training and in prediction."""
    X, y = data("classes")
    X[X < 0.5] = 0
    dense = MLPClassifier(max_iter=5, random_state=0).fit(X, y)
    sparse = MLPClassifier(max_iter=5, random_state=0).fit(csr_array(X), y)
    np.testing.assert_array_equal(sparse.coefs_[0], dense.coefs_[0])
    np.testing.assert_array_equal(sparse.predict_proba(csr_array(X)), dense.predict_proba(X))


def test_sparse_labels() -> None:
    """A sparse matrix of labels is taken as a dense one."""
    X, y = data("labels")
    dense, sparse = (pair("labels")[0].fit(X, labels) for labels in (y, csr_array(y)))
    np.testing.assert_array_equal(sparse.predict(X), dense.predict(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "activation", ["identity", "logistic", "tanh", "relu", "leaky_relu", "gelu"]
)
def test_predictions_have_the_precision_of_x(activation: str, dtype: Any) -> None:
    """float32 by C, float64 by NumPy: two ways to the same outputs."""
    X, y = data("numbers")
    regressor = pair("numbers", activation=activation)[0].fit(X, y)
    predicted = regressor.predict(X.astype(dtype))
    assert predicted.dtype == dtype
    np.testing.assert_allclose(predicted, regressor.model_(X.astype(np.float32)), atol=1e-5)


@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
def test_log_probabilities(kind: str) -> None:
    """The logarithms of the probabilities, and finite where those are zero."""
    X, y = data(kind)
    classifier = pair(kind)[0].fit(X, y)
    logarithms = classifier.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(logarithms), classifier.predict_proba(X), rtol=1e-12)
    classifier.coefs_ = [1e4 * weights for weights in classifier.coefs_]
    assert (classifier.predict_proba(X) == 0).any()
    assert np.isfinite(classifier.predict_log_proba(X)).all()


def test_one_class() -> None:
    """It is predicted for everything, with certainty."""
    X, _ = data("number")
    classifier = MLPClassifier(max_iter=2).fit(X, ["only"] * ROWS)
    assert set(classifier.predict(X)) == {"only"}
    assert classifier.predict_proba(X).tolist() == [[1.0]] * ROWS
    assert classifier.predict_log_proba(X).tolist() == [[0.0]] * ROWS


# ------------------------------------------------------------ weights of examples


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", ["auto", 16])
def test_whole_weights_are_copies(kind: str, batch_size: Any) -> None:
    """To the bit: rows of weight 0 are as if they were not there, others as often as they weigh."""
    X, y = (part[:90] for part in data(kind))
    weights = np.random.default_rng(4).integers(0, 4, 90)
    of_weights = pair(kind, batch_size=batch_size, shuffle=True)[0].fit(X, y, weights)
    of_copies = pair(kind, batch_size=batch_size, shuffle=True)[0]
    of_copies.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0))
    np.testing.assert_array_equal(of_weights.coefs_[0], of_copies.coefs_[0])
    assert of_weights.loss_curve_ == of_copies.loss_curve_


def test_examples_without_weight_are_not_held_out() -> None:
    """Early stopping splits those that count."""
    X, y = data("classes")
    kept = np.random.default_rng(0).random(ROWS) < 0.7
    one, other = (MLPClassifier(early_stopping=True, max_iter=3, random_state=0) for _ in range(2))
    one.fit(X, y, kept.astype(float))
    other.fit(X[kept], y[kept])
    assert one.validation_scores_ == other.validation_scores_
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_order_of_a_whole_batch_is_no_matter() -> None:
    """Not to a bit, as sums are taken in an order of their own."""
    X, y = (part[:150] for part in data("classes"))
    order = np.random.default_rng(0).permutation(150)
    one, other = (
        MLPClassifier(random_state=0, max_iter=9).fit(X[rows], y[rows])
        for rows in (slice(None), order)
    )
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_weights_of_copies_may_be_large() -> None:
    """They are no copies then; the sum of the weights does not matter but for the penalty."""
    X, y = data("classes")
    weights = np.where(y == "a", 1000, 100)
    large = MLPClassifier(random_state=0, max_iter=5, alpha=0).fit(X, y, weights)
    small = MLPClassifier(random_state=0, max_iter=5, alpha=0).fit(X, y, weights / 1000)
    assert large.t_ == small.t_ == 5 * ROWS
    np.testing.assert_allclose(large.coefs_[0], small.coefs_[0], atol=1e-5)


def test_class_weights_are_weights() -> None:
    """By class, beside those of examples."""
    X, y = data("classes")
    own = np.random.default_rng(0).uniform(0.5, 2, ROWS)
    by_class = MLPClassifier(random_state=0, max_iter=5, class_weight={"b": 2.5}).fit(X, y, own)
    by_row = MLPClassifier(random_state=0, max_iter=5).fit(X, y, own * np.where(y == "b", 2.5, 1))
    np.testing.assert_array_equal(by_class.coefs_[0], by_row.coefs_[0])


def test_balanced_classes() -> None:
    """A rare class is found as often as if it were not rare."""
    X, y = data("binary")
    keep = (y == "yes") | (np.arange(ROWS) % 8 == 0)
    X, y = X[keep], y[keep]
    plain, balanced = (
        MLPClassifier((4,), max_iter=40, random_state=0, class_weight=weight).fit(X, y)
        for weight in (None, "balanced")
    )
    rare = y == "no"
    assert (balanced.predict(X)[rare] == "no").mean() > (plain.predict(X)[rare] == "no").mean()


# ------------------------------------------------------------ what is more


@pytest.mark.parametrize("kind", KINDS)
def test_validation_curve(kind: str) -> None:
    """Loss and score after each epoch on data of the caller's; they are what the data give."""
    X, y = data(kind)
    estimator = pair(kind, alpha=0.0)[0].fit(X[40:], y[40:], validation=(X[:40], y[:40]))
    assert len(estimator.validation_loss_curve_) == len(estimator.validation_scores_) == 8
    assert estimator.validation_loss_curve_[-1] < estimator.validation_loss_curve_[0]
    assert estimator.validation_scores_[-1] == pytest.approx(estimator.score(X[:40], y[:40]))
    # One more epoch that changes nothing reports the loss that the weights have.
    estimator.set_params(solver="sgd", learning_rate_init=1e-30, warm_start=True, max_iter=1)
    estimator.fit(X[:40], y[:40])
    assert estimator.loss_ == pytest.approx(estimator.validation_loss_curve_[-1], rel=1e-5)


def test_held_out_data_may_lack_a_class() -> None:
    """The score is that of what is there."""
    X, y = data("classes")
    some = y != y[0]
    classifier = MLPClassifier(max_iter=3, random_state=0).fit(X, y, validation=(X[some], y[some]))
    assert classifier.validation_scores_[-1] == classifier.score(X[some], y[some])


def test_early_stopping_on_given_data() -> None:
    """It takes the place of the fraction: all the data are trained on, the best weights stay."""
    X, y = data("classes")
    classifier = MLPClassifier(
        early_stopping=True, n_iter_no_change=2, random_state=0, learning_rate_init=0.05
    ).fit(X[:200], y[:200], validation=(X[200:], y[200:]))
    assert classifier.t_ == 200 * classifier.n_iter_
    assert classifier.n_iter_ < 200
    assert classifier.score(X[200:], y[200:]) == classifier.best_validation_score_
    assert classifier.best_validation_score_ == max(classifier.validation_scores_)


def test_callbacks() -> None:
    """Each is called after each epoch with its figures; one that says True ends the training."""
    X, y = data("classes")
    results: list[pynn.EpochResult] = []
    classifier = MLPClassifier(
        callbacks=[results.append, lambda result: np.bool_(result.epoch == 3)],
        max_iter=10,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        classifier.fit(X, y, validation=(X, y))
    assert classifier.n_iter_ == 3
    assert [result.loss for result in results] == classifier.loss_curve_
    assert [result.val_loss for result in results] == classifier.validation_loss_curve_
    assert [result.val_accuracy for result in results] == classifier.validation_scores_


def test_dropout_is_for_training_alone() -> None:
    """It changes what is learnt; predictions are the same each time, and as good as the model's."""
    X, y = data("classes")
    plain, dropped = (
        MLPClassifier(dropout=rate, max_iter=20, random_state=0).fit(X, y) for rate in (0, 0.5)
    )
    assert (plain.coefs_[0] != dropped.coefs_[0]).any()
    np.testing.assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))
    assert "dropout(0.5)" in repr(dropped.model_)
    np.testing.assert_allclose(
        dropped.predict_proba(X), dropped.model_.predict_proba(X.astype(np.float32)), atol=1e-6
    )


def test_model_is_pynns(tmp_path: Path) -> None:
    """It can be saved, and predicts the same for itself."""
    X, y = data("classes", np.float32)
    classifier = MLPClassifier(max_iter=5).fit(X, y)
    classifier.model_.save(tmp_path / "model")
    classes = pynn.load(tmp_path / "model").predict(X)
    np.testing.assert_array_equal(classifier.classes_[classes], classifier.predict(X))


def test_weights_can_be_assigned() -> None:
    """Of the same shapes; others are an error, and nothing is changed then."""
    X, y = data("number")
    one, other = (
        MLPRegressor(hidden_layer_sizes=3, max_iter=2, random_state=seed).fit(X, y)
        for seed in (0, 1)
    )
    with pytest.raises(pynn.ArgumentError, match=r"shapes \(6, 3\), \(3, 1\), got \(6, 3\)$"):
        one.coefs_ = other.coefs_[:1]
    assert (one.coefs_[0] != other.coefs_[0]).any()
    one.coefs_, one.intercepts_ = other.coefs_, other.intercepts_
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_partial_fit_is_fit_in_pieces() -> None:
    """So many calls with all examples are a fit of so many epochs, to the bit."""
    X, y = data("classes")
    whole = pair("classes", max_iter=3, shuffle=True)[0].fit(X, y)
    pieces = pair("classes", shuffle=True)[0]
    for _ in range(3):
        pieces.partial_fit(X, y, classes=["c", "a", "b"])
    np.testing.assert_array_equal(pieces.coefs_[0], whole.coefs_[0])
    np.testing.assert_allclose(pieces.loss_curve_, whole.loss_curve_, rtol=1e-12)


def test_labels_need_no_classes_in_partial_fit() -> None:
    """The first y says how many there are."""
    X, y = data("labels")
    classifier = pair("labels")[0].partial_fit(X, y)
    assert classifier.classes_.tolist() == [0, 1, 2]


# ------------------------------------------------------------ warnings and output


def test_not_converged_is_a_warning() -> None:
    """Where max_iter ends the training, at the line that called fit; not in partial_fit."""
    X, y = data("classes")
    with pytest.warns(ConvergenceWarning, match="max_iter=2") as seen:
        MLPClassifier(max_iter=2).fit(X, y)
    assert [warning.filename for warning in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(max_iter=1).partial_fit(X, y, classes=np.unique(y))


def test_too_large_a_batch_is_a_warning() -> None:
    """It is taken as all examples."""
    X, y = data("classes")
    with pytest.warns(UserWarning, match="batch_size=999 is more than the 240 examples") as seen:
        large = MLPClassifier(batch_size=999, max_iter=3, random_state=0).fit(X, y)
    assert seen[0].filename == __file__
    whole = MLPClassifier(batch_size=ROWS, max_iter=3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(large.coefs_[0], whole.coefs_[0])


@pytest.mark.parametrize("verbose", [False, True, 10])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {
            "early_stopping": True,
            "batch_size": 36,
            "tol": 0.5,
            "n_iter_no_change": 2,
            "max_iter": 9,
        },
        {"tol": 9.0, "n_iter_no_change": 1},
        {"tol": 9.0, "n_iter_no_change": 1, "learning_rate": "adaptive", "max_iter": 40},
    ],
    ids=str,
)
def test_verbose_prints_scikit_learns_lines(
    parameters: dict[str, Any], verbose: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same words, and numbers of as many places; nothing without."""
    X, y = data("number")
    printed = []
    for each in pair("number", solver="sgd", verbose=verbose, **parameters):
        each.fit(X, y)
        if not parameters:
            each.partial_fit(X, y)
        printed.append(capsys.readouterr().out)
    assert [re.sub(r"\d", "0", text) for text in printed] == [re.sub(r"\d", "0", printed[1])] * 2
    assert (printed[0] == "") == (not verbose)


def test_ctrl_c_keeps_what_there_is() -> None:
    """A warning says so, and the estimator can be used."""
    X, y = data("classes")

    def interrupt(result: pynn.EpochResult) -> None:
        if result.epoch == 2:
            raise KeyboardInterrupt

    classifier = MLPClassifier(callbacks=interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        classifier.fit(X, y)
    assert (classifier.n_iter_, len(classifier.loss_curve_)) == (2, 2)
    assert len(classifier.predict(X)) == ROWS


# ------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"solver": "lbfgs"}, ValueError, r"take 'sgd' or 'adam', or scikit-learn's own"),
        ({"solver": "rprop"}, ValueError, "solver must be 'sgd' or 'adam', got str 'rprop'"),
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
        ({"class_weight": {"z": 1}}, ValueError, "class_weight: 'z' is none of the classes: a, b"),
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
    """As scikit-learn's are, whatever is wrong with them."""
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


# ------------------------------------------------------------ divergence

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
    """With a warning; where there is none yet, the weights it began with, as scikit-learn does."""
    X, y = data(kind)
    if kind == "binary":
        y = (y == "yes").astype(int)
    wild = {**WILD, "early_stopping": True, "learning_rate_init": rate, "batch_size": 36}
    estimator = pair(kind, **wild | {"max_iter": 500}, n_iter_no_change=500)[0]
    estimator.set_params(hidden_layer_sizes=(), alpha=75.0, momentum=0.0)  # they double each step
    with pytest.warns(ConvergenceWarning, match=r"in epoch [0-9]+, and the weights are t") as seen:
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
    assert estimator.model_._state.moments == []  # those that are not finite do not stay


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
    with pytest.warns(ConvergenceWarning, match="in epoch 1, and the weights are t"):
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


def test_wrong_validation() -> None:
    """A pair of X and y, not a fraction: that is validation_fraction."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"validation must be a pair \(X, y\), got"):
        MLPClassifier().fit(*data("classes"), validation=0.2)


def test_one_example_is_too_few_to_validate_on() -> None:
    """R2 needs two."""
    regressor = MLPRegressor(early_stopping=True, validation_fraction=0.004)
    with pytest.raises(pynn.ArgumentError, match=r"at least 2 examples to validate with, got 1"):
        regressor.fit(*data("number"))


@pytest.mark.parametrize("rate", [1e5, 1234567.25])
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "adaptive"])
def test_divergence_names_the_rate_as_it_was_given(schedule: str, rate: float) -> None:
    """Not the one that a step of pynn takes for it."""
    X, y = data("numbers")
    regressor = MLPRegressor(
        solver="sgd", learning_rate=schedule, learning_rate_init=rate, random_state=1
    )
    with pytest.raises(
        pynn.DivergenceError, match=f"a smaller learning_rate_init than {rate:.9g}, "
    ):
        regressor.fit(1000 * X, y)


@pytest.mark.parametrize("weight", [1e308, 1.7e308])
def test_weights_too_large_to_add_up_are_refused(weight: float) -> None:
    """Those given, and their products with those of classes; without a warning of NumPy's."""
    X, y = data("classes")
    with pytest.raises(pynn.ArgumentError, match=r"^sample_weight must have a sum that is finite"):
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


def test_poisson_is_refused() -> None:
    """With the way to scikit-learn's own."""
    with pytest.raises(pynn.ArgumentError, match="loss='poisson' is not pynn's: take 'squared"):
        MLPRegressor("poisson").fit(*data("number"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"early_stopping": True}, "partial_fit does not support early_stopping=True, as it is"),
        ({"class_weight": "balanced"}, "class_weight='balanced' cannot be had with partial_fit"),
    ],
)
def test_what_partial_fit_cannot_have(parameters: dict[str, Any], message: str) -> None:
    """What needs all examples at once is refused."""
    with pytest.raises(pynn.ArgumentError, match=message):
        MLPClassifier(**parameters).partial_fit(*data("classes"), classes=["a", "b", "c"])


def test_partial_fit_needs_the_classes() -> None:
    """In its first call, where y may not hold all."""
    with pytest.raises(pynn.ArgumentError, match="classes must be given in the first call"):
        MLPClassifier().partial_fit(*data("classes"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "d"] * 120, "y must hold classes of the first call, .*, got .*'d'"),
        (np.ones((ROWS, 3), int), r"y must have shape \(n,\), as in the first call: \(240, 3\)"),
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
    """There are none, as each row has several."""
    with pytest.raises(pynn.ArgumentError, match="class_weight cannot be had with several labels"):
        MLPClassifier(class_weight="balanced").fit(*data("labels"))


def test_several_columns_that_are_no_labels() -> None:
    """Classes in several columns are refused, other than labels."""
    X, _ = data("labels")
    with pytest.raises(pynn.ArgumentError, match="matrix of 0 and 1"):
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
    with pytest.raises(pynn.ArgumentError, match=r"up to 3\.4e\+38; .*TransformedTargetRegressor"):
        MLPRegressor().fit(X, y * 1e300)


@pytest.mark.parametrize("classes", ["ab", "abcd", "abd"])
def test_other_classes_with_warm_start(classes: str) -> None:
    """As scikit-learn has it they must be the same; a part of them is for partial_fit."""
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


# ------------------------------------------------------------ import


def run_python(code: str, folder: Path) -> str:
    """What a program prints in an interpreter of its own, away from the sources."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_import_pynn_does_not_import_scikit_learn(tmp_path: Path) -> None:
    """It is for those who ask for it."""
    code = "import sys, pynn; print([m for m in sys.modules if 'sklearn' in m or 'scipy' in m])"
    assert run_python(code, tmp_path) == "[]\n"


def test_missing_scikit_learn_is_said(tmp_path: Path) -> None:
    """With the command that installs it."""
    code = """if True:
        import sys
        sys.modules["sklearn"] = None
        try:
            import pynn.sklearn
        except ImportError as error:
            print(error)
    """
    expected = "pynn.sklearn needs scikit-learn: pip install 'pynn-blas[sklearn]'\n"
    assert run_python(code, tmp_path) == expected


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


def test_an_array_of_coefs_can_be_replaced() -> None:
    """What is assigned is written into the model; what does not fit is refused."""
    X, y = data("classes")
    classifier = MLPClassifier(max_iter=1, random_state=0).fit(X, y)
    zeros = np.zeros_like(classifier.coefs_[0])
    classifier.coefs_[0] = zeros
    classifier.intercepts_[-1:] = [np.ones_like(classifier.intercepts_[-1])]
    assert not classifier.coefs_[0].any()
    assert (classifier.intercepts_[-1] == 1).all()
    with pytest.raises(pynn.ArgumentError, match="must have the shapes"):
        classifier.coefs_[0] = zeros.T


def test_a_setting_after_fit_is_for_the_next_one() -> None:
    """Predictions go on with the activation that was trained, in either precision."""
    X, y = data("classes")
    classifier = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    before = classifier.predict_proba(X.astype(np.float64))
    classifier.set_params(activation="tanh")
    np.testing.assert_array_equal(classifier.predict_proba(X.astype(np.float64)), before)
    np.testing.assert_allclose(classifier.predict_proba(X.astype(np.float32)), before, atol=1e-5)


def test_a_warm_start_drops_others() -> None:
    """From the same random_state each call has masks of its own."""
    X, y = data("classes")
    options = {"dropout": 0.5, "max_iter": 1, "shuffle": False, "learning_rate_init": 1e-30}
    classifier = MLPClassifier(warm_start=True, random_state=0, solver="sgd", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(4):
            classifier.fit(X, y)
    assert len(set(classifier.loss_curve_)) == 4


def test_one_weight_for_all() -> None:
    """A number as sample_weight is that of each row."""
    X, y = data("classes")
    fitted = [
        MLPClassifier(max_iter=2, random_state=0).fit(X, y, sample_weight=weight)
        for weight in (None, 1.0)
    ]
    assert fitted[0].loss_curve_ == fitted[1].loss_curve_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("inner", ["fit", "partial_fit"])
@pytest.mark.parametrize("outer", ["fit", "partial_fit"])
def test_a_callback_cannot_fit_its_own_estimator(outer: str, inner: str) -> None:
    """It is told so, and may predict, or fit a clone; the fit that is under way goes on."""
    X, y = data("classes")
    refused: list[str] = []

    def fit(classifier: MLPClassifier, name: str) -> MLPClassifier:
        return getattr(classifier, name)(X, y, **({"classes": classes} if name != "fit" else {}))

    def nested(_: object) -> None:
        with pytest.raises(pynn.PynnError) as caught:
            fit(classifier, inner)
        refused.append(str(caught.value))
        assert classifier.predict(X).shape == y.shape
        fit(clone(classifier).set_params(callbacks=None), inner)

    classes = np.unique(y)
    classifier = MLPClassifier(max_iter=2, random_state=0, callbacks=nested)
    other = MLPClassifier(max_iter=2, random_state=0)
    assert fit(classifier, outer).loss_curve_ == fit(other, outer).loss_curve_
    assert refused
    assert all("of this MLPClassifier was called from a callback" in words for words in refused)
    assert fit(classifier.set_params(callbacks=None), inner).n_iter_ >= 1


# ------------------------------------------------------------ scikit-learn's own tests

PEERS = runpy.run_path(str(Path(__file__).parent / "peers" / "sklearn_mlp.py"))
AS_EXPECTED = {
    name: PEERS["Outcome"]("failed", f"... {PEERS['REASONS'][reason]} ...")
    for name, reason in PEERS["EXPECTED"].items()
}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"test_shuffle": ("passed", ""), "test_alpha": ("skipped", "")}, []),
        ({"test_shuffle": ("failed", "why")}, ["test_shuffle: fails\nwhy"]),
        ({"test_fit": ("passed", "")}, ["test_fit: passes, and is expected to fail because of"]),
        ({"test_fit": ("failed", "no")}, ["test_fit: fails, and not because of private names\nno"]),
        ({"test_fit": None, "test_fit[1]": ("failed", "AttributeError")}, []),
        ({"test_fit": None}, ["test_fit: is expected to fail, and is not there"]),
        (
            {"test_mlp_param_dtypes[MLPClassifier-float32]": ("failed", "")},
            ["test_mlp_param_dtypes"],
        ),
    ],
    ids=str,
)
def test_outcomes_of_scikit_learns_tests_are_judged(
    changes: dict[str, Any], lines: list[str]
) -> None:
    """What fails and should not, passes and should not, or is not there, is said."""
    changed = {n: o and PEERS["Outcome"](*o) for n, o in {**AS_EXPECTED, **changes}.items()}
    wrong = PEERS["judge"]({name: outcome for name, outcome in changed.items() if outcome})
    assert len(wrong) == len(lines)
    assert all(found.startswith(line) for found, line in zip(wrong, lines, strict=True))


def test_the_page_lists_what_fails_of_scikit_learns_tests() -> None:
    """docs/sklearn.md and the script have the same tests, for the same reasons."""
    page = (Path(__file__).parents[1] / "docs" / "sklearn.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(test_[^`]*)` \| (.*) \|$", page, re.MULTILINE)
    assert dict(rows) == PEERS["EXPECTED"]
