"""Tables, lists and arrays of other libraries, turned into NumPy arrays.

No library is imported here: a frame of pandas or polars can only be given if its library was
imported before. What NumPy makes of a value decides how it is read, so a call with `value` and one
with `np.asarray(value)` do the same.
"""

from __future__ import annotations

import math
import numbers as abstract
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._base.frames import frame_to_array, is_number

AnyArray = npt.NDArray[Any]

_NEEDED = "an array of numbers, or a list or a table of them"


def numbers(name: str, value: object) -> AnyArray:
    """Convert what the caller gave to a NumPy array of numbers, without a copy if it is one.

    Args:
        name: What errors call the argument; its last word is the variable in their hints.
        value: The argument.

    Returns:
        An array of any shape, of booleans, integers or floats of any width. Missing values are nan.

    Raises:
        ArgumentTypeError: It is no array, or has other values than numbers.
        ArgumentError: Its rows do not have equal lengths, or an integer has very many digits.
    """
    array = any_array(name, value)
    if array.dtype.kind in "biuf":
        return array
    raise no_numbers(name, value, array)


def any_array(name: str, value: object) -> AnyArray:
    """Convert what the caller gave to a NumPy array; it may hold text and other objects.

    Objects that all are numbers, or missing, become numbers. Arguments and errors are those of
    numbers(), except that other values are not refused.
    """
    if type(value) is np.ndarray:
        array = value
    elif isinstance(value, np.ma.MaskedArray):
        raise masked(name)
    else:
        array = _to_array(name, value)
    return _numbers_of_objects(name, array) if array.dtype.kind == "O" else array


def masked(name: str) -> ArgumentTypeError:
    """The error for a masked array."""
    return ArgumentTypeError(
        f"{name} must be a NumPy array without a mask, got a masked one; give the masked values a"
        f" value with {name.split()[-1]}.filled(...), or leave those rows out"
    )


def _to_array(name: str, value: object) -> AnyArray:
    """Make an array of anything but a NumPy array."""
    short, kind = name.split()[-1], type(value).__name__
    if value is None or isinstance(value, (str, bytes, bytearray)):
        raise ArgumentTypeError(f"{name} must be {_NEEDED}, got {kind}")
    if hasattr(value, "toarray") and not hasattr(value, "__array__"):
        raise ArgumentTypeError(
            f"{name} must be {_NEEDED}, got the sparse {kind}; convert with {short}.toarray()"
        )
    frame = frame_to_array(name, value)
    if frame is not None:
        return frame
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()  # NumPy refuses a tensor that has a gradient, or is on a GPU
    try:
        array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and isinstance(value, (list, tuple)):
            raise _ragged(name, value) from None
        words = checks.printable(str(error), 150)
        raise ArgumentTypeError(
            f"{name} must be {_NEEDED}, and NumPy makes no array of this {kind}: {words}"
        ) from None
    if array.ndim == 0 and array.dtype.kind == "O":
        raise ArgumentTypeError(f"{name} must be {_NEEDED}, got {kind}{_remedy(short, value)}")
    return array


def _remedy(short: str, value: object) -> str:
    """How to convert something that NumPy takes for a single object; "" if nobody knows."""
    if isinstance(value, dict):
        return _of_dicts(short)
    if hasattr(value, "collect"):
        return f"; get its values with {short}.collect()"
    if hasattr(value, "__iter__"):
        return f"; convert with list({short})"
    return ""


def _of_dicts(short: str) -> str:
    """What to do with a dict of columns or a list of dicts."""
    return (
        f"; begin the network with .input(pynn.Columns.of({short})), which takes it as it is, or"
        f" make a table of it with pandas.DataFrame({short})"
    )


def _ragged(name: str, value: list[Any] | tuple[Any, ...]) -> ArgumentError | ArgumentTypeError:
    """The error for a list or tuple whose parts have different shapes."""
    short, kind = name.split()[-1], type(value).__name__
    if isinstance(value, tuple) and any(hasattr(part, "shape") for part in value):
        return ArgumentTypeError(
            f"{name} must be {_NEEDED}, got {kind} of {len(value)} parts of different shapes; pass"
            f" one of its parts, as in {short}[0]"
        )
    lengths = [len(row) if hasattr(row, "__len__") else 0 for row in value]
    for index, length in enumerate(lengths):
        if length != lengths[0]:
            return ArgumentError(
                f"{name} must have rows of equal lengths, got {lengths[0]} values in {short}[0] and"
                f" {length} in {short}[{index}]"
            )
    return ArgumentError(f"{name} must have rows of one shape, got rows of different shapes")


def _numbers_of_objects(name: str, array: AnyArray) -> AnyArray:
    """Convert an array of objects if all are numbers, or missing; else return it as it is.

    Lists with None, and columns that pandas keeps as objects, are such arrays.
    """
    values = array.ravel().tolist()
    pandas, decimal = sys.modules.get("pandas"), sys.modules.get("decimal")
    absent = {type(None), *([] if pandas is None else [type(pandas.NA)])}
    real = (abstract.Real, np.bool_, *([] if decimal is None else [decimal.Decimal]))
    kinds = set(map(type, values))
    if not values or not all(kind in absent or issubclass(kind, real) for kind in kinds):
        return array
    if not kinds & absent:
        inferred = np.array(values)
        if inferred.dtype.kind in "biuf":
            return inferred.reshape(array.shape)
    try:
        floats = [math.nan if type(value) in absent else float(value) for value in values]
    except OverflowError:
        raise ArgumentError(
            f"{name} must be finite, got an integer of more than 300 digits; scale them"
        ) from None
    return np.array(floats, np.float64).reshape(array.shape)


def no_numbers(name: str, value: object, array: AnyArray, remedy: str = "") -> ArgumentTypeError:
    """The error for an array of something else than numbers, with the caller's remedy."""
    short, kind = name.split()[-1], array.dtype.kind
    own = short if isinstance(value, np.ndarray) else f"np.asarray({short})"
    got = f"{name} must be numbers, got dtype {checks.printable(str(array.dtype), 60)}"
    if kind == "c":
        return ArgumentTypeError(f"{got}; take a part of them, as in {own}.real")
    if kind == "M":
        days = f"({own} - {own}.min()) / np.timedelta64(1, 'D')"
        return ArgumentTypeError(f"{got}; count the days since the first one: {days}")
    if kind == "m":
        return ArgumentTypeError(f"{got}; count the days: {own} / np.timedelta64(1, 'D')")
    if kind == "V":
        return ArgumentTypeError(
            f"{got}; convert with np.lib.recfunctions.structured_to_unstructured({own})"
        )
    return ArgumentTypeError(f"{got}{_about_objects(short, own, array)}{remedy}")


def _about_objects(short: str, own: str, array: AnyArray) -> str:
    """Where an array of text or objects has something that is no number, and what to do."""
    values = array.ravel().tolist()
    known = [is_number(value) for value in values]
    if all(known):  # such as strings of digits
        return f"; convert with {own}.astype(np.float64)"
    first = known.index(False)
    place = ", ".join(map(str, map(int, np.unravel_index(first, array.shape))))
    holds = f": {short}[{place}] is {checks.describe(values[first])}"
    if isinstance(values[first], dict):
        return f"{holds}{_of_dicts(short)}"
    if all(isinstance(value, np.ndarray) for value in values):
        return f": its {len(values)} items are arrays; put them together with np.stack({short})"
    if array.ndim != 2:
        return holds
    columns = np.flatnonzero(~np.array(known).reshape(array.shape).all(axis=0)).tolist()
    if len(columns) == array.shape[1] or len(columns) > 5:
        return f"{holds}; encode text as numbers"
    return (
        f"{holds}; encode the columns {columns} as numbers, or leave them out:"
        f" np.delete({own}, {columns}, axis=1).astype(np.float64)"
    )
