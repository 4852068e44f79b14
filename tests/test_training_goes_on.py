"""Training that goes on: in a second call, in a copy, batch by batch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_training import OPTIMIZERS, X, Y, build, digest

import pynn
from pynn._native.state import State


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_fits_are_one_longer_fit(name: str) -> None:
    """Moments, schedule, shuffles and dropout go on where the first call ended."""
    whole, parts = build(), build()
    optimizer = OPTIMIZERS[name]
    history = whole.fit(X, Y, epochs=5, batch_size=32, optimizer=optimizer)
    first = parts.fit(X, Y, epochs=2, batch_size=32, optimizer=optimizer)
    second = parts.fit(X, Y, epochs=3, batch_size=32, optimizer=optimizer)
    assert first.loss + second.loss == history.loss
    assert digest(parts) == digest(whole)
    assert parts.steps_trained == whole.steps_trained == 5 * 7


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_goes_on_as_the_model_does(how: Callable[[pynn.Model], pynn.Model]) -> None:
    """Moments and steps are copied, and each has its own."""
    model = build()
    adam = pynn.Adam()
    model.fit(X, Y, epochs=2, batch_size=32, optimizer=adam)
    twin = how(model)
    for each in (model, twin):
        each.fit(X, Y, epochs=2, batch_size=32, optimizer=adam)
    assert digest(twin) == digest(model)
    assert twin.steps_trained == model.steps_trained


def test_a_pickle_that_is_read_only_goes_on() -> None:
    """Arrays that a loader maps from a file are copied: training writes to them."""
    model = build()
    model.fit(X, Y, epochs=1, optimizer=pynn.Adam())
    state = model.__getstate__()
    for moment in state["optimizer"]["moments"]:
        moment.flags.writeable = False
    again = pynn.Model.__new__(pynn.Model)
    again.__setstate__(state)
    for each in (model, again):
        each.fit(X, Y, epochs=1, optimizer=pynn.Adam())
    assert digest(again) == digest(model)


@pytest.mark.parametrize("where", ["parameters", "moments"])
def test_a_kept_state_of_another_size_is_refused(where: str) -> None:
    """C would write beyond it; one number would be spread over all."""
    model = build()
    model.fit(X, Y, epochs=1, optimizer=pynn.Adam())
    state = model.__getstate__()
    if where == "parameters":
        state["parameters"] = np.zeros(1, np.float32)
    else:
        state["optimizer"]["moments"][1] = state["optimizer"]["moments"][1][:-1]
    with pytest.raises(ValueError, match="reshape"):
        pynn.Model.__new__(pynn.Model).__setstate__(state)


def test_another_optimizer_starts_with_moments_of_its_own() -> None:
    """After SGD, Adam starts as on a model that has just been given these parameters."""
    model = build()
    model.fit(X, Y, epochs=1, batch_size=210, optimizer=pynn.SGD(momentum=0.9))
    fresh = build()
    for name, view in fresh.parameters.items():
        view[...] = model.parameters[name]
    fresh._engine.epochs_trained, fresh._engine.state = 1, State(2, 1)
    for each in (model, fresh):
        each.fit(X, Y, epochs=2, batch_size=50, optimizer=pynn.Adam())
    assert digest(fresh) == digest(model)


def test_partial_fit_is_a_pass_without_shuffling() -> None:
    """A stream of batches gives what one call over all of them gives, and is no epoch."""
    adam = pynn.Adam()
    stream, whole, unshuffled = build(), build(), build()
    losses = [
        stream.partial_fit(X[i : i + 30], Y[i : i + 30], batch_size=64, optimizer=adam).loss
        for i in range(0, 210, 30)
    ]
    evaluation = whole.partial_fit(X, Y, batch_size=30, optimizer=adam)
    history = unshuffled.fit(X, Y, epochs=1, batch_size=30, optimizer=adam, shuffle=False)
    assert digest(stream) == digest(whole) == digest(unshuffled)
    assert np.mean(losses) == pytest.approx(evaluation.loss)
    assert history.loss == [evaluation.loss]
    assert (stream.epochs_trained, stream.steps_trained) == (0, 7)


def test_partial_fit_that_diverges() -> None:
    """partial_fit raises the error that fit raises."""
    model = pynn.Builder().input(6).dense(3).mean_squared_error().build()
    x, y = np.full((40, 6), 100, np.float32), np.ones((40, 3))
    with pytest.raises(pynn.DivergenceError, match="the loss is not finite"):
        model.partial_fit(x, y, batch_size=1, optimizer=pynn.SGD(learning_rate=1e3))


@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_cross_entropy", "poisson"])
def test_other_losses_and_layers_are_saved(loss: str, tmp_path: Path) -> None:
    """A model of every layer comes back with its loss, and its run with the same bytes."""
    chain: Any = pynn.Builder().input(6).dense(5).leaky_relu(0.2).dense(4).gelu().dropout(0.5)
    chain = chain.dense(3).tanh().dense(3).sigmoid().dense(2)
    y = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1)
    whole, part = getattr(chain, loss)().build(seed=3), getattr(chain, loss)().build(seed=3)
    history = whole.fit(X, y, epochs=4, validation=0.2)
    part.fit(X, y, epochs=2, validation=0.2, checkpoint=tmp_path / "run")
    part.save(tmp_path / "model")
    loaded = pynn.load(tmp_path / "model")
    assert repr(loaded) == repr(part)
    np.testing.assert_array_equal(loaded.predict(X), part.predict(X))
    assert loaded.steps_trained == part.steps_trained
    resumed = pynn.Model.resume(tmp_path / "run")
    again = resumed.fit(X, y, epochs=4, validation=0.2)
    assert (again.loss, again.val_loss) == (history.loss, history.val_loss)
    assert digest(resumed) == digest(whole)


def test_a_schedule_has_to_say_its_rate() -> None:
    """The base of the schedules is none."""
    with pytest.raises(NotImplementedError, match="Schedule has no rule"):
        pynn.schedules.Schedule()(0)


def test_divergence_under_a_schedule_names_it() -> None:
    """The message has no figure to give, and says so."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    optimizer = pynn.SGD(learning_rate=lambda step: 1e6)
    with pytest.raises(pynn.DivergenceError, match="than that of the schedule"):
        model.fit(X * 100, X[:, 0], epochs=9, batch_size=1, optimizer=optimizer)
