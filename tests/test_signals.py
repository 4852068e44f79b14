"""Signal handlers: they run in the thread of the call that they interrupt, and may use its model.

A handler runs between two instructions of Python. So a trace function takes its place here, and
acts before whichever instruction of pynn's a test chooses: no clock decides where.
"""

from __future__ import annotations

import contextlib
import dis
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import pynn
from pynn import _boundary, _forks
from pynn.formats import nn_rust, pytorch

MINUTE = 60  # no test waits longer for what should come at once
PACKAGE = os.path.dirname(pynn.__file__)

_rng = np.random.default_rng(60)
X = _rng.normal(size=(5, 8)).astype(np.float32)
Y = _rng.integers(0, 3, 5)
LARGE = np.tile(X, (9, 1))  # needs a larger workspace
LARGE_Y = np.tile(Y, 9)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """The number of threads is the process's: each test leaves it as it was."""
    before = pynn.get_num_threads()
    yield
    pynn.set_num_threads(before)


@pytest.fixture(autouse=True)
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk, which only guards against power failures."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def build() -> pynn.Model:
    """A model from 8 values to 3 classes."""
    chain = pynn.Builder().input(8).dense(6).relu().dense(3)
    return chain.softmax_cross_entropy().build(seed=6)


def flat(model: pynn.Model) -> bytes:
    """All parameters, bit for bit."""
    return b"".join(view.tobytes() for view in model.parameters.values())


def fit(model: pynn.Model) -> Any:
    """An epoch of two steps, validated."""
    history = model.fit(X, Y, epochs=1, batch_size=3, validation=(X, Y), optimizer=pynn.Adam())
    return history.loss, history.val_loss, flat(model)


def partial_fit(model: pynn.Model) -> Any:
    """Two steps."""
    return model.partial_fit(X, Y, batch_size=3), flat(model)


# What a test calls, and what it comes to.
ASKING: dict[str, Callable[[pynn.Model], Any]] = {
    "predict": lambda model: model.predict(X).tobytes(),
    "predict_proba": lambda model: model.predict_proba(X[:1]).tobytes(),
    "evaluate": lambda model: model.evaluate(X, Y),
    "evaluate per class": lambda model: repr(model.evaluate(X, Y, per_class=True)),
}
TRAINING: dict[str, Callable[[pynn.Model], Any]] = {"fit": fit, "partial_fit": partial_fit}
USES = ASKING | TRAINING

# What a handler does that changes nothing of the model.
HANDLERS: dict[str, Callable[[pynn.Model], Any]] = {
    "predict": lambda model: model.predict(X[:2]),
    "predict more rows": lambda model: model.predict_proba(LARGE),
    "evaluate": lambda model: model.evaluate(X[:2], Y[:2]),
    "evaluate more rows": lambda model: model.evaluate(LARGE, LARGE_Y),
    "pickle": lambda model: pickle.dumps(model),
    "threads": lambda _: pynn.set_num_threads(3 - pynn.get_num_threads()),
    "another model": lambda _: build().evaluate(X, Y),
}


class Instructions:
    """Acts before instructions of pynn's Python, as a signal handler does.

    Args:
        act: What to do there.
        number: Before which, counted from 1; 0 is none, only to count; None is each.
        checked: Count those alone before which CPython looks for signals: behind calls, at the
            beginning of functions, and when a loop goes back.
    """

    CHECKS = ("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE")

    def __init__(
        self, act: Callable[[], Any], number: int | None = None, *, checked: bool = False
    ) -> None:
        self.act = act
        self.number = number
        self.checked = checked
        self.count = 0

    def __enter__(self) -> Instructions:
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        last = "RESUME"

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal last
            if event == "exception":
                last = ""  # the call has failed: no look for signals
            elif event == "opcode":
                before, last = last, dis.opname[frame.f_code.co_code[frame.f_lasti]]
                if not self.checked or before.startswith(self.CHECKS):
                    self._pass()
            return trace

        return trace

    def _pass(self) -> None:
        self.count += 1
        if self.number in (None, self.count):
            self.act()


def count_instructions(use: Callable[[pynn.Model], object], *, checked: bool = False) -> int:
    """How many instructions of pynn's a use of a model takes."""
    use(build())  # imports what is imported late
    model = build()
    with Instructions(lambda: None, 0, checked=checked) as instructions:
        use(model)
    assert instructions.count > 20
    return instructions.count


class Watch:
    """Stands for the C library: it notices a workspace that is freed twice, or used when it is.

    What is freed is kept until the test ends, so that no address is given out twice.
    """

    def __init__(self) -> None:
        self._lib = _boundary.lib
        self.freed: dict[int, Any] = {}
        self.created = 0
        self.ended = False
        self.wrong: list[str] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._lib, name)
        if name not in ("pynn_predict", "pynn_evaluate", "pynn_train"):
            return function

        def checked(handle: Any, *arguments: Any) -> Any:
            if address(handle) in self.freed:
                self.wrong.append(f"{name} uses memory that is free")
                return self._lib.PYNN_INVALID_ARGUMENT
            return function(handle, *arguments)

        return checked

    def pynn_workspace_create(self, *arguments: Any) -> Any:
        """Count it."""
        status = self._lib.pynn_workspace_create(*arguments)
        self.created += status == self._lib.PYNN_OK
        return status

    def pynn_workspace_destroy(self, handle: Any) -> None:
        """Note it, or do it where the test has ended: what is in a cycle is collected later."""
        if self.ended:
            self._lib.pynn_workspace_destroy(handle)
            return
        if handle == _boundary.ffi.NULL:
            return
        if address(handle) in self.freed:
            self.wrong.append("a workspace is freed twice")
        self.freed[address(handle)] = handle

    def free(self) -> None:
        """Free what was kept, and from now on everything at once."""
        self.ended = True
        for handle in self.freed.values():
            self._lib.pynn_workspace_destroy(handle)


def address(handle: Any) -> int:
    """Where a handle points to."""
    return int(_boundary.ffi.cast("uintptr_t", handle))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Takes the library's place; in the end, none of the workspaces was freed wrongly."""
    watch = Watch()
    monkeypatch.setattr(_boundary, "lib", watch)
    yield watch
    monkeypatch.undo()
    watch.free()
    assert watch.wrong == []


def in_thread(work: Callable[[], Any]) -> Any:
    """What a function gives in a thread of its own, which has to end."""
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(work()), daemon=True)
    thread.start()
    thread.join(MINUTE)
    assert not thread.is_alive(), "it hangs"
    return result[0]


def check_free(*models: pynn.Model) -> None:
    """Another thread can have all locks of the models at once."""

    def take() -> bool:
        locks = [lock for model in models for lock in (model._lock, model._fit_lock)]
        taken = [lock for lock in locks if lock.acquire(blocking=False)]
        for lock in taken:
            lock.release()
        return len(taken) == len(locks)

    assert in_thread(take)


# ------------------------------------------------------------ a handler that uses the model


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("use", USES)
def test_nested_call_before_every_instruction(use: str, handler: str, watch: Watch) -> None:
    """The interrupted call comes to what it comes to undisturbed, and so does the nested one."""
    model, other = build(), build()
    expected, answer = USES[use](other), HANDLERS[handler](build())
    answers: list[Any] = []
    with Instructions(lambda: answers.append(HANDLERS[handler](model))) as instructions:
        assert USES[use](model) == expected
    assert instructions.count > 100
    if use in ASKING and handler != "threads":
        assert {pickle.dumps(each) for each in answers} == {pickle.dumps(answer)}
    model.close()
    other.close()
    assert len(watch.freed) == watch.created


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_that_a_signal_calls(handler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by signals, sent before and after each call of the library."""
    model, other = build(), build()
    expected = [USES[use](other) for use in USES]
    handled = 0

    def handle(*_: object) -> None:
        nonlocal handled
        handled += 1
        HANDLERS[handler](model)

    def interrupted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal nested
            nested, outermost = True, not nested
            if outermost:
                signal.raise_signal(signal.SIGUSR1)
            result = method(*arguments, **options)
            if outermost:
                signal.raise_signal(signal.SIGUSR1)
                nested = False
            return result

        return call

    nested = False
    for name in ("train", "evaluate", "predict"):
        method = interrupted(getattr(_boundary.Workspace, name))
        monkeypatch.setattr(_boundary.Workspace, name, method)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        assert [USES[use](model) for use in USES] == expected
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled >= 2 * len(USES)


@pytest.mark.parametrize("use", USES)
def test_a_larger_call_before_any_instruction(use: str, watch: Watch) -> None:
    """One that needs a larger workspace leaves the interrupted call its own."""
    count = count_instructions(USES[use])
    expected = USES[use](build())
    for number in range(1, count + 1, 1 + count // 400):
        model = build()
        with Instructions(lambda model=model: model.predict(LARGE), number):
            assert USES[use](model) == expected
        model.close()
    assert len(watch.freed) == watch.created


@pytest.mark.parametrize("use", USES)
def test_close_before_any_instruction(use: str, watch: Watch) -> None:
    """The interrupted call ends with its result, or with the error that says so."""
    count = count_instructions(USES[use])
    expected = USES[use](build())
    ends: set[str] = set()
    for number in range(1, count + 1, 1 + count // 400):
        model = build()
        try:
            with Instructions(model.close, number):
                assert USES[use](model) == expected
            ends.add("result")
        except pynn.ClosedError:
            ends.add("error")
        assert repr(model).endswith("closed)")
        check_free(model)
    assert "error" in ends
    assert len(watch.freed) == watch.created


# ------------------------------------------------------------ a handler that trains the model


@pytest.mark.parametrize("inner", TRAINING)
@pytest.mark.parametrize("outer", TRAINING)
def test_training_within_training_is_refused(
    outer: str, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a handler as from a callback; the error names both calls, and the outer one goes on."""
    model, other = build(), build()
    expected = TRAINING[outer](other)
    train = _boundary.Workspace.train
    refused: list[str] = []

    def handle(*_: object) -> None:
        with pytest.raises(pynn.PynnError) as caught:
            TRAINING[inner](model)
        refused.append(str(caught.value))

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGUSR1)
        return train(*arguments)

    monkeypatch.setattr(_boundary.Workspace, "train", interrupted)
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
    """Before the outer call trains, and where it only asks, the nested one does its work."""
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
    return repr((model.steps_trained, model._state.updates)).encode() + b"".join(
        moment.tobytes() for moment in model._state.moments
    )


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_of_one_moment(name: str, tmp_path: Path) -> None:
    """Whenever a handler trains the model, what is written is all from before or all from after."""

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


# ------------------------------------------------------------ a handler that raises


class Stop(Exception):
    """What a handler raises here."""


def stop() -> None:
    """A handler that raises."""
    raise Stop


@pytest.mark.parametrize("use", USES)
def test_exception_before_any_instruction_leaves_nothing_held(use: str, watch: Watch) -> None:
    """It ends the call; locks are free, no workspace is lost or used twice, and the model works.

    The exception is kept, as a debugger does: what its frames hold is not freed either.
    """
    count = count_instructions(USES[use], checked=True)
    expected = build().predict_proba(X).tobytes()
    kept: list[Stop] = []
    for number in range(1, count + 1):
        model = build()
        try:
            with Instructions(stop, number, checked=True):
                USES[use](model)
        except Stop as error:
            kept.append(error)
        check_free(model)
        if use in ASKING:
            assert model.predict_proba(X).tobytes() == expected
        assert USES[use](model)
        model.close()
    assert len(kept) == count
    kept.clear()
    gc.collect()
    assert len(watch.freed) == watch.created


# ------------------------------------------------------------ forks


def give_back() -> None:
    """What happens after a fork: the functions are called twice."""
    for _ in range(2):
        with contextlib.suppress(Stop):
            _forks._after_in_parent()


@pytest.mark.parametrize("part", ["_before", "_after_in_parent"])
def test_exception_within_a_fork_leaves_no_lock_held(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before whichever instruction of the functions that forks call a handler raises."""
    models = build(), build()
    monkeypatch.setattr(_forks, "_living", lambda: models)

    def both(number: int, place: str) -> int:
        counts = {}
        for name, function in (("_before", _forks._before), ("_after_in_parent", give_back)):
            instructions = Instructions(stop, number if name == place else 0)
            with instructions, contextlib.suppress(Stop):
                function()
            counts[name] = instructions.count
        return counts[place]

    count = both(0, part)
    assert count > 20
    for number in range(1, count + 1):
        both(number, part)
        check_free(*models)


@pytest.mark.parametrize("name", ["_before", "_after_in_parent"])
def test_a_handler_may_fork_within_a_fork(name: str) -> None:
    """Before each instruction of a function that forks call a handler's fork calls both."""
    models = [build() for _ in range(3)]

    def fork() -> None:
        _forks._before()
        _forks._after_in_parent()

    number = 0
    while True:
        number += 1
        if name == "_after_in_parent":
            _forks._before()
        with Instructions(fork, number) as instructions:
            getattr(_forks, name)()
        _forks._after_in_parent()
        check_free(*models)
        if instructions.count < number:
            break
    assert number > 20


def test_a_model_may_be_made_during_a_fork() -> None:
    """Before each instruction a handler makes a model, while the fork goes through the models."""
    made = [build()]
    with Instructions(lambda: made.append(build())):
        _forks._before()
    _forks._after_in_parent()
    check_free(*made)
    assert len(made) > 20


INTERRUPTED_FORK = """if True:
    import _thread, os, signal, sys, threading, warnings

    # A C function, so the handler runs at the first instruction of the Python function after it.
    send = _thread.interrupt_main
    os.register_at_fork(after_in_parent=send, after_in_child=send)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raised = []
    sys.unraisablehook = lambda hook: raised.append((hook.exc_type, hook.object.__module__))
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are

    import numpy as np, pynn
    chain = pynn.Builder().input(8).dense(3).softmax_cross_entropy()
    model, held = chain.build(), chain.build()

    def take():
        free.append(model._lock.acquire(blocking=False))
        free.append(child != 0 or held._lock.acquire(blocking=False))

    go_on, ready, free = threading.Event(), threading.Event(), []

    def hold():
        with held._lock:
            ready.set()
            go_on.wait(60)

    pynn._forks.PATIENCE = 0.05
    threading.Thread(target=hold, daemon=True).start()
    ready.wait(60)
    child = os.fork()
    signal.alarm(30)
    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    seen = free, raised
    right = seen == ([True, True], [(KeyboardInterrupt, "pynn._forks")])
    if child == 0:
        os._exit(0 if right else 1)
    print(right or seen, os.waitpid(child, 0)[1])
    go_on.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_exception_at_a_fork_leaves_no_lock_held(tmp_path: Path) -> None:
    """Ctrl-C during the system call: parent and child have the models' locks all the same."""
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_FORK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=MINUTE,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "True 0\n", "")


# ------------------------------------------------------------ a timer


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="has no timer")
@pytest.mark.parametrize("what", ["ask", "close", "train"])
def test_a_timer_disturbs_nothing(what: str) -> None:
    """Signals wherever they come, as many as there happen to be: right results or the errors."""
    expected, other = build().evaluate(X, Y), build().evaluate(LARGE, LARGE_Y)
    model = build()
    sizes = iter(np.random.default_rng(61).integers(1, len(LARGE), 10**5))

    def handle(*_: object) -> None:
        with contextlib.suppress(pynn.ClosedError):
            model.predict(LARGE[: next(sizes)])
            if what == "ask":
                assert model.evaluate(LARGE, LARGE_Y) == other
        if what == "close":
            model.close()
        if what == "train":
            with contextlib.suppress(pynn.PynnError):
                model.partial_fit(LARGE, LARGE_Y)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.00037)
        for _ in range(300):
            if what != "ask":
                model = build()
            with contextlib.suppress(pynn.ClosedError):
                evaluation = model.evaluate(X, Y)
                assert what == "train" or evaluation == expected
                model.predict_proba(X)
                if what != "ask":
                    fit(model)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    check_free(model)
