"""The team of threads that calculates for all models, and its size."""

from __future__ import annotations

import os
from typing import Any, Literal

from pynn._base import checks, words
from pynn._base.errors import ArgumentError
from pynn._native import cores, library
from pynn._native.library import check, ffi, lib

Origin = Literal["set_num_threads", "PYNN_NUM_THREADS"] | cores.Origin

MAX_THREADS = int(lib.PYNN_MAX_THREADS)

_origin: Origin = "cores"  # of the import, then of set_num_threads: no two threads differ about it


def create_team(threads: int) -> Any:
    """Create a team of so many threads; it is never destroyed."""
    out = ffi.new("pynn_team **")
    check(lib.pynn_team_create(library.allocator, threads, out))
    return out[0]


# The one team of all models; it lives as long as the process.
team = create_team(1)


@words.corrected
def set_num_threads(threads: int) -> None:
    """Set how many threads all models share for their arithmetic.

    Results do not depend on this number, to the bit. If this function is never called, the number
    is `PYNN_NUM_THREADS` from the environment. If that is not set, it is the number of cores that
    this process may use: all cores of the machine, or fewer because of the process's affinity or
    its container's CPU quota, which is rounded up. `pynn.build_info()["threads_from"]` says which
    of these applied.

    Args:
        threads: The number of threads, 1 to 1024, including the thread that calls pynn.

    Raises:
        ArgumentTypeError: `threads` is not an integer.
        ArgumentError: `threads` is out of range.

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
    """Return how many threads all models share for their arithmetic; see `set_num_threads`."""
    return int(lib.pynn_team_threads(team))


def get_origin() -> Origin:
    """Return what set the number of threads."""
    return _origin


def set_default_num_threads() -> None:
    """Set the number of threads from the environment, or from the cores. Runs once, on import.

    Raises:
        ArgumentError: `PYNN_NUM_THREADS` is set, but is not a number from 1 to 1024.
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
            f" but is {wish!r}; correct it or unset it"
        ) from None


def _set(threads: int, origin: Origin) -> None:
    """Give the team so many threads, and note what set the number."""
    global _origin
    check(lib.pynn_team_resize(team, threads))  # waits until running calls have ended
    _origin = origin
