"""Forks: a child has none of the other threads, and nobody who gives back what they held.

Models get new locks there. But BLAS has locks of its own, which it takes while it multiplies: so a
fork waits until no thread is in a call of C, which each does under its model's lock.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynn._model import Model

PATIENCE = 5.0
"""Seconds that a fork waits at most. Then it goes on, as it must not hang."""

_models: weakref.WeakSet[Model] = weakref.WeakSet()
_registering = threading.RLock()  # held while a model is added to them


class _Taken(threading.local):
    """The locks that a thread has taken for its fork."""

    def __init__(self) -> None:
        self.locks: list[Any] = []


_taken = _Taken()


def register(model: Model) -> None:
    """Let forks wait for a model, and let it forget threads in their children."""
    with _registering:
        _models.add(model)


def _take(lock: Any, until: float) -> bool:
    got: bool = lock.acquire(timeout=max(0.0, until - time.monotonic()))
    if got:
        _taken.locks.append(lock)
    return got


def _before() -> None:
    """Wait until no thread is in C. The thread that forks may hold some of the locks itself."""
    until = time.monotonic() + PATIENCE
    if _take(_registering, until):
        for model in _models:
            _take(model._lock, until)


def _after_in_parent() -> None:
    while _taken.locks:
        _taken.locks.pop().release()


def _after_in_child() -> None:
    """There is one thread: this one."""
    global _registering
    _registering = threading.RLock()
    _taken.locks.clear()
    for model in _models:
        model._forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
