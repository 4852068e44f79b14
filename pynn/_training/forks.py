"""Forks: a child has none of the other threads, and nobody who gives back what they held.

Engines get new locks there. But BLAS has locks of its own, which it takes while it multiplies: so a
fork waits until no thread is in a call of C, which each does under its engine's lock.

A signal handler may run between any two instructions of the functions below, and may raise there.
So one instruction takes a lock and notes it, and one forgets and releases it: no lock is left held.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from operator import methodcaller
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynn._training.engine import Engine

PATIENCE = 5.0
"""Seconds that a fork waits at most. Then it goes on, as it must not hang."""

# By their ids. Of this dictionary, unlike of a WeakSet, a copy is made in one instruction: a signal
# handler, or another thread, may make an engine while the engines are gone through.
_engines: weakref.WeakValueDictionary[int, Engine] = weakref.WeakValueDictionary()


class _Taken(threading.local):
    """The locks that a thread has taken for its fork."""

    def __init__(self) -> None:
        self.locks: list[Any] = []


_taken = _Taken()
_release = methodcaller("release")


def register(engine: Engine) -> None:
    """Let forks wait for an engine, and let it forget threads in their children."""
    _engines[id(engine)] = engine


def _living() -> list[Engine]:
    """The engines that there are."""
    return [engine for ref in _engines.valuerefs() if (engine := ref()) is not None]


def _take(lock: Any, until: float) -> None:
    acquire = methodcaller("acquire", timeout=max(0.0, until - time.monotonic()))
    _taken.locks.extend(filter(acquire, [lock]))  # one instruction, see above


def _before() -> None:
    """Wait until no thread is in C. The thread that forks may hold some of the locks itself."""
    until = time.monotonic() + PATIENCE
    for engine in _living():
        _take(engine.lock, until)


def _after_in_parent() -> None:
    """Give back what `_before` took, as far as the fork of a signal handler has not."""
    locks = _taken.locks
    while locks:
        some = filter(None, [locks])  # none of it, if a handler forks here
        next(map(_release, map(list.pop, some)), None)  # one instruction, see above


def _after_in_child() -> None:
    """There is one thread: this one."""
    _after_in_parent()  # it may wait for such a lock, below the signal handler that forked
    for engine in _living():
        engine.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before)
    # Twice: a signal that comes during the fork is handled at a function's first instruction, and
    # if its handler raises there, that function does nothing; the second call does its work.
    for _ in range(2):
        os.register_at_fork(after_in_parent=_after_in_parent, after_in_child=_after_in_child)
