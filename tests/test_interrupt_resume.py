"""Runs that are resumed after an interruption: over and over, for longer, from elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from interrupted import (
    ENDS,
    EPOCHS,
    EVERY,
    STEPS,
    Outcome,
    X,
    Y,
    build,
    check_resumable,
    check_stopped,
    digest,
    fit,
    interrupt,
    nth,
    outcome,
    press_ctrl_c,
    run_step_by_step,
    undisturbed_run,
)

import pynn

pytestmark = pytest.mark.usefixtures("threads_as_before", "ctrl_c", "unflushed")

stepwise = pytest.fixture(run_step_by_step)
undisturbed = pytest.fixture(scope="module")(undisturbed_run)


@pytest.mark.parametrize("every", EVERY)
def test_a_run_may_be_stopped_over_and_over(
    every: int | None,
    undisturbed: tuple[Outcome, list[str]],
    stepwise: None,
    tmp_path: Path,
) -> None:
    """Stopped after every step but the last, a run ends as if it had not been."""
    expected, states = undisturbed
    path = tmp_path / "run"
    model = build()
    for step in range(1, EPOCHS * STEPS):
        with pytest.raises(KeyboardInterrupt):
            fit(model, checkpoint=path, every=every, on_progress=lambda _: press_ctrl_c())
        check_stopped(model, states, step)
        model = pynn.Model.resume(path)
    assert outcome(model, fit(model), tmp_path) == expected


@pytest.mark.parametrize("step", [1, 4, 9, 13, 27])
def test_a_resumed_run_may_be_longer(step: int, stepwise: None, tmp_path: Path) -> None:
    """Given more epochs when it is resumed, a run ends as one that was given them at once."""
    whole, stopped, path = build(), build(), tmp_path / "run"
    expected = outcome(whole, fit(whole, epochs=5), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, checkpoint=path, on_progress=nth(step, press_ctrl_c))
    check_resumable(path, stopped, expected, epochs=5)


def test_a_run_that_is_done_may_go_on(tmp_path: Path) -> None:
    """A finished run is resumed with more epochs."""
    whole, first, path = build(), build(), tmp_path / "run"
    expected = outcome(whole, fit(whole, epochs=5), tmp_path)
    fit(first, checkpoint=path)
    check_resumable(path, first, expected, epochs=5)


@pytest.mark.parametrize("step", [1, 9, 13, 27])
def test_epochs_before_the_run_count(step: int, stepwise: None, tmp_path: Path) -> None:
    """The run of a model that was trained before goes on with the shuffles that come next."""
    whole, stopped, path = build(), build(), tmp_path / "run"
    for model in (whole, stopped):
        fit(model, epochs=2)
    expected = outcome(whole, fit(whole), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, checkpoint=path, on_progress=nth(step, press_ctrl_c))
    again = check_resumable(path, stopped, expected)
    assert again.epochs_trained == 2 + EPOCHS


@pytest.mark.parametrize("step", [1, STEPS - 1, STEPS])
def test_no_run_is_resumed_to_end_within_an_epoch(
    step: int, undisturbed: tuple[Outcome, list[str]], stepwise: None, tmp_path: Path
) -> None:
    """With as many epochs as are done, while one more is begun, fit refuses; nothing is lost."""
    model, path = build(), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(model, checkpoint=path, on_progress=nth(STEPS + step, press_ctrl_c))
    again = pynn.Model.resume(path)
    with pytest.raises(pynn.ArgumentError, match="epochs must be at least 2, because the run"):
        fit(again, checkpoint=path, epochs=1)
    check_resumable(path, again, undisturbed[0])


def test_resuming_can_be_tried_again(
    undisturbed: tuple[Outcome, list[str]], stepwise: None, tmp_path: Path
) -> None:
    """A call that fails before its first step leaves the run to the next one."""
    expected, states = undisturbed
    model, path = build(), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(model, checkpoint=path, on_progress=nth(13, press_ctrl_c))
    again = pynn.Model.resume(path)
    with pytest.raises(FileNotFoundError):
        fit(again, checkpoint=tmp_path / "no" / "run")
    with pytest.raises(pynn.ArgumentError, match="batch_size must be 7"):
        fit(again, batch_size=8)
    check_stopped(again, states, 13)
    assert outcome(again, fit(again), tmp_path) == expected


def test_a_run_that_is_done_is_not_trained_again(
    undisturbed: tuple[Outcome, list[str]], tmp_path: Path
) -> None:
    """Resumed after its end a run returns all its figures at once, and calls nobody back."""
    model, path = build(), tmp_path / "run"
    fit(model, checkpoint=path)
    check_resumable(path, model, undisturbed[0], on_epoch=interrupt, on_progress=interrupt)


def test_ctrl_c_while_an_interrupted_run_is_saved_leaves_the_last_checkpoint(
    undisturbed: tuple[Outcome, list[str]],
    stepwise: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second Ctrl-C does not wait, and loses only what came after the last checkpoint."""
    expected, states = undisturbed
    model, path = build(), tmp_path / "run"

    def press_twice() -> None:
        monkeypatch.setattr(os, "replace", lambda *_: press_ctrl_c())
        press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        fit(model, checkpoint=path, on_progress=nth(STEPS + 5, press_twice))
    monkeypatch.undo()
    check_stopped(model, states, STEPS + 5)
    kept = pynn.load(path)
    assert digest(kept) == states[STEPS]
    check_resumable(path, kept, expected)


@pytest.mark.parametrize("end", ENDS)
def test_a_full_disk_does_not_hide_what_stopped_a_run(
    end: str,
    undisturbed: tuple[Outcome, list[str]],
    stepwise: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error of the last checkpoint goes along as the context; the one before is there."""
    expected, states = undisturbed
    act, error = ENDS[end]
    model, path = build(), tmp_path / "run"
    full = OSError(28, "No space left on device")

    def fail(*_: object) -> None:
        raise full

    def stop_without_room() -> None:
        monkeypatch.setattr(os, "replace", fail)
        act()

    with pytest.raises(error) as caught:
        fit(model, checkpoint=path, on_progress=nth(STEPS + 5, stop_without_room))
    assert caught.value.__context__ is full
    assert str(full) == f"[Errno 28] No space left on device: '{path}'"
    monkeypatch.undo()
    check_stopped(model, states, STEPS + 5)
    kept = pynn.load(path)
    assert digest(kept) == states[STEPS]
    check_resumable(path, kept, expected)


def test_checkpoints_stay_in_the_folder_where_they_began(
    undisturbed: tuple[Outcome, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A callback that goes elsewhere takes neither the checkpoints along, nor the way back."""
    folders = [tmp_path / name for name in ("begin", "first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders[0])
    model, left = build(), iter(folders[1:])
    history = fit(model, checkpoint="run", on_epoch=lambda _: os.chdir(next(left)))
    assert Path.cwd() == folders[-1]
    assert [os.listdir(folder) for folder in folders] == [["run"], [], [], []]
    assert pynn.load(folders[0] / "run").epochs_trained == EPOCHS
    assert outcome(model, history, tmp_path) == undisturbed[0]


@pytest.mark.parametrize("first", [(X[::3], Y[::3]), None], ids=["with", "without"])
def test_a_run_is_validated_throughout_or_not_at_all(first: Any, tmp_path: Path) -> None:
    """A figure for some epochs alone would stand at the wrong ones; the run itself is not lost."""
    path = tmp_path / "run"
    fit(build(), checkpoint=path, validation=first)
    other = None if first else (X[::3], Y[::3])
    model = pynn.Model.resume(path)
    needs, got = ("given", "None") if first else ("None", "data")
    words = re.escape(f"validation must be {needs}, as in the run that {path} keeps, got {got}; ")
    with pytest.raises(pynn.ArgumentError, match=words):
        fit(model, epochs=5, validation=other)
    history = fit(model, epochs=5, validation=first)
    assert [len(history.loss), len(history.val_loss)] == [5, 5 if first else 0]


def test_the_same_examples_may_have_another_shape(
    undisturbed: tuple[Outcome, list[str]], stepwise: None, tmp_path: Path
) -> None:
    """A run that began with images goes on with flat rows."""
    model, path = build(), tmp_path / "run"
    sgd = pynn.SGD(learning_rate=0.3)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            X.reshape(60, 5, 4),
            Y,
            epochs=EPOCHS,
            batch_size=7,
            optimizer=sgd,
            validation=(X[::3], Y[::3]),
            checkpoint=path,
            on_progress=nth(13, press_ctrl_c),
        )
    check_resumable(path, model, undisturbed[0])
