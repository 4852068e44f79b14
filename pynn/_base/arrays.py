"""Types and checks of the arrays that callers pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import tables
from pynn._base.checks import MAX_FLOAT32
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._base.frames import is_number, is_row_of_frame

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating[Any]]
Features = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Targets = npt.NDArray[np.int32] | npt.NDArray[np.float32]
"""What a network is trained to give: class labels (int32), or target values (float32)."""

_UINT8, _FLOAT32, _FLOAT64 = np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64)


def features(name: str, value: object, shape: tuple[int, ...], most: int | None = None) -> Features:
    """Check features and return them as the C library reads them.

    This is the one place where the features that a caller gives become the array that C reads. An
    array of uint8 or float32 that is contiguous in C's order, and aligned, is returned as it is.
    Anything else is copied: other numbers are converted to float32.

    Args:
        name: What errors call the argument; its last word is the variable in their hints.
        value: The argument.
        shape: The shape of an example: (values,), which may be rows of any shape with as many
            values; or (channels, height, width), which may be flat, and may lack a length of 1.
        most: The largest allowed number of rows; it is checked before anything is copied.

    Returns:
        Shape (rows, ...) with as many values a row; uint8 or float32, contiguous, aligned.

    Raises:
        ArgumentTypeError: NumPy makes no array of numbers of it.
        ArgumentError: It has the wrong shape, or values too large for float32.
    """
    is_plain = type(value) is np.ndarray and (value.dtype == _UINT8 or value.dtype == _FLOAT32)
    array: npt.NDArray[Any] = value if is_plain else tables.numbers(name, value)  # type: ignore[assignment]
    if most is not None and array.ndim > 0 and len(array) > most:
        raise ArgumentError(
            f"{name} must have at most {most:,} examples to train on, got {len(array):,}; train on"
            " parts of them in turn"
        )
    if not is_plain and array.dtype != _UINT8 and array.dtype != _FLOAT32:
        array = _to_float32(name, array)
    if array.shape[1:] != shape and not _fits(array, shape):
        raise _wrong_shape(name, value, array, shape)
    array = np.ascontiguousarray(array)
    return array if array.flags.aligned else array.copy()


def _fits(array: npt.NDArray[Any], shape: tuple[int, ...]) -> bool:
    """Whether the rows of an array can be read as examples of a shape."""
    own = array.shape[1:]
    if not own or math.prod(own) != math.prod(shape):
        return False
    # A width of 28 and a height of 14 are no images of 14 x 28: only lengths of 1 say nothing.
    long = [length for length in own if length > 1]
    return len(shape) == 1 or len(own) == 1 or long == [length for length in shape if length > 1]


def _wrong_shape(
    name: str, value: object, array: npt.NDArray[Any], shape: tuple[int, ...]
) -> ArgumentError:
    """The error of features whose rows are not examples of a shape."""
    short, values = _as_array(name, value), math.prod(shape)
    hint = ""
    if array.ndim == 1 and len(array) != 1 and values == 1:
        hint = f"; examples of one value are {short}.reshape(-1, 1)"
    elif array.size == values:
        hint = f"; a single example is {short}[None]"
        if is_row_of_frame(value):
            hint += ", and a single row of a frame is frame.iloc[[0]]"
    elif len(shape) == 3 and array.shape[1:] == (*shape[1:], shape[0]):
        hint = f"; channels come first: {short}.transpose(0, 3, 1, 2)"
    if len(shape) == 1:
        needed = f"(n, {values}), or (n, ...) with {values} values a row"
    else:
        needed = f"(n, {', '.join(map(str, shape))})"
        needed += f" or (n, {shape[1]}, {shape[2]})" if shape[0] == 1 else ""
        needed += f", or be flat, (n, {values})"
    return ArgumentError(f"{name} must have shape {needed}, got shape {array.shape}{hint}")


def labels(name: str, value: object, rows: int, classes: int) -> npt.NDArray[np.int32]:
    """Check class labels; return a copy as C reads them: (rows,), int32, each in [0, classes)."""
    array = tables.any_array(name, value)
    short = _as_array(name, value)
    one_hot = ""
    if (array.shape == (rows, classes) and classes > 1) or _is_one_hot(array, rows):
        one_hot = f"; convert one-hot labels with {short}.argmax(axis=1)"
        if array.shape[1] > classes:
            one_hot += f", and build the network with {array.shape[1]} outputs"
    if array.dtype.kind not in "biu":
        raise ArgumentTypeError(
            f"{name} must be integers in [0, {classes}), got dtype {array.dtype}"
            f"{one_hot or _no_integers(name, short, array)}"
        )
    if array.shape not in ((rows,), (rows, 1)):
        raise ArgumentError(
            f"{name} must have shape ({rows},), one label for each example, got {array.shape}"
            f"{one_hot}"
        )
    array = array.reshape(rows)
    wrong = np.flatnonzero((array < 0) | (array >= classes))
    if len(wrong) > 0:
        different = len(np.unique(array))
        hint = ""
        if different == classes:
            hint = (
                f"; number them from 0 with np.unique({name.split()[-1]}, return_inverse=True)[1]"
            )
        raise ArgumentError(
            f"{name} must be in [0, {classes}), as the network has {classes} outputs; got"
            f" {array[wrong[0]]} at index {wrong[0]}{hint}"
        )
    return array.astype(np.int32)  # a copy: labels must not change after they were checked


def _is_one_hot(array: npt.NDArray[Any], rows: int) -> bool:
    """Whether each row has one 1, and 0 elsewhere."""
    if array.ndim != 2 or array.shape[0] != rows or array.shape[1] < 2 or array.dtype.kind == "O":
        return False
    return bool((((array == 0) | (array == 1)).all(axis=1) & ((array == 1).sum(axis=1) == 1)).all())


def _numbered(name: str) -> str:
    """What hints write to number labels."""
    return f"np.unique({name.split()[-1]}, return_inverse=True)[1]"


def _no_integers(name: str, short: str, array: npt.NDArray[Any]) -> str:
    """What to do with labels that are no integers."""
    if array.dtype.kind != "f":
        return f"; number them with {_numbered(name)}"
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong) > 0:
        place = tuple(map(int, wrong[0]))
        return (
            f": {name.split()[-1]}[{', '.join(map(str, place))}] is {array[place]}; leave out the"
            " examples without a label"
        )
    if not np.array_equal(array, np.trunc(array)):
        return "; to learn values instead of classes, build with mean_squared_error"
    return f"; convert with {short}.astype(np.int64)"


def targets(name: str, value: object, rows: int, outputs: int, *, shares: bool) -> Floats:
    """Check target values; return a copy as C reads them: (rows, outputs), float32, finite.

    With `shares`, each value must be in [0, 1].
    """
    array, short = tables.any_array(name, value), _as_array(name, value)
    if array.dtype.kind not in "biuf":
        raise tables.no_numbers(
            name, value, array, _instead_of_names(short, array, shares, outputs)
        )
    if array.shape != (rows, outputs) and not (outputs == 1 and array.shape == (rows,)):
        short = f" or ({rows},)" if outputs == 1 else ""
        raise ArgumentError(
            f"{name} must have shape ({rows}, {outputs}){short}, one value for each example and"
            f" output, got {array.shape}"
        )
    array = array.reshape(rows, outputs)
    wrong = np.argwhere(~((array >= 0) & (array <= 1)) if shares else ~np.isfinite(array))
    if len(wrong) > 0:
        row, column = map(int, wrong[0])
        limits = "in [0, 1]" if shares else "finite"
        found = array[row, column]
        hint = "; leave out the examples without a target" if np.isnan(found) else ""
        raise ArgumentError(f"{name} must be {limits}, got {found} at [{row}, {column}]{hint}")
    return _to_float32(name, array)  # a copy, for the same reason as in labels()


def _instead_of_names(short: str, array: npt.NDArray[Any], shares: bool, outputs: int) -> str:
    """What to do with targets that are names of classes; "" if they are something else."""
    values = array.ravel().tolist()
    if not values or not all(isinstance(one, str) and not is_number(one) for one in values):
        return ""
    different = sorted(set(values))
    if shares and outputs == 1 and len(different) <= 2:
        return f"; say where it is yes, as in {short} == {different[-1]!r}"
    return (
        f"; these are names of classes, which need another end of the chain:"
        f" .dense({max(2, len(different))}).softmax_cross_entropy()"
    )


def weights(name: str, value: object, rows: int) -> npt.NDArray[np.float64]:
    """Check weights of examples; return a float64 copy: (rows,), finite, at least 0, not all 0."""
    array = tables.numbers(name, value)
    if array.shape not in ((rows,), (rows, 1)):
        raise ArgumentError(
            f"{name} must have shape ({rows},), one weight for each example, got {array.shape}"
        )
    with np.errstate(over="ignore"):
        array = array.reshape(rows).astype(np.float64)
    wrong = np.flatnonzero(~((array >= 0) & np.isfinite(array)))
    if len(wrong) > 0:
        raise ArgumentError(
            f"{name} must be finite and at least 0, got {array[wrong[0]]} at index {wrong[0]}"
        )
    if not array.any():
        raise ArgumentError(f"{name} must have a value above 0, got zeros only")
    return array


def plain_array(name: str, value: object) -> npt.NDArray[Any]:
    """Return the value if it is a NumPy array without a mask; else say how to convert it.

    Raises:
        ArgumentTypeError: It is something else.
    """
    if type(value) is np.ndarray:
        return value
    short = name.split()[-1]
    if not isinstance(value, np.ndarray):
        hint = "convert with np.asarray"
        if isinstance(value, tuple):
            hint = f"pass one of its parts, as in {short}[0]"
        elif hasattr(value, "toarray"):  # a sparse matrix: np.asarray would wrap it as one object
            hint = f"convert with {short}.toarray()"
        raise ArgumentTypeError(f"{name} must be a NumPy array, got {type(value).__name__}; {hint}")
    if hasattr(value, "mask"):
        raise tables.masked(name)
    return value


def _as_array(name: str, value: object) -> str:
    """What hints write for an argument as an array: "labels", or "np.asarray(labels)"."""
    short = name.split()[-1]
    return short if isinstance(value, np.ndarray) else f"np.asarray({short})"


def _to_float32(name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Copy to float32, in C's order; raise an ArgumentError if a finite value became infinite."""
    try:
        with np.errstate(over="raise", under="ignore"):
            return array.astype(np.float32, order="C")
    except FloatingPointError:
        raise ArgumentError(
            f"{name} must be finite as float32, up to {MAX_FLOAT32:.2g}, got larger {array.dtype}"
            " values; scale them"
        ) from None
