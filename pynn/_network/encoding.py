"""Tables become arrays: a number stays a number, and a category becomes its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pynn._base import checks
from pynn._base import columns as tables
from pynn._base.arrays import Floats
from pynn._base.columns import Values, is_missing
from pynn._base.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from pynn._network.columns import Column

NUMBERS = "fiub"
"""The kinds of NumPy's dtypes that are numbers."""


def encode(name: str, table: Any, columns: Sequence[Column]) -> Floats:
    """Make an array (n, columns), float32, of a table; `Columns.encode` documents it.

    Args:
        name: The name of the argument, for error messages.
        table: The table; a float32 array without names is encoded already, and is checked.
        columns: The columns.
    """
    if type(table) is np.ndarray and table.dtype == np.float32:
        return _checked(name, table, columns)
    found = tables.columns_of(name, table, [column.name for column in columns])
    encoded = np.empty((len(found[0]), len(columns)), np.float32)
    for place, (column, values) in enumerate(zip(columns, found, strict=True)):
        what = f"{name}: column {column.name!r}"
        encoded[:, place] = _codes(what, values, column) if column.size else _numbers(what, values)
    return encoded


def _checked(name: str, array: Floats, columns: Sequence[Column]) -> Floats:
    """Check an array that is encoded already: codes are whole numbers of the vocabulary."""
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise ArgumentError(
            f"{name} must have shape (n, {len(columns)}), a value for each column, got shape"
            f" {array.shape}"
        )
    for place, column in enumerate(columns):
        if not column.size:
            continue
        codes = array[:, place]
        wrong = np.flatnonzero(~((codes >= 0) & (codes < column.size) & (codes == np.floor(codes))))
        if len(wrong) > 0:
            raise ArgumentError(
                f"{name}: column {column.name!r} of a float32 array must hold codes, whole numbers"
                f" in [0, {column.size}), got {codes[wrong[0]]} in row {wrong[0]}; pass the table"
                " itself, or what model.encode(table) returns"
            )
    return array


# ------------------------------------------------------------ numbers


def _numbers(what: str, values: Values) -> Floats:
    """The values of a column of numbers, NaN for missing ones."""
    if values.dtype.kind in NUMBERS:
        wide = values
    else:
        wide = np.array([_number(what, row, value) for row, value in enumerate(values)], np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        found: Floats = wide.astype(np.float32)
    wrong = np.flatnonzero(np.isinf(found))
    if len(wrong) > 0:
        raise ArgumentError(
            f"{what} must be finite as float32, or missing, got {wide[wrong[0]]} in row {wrong[0]}"
        )
    return found


def _number(what: str, row: int, value: Any) -> float:
    """A value of a column of numbers. A string may be one, too: a CSV file has only strings."""
    if is_missing(value):
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{what} must be numbers, got {checks.describe(value)} in row {row}; a column of words"
            " belongs to categories"
        ) from None


# ------------------------------------------------------------ categories


def _codes(what: str, values: Values, column: Column) -> Floats:
    """The codes of a column of categories."""
    code_of = {value: code for code, value in enumerate(column.values, start=1)}
    has_text = any(isinstance(value, str) for value in column.values)
    has_numbers = not all(isinstance(value, str) for value in column.values)

    def look_up(row: int, value: Any) -> int:
        try:
            code = code_of.get(value)
        except TypeError:  # a list, say, which cannot be hashed
            code = None
        if code is not None or is_missing(value):
            return code or 0
        is_text = isinstance(value, str)
        if not (has_text if is_text else has_numbers and isinstance(value, _NUMBERS)):
            raise ArgumentTypeError(
                f"{what} has {'strings' if has_text else 'integers or bools'} in its vocabulary,"
                f" such as {column.values[0]!r}, got {checks.describe(value)} in row {row}; convert"
                " the column"
            )
        return 0

    if values.dtype.kind in NUMBERS:  # each value once: a table has many rows of few values
        distinct, first, places = np.unique(values, return_index=True, return_inverse=True)
        codes = [
            look_up(row, value)
            for row, value in zip(first.tolist(), distinct.tolist(), strict=True)
        ]
        return np.array(codes, np.float32)[places.reshape(-1)]
    return np.fromiter(
        (look_up(row, value) for row, value in enumerate(values)), np.float32, len(values)
    )


_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


# ------------------------------------------------------------ what a table holds


def are_numbers(table: Any, name: str, values: Values) -> bool:
    """Whether a column is one of numbers, by what is in it."""
    column = None if isinstance(table, (list, tuple)) else table[name]
    if str(getattr(column, "dtype", "")).lower().startswith(("category", "categorical", "enum")):
        return False
    if values.dtype.kind in NUMBERS:
        return values.dtype.kind != "b"
    there = [value for value in values if not is_missing(value)]
    return bool(there) and all(
        isinstance(value, _NUMBERS) and not isinstance(value, (bool, np.bool_)) for value in there
    )


def vocabulary(name: str, values: Values, least: int) -> list[Any]:
    """The distinct values of a column that it has at least so often: numbers, then strings."""
    try:
        counts = Counter(value for value in values.tolist() if not is_missing(value))
        ordered = sorted(counts, key=lambda value: (isinstance(value, str), value))
    except TypeError:
        raise ArgumentTypeError(
            f"frame: column {name!r} has values that are neither strings nor numbers; leave it out"
        ) from None
    found = [value for value in ordered if counts[value] >= least]
    if not found:
        often = "" if least == 1 else f" that it has {least} times"
        raise ArgumentError(
            f"frame: column {name!r} has no value{often}; leave it out, with leave_out=[{name!r}]"
        )
    return found
