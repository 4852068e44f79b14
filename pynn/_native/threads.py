"""The team of threads that the arithmetic uses, and how many they are."""

from __future__ import annotations

import os
from typing import Any, Literal

from pynn._base import checks
from pynn._base.errors import ArgumentError
from pynn._native import cores, library
from pynn._native.library import check, ffi, lib

Origin = Literal["set_num_threads", "PYNN_NUM_THREADS"] | cores.Origin

MAX_THREADS = int(lib.PYNN_MAX_THREADS)

_origin: Origin = "cores"


def create_team(threads: int) -> Any:
    """A team of so many threads, which nobody destroys."""
    out = ffi.new("pynn_team **")
    check(lib.pynn_team_create(library.allocator, threads, out))
    return out[0]


# One team for all models, as long as the process lives.
team = create_team(1)


def set_num_threads(threads: int) -> None:
    """Set how many threads all models share for their arithmetic.

    Results do not depend on it, to the bit. Without a call it is `PYNN_NUM_THREADS` from the
    environment, or else the number of cores that this process may use: those of the machine, or
    fewer by its affinity or by the CPU quota of its container, which is rounded up.
    `pynn.build_info()["threads_from"]` says which of these it was.

    Args:
        threads: 1 to 1024, the calling thread included.

    Raises:
        ArgumentTypeError: It is no integer.
        ArgumentError: It is out of range.

    Examples:
        >>> import pynn
        >>> before = pynn.get_num_threads()
        >>> pynn.set_num_threads(2)
        >>> pynn.get_num_threads()
        2
        >>> pynn.set_num_threads(before)
    """
    _set(checks.integer("threads", threads, least=1, most=MAX_THREADS), "set_num_threads")


def get_num_threads() -> int:
    """How many threads all models share for their arithmetic; see `set_num_threads`."""
    return int(lib.pynn_team_threads(team))


def get_origin() -> Origin:
    """What the number of threads comes from."""
    return _origin


def set_default_num_threads() -> None:
    """Do what `set_num_threads` says of no call. Runs once, on import.

    Raises:
        ArgumentError: `PYNN_NUM_THREADS` is set to something that is no number of threads.
    """
    wish = os.environ.get("PYNN_NUM_THREADS", "").strip()
    if not wish:
        usable = cores.usable()
        _set(min(usable.number, MAX_THREADS), usable.origin)
        return
    try:
        _set(checks.integer("threads", int(wish), least=1, most=MAX_THREADS), "PYNN_NUM_THREADS")
    except ValueError:
        raise ArgumentError(
            f"the environment variable PYNN_NUM_THREADS must be a number from 1 to {MAX_THREADS},"
            f" is {wish!r}; correct it or unset it"
        ) from None


def _set(threads: int, origin: Origin) -> None:
    """Give C so many threads, and remember why."""
    global _origin
    check(lib.pynn_team_resize(team, threads))  # waits for work that is under way
    _origin = origin
