"""Wrong use: what is a mistake and what is said of it; and what looks like a mistake and works."""

from __future__ import annotations

import fractions
import gzip
import hashlib
import importlib
import pickle
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from readers import READERS

import pynn
from pynn import _threads
from pynn.formats import nn_rust

Array = npt.NDArray[Any]

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"

_rng = np.random.default_rng(40)
X = _rng.integers(0, 256, (9, 4, 5), np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2], np.uint8)
FLOATS = np.divide(X, 255, dtype=np.float32)
X.flags.writeable = Y.flags.writeable = FLOATS.flags.writeable = False

# What is raised: pynn's class and the built-in one that it also is.
VALUE = (pynn.ArgumentError, ValueError)
TYPE = (pynn.ArgumentTypeError, TypeError)
CHAIN = (pynn.ChainError, AttributeError)
CLOSED = (pynn.ClosedError, RuntimeError)
FORMAT = (pynn.FileFormatError, ValueError)
MEMORY = (pynn.OutOfMemoryError, MemoryError)
NO_DATA = (pynn.DataNotFoundError, FileNotFoundError)

Kinds = tuple[type[BaseException], ...]


class Bench:
    """A model of 20 values and 3 classes, a folder, and short ways to misuse them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        chain = pynn.Builder().input(20).dense(17).relu().dense(3).softmax_cross_entropy()
        self.model = chain.build(seed=5)

    def fit(self, features: Any = X, labels: Any = Y, **options: Any) -> pynn.History:
        """Train, on good data and with good options but for those that are given."""
        return self.model.fit(features, labels, **({"epochs": 1, "batch_size": 3} | options))

    def closed(self) -> pynn.Model:
        """The model, closed."""
        self.model.close()
        return self.model

    def file(self, name: str, content: bytes = b"") -> Path:
        """A new file."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def saved(self) -> Path:
        """A model file."""
        self.model.save(self.folder / "model")
        return self.folder / "model"

    def checkpoint(self) -> Path:
        """A checkpoint of an epoch and a step of three epochs of 3 steps, in batches of 3."""
        path = self.folder / "run"

        def stop(now: pynn.Progress) -> None:
            if (now.epoch, now.step) == (2, 1):
                raise StopIteration

        with pytest.raises(StopIteration):
            self.fit(epochs=3, checkpoint=path, on_progress=stop)
        return path

    def go_on(self, features: Any = X, labels: Any = Y, **options: Any) -> pynn.History:
        """Resume that checkpoint, as it should be resumed but for what is given."""
        model = pynn.Model.resume(self.checkpoint())
        return model.fit(features, labels, **({"epochs": 3, "batch_size": 3} | options))

    def data(self, name: str, array: Array | bytes) -> Path:
        """A folder with a data set of which one file holds something else."""
        for part in ("train", "t10k"):
            pynn.datasets.write_idx(self.folder / f"{part}-images-idx3-ubyte", X)
            pynn.datasets.write_idx(self.folder / f"{part}-labels-idx1-ubyte", Y)
        if isinstance(array, bytes):
            self.file(name, array)
        else:
            pynn.datasets.write_idx(self.folder / name, array)
        return self.folder


class Mistake(NamedTuple):
    """Something that a user does, what it raises, and what the message must say."""

    does: Callable[[Bench], object]
    kinds: Kinds
    says: tuple[str, ...]


class DataFrame:
    """As pandas' looks to pynn: no array, but NumPy can make one of it."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return FLOATS.reshape(9, 20)


class Tensor(DataFrame):
    """As torch's looks to pynn: it has a shape and a dtype as well."""

    shape, dtype, ndim = (9, 20), "torch.float32", 2


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


def fit(*data: Any, **options: Any) -> Callable[[Bench], object]:
    """To train on some data, with some options."""
    return lambda bench: bench.fit(*data, **options)


def go_on(*data: Any, **options: Any) -> Callable[[Bench], object]:
    """To resume a run with some data or options."""
    return lambda bench: bench.go_on(*data, **options)


def rate(value: Any) -> Callable[[Bench], object]:
    """To make an optimizer."""
    return lambda bench: pynn.SGD(learning_rate=value)


def threads(value: Any) -> Callable[[Bench], object]:
    """To set the number of threads."""
    return lambda bench: pynn.set_num_threads(value)


def from_environment(value: str) -> Callable[[Bench], object]:
    """To import pynn with PYNN_NUM_THREADS set."""

    def does(bench: Bench) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYNN_NUM_THREADS", value)
            _threads.set_default_num_threads()

    return does


def data_set(name: str, content: Array | bytes) -> Callable[[Bench], object]:
    """To load a data set of which one file holds something else."""
    return lambda bench: pynn.datasets.load(bench.data(name, content))


START: Any = pynn.Builder()  # Any, as a type checker would stop what is done here
INPUT = START.input(20)
LAYERS = INPUT.dense(17).relu().dense(3)
FINISHED = LAYERS.softmax_cross_entropy()
WIDEST = 2**31 - 1

SHAPE = ("features must have shape (n, 20), or (n, ...) with 20 values a row",)
DTYPE = ("features must be uint8 (read as value / 255) or float32",)
NO_ARRAY = ("features must be a NumPy array", "convert with np.asarray")
COUNT = ("labels must have shape (9,), one label for each example",)
RANGE = ("labels must be in [0, 3), as the network has 3 outputs",)
INTEGERS = ("labels must be integers in [0, 3)",)
ANEW = ("to start anew from its parameters, use pynn.load",)

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
    "int64": Mistake(
        predict(X.astype(np.int64)),
        TYPE,
        (*DTYPE, "got dtype int64", "convert with features.astype(np.float32)"),
    ),
    "int8": Mistake(predict(X.view(np.int8)), TYPE, (*DTYPE, "got dtype int8")),
    "uint16": Mistake(predict(X.astype(np.uint16)), TYPE, (*DTYPE, "got dtype uint16")),
    "float16": Mistake(predict(FLOATS.astype(np.float16)), TYPE, (*DTYPE, "got dtype float16")),
    "bool": Mistake(predict(X > 127), TYPE, (*DTYPE, "got dtype bool")),
    "complex": Mistake(predict(FLOATS + 0j), TYPE, (*DTYPE, "got dtype complex64")),
    "another byte order": Mistake(predict(FLOATS.astype(">f4")), TYPE, (*DTYPE, "got dtype >f4")),
    "objects": Mistake(predict(FLOATS.astype(object)), TYPE, (*DTYPE, "got dtype object")),
    "strings": Mistake(predict(X.astype("U3")), TYPE, (*DTYPE, "got dtype <U3")),
    "dates": Mistake(predict(X.astype("M8[s]")), TYPE, (*DTYPE, "got dtype datetime64[s]")),
    "structured": Mistake(predict(np.zeros((9, 20), [("pixel", "f4")])), TYPE, (*DTYPE, "'pixel'")),
    "a list": Mistake(predict(X.tolist()), TYPE, (*NO_ARRAY, "got list")),
    "nothing": Mistake(predict(None), TYPE, (*NO_ARRAY, "got NoneType")),
    "a file's name": Mistake(predict("digits.npy"), TYPE, (*NO_ARRAY, "got str")),
    "bytes": Mistake(predict(X.tobytes()), TYPE, (*NO_ARRAY, "got bytes")),
    "a memoryview": Mistake(predict(memoryview(X)), TYPE, (*NO_ARRAY, "got memoryview")),
    "a generator": Mistake(predict(row for row in X), TYPE, (*NO_ARRAY, "got generator")),
    "a NumPy number": Mistake(predict(np.float32(1)), TYPE, (*NO_ARRAY, "got float32")),
    "a data frame": Mistake(predict(DataFrame()), TYPE, (*NO_ARRAY, "got DataFrame")),
    "a tensor": Mistake(predict(Tensor()), TYPE, (*NO_ARRAY, "got Tensor")),
    "a sparse matrix": Mistake(
        predict(Sparse()),
        TYPE,
        ("features must be a NumPy array", "got Sparse", "convert with features.toarray()"),
    ),
    "a data set instead of its images": Mistake(
        predict(pynn.datasets.Dataset(X, Y)),
        TYPE,
        (
            "features must be a NumPy array",
            "got Dataset",
            "pass one of its parts, as in features[0]",
        ),
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
        ("features must be finite as float32", "up to 3.4e+38", "got float64 values beyond"),
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
    "a column": Mistake(fit(X, Y[:, None]), VALUE, (*COUNT, "got (9, 1)")),
    "one-hot": Mistake(
        fit(X, np.eye(3, dtype=np.uint8)[Y]),
        VALUE,
        (*COUNT, "got (9, 3)", "of one-hot labels take labels.argmax(axis=1)"),
    ),
    "one-hot floats": Mistake(
        fit(X, np.eye(3)[Y]),
        TYPE,
        (*INTEGERS, "got dtype float64", "of one-hot labels take labels.argmax(axis=1)"),
    ),
    "floats": Mistake(
        fit(X, Y.astype(np.float32)),
        TYPE,
        (*INTEGERS, "got dtype float32", "convert with labels.astype(np.int64)"),
    ),
    "bools": Mistake(fit(X, Y > 0), TYPE, (*INTEGERS, "got dtype bool")),
    "names": Mistake(fit(X, np.array(["cat", "dog", "cow"] * 3)), TYPE, (*INTEGERS, "dtype <U3")),
    "objects": Mistake(fit(X, Y.astype(object)), TYPE, (*INTEGERS, "got dtype object")),
    "a list": Mistake(
        fit(X, Y.tolist()), TYPE, ("labels must be a NumPy array", "got list", "np.asarray")
    ),
    "nothing": Mistake(fit(X, None), TYPE, ("labels must be a NumPy array", "got NoneType")),
    "masked": Mistake(
        fit(X, np.ma.masked_equal(Y, 2)),
        TYPE,
        ("labels must be a NumPy array", "got a masked one", "labels.filled(...)"),
    ),
    "counted from 1": Mistake(fit(X, Y + 1), VALUE, (*RANGE, "got 3 at index 2")),
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

OPTIONS: dict[str, Mistake] = {
    "epochs 0": Mistake(fit(epochs=0), VALUE, ("epochs must be at least 1, got 0",)),
    "epochs -1": Mistake(fit(epochs=-1), VALUE, ("epochs must be at least 1, got -1",)),
    "epochs 1.0": Mistake(fit(epochs=1.0), TYPE, ("epochs must be an integer, got float 1.0",)),
    "epochs '3'": Mistake(fit(epochs="3"), TYPE, ("epochs must be an integer, got str '3'",)),
    "epochs True": Mistake(fit(epochs=True), TYPE, ("epochs must be an integer, got bool True",)),
    "epochs None": Mistake(fit(epochs=None), TYPE, ("epochs must be an integer, got NoneType",)),
    "epochs as an array": Mistake(
        fit(epochs=np.array([3])),
        TYPE,
        ("epochs must be an integer, got an array of shape (1,) and dtype int64",),
    ),
    "no epochs": Mistake(lambda bench: bench.model.fit(X, Y), (TypeError,), ("'epochs'",)),
    "epochs by position": Mistake(
        lambda bench: bench.model.fit(X, Y, 3), (TypeError,), ("positional",)
    ),
    "an option that there is not": Mistake(fit(shuffled=True), (TypeError,), ("'shuffled'",)),
    "batch_size 0": Mistake(fit(batch_size=0), VALUE, ("batch_size must be at least 1, got 0",)),
    "batch_size -3": Mistake(fit(batch_size=-3), VALUE, ("batch_size must be at least 1, got -3",)),
    "batch_size 2.5": Mistake(
        fit(batch_size=2.5), TYPE, ("batch_size must be an integer, got float 2.5",)
    ),
    "batch_size '3'": Mistake(
        fit(batch_size="3"), TYPE, ("batch_size must be an integer, got str '3'",)
    ),
    "a batch larger than the data": Mistake(
        fit(batch_size=10), VALUE, ("batch_size must be at most the number of examples, 9, got 10",)
    ),
    "a batch beyond all counting": Mistake(
        fit(batch_size=2**62), VALUE, ("batch_size must be at most", f"9, got {2**62}")
    ),
    "a learning rate as optimizer": Mistake(
        fit(optimizer=0.1), TYPE, ("optimizer must be a pynn.SGD", "got float 0.1")
    ),
    "an optimizer by name": Mistake(
        fit(optimizer="sgd"), TYPE, ("optimizer must be a pynn.SGD", "got str 'sgd'")
    ),
    "the class of an optimizer": Mistake(
        fit(optimizer=pynn.SGD),
        TYPE,
        ("optimizer must be a pynn.SGD, pynn.Adam or pynn.AdamW, as in", "got type"),
    ),
    "a number as on_epoch": Mistake(
        fit(on_epoch=1), TYPE, ("on_epoch must be callable, got int 1",)
    ),
    "a name as on_progress": Mistake(
        fit(on_progress="print"), TYPE, ("on_progress must be callable, got str 'print'",)
    ),
    "validation without labels": Mistake(
        fit(validation=X),
        TYPE,
        ("validation must be a pair (features, labels)", "got an array of shape (9, 4, 5)"),
    ),
    "validation of three": Mistake(
        fit(validation=(1, 2, 3)),
        TYPE,
        ("validation must be a pair (features, labels)", "got tuple (1, 2, 3)"),
    ),
    "a share of all as validation": Mistake(
        fit(validation=1.0), VALUE, ("greater than 0 and less than 1, got float 1.0",)
    ),
    "a number as validation": Mistake(
        fit(validation=2),
        TYPE,
        ("validation must be a pair (features, labels), or a fraction", "got int 2"),
    ),
    "validation of another width": Mistake(
        fit(validation=(X[:, 1:], Y)),
        VALUE,
        ("validation features must have shape (n, 20)", "got shape (9, 3, 5)"),
    ),
    "validation of another dtype": Mistake(
        fit(validation=(X.astype(int), Y)),
        TYPE,
        (
            "validation features must be uint8",
            "got dtype int64",
            "with features.astype(np.float32)",
        ),
    ),
    "validation with other labels": Mistake(
        fit(validation=(X, Y + 1)),
        VALUE,
        ("validation labels must be in [0, 3)", "got 3 at index 2"),
    ),
    "validation on nothing": Mistake(
        fit(validation=(X[:0], Y[:0])),
        VALUE,
        ("validation features must have at least one example", "got (0, 4, 5)"),
    ),
    "validation with a label too few": Mistake(
        fit(validation=(X, Y[1:])),
        VALUE,
        ("validation labels must have shape (9,)", "got (8,)"),
    ),
}

OPTIMIZERS: dict[str, Mistake] = {
    **{
        f"a rate of {value!r}": Mistake(
            rate(value),
            VALUE,
            ("learning_rate must be greater than 0 and finite as a float32", f"got {got}"),
        )
        for value, got in [
            (0, "int 0"),
            (-0.1, "float -0.1"),
            (float("nan"), "float nan"),
            (float("inf"), "float inf"),
            (float("-inf"), "float -inf"),
            (1e39, "float 1e+39"),
            (10**400, "int 1000"),
            (1e-46, "float 1e-46"),  # as a float32 it is 0
        ]
    },
    **{
        f"a rate of {got}": Mistake(rate(value), TYPE, ("learning_rate must be a number", got))
        for value, got in [
            (True, "bool True"),
            ("0.1", "str '0.1'"),
            (None, "NoneType None"),
            (0.1j, "complex 0.1j"),
            (np.array([0.1]), "an array of shape (1,) and dtype float64"),
        ]
    },
    "a rate by position": Mistake(
        lambda bench: pynn.SGD(0.1),  # type: ignore[call-arg]
        (TypeError,),
        ("positional",),
    ),
    "an option that SGD does not have": Mistake(
        lambda bench: pynn.SGD(learning_rate=0.1, beta1=0.9),  # type: ignore[call-arg]
        (TypeError,),
        ("'beta1'",),
    ),
}

CHAINS: dict[str, Mistake] = {
    "a layer before the input": Mistake(
        lambda bench: START.dense(3),
        CHAIN,
        (".dense() cannot come after Builder(); what may come next: .input()",),
    ),
    "a second input": Mistake(
        lambda bench: INPUT.input(20),
        CHAIN,
        (".input() cannot come after Builder().input(20)", "what may come next: .dense(), .relu()"),
    ),
    "build without a loss": Mistake(
        lambda bench: LAYERS.build(),
        CHAIN,
        (".build() cannot come after Builder().input(20).dense(", ".softmax_cross_entropy()"),
    ),
    "a layer after the loss": Mistake(
        lambda bench: FINISHED.relu(),
        CHAIN,
        (".relu() cannot come after", "what may come next: .build()"),
    ),
    "a loss without a layer": Mistake(
        lambda bench: INPUT.softmax_cross_entropy(),
        CHAIN,
        ("at least one dense layer; add .dense(...) before the loss",),
    ),
    "a chain that is fitted": Mistake(
        lambda bench: FINISHED.fit(X, Y, epochs=1),
        CHAIN,
        (".fit is a model's, and Builder().input(20)", "is a chain", ".build() makes the model"),
    ),
    "a chain without a loss that predicts": Mistake(
        lambda bench: LAYERS.predict(X),
        CHAIN,
        (".predict is a model's", "is a chain", ".build() makes the model"),
    ),
    "a misspelt step": Mistake(
        lambda bench: INPUT.rleu(), (AttributeError,), ("'LayerBuilder'", "'rleu'")
    ),
    "an activation without its parentheses": Mistake(
        lambda bench: INPUT.relu.dense(3), (AttributeError,), ("'dense'",)
    ),
    "an input of 0": Mistake(
        lambda bench: START.input(0), VALUE, ("input must be in [1, 2147483647], got 0",)
    ),
    "a shape as input": Mistake(
        lambda bench: START.input((28, 28)),
        TYPE,
        ("input must be an integer, got tuple (28, 28)",),
    ),
    "no input": Mistake(lambda bench: START.input(), (TypeError,), ("'features'",)),
    "a width of 0": Mistake(
        lambda bench: LAYERS.dense(0), VALUE, ("layer 4: dense must be in [1, 2147483647], got 0",)
    ),
    "a width of -1": Mistake(
        lambda bench: INPUT.dense(-1), VALUE, ("layer 1: dense must be in [1, 2147483647], got -1",)
    ),
    "a width that BLAS cannot count": Mistake(
        lambda bench: INPUT.dense(2**31), VALUE, ("layer 1: dense must be in", "got 2147483648")
    ),
    "a width of 2.5": Mistake(
        lambda bench: INPUT.dense(2.5), TYPE, ("layer 1: dense must be an integer, got float 2.5",)
    ),
    "widths of several layers": Mistake(
        lambda bench: INPUT.dense((256, 64)),
        TYPE,
        ("layer 1: dense must be an integer, got tuple (256, 64)",),
    ),
    "an unknown init": Mistake(
        lambda bench: LAYERS.dense(3, init="normal"),
        VALUE,
        ("layer 4: dense: init must be 'he' or 'xavier', got 'normal'",),
    ),
    "an init by position": Mistake(
        lambda bench: INPUT.dense(3, "he"), (TypeError,), ("positional",)
    ),
    "an array as init": Mistake(
        lambda bench: INPUT.dense(3, init=np.zeros((20, 3))),
        VALUE,
        ("layer 1: dense: init must be 'he' or 'xavier', got an array of shape (20, 3)",),
    ),
    "an activation as an option": Mistake(
        lambda bench: INPUT.dense(3, activation="relu"), (TypeError,), ("'activation'",)
    ),
    "a seed below 0": Mistake(
        lambda bench: FINISHED.build(seed=-1),
        VALUE,
        ("seed must be in [0, 18446744073709551615], got -1",),
    ),
    "a seed of 65 bits": Mistake(
        lambda bench: FINISHED.build(seed=2**64),
        VALUE,
        ("seed must be", "got 18446744073709551616"),
    ),
    "no seed": Mistake(
        lambda bench: FINISHED.build(seed=None),
        TYPE,
        ("seed must be an integer, got NoneType None",),
    ),
    "a layer that no memory holds": Mistake(
        lambda bench: START.input(WIDEST).dense(WIDEST).softmax_cross_entropy().build(),
        MEMORY,
        ("out of memory for 4,611,686,016,279,904,256 parameters",),
    ),
    "layers that cannot be counted": Mistake(
        lambda bench: INPUT.dense(WIDEST).relu().dense(WIDEST).softmax_cross_entropy().build(),
        VALUE,
        (
            "layer 3: dense: the network has 4,611,686,061,377,060,843 parameters up to here",
            "must have at most",
        ),
    ),
}

MODELS: dict[str, Mistake] = {
    **{
        f"{name} after close": Mistake(use, CLOSED, ("the model is closed", "build it or load it"))
        for name, use in {
            "call": lambda bench: bench.closed()(X),
            "predict": lambda bench: bench.closed().predict(X),
            "predict_proba": lambda bench: bench.closed().predict_proba(X),
            "evaluate": lambda bench: bench.closed().evaluate(X, Y),
            "fit": lambda bench: bench.closed().fit(X, Y, epochs=1),
            "save": lambda bench: bench.closed().save(bench.folder / "model"),
            "parameters": lambda bench: bench.closed().parameters,
            "pickle": lambda bench: pickle.dumps(bench.closed()),
            "with": lambda bench: bench.closed().__enter__(),
        }.items()
    },
    "fit in its own callback": Mistake(
        lambda bench: bench.fit(on_epoch=lambda _: bench.fit()),
        (pynn.PynnError,),
        ("fit was called from a callback of the same model's fit",),
    ),
    "a callback that takes nothing": Mistake(
        fit(on_epoch=lambda: None), (TypeError,), ("argument",)
    ),
    "a parameter that is set instead of written into": Mistake(
        lambda bench: bench.model.parameters.__setitem__("dense1.bias", np.ones(17)),
        (TypeError,),
        ("parameters cannot be replaced", "write into it: parameters['dense1.bias'][...] ="),
    ),
    "a parameter that there is not": Mistake(
        lambda bench: bench.model.parameters["dense3.bias"], (KeyError,), ("dense3.bias",)
    ),
}

FILES: dict[str, Mistake] = {
    "a number to save to": Mistake(
        lambda bench: bench.model.save(5), TYPE, ("path must be a str or a Path, got int 5",)
    ),
    "nothing to save to": Mistake(
        lambda bench: bench.model.save(None), TYPE, ("path must be a str or a Path, got NoneType",)
    ),
    "a function to save to": Mistake(
        lambda bench: bench.model.save(open),
        TYPE,
        ("path must be a str or a Path, got builtin_function_or_method",),
    ),
    "a folder to save to": Mistake(
        lambda bench: bench.model.save(bench.folder), (IsADirectoryError,), ("{folder}'",)
    ),
    "a folder that there is not to save to": Mistake(
        lambda bench: bench.model.save(bench.folder / "no" / "model"),
        (FileNotFoundError,),
        ("{folder}/no/model'",),
    ),
    "a number to load": Mistake(
        lambda bench: pynn.load(5), TYPE, ("path must be a str or a Path, got int 5",)
    ),
    "bytes to load": Mistake(
        lambda bench: pynn.load(b"model"), TYPE, ("path must be a str or a Path, got bytes",)
    ),
    "a file that is not there": Mistake(
        lambda bench: pynn.load(bench.folder / "no"), (FileNotFoundError,), ("{folder}/no'",)
    ),
    "a folder to load": Mistake(
        lambda bench: pynn.load(bench.folder), (IsADirectoryError,), ("{folder}'",)
    ),
    "an empty file": Mistake(
        lambda bench: pynn.load(bench.file("empty")),
        FORMAT,
        ("{folder}/empty: not a safetensors file",),
    ),
    "a pickle": Mistake(
        lambda bench: pynn.load(bench.file("pickle", pickle.dumps(FLOATS))),
        FORMAT,
        ("{folder}/pickle: not a safetensors file",),
    ),
    "half a model": Mistake(
        lambda bench: pynn.load(bench.file("half", bench.saved().read_bytes()[:500])),
        FORMAT,
        ("{folder}/half: not a safetensors file",),
    ),
    "a model to resume": Mistake(
        lambda bench: pynn.Model.resume(bench.saved()),
        FORMAT,
        ("{folder}/model: a model, but no checkpoint of a run; use pynn.load",),
    ),
    "no model to resume": Mistake(
        lambda bench: pynn.Model.resume(bench.file("text", b"epoch 3\n" * 9)),
        FORMAT,
        ("{folder}/text: not a safetensors file",),
    ),
    "nothing to resume": Mistake(
        lambda bench: pynn.Model.resume(bench.folder / "no"),
        (FileNotFoundError,),
        ("{folder}/no'",),
    ),
    "a number to resume": Mistake(
        lambda bench: pynn.Model.resume(3), TYPE, ("path must be a str or a Path, got int 3",)
    ),
}

CHECKPOINTS: dict[str, Mistake] = {
    "every without checkpoint": Mistake(
        fit(every=7), VALUE, ("every needs a checkpoint", "got every=7", "checkpoint=None")
    ),
    "every 0": Mistake(
        lambda bench: bench.fit(every=0, checkpoint=bench.folder / "run"),
        VALUE,
        ("every must be at least 1, got 0",),
    ),
    "every -1": Mistake(
        lambda bench: bench.fit(every=-1, checkpoint=bench.folder / "run"),
        VALUE,
        ("every must be at least 1, got -1",),
    ),
    "every 0.5": Mistake(
        lambda bench: bench.fit(every=0.5, checkpoint=bench.folder / "run"),
        TYPE,
        ("every must be an integer, got float 0.5",),
    ),
    "every True": Mistake(
        lambda bench: bench.fit(every=True, checkpoint=bench.folder / "run"),
        TYPE,
        ("every must be an integer, got bool True",),
    ),
    "checkpoint True": Mistake(
        fit(checkpoint=True), TYPE, ("checkpoint must be a str or a Path, got bool True",)
    ),
    "a checkpoint in a folder that there is not": Mistake(
        lambda bench: bench.fit(checkpoint=bench.folder / "no" / "run"),
        (FileNotFoundError,),
        ("{folder}/no/run'",),
    ),
    "a folder as checkpoint": Mistake(
        lambda bench: bench.fit(checkpoint=bench.folder), (IsADirectoryError,), ("{folder}'",)
    ),
    "another batch size": Mistake(
        go_on(batch_size=4),
        VALUE,
        ("batch_size must be 3, as in the run that {folder}/run keeps, got 4", *ANEW),
    ),
    "another optimizer": Mistake(
        go_on(optimizer=pynn.SGD(learning_rate=0.25)),
        VALUE,
        (
            "optimizer must be SGD(learning_rate=0.05), as in the run that {folder}/run keeps",
            "got SGD(learning_rate=0.25)",
            *ANEW,
        ),
    ),
    "fewer examples": Mistake(
        go_on(X[:8], Y[:8]), VALUE, ("the number of examples must be 9", "got 8", *ANEW)
    ),
    "other labels": Mistake(
        go_on(X, Y[::-1]),
        VALUE,
        (
            "labels and weights must be those of the run that {folder}/run keeps",
            "have changed",
        ),
    ),
    "other features": Mistake(
        go_on(255 - X),
        VALUE,
        ("labels and weights must be those of the run", "have changed"),
    ),
    "features of another dtype": Mistake(
        go_on(FLOATS),
        VALUE,
        ("labels and weights must be those of the run", "have changed"),
    ),
    "fewer epochs than are begun": Mistake(
        go_on(epochs=1),
        VALUE,
        ("epochs must be at least 2, as many are begun in {folder}/run, got 1",),
    ),
    "a checkpoint of a damaged run": Mistake(
        lambda bench: pynn.Model.resume(
            bench.file("run", bench.checkpoint().read_bytes().replace(b'rows\\": 9', b'rows\\": 0'))
        ),
        FORMAT,
        ("{folder}/run: what it says of its run is damaged: rows must be", "got 0"),
    ),
}

THREADS: dict[str, Mistake] = {
    "0 threads": Mistake(threads(0), VALUE, ("threads must be in [1, 1024], got 0",)),
    "-1 threads": Mistake(threads(-1), VALUE, ("threads must be in [1, 1024], got -1",)),
    "1025 threads": Mistake(threads(1025), VALUE, ("threads must be in [1, 1024], got 1025",)),
    "2.0 threads": Mistake(threads(2.0), TYPE, ("threads must be an integer, got float 2.0",)),
    "'2' threads": Mistake(threads("2"), TYPE, ("threads must be an integer, got str '2'",)),
    "no threads": Mistake(threads(None), TYPE, ("threads must be an integer, got NoneType",)),
    **{
        f"PYNN_NUM_THREADS={value}": Mistake(
            from_environment(value),
            VALUE,
            ("PYNN_NUM_THREADS must be a number from 1 to 1024", f"is {value!r}", "unset it"),
        )
        for value in ("0", "-2", "1025", "1.5", "all")
    },
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

TABLES = {
    "features": FEATURES,
    "labels": LABELS,
    "options": OPTIONS,
    "optimizers": OPTIMIZERS,
    "chains": CHAINS,
    "models": MODELS,
    "files": FILES,
    "checkpoints": CHECKPOINTS,
    "threads": THREADS,
    "data sets": DATA_SETS,
}

MISTAKES = {
    f"{table}: {name}": mistake
    for table, mistakes in TABLES.items()
    for name, mistake in mistakes.items()
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named(name: str, tmp_path: Path) -> None:
    """The error is of pynn's class and the built-in one, and says what, what it got and needs.

    Nothing is trained by it, and nothing written.
    """
    mistake = MISTAKES[name]
    bench = Bench(tmp_path)
    parameters, before = bench.model.parameters, pynn.get_num_threads()
    kept = {name: array.copy() for name, array in parameters.items()}
    with pytest.raises(mistake.kinds[0]) as caught:
        mistake.does(bench)
    assert all(isinstance(caught.value, kind) for kind in mistake.kinds)
    message = str(caught.value)
    for words in mistake.says:
        assert words.replace("{folder}", str(tmp_path)) in message
    assert "\n" not in message
    assert len(message.replace(str(tmp_path), "")) < 400
    assert pynn.get_num_threads() == before
    if not name.endswith(TRAINS):
        for key, array in kept.items():
            np.testing.assert_array_equal(parameters[key], array)
    assert not [path.name for path in tmp_path.rglob("*") if path.name in ("no", ".no")]
    if repr(bench.model).endswith("parameters)"):
        assert bench.model.predict(X).shape == (9,)


# These train before they are wrong.
TRAINS = (
    *(f"checkpoints: {name}" for name in CHECKPOINTS),
    "models: fit in its own callback",
    "models: a callback that takes nothing",
)


def test_there_are_enough_mistakes() -> None:
    """The table has not been cut, and no two lines of it are one."""
    assert len(MISTAKES) == sum(len(mistakes) for mistakes in TABLES.values()) >= 150


# ------------------------------------------------------------ what only looks wrong


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
    "a data frame as an array": lambda _: {"features": np.asarray(DataFrame())},
    "a list as an array": lambda _: {"features": np.asarray(X.tolist(), np.uint8)},
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
    "labels as a list": lambda _: {"labels": np.asarray(Y.tolist())},
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
    copies = features.copy(), labels.copy()
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


# ------------------------------------------------------------ a folder that is gone


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is one that somebody has removed."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    try:
        Path.cwd()
    except FileNotFoundError:
        return
    pytest.skip("this system has a current folder all the same")


WRITERS: dict[str, Callable[[pynn.Model, str], object]] = {
    "save": lambda model, path: model.save(path),
    "checkpoint": lambda model, path: model.fit(X, Y, epochs=1, checkpoint=path),
    "to_csv": lambda model, path: model.fit(X, Y, epochs=1).to_csv(path),
    "export_c": lambda model, path: model.export_c(path),
    "write_idx": lambda model, path: pynn.datasets.write_idx(path, X),
    "nn_rust": lambda model, path: nn_rust.save(model, path),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("path", ["model.c", "./model.c", "folder/../model.c"])
@pytest.mark.usefixtures("gone")
def test_writing_where_the_folder_is_gone_names_the_file(name: str, path: str) -> None:
    """The error says which file, and why."""
    chain = pynn.Builder().input(20).dense(5, init="he").relu().dense(3)
    model = chain.softmax_cross_entropy().build()
    with pytest.raises(FileNotFoundError) as caught:
        WRITERS[name](model, path)
    assert Path(caught.value.filename).stem == "model"
    assert str(caught.value).startswith("[Errno 2] the current folder is gone, and a relative path")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.usefixtures("gone")
def test_reading_where_the_folder_is_gone_names_the_file(name: str) -> None:
    """It is not there."""
    with pytest.raises(FileNotFoundError, match=r"\bmodel\.c\b"):
        READERS[name]("model.c")


@pytest.mark.usefixtures("gone")
def test_mnist_is_looked_for_elsewhere_where_the_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the cache; the places that the error names are those that there are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    cache = re.escape(str(tmp_path / "pynn" / "mnist"))
    with pytest.raises(pynn.DataNotFoundError, match=f"^MNIST is in none of {cache} \\("):
        pynn.datasets.mnist()


@pytest.mark.usefixtures("gone")
def test_programs_show_paths_where_the_folder_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    assert importlib.import_module("_program").shown("/models/relu") == "/models/relu"
