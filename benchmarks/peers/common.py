"""What all contenders share: the data, the initial weights, and what a contender can be told."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MNIST = Path(__file__).parents[2] / "data" / "mnist"
INPUTS, CLASSES = 784, 10

Floats = npt.NDArray[np.float32]


class Examples(NamedTuple):
    """Images, (n, 784) uint8 or float32, and their labels, (n,) uint8."""

    features: npt.NDArray[Any]
    labels: npt.NDArray[np.uint8]


class Peer:
    """A contender: one library training and running the network of the benchmarks."""

    def __init__(self, threads: int, mode: str) -> None:
        self.threads = threads
        self.mode = mode
        self.notes: dict[str, Any] = {}  # what setup chose and found, for the results

    def load(self, data: str, rows: int) -> None:
        """Take the first rows of a data set into memory, in the form that suits the library."""
        raise NotImplementedError

    def build(self, widths: Sequence[int], batch: int, learning_rate: float) -> None:
        """Make the network from the common initial weights, and all that training needs."""
        raise NotImplementedError

    def epoch(self) -> float:
        """Train on all rows once, in a new random order; the mean loss while it ran."""
        raise NotImplementedError

    def predictor(self, batch: int) -> Callable[[int], Any]:
        """A function that gives the probabilities, (batch, 10), of one of several test batches."""
        raise NotImplementedError

    def save(self, path: str) -> None:
        """Write the network to a file, as the library's users do."""
        raise NotImplementedError


def load(data: str, rows: int, *, part: str = "train") -> Examples:
    """The first rows of "mnist", 19 % of it not zero; "dense", without zeros; "dense-float32".

    The dense sets are MNIST with noise on every pixel, 1 at least: of the same shapes and labels,
    and to be learnt at the same rate.
    """
    images = _payload(f"{part}-images-idx3-ubyte.gz", 16, INPUTS * rows).reshape(rows, INPUTS)
    labels = _payload(f"{part}-labels-idx1-ubyte.gz", 8, rows)
    if data == "mnist":
        return Examples(images, labels)
    noise = np.random.default_rng(3).integers(1, 64, images.shape, np.uint8)
    images = images - images // 4 + noise
    if data == "dense":
        return Examples(images, labels)
    if data == "dense-float32":
        return Examples(scaled(images), labels)
    raise ValueError(f"no data set {data!r}")


def _payload(name: str, header_nbytes: int, nbytes: int) -> npt.NDArray[np.uint8]:
    with gzip.open(MNIST / name) as file:
        file.read(header_nbytes)
        return np.frombuffer(file.read(nbytes), np.uint8)


def scaled(features: npt.NDArray[Any]) -> Floats:
    """float32 in [0, 1], as all but pynn want them; one copy, the result."""
    if features.dtype == np.float32:
        return features
    return np.multiply(features, np.float32(1 / 255), dtype=np.float32)


def test_batches(batch: int) -> list[npt.NDArray[np.uint8]]:
    """Up to 64 batches of test images, (batch, 784), to predict in turn."""
    images = load("mnist", 10000, part="t10k").features
    return [images[i * batch : (i + 1) * batch] for i in range(min(64, 10000 // batch))]


def initial_weights(widths: Sequence[int]) -> list[Floats]:
    """The weights (I, O) that all contenders start from: normal, variance 2 / I. Biases are 0."""
    rng = np.random.default_rng(1)
    return [
        rng.standard_normal((inputs, outputs), np.float32) * np.float32(np.sqrt(2 / inputs))
        for inputs, outputs in itertools.pairwise(widths)
    ]


def fastest(variants: dict[str, Callable[[], float]], attempts: int = 3) -> tuple[str, Any]:
    """The variant that takes the fewest seconds, of so many attempts, and all figures."""
    seconds = {name: min(run() for _ in range(attempts)) for name, run in variants.items()}
    return min(seconds, key=lambda name: seconds[name]), seconds
