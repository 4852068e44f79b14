"""A mistake, what it raises and what the message says; and short ways to make it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import pynn

Array = npt.NDArray[Any]

_rng = np.random.default_rng(40)
X = _rng.integers(0, 256, (9, 4, 5), np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2], np.uint8)
FLOATS = np.divide(X, 255, dtype=np.float32)
X.flags.writeable = Y.flags.writeable = FLOATS.flags.writeable = False

# What is raised: pynn's class and the built-in one that it also is.
VALUE = (pynn.ArgumentError, ValueError)
TYPE = (pynn.ArgumentTypeError, TypeError)
FORMAT = (pynn.FileFormatError, ValueError)
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


def fit(*data: Any, **options: Any) -> Callable[[Bench], object]:
    """To train on some data, with some options."""
    return lambda bench: bench.fit(*data, **options)
