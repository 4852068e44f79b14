"""Columns: the description of a table, and the array that a table becomes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from mixed_tables import COLUMNS, build, table, trained

import pynn
from pynn._network.columns import Columns

NAN = math.nan
PLAIN = pynn.Columns(numbers=["a"], categories={"b": ["x", "y"]})
EXPECTED = [[1.5, 1], [NAN, 2], [-2, 0]]


CSV = [{"a": "1.5", "b": "x"}, {"a": "", "b": "y"}, {"a": "-2", "b": "?"}]


def frames() -> dict[str, Any]:
    """The same table in all the forms that a table can have."""
    rows = [(1.5, "x"), (None, "y"), (-2, "?")]
    a, b = zip(*rows, strict=True)
    mixed = np.array(rows, object)
    named = np.array([(1.5, "x"), (NAN, "y"), (-2, "?")], [("b0", "f8"), ("b", "U1")])
    named.dtype.names = ("a", "b")
    return {
        "dict of lists": {"a": a, "b": list(b)},
        "dict of arrays": {"b": np.array(b), "a": np.array([1.5, NAN, -2])},
        "more columns": {"other": [1, 2, 3], "b": b, "a": a},
        "list of dicts": [{"a": one, "b": other} for one, other in rows],
        "a dict without a key": [{"a": 1.5, "b": "x"}, {"b": "y"}, {"b": "?", "a": -2}],
        "strings of a CSV file": CSV,
        "list of rows": rows,
        "array of objects": mixed,
        "structured array": named,
        "masked column": {"a": np.ma.masked_invalid([1.5, NAN, -2]), "b": b},
        "encoded": np.array(EXPECTED, np.float32),
    }


@pytest.mark.parametrize("form", frames())
def test_encode(form: str) -> None:
    """Every form of a table becomes the same array."""
    encoded = PLAIN.encode(frames()[form])
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, EXPECTED)


@pytest.mark.parametrize("dtypes", ["plain", "nullable", "category"])
def test_encode_pandas(dtypes: str) -> None:
    """Frames of pandas, also with its own dtypes, whose missing value is pd.NA."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"b": ["x", "y", "?"], "a": [1.5, None, -2.0]}, index=[7, 3, 5])
    if dtypes == "nullable":
        frame = frame.convert_dtypes()
    if dtypes == "category":
        frame["b"] = frame["b"].astype("category")
    np.testing.assert_array_equal(PLAIN.encode(frame), EXPECTED)


def test_encode_polars() -> None:
    """Frames of polars."""
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"b": ["x", "y", "?"], "a": [1.5, None, -2.0]})
    np.testing.assert_array_equal(PLAIN.encode(frame), EXPECTED)


@pytest.mark.parametrize(
    "values",
    [
        [1, 3, None, 2],
        ["1", 3, None, 2.0],
        np.array([1, 3, NAN, 2]),
        np.array([1, 3, 0, 2], np.uint8),
        [np.float32(1), np.int8(3), np.float64("nan"), True + 1],
    ],
    ids=["list", "mixed", "floats", "bytes", "scalars"],
)
def test_integers_are_categories(values: Any) -> None:
    """A column of integers becomes floats where a value is missing; 1.0 is still 1."""
    words: list[Any] = ["1", 3, 2] if isinstance(values, list) and values[0] == "1" else [1, 3, 2]
    columns = pynn.Columns(categories={"b": words})
    assert columns.encode({"b": values})[:, 0].tolist() == [1, 2, 0, 3]


def test_empty_tables() -> None:
    """A table without rows has the right shape, and a model predicts nothing for it."""
    assert PLAIN.encode([]).shape == PLAIN.encode({"a": [], "b": []}).shape == (0, 2)
    assert trained().predict({name: [] for name in COLUMNS.names}).shape == (0,)


REFUSED: list[tuple[Any, type[Exception], str]] = [
    ({"a": [1]}, pynn.ArgumentError, r"must have the column 'b', got the columns 'a'"),
    ([{}], pynn.ArgumentError, r"must have the columns 'a', 'b', got the columns \(none\)"),
    ({"a": [1], "b": []}, pynn.ArgumentError, "1 values of 'a' and 0 of 'b'"),
    ({"a": 1, "b": "x"}, pynn.ArgumentTypeError, "a table of one row is a list with one dict"),
    (
        {"a": ["one"], "b": ["x"]},
        pynn.ArgumentTypeError,
        "column 'a' must be numbers, got str 'one'",
    ),
    ({"a": [[1]], "b": ["x"]}, pynn.ArgumentTypeError, "column 'a' must be numbers, got list"),
    ({"a": [1, np.inf], "b": ["x"] * 2}, pynn.ArgumentError, "got inf in row 1"),
    ({"a": [1e300], "b": ["x"]}, pynn.ArgumentError, r"finite as float32, or missing, got 1e\+300"),
    ({"a": [10**400], "b": ["x"]}, pynn.ArgumentTypeError, "column 'a' must be numbers"),
    (
        {"a": [1], "b": [3]},
        pynn.ArgumentTypeError,
        "strings in its vocabulary, such as 'x', got int 3",
    ),
    ({"a": [1], "b": [["x"]]}, pynn.ArgumentTypeError, "got list"),
    ({"a": [1], "b": np.array([3])}, pynn.ArgumentTypeError, "got int 3 in row 0"),
    (
        {"a": np.ones((2, 2)), "b": ["x"]},
        pynn.ArgumentError,
        r"one value a row, got shape \(2, 2\)",
    ),
    ({"a": [1], "b": np.array(["2020"], "M8[Y]")}, pynn.ArgumentTypeError, "dtype datetime64"),
    ({1: [1]}, pynn.ArgumentTypeError, "names of columns must be strings, got int 1"),
    ([(1, "x"), (2,)], pynn.ArgumentError, "row 1 must have 2 values, of 'a', 'b' in this order"),
    ([1, 2], pynn.ArgumentTypeError, r"a table of one row is a list with it: \[table\]"),
    ([1, 2, 3], pynn.ArgumentTypeError, "got int 1 as row 0"),
    ([{"a": 1, "b": "x"}, 2], pynn.ArgumentTypeError, "row 1 must be a dict"),
    (np.zeros((2, 3)), pynn.ArgumentError, r"must have shape \(n, 2\)"),
    (np.zeros(2), pynn.ArgumentError, r"a single row is table\[None\]"),
    (np.zeros(2, np.float32), pynn.ArgumentError, "a value for each column"),
    (np.array([[1, 3]], np.float32), pynn.ArgumentError, r"whole numbers in \[0, 3\), got 3.0"),
    (np.array([[1, 0.5]], np.float32), pynn.ArgumentError, "must hold codes"),
    (np.array([[1, NAN]], np.float32), pynn.ArgumentError, "must hold codes"),
    ("frame.csv", pynn.ArgumentTypeError, "must be a data frame"),
    (None, pynn.ArgumentTypeError, "must be a data frame"),
]


@pytest.mark.parametrize(("bad", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_encode_refuses(bad: Any, error: type[Exception], message: str) -> None:
    """What is no table, or not this one, is refused by name."""
    with pytest.raises(error, match=message):
        PLAIN.encode(bad)


def test_a_row_of_a_frame_is_no_table() -> None:
    """The error says how to take it, so that it stays one."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(
        pynn.ArgumentTypeError, match=r"a single row of a frame is frame\.iloc\[\[0"
    ):
        PLAIN.encode(frame.iloc[0])
    assert (PLAIN.encode(frame.iloc[[0]]) == PLAIN.encode(frame)[:1]).all()


def test_integers_refuse_strings() -> None:
    """A CSV file has strings where a frame had integers: they are not taken as unknown."""
    columns = pynn.Columns(categories={"deck": [1, 2]})
    with pytest.raises(pynn.ArgumentTypeError, match="integers or bools in its vocabulary"):
        columns.encode([{"deck": "1"}])


def test_missing_columns_are_counted() -> None:
    """An error does not list hundreds of names."""
    columns = pynn.Columns(numbers=[f"n{k}" for k in range(20)])
    with pytest.raises(pynn.ArgumentError, match="'n7' and 12 more, got the columns 'a'"):
        columns.encode({"a": [1]})


# ------------------------------------------------------------ Columns(...)


def test_widths() -> None:
    """Half of the codes, rounded up and at most 50; or as it is said."""
    values = {"a": [1], "b": [1, 2], "c": range(200), "d": range(7), "e": range(5)}
    columns = pynn.Columns(categories=values, embedding={"d": 9}, one_hot=["e"])
    assert [column.width for column in columns.columns] == [1, 2, 50, 9, 5]
    assert pynn.Columns(categories={"a": [1, 2]}, embedding=4).columns[0].width == 4


def test_shown() -> None:
    """The repr tells what becomes of each column, and no long vocabulary."""
    assert repr(COLUMNS) == (
        "Columns(fare, port: 4 values, embedding of 3, deck: 3 values, embedding of 2,"
        " alone: 2 values, one-hot)"
    )
    assert str(COLUMNS) == "1 number, 3 categories"
    assert str(PLAIN) == "1 number, 1 category"
    assert COLUMNS.names == ["fare", "port", "deck", "alone"]


def test_values_are_plain() -> None:
    """Values of NumPy become Python's, and integers that became floats are integers again."""
    columns = pynn.Columns(
        categories={"a": np.array([1.0, 2.0]), "b": np.array(["x"]), "c": [np.True_]}
    )
    found = [value for column in columns.columns for value in column.values]
    assert found == [1, 2, "x", True]
    assert [type(value) for value in found] == [int, int, str, bool]


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, pynn.ArgumentError, "at least one column"),
    ({"numbers": "age"}, pynn.ArgumentTypeError, "numbers must be a list of names, got str 'age'"),
    ({"numbers": ["a", "a"]}, pynn.ArgumentError, "each name once, got 'a' twice"),
    ({"numbers": ["a"], "categories": {"a": [1]}}, pynn.ArgumentError, "'a' twice"),
    ({"numbers": [1]}, pynn.ArgumentTypeError, "the name of a column must be a str, got int 1"),
    ({"numbers": ["\ud800"]}, pynn.ArgumentError, "text that UTF-8 can hold"),
    ({"categories": ["sex"]}, pynn.ArgumentTypeError, r"Columns.of\(frame\) finds them"),
    ({"categories": {"a": "xy"}}, pynn.ArgumentTypeError, r"must be the values of the column"),
    ({"categories": {"a": []}}, pynn.ArgumentError, "must have 1 to 16,777,215 values, got 0"),
    ({"categories": {"a": [1, True]}}, pynn.ArgumentError, "each value once, got 1 twice"),
    ({"categories": {"a": [1.5]}}, pynn.ArgumentTypeError, "got float 1.5"),
    ({"categories": {"a": [2**53 + 1]}}, pynn.ArgumentTypeError, r"an integer up to 2\^53"),
    ({"categories": {"a": [""]}}, pynn.ArgumentTypeError, "a string that is not empty"),
    ({"categories": {"a": ["\udc00"]}}, pynn.ArgumentError, "text that UTF-8 can hold"),
    ({"categories": {"a": [None]}}, pynn.ArgumentTypeError, "got NoneType None"),
    ({"categories": {"a": [1]}, "embedding": 0}, pynn.ArgumentError, "embedding of 'a'"),
    ({"categories": {"a": [1]}, "embedding": {"b": 1}}, pynn.ArgumentError, "embedding must name"),
    ({"categories": {"a": [1]}, "one_hot": ["b"]}, pynn.ArgumentError, "one_hot must name"),
    ({"categories": {"a": [1]}, "one_hot": "a"}, pynn.ArgumentTypeError, "list of names"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG, ids=range(len(WRONG)))
def test_columns_refuses(arguments: Any, error: type[Exception], message: str) -> None:
    """A wrong argument is named, with what it needs."""
    with pytest.raises(error, match=message):
        pynn.Columns(**arguments)


# ------------------------------------------------------------ Columns.of(frame)


def test_of_finds_kinds_and_vocabularies() -> None:
    """Numbers are numbers; strings, bools and what is said are categories, sorted."""
    frame, _ = table()
    columns = pynn.Columns.of(frame, categories=["deck"], one_hot=["alone"])
    assert columns == pynn.Columns(
        ["fare"],
        {"port": ["C", "Genève", "Q", "S"], "deck": [1, 2, 3, 4], "alone": [False, True]},
        one_hot=["alone"],
    )
    assert columns != COLUMNS and hash(columns) != hash(COLUMNS)
    rows = [dict(zip(frame, row, strict=True)) for row in zip(*frame.values(), strict=True)]
    assert pynn.Columns.of(rows, categories=["deck"], one_hot=["alone"]) == columns


def test_of_options() -> None:
    """Rare values are left out; columns of digits are numbers if it is said."""
    frame = {"a": ["x", "y", "x"], "b": ["1", "", "2.5"], "label": [0, 1, 0]}
    columns = pynn.Columns.of(frame, numbers=["b"], leave_out="label", min_count=2)
    assert columns == pynn.Columns(["b"], {"a": ["x"]})
    assert pynn.Columns.of(frame, leave_out=["b", "a"]) == pynn.Columns(["label"])
    arrays = {"a": np.array([True, False]), "b": np.array([1, 2], np.uint8)}
    assert pynn.Columns.of(arrays) == pynn.Columns(["b"], {"a": [False, True]})


def test_of_categories_of_frames() -> None:
    """A column whose dtype says category is one, although it has numbers."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": pd.Categorical([3, 1, None]), "b": [1, 2, 3]})
    assert pynn.Columns.of(frame) == pynn.Columns(["b"], {"a": [1, 3]})


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ({"a": [1]}, {"leave_out": "b"}, "frame has no column 'b'"),
        ({"a": [1]}, {"numbers": ["b"]}, "frame has no column 'b'"),
        ({"a": [1]}, {"min_count": 0}, "min_count must be at least 1"),
        ({"a": [None, ""]}, {}, r"column 'a' has no value; leave it out, with leave_out=\['a'\]"),
        ({"a": ["x"]}, {"min_count": 2}, "no value that it has 2 times"),
        ({"a": [{}]}, {}, "column 'a' has values that are neither strings nor numbers"),
        ({"a": [0.5]}, {"categories": ["a"]}, "got float 0.5"),
        (np.zeros((3, 2)), {}, "frame must be a data frame, a dict of columns or a list of dicts"),
        ({}, {}, "at least one column"),
    ],
)
def test_of_refuses(frame: Any, options: dict[str, Any], message: str) -> None:
    """What cannot be described is named."""
    with pytest.raises((pynn.ArgumentError, pynn.ArgumentTypeError), match=message):
        pynn.Columns.of(frame, **options)


# ------------------------------------------------------------ as text


def test_list_and_back() -> None:
    """JSON can hold the columns, and they come back as they were."""
    assert Columns.from_list(COLUMNS.to_list()) == COLUMNS
    assert COLUMNS.to_list()[1] == {
        "name": "port",
        "kind": "embedding",
        "values": ["C", "Q", "S", "Genève"],
        "width": 3,
    }


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "columns must be a list"),
        ([], "at least one column"),
        ([{"name": "a"}], "kind"),
        ([{"name": "a", "kind": "word"}], "unknown kind of column 'word'"),
        ([{"name": 3, "kind": "number"}], "must be a str"),
        ([{"name": "a", "kind": "number", "width": 1}], "unknown entries: width"),
        ([{"name": "a", "kind": "number"}] * 2, "each name once"),
        ([{"name": "a", "kind": "embedding", "values": [1]}], "width"),
        ([{"name": "a", "kind": "embedding", "values": [1], "width": 2**40}], "embedding of 'a'"),
        ([{"name": "a", "kind": "embedding", "values": [1, 1], "width": 2}], "each value once"),
        ([{"name": "a", "kind": "embedding", "values": {"b": 1}, "width": 2}], "the values of"),
        ([{"name": "a", "kind": "one_hot", "values": [[]]}], "a category must be"),
        ([{"name": "a", "kind": "one_hot", "values": []}], "1 to"),
        (["name"], "dictionary update sequence"),
    ],
)
def test_damaged_lists(entries: Any, message: str) -> None:
    """What a file says is checked; a reader of files catches these errors."""
    with pytest.raises((ValueError, TypeError, LookupError), match=message):
        Columns.from_list(entries)


# ------------------------------------------------------------ the input of a chain


def test_builder() -> None:
    """The columns are the first layer, and the widths behind it are known."""
    chain = pynn.Builder().input(COLUMNS)
    assert repr(chain) == f"Builder().input({COLUMNS!r})"
    assert repr(chain.dense(2)) == f"Builder().input({COLUMNS!r}).dense(2, init='he')"
    model = build()
    assert (model.inputs, model.outputs) == (4, 2)
    shapes = {name: array.shape for name, array in model.parameters.items()}
    assert list(shapes)[:3] == ["columns1.mean", "columns1.scale", "columns1.weight"]
    assert shapes["columns1.weight"] == (5 * 3 + 4 * 2,)
    assert shapes["dense1.weight"] == (1 + 3 + 2 + 2, 6)


def test_summary() -> None:
    """It lists the columns, the first twenty of them."""
    lines = build().summary().splitlines()
    assert lines[2].split() == ["1", "columns(1", "number,", "3", "categories)", "(n,", "8)", "25"]
    assert lines[3].split() == ["fare", "(n,", "1)", "2"]
    assert lines[4].split("of")[0] == "     port: 4 values, embedding "
    many = pynn.Columns(numbers=[f"n{k}" for k in range(25)])
    assert "     and 5 more" in build(many).summary()


class Frame:
    """A frame of a library that nobody knows."""

    columns = ("b", "a")

    def __getitem__(self, name: str) -> list[Any]:
        return {"a": [1.5], "b": ["x"]}[name]


def test_a_frame_is_what_has_columns() -> None:
    """Other libraries' frames work, too, without being known."""
    assert PLAIN.encode(Frame()).tolist() == [[1.5, 1]]
