"""pynn.sklearn: what its estimators have besides, and what they warn of and print."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn_pairs import KINDS, ROWS, data, pair

import pynn
from pynn.sklearn import MLPClassifier, MLPRegressor

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    """Arrays of the same shapes can; others are an error, and change nothing."""
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
    """It points to the line that called fit, where max_iter ends it; partial_fit does not warn."""
    X, y = data("classes")
    with pytest.warns(ConvergenceWarning, match="max_iter=2") as seen:
        MLPClassifier(max_iter=2).fit(X, y)
    assert [warning.filename for warning in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(max_iter=1).partial_fit(X, y, classes=np.unique(y))


def test_too_large_a_batch_is_a_warning() -> None:
    """Such a batch is taken as all examples."""
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
    """With the same random_state each call has dropout masks of its own."""
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
