"""pynn.sklearn in scikit-learn's searches, pipelines and pickles."""

from __future__ import annotations

import copy
import pickle
import tempfile
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_pairs import KINDS, data, pair

from pynn.sklearn import MLPClassifier

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_grid_search() -> None:
    """It searches parameters of both kinds in a pipeline, and refits with the best."""
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
    """A clone has the same parameters and nothing else."""
    estimator = MLPClassifier((3,), dropout=0.1, max_iter=2).fit(*data("classes"))
    other = clone(estimator)
    assert other.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        other.predict(data("classes")[0])
    assert repr(other) == "MLPClassifier(dropout=0.1, hidden_layer_sizes=(3,), max_iter=2)"
