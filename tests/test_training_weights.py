"""Weights of examples and of classes, and examples that are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from random_training import X, Y, build, digest, rng

import pynn
from pynn._training.examples import divide, make_data

# ------------------------------------------------------------ weights


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_weights_are_repetitions() -> None:
    """In one batch a weight of 2 is an example that is there twice, and 0 one that is not."""
    weights = rng.integers(0, 4, 210)
    chain = pynn.Builder().input(6).dense(3).softmax_cross_entropy()
    weighted, repeated = chain.build(), chain.build()
    rows = np.repeat(np.arange(210), weights)
    weighted.fit(X, Y, epochs=20, batch_size=210, sample_weight=weights)
    repeated.fit(X[rows], Y[rows], epochs=20, batch_size=len(rows))
    np.testing.assert_allclose(
        weighted._engine.parameters, repeated._engine.parameters, rtol=1e-4, atol=1e-5
    )
    plain = chain.build()
    plain.fit(X, Y, epochs=20, batch_size=210)
    assert np.abs(plain._engine.parameters - weighted._engine.parameters).max() > 1e-2


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e6])
def test_only_proportions_of_weights_matter(factor: float) -> None:
    """Weights are divided by their mean."""
    weights = rng.random(210)
    losses = [
        build().fit(X, Y, epochs=2, batch_size=40, sample_weight=w).loss
        for w in (weights, factor * weights)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_class_weight_is_a_sample_weight() -> None:
    """A dict and "balanced" are what the formulas say, and both kinds are multiplied."""
    counts = np.bincount(Y)
    by_hand = {"balanced": (210 / (3 * counts))[Y], "dict": np.array([1.0, 5.0, 0.5])[Y]}
    given: dict[str, Any] = {"balanced": "balanced", "dict": {1: 5.0, 2: 0.5}}
    extra = rng.random(210)
    for name, weights in by_hand.items():
        one, other = build(), build()
        one.fit(X, Y, epochs=2, batch_size=40, class_weight=given[name], sample_weight=extra)
        other.fit(X, Y, epochs=2, batch_size=40, sample_weight=weights * extra)
        np.testing.assert_allclose(
            one._engine.parameters, other._engine.parameters, rtol=1e-4, atol=1e-6
        )


def test_weighted_evaluation() -> None:
    """The loss is the weighted mean; the accuracy is not weighted."""
    model = build()
    weights = rng.random(210)
    losses = [model.evaluate(X[i : i + 1], Y[i : i + 1]).loss for i in range(210)]
    weighted = model.evaluate(X, Y, sample_weight=weights)
    assert weighted.loss == pytest.approx(np.average(losses, weights=weights), rel=1e-5)
    assert weighted.accuracy == model.evaluate(X, Y).accuracy


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sample_weight": np.ones(209)}, ValueError, "sample_weight must have shape (210,), one"),
        (
            {"sample_weight": -np.ones(210)},
            ValueError,
            "finite and at least 0, got -1.0 at index 0",
        ),
        ({"sample_weight": np.full(210, np.nan)}, ValueError, "got nan at index 0"),
        ({"sample_weight": np.full(210, np.inf)}, ValueError, "got inf at index 0"),
        ({"sample_weight": np.zeros(210)}, ValueError, "must have a value above 0, got zeros only"),
        (
            {"sample_weight": 1.0},
            ValueError,
            "sample_weight must have shape (210,), one weight for each example, got ()",
        ),
        ({"sample_weight": np.array(["a"] * 210)}, TypeError, "sample_weight must be numbers"),
        ({"class_weight": "even"}, TypeError, "class_weight must be 'balanced' or a dict"),
        ({"class_weight": {3: 1.0}}, ValueError, "class_weight: a class must be in [0, 2], got 3"),
        ({"class_weight": {0: -1.0}}, ValueError, "class_weight[0] must be at least 0"),
        ({"class_weight": {0: 0.0, 1: 0.0, 2: 0.0}}, ValueError, "must leave at least one that is"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False, got int 1"),
        ({"validation": 0.0}, ValueError, "validation must be greater than 0 and less than 1"),
        ({"validation": 1.0}, ValueError, "validation must be greater than 0 and less than 1"),
        ({"validation": 0.001}, ValueError, "validation must leave examples to train on and to"),
        ({"validation": 0.999}, ValueError, "validation must leave examples to train on and to"),
        ({"sample_weight": np.full(210, 0.0)}, ValueError, "got zeros only"),
        ({"validation": 1}, TypeError, "validation must be a pair (features, labels), or a"),
        ({"early_stopping": 5}, TypeError, "early_stopping must be a pynn.EarlyStopping, as in"),
        ({"early_stopping": pynn.EarlyStopping()}, ValueError, "watches val_loss, so fit needs"),
        ({"on_epoch": [print, 5]}, TypeError, "on_epoch must be callable, got int 5"),
        ({"optimizer": 5}, TypeError, "must be a pynn.SGD, pynn.Adam, pynn.AdamW or"),
        ({"optimizer": pynn.SGD}, TypeError, "got the class SGD: write optimizer=pynn.SGD()"),
    ],
)
def test_wrong_options_are_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The error names the argument, what it needs and what it got; nothing is trained."""
    model = build()
    before = digest(model)
    with pytest.raises(error) as caught:
        model.fit(X, Y, epochs=1, **options)
    assert words in str(caught.value)
    assert digest(model) == before


def test_class_weight_needs_classes() -> None:
    """For regression it is refused."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    with pytest.raises(pynn.ArgumentError, match="class_weight needs classes, and mean_squared"):
        model.fit(X, X[:, 0], epochs=1, class_weight="balanced")


# ------------------------------------------------------------ held out


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("counts", [[100, 100], [150, 50, 10], [3, 200, 7, 40]])
def test_held_out_classes_are_about_the_fraction(fraction: float, counts: list[int]) -> None:
    """Each class is held out to within one example of it; every row is used exactly once."""
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(3).shuffle(labels)
    spec = pynn.Builder().input(1).dense(len(counts)).softmax_cross_entropy()._spec
    data = make_data(spec, "", np.ones((len(labels), 1), np.float32), labels)
    rows, held = divide(spec, 5, data, fraction)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows, held])), np.arange(len(labels)))
    assert len(held) == round(fraction * len(labels))
    for label, count in enumerate(counts):
        assert abs(np.count_nonzero(labels[held] == label) - fraction * count) <= 1
    again = divide(spec, 5, data, fraction)
    np.testing.assert_array_equal(held, again[1])
    assert not np.array_equal(held, divide(spec, 6, data, fraction)[1])


def test_held_out_examples_are_not_trained_on() -> None:
    """The run is that on the others, and its validation that of the held-out ones."""
    model = build()
    spec = model._spec
    rows, held = divide(spec, model.seed, make_data(spec, "", X, Y), 0.2)
    history = model.fit(X, Y, epochs=3, batch_size=30, validation=0.2)
    other = build()
    expected = other.fit(X[rows], Y[rows], epochs=3, batch_size=30, validation=(X[held], Y[held]))
    assert history.loss == expected.loss and history.val_loss == expected.val_loss
    assert digest(model) == digest(other)


def test_a_bad_example_that_is_held_out_has_its_own_number() -> None:
    """The error names the row of the features, not of what is held out."""
    model = build()
    spec = model._spec
    row = int(divide(spec, model.seed, make_data(spec, "", X, Y), 0.2)[1][5])
    features = X.copy()
    features[row, 3] = np.nan
    with pytest.raises(pynn.ArgumentError, match=rf": features\[{row}\] holds nan \(feature 3\)"):
        model.fit(features, Y, epochs=1, validation=np.float32(0.2))


@pytest.mark.parametrize("weight", [5e-324, 1e-310, 1e-200, 1e307, 1.79e308])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3e38, 1: 3e38, 2: 3e38}])
def test_weights_of_any_size_count_alike(weight: float, class_weight: Any) -> None:
    """They are scaled first, so that neither a product nor the sum becomes infinite, or 0."""
    runs: list[Any] = []
    for value in (1.0, weight):
        model = build()
        model.fit(X, Y, epochs=1, sample_weight=np.full(210, value), class_weight=class_weight)
        runs.append(model._engine.parameters)
    np.testing.assert_allclose(*runs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 0.1, 2: 7.0}])
@pytest.mark.parametrize("weight", [0.0, 50.0, 1e308])
def test_weights_that_are_held_out_mean_nothing(weight: float, class_weight: Any) -> None:
    """Means, and what is balanced, are of the examples trained on; others cause no warning."""
    labels = np.minimum(Y, rng.integers(0, 3, 210))
    model, other = build(), build()
    spec = model._spec
    rows, held = divide(spec, model.seed, make_data(spec, "", X, labels), 0.3)
    weights = 0.1 + rng.random(210)
    weights[held] = weight
    with np.errstate(all="raise"):
        model.fit(
            X, labels, epochs=2, validation=0.3, sample_weight=weights, class_weight=class_weight
        )
    other.fit(
        X[rows], labels[rows], epochs=2, sample_weight=weights[rows], class_weight=class_weight
    )
    assert digest(model) == digest(other)


def test_balanced_is_of_the_examples_trained_on() -> None:
    """It differs from all examples, as of a small class another share is held out."""
    labels = np.repeat([0, 1, 2], [190, 13, 7])
    model, other = build(), build()
    spec = model._spec
    rows, _ = divide(spec, model.seed, make_data(spec, "", X, labels), 0.8)
    counts = np.bincount(labels[rows])
    assert not np.allclose(counts / len(rows), np.array([190, 13, 7]) / 210, rtol=0.02)
    weights = np.zeros(210)
    weights[rows] = (len(rows) / (3 * counts))[labels[rows]]
    model.fit(X, labels, epochs=2, validation=0.8, class_weight="balanced")
    other.fit(X, labels, epochs=2, validation=0.8, sample_weight=weights)
    ours, theirs = model._engine.parameters, other._engine.parameters
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_weights_only_of_what_is_held_out_leave_nothing_to_learn() -> None:
    """The error says so."""
    model = build()
    spec = model._spec
    _, held = divide(spec, model.seed, make_data(spec, "", X, Y), 0.3)
    weights = np.zeros(210)
    weights[held] = 1e300
    with pytest.raises(pynn.ArgumentError, match="to train on are 0: sample_weight and"):
        model.fit(X, Y, epochs=1, validation=0.3, sample_weight=weights)
