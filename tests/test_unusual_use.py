"""Unusual use: data and options that look like a mistake, and work."""

from __future__ import annotations

import fractions
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mistakes import FLOATS, Array, Bench, DataFrame, X, Y

import pynn


class Named:
    """A path of somebody's own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


class Counter:
    """An object that can be called."""

    calls = 0

    def __call__(self, _: object) -> None:
        self.calls += 1


def read_only(array: Array) -> Array:
    """A copy that cannot be written."""
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array: Array) -> Array:
    """A copy that starts at an odd address."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    out = memory[1:].view(array.dtype).reshape(array.shape)
    out[...] = array
    return out


def mapped(array: Array, folder: Path) -> Array:
    """The array as a read-only map of a file."""
    array.tofile(folder / "mapped")
    return np.memmap(folder / "mapped", array.dtype, "r", shape=array.shape)


def wider(array: Array) -> Array:
    """A view of the middle columns of a wider array."""
    return np.pad(array, ((0, 0), (1, 1), (2, 0)))[:, 1:-1, 2:]


Use = Callable[[Path], dict[str, Any]]  # from a folder, what differs from plain use

FEATURE_FORMS: dict[str, Use] = {
    "read-only": lambda _: {"features": read_only(X)},
    "Fortran order": lambda _: {"features": np.asfortranarray(X)},
    "every second row": lambda _: {"features": np.repeat(X, 2, axis=0)[::2]},
    "rows backwards": lambda _: {"features": X[::-1].copy()[::-1]},
    "columns backwards": lambda _: {"features": X[:, :, ::-1].copy()[:, :, ::-1]},
    "columns of a wider array": lambda _: {"features": wider(X)},
    "transposed twice": lambda _: {"features": X.transpose(2, 1, 0).copy().transpose(2, 1, 0)},
    "mapped from a file": lambda folder: {"features": mapped(X, folder)},
    "flat": lambda _: {"features": X.reshape(9, 20)},
    "a dimension of 1": lambda _: {"features": X[:, None]},
    "one value a dimension": lambda _: {"features": X.reshape(9, 2, 2, 5, 1)},
    "float32": lambda _: {"features": FLOATS},
    "float32 in Fortran order": lambda _: {"features": np.asfortranarray(FLOATS)},
    "unaligned float32": lambda _: {"features": unaligned(FLOATS)},
    "read-only float32": lambda _: {"features": read_only(FLOATS)},
    "float64": lambda _: {"features": FLOATS.astype(np.float64)},
    "float64 in Fortran order": lambda _: {"features": np.asfortranarray(FLOATS, np.float64)},
    "float64, read-only and wider": lambda _: {"features": read_only(wider(FLOATS * 1.0))},
    "a matrix": lambda _: {"features": X.reshape(9, 20).view(np.matrix)},
    "a record array": lambda _: {"features": X.view(np.recarray)},
    "a data frame": lambda _: {"features": DataFrame()},
    "a list of rows": lambda _: {"features": FLOATS.tolist()},
    "a tuple of arrays": lambda _: {"features": tuple(X)},
    "a buffer": lambda _: {"features": memoryview(X)},
    "objects": lambda _: {"features": FLOATS.astype(object)},
    "another byte order": lambda _: {"features": FLOATS.astype(">f4")},
    "long doubles": lambda _: {"features": FLOATS.astype(np.longdouble)},
    "masked, filled": lambda _: {"features": np.ma.masked_equal(X, X.max()).filled(X.max())},
}

LABEL_FORMS: dict[str, Use] = {
    **{
        f"labels of {dtype}": lambda _, dtype=dtype: {"labels": Y.astype(dtype)}  # type: ignore[misc]
        for dtype in ("int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4", ">u2")
    },
    "read-only labels": lambda _: {"labels": read_only(Y)},
    "every second label": lambda _: {"labels": np.repeat(Y, 2)[::2]},
    "labels backwards": lambda _: {"labels": Y[::-1].copy()[::-1]},
    "unaligned labels": lambda _: {"labels": unaligned(Y.astype(np.int32))},
    "labels mapped from a file": lambda folder: {"labels": mapped(Y, folder)},
    "a column of one-hot labels": lambda _: {"labels": np.eye(3)[Y].argmax(axis=1)},
    "labels as a list": lambda _: {"labels": Y.tolist()},
    "labels as objects": lambda _: {"labels": Y.astype(object)},
    "a column of labels": lambda _: {"labels": Y[:, None]},
}

OPTION_FORMS: dict[str, Use] = {
    "epochs of int8": lambda _: {"epochs": np.int8(2)},
    "epochs as an array of no dimensions": lambda _: {"epochs": np.array(2)},
    "batch_size of uint64": lambda _: {"batch_size": np.uint64(4)},
    "a rate of float32": lambda _: {"optimizer": pynn.SGD(learning_rate=np.float32(0.25))},
    "a rate as a fraction": lambda _: {
        "optimizer": pynn.SGD(learning_rate=fractions.Fraction(1, 4))  # type: ignore[arg-type]
    },
    "validation in a list": lambda _: {"validation": [X, Y]},
    "validation as a data set": lambda _: {"validation": pynn.datasets.Dataset(X, Y)},
    "validation in other forms": lambda _: {
        "validation": (np.asfortranarray(FLOATS, np.float64), Y.astype(">i8"))
    },
    "an object as callback": lambda _: {"on_epoch": Counter(), "on_progress": Counter()},
    "a checkpoint by str": lambda folder: {"checkpoint": str(folder / "run")},
    "a checkpoint by a path of one's own": lambda folder: {"checkpoint": Named(folder / "run")},
    "a checkpoint more seldom than it ends": lambda folder: {
        "checkpoint": folder / "run",
        "every": 2**62,
    },
}

FORMS = FEATURE_FORMS | LABEL_FORMS | OPTION_FORMS


def used(folder: Path, **different: Any) -> tuple[Any, ...]:
    """All that a model can say after training on X and Y, but for what differs."""
    plain: dict[str, Any] = {
        "features": X,
        "labels": Y,
        "epochs": 2,
        "batch_size": 4,
        "optimizer": pynn.SGD(learning_rate=0.25),
        "validation": (X, Y),
    }
    call = plain | different
    features, labels = call.pop("features"), call.pop("labels")
    copies = np.array(features), np.array(labels)
    model = Bench(folder).model
    history = model.fit(features, labels, **call)
    model.save(folder / "model")
    outputs: Iterable[Array] = (
        model(features),
        model.predict(features),
        model.predict_proba(features),
    )
    np.testing.assert_array_equal(features, copies[0])
    np.testing.assert_array_equal(labels, copies[1])
    return (
        hashlib.sha256((folder / "model").read_bytes()).hexdigest(),
        [(array.dtype, array.tobytes()) for array in outputs],
        model.evaluate(features, labels),
        (history.loss, history.accuracy, history.val_loss, history.val_accuracy),
    )


@pytest.mark.parametrize("form", FORMS)
def test_what_only_looks_wrong_works(form: str, tmp_path: Path) -> None:
    """Every form of the same data and options gives the same bits, and is left as it was."""
    assert used(tmp_path, **FORMS[form](tmp_path)) == used(tmp_path)
