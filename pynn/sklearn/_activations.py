"""The activations of the hidden layers, by the names that scikit-learn and pynn have for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import erf, expit

from pynn._builder import LayerBuilder

SLOPE = 0.01
"""The slope of leaky_relu for negative values."""


class Activation(NamedTuple):
    """An activation of hidden layers."""

    add: Callable[[LayerBuilder], LayerBuilder]
    """Adds the activation to a chain."""
    apply: Callable[[npt.NDArray[np.float64]], Any]
    """Computes the activation of each value in float64."""
    factor: float = 6.0
    """The first weights are drawn from +-sqrt(factor / (inputs + outputs))."""


ACTIVATIONS = {
    "identity": Activation(lambda chain: chain, lambda x: x),
    "logistic": Activation(LayerBuilder.sigmoid, expit, 2.0),
    "tanh": Activation(LayerBuilder.tanh, np.tanh),
    "relu": Activation(LayerBuilder.relu, lambda x: np.maximum(x, 0.0)),
    "leaky_relu": Activation(
        lambda chain: chain.leaky_relu(SLOPE),
        lambda x: np.where(x > 0, x, np.float64(np.float32(SLOPE)) * x),
    ),
    "gelu": Activation(LayerBuilder.gelu, lambda x: 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))),
}
