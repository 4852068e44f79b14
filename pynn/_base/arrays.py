"""Types and checks of the arrays that callers pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base.checks import MAX_FLOAT32
from pynn._base.errors import ArgumentError, ArgumentTypeError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating[Any]]
Features = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
Targets = npt.NDArray[np.int32] | npt.NDArray[np.float32]
"""What a network is trained to give: class labels (int32), or target values (float32)."""

_UINT8, _FLOAT32, _FLOAT64 = np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64)


def features(name: str, value: object, shape: tuple[int, ...], most: int | None = None) -> Features:
    """Check features and return them as the C library reads them.

    float64 is converted to float32, which makes a copy. An array that is not contiguous in C's
    order, or not aligned, is copied, too. Any other array is returned as it is.

    Args:
        name: What errors call the argument; its last word is the variable in their hints.
        value: The argument.
        shape: The shape of an example: (values,), which may be rows of any shape with as many
            values; or (channels, height, width), which may be flat, and may lack a length of 1.
        most: The largest allowed number of rows; it is checked before anything is copied.

    Returns:
        Shape (rows, ...) with as many values a row; uint8 or float32, contiguous, aligned.

    Raises:
        ArgumentTypeError: It is not a NumPy array, or has the wrong dtype.
        ArgumentError: It has the wrong shape, or float64 values too large for float32.
    """
    array = plain_array(name, value)
    if most is not None and array.ndim > 0 and len(array) > most:
        raise ArgumentError(
            f"{name} must have at most {most:,} examples to train on, got {len(array):,}; train on"
            " parts of them in turn"
        )
    if array.dtype != _UINT8 and array.dtype != _FLOAT32:
        if array.dtype != _FLOAT64:
            raise ArgumentTypeError(
                f"{name} must be uint8 (read as value / 255) or float32 (taken as it is), got dtype"
                f" {array.dtype}; convert with {name.split()[-1]}.astype(np.float32)"
            )
        array = _to_float32(name, array)
    if array.shape[1:] != shape and not _fits(array, shape):
        raise _wrong_shape(name, array, shape)
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


def _wrong_shape(name: str, array: npt.NDArray[Any], shape: tuple[int, ...]) -> ArgumentError:
    """The error of features whose rows are not examples of a shape."""
    short, values = name.split()[-1], math.prod(shape)
    hint = ""
    if array.size == values:
        hint = f"; a single example is {short}[None]"
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
    array = plain_array(name, value)
    short = name.split()[-1]
    one_hot = ""
    if array.shape == (rows, classes):
        one_hot = f"; convert one-hot labels with {short}.argmax(axis=1)"
    if array.dtype.kind not in "iu":
        hint = one_hot or f"; convert with {short}.astype(np.int64)"
        raise ArgumentTypeError(
            f"{name} must be integers in [0, {classes}), got dtype {array.dtype}{hint}"
        )
    if array.shape != (rows,):
        raise ArgumentError(
            f"{name} must have shape ({rows},), one label for each example, got {array.shape}"
            f"{one_hot}"
        )
    wrong = np.flatnonzero((array < 0) | (array >= classes))
    if len(wrong) > 0:
        raise ArgumentError(
            f"{name} must be in [0, {classes}), as the network has {classes} outputs; got"
            f" {array[wrong[0]]} at index {wrong[0]}"
        )
    return array.astype(np.int32)  # a copy: labels must not change after they were checked


def targets(name: str, value: object, rows: int, outputs: int, *, shares: bool) -> Floats:
    """Check target values; return a copy as C reads them: (rows, outputs), float32, finite.

    With `shares`, each value must be in [0, 1].
    """
    array = plain_array(name, value)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise ArgumentTypeError(f"{name} must be numbers, got dtype {array.dtype}")
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
        raise ArgumentError(
            f"{name} must be {limits}, got {array[row, column]} at [{row}, {column}]"
        )
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        return np.ascontiguousarray(_to_float32(name, array))
    return np.array(array, np.float32, order="C")  # a copy, for the same reason as in labels()


def weights(name: str, value: object, rows: int) -> npt.NDArray[np.float64]:
    """Check weights of examples; return a float64 copy: (rows,), finite, at least 0, not all 0."""
    array = plain_array(name, value)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise ArgumentTypeError(f"{name} must be numbers, got dtype {array.dtype}")
    if array.shape != (rows,):
        raise ArgumentError(
            f"{name} must have shape ({rows},), one weight for each example, got {array.shape}"
        )
    array = array.astype(np.float64)
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
        raise ArgumentTypeError(
            f"{name} must be a NumPy array without a mask, got a masked one; give the masked values"
            f" a value with {short}.filled(...), or leave those rows out"
        )
    return value


def _to_float32(name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Convert to float32; raise an ArgumentError if a finite value would become infinite."""
    try:
        with np.errstate(over="raise", under="ignore"):
            return array.astype(np.float32)
    except FloatingPointError:
        raise ArgumentError(
            f"{name} must be finite as float32, up to {MAX_FLOAT32:.2g}, got larger float64 values;"
            " scale them"
        ) from None
