"""A network in float64 NumPy, written to be obviously right; the C library is held against it.

Finite differences check it (test_reference.py), and it checks the C library (test_gradients.py,
test_parity.py). A layer is a number, for a dense layer with that many outputs, or the name of an
activation: ``Reference(784, [256, "relu", 10])``. Parameters and gradients are flat arrays in the
layout of the C library: for every dense layer its weights (I, O), then its bias (O,).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Update = Callable[[Array, Array], Array]  # (parameters, gradient) -> new parameters


class Activation(NamedTuple):
    """A function of one variable, its derivative, and whether that jumps at 0."""

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    kinked: bool = False


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by way of tanh, which does not overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def normal(x: Array) -> Array:
    """The normal distribution Phi(x), by way of erfc, which keeps its tail."""
    return 0.5 * np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2.0))


def density(x: Array) -> Array:
    """That of the normal distribution, exp(-x^2 / 2) / sqrt(2 pi)."""
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


SLOPE = 0.0625  # of leaky_relu, left of 0

ACTIVATIONS = {
    "relu": Activation(
        lambda x: np.where(x > 0, x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0), kinked=True
    ),
    "sigmoid": Activation(sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "leaky_relu": Activation(
        lambda x: np.where(x > 0, x, SLOPE * x),
        lambda x: np.where(x > 0, 1.0, SLOPE),
        kinked=True,
    ),
    "gelu": Activation(lambda x: x * normal(x), lambda x: normal(x) + x * density(x)),
    "tanh": Activation(np.tanh, lambda x: 1.0 / np.cosh(x) ** 2),
}


def softmax_cross_entropy(logits: Array, labels: npt.NDArray[Any]) -> tuple[Array, Array]:
    """The losses -log softmax(logits)[label], (N,), and their gradients by the logits, (N, C)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    onehot = np.eye(logits.shape[1])[labels]
    return -(log_softmax * onehot).sum(axis=1), np.exp(log_softmax) - onehot


LOSSES = {"softmax_cross_entropy": softmax_cross_entropy}


def sgd(learning_rate: float) -> Update:
    """Plain gradient descent: p - learning_rate * dp."""
    return lambda parameters, gradient: parameters - learning_rate * gradient


def as_floats(features: npt.NDArray[Any]) -> Array:
    """Features as the library reads them, uint8 as value / 255; shape (N, I)."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    return flat / 255.0 if features.dtype == np.uint8 else flat


class Reference:
    """A network with `inputs` features, a list of layers and a loss."""

    def __init__(
        self, inputs: int, layers: Sequence[int | str], loss: str = "softmax_cross_entropy"
    ) -> None:
        self.inputs = inputs
        self.layers = list(layers)
        self.loss = LOSSES[loss]
        widths = [inputs, *(layer for layer in layers if isinstance(layer, int))]
        self.shapes = list(itertools.pairwise(widths))  # (I, O) of every dense layer
        self.parameter_count = sum(i * o + o for i, o in self.shapes)

    def tensors(self, flat: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Views into a flat array: W (I, O) and b (O,) of every dense layer, in order."""
        assert flat.shape == (self.parameter_count,)
        views, start = [], 0
        for i, o in self.shapes:
            for shape in [(i, o), (o,)]:
                views.append(flat[start : start + math.prod(shape)].reshape(shape))
                start += math.prod(shape)
        return views

    def forward(self, parameters: Array, x: Array) -> list[Array]:
        """The input and the outputs of every layer: one array more than there are layers."""
        tensors = iter(self.tensors(parameters))
        values = [x]
        for layer in self.layers:
            if isinstance(layer, int):
                values.append(values[-1] @ next(tensors) + next(tensors))
            else:
                values.append(ACTIVATIONS[layer].value(values[-1]))
        return values

    def losses(self, parameters: Array, x: Array, labels: npt.NDArray[Any]) -> Array:
        """The loss of every example; shape (N,)."""
        return self.loss(self.forward(parameters, x)[-1], labels)[0]

    def gradient(self, parameters: Array, x: Array, labels: npt.NDArray[Any]) -> Array:
        """The gradient of the mean loss; shape (parameter_count,)."""
        values = self.forward(parameters, x)
        delta = self.loss(values[-1], labels)[1] / len(x)
        tensors = self.tensors(parameters)
        gradients: list[Array] = []
        for layer, inputs in zip(reversed(self.layers), reversed(values[:-1]), strict=True):
            if isinstance(layer, int):
                _, weights = tensors.pop(), tensors.pop()
                gradients = [inputs.T @ delta, delta.sum(axis=0), *gradients]
                delta = delta @ weights.T
            else:
                delta = delta * ACTIVATIONS[layer].derivative(inputs)
        return np.concatenate([gradient.ravel() for gradient in gradients])

    def train(
        self,
        parameters: Array,
        x: Array,
        labels: npt.NDArray[Any],
        order: npt.NDArray[Any],
        batch_size: int,
        update: Update,
    ) -> Iterator[tuple[Array, Array]]:
        """Run an epoch; yields for every step the parameters after and the losses before it."""
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            losses = self.losses(parameters, x[rows], labels[rows])
            parameters = update(parameters, self.gradient(parameters, x[rows], labels[rows]))
            yield parameters, losses

    def kinks(self, parameters: Array, x: Array) -> Array:
        """Every value that goes into an activation with a kink at 0; flat."""
        values = self.forward(parameters, x)
        kinked = [
            value.ravel()
            for layer, value in zip(self.layers, values[:-1], strict=True)
            if isinstance(layer, str) and ACTIVATIONS[layer].kinked
        ]
        return np.concatenate([np.empty(0), *kinked])

    def draw_parameters(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Parameters that keep activations near 1 and no bias at 0, exact in float32."""
        flat = rng.normal(size=self.parameter_count)
        for weights, (inputs, _) in zip(self.tensors(flat)[::2], self.shapes, strict=True):
            weights *= math.sqrt(2.0 / inputs)
        for bias in self.tensors(flat)[1::2]:
            bias *= 0.3
        return flat.astype(np.float32)
