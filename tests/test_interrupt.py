"""Interruptions: Ctrl-C, exceptions of callbacks, SIGKILL: anywhere in a run, and what goes on."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn import _boundary, _model, _training

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import train  # noqa: E402

MINUTE = 60  # no test waits longer for what should come at once
PACKAGE = os.path.dirname(pynn.__file__)

_rng = np.random.default_rng(50)
X = _rng.integers(0, 256, (60, 20), np.uint8)
Y = _rng.integers(0, 3, 60)
STEPS = 9  # of an epoch of 60 examples in batches of 7, the last of 4
EPOCHS = 3
EVERY = [None, 1, 7]
AFTER_STEP = [1, 6, 7, 8, 9, 10, 17, 18, 20, 26, 27]


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


@pytest.fixture
def stepwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of steps is one step."""
    monkeypatch.setattr(_training, "paced", step_by_step)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, list[str]]:
    """What a run comes to that nothing stops, and the parameters before and after each step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_training, "paced", step_by_step)
        model = build()
        states = [digest(model)]
        history = fit(model, on_progress=lambda _: states.append(digest(model)))
    assert len(set(states)) == len(states) == 1 + EPOCHS * STEPS
    return outcome(model, history, tmp_path_factory.mktemp("undisturbed")), states


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """The number of threads is the process's: each test leaves it as it was."""
    before = pynn.get_num_threads()
    yield
    pynn.set_num_threads(before)


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also in a background job, which would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk, which only guards against power failures."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


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


# ------------------------------------------------------------ from Python


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
    "steps": (_boundary.Workspace, "train", EPOCHS * STEPS),
    "validation": (_boundary.Workspace, "evaluate", EPOCHS),
    "saving": (pynn.Model, "_save", 1 + EPOCHS),
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


def interrupt() -> None:
    """Raise what Ctrl-C raises; a handler cannot run within a trace function."""
    raise KeyboardInterrupt


@pytest.fixture(scope="module", params=EVERY)
def lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`every`, and how many lines of Python a whole run of it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_training, "paced", step_by_step)
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
    """At a line drawn from each fiftieth of a run's lines: of checks, steps, ends and savings."""
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
    """At each of a run's last lines: the model knows its epochs, and can be trained again."""
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
    """Its epochs were too few: resumed after its end, with more of them."""
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
    with pytest.raises(pynn.ArgumentError, match="epochs must be at least 2, as many are begun"):
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
    """Who presses twice does not wait, and loses only what came after the last checkpoint."""
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


# ------------------------------------------------------------ while C works


def pressing_in_c(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> list[Any]:
    """Let another thread send SIGINT while this one is in some call of a workspace's method.

    When that call returns, the signal has arrived; the list has an entry for each call begun.
    """
    begun: list[Any] = []
    original = getattr(_boundary.Workspace, name)
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

    monkeypatch.setattr(_boundary.Workspace, name, method)
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
        patch.setattr(_model, "paced", step_by_step)
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
    for first, last in _training.paced(0, 10_000_000 if cost < 1e-3 else 10_000, grain):
        clock += (last - first) * cost
        longest = max(longest, (last - first) * cost)
    assert longest <= max(0.05, grain * cost) * 1.001


# ------------------------------------------------------------ killed

RUN = """if True:
    import hashlib, os, signal, sys, warnings
    from pathlib import Path
    import numpy as np, pynn

    path = Path("run")
    rng = np.random.default_rng(50)
    x, y = rng.integers(0, 256, (60, 20), np.uint8), rng.integers(0, 3, 60)
    cosine = pynn.schedules.Cosine(0.05, steps=27)
    optimizer = {
        "sgd": pynn.SGD(learning_rate=0.3),
        "momentum": pynn.SGD(learning_rate=cosine, momentum=0.9, nesterov=True, weight_decay=0.1),
        "adam": pynn.Adam(learning_rate=cosine),
        "adamw": pynn.AdamW(learning_rate=0.03, max_gradient_norm=0.5),
    }[sys.argv[2]]
    plain = sys.argv[2] == "sgd"
    options = {} if plain else {
        "class_weight": "balanced", "early_stopping": pynn.EarlyStopping(patience=2),
    }

    def run(every, **callbacks):
        if path.exists():
            model = pynn.Model.resume(path)
        else:
            chain = pynn.Builder().input(20).dense(17).relu()
            chain = chain if plain else chain.dropout(0.3)
            model = chain.dense(3).softmax_cross_entropy().build(seed=5)
        model.fit(
            x, y, epochs=3, batch_size=7, optimizer=optimizer,
            validation=(x[::3], y[::3]), checkpoint=path, every=every, **options, **callbacks,
        )
        model.save("model")
        return hashlib.sha256(Path("model").read_bytes()).hexdigest()
"""

KILLED_AT_A_LINE = """
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are
    package = os.path.dirname(pynn.__file__)

    def kill_at(line):
        left = line

        def in_pynn(frame, event, _):
            nonlocal left
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return in_pynn

        def enter(frame, event, _):
            return in_pynn if frame.f_code.co_filename.startswith(package) else None

        sys.settrace(enter)

    def live(every, threads, line):
        process = os.fork()
        if process == 0:
            signal.alarm(60)  # ends it if it hangs
            try:
                pynn.set_num_threads(threads)
                if line is not None:
                    kill_at(line)
                run(every)
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    every = None if sys.argv[1] == "None" else int(sys.argv[1])
    draw = np.random.default_rng([52, every or 0])
    kills = 0
    for again in range(9 if plain else 5):
        for name in ("run", "model"):
            Path(name).unlink(missing_ok=True)
        if again == 0:  # undisturbed
            assert live(every, 2, None) == 0
            print(hashlib.sha256(Path("model").read_bytes()).hexdigest())
            continue
        for life in range(8):
            status = live(every, 1 + life % 3, int(draw.integers(1, 2500)))
            assert status in (0, -signal.SIGKILL), status
            kills += status != 0
        assert live(every, 2, None) == 0
        print(hashlib.sha256(Path("model").read_bytes()).hexdigest())
    print(kills)
"""

KILLED_FROM_OUTSIDE = """
    every = None if sys.argv[1] == "None" else int(sys.argv[1])
    print(run(every, on_progress=lambda now: print(now.epoch, now.step, flush=True)))
"""


def python(
    code: str, every: int | None, folder: Path, optimizer: str = "sgd"
) -> subprocess.Popen[str]:
    """A program in an interpreter of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN + code, str(every), optimizer],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
@pytest.mark.parametrize(
    ("optimizer", "every"),
    [*(("sgd", every) for every in EVERY), ("momentum", 7), ("adam", 4), ("adamw", None)],
)
def test_killed_at_any_line_a_run_goes_on(
    optimizer: str, every: int | None, undisturbed: tuple[Outcome, list[str]], tmp_path: Path
) -> None:
    """Runs, each killed up to eight times at drawn lines of Python, end with the same bytes.

    Each life has another number of threads.
    """
    with python(KILLED_AT_A_LINE, every, tmp_path, optimizer) as process:
        out, err = process.communicate(timeout=5 * MINUTE)
    assert (process.returncode, err) == (0, "")
    *digests, kills = out.split()
    assert len(digests) == (9 if optimizer == "sgd" else 5)
    assert len(set(digests)) == 1
    if optimizer == "sgd":
        assert digests[0] == undisturbed[0].sha256
    assert int(kills) >= 8


@pytest.mark.skipif(os.name != "posix", reason="has no SIGKILL")
@pytest.mark.parametrize("every", EVERY)
def test_killed_from_outside_a_run_goes_on(
    every: int | None, undisturbed: tuple[Outcome, list[str]], tmp_path: Path
) -> None:
    """Killed after some lines of its output, wherever it is by then, four times over."""
    draw = np.random.default_rng([53, every or 0])
    for _ in range(4):
        with python(KILLED_FROM_OUTSIDE, every, tmp_path) as process:
            assert process.stdout is not None
            for _ in range(draw.integers(1, 5)):
                process.stdout.readline()
            process.kill()
            _, err = process.communicate(timeout=MINUTE)
        assert err == ""
    with python(KILLED_FROM_OUTSIDE, every, tmp_path) as process:
        out, err = process.communicate(timeout=MINUTE)
    assert (process.returncode, err) == (0, "")
    assert out.split()[-1] == undisturbed[0].sha256


# ------------------------------------------------------------ scripts/train.py

SMALL = ["--hidden", "8", "--batch-size", "50", "--epochs", "3"]  # 6 steps an epoch
NETWORKS = ("relu", "sigmoid")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in MNIST's layout, of 300 and 100 examples."""
    rng = np.random.default_rng(54)
    folder = tmp_path_factory.mktemp("data")
    for part, count in (("train", 300), ("t10k", 100)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        pynn.datasets.write_idx(folder / f"{part}-images-idx3-ubyte", images)
        labels = np.arange(count, dtype=np.uint8) % 10
        pynn.datasets.write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that an undisturbed run of the program leaves."""
    out = tmp_path_factory.mktemp("trained")
    assert train.main([*SMALL, "--data", str(data), "--output", str(out), "--quiet"]) == 0
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(files) == ["relu.safetensors", "sigmoid.safetensors"]
    return files


# Which call of which method of the report, by the network that then is trained, and how many epochs
# of it are done. A run of steps is one step at first, so that an epoch has two calls of progress.
POINTS = [
    ("progress", 1, "relu", 0),
    ("epoch", 1, "relu", 1),
    ("epoch", 3, "relu", 3),
    ("epoch", 4, "sigmoid", 1),
    ("epoch", 5, "sigmoid", 2),
    ("epoch", 6, "sigmoid", 3),
]


def check_way_on(err: str, checkpoint: Path) -> None:
    """The one line names the checkpoint, which is there, and says how to go on."""
    assert err.startswith("train.py: interrupted; kept in ")
    assert str(checkpoint) in err
    assert err.endswith("; the same command with --resume goes on\n")
    assert err.count("\n") == 1
    assert checkpoint.exists()


@pytest.mark.parametrize(("method", "call", "network", "done"), POINTS)
def test_interrupted_program_says_how_to_go_on(
    method: str,
    call: int,
    network: str,
    done: int,
    data: Path,
    trained: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 130, a checkpoint, one line; with --resume only what is left, and the same files."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out)]
    original = getattr(train.Report, method)
    press = nth(call, press_ctrl_c)

    def pressed(self: object, result: object) -> None:
        original(self, result)
        press()

    with monkeypatch.context() as patch:
        patch.setattr(train.Report, method, pressed)
        assert train.main(arguments) == 130
    check_way_on(capsys.readouterr().err, out / f"{network}.checkpoint")

    assert train.main([*arguments, "--resume"]) == 0
    epochs = re.findall(r"^(relu|sigmoid) +(\d)/3 ", capsys.readouterr().out, re.MULTILINE)
    left = {name: range(1, 4) for name in NETWORKS[NETWORKS.index(network) :]}
    left[network] = range(1 + done, 4)
    assert epochs == [(name, str(epoch)) for name, left_ in left.items() for epoch in left_]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained


@pytest.mark.parametrize(("call", "network"), [(1, "relu"), (2, "sigmoid")])
def test_program_interrupted_while_it_saves_says_how_to_go_on(
    call: int,
    network: str,
    data: Path,
    trained: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C after the last epoch of a network, before it is saved, is no different."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out)]
    original, press = pynn.Model.save, nth(call, press_ctrl_c)

    def pressed(self: pynn.Model, path: Path) -> None:
        press()
        original(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(pynn.Model, "save", pressed)
        assert train.main(arguments) == 130
    check_way_on(capsys.readouterr().err, out / f"{network}.checkpoint")
    assert train.main([*arguments, "--resume"]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained


def test_program_may_be_interrupted_from_outside_over_and_over(data: Path, tmp_path: Path) -> None:
    """As a process with epochs without end, stopped three times by SIGINT; then with an end."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    common = [*SMALL[:4], "--data", str(data), "--network", "sigmoid"]
    arguments = [*common, "--output", str(out)]
    checkpoint, done = out / "sigmoid.checkpoint", 0
    for resume in ([], ["--resume"], ["--resume"]):
        with subprocess.Popen(
            [sys.executable, SCRIPTS / "train.py", *arguments, "--epochs", "1000000", *resume],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            while not re.match(r"sigmoid +\d+/1000000 ", line := process.stdout.readline()):
                assert line
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=MINUTE)
        assert process.returncode == 130
        check_way_on(err, checkpoint)
        before, done = done, pynn.load(checkpoint).epochs_trained
        assert done > before
    epochs = ["--epochs", str(done + 2), "--quiet"]
    assert train.main([*arguments, *epochs, "--resume"]) == 0
    assert train.main([*common, *epochs, "--output", str(whole)]) == 0
    contents = [(folder / "sigmoid.safetensors").read_bytes() for folder in (out, whole)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("network", NETWORKS)
def test_an_unfinished_run_is_not_lost_to_a_new_one(
    network: str,
    data: Path,
    trained: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without --resume or --discard it is refused, with both named; then either does as it says."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out), "--quiet"]
    press = nth(2 if network == "relu" else 5, press_ctrl_c)
    with monkeypatch.context() as patch:
        patch.setattr(train.Report, "epoch", lambda *_: press())
        assert train.main(arguments) == 130
    kept = [out / f"{name}.checkpoint" for name in NETWORKS[: 1 + NETWORKS.index(network)]]
    before = [checkpoint.read_bytes() for checkpoint in kept]
    capsys.readouterr()
    assert train.main(arguments) == 1
    assert capsys.readouterr().err == (
        f"train.py: error: an unfinished run is kept in {' and '.join(map(str, kept))}: --resume"
        " goes on with it, --discard starts anew\n"
    )
    if network == "relu":  # not in the way of another network
        assert train.main([*arguments, "--network", "sigmoid"]) == 0
    assert [checkpoint.read_bytes() for checkpoint in kept] == before
    assert train.main([*arguments, "--resume" if network == "relu" else "--discard"]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained


def test_a_new_run_does_not_take_up_an_old_checkpoint(
    data: Path, trained: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --discard all is trained anew, and what --resume then takes up is of that run."""
    out = tmp_path / "out"
    arguments = [*SMALL, "--data", str(data), "--output", str(out), "--quiet"]

    def stopped(call: int, *more: str) -> None:
        original = train.Report.epoch
        press = nth(call, press_ctrl_c)

        def pressed(self: Any, result: pynn.EpochResult) -> None:
            original(self, result)
            press()

        with monkeypatch.context() as patch:
            patch.setattr(train.Report, "epoch", pressed)
            assert train.main([*arguments, *more]) == 130

    stopped(4, "--seed", "1")  # in the second network
    stopped(2, "--discard")  # in the first
    assert train.main([*arguments, "--resume"]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == trained
