"""Tables as people have them: data frames, dicts of columns, lists of rows; read column by column.

A frame is recognized by what it can do, so neither pandas nor polars is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError

Values = npt.NDArray[Any]
"""The values of a column: one axis, and any dtype."""

Table = npt.ArrayLike | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""What a model takes as features: whatever NumPy makes an array of, and tables."""

NOT_A_NUMBER = ("NAType", "NaTType")
"""The types of pandas' missing values, pd.NA and pd.NaT."""
FEW = 8
"""An error lists at most so many names."""


def is_missing(value: object) -> bool:
    """Whether a value stands for a missing one: None, NaN, pd.NA, or an empty string."""
    if value is None or (isinstance(value, str) and value == ""):
        return True
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return type(value).__name__ in NOT_A_NUMBER


def names_of(name: str, table: object) -> list[str]:
    """The names of a table's columns.

    Args:
        name: The name of the argument, for error messages.
        table: A frame, a dict of columns, a list of dicts, or a structured array.

    Raises:
        ArgumentTypeError: It is something else, or a name is not a string.
    """
    if isinstance(table, Mapping):
        names = list(table)
    elif isinstance(table, np.ndarray) and table.dtype.names:
        names = list(table.dtype.names)
    elif hasattr(table, "columns"):
        names = list(table.columns)
    elif isinstance(table, (list, tuple)) and table and isinstance(table[0], Mapping):
        _check_dicts(name, table)
        names = list(dict.fromkeys(key for row in table for key in row))
    else:
        raise ArgumentTypeError(
            f"{name} must be a data frame, a dict of columns or a list of dicts, whose columns"
            f" have names, got {checks.describe(table)}{_of_row(table)}"
        )
    for own in names:
        if not isinstance(own, str):
            raise ArgumentTypeError(
                f"{name}: names of columns must be strings, got {checks.describe(own)}; rename"
                " them, as in frame.columns = [str(name) for name in frame.columns]"
            )
    return names


def _of_row(value: object) -> str:
    """What to do with a series, such as a row of a frame."""
    if hasattr(value, "to_frame"):
        return "; a single row of a frame is frame.iloc[[0]], with two brackets"
    return ""


def _may_be_row(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple, np.ndarray))


def columns_of(name: str, table: object, wanted: Sequence[str]) -> list[Values]:
    """The columns with these names; of rows without names, the columns in this order.

    Args:
        name: The name of the argument, for error messages.
        table: A frame, a dict of columns, a structured array, a list of dicts; or an array or a
            list of rows that have just these columns. Other columns are ignored.
        wanted: The names.

    Raises:
        ArgumentTypeError: It is no table.
        ArgumentError: A column is missing, or columns have different lengths.
    """
    if isinstance(table, (list, tuple)):
        if len(table) == len(wanted) and not any(map(_may_be_row, table)):
            raise ArgumentTypeError(
                f"{name} must be a table, got {checks.describe(table)}; a table of one row is a"
                f" list with it: [{name.split()[-1]}]"
            )
        if not table:
            return [np.empty(0, object) for _ in wanted]
        if not isinstance(table[0], Mapping):
            return _of_rows(name, table, wanted)
    elif isinstance(table, np.ndarray) and not table.dtype.names:
        return _of_array(name, table, wanted)
    _check_names(name, names_of(name, table), wanted)
    if isinstance(table, (list, tuple)):
        # A dict without a key has a missing value there.
        return [_objects([row.get(own) for row in table]) for own in wanted]
    found = [_values(f"{name}: column {own!r}", _item(table, own)) for own in wanted]
    for own, values in zip(wanted, found, strict=True):
        if len(values) != len(found[0]):
            raise ArgumentError(
                f"{name}: columns must have the same length, got {len(found[0]):,} values of"
                f" {wanted[0]!r} and {len(values):,} of {own!r}"
            )
    return found


def _item(table: Any, name: str) -> object:
    return table[name]


def _check_names(name: str, there: Sequence[str], wanted: Sequence[str]) -> None:
    """Check that no column is missing."""
    known = set(there)
    missing = [own for own in wanted if own not in known]
    if missing:
        one = len(missing) == 1
        raise ArgumentError(
            f"{name} must have the column{'' if one else 's'} {_listed(missing)}, got the columns"
            f" {_listed(there)}"
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(checks.printable(repr(name), 60) for name in names[:FEW])
    return f"{shown} and {len(names) - FEW:,} more" if len(names) > FEW else shown or "(none)"


def _values(name: str, column: Any) -> Values:
    """A column as an array with one axis."""
    if hasattr(column, "to_numpy"):  # a series of pandas or polars
        column = column.to_numpy()
    if isinstance(column, np.ndarray):
        values = np.asarray(column.filled(np.nan) if hasattr(column, "filled") else column)
    elif isinstance(column, Sequence) and not isinstance(column, (str, bytes)):
        values = _objects(column)
    else:
        raise ArgumentTypeError(
            f"{name} must be a list, an array or a series of values, got"
            f" {checks.describe(column)}; a table of one row is a list with one dict"
        )
    if values.ndim != 1:
        raise ArgumentError(f"{name} must have one value a row, got shape {values.shape}")
    if values.dtype.kind in "mMcV":
        raise ArgumentTypeError(
            f"{name} must be numbers, strings or bools, got dtype {values.dtype}; make numbers of"
            " it first, or leave it out"
        )
    return values


def _objects(values: Sequence[Any]) -> Values:
    """An array of these objects; NumPy would make one with two axes of a list of lists."""
    array = np.empty(len(values), object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def _check_dicts(name: str, rows: Sequence[Any]) -> None:
    """Check that all rows of a table are dicts."""
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise ArgumentTypeError(
                f"{name}: row {number} must be a dict, as row 0 is, got {checks.describe(row)}"
            )


def _of_rows(name: str, rows: Sequence[Any], wanted: Sequence[str]) -> list[Values]:
    """The columns of a list of tuples or lists."""
    for number, row in enumerate(rows):
        if not isinstance(row, (list, tuple, np.ndarray)) or np.ndim(row) == 0:
            raise ArgumentTypeError(
                f"{name} must be a data frame, a dict of columns, a list of dicts or a list of"
                f" rows, got {checks.describe(row)} as row {number}"
            )
        if len(row) != len(wanted):
            raise ArgumentError(
                f"{name}: row {number} must have {len(wanted)} values, of {_listed(wanted)} in this"
                f" order, got {len(row)}"
            )
    return [_objects([row[place] for row in rows]) for place in range(len(wanted))]


def _of_array(name: str, array: Values, wanted: Sequence[str]) -> list[Values]:
    """The columns of an array without names."""
    if array.ndim != 2 or array.shape[1] != len(wanted):
        short = name.split()[-1]
        hint = f"; a single row is {short}[None]" if array.shape == (len(wanted),) else ""
        raise ArgumentError(
            f"{name} must have shape (n, {len(wanted)}), the columns {_listed(wanted)} in this"
            f" order, got shape {array.shape}{hint}"
        )
    return [_values(name, array[:, place]) for place in range(len(wanted))]
