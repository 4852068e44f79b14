"""pynn.sklearn: forms of examples, their precision, and weights of examples and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn_pairs import KINDS, ROWS, data, pair

from pynn.sklearn import MLPClassifier, MLPRegressor

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    """The order changes no bit, as sums are taken in an order of their own."""
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
    """A class's weight is multiplied with those of its examples."""
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
