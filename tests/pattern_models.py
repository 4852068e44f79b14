"""Models that learn the patterns of the fixture `examples`, and how to compare two of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import pynn

Examples = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def build(seed: int = 5) -> pynn.Model:
    """A model from 20 values to 3 classes, with one hidden layer of 17."""
    chain = pynn.Builder().input(20).dense(17).relu().dense(3)
    return chain.softmax_cross_entropy().build(seed=seed)


def flat(model: pynn.Model) -> npt.NDArray[np.float32]:
    """A copy of all parameters of a model."""
    return np.concatenate([array.ravel() for array in model.parameters.values()])


def assert_same_parameters(model: pynn.Model, other: pynn.Model) -> None:
    """Bit for bit."""
    np.testing.assert_array_equal(flat(model).view(np.uint32), flat(other).view(np.uint32))
