"""A run to interrupt, what it comes to undisturbed, and checks of what an interruption leaves."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import pynn
from pynn._training import trainer

MINUTE = 60  # no test waits longer for what should come at once

_rng = np.random.default_rng(50)
X = _rng.integers(0, 256, (60, 20), np.uint8)
Y = _rng.integers(0, 3, 60)
STEPS = 9  # of an epoch of 60 examples in batches of 7, the last of 4
EPOCHS = 3
EVERY = [None, 1, 7]


def build() -> pynn.Model:
    """A model from 20 values to 3 classes, with a hidden layer."""
    chain = pynn.Builder().input(20).dense(17).relu().dense(3)
    return chain.softmax_cross_entropy().build(seed=5)


def fit(model: pynn.Model, **options: Any) -> pynn.History:
    """The call of fit that is interrupted here, and resumed."""
    sgd = pynn.SGD(learning_rate=0.3)
    call: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 7, "optimizer": sgd}
    return model.fit(X, Y, **(call | {"validation": (X[::3], Y[::3])} | options))


def digest(model: pynn.Model) -> str:
    """The SHA-256 of a model's parameters."""
    return hashlib.sha256(b"".join(p.tobytes() for p in model.parameters.values())).hexdigest()


class Outcome(NamedTuple):
    """What a run came to: the SHA-256 of the saved file, and the figures of its epochs."""

    sha256: str
    figures: tuple[list[float], ...]


def outcome(model: pynn.Model, history: pynn.History, folder: Path) -> Outcome:
    """Save the model to see."""
    path = folder / "outcome"
    model.save(path)
    figures = (history.loss, history.accuracy, history.val_loss, history.val_accuracy)
    return Outcome(hashlib.sha256(path.read_bytes()).hexdigest(), figures)


def step_by_step(
    first: int, total: int, grain: int = 1, seconds: float = 0.0
) -> Iterator[tuple[int, int]]:
    """Runs as short as they may be, so that no clock decides where one ends."""
    return ((begin, min(begin + grain, total)) for begin in range(first, total, grain))


def run_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of steps is one step."""
    monkeypatch.setattr(trainer, "paced", step_by_step)


def undisturbed_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, list[str]]:
    """What a run comes to that nothing stops, and the parameters before and after each step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "paced", step_by_step)
        model = build()
        states = [digest(model)]
        history = fit(model, on_progress=lambda _: states.append(digest(model)))
    assert len(set(states)) == len(states) == 1 + EPOCHS * STEPS
    return outcome(model, history, tmp_path_factory.mktemp("undisturbed")), states


class Stop(Exception):
    """What a callback raises here."""


def stop() -> None:
    """What a callback does that wants no more."""
    raise Stop


def press_ctrl_c() -> None:
    """What happens while a user presses Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


ENDS: dict[str, tuple[Callable[[], None], type[BaseException]]] = {
    "Ctrl-C": (press_ctrl_c, KeyboardInterrupt),
    "exception": (stop, Stop),
}


def nth(call: int, act: Callable[[], None]) -> Callable[..., None]:
    """A callback that acts in one of its calls, counted from 1."""
    calls = 0

    def callback(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            act()

    return callback


def check_stopped(model: pynn.Model, states: list[str], step: int | None = None) -> None:
    """A model that was interrupted stands between two steps, and is good for all uses."""
    assert digest(model) in (states if step is None else [states[step]])
    assert model.predict(X).shape == (60,)
    assert np.isfinite(model.evaluate(X, Y).loss)


def check_usable(model: pynn.Model) -> None:
    """It can be trained on, from the epoch that it has come to."""
    before = model.epochs_trained
    assert model.fit(X, Y, epochs=1).epochs == 1
    assert model.epochs_trained == before + 1


def check_resumable(
    path: Path, stopped: pynn.Model, expected: Outcome, **options: Any
) -> pynn.Model:
    """The checkpoint is of the model as it was stopped, and its run ends as if it never was."""
    model = pynn.Model.resume(path)
    assert digest(model) == digest(stopped)
    assert model.epochs_trained == stopped.epochs_trained
    history = fit(model, checkpoint=path, **options)
    assert outcome(model, history, path.parent) == expected
    return model


def interrupt() -> None:
    """Raise what Ctrl-C raises; a handler cannot run within a trace function."""
    raise KeyboardInterrupt
