"""Signal handlers at chosen places: they run in the thread of the call that they interrupt.

A handler runs between two instructions of Python. So a trace function takes its place here, and
acts before whichever instruction of pynn's a test chooses: no clock decides where.
"""

from __future__ import annotations

import dis
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

import pynn
from pynn._native import workspace
from pynn._native.library import ffi, lib

MINUTE = 60  # no test waits longer for what should come at once
PACKAGE = os.path.dirname(pynn.__file__)

_rng = np.random.default_rng(60)
X = _rng.normal(size=(5, 8)).astype(np.float32)
Y = _rng.integers(0, 3, 5)


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
        self._lib = lib
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
        if handle == ffi.NULL:
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
    return int(ffi.cast("uintptr_t", handle))


def watched_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Takes the library's place; in the end, none of the workspaces was freed wrongly."""
    watch = Watch()
    monkeypatch.setattr(workspace, "lib", watch)
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
        locks = [lock for model in models for lock in (model._engine.lock, model._engine.fit_lock)]
        taken = [lock for lock in locks if lock.acquire(blocking=False)]
        for lock in taken:
            lock.release()
        return len(taken) == len(locks)

    assert in_thread(take)


class Stop(Exception):
    """What a handler raises here."""


def stop() -> None:
    """A handler that raises."""
    raise Stop
