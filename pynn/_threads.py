"""How many threads the arithmetic uses."""

from __future__ import annotations

import os

from pynn import _boundary, _checks
from pynn._boundary import MAX_THREADS
from pynn._errors import ArgumentError


def set_num_threads(threads: int) -> None:
    """Set how many threads all models share for their arithmetic.

    Results do not depend on it, to the bit. Without a call it is `PYNN_NUM_THREADS` from the
    environment, or else the number of cores that this process may use.

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
    _boundary.set_num_threads(_checks.integer("threads", threads, least=1, most=MAX_THREADS))


def get_num_threads() -> int:
    """How many threads all models share for their arithmetic; see `set_num_threads`."""
    return _boundary.get_num_threads()


def set_default_num_threads() -> None:
    """Do what `set_num_threads` says of no call. Runs once, on import.

    Raises:
        ArgumentError: `PYNN_NUM_THREADS` is set to something that is no number of threads.
    """
    wish = os.environ.get("PYNN_NUM_THREADS", "").strip()
    if not wish:
        set_num_threads(min(_usable_cores(), MAX_THREADS))
        return
    try:
        set_num_threads(int(wish))
    except ValueError:
        raise ArgumentError(
            f"the environment variable PYNN_NUM_THREADS must be a number from 1 to {MAX_THREADS},"
            f" is {wish!r}; correct it or unset it"
        ) from None


def _usable_cores() -> int:
    """The cores that this process may use, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
