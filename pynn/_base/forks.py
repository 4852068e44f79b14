"""Forks: the child of a fork must not wait for locks that other threads held.

The child has only the thread that forked. A lock that another thread held at the fork stays locked
in the child, and nothing there would ever release it.

- The locks of their owners, which are the engines of models and the import of pynn's parts, are
  replaced in the child.
- BLAS has locks of its own, which it takes while it multiplies, and Python has one for each module
  that is imported; these cannot be replaced. So before the fork, the forking thread takes the lock
  of every owner. Each call of C is made under its engine's lock, and each import of a part of pynn
  under the lock for imports; so when the thread has all of them, no other thread is in BLAS or
  imports pynn. First of all the forking thread takes the lock that `register` needs. So no other
  thread gets a new owner, such as the engine of a model that it builds, before the fork is over.

A signal handler may run between any two instructions of the functions below, and may raise an
exception there. If that happened after a lock was taken and before this was noted, the lock would
stay locked. So a single instruction takes a lock and notes it, and a single instruction removes the
note and releases the lock.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from operator import methodcaller
from typing import Any, Protocol

PATIENCE = 5.0
"""The most seconds that a fork waits for locks; then it goes on, because it must not hang."""


class Owner(Protocol):
    """What has a lock that is held while another thread must not fork."""

    @property
    def lock(self) -> Any:
        """The lock; reentrant."""

    def forget_threads(self) -> None:
        """Replace the locks that other threads held; for the child of a fork."""


# All owners, by their ids. While a loop goes through them, a signal handler may make an engine, or
# a thread drop its last reference to one, and a loop over a dictionary or set that changes fails.
# So the loop goes over a list, which a dictionary gives in one instruction, and a WeakSet does not.
# In a free-threaded Python, a dictionary holds a lock of its own meanwhile.
_owners: weakref.WeakValueDictionary[int, Owner] = weakref.WeakValueDictionary()


class _Taken(threading.local):
    """The locks that the current thread has taken for its fork."""

    def __init__(self) -> None:
        self.locks: list[Any] = []


_taken = _Taken()
_release = methodcaller("release")


def register(owner: Owner) -> None:
    """Make forks wait for an owner's lock, and replace its locks in their children.

    The caller holds the lock of no owner: a fork that waits for that lock would have this one.
    """
    with _registering.lock:
        _owners[id(owner)] = owner


def _living() -> list[Owner]:
    """List the owners that exist."""
    return [owner for ref in _owners.valuerefs() if (owner := ref()) is not None]


def is_held(lock: threading.RLock) -> bool:
    """Tell whether this thread holds a lock.

    An attribute of ours, set after the lock is taken, would be wrong for a moment: a signal handler
    could run between the two. So the lock itself is asked, by the method that threading.Condition
    uses for the same purpose.
    """
    held: bool = lock._is_owned()  # type: ignore[attr-defined]
    return held


class Guard:
    """An owner of nothing but its lock; the caller registers it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def forget_threads(self) -> None:
        """Replace the lock if another thread held it; for the child of a fork."""
        if not is_held(self.lock):
            self.lock = threading.RLock()


_registering = Guard()  # its lock is held while an owner is registered
register(_registering)


def _take(lock: Any, until: float) -> None:
    """Take a lock and note it, unless another thread holds it until then."""
    acquire = methodcaller("acquire", timeout=max(0.0, until - time.monotonic()))
    _taken.locks.extend(filter(acquire, [lock]))  # one instruction: see the module's docstring


def _before() -> None:
    """Wait until no other thread is in C, imports pynn, or registers an owner.

    The locks are reentrant, since this thread may hold some.
    """
    until = time.monotonic() + PATIENCE
    _take(_registering.lock, until)  # first, so that the list below stays complete
    for owner in _living():
        _take(owner.lock, until)


def _after_in_parent() -> None:
    """Release the locks that `_before` took.

    A signal handler that runs here may itself fork, which takes and then releases all noted locks.
    So the list may become empty between the test of the loop and the pop: `filter` tests once more,
    in the same instruction that pops and releases.
    """
    locks = _taken.locks
    while locks:
        some = filter(None, [locks])
        next(map(_release, map(list.pop, some)), None)  # one instruction: see the docstrings


def _after_in_child() -> None:
    """Release the locks that this thread holds, and replace those that other threads held.

    The locks that `_before` took must be released, not only replaced. If a signal handler forked,
    the code that it interrupted may be in the middle of waiting for one of them, and would wait for
    ever, because it goes on with the old lock.
    """
    _after_in_parent()
    for owner in _living():
        owner.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before)
    # Both functions are registered twice. A signal that comes during the fork is handled at the
    # first instruction of the next function. If its handler raises an exception there, that call
    # does nothing, and the second call does the work. To do it twice does no harm.
    for _ in range(2):
        os.register_at_fork(after_in_parent=_after_in_parent, after_in_child=_after_in_child)
