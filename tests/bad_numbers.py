"""Models, examples and errors for the tests of NaN and infinity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn._native import library

Array = npt.NDArray[Any]

ROWS, BATCH, STEPS = 90, 16, 6  # the last batch of an epoch has 10 rows
FIRST_ORDER = 1 << 32  # the random stream of the first epoch's order
MAX = float(np.finfo(np.float32).max)

# Features and layers that go through the first layer by gemm, and by lists of what is not zero.
PATHS = {"dense": (1.0, 17), "sparse": (0.1, 64)}
BAD = [math.nan, math.inf, -math.inf]
ACTIVATIONS = ["relu", "sigmoid", "tanh"]

DIVERGED = (pynn.DivergenceError, pynn.PynnError, ArithmeticError)
ARGUMENT = (pynn.ArgumentError, pynn.PynnError, ValueError)


def build(width: int = 17, activation: str = "relu") -> pynn.Model:
    """A model from 30 values to 4 classes, with a hidden layer."""
    chain = getattr(pynn.Builder().input(30).dense(width), activation)()
    model: pynn.Model = chain.dense(4).softmax_cross_entropy().build(seed=5)
    return model


def examples(rng: np.random.Generator, density: float = 1.0) -> tuple[Array, Array]:
    """Random features, (90, 30) float32, of which some share is not zero, and labels."""
    x = rng.normal(size=(ROWS, 30)).astype(np.float32)
    x[rng.random(x.shape) >= density] = 0
    return x, rng.integers(0, 4, ROWS)


def order_of(epoch: int) -> list[int]:
    """In which order a model of seed 5 sees the examples in an epoch, counted from 1."""
    return [int(row) for row in library.permutation(5, FIRST_ORDER + epoch - 1, ROWS)]


def step_of(row: int, epoch: int = 1) -> int:
    """In which step of an epoch a row is seen, counted from 1."""
    return order_of(epoch).index(row) // BATCH + 1


def fit(model: pynn.Model, x: Array, y: Array, **options: Any) -> pynn.History:
    """Train for three epochs, unless it is said otherwise."""
    return model.fit(x, y, **({"epochs": 3, "batch_size": BATCH} | options))


def refused(kinds: tuple[type[BaseException], ...], call: Callable[[], object]) -> str:
    """The message of the error, of all these kinds, that a call raises."""
    with pytest.raises(kinds[0]) as caught:
        call()
    assert all(isinstance(caught.value, kind) for kind in kinds)
    message = str(caught.value)
    assert "\n" not in message
    return message


def step_by_step(
    first: int, total: int, grain: int = 1, seconds: float = 0.0
) -> Iterator[tuple[int, int]]:
    """Runs of one step."""
    return ((begin, min(begin + grain, total)) for begin in range(first, total, grain))


def all_at_once(
    first: int, total: int, grain: int = 1, seconds: float = 0.0
) -> Iterator[tuple[int, int]]:
    """A single run."""
    if first < total:
        yield first, total


def assert_same(model: pynn.Model, other: pynn.Model) -> None:
    """Two models have the same parameters, bit for bit."""
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array.view(np.uint32), other.parameters[name].view(np.uint32))


USES: dict[str, Callable[[pynn.Model, Array, Array], object]] = {
    "evaluate": lambda model, x, y: model.evaluate(x, y),
    "predict": lambda model, x, y: model.predict(x),
    "predict_proba": lambda model, x, y: model.predict_proba(x),
    "call": lambda model, x, y: model(x),
}
