"""`fit` on batches that the caller makes: lists, iterables, functions and generators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pynn
from pynn._training.batches import Spread

RNG = np.random.default_rng(3)
X = RNG.normal(size=(22, 3)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(np.uint8)
WEIGHTS = np.arange(22) + 1.0
CUTS = (slice(0, 4), slice(4, 11), slice(11, 12), slice(12, 22))
BATCHES = [(X[cut], Y[cut]) for cut in CUTS]
ADAM = pynn.Adam(learning_rate=0.05)


def build(outputs: int = 2) -> pynn.Model:
    """A classifier with dropout, whose random numbers depend on the count of steps."""
    chain = pynn.Builder().input(3).dense(8).relu().dropout(0.25).dense(outputs)
    return chain.softmax_cross_entropy().build(seed=4)


class Anew:
    """It can be iterated again and again, and has no length."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches
        self.begun = 0

    def __iter__(self) -> Iterator[Any]:
        self.begun += 1
        return iter(self.batches)


@pytest.mark.parametrize("form", ["list", "iterable", "function", "tuple of lists"])
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_are_steps_of_partial_fit(form: str, weighted: bool) -> None:
    """The same parameters, to the bit, and the losses that partial_fit measures."""
    batches: list[Any] = [
        (X[cut], Y[cut], WEIGHTS[cut]) if weighted else (X[cut], Y[cut]) for cut in CUTS
    ]
    given: Any = {
        "list": batches,
        "iterable": Anew(batches),
        "function": lambda: (batch for batch in batches),
        "tuple of lists": tuple([*map(list, batches)]),
    }[form]
    model, other = build(), build()
    history = model.fit(given, epochs=3, optimizer=ADAM)
    losses = []
    for _ in range(3):
        found = [
            other.partial_fit(
                x, y, sample_weight=w[0] if w else None, batch_size=len(x), optimizer=ADAM
            )
            for x, y, *w in batches
        ]
        losses.append(sum(one.loss * len(b[0]) for one, b in zip(found, batches, strict=True)) / 22)
    assert model(X).tobytes() == other(X).tobytes()
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    assert (model.epochs_trained, model.steps_trained) == (3, 12)
    assert history.epochs == 3 and len(history.seconds) == 3 and not history.val_loss


def test_a_generator_gives_one_epoch() -> None:
    """A second epoch is refused before anything is trained, and the advice works."""
    model = build()
    assert model.fit((batch for batch in BATCHES), epochs=1).epochs == 1
    with pytest.raises(
        pynn.ArgumentError, match=r"epochs must be 1 with a generator, .* got 2; give"
    ):
        model.fit((batch for batch in BATCHES), epochs=2)
    assert model.steps_trained == 4
    assert model.fit(lambda: (batch for batch in BATCHES), epochs=2).epochs == 2


def test_validation_stopping_and_callbacks() -> None:
    """All that watches a training works: a pair to validate with, early stopping, callbacks."""
    given = Anew(BATCHES)
    results: list[pynn.EpochResult] = []
    steps: list[tuple[int, int, int, int]] = []
    model = build()
    history = model.fit(
        given,
        epochs=50,
        validation=(X, Y),
        shuffle=False,
        early_stopping=pynn.EarlyStopping(patience=1, min_delta=10.0),
        on_epoch=results.append,
        on_progress=lambda now: steps.append((now.epoch, now.epochs, now.step, now.steps)),
    )
    assert history.epochs == len(results) == given.begun == 2
    assert [result.val_loss for result in results] == history.val_loss
    assert steps[-1] == (2, 50, 4, 4)
    model.fit(BATCHES, epochs=9, on_epoch=lambda result: result.epoch == 2)
    assert model.epochs_trained == 4


def test_progress_is_reported_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list says how many steps there are; without a length it is the epoch before that does."""
    monkeypatch.setattr("pynn._training.batches.SECONDS", 0.0)
    for given, first in ((BATCHES, [(1, 4), (2, 4)]), (Anew(BATCHES), [(1, 1), (2, 2)])):
        steps: list[tuple[int, int]] = []
        build().fit(
            given, epochs=2, on_progress=lambda now, to=steps: to.append((now.step, now.steps))
        )
        assert steps[:2] == first
        assert steps[5:7] == [(1, 4), (2, 4)]


def test_regression_has_its_metrics() -> None:
    """R2 takes the variance of all targets of an epoch, however they were cut."""
    model = pynn.Builder().input(3).dense(2).mean_squared_error().build(seed=0)
    targets = np.stack([X[:, 0] * 3 + 5, np.full(22, 0.1)], axis=1).astype(np.float32)
    still = pynn.SGD(learning_rate=1e-30)
    history = model.fit([(X[c], targets[c]) for c in CUTS], epochs=1, optimizer=still)
    expected = model.evaluate(X, targets)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-6)
    np.testing.assert_allclose(history.r2, expected.r2, rtol=1e-6)
    np.testing.assert_allclose(history.mean_absolute_error, expected.mean_absolute_error, rtol=1e-6)
    spread = Spread()
    for cut in CUTS:
        spread.add(targets[cut].astype(np.float64))
    np.testing.assert_allclose(spread.variances[0], targets[:, 0].astype(float).var(), rtol=1e-12)
    assert spread.variances[1] == 0.0


def test_names_and_scaling_come_from_the_first_batch() -> None:
    """As in partial_fit; a name that comes later is refused, and where it comes is said."""
    names = np.array(["no", "yes"])[Y]
    batches = [(X[cut].tolist(), names[cut]) for cut in CUTS]
    chain = pynn.Builder().input(3).standardize().dense(2).softmax_cross_entropy()
    model, other = chain.build(seed=1), chain.build(seed=1)
    model.fit(batches, epochs=1)
    for x, y in batches:
        other.partial_fit(x, y)
    assert model(X).tobytes() == other(X).tobytes()
    assert model.classes == ("no", "yes")
    with pytest.raises(
        pynn.ArgumentError, match=r"epoch 1, batch 5: labels must be among .*'maybe'"
    ):
        model.fit([*batches, (X[:1], ["maybe"])], epochs=1)
    fresh = build()
    with pytest.raises(pynn.ArgumentError, match="epoch 1, batch 1: labels must have at least two"):
        fresh.fit([(X[:1], ["no"])], epochs=1)
    assert fresh.classes is None


DATASET = pynn.datasets.Dataset(X, Y)
REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no labels": (X, {}, "labels must be given, unless features are batches, each .* type ndarray"),
    "nothing": (None, {}, "labels must be given, unless .* type NoneType"),
    "a number": (5, {}, "labels must be given, unless .* type int"),
    "a data set": (DATASET, {}, r"labels must be given; the Dataset has them, so pass its parts"),
    "rows": (
        X.tolist(),
        {},
        "batch 1: a batch must be a pair .* got numbers, list .*; if features are rows, labels",
    ),
    "a batch without labels": ([X], {}, "epoch 1, batch 1: a batch must be a pair .* got an array"),
    "a function without batches": (lambda: 5, {}, "must return an iterable, got int 5"),
    "no batch": ([], {}, "epoch 1: there is no batch; each epoch passes through"),
    "wrong features": ([*BATCHES, (X[:, :2], Y)], {}, "epoch 1, batch 5: features must have shape"),
    "wrong labels": ([(X, Y + 1)], {}, "epoch 1, batch 1: labels must be in"),
    "wrong weights": ([(X, Y, -WEIGHTS)], {}, "epoch 1, batch 1: sample_weight must be finite"),
    "batch_size": (BATCHES, {"batch_size": 4}, "batch_size must be left out with batches: each"),
    "weights": (BATCHES, {"sample_weight": WEIGHTS}, "sample_weight must be left out with batches"),
    "class_weight": (BATCHES, {"class_weight": "balanced"}, "class_weight must be left out with"),
    "augmentation": (BATCHES, {"augmentation": pynn.Augmentation(shift=1)}, "augmentation must be"),
    "checkpoint": (BATCHES, {"checkpoint": "run"}, "checkpoint must be left out with batches: a"),
    "every": (BATCHES, {"every": 5}, "every must be left out with batches"),
    "a fraction": (
        BATCHES,
        {"validation": 0.1},
        "validation must be a pair .* held out, got float",
    ),
    "shuffle": (BATCHES, {"shuffle": 1}, "shuffle must be True or False, got int 1"),
    "epochs": (BATCHES, {"epochs": 0}, "epochs must be at least 1, got 0"),
    "L-BFGS": (BATCHES, {"optimizer": pynn.LBFGS()}, "optimizer must not be LBFGS in fit on batch"),
    "stopping": (BATCHES, {"early_stopping": pynn.EarlyStopping()}, "so fit needs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_with_batches_is_refused(case: str) -> None:
    """By name, with what to do instead; the model can be trained afterwards."""
    given, options, words = REFUSED[case]
    model = build()
    with pytest.raises((pynn.ArgumentError, pynn.ArgumentTypeError), match=words):
        model.fit(given, **({"epochs": 1} | options))
    assert model.epochs_trained == 0 and model.fit(BATCHES, epochs=1).epochs == 1


def test_an_iterable_that_is_used_up_is_noticed() -> None:
    """Its second epoch would have no batch."""
    batches = iter(BATCHES)

    class Once:
        def __iter__(self) -> Iterator[Any]:
            return batches

    with pytest.raises(pynn.ArgumentError, match="epoch 2: there is no batch"):
        build().fit(Once(), epochs=2)


def test_numbers_that_are_not_finite_are_found_in_their_batch() -> None:
    """A feature is named with its row in the batch, and the step before is kept."""
    bad, model, other = X.copy(), build(), build()
    bad[9, 2] = np.inf
    with pytest.raises(
        pynn.ArgumentError, match=r"epoch 1, batch 2: features\[5\] holds inf \(feat"
    ):
        model.fit([(bad[cut], Y[cut]) for cut in CUTS], epochs=1)
    other.partial_fit(X[CUTS[0]], Y[CUTS[0]])
    assert model(X).tobytes() == other(X).tobytes()
    with pytest.raises(
        pynn.DivergenceError, match=r"epoch 1, batch [12]: .* smaller learning rate"
    ):
        model.fit(BATCHES, epochs=1, optimizer=pynn.SGD(learning_rate=1e30))


def test_an_error_of_the_batches_ends_the_training() -> None:
    """The model is as the step before left it, and can be trained further."""

    def broken() -> Iterator[Any]:
        yield BATCHES[0]
        raise OSError("the disk is gone")

    model, other = build(), build()
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(broken(), epochs=1)
    other.partial_fit(*BATCHES[0])
    assert model(X).tobytes() == other(X).tobytes() and model.epochs_trained == 0


def test_a_resumed_run_needs_its_arrays(tmp_path: Any) -> None:
    """A checkpoint was of arrays."""
    build().fit(X, Y, epochs=1, checkpoint=tmp_path / "run")
    with pytest.raises(pynn.ArgumentError, match=r"must be arrays, as in the run .* pynn.load"):
        pynn.Model.resume(tmp_path / "run").fit(BATCHES, epochs=1)
    assert pynn.load(tmp_path / "run").fit(BATCHES, epochs=1).epochs == 1
