"""Signal handlers that train the model whose call they interrupt."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signal_handlers import (
    TRAINING,
    USES,
    Instructions,
    Watch,
    X,
    Y,
    build,
    check_free,
    count_instructions,
    flat,
    in_thread,
    watched_library,
)

import pynn
from pynn._native.workspace import Workspace
from pynn.formats import nn_rust, pytorch

pytestmark = pytest.mark.usefixtures("threads_as_before", "unflushed")

watch = pytest.fixture(watched_library)


@pytest.mark.parametrize("inner", TRAINING)
@pytest.mark.parametrize("outer", TRAINING)
def test_training_within_training_is_refused(
    outer: str, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names both calls, from a handler and from a callback; the outer call goes on."""
    model, other = build(), build()
    expected = TRAINING[outer](other)
    train = Workspace.train
    refused: list[str] = []

    def handle(*_: object) -> None:
        with pytest.raises(pynn.PynnError) as caught:
            TRAINING[inner](model)
        refused.append(str(caught.value))

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGUSR1)
        return train(*arguments)

    monkeypatch.setattr(Workspace, "train", interrupted)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert TRAINING[outer](model) == expected
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert refused == [
        f"{inner} was called from a callback of the same model's {outer}, or from a signal handler"
        " that interrupted it; call it when that has ended"
    ] * len(refused)
    assert refused


@pytest.mark.parametrize("outer", USES)
def test_training_before_every_instruction_never_hangs(outer: str, watch: Watch) -> None:
    """Before the outer call trains, or where it only predicts, the nested call does its work."""
    trained = 0

    def handle() -> None:
        nonlocal trained
        try:
            model.partial_fit(X, Y)
            trained += 1
        except pynn.PynnError as error:
            assert "partial_fit was called from a callback" in str(error)

    def run() -> bool:
        with Instructions(handle):
            USES[outer](model)
        return True

    model = build()
    assert in_thread(run)
    assert trained > 0
    check_free(model)
    assert np.isfinite(model.evaluate(X, Y).loss)


def save(model: pynn.Model, folder: Path) -> bytes:
    """The file of a model."""
    model.save(folder / "model")
    return (folder / "model").read_bytes()


def export_c(model: pynn.Model, folder: Path) -> bytes:
    """The source of a model, with an input and the outputs that it has to give."""
    model.export_c(folder / "model.c")
    return (folder / "model.c").read_bytes()


def save_nn_rust(model: pynn.Model, folder: Path) -> bytes:
    """The file of a model for the Rust library."""
    nn_rust.save(model, folder / "model")
    return (folder / "model").read_bytes()


def save_pytorch(model: pynn.Model, folder: Path) -> bytes:
    """The file of a model for PyTorch."""
    pytorch.save(model, folder / "model")
    return (folder / "model").read_bytes()


COPIES: dict[str, Callable[[pynn.Model, Path], Any]] = {
    "save": save,
    "pickle": lambda model, _: flat(copy := pickle.loads(pickle.dumps(model))) + save_state(copy),
    "export_c": export_c,
    "nn_rust": save_nn_rust,
    "pytorch": save_pytorch,
}


def save_state(model: pynn.Model) -> bytes:
    """The optimizer's moments, and the count of steps."""
    return repr((model.steps_trained, model._engine.state.updates)).encode() + b"".join(
        moment.tobytes() for moment in model._engine.state.moments
    )


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_of_one_moment(name: str, tmp_path: Path) -> None:
    """If a handler trains the model, what is written is all from before or all from after."""

    def fresh() -> pynn.Model:
        model = build()
        step(model)
        return model

    def step(model: pynn.Model) -> None:
        model.partial_fit(X, Y, optimizer=pynn.Adam(learning_rate=0.1))

    copy, model = COPIES[name], fresh()
    before = copy(model, tmp_path)
    step(model)
    after = copy(model, tmp_path)
    assert before != after
    count = count_instructions(lambda model: copy(model, tmp_path), checked=True)
    seen = set()
    for number in range(1, count + 1, 1 + count // 100):
        model = fresh()
        with Instructions(lambda model=model: step(model), number, checked=True):
            seen.add(copy(model, tmp_path))
    assert seen == {before, after}
