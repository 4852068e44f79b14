"""The C library: this module loads its extension and turns its statuses into exceptions.

This is the only module that imports the extension; the other modules of this folder import it from
here. Their callers have already checked dtypes, shapes and contiguity and explained any error to
the user, so here these are only asserted. The C library checks its arguments as well; `check`, and
nothing else, turns the statuses that it returns into exceptions.
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
from pynn._base.checks import NOT_FITTED, printable
from pynn._base.errors import ArgumentError, OutOfMemoryError, PynnError

_PACKAGE = os.path.dirname(os.path.dirname(__file__))


@contextlib.contextmanager
def _blas_without_threads() -> Iterator[None]:
    """Keep the OpenBLAS that is part of pynn from starting threads when it is loaded.

    It would start one thread for each core. None of them would ever get work, because pynn divides
    the work among its own threads. But during their first twenty milliseconds these threads wait
    for work in a busy loop, and take the cores from the program. This applies only to the copy of
    OpenBLAS inside an installed pynn. The system's OpenBLAS is shared with other packages, so it
    is loaded with the user's settings.

    The setting is an environment variable, so for this moment the whole process has it. If another
    thread starts a program at just this moment, the program inherits it.
    """
    name = "OPENBLAS_NUM_THREADS"
    on_windows = sys.platform == "win32"
    file = "scipy_openblas_pynn.dll" if on_windows else "libscipy_openblas_pynn.so"
    before = os.environ.get(name)
    wanted = "1" if os.path.exists(os.path.join(_PACKAGE, file)) else before
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


def _complete(ctype: Any, seen: set[Any]) -> None:
    """Let cffi make the list of fields of a struct, and of those that it has within it."""
    if ctype in seen:
        return
    seen.add(ctype)
    if ctype.kind in ("pointer", "array"):
        _complete(ctype.item, seen)
    elif ctype.kind in ("struct", "union"):
        with contextlib.suppress(ffi.error):  # of a struct that is only declared
            ffi.sizeof(ctype)
            for _, field in ctype.fields:
                _complete(field.type, seen)


def complete_types() -> None:
    """Let cffi make all that it makes of a type or a function when that is first used.

    In a free-threaded Python, two threads that use a struct for the first time at the same moment
    could crash the process: cffi 2.1 does not keep them apart. So this runs once, on import; it
    takes about 0.3 ms.
    """
    seen: set[Any] = set()
    for name in ffi.list_types()[1]:
        _complete(ffi.typeof(f"struct {name}"), seen)
    for name in dir(lib):
        getattr(lib, name)


complete_types()

LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4")
_FLOAT32 = np.dtype(np.float32)

# The allocator that C uses; NULL means malloc. Tests set one that fails.
allocator: Any = ffi.NULL


class NotFinite(Exception):
    """A loss or an output is not finite; the callers find the cause and raise a full error."""


def check(status: int) -> None:
    """Raise the exception that a status of the C library stands for."""
    if status == lib.PYNN_OK:
        return
    message = _string(lib.pynn_status_message(status))
    if status == lib.PYNN_NOT_FINITE:
        raise NotFinite(message)
    if status == lib.PYNN_NOT_FITTED:
        raise PynnError(NOT_FITTED)
    if status == lib.PYNN_OUT_OF_MEMORY:
        raise OutOfMemoryError(message)
    if status >= lib.PYNN_INVALID_ARGUMENT:
        raise ArgumentError(message)
    raise PynnError(message)


def _string(text: Any) -> str:
    """Convert a string of C."""
    return str(ffi.string(text).decode())


def version() -> str:
    """Return the version of the C library."""
    return _string(lib.pynn_version())


def blas_name() -> str:
    """Return the name of the BLAS that the C library was built with."""
    return _string(lib.pynn_blas_name())


def blas_config() -> str:
    """Return the description that this BLAS gives of itself on this machine."""
    return _string(lib.pynn_blas_config())


def blas_kernel() -> str:
    """Return the processor whose kernels this BLAS runs, in its own words; "" if it says none."""
    return _string(lib.pynn_blas_kernel())


def instruction_set() -> str:
    """Return the instruction set that pynn's own kernels use on this processor."""
    return _string(lib.pynn_instruction_set())


def check_instruction_set() -> None:
    """Check the environment variable `PYNN_INSTRUCTION_SET`. Runs once, on import.

    Raises:
        ArgumentError: It names an instruction set that this processor does not have.
    """
    wish, best = os.environ.get("PYNN_INSTRUCTION_SET", ""), instruction_set()
    if wish in ("", best):
        return
    choices = LEVELS[: LEVELS.index(best) + 1] if best in LEVELS else (best,)
    raise ArgumentError(
        "the environment variable PYNN_INSTRUCTION_SET must be what this processor has,"
        f" {' or '.join(choices)}, but is {printable(repr(wish), 500)}; correct it or unset it"
    )


def extension() -> str:
    """Return the path of the compiled extension."""
    return str(sys.modules["pynn._pynn"].__file__)


def create(
    kind: str, make: Callable[..., int], destroy: Callable[..., None], *arguments: Any
) -> Any:
    """Create an object of the C library that is destroyed with the last reference to its handle.

    Ctrl-C may raise an exception between any two instructions of Python. If it came after C has
    created the object and before the handle's destructor is registered, the object would leak. So
    a single instruction, the call of extend, both registers the destructor and stores the handle.
    If `owned` is still empty when an exception comes, nothing else will destroy the object, and it
    is destroyed here; if not, the handle does it. So it is never leaked and never destroyed twice.
    """
    out = ffi.new(f"{kind} **")
    owned: list[Any] = []
    try:
        check(make(*arguments, out))
        owned.extend(map(ffi.gc, [out[0]], [destroy]))
    except BaseException:
        if not owned:
            destroy(out[0])  # NULL if C has not created it yet, which destroy() allows
        raise
    return owned[0]


def permutation(seed: int, stream: int, count: int) -> npt.NDArray[np.uint32]:
    """Draw a random permutation of 0 .. count - 1; the same seed and stream give the same one."""
    out = np.empty(count, np.uint32)
    lib.pynn_random_permutation(seed, stream, count, ffi.from_buffer("uint32_t[]", out))
    return out


def floats(array: Floats, count: int, *, writable: bool = False) -> Any:
    """Return a pointer to a float32 array, which must have at least `count` values."""
    assert array.dtype == _FLOAT32 and array.flags.c_contiguous and array.size >= count
    return ffi.from_buffer("float[]", array, writable)
