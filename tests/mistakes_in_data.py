"""Mistakes in features, in labels and in files of data sets."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
from mistakes import (
    FLOATS,
    FORMAT,
    NO_DATA,
    TYPE,
    VALUE,
    Array,
    Bench,
    Mistake,
    X,
    Y,
    fit,
)

import pynn


class Sparse:
    """As SciPy's sparse arrays look to pynn: NumPy does not make an array of it."""

    shape = (9, 20)

    def toarray(self) -> Array:
        """The array that it stands for."""
        return FLOATS.reshape(9, 20)


def with_value(array: Array, value: Any, at: int = 7) -> Array:
    """A copy of one array with another value at some place."""
    array = array.copy()
    array.flat[at] = value
    return array


def predict(value: Any) -> Callable[[Bench], object]:
    """To predict from a value."""
    return lambda bench: bench.model.predict(value)


def data_set(name: str, content: Array | bytes) -> Callable[[Bench], object]:
    """To load a data set of which one file holds something else."""
    return lambda bench: pynn.datasets.load(bench.data(name, content))


SHAPE = ("features must have shape (n, 20), or (n, ...) with 20 values a row",)
NUMBERS = ("features must be numbers, got dtype",)
NO_ARRAY = ("features must be an array of numbers, or a list or a table of them",)
COUNT = ("labels must have shape (9,), one label for each example",)
RANGE = ("labels must be in [0, 3), as the network has 3 outputs",)
INTEGERS = ("labels must be integers in [0, 3)",)

FEATURES: dict[str, Mistake] = {
    "a single number": Mistake(predict(np.array(0, np.uint8)), VALUE, (*SHAPE, "got shape ()")),
    "a number to train on": Mistake(fit(np.array(0, np.uint8), Y), VALUE, (*SHAPE, "got shape ()")),
    "one example": Mistake(
        predict(X[0].ravel()), VALUE, (*SHAPE, "got shape (20,)", "example is features[None]")
    ),
    "one image": Mistake(
        predict(X[0]), VALUE, (*SHAPE, "got shape (4, 5)", "example is features[None]")
    ),
    "one column missing": Mistake(
        predict(X.reshape(9, 20)[:, 1:]), VALUE, (*SHAPE, "got shape (9, 19)")
    ),
    "one column more": Mistake(
        predict(np.zeros((9, 21), np.uint8)), VALUE, (*SHAPE, "got shape (9, 21)")
    ),
    "images of another size": Mistake(
        predict(np.zeros((9, 28, 28), np.uint8)), VALUE, (*SHAPE, "got shape (9, 28, 28)")
    ),
    "transposed": Mistake(predict(FLOATS.reshape(9, 20).T), VALUE, (*SHAPE, "got shape (20, 9)")),
    "rows without values": Mistake(
        predict(np.zeros((9, 0), np.float32)), VALUE, (*SHAPE, "got shape (9, 0)")
    ),
    "complex": Mistake(
        predict(FLOATS + 0j),
        TYPE,
        (*NUMBERS, "complex64; take a part of them, as in features.real"),
    ),
    "objects": Mistake(
        predict(with_value(FLOATS.reshape(9, 20).astype(object), "red")),
        TYPE,
        (*NUMBERS, "features[0, 7] is str 'red'", "np.delete(features, [7], axis=1)"),
    ),
    "strings": Mistake(
        predict(X.astype("U3")), TYPE, (*NUMBERS, "<U3; convert with features.astype(np.float64)")
    ),
    "dates": Mistake(
        predict(X.astype("M8[s]")), TYPE, (*NUMBERS, "datetime64[s]; count the days since")
    ),
    "structured": Mistake(
        predict(np.zeros((9, 20), [("pixel", "f4")])),
        TYPE,
        (*NUMBERS, "'pixel'", "structured_to_unstructured(features)"),
    ),
    "rows of several lengths": Mistake(
        predict([[1.0] * 20, [1.0] * 19]),
        VALUE,
        ("features must have rows of equal lengths", "20 values in features[0] and 19 in"),
    ),
    "an example as a list": Mistake(
        predict([1.0] * 20), VALUE, (*SHAPE, "example is np.asarray(features)[None]")
    ),
    "nothing": Mistake(predict(None), TYPE, (*NO_ARRAY, "got NoneType")),
    "a file's name": Mistake(predict("digits.npy"), TYPE, (*NO_ARRAY, "got str")),
    "bytes": Mistake(predict(X.tobytes()), TYPE, (*NO_ARRAY, "got bytes")),
    "a generator": Mistake(
        predict(row for row in X), TYPE, (*NO_ARRAY, "got generator; convert with list(features)")
    ),
    "a dict of columns": Mistake(
        predict({"age": [1, 2]}), TYPE, (*NO_ARRAY, "dict", "pandas.DataFrame(features)")
    ),
    "a NumPy number": Mistake(predict(np.float32(1)), VALUE, (*SHAPE, "got shape ()")),
    "a sparse matrix": Mistake(
        predict(Sparse()), TYPE, (*NO_ARRAY, "the sparse Sparse; convert with features.toarray()")
    ),
    "a data set instead of its images": Mistake(
        predict(pynn.datasets.Dataset(X, Y)),
        TYPE,
        (*NO_ARRAY, "got Dataset", "pass one of its parts, as in features[0]"),
    ),
    "masked": Mistake(
        predict(np.ma.masked_greater(X, 250)),
        TYPE,
        ("features must be a NumPy array", "got a masked one", "features.filled(...)"),
    ),
    "masked, to fit": Mistake(
        fit(np.ma.masked_greater(FLOATS, 0.9)),
        TYPE,
        ("features must be a NumPy array", "got a masked one", "features.filled(...)"),
    ),
    "float64 that float32 does not hold": Mistake(
        predict(with_value(FLOATS.astype(np.float64), 1e39)),
        VALUE,
        ("features must be finite as float32", "up to 3.4e+38", "got larger float64 values"),
    ),
    "NaN": Mistake(predict(with_value(FLOATS, np.nan, 47)), VALUE, ("features[2] holds nan",)),
    "no example, to fit": Mistake(
        fit(X[:0], Y[:0]), VALUE, ("features must have at least one example", "got (0, 4, 5)")
    ),
    "no example, to evaluate": Mistake(
        lambda bench: bench.model.evaluate(X[:0], Y[:0]),
        VALUE,
        ("features must have at least one example", "got (0, 4, 5)"),
    ),
    "labels in the place of features": Mistake(fit(Y, X), VALUE, (*SHAPE, "got shape (9,)")),
}

LABELS: dict[str, Mistake] = {
    "one too few": Mistake(fit(X, Y[:8]), VALUE, (*COUNT, "got (8,)")),
    "one too many": Mistake(fit(X[:8], Y), VALUE, ("labels must have shape (8,)", "got (9,)")),
    "none at all": Mistake(fit(X, Y[:0]), VALUE, (*COUNT, "got (0,)")),
    "a single number": Mistake(fit(X, np.array(1)), VALUE, (*COUNT, "got ()")),
    "two columns": Mistake(fit(X, np.stack([Y, Y], axis=1)), VALUE, (*COUNT, "got (9, 2)")),
    "one-hot": Mistake(
        fit(X, np.eye(3, dtype=np.uint8)[Y]),
        VALUE,
        (*COUNT, "got (9, 3)", "convert one-hot labels with labels.argmax(axis=1)"),
    ),
    "one-hot floats": Mistake(
        fit(X, np.eye(3)[Y]),
        TYPE,
        (*INTEGERS, "got dtype float64", "convert one-hot labels with labels.argmax(axis=1)"),
    ),
    "floats": Mistake(
        fit(X, Y.astype(np.float32)),
        TYPE,
        (*INTEGERS, "got dtype float32", "convert with labels.astype(np.int64)"),
    ),
    "one without a label": Mistake(
        fit(X, [0, 1, 2, None, 1, 2, 0, 1, 2]), TYPE, (*INTEGERS, "labels[3] is nan; leave out")
    ),
    "values": Mistake(
        fit(X, Y + 0.5), TYPE, (*INTEGERS, "to learn values instead of classes, build with mean")
    ),
    "names, one of them alone": Mistake(
        fit(X, ["cat", "dog", "cat"] * 3),
        VALUE,
        ("labels must have as many classes as the network has outputs, 3; got 2: 'cat', 'dog'",),
    ),
    "names and numbers": Mistake(
        fit(X, np.array(["cat", 1, 2] * 3, object)),
        TYPE,
        ("labels must all be names of classes, or all be integers; the one at index 1 is int 1",),
    ),
    "nothing": Mistake(
        fit(X, None), TYPE, ("labels must be given, unless features are batches", "type ndarray")
    ),
    "masked": Mistake(
        fit(X, np.ma.masked_equal(Y, 2)),
        TYPE,
        ("labels must be a NumPy array", "got a masked one", "labels.filled(...)"),
    ),
    "counted from 1": Mistake(
        fit(X, Y + 1), VALUE, (*RANGE, "got 3 at index 2", "np.unique(labels")
    ),
    "negative": Mistake(
        fit(X, with_value(Y.astype(np.int8), -1)), VALUE, (*RANGE, "got -1 at index 7")
    ),
    "a negative one in unsigned": Mistake(
        fit(X, with_value(Y, 255)), VALUE, (*RANGE, "got 255 at index 7")
    ),
    "zero in the lower 32 bits": Mistake(
        fit(X, with_value(Y.astype(np.int64), 2**32)), VALUE, (*RANGE, "got 4294967296 at index 7")
    ),
    "out of range, to evaluate": Mistake(
        lambda bench: bench.model.evaluate(X, Y + 1), VALUE, (*RANGE, "got 3 at index 2")
    ),
}

IMAGES, IMAGE_LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
DATA_SETS: dict[str, Mistake] = {
    "a folder that there is not": Mistake(
        lambda bench: pynn.datasets.load(bench.folder / "no"),
        NO_DATA,
        ("{folder}/no: no such directory", IMAGES, "with .gz"),
    ),
    "a folder without the files": Mistake(
        lambda bench: pynn.datasets.load(bench.folder), NO_DATA, ("{folder}: lacks", IMAGES)
    ),
    "a file instead of the folder": Mistake(
        lambda bench: pynn.datasets.mnist(bench.file("mnist.zip")),
        NO_DATA,
        ("{folder}/mnist.zip: no such directory", IMAGES),
    ),
    "a number as folder": Mistake(
        lambda bench: pynn.datasets.load(5), TYPE, ("root must be a str or a Path, got int 5",)
    ),
    "labels in the file for images": Mistake(
        data_set(IMAGES, Y),
        FORMAT,
        (f"{IMAGES}: images must be uint8 of shape (n, height, width)", "uint8 of shape (9,)"),
    ),
    "images of floats": Mistake(
        data_set(IMAGES, FLOATS), FORMAT, (f"{IMAGES}: images must be uint8", "float32 of shape")
    ),
    "images in the file for labels": Mistake(
        data_set(IMAGE_LABELS, X),
        FORMAT,
        (f"{IMAGE_LABELS}: labels must be integers of shape (n,)", "shape (9, 4, 5)"),
    ),
    "labels of other images": Mistake(
        data_set(IMAGE_LABELS, Y[:8]), FORMAT, (f"{IMAGE_LABELS}: 8 labels for the 9 images",)
    ),
    "labels below 0": Mistake(
        data_set(IMAGE_LABELS, with_value(Y.astype(np.int8), -4)),
        FORMAT,
        (f"{IMAGE_LABELS}: label -4 at index 7; labels must be 0 or more",),
    ),
    "labels that MNIST does not have": Mistake(
        lambda bench: pynn.datasets.mnist(bench.data(IMAGE_LABELS, Y + 8)),
        FORMAT,
        (f"{IMAGE_LABELS}: label 10 at index 2; labels must be 0 to 9",),
    ),
    "test images of another shape": Mistake(
        data_set("t10k-images-idx3-ubyte", X.reshape(9, 5, 4)),
        FORMAT,
        (f"t10k-images-idx3-ubyte: images of shape (5, 4), and those of {IMAGES} have (4, 5)",),
    ),
    "a prefix that there is not": Mistake(
        lambda bench: pynn.datasets.load(bench.data(IMAGES, X), prefix="letters-"),
        NO_DATA,
        (f"{{folder}}: lacks letters-{IMAGES}", "it has them with prefix=''"),
    ),
    "a folder as prefix": Mistake(
        lambda bench: pynn.datasets.load(bench.folder, prefix="emnist/"),
        TYPE,
        ("prefix must be a str without folders", "'emnist-letters-', got str 'emnist/'"),
    ),
    "a file cut short": Mistake(
        data_set(IMAGE_LABELS, b"\0\0\x08\1\0\0\0\x09" + bytes(8)),
        FORMAT,
        (f"{IMAGE_LABELS}: truncated: the header says 9 uint8", "the file has 8"),
    ),
    "a picture": Mistake(
        data_set(IMAGES, b"\x89PNG\r\n\x1a\n"),
        FORMAT,
        (f"{IMAGES}: not an IDX file: it begins with the bytes 89 50",),
    ),
    "half a .gz": Mistake(
        data_set(IMAGES, gzip.compress(bytes(1000))[:15]),
        FORMAT,
        (f"{IMAGES}: damaged gzip file", "fetch or write it again"),
    ),
    "an IDX file that is not there": Mistake(
        lambda bench: pynn.datasets.read_idx(bench.folder / "no"),
        NO_DATA,
        ("{folder}/no: no such file",),
    ),
    "a list to write": Mistake(
        lambda bench: pynn.datasets.write_idx(bench.folder / "no", [1, 2]),  # type: ignore[arg-type]
        TYPE,
        ("array must be a NumPy array", "got list"),
    ),
    "int64 to write": Mistake(
        lambda bench: pynn.datasets.write_idx(bench.folder / "no", np.arange(3)),
        TYPE,
        ("array has dtype int64", "int32", "convert it with array.astype"),
    ),
    "a masked array to write": Mistake(
        lambda bench: pynn.datasets.write_idx(bench.folder / "no", np.ma.masked_equal(Y, 2)),
        TYPE,
        ("array must be a NumPy array", "got a masked one", "array.filled(...)"),
    ),
}
