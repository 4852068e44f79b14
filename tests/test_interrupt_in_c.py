"""Ctrl-C while C works: it is seen soon, between two runs of steps."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from interrupted import (
    MINUTE,
    Outcome,
    X,
    Y,
    build,
    check_resumable,
    check_stopped,
    check_usable,
    fit,
    step_by_step,
    undisturbed_run,
)

import pynn
from pynn._native.workspace import Workspace
from pynn._training import engine, trainer

pytestmark = pytest.mark.usefixtures("threads_as_before", "ctrl_c", "unflushed")

undisturbed = pytest.fixture(scope="module")(undisturbed_run)


def pressing_in_c(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> list[Any]:
    """Let another thread send SIGINT while this one is in some call of a workspace's method.

    When that call returns, the signal has arrived; the list has an entry for each call begun.
    """
    begun: list[Any] = []
    original = getattr(Workspace, name)
    working, sent = threading.Event(), threading.Event()

    def press() -> None:
        assert working.wait(MINUTE)
        os.kill(os.getpid(), signal.SIGINT)
        sent.set()

    def method(*args: Any, **kwargs: Any) -> Any:
        begun.append(args)
        if len(begun) == call:
            threading.Thread(target=press).start()
            working.set()
        result = original(*args, **kwargs)
        if len(begun) == call:
            assert sent.wait(MINUTE)
        return result

    monkeypatch.setattr(Workspace, name, method)
    return begun


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6])
def test_ctrl_c_during_a_run_of_steps_stops_it_there(
    threads: int,
    call: int,
    undisturbed: tuple[Outcome, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal that comes while C takes steps is seen when they are done: none is begun after."""
    expected, states = undisturbed
    pynn.set_num_threads(threads)
    model, path = build(), tmp_path / "run"
    with monkeypatch.context() as patch:
        begun = pressing_in_c(patch, "train", call)
        with pytest.raises(KeyboardInterrupt):
            fit(model, checkpoint=path)
    assert len(begun) == call
    check_stopped(model, states)
    check_resumable(path, model, expected)
    check_usable(model)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("evaluate", lambda model, x, y: model.evaluate(x, y)),
        ("predict", lambda model, x, y: model.predict_proba(x)),
        ("evaluate", lambda model, x, y: fit(model, validation=(x, y))),
    ],
)
def test_ctrl_c_during_a_long_use_stops_it(
    name: str,
    use: Callable[[pynn.Model, npt.NDArray[Any], npt.NDArray[Any]], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Evaluation, validation and prediction of many rows are cut into runs, too."""
    model = build()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "paced", step_by_step)
        begun = pressing_in_c(patch, name, 3)
        with pytest.raises(KeyboardInterrupt):
            use(model, np.tile(X, (20, 1)), np.tile(Y, 20))
    assert len(begun) == 3
    check_usable(model)


@pytest.mark.parametrize("cost", [1e-6, 2e-5, 3e-4, 0.004, 0.02, 0.049, 0.2])
@pytest.mark.parametrize("grain", [1, 256])
def test_a_run_is_short(cost: float, grain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that we move, no run of steps lasts longer than 0.05 s, or the least that may be.

    So Ctrl-C, seen between runs, is seen within 0.2 s.
    """
    clock = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: clock)
    longest = 0.0
    for first, last in trainer.paced(0, 10_000_000 if cost < 1e-3 else 10_000, grain):
        clock += (last - first) * cost
        longest = max(longest, (last - first) * cost)
    assert longest <= max(0.05, grain * cost) * 1.001
