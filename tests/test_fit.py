"""Training from Python: what it does, to the bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pattern_models import Examples, assert_same_parameters, build, flat

import pynn
from pynn._native import library
from pynn._training import engine, trainer


def test_training_learns(examples: Examples) -> None:
    """The loss falls from epoch to epoch, and three patterns are told apart."""
    model = build()
    before = model.evaluate(*examples)
    history = model.fit(*examples, epochs=10, batch_size=20)
    assert history.loss[0] > history.loss[3] > history.loss[9]
    after = model.evaluate(*examples)
    assert before.accuracy < 0.7 < 0.95 < after.accuracy
    assert after.loss < before.loss / 4


def test_mnist_is_learned(root: Path) -> None:
    """Three epochs on a tenth of MNIST classify nine of ten test images, or almost.

    Ten seeds gave accuracies of 0.898 to 0.913, and 0.922 to 0.928 on the images trained on.
    """
    train, test = pynn.datasets.mnist(root / "data" / "mnist")
    chain = pynn.Builder().input(784).dense(64).relu().dense(10).softmax_cross_entropy()
    model = chain.build(seed=0)
    history = model.fit(
        train.images[:6000],
        train.labels[:6000],
        epochs=3,
        batch_size=32,
        optimizer=pynn.SGD(learning_rate=0.1),
        validation=test,
    )
    assert history.val_accuracy[-1] > 0.885
    assert history.accuracy[-1] > 0.91


@pytest.mark.parametrize("batch_size", [1, 7, 64, 299, 300])
def test_one_epoch_is_plain_sgd(batch_size: int, examples: Examples) -> None:
    """An epoch takes every example once, in shuffled order, those of a last, partial batch, too."""
    images, labels = examples
    model, by_hand = build(), build()
    history = model.fit(
        images, labels, epochs=1, batch_size=batch_size, optimizer=pynn.SGD(learning_rate=0.05)
    )
    order = library.permutation(5, 1 << 32, 300)
    assert sorted(order) == list(range(300))
    assert order.tolist() != sorted(order)
    losses, correct = 0.0, 0
    for begin in range(0, 300, batch_size):
        rows = order[begin : begin + batch_size]
        x, y = images[rows].reshape(len(rows), 20) / 255, labels[rows]
        loss, hits = sgd_step(by_hand, x, y, 0.05)
        losses, correct = losses + loss, correct + hits
    np.testing.assert_allclose(flat(model), flat(by_hand), rtol=1e-3, atol=1e-5)
    assert history.loss == pytest.approx([losses / 300], rel=1e-4)
    assert history.accuracy == pytest.approx(
        [correct / 300], abs=1.5 / 300
    )  # one may sit on the edge


def sgd_step(
    model: pynn.Model, x: npt.NDArray[np.float64], y: npt.NDArray[Any], rate: float
) -> tuple[float, int]:
    """One step of build()'s network in NumPy, in place; the sum of losses and the hits."""
    w1, b1, w2, b2 = model.parameters.values()
    h = np.maximum(x @ w1 + b1, 0)
    z = h @ w2 + b2
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    dz = p.copy()
    dz[rows, y] -= 1
    dz /= len(y)
    dh = (dz @ w2.T) * (h > 0)
    w2 -= rate * (h.T @ dz)
    b2 -= rate * dz.sum(axis=0)
    w1 -= rate * (x.T @ dh)
    b1 -= rate * dh.sum(axis=0)
    return -np.log(p[rows, y]).sum(), int((z.argmax(axis=1) == y).sum())


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_same_seed_gives_the_same_bits(seed: int, examples: Examples) -> None:
    """Two models of one seed go the same way, one of another seed another."""
    model, same, other = build(seed), build(seed), build(seed ^ 1)
    histories = [m.fit(*examples, epochs=2, batch_size=32) for m in (model, same, other)]
    assert_same_parameters(model, same)
    assert histories[0].loss == histories[1].loss
    assert histories[0].loss != histories[2].loss


def test_epochs_are_shuffled_anew(examples: Examples) -> None:
    """With a learning rate that moves nothing, epochs still differ in their batches."""
    model = build()
    seen: list[list[float]] = [[], []]
    model.fit(
        *examples,
        epochs=2,
        batch_size=100,
        optimizer=pynn.SGD(learning_rate=1e-30),
        on_progress=lambda p: seen[p.epoch - 1].append(p.loss),
    )
    assert seen[0][0] != seen[1][0]
    assert seen[0][-1] == pytest.approx(seen[1][-1])


@pytest.mark.parametrize("split", [(1, 4), (2, 3), (1, 1, 1, 1, 1)])
def test_fitting_goes_on(split: tuple[int, ...], examples: Examples) -> None:
    """Several calls of fit are one long call, to the bit."""
    whole, parts = build(), build()
    history = whole.fit(*examples, epochs=5, batch_size=32)
    pieces = [parts.fit(*examples, epochs=epochs, batch_size=32) for epochs in split]
    assert_same_parameters(whole, parts)
    assert history.loss == [loss for piece in pieces for loss in piece.loss]
    assert whole.epochs_trained == parts.epochs_trained == 5


@pytest.mark.parametrize("before", [1, 31, 300])
def test_batches_may_grow_and_shrink(before: int, examples: Examples) -> None:
    """What a model was used for before, on fewer rows or more, changes no bit of what follows."""
    images, labels = examples
    used, fresh = build(), build()
    used.predict(images[:before])
    for model in (used, fresh):
        model.fit(images, labels, epochs=1, batch_size=32)
    used.evaluate(images[:before], labels[:before])
    for model in (used, fresh):
        model.fit(images, labels, epochs=1, batch_size=300)
    assert_same_parameters(used, fresh)
    np.testing.assert_array_equal(used(images), fresh(images))


def one_at_a_time(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
    """Runs as short as they may be."""
    return ((begin, min(begin + grain, total)) for begin in range(first, total, grain))


def all_at_once(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
    """A single run."""
    yield first, total


def unevenly(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
    """Runs of 1, 2, 3, 1, 2, 3 ... grains."""
    length = 1
    while first < total:
        yield first, min(first + length * grain, total)
        first, length = first + length * grain, length % 3 + 1


@pytest.mark.parametrize("paced", [one_at_a_time, all_at_once, unevenly])
@pytest.mark.parametrize("zeros", [[], [slice(None)], [slice(0, 450)], [slice(450, 900)]])
def test_cuts_change_no_bit(
    zeros: list[slice],
    paced: Callable[..., Iterator[tuple[int, int]]],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many steps or rows go into one call of C follows the clock, and no figure follows it.

    That holds also where some rows are mostly zeros, which may be computed in another way.
    """
    x = rng.normal(size=(900, 20)).astype(np.float32)
    for rows in zeros:
        x[rows] *= rng.random(x[rows].shape) < 0.1
    y = rng.integers(0, 3, 900)

    def figures(model: pynn.Model) -> tuple[Any, ...]:
        history = model.fit(x, y, epochs=3, batch_size=17, validation=(x, y))
        outputs = model(x).tobytes(), model.predict_proba(x).tobytes()
        return flat(model).tobytes(), history.loss, history.val_loss, model.evaluate(x, y), outputs

    expected = figures(build())
    calls = []

    def cut(first: int, total: int, grain: int = 1) -> Iterator[tuple[int, int]]:
        calls.append((total, grain))
        return paced(first, total, grain)

    monkeypatch.setattr(engine, "paced", cut)
    monkeypatch.setattr(trainer, "paced", cut)
    assert figures(build()) == expected
    assert set(calls) == {(53, 1), (900, 256)}


@pytest.mark.parametrize("total", [0, 1, 7, 256, 1000])
@pytest.mark.parametrize("grain", [1, 256])
@pytest.mark.parametrize("pause", [0.0, 0.03, 10.0])
def test_runs_cover_all_once(
    total: int, grain: int, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long they take, the runs follow each other to the end, in multiples of the grain."""
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    runs = []
    for run in trainer.paced(0, total, grain):
        runs.append(run)
        clock[0] += pause
    assert [first for first, _ in runs] == [0, *(last for _, last in runs)][: len(runs)]
    assert (runs[-1][1] if runs else 0) == total
    assert all(last > first and first % grain == 0 for first, last in runs)
    assert len(runs) <= (5 if pause == 0 else -(-total // grain))
