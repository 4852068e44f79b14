"""What the columns of a table are: numbers, and categories with their vocabularies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pynn._base import checks
from pynn._base import columns as tables
from pynn._base.arguments import Arguments
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._network import encoding

Category = str | int | bool
"""A value of a category."""

MOST_VALUES = 2**24 - 1
"""The most values of a vocabulary: a float32 holds each whole number up to 2^24."""
MOST_INTEGER = 2**53
"""The largest integer that every reader of JSON keeps exactly."""
MOST_WIDTH = 50
"""The most values of an embedding whose width nobody has chosen."""
KINDS = ("number", "embedding", "one_hot")
"""What a column can be; pynn_column_kind in csrc/pynn.h."""


class Column(NamedTuple):
    """A column of a table."""

    name: str
    kind: str
    """One of `KINDS`."""
    values: tuple[Category, ...] = ()
    """The vocabulary of a category: the value number k has the code k + 1."""
    width: int = 1
    """How many values the network makes of it."""

    @property
    def size(self) -> int:
        """The number of codes of a category: 0 and those of the vocabulary; 0 for a number."""
        return 0 if self.kind == KINDS[0] else len(self.values) + 1

    def to_dict(self) -> dict[str, Any]:
        """The column as JSON can hold it."""
        if self.kind == KINDS[0]:
            return {"name": self.name, "kind": self.kind}
        entry = {"name": self.name, "kind": self.kind, "values": list(self.values)}
        return entry | ({"width": self.width} if self.kind == KINDS[1] else {})

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Column:
        """Make a column from what to_dict() returned, and check each value."""
        name, kind = (
            checked_name(entry["name"]),
            checks.known("kind of column", entry["kind"], KINDS),
        )
        own = {KINDS[0]: (), KINDS[1]: ("values", "width"), KINDS[2]: ("values",)}[kind]
        checks.no_others(f"column {name!r}", entry, ("name", "kind", *own))
        if not own:
            return cls(name, kind)
        values = checked_values(name, entry["values"])
        width = len(values) if kind == KINDS[2] else checked_width(name, entry["width"])
        return cls(name, kind, values, width)

    def __str__(self) -> str:
        name = checks.printable(self.name, 40)
        if self.kind == KINDS[0]:
            return name
        how = "one-hot" if self.kind == KINDS[2] else f"embedding of {self.width}"
        return f"{name}: {len(self.values):,} value{'s' * (len(self.values) != 1)}, {how}"


def checked_name(name: object) -> str:
    """Check the name of a column."""
    if not isinstance(name, str):
        raise ArgumentTypeError(f"the name of a column must be a str, got {checks.describe(name)}")
    _check_text("the name of a column", name)
    return name


def _check_text(what: str, text: str) -> None:
    """Check that files can hold a string."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentError(
            f"{what} must be text that UTF-8 can hold, got {checks.describe(text)}"
        ) from None


def checked_values(name: str, values: object) -> tuple[Category, ...]:
    """Check the vocabulary of a column."""
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping)):
        raise ArgumentTypeError(
            f"categories[{name!r}] must be the values of the column, such as ['a', 'b'], got"
            f" {checks.describe(values)}"
        )
    found = tuple(_checked_value(name, value) for value in values)
    if not 1 <= len(found) <= MOST_VALUES:
        raise ArgumentError(
            f"categories[{name!r}] must have 1 to {MOST_VALUES:,} values, got {len(found):,}"
        )
    if len(set(found)) < len(found):
        twice = next(value for value in found if found.count(value) > 1)
        raise ArgumentError(f"categories[{name!r}] must have each value once, got {twice!r} twice")
    return found


def _checked_value(name: str, value: object) -> Category:
    """Check one value of a vocabulary; integers and bools of NumPy become Python's."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, str) and value != "":
        _check_text(f"categories[{name!r}]", value)
        return str(value)
    number: object = value
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        number = int(value)  # a column of integers becomes floats where a value is missing
    if isinstance(number, (int, np.integer)) and abs(int(number)) <= MOST_INTEGER:
        return int(number)
    raise ArgumentTypeError(
        f"categories[{name!r}]: a category must be a string that is not empty, an integer up to"
        f" 2^53 or a bool, got {checks.describe(value)}"
    )


def checked_width(name: str, width: object) -> int:
    """Check the width of an embedding."""
    return checks.integer(f"embedding of {name!r}", width, least=1, most=2**16)


class Columns(Arguments):
    """The columns of a table, as the input of a network: numbers, and categories.

    `Builder.input` takes it. `Model.fit`, `predict` and all others then take the table itself:
    a data frame of pandas or polars, a dict of columns, a list of dicts, or rows with the numbers
    first and then the categories, in the order given here. Columns are found by their names, in any
    order; others are ignored.

    A number becomes (x - mean) / scale, with the mean and the standard deviation of the examples of
    the first `fit`. A missing number, which is None, NaN, pd.NA or "", becomes 0, as the mean does.

    A category has a vocabulary. A value becomes its code, from 1 on; the code 0 stands for a value
    that is missing or not in the vocabulary. The network looks up a row of a table of parameters
    for each code, an embedding, which is trained. The row of code 0 begins as zeros.

    Args:
        numbers: The names of the columns of numbers.
        categories: For each column of categories its vocabulary: strings, integers or bools.
        embedding: How many values an embedding has: an integer for all columns, or a dict from
            names to integers. Where it says nothing it is half of the number of codes, rounded up,
            and at most 50.
        one_hot: The names of categories that become one value for each word of the vocabulary, 1
            for the one that is there and 0 for the others, with nothing to train.

    Raises:
        ArgumentTypeError: A name, a value or a width has the wrong type.
        ArgumentError: There is no column, a name is there twice, or a value is out of range.

    Examples:
        >>> import pynn
        >>> columns = pynn.Columns(
        ...     numbers=["age", "fare"], categories={"sex": ["female", "male"], "deck": [1, 2, 3]}
        ... )
        >>> columns
        Columns(age, fare, sex: 2 values, embedding of 2, deck: 3 values, embedding of 2)
        >>> columns.encode([{"age": 22, "fare": 7.25, "sex": "male", "deck": None}]).tolist()
        [[22.0, 7.25, 2.0, 0.0]]
        >>> chain = pynn.Builder().input(columns).dense(8).relu().dense(2)
        >>> model = chain.softmax_cross_entropy().build()
    """

    columns: tuple[Column, ...]
    """All columns, in the order of a row: numbers, then categories."""

    def __init__(
        self,
        numbers: Sequence[str] = (),
        categories: Mapping[str, Iterable[Category]] | None = None,
        *,
        embedding: int | Mapping[str, int] | None = None,
        one_hot: Collection[str] = (),
    ) -> None:
        named = {} if categories is None else categories
        if not isinstance(named, Mapping):
            raise ArgumentTypeError(
                "categories must be a dict from names to vocabularies, as in {'sex': ['female',"
                f" 'male']}}, got {checks.describe(categories)}; Columns.of(frame) finds them"
            )
        found = [Column(checked_name(name), KINDS[0]) for name in _listed("numbers", numbers)]
        for name, own in named.items():
            found.append(_category(checked_name(name), own, embedding, one_hot))
        _check_others("embedding", embedding if isinstance(embedding, Mapping) else (), named)
        _check_others("one_hot", _listed("one_hot", one_hot), named)
        super().__init__(columns=_checked(found))

    @classmethod
    def of(
        cls,
        frame: Any,
        *,
        numbers: Collection[str] = (),
        categories: Collection[str] = (),
        leave_out: str | Collection[str] = (),
        min_count: int = 1,
        embedding: int | Mapping[str, int] | None = None,
        one_hot: Collection[str] = (),
    ) -> Columns:
        """Describe the columns of a table by what is in them.

        Columns of numbers become numbers. Strings, bools and pandas' category become categories,
        whose vocabularies are the values in the table, sorted.

        Args:
            frame: A data frame, a dict of columns, or a list of dicts: the examples to train on.
            numbers: Names of columns that are numbers, such as strings of digits in a CSV file.
            categories: Names of columns that are categories, although they hold numbers.
            leave_out: A name, or names, of columns that are not features, such as the labels.
            min_count: Values that the column has less often are left out of its vocabulary. They
                then count as unknown, so that the network learns what to make of such values.
            embedding: As for `Columns`.
            one_hot: As for `Columns`.

        Returns:
            The columns, numbers first.

        Raises:
            ArgumentTypeError: The table, a name or a value has the wrong type.
            ArgumentError: A column is not there, or has no values.

        Examples:
            >>> import pynn
            >>> frame = {"age": [22, None, 35], "port": ["S", "C", "S"], "survived": [0, 1, 1]}
            >>> pynn.Columns.of(frame, leave_out="survived")
            Columns(age, port: 2 values, embedding of 2)
        """
        left = [leave_out] if isinstance(leave_out, str) else list(leave_out)
        there = tables.names_of("frame", frame)
        for name in (*_listed("numbers", numbers), *_listed("categories", categories), *left):
            if name not in there:
                raise ArgumentError(f"frame has no column {name!r}; it has {there}")
        least = checks.integer("min_count", min_count, least=1)
        names = [name for name in there if name not in left]
        values = dict(zip(names, tables.columns_of("frame", frame, names), strict=True))
        are_numbers = {
            name: name in numbers
            or (name not in categories and encoding.are_numbers(frame, name, own))
            for name, own in values.items()
        }
        return cls(
            [name for name in names if are_numbers[name]],
            {
                name: encoding.vocabulary(name, own, least)
                for name, own in values.items()
                if not are_numbers[name]
            },
            embedding=embedding,
            one_hot=one_hot,
        )

    @classmethod
    def from_list(cls, entries: object) -> Columns:
        """Make it from what to_list() returned, and check each value.

        Raises:
            ValueError: A value is wrong. (ArgumentError is a ValueError.)
            TypeError: A value has the wrong type.
            LookupError: An entry is missing.
        """
        if not isinstance(entries, list):
            raise TypeError(f"columns must be a list, got {checks.describe(entries)}")
        self = cls.__new__(cls)
        Arguments.__init__(self, columns=_checked([Column.from_dict(dict(it)) for it in entries]))
        return self

    def to_list(self) -> list[dict[str, Any]]:
        """The columns as JSON can hold them."""
        return [column.to_dict() for column in self.columns]

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the order of a row."""
        return [column.name for column in self.columns]

    def encode(self, table: Any) -> Floats:
        """Make an array of a table: numbers as they are, categories as codes.

        It is what ONNX files and exported C take as their input, and it can be given to a model
        instead of the table, which saves the time of encoding in later calls.

        Args:
            table: A frame, a dict of columns, a list of dicts, or rows in the order of `names`. A
                float32 array is taken to be encoded already.

        Returns:
            Shape (n, columns), float32; NaN for missing numbers, and 0 for missing or unknown
            categories.

        Raises:
            ArgumentTypeError: It is no table, or a value has the wrong type.
            ArgumentError: A column is missing, or a number is not finite.
        """
        return encoding.encode("table", table, self.columns)

    def _encoded(self, name: str, table: object) -> Floats:
        """The same for an argument of this name, which errors begin with."""
        return encoding.encode(name, table, self.columns)

    def __repr__(self) -> str:
        return f"Columns({', '.join(map(str, self.columns))})"

    def __str__(self) -> str:
        numbers = sum(column.kind == KINDS[0] for column in self.columns)
        counts = {"number": numbers, "category": len(self.columns) - numbers}
        plural = {"number": "numbers", "category": "categories"}
        return ", ".join(
            f"{count} {what if count == 1 else plural[what]}"
            for what, count in counts.items()
            if count
        )


def _listed(name: str, names: object) -> list[Any]:
    """Check that an argument is a collection of names, not one name."""
    if isinstance(names, str) or not isinstance(names, Collection):
        raise ArgumentTypeError(f"{name} must be a list of names, got {checks.describe(names)}")
    return list(names)


def _category(
    name: str,
    own: object,
    embedding: int | Mapping[str, int] | None,
    one_hot: Collection[str],
) -> Column:
    """A column of categories."""
    values = checked_values(name, own)
    if name in one_hot:
        return Column(name, KINDS[2], values, len(values))
    width: object = embedding.get(name) if isinstance(embedding, Mapping) else embedding
    if width is None:
        width = min(MOST_WIDTH, (len(values) + 2) // 2)
    return Column(name, KINDS[1], values, checked_width(name, width))


def _check_others(argument: str, names: Iterable[str], categories: Collection[str]) -> None:
    """Check that an option names categories only."""
    for name in names:
        if name not in categories:
            raise ArgumentError(
                f"{argument} must name columns of categories ({', '.join(map(repr, categories))}),"
                f" got {name!r}"
            )


def _checked(columns: list[Column]) -> tuple[Column, ...]:
    """Check that there are columns, each once."""
    if not columns:
        raise ArgumentError("columns must have at least one column: numbers or categories")
    if any(one.size and not next_one.size for one, next_one in pairwise(columns)):
        raise ArgumentError("columns: numbers must come first, and then categories")
    names: set[str] = set()
    for column in columns:
        if column.name in names:
            raise ArgumentError(f"columns must have each name once, got {column.name!r} twice")
        names.add(column.name)
    return tuple(columns)
