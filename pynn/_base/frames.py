"""Frames of pandas and polars, turned into NumPy arrays of numbers; neither is imported here."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.errors import ArgumentTypeError

_OBJECTS = np.dtype(object)

_MOST_NAMED = 4
"""The most columns that an error names."""


class _Column(NamedTuple):
    """A column that does not hold numbers."""

    name: object
    dtype: str
    example: object
    """Its first value if it holds text or objects, else None."""
    is_convertible: bool
    """Whether all its values are text or objects that stand for numbers."""

    @property
    def is_text(self) -> bool:
        """Whether it can be encoded: it holds text, categories or other objects."""
        return self.example is not None

    def __str__(self) -> str:
        such = "" if self.example is None else f", such as {_short(self.example)}"
        return f"{_short(self.name)} ({checks.printable(self.dtype, 30)}{such})"


def frame_to_array(name: str, value: object) -> npt.NDArray[Any] | None:
    """Convert a frame of pandas or polars: shape (rows, columns); None for anything else.

    Raises:
        ArgumentTypeError: A column does not hold numbers; the message names it.
    """
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return _of_pandas(name, value)
    if polars is not None and isinstance(value, polars.DataFrame):
        return _of_polars(name, value, polars)
    return None


def _of_pandas(name: str, frame: Any) -> npt.NDArray[Any]:
    """Convert a frame of pandas. Columns of different dtypes become float64, missing values nan."""
    dtypes = list(frame.dtypes)
    wrong = []
    for place, dtype in enumerate(dtypes):
        if dtype.kind not in "biuf":
            column = frame.iloc[:, place]
            values = column.dropna().tolist() if dtype.kind in "OU" else []
            if dtype != _OBJECTS or not _are_numbers(values):
                wrong.append(_described(frame.columns[place], dtype, values))
    if wrong:
        raise _refused(name, wrong, "pandas")
    if len(set(dtypes)) == 1 and isinstance(dtypes[0], np.dtype) and dtypes[0] != _OBJECTS:
        return np.asarray(frame)
    array: npt.NDArray[np.float64] = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def _of_polars(name: str, frame: Any, polars: Any) -> npt.NDArray[Any]:
    """Convert a frame of polars. Columns become what polars makes of them, missing values nan."""
    wrong = []
    for column, dtype in frame.schema.items():
        if not dtype.is_numeric() and dtype not in (polars.Boolean, polars.Null):
            is_text = not dtype.is_temporal() and not dtype.is_nested()
            values = frame[column].drop_nulls().to_list() if is_text else []
            wrong.append(_described(column, dtype, values))
    if wrong:
        raise _refused(name, wrong, "polars")
    return np.asarray(frame)


def _are_numbers(values: list[Any]) -> bool:
    """Whether all values are numbers, and no text."""
    return all(not isinstance(value, (str, bytes)) and is_number(value) for value in values)


def is_number(value: Any) -> bool:
    """Whether float() takes a value."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _described(name: object, dtype: object, values: list[Any]) -> _Column:
    """Describe a column by its name, its dtype and the values that are not missing."""
    example = values[0] if values else None
    is_category = str(dtype).lower().startswith(("categor", "enum"))
    convertible = bool(values) and not is_category and all(map(is_number, values))
    return _Column(name, str(dtype), example, convertible)


def _refused(name: str, wrong: list[_Column], library: str) -> ArgumentTypeError:
    """The error for columns that do not hold numbers."""
    short, shown = name.split()[-1], wrong[:_MOST_NAMED]
    named = ", ".join(map(str, shown))
    more = f" and {len(wrong) - len(shown)} more" if len(wrong) > len(shown) else ""
    number = [column.name for column in shown if column.is_convertible]
    text = [column.name for column in shown if column.is_text and not column.is_convertible]
    remedies = []
    if number:
        kind = "float" if library == "pandas" else "polars.Float64"
        casts = ", ".join(f"{_short(column)}: {kind}" for column in number)
        change = "astype" if library == "pandas" else "cast"
        remedies.append(f"convert with {short}.{change}({{{casts}}})")
    if text and library == "pandas":
        remedies.append(f"encode with pandas.get_dummies({short}, columns={_names(text)})")
    elif text:
        remedies.append(f"encode with {short}.to_dummies({_names(text)})")
    if text:
        remedies.append("see pynn.Columns")
    if not more:
        names = _names([column.name for column in wrong])
        names = f"columns={names}" if library == "pandas" else names
        remedies.append(f"leave them out: {short}.drop({names})")
    end = f"; {', or '.join(remedies)}" if remedies else ""
    return ArgumentTypeError(
        f"{name} must be numbers, and these columns are not: {named}{more}{end}"
    )


def _names(names: list[Any]) -> str:
    return f"[{', '.join(map(_short, names))}]"


def _short(value: object) -> str:
    """A value as Python writes it, if that is short."""
    return checks.printable(repr(value), 40)


def is_row_of_frame(value: object) -> bool:
    """Whether a value is a series of pandas; a row of a frame is one, too."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.Series)


def only_column(value: Any) -> Any:
    """The column of a frame that has one; anything else as it is."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(value, pandas.DataFrame) and value.shape[1] == 1:
        return value.iloc[:, 0]
    if polars is not None and isinstance(value, polars.DataFrame) and value.shape[1] == 1:
        return value.to_series()
    return value
