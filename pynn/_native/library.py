"""The C library: its extension loaded, its statuses turned into exceptions.

This is the only module that imports the extension; those beside it take it from here. What they
are given has been checked by the modules above them: dtypes, shapes and contiguity are asserted
here, not explained. The C library's own checks stay on, and their statuses become exceptions in one
place, `check`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Floats
from pynn._base.checks import printable
from pynn._base.errors import ArgumentError, OutOfMemoryError, PynnError

_PACKAGE = os.path.dirname(os.path.dirname(__file__))


@contextlib.contextmanager
def _blas_without_threads() -> Iterator[None]:
    """Where an installed pynn's own copy of OpenBLAS is loaded within, it starts no threads.

    It would start one for each core, none of which would ever get work: threads are pynn's. But for
    their first twenty milliseconds they look for some without a rest, and take the cores from the
    program. The system's OpenBLAS is shared with others, so that is loaded as the user wants it.

    For this moment all of the process has the setting: another thread that starts a program just
    then hands it on.
    """
    name = "OPENBLAS_NUM_THREADS"
    file = os.path.join(_PACKAGE, "libscipy_openblas_pynn.so")
    before = os.environ.get(name)
    wanted = "1" if os.path.exists(file) else before
    try:
        if wanted is not None:
            os.environ[name] = wanted
        yield
    finally:
        if before is not None:
            os.environ[name] = before
        elif wanted is not None:
            os.environ.pop(name, None)


with _blas_without_threads():
    from pynn._pynn import ffi as ffi
    from pynn._pynn import lib as lib

LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4")
_FLOAT32 = np.dtype(np.float32)

# Where C takes its memory: malloc. Tests put an allocator here that fails.
allocator: Any = ffi.NULL


class NotFinite(Exception):
    """A loss or an output is not finite. The modules above say whose fault that is, and where."""


def check(status: int) -> None:
    """Raise the exception that a status of the C library stands for."""
    if status == lib.PYNN_OK:
        return
    message = _string(lib.pynn_status_message(status))
    if status == lib.PYNN_NOT_FINITE:
        raise NotFinite(message)
    if status == lib.PYNN_OUT_OF_MEMORY:
        raise OutOfMemoryError(message)
    if status >= lib.PYNN_INVALID_ARGUMENT:
        raise ArgumentError(message)
    raise PynnError(message)


def _string(text: Any) -> str:
    return str(ffi.string(text).decode())


def version() -> str:
    """The version that the C library was built as."""
    return _string(lib.pynn_version())


def blas_name() -> str:
    """The BLAS that the C library was built against."""
    return _string(lib.pynn_blas_name())


def blas_config() -> str:
    """What that BLAS says of itself on this machine."""
    return _string(lib.pynn_blas_config())


def blas_kernel() -> str:
    """The processor whose kernels that BLAS runs, in its own word; empty where it does not say."""
    return _string(lib.pynn_blas_kernel())


def instruction_set() -> str:
    """The instruction set whose code of ours runs here."""
    return _string(lib.pynn_instruction_set())


def check_instruction_set() -> None:
    """See that a wish for an instruction set can be granted. Runs once, on import.

    Raises:
        ArgumentError: `PYNN_INSTRUCTION_SET` is set to one that this processor does not have.
    """
    wish, best = os.environ.get("PYNN_INSTRUCTION_SET", ""), instruction_set()
    if wish in ("", best):
        return
    choices = LEVELS[: LEVELS.index(best) + 1] if best in LEVELS else (best,)
    raise ArgumentError(
        "the environment variable PYNN_INSTRUCTION_SET must be what this processor has,"
        f" {' or '.join(choices)}, is {printable(repr(wish), 500)}; correct it or unset it"
    )


def extension() -> str:
    """The file of the compiled part."""
    return str(sys.modules["pynn._pynn"].__file__)


def create(
    kind: str, make: Callable[..., int], destroy: Callable[..., None], *arguments: Any
) -> Any:
    """A handle of the library's that is destroyed with the last reference to it.

    Ctrl-C may come between any two instructions. So one instruction, extend, makes the reference
    and keeps it, and before that the handle is destroyed here.
    """
    out = ffi.new(f"{kind} **")
    owned: list[Any] = []
    try:
        check(make(*arguments, out))
        owned.extend(map(ffi.gc, [out[0]], [destroy]))
    except BaseException:
        if not owned:
            destroy(out[0])  # NULL, where there is none yet
        raise
    return owned[0]


def permutation(seed: int, stream: int, count: int) -> npt.NDArray[np.uint32]:
    """A random permutation of 0 .. count - 1, the same for the same seed and stream."""
    out = np.empty(count, np.uint32)
    lib.pynn_random_permutation(seed, stream, count, ffi.from_buffer("uint32_t[]", out))
    return out


def floats(array: Floats, count: int, *, writable: bool = False) -> Any:
    """A pointer to a float32 array of at least `count` values."""
    assert array.dtype == _FLOAT32 and array.flags.c_contiguous and array.size >= count
    return ffi.from_buffer("float[]", array, writable)
