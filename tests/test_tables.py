"""Data as people have them: lists, numbers of any width, frames and series; and what is refused."""

from __future__ import annotations

import sys
import types
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pynn
from pynn._base import arrays

RNG = np.random.default_rng(14)
TABLE = RNG.integers(0, 9, (12, 3))
CLASSES = (TABLE.sum(axis=1) > 12).astype(int)
VALUES = TABLE[:, 0] * 0.5

FLOATS = TABLE.astype(np.float32)
COLUMNS = dict(zip("abc", TABLE.T, strict=True))

FEATURES: dict[str, Any] = {
    **{
        dtype: TABLE.astype(dtype)
        for dtype in ("i1", "u2", ">i2", "i4", "u4", "i8", "u8", "f2", "f8", "g", "O")
    },
    "lists": TABLE.tolist(),
    "tuples of NumPy numbers": tuple(map(tuple, TABLE)),
    "a list with Decimal and bool": [[Decimal(int(a)), float(b), c] for a, b, c in TABLE],
    "Fortran order": np.asfortranarray(TABLE, np.float32),
    "pandas": pd.DataFrame(COLUMNS),
    "pandas, of several dtypes": pd.DataFrame(COLUMNS).astype({"a": "f4", "b": "i2"}),
    "pandas, nullable": pd.DataFrame(COLUMNS).astype({"a": "Int64", "b": "Float32"}),
    "pandas, objects that are numbers": pd.DataFrame(COLUMNS).astype({"a": object}),
    "pandas, all objects": pd.DataFrame(COLUMNS).astype(object),
    "pandas, sparse": pd.DataFrame(COLUMNS).astype(pd.SparseDtype("float64")),
    "polars": pl.DataFrame(COLUMNS),
    "polars, of several dtypes": pl.DataFrame(COLUMNS).cast({"a": pl.Float32, "b": pl.UInt8}),
    "polars, decimal": pl.DataFrame(COLUMNS).cast({"a": pl.Decimal(10, 2)}),
}


def classifier() -> pynn.Model:
    """A new model for three features and two classes."""
    return pynn.Builder().input(3).dense(2).softmax_cross_entropy().build(seed=1)


@pytest.mark.parametrize("form", FEATURES)
def test_numbers_of_any_form_are_taken_as_they_are(form: str) -> None:
    """Whatever holds the numbers, C reads the same floats, in rows; and the caller's are left."""
    given = FEATURES[form]
    read = arrays.features("features", given, (3,))
    np.testing.assert_array_equal(read, FLOATS)
    assert read.dtype == np.float32 and read.flags.c_contiguous
    assert classifier().predict(given).tolist() == classifier().predict(FLOATS).tolist()


@pytest.mark.parametrize(
    "given",
    [
        [[False, True, True]],
        np.array([[False, True, True]]),
        pd.DataFrame([[False, True, True]]),
        pd.DataFrame({"a": [False], "b": [1], "c": [1.0]}),
        pl.DataFrame({"a": [False], "b": [True], "c": [1]}),
    ],
)
def test_bools_are_0_and_1(given: Any) -> None:
    """A bool counts as a number, alone and beside others."""
    assert arrays.features("features", given, (3,)).tolist() == [[0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    "given",
    [
        [[1, None, 2.5]],
        np.array([[1, pd.NA, 2.5]], object),
        pd.DataFrame({"a": pd.array([1], "Int64"), "b": pd.array([None], "boolean"), "c": [2.5]}),
        pd.DataFrame({"a": [1], "b": [None], "c": [2.5]}),
        pl.DataFrame({"a": [1], "b": [None], "c": [2.5]}),
        pl.DataFrame({"a": [1], "b": pl.Series([None], dtype=pl.Boolean), "c": [2.5]}),
    ],
)
def test_missing_values_are_nan(given: Any) -> None:
    """None, pandas.NA and null become nan, which a network then refuses by its place."""
    read = arrays.features("features", given, (3,))
    np.testing.assert_array_equal(read, [[1.0, np.nan, 2.5]])
    with pytest.raises(pynn.ArgumentError, match=r"features\[0\] holds nan \(feature 1\)"):
        classifier().predict(given)


def test_only_uint8_is_divided_by_255() -> None:
    """Bytes are pixels also in a frame, as in the array that NumPy makes of it; others are not."""
    pixels = np.array([[0, 51, 255]], np.uint8)
    for given in (pixels, memoryview(pixels), pd.DataFrame(pixels), pl.DataFrame(pixels)):
        assert arrays.features("features", given, (3,)).dtype == np.uint8
    model = classifier()
    as_numbers = model(pixels.astype(np.float32))
    np.testing.assert_array_equal(model(pixels.tolist()), as_numbers)
    np.testing.assert_array_equal(model(pixels.astype(np.int64)), as_numbers)
    np.testing.assert_array_equal(model(pixels), model(pixels / 255))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_that_c_can_read_are_not_copied(dtype: Any) -> None:
    """Also read-only ones, and those mapped from a file."""
    own = np.zeros((4, 3), dtype)
    own.flags.writeable = False
    for given in (own, own.view(np.memmap), own.view(np.matrix)):
        assert np.shares_memory(arrays.features("features", given, (3,)), own)


@pytest.mark.parametrize(
    "labels",
    [
        CLASSES.tolist(),
        CLASSES > 0,
        CLASSES[:, None],
        pd.Series(CLASSES),
        pd.Series(CLASSES).astype("Int64"),
        pd.Series(CLASSES).astype("category"),
        pd.DataFrame({"class": CLASSES}),
        pl.Series(CLASSES),
        pl.DataFrame({"class": CLASSES}),
    ],
)
def test_labels_of_any_form(labels: Any) -> None:
    """Lists, bools, columns, series and frames of one column are labels."""
    weights = pd.Series(np.arange(12) + 1.0)
    model, other = classifier(), classifier()
    history = model.fit(
        pd.DataFrame(TABLE), labels, epochs=2, sample_weight=weights, validation=(FLOATS, labels)
    )
    expected = other.fit(
        FLOATS, CLASSES, epochs=2, sample_weight=np.arange(12) + 1, validation=(FLOATS, CLASSES)
    )
    assert history.loss == expected.loss and history.val_loss == expected.val_loss
    assert model.partial_fit(TABLE, labels) == other.partial_fit(FLOATS, CLASSES)
    assert repr(model.evaluate(TABLE.tolist(), labels, per_class=True)) == repr(
        other.evaluate(FLOATS, CLASSES, per_class=True)
    )
    assert model.explain(TABLE, labels).loss == other.explain(FLOATS, CLASSES).loss


@pytest.mark.parametrize(
    "targets", [VALUES.tolist(), pd.Series(VALUES), pd.DataFrame(VALUES), pl.Series(VALUES)]
)
def test_targets_of_any_form(targets: Any) -> None:
    """Lists, series and frames are target values."""
    model = pynn.Builder().input(3).dense(1).mean_squared_error().build(seed=0)
    assert model.evaluate(TABLE, targets).loss == model.evaluate(FLOATS, VALUES).loss


class Tensor:
    """As torch's: NumPy refuses it while it has a gradient."""

    def __init__(self, array: Any, *, has_gradient: bool = True) -> None:
        self.array = array
        self.has_gradient = has_gradient

    def detach(self) -> Tensor:
        return Tensor(self.array, has_gradient=False)

    def cpu(self) -> Tensor:
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.has_gradient:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        return self.array


def test_a_tensor_with_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken by its values; what NumPy refuses otherwise is said in NumPy's words."""
    with pytest.raises(pynn.ArgumentTypeError, match="no array of this Tensor: Can't call numpy"):
        classifier().predict(Tensor(FLOATS))
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(Tensor=Tensor))  # type: ignore[arg-type]
    assert classifier().predict(Tensor(FLOATS)).tolist() == classifier().predict(FLOATS).tolist()


def test_lack_of_memory_stays_what_it_is() -> None:
    """A MemoryError of NumPy is not called a mistake."""

    class Large:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise MemoryError("no memory for the array")

    with pytest.raises(MemoryError, match="no memory for the array"):
        classifier().predict(Large())


# ------------------------------------------------------------ refusals, and what they advise

WORDS = ["1.5", "2", "3"]
PANDAS = pd.DataFrame(
    {
        "a": [1.0, 2.0, 3.0],
        "size": WORDS,
        "colour": ["red", "blue", "red"],
        "kind": pd.Categorical(["u", "v", "u"]),
        "when": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
    }
)
POLARS = pl.DataFrame(
    {"a": [1.0, 2.0, 3.0], "size": WORDS, "colour": ["red", "blue", "red"]}
).with_columns(when=pl.date(2026, 1, 1), kind=pl.Series(["u", "v", "u"], dtype=pl.Categorical))


def refusal(features: Any) -> str:
    """What is said of features that cannot be read; it can be read on one line."""
    with pytest.raises(pynn.ArgumentTypeError) as caught:
        classifier().predict(features)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("frame", [PANDAS, POLARS], ids=["pandas", "polars"])
def test_columns_that_are_no_numbers_are_named(frame: Any) -> None:
    """Each is named with its dtype and a value; numbers beside them are not."""
    message = refusal(frame)
    assert message.startswith("features must be numbers, and these columns are not: 'size' (")
    for words in ("such as '1.5'", "such as 'red'", "such as 'u'", "'when' (dat"):
        assert words in message.replace("Date", "date")
    assert "'a'" not in message


def advised(message: str, begins: str) -> str:
    """The call that a message advises after some words, up to its last bracket."""
    rest = message.split(begins, 1)[1].split("; ")[0].split(", or ")[0]
    return rest[: rest.rindex(")") + 1]


@pytest.mark.parametrize("frame", [PANDAS, POLARS], ids=["pandas", "polars"])
def test_advice_for_frames_works(frame: Any) -> None:
    """Converted, encoded, or left out, column by column: in the end there are only numbers."""
    known = {"features": frame, "pandas": pd, "polars": pl, "float": float}
    message = refusal(frame)
    left = eval(advised(message, "leave them out: "), known)
    assert arrays.features("features", left, (1,)).tolist() == [[1.0], [2.0], [3.0]]
    known["features"] = eval(advised(message, "convert with "), known)
    message = refusal(known["features"])
    assert "convert with" not in message
    known["features"] = eval(advised(message, "encode with "), known)
    message = refusal(known["features"])
    assert "encode with" not in message
    done = eval(advised(message, "leave them out: "), known)
    assert arrays.features("features", done, (6,))[:, :2].tolist() == [[1, 1.5], [2, 2], [3, 3]]


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_of_many_columns_some_are_named(library: Any) -> None:
    """The message stays short, and says how many more there are."""
    many = library.DataFrame({f"column {index}": ["x", "y"] for index in range(30)})
    assert "'column 3' (" in refusal(many)
    assert "and 26 more" in refusal(many) and "column 4" not in refusal(many)
    dates = library.DataFrame({str(index): [date(2026, 1, 1)] for index in range(30)})
    assert refusal(dates).split(";")[0].endswith("and 26 more")


def test_a_column_of_objects_is_named() -> None:
    """Objects that no float can hold, beside those that are numbers."""
    frame = pd.DataFrame({"a": [1, 2], "b": [Decimal(1), Decimal(2)], "c": [[1], [2]]})
    assert "not: 'c' (object, such as [1])" in refusal(frame)


ARRAYS: dict[str, tuple[Any, str, str]] = {
    "complex": (FLOATS + 0j, "take a part of them, as in ", "features"),
    "complex list": ((FLOATS + 0j).tolist(), "take a part of them, as in ", "features"),
    "dates": (TABLE.astype("M8[D]"), "count the days since the first one: ", "features"),
    "durations": (TABLE.astype("m8[D]"), "count the days: ", "features"),
    "digits": (TABLE.astype(str), "convert with ", "features"),
    "digits in lists": (TABLE.astype(str).tolist(), "convert with ", "features"),
    "one column of text": (
        np.insert(TABLE.astype(object), 1, "red", axis=1),
        "or leave them out: ",
        "features",
    ),
    "arrays in a series": (pd.Series(list(FLOATS)), "put them together with ", "features"),
    "rows in a dict": ({"a": [1], "b": [2], "c": [3]}, "make a table of it with ", "features"),
    "a generator": ((row for row in FLOATS), "convert with ", "features"),
    "a lazy frame": (pl.LazyFrame(COLUMNS), "get its values with ", "features"),
    "records": (
        np.zeros(12, [("a", "f4"), ("b", "f4"), ("c", "i4")]),
        "convert with ",
        "features",
    ),
}


@pytest.mark.parametrize("form", ARRAYS)
def test_advice_for_arrays_works(form: str) -> None:
    """What the message advises, done to the letter, gives features."""
    import numpy.lib.recfunctions

    given, begins, _ = ARRAYS[form]
    message = refusal(given)
    advice = message.split(begins, 1)[1]
    done = eval(advice, {"features": given, "np": numpy, "pandas": pd, "list": list})
    assert arrays.features("features", done, (3,)).shape[1:] == (3,)


def test_text_is_shown_with_its_place() -> None:
    """The first value that is no number, where no column can be left out."""
    assert "features[0, 0] is str 'a'; encode text as numbers" in refusal([["a", "b", "c"]])
    assert "features[1] is str 'a'" in refusal(["1", "a"])
    assert refusal(object()).endswith("a table of them, got object")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[1, 2, 3], [4, 5]], "equal lengths, got 3 values in features[0] and 2 in features[1]"),
        ([[[1], [2], [3]], [[1, 1], [2], [3]]], "of one shape, got rows of different shapes"),
        ([[10**400, 1, 2]], "must be finite, got an integer of more than 300 digits"),
        ([[1e300, 1, 2]], "must be finite as float32, up to 3.4e+38, got larger float64 values"),
        ([1, 2, 3], "a single example is np.asarray(features)[None]"),
        (pd.Series([1, 2, 3]), "is np.asarray(features)[None], and a single row of a frame is fr"),
    ],
)
def test_wrong_shapes_and_sizes_are_named(given: Any, words: str) -> None:
    """The error says what does not fit."""
    with pytest.raises(pynn.ArgumentError) as caught:
        classifier().predict(given)
    assert words in str(caught.value)


def test_a_series_for_a_network_of_one_input() -> None:
    """The message says how it becomes a column."""
    model = pynn.Builder().input(1).dense(1).mean_squared_error().build(seed=0)
    features = pd.Series([1.0, 2.0])
    with pytest.raises(pynn.ArgumentError) as caught:
        model.predict(features)
    advice = str(caught.value).split("one value are ")[1]
    assert model.predict(eval(advice, {"features": features, "np": np})).shape == (2,)
