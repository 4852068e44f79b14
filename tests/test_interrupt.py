"""Ctrl-C and exceptions of callbacks: wherever a run stops, it goes on as if it had not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from interrupted import (
    ENDS,
    EPOCHS,
    EVERY,
    STEPS,
    Outcome,
    build,
    check_resumable,
    check_stopped,
    check_usable,
    digest,
    fit,
    interrupt,
    nth,
    press_ctrl_c,
    run_step_by_step,
    step_by_step,
    undisturbed_run,
)

import pynn
from pynn._native.workspace import Workspace
from pynn._training import checkpoints, trainer

pytestmark = pytest.mark.usefixtures("threads_as_before", "ctrl_c", "unflushed")

stepwise = pytest.fixture(run_step_by_step)
undisturbed = pytest.fixture(scope="module")(undisturbed_run)

PACKAGE = os.path.dirname(pynn.__file__)
AFTER_STEP = [1, 6, 7, 8, 9, 10, 17, 18, 20, 26, 27]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("step", AFTER_STEP)
def test_stopped_after_any_step_a_run_goes_on(
    end: str,
    every: int | None,
    step: int,
    undisturbed: tuple[Outcome, list[str]],
    stepwise: None,
    tmp_path: Path,
) -> None:
    """After a Ctrl-C or an exception in on_progress the model is there, and so is its checkpoint.

    Resumed with another number of threads, its run ends with the same bytes.
    """
    expected, states = undisturbed
    act, error = ENDS[end]
    model, path = build(), tmp_path / "run"
    pynn.set_num_threads(1 + step % 3)
    with pytest.raises(error):
        fit(model, checkpoint=path, every=every, on_progress=nth(step, act))
    check_stopped(model, states, step)
    pynn.set_num_threads(1 + (step + 1) % 3)
    check_resumable(path, model, expected, every=every)
    check_usable(model)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("epoch", [1, 2, EPOCHS])
def test_stopped_after_any_epoch_a_run_goes_on(
    end: str,
    every: int | None,
    epoch: int,
    undisturbed: tuple[Outcome, list[str]],
    tmp_path: Path,
) -> None:
    """The same in on_epoch; the epoch is done then, with its validation."""
    expected, states = undisturbed
    act, error = ENDS[end]
    model, path = build(), tmp_path / "run"
    with pytest.raises(error):
        fit(model, checkpoint=path, every=every, on_epoch=nth(epoch, act))
    assert model.epochs_trained == epoch
    check_stopped(model, states, epoch * STEPS)
    check_resumable(path, model, expected, every=every)
    check_usable(model)


PLACES: dict[str, tuple[object, str, int]] = {  # and how often it is called, at least
    "steps": (Workspace, "train", EPOCHS * STEPS),
    "validation": (Workspace, "evaluate", EPOCHS),
    "saving": (checkpoints, "save", 1 + EPOCHS),
    "flushing": (os, "fsync", 1 + EPOCHS),
    "renaming": (os, "replace", 1 + EPOCHS),
}


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_ctrl_c_may_come_anywhere(
    every: int | None,
    place: str,
    when: str,
    part: float,
    undisturbed: tuple[Outcome, list[str]],
    stepwise: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C in a call of C, between steps and validation, or while a checkpoint is written."""
    expected, states = undisturbed
    owner, name, calls = PLACES[place]
    original = getattr(owner, name)
    press = nth(1 + round(part * (calls - 1)), press_ctrl_c)

    def pressed(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            press()
        result = original(*args, **kwargs)
        if when == "after":
            press()
        return result

    model, path = build(), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, pressed)
        with pytest.raises(KeyboardInterrupt):
            fit(model, checkpoint=path, every=every)
    check_stopped(model, states)
    if path.exists():  # else it came before the run had begun
        check_resumable(path, model, expected, every=every)
    else:
        assert digest(model) == states[0]
    check_usable(model)


class Line:
    """Acts at a line of pynn's Python, counted from 1 as they are run.

    Args:
        number: Which; 0 is none, only to count.
        act: What to do there.
    """

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.number = number
        self.act = act
        self.count = 0

    def __enter__(self) -> Line:
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self.number:
                self.act()
        return self._line


@pytest.fixture(scope="module", params=EVERY)
def lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`every`, and how many lines of Python a whole run of it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "paced", step_by_step)
        path = tmp_path_factory.mktemp("lines") / "run"
        fit(build(), checkpoint=path, every=request.param)  # imports what is imported late
        path.unlink()
        model = build()
        with Line(0, interrupt) as line:
            fit(model, checkpoint=path, every=request.param)
    assert line.count > 1000
    return request.param, line.count


PARTS = 50


# One of the lines is the way out of a with statement, where no signal is seen: a trace function can
# raise there, and leaves a file to be closed when it is collected.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("part", range(PARTS))
def test_ctrl_c_may_come_at_any_line(
    part: int,
    lines: tuple[int | None, int],
    undisturbed: tuple[Outcome, list[str]],
    stepwise: None,
    tmp_path: Path,
) -> None:
    """A run's lines are divided into parts, and Ctrl-C comes at a random line of each part."""
    expected, states = undisturbed
    every, count = lines
    number = np.random.default_rng([51, part]).integers(
        count * part // PARTS, count * (part + 1) // PARTS
    )
    model, path = build(), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), Line(1 + int(number), interrupt):
        fit(model, checkpoint=path, every=every)
    check_stopped(model, states)
    if path.exists():
        check_resumable(path, model, expected, every=every)
    else:
        assert digest(model) == states[0]
    check_usable(model)


# In these fit lets go of the model. The very last is the way out of a with statement, where no
# signal is seen: a trace function can raise there, and would leave the lock locked.
LAST_LINES = range(1, 40)


@pytest.mark.parametrize("back", LAST_LINES)
def test_ctrl_c_may_come_as_fit_ends(
    back: int, lines: tuple[int | None, int], stepwise: None, tmp_path: Path
) -> None:
    """After Ctrl-C at a run's last lines, the model knows its epochs and can be trained again."""
    every, count = lines
    model, path = build(), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), Line(count - back, interrupt):
        fit(model, checkpoint=path, every=every)
    assert pynn.load(path).epochs_trained == model.epochs_trained
    check_usable(model)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("step", [1, 9, 14])
def test_without_a_checkpoint_a_model_is_left(
    end: str, step: int, undisturbed: tuple[Outcome, list[str]], stepwise: None
) -> None:
    """The steps that were done are kept in the model."""
    act, error = ENDS[end]
    model = build()
    with pytest.raises(error):
        fit(model, on_progress=nth(step, act))
    check_stopped(model, undisturbed[1], step)
    check_usable(model)
