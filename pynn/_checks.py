"""Checks of what callers pass, and the words that errors say it in."""

from __future__ import annotations

import math
import numbers
import operator
import os
import sys
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._boundary import Features, Floats
from pynn._errors import ArgumentError, ArgumentTypeError

MAX_FLOAT32 = float.fromhex("0x1.fffffep127")
MIN_FLOAT32 = float.fromhex("0x1p-149")
MOST = 2**62
"""Of what is counted: files and C have 64 bits for it."""
_UINT8, _FLOAT32, _FLOAT64 = np.dtype(np.uint8), np.dtype(np.float32), np.dtype(np.float64)


def describe(value: object) -> str:
    """What an error calls a value: an array by shape and dtype, the rest by type and repr."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    try:
        text = repr(value)
    except Exception as error:
        if isinstance(value, int):  # Python writes none of more than some thousand digits
            return f"{type(value).__name__} of very many digits"
        return f"{type(value).__name__}, whose repr raises {type(error).__name__}"
    return f"{type(value).__name__} {printable(text, 60 if len(text) <= 60 else 57)}"


def shown(number: float) -> str:
    """A number as one writes it: 1000 and not 1000.0, but with all the digits that it has."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number).removesuffix(".0")


def printable(text: str, longest: int) -> str:
    """Text that may be long, or no text at all, for an error: a terminal obeys nothing in it."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:longest])
    return shown if len(text) <= longest else f"{shown}..."


def no_others(what: str, entries: Iterable[object], known: Collection[str]) -> None:
    """ValueError for an entry of a file that is not known: it may change what the file means."""
    others = sorted(str(entry) for entry in entries if entry not in known)
    if others:
        raise ValueError(
            f"{what} has unknown entries: {', '.join(others)}; a newer pynn may read them"
        )


def integer(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """An integer in [least, most], from any integer type but bool; without `most` up to 2^62."""
    if isinstance(value, (bool, np.bool_)):
        raise ArgumentTypeError(f"{name} must be an integer, got {describe(value)}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentTypeError(f"{name} must be an integer, got {describe(value)}") from None
    if number < least or number > (MOST if most is None else most):
        limits = f"in [{least}, {most}]"
        if most is None:
            limits = f"at least {least}" if number < least else "at most 2^62"
        got = number if -(10**99) < number < 10**99 else describe(number)
        raise ArgumentError(f"{name} must be {limits}, got {got}")
    return number


def real(
    name: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float = math.inf,
) -> float:
    """A number in a range and finite as a float32, from any real type but bool."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{name} must be a number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:  # an int
        number = math.inf
    inside = (above is None or number > above) and (least is None or number >= least)
    tiny = 0 < abs(number) < MIN_FLOAT32
    if not inside or tiny or not -MAX_FLOAT32 <= number <= MAX_FLOAT32 or not number < below:
        limit = f"greater than {shown(above or 0)}" if least is None else f"at least {shown(least)}"
        upper = "finite as a float32" if below == math.inf else f"less than {shown(below)}"
        if tiny and inside:
            upper += f", and 0 or at least {MIN_FLOAT32:.2g}"
        raise ArgumentError(f"{name} must be {limit} and {upper}, got {describe(value)}")
    return number


def features(name: str, value: object, inputs: int, most: int | None = None) -> Features:
    """Examples as the C library reads them: contiguous, uint8 or float32, `inputs` values a row.

    There may be `most` rows, which is looked at before anything is copied.

    float64 is converted to float32, a copy; what is not contiguous in C's order, or not aligned, is
    copied, too.
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
    width = math.prod(array.shape[1:])
    if array.ndim < 2 or width != inputs:
        got = f"got shape {array.shape}"
        if array.size == inputs:
            got += f"; a single example is {name.split()[-1]}[None]"
        raise ArgumentError(
            f"{name} must have shape (n, {inputs}), or (n, ...) with {inputs} values a row, {got}"
        )
    array = np.ascontiguousarray(array)
    return array if array.flags.aligned else array.copy()


def labels(name: str, value: object, rows: int, classes: int) -> npt.NDArray[np.int32]:
    """Class labels as the C library reads them: (rows,), int32, each in [0, classes)."""
    array = plain_array(name, value)
    short = name.split()[-1]
    one_hot = ""
    if array.shape == (rows, classes):
        one_hot = f"; of one-hot labels take {short}.argmax(axis=1)"
    if array.dtype.kind not in "iu":
        way_out = one_hot or f"; convert with {short}.astype(np.int64)"
        raise ArgumentTypeError(
            f"{name} must be integers in [0, {classes}), got dtype {array.dtype}{way_out}"
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
    return array.astype(np.int32)  # a copy: labels that are checked must not change any more


def targets(name: str, value: object, rows: int, outputs: int, *, shares: bool) -> Floats:
    """Targets as the C library reads them: (rows, outputs), float32, finite; `shares` in [0, 1]."""
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
    return np.array(array, np.float32, order="C")  # a copy: what is checked must not change


def weights(name: str, value: object, rows: int) -> npt.NDArray[np.float64]:
    """Weights of examples: (rows,), finite, at least 0, not all 0."""
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


def path(name: str, value: object) -> str | os.PathLike[str]:
    """A path that a file can have, as the functions that take one do not say what they got."""
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise ArgumentTypeError(f"{name} must be a str or a Path, got {describe(value)}")
    try:
        possible = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ArgumentError(
            f"{name} must be one that this system can have, without NUL and of characters of"
            f" {sys.getfilesystemencoding()}, got {describe(os.fspath(value))}"
        )
    return value


def plain_array(name: str, value: object) -> npt.NDArray[Any]:
    """A NumPy array; what is none is refused with the way to one."""
    if type(value) is np.ndarray:
        return value
    short = name.split()[-1]
    if not isinstance(value, np.ndarray):
        way_out = "convert with np.asarray"
        if isinstance(value, tuple):
            way_out = f"pass one of its parts, as in {short}[0]"
        elif hasattr(value, "toarray"):  # of which np.asarray makes an array of one object
            way_out = f"convert with {short}.toarray()"
        raise ArgumentTypeError(
            f"{name} must be a NumPy array, got {type(value).__name__}; {way_out}"
        )
    if hasattr(value, "mask"):
        raise ArgumentTypeError(
            f"{name} must be a NumPy array without a mask, got a masked one; say what its gaps are"
            f" with {short}.filled(...), or leave those rows out"
        )
    return value


def _to_float32(name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    try:
        with np.errstate(over="raise", under="ignore"):
            return array.astype(np.float32)
    except FloatingPointError:
        raise ArgumentError(
            f"{name} must be finite as float32, up to {MAX_FLOAT32:.2g}, got float64 values beyond;"
            " scale them"
        ) from None
