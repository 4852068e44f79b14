"""Checks of arguments and of entries read from files, and text for their error messages."""

from __future__ import annotations

import math
import numbers
import operator
import os
import sys
from collections.abc import Collection, Iterable

import numpy as np

from pynn._base.errors import ArgumentError, ArgumentTypeError

MAX_FLOAT32 = float.fromhex("0x1.fffffep127")
MIN_FLOAT32 = float.fromhex("0x1p-149")
LEAST_NORMAL = 1.1754944e-38
"""FLT_MIN, rounded up: C takes smaller numbers as 0 while it calculates."""
BELOW_ONE = 1.0 - 2.0**-24
"""The largest float32 below 1."""
MOST = 2**62
"""The largest count that is accepted; it fits the 64-bit integers of files and of C."""
NOT_FITTED = (
    "the model has not seen examples yet, from which it finds the mean and scale of features: call"
    " fit or partial_fit first, or write them into the model's parameters"
)
"""The message of a PynnError: a scale among the parameters is 0."""


def describe(value: object) -> str:
    """Describe a value for an error: an array by shape and dtype, others by type and repr."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    try:
        text = repr(value)
    except Exception as error:
        if isinstance(value, int):  # Python refuses to print an int of some thousand digits
            return f"{type(value).__name__} of very many digits"
        return f"{type(value).__name__}, whose repr raises {type(error).__name__}"
    return f"{type(value).__name__} {printable(text, 60 if len(text) <= 60 else 57)}"


def shown(number: float) -> str:
    """Format a number as people write it: 1000 instead of 1000.0, but with all its digits."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number).removesuffix(".0")


def printable(text: str, longest: int) -> str:
    """Make any text safe for an error message: cut it, and escape what a terminal would obey."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:longest])
    return shown if len(text) <= longest else f"{shown}..."


def no_others(what: str, entries: Iterable[object], known: Collection[str]) -> None:
    """Raise a ValueError if a file has an unknown entry, which may change what the file means."""
    others = sorted(str(entry) for entry in entries if entry not in known)
    if others:
        raise ValueError(
            f"{what} has unknown entries: {', '.join(others)}; a newer pynn may read them"
        )


def known(what: str, name: object, names: Collection[str]) -> str:
    """Return a name read from a file if it is one of `names`; else raise a ValueError."""
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"unknown {what} {name!r}")
    return name


def integer(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """Check an integer of any type but bool and return it as int; it must be in [least, most].

    Without `most`, it may be up to 2^62.
    """
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
    """Check a real number of any type but bool and return it as float.

    It must be in the range, and finite as a float32. It must not be so small that it would become
    0 as a float32, unless it is 0.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{name} must be a number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:  # a very large int
        number = math.inf
    inside = (above is None or number > above) and (least is None or number >= least)
    tiny = 0 < abs(number) < MIN_FLOAT32
    if not inside or tiny or not -MAX_FLOAT32 <= number <= MAX_FLOAT32 or not number < below:
        limit = f"greater than {shown(above or 0)}" if least is None else f"at least {shown(least)}"
        upper = "finite as a float32" if below == math.inf else f"less than {shown(below)}"
        if tiny and inside:
            upper += f", and {'0 or ' if above is None else ''}at least {MIN_FLOAT32:.2g}"
        raise ArgumentError(f"{name} must be {limit} and {upper}, got {describe(value)}")
    return number


def path(name: str, value: object) -> str | os.PathLike[str]:
    """Check that a value is a path that a file can have; the errors of open() do not name it."""
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise ArgumentTypeError(f"{name} must be a str or a Path, got {describe(value)}")
    try:
        possible = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ArgumentError(
            f"{name} must be a possible path on this system, without NUL and of characters of"
            f" {sys.getfilesystemencoding()}, got {describe(os.fspath(value))}"
        )
    return value
