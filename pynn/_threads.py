"""How many threads the arithmetic uses."""

from __future__ import annotations

import os
from typing import Literal

from pynn import _boundary, _checks, _cores
from pynn._boundary import MAX_THREADS
from pynn._errors import ArgumentError

Origin = Literal["set_num_threads", "PYNN_NUM_THREADS"] | _cores.Origin

_origin: Origin = "cores"


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
    _set(_checks.integer("threads", threads, least=1, most=MAX_THREADS), "set_num_threads")


def get_num_threads() -> int:
    """How many threads all models share for their arithmetic; see `set_num_threads`."""
    return _boundary.get_num_threads()


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
        cores = _cores.usable()
        _set(min(cores.number, MAX_THREADS), cores.origin)
        return
    try:
        _set(_checks.integer("threads", int(wish), least=1, most=MAX_THREADS), "PYNN_NUM_THREADS")
    except ValueError:
        raise ArgumentError(
            f"the environment variable PYNN_NUM_THREADS must be a number from 1 to {MAX_THREADS},"
            f" is {wish!r}; correct it or unset it"
        ) from None


def _set(threads: int, origin: Origin) -> None:
    """Give C so many threads, and remember why."""
    global _origin
    _boundary.set_num_threads(threads)
    _origin = origin
