"""A network in float64 NumPy, written to be obviously right; the C library is held against it.

Finite differences check it (test_reference.py), and it checks the C library (test_gradients.py,
test_parity.py). A layer is a number, for a dense layer with that many outputs, or the name of an
activation: ``Reference(784, [256, "relu", 10])``. Parameters and gradients are flat arrays in the
layout of the C library: for every dense layer its weights (I, O), then its bias (O,); for every
layer_norm its weight (I,), then its bias (I,).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Update = Callable[[Array, Array], Array]  # (parameters, gradient) -> new parameters
Masks = dict[int, Array]


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
EPS = 0.01  # of layer_norm
ALPHA = 0.75  # of elu, whose slope jumps at 0 then

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
    "elu": Activation(
        lambda x: np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1.0, ALPHA * np.exp(np.minimum(x, 0))),
        kinked=True,
    ),
    "softplus": Activation(lambda x: np.logaddexp(0.0, x), sigmoid),
    "silu": Activation(lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1.0 + x * sigmoid(-x))),
    "tanh": Activation(np.tanh, lambda x: 1.0 / np.cosh(x) ** 2),
}


def softmax_cross_entropy(logits: Array, labels: npt.NDArray[Any]) -> tuple[Array, Array]:
    """The losses -log softmax(logits)[label], (N,), and their gradients by the logits, (N, C)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    onehot = np.eye(logits.shape[1])[labels]
    return -(log_softmax * onehot).sum(axis=1), np.exp(log_softmax) - onehot


def smoothed_cross_entropy(logits: Array, labels: npt.NDArray[Any]) -> tuple[Array, Array]:
    """The same where a share SMOOTHING of each target distribution goes to all classes alike."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    classes = logits.shape[1]
    targets = (1 - SMOOTHING) * np.eye(classes)[labels] + SMOOTHING / classes
    return -(log_softmax * targets).sum(axis=1), np.exp(log_softmax) - targets


def mean_squared_error(values: Array, targets: npt.NDArray[Any]) -> tuple[Array, Array]:
    """The means of (y - t)^2 over the outputs, (N,), and their gradients, (N, O)."""
    errors = values - targets
    return (errors**2).mean(axis=1), 2 * errors / errors.shape[1]


def binary_cross_entropy(logits: Array, targets: npt.NDArray[Any]) -> tuple[Array, Array]:
    """The means of -t log s(z) - (1 - t) log s(-z) over the outputs, and their gradients."""
    losses = targets * np.logaddexp(0, -logits) + (1 - targets) * np.logaddexp(0, logits)
    return losses.mean(axis=1), (sigmoid(logits) - targets) / logits.shape[1]


def poisson(logs: Array, targets: npt.NDArray[Any]) -> tuple[Array, Array]:
    """The means of exp(z) - t + t (log t - z) over the outputs, and their gradients."""
    rates = np.exp(logs)
    losses = rates - targets + targets * (np.log(np.where(targets > 0, targets, 1)) - logs)
    return losses.mean(axis=1), (rates - targets) / logs.shape[1]


SMOOTHING = 0.25

LOSSES = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "smoothed_cross_entropy": smoothed_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "binary_cross_entropy": binary_cross_entropy,
    "poisson": poisson,
}


def sgd(learning_rate: float) -> Update:
    """Plain gradient descent: p - learning_rate * dp."""
    return lambda parameters, gradient: parameters - learning_rate * gradient


class Optimizer:
    """SGD with momentum, Adam and AdamW, step by step as their papers have them, in float64.

    Args:
        kind: "sgd", "adam" or "adamw".
        is_weight: Which parameters decay; shape (parameter_count,), bool.
        options: As those of pynn's optimizers; max_norm is their max_gradient_norm.
    """

    def __init__(self, kind: str, is_weight: npt.NDArray[np.bool_], **options: Any) -> None:
        self.kind = kind
        self.is_weight = is_weight
        self.options = options
        self.m = np.zeros(len(is_weight))
        self.v = np.zeros(len(is_weight))
        self.t = 0

    def step(self, p: Array, g: Array, learning_rate: float) -> Array:
        """The parameters after a step with gradient g."""
        o = {"weight_decay": 0.0, "max_norm": 0.0, "momentum": 0.0} | self.options
        decay = o["weight_decay"] * self.is_weight
        self.t += 1
        if o["max_norm"]:
            g = g * min(1.0, o["max_norm"] / (np.linalg.norm(g) + 1e-6))
        if self.kind == "adamw":
            p = p - learning_rate * decay * p
        else:
            g = g + decay * p
        if self.kind == "sgd":
            self.m = o["momentum"] * self.m + g
            return p - learning_rate * (g + o["momentum"] * self.m if o.get("nesterov") else self.m)
        beta1, beta2 = o["beta1"], o["beta2"]
        self.m = beta1 * self.m + (1 - beta1) * g
        self.v = beta2 * self.v + (1 - beta2) * g**2
        m, v = self.m / (1 - beta1**self.t), self.v / (1 - beta2**self.t)
        return p - learning_rate * m / (np.sqrt(v) + o["eps"])


def as_floats(features: npt.NDArray[Any]) -> Array:
    """Features as the library reads them, uint8 as value / 255; shape (N, I)."""
    flat = features.reshape(len(features), -1).astype(np.float64)
    return flat / 255.0 if features.dtype == np.uint8 else flat


def normalize(x: Array) -> tuple[Array, Array]:
    """(x - mean) / sqrt(variance + EPS) of each row, (N, I), and the divisor, (N, 1)."""
    centered = x - x.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centered**2).mean(axis=1, keepdims=True) + EPS)
    return centered / deviation, deviation


class Reference:
    """A network with `inputs` features, a list of layers and a loss."""

    def __init__(
        self, inputs: int, layers: Sequence[int | str], loss: str = "softmax_cross_entropy"
    ) -> None:
        self.inputs = inputs
        self.layers = list(layers)
        self.loss = LOSSES[loss]
        self.shapes: list[tuple[int, ...]] = []  # those of all weights and biases, in order
        width = inputs
        for layer in layers:
            if isinstance(layer, int):
                self.shapes += [(width, layer), (layer,)]
                width = layer
            elif layer == "layer_norm":
                self.shapes += [(width,), (width,)]
        self.parameter_count = sum(map(math.prod, self.shapes))

    def tensors(self, flat: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Views into a flat array: weight and bias of every layer that has them, in order."""
        assert flat.shape == (self.parameter_count,)
        views, start = [], 0
        for shape in self.shapes:
            views.append(flat[start : start + math.prod(shape)].reshape(shape))
            start += math.prod(shape)
        return views

    def forward(self, parameters: Array, x: Array, masks: Masks | None = None) -> list[Array]:
        """The input and the outputs of every layer: one array more than there are layers.

        Masks are the factors of dropout by the number of its layer, (N, O) each; 1 without.
        """
        tensors = iter(self.tensors(parameters))
        values = [x]
        for number, layer in enumerate(self.layers):
            if isinstance(layer, int):
                values.append(values[-1] @ next(tensors) + next(tensors))
            elif layer == "layer_norm":
                values.append(normalize(values[-1])[0] * next(tensors) + next(tensors))
            elif layer == "dropout":
                values.append(values[-1] * (1.0 if masks is None else masks[number]))
            else:
                values.append(ACTIVATIONS[layer].value(values[-1]))
        return values

    def losses(
        self, parameters: Array, x: Array, labels: npt.NDArray[Any], masks: Masks | None = None
    ) -> Array:
        """The loss of every example; shape (N,)."""
        return self.loss(self.forward(parameters, x, masks)[-1], labels)[0]

    def gradient(
        self,
        parameters: Array,
        x: Array,
        labels: npt.NDArray[Any],
        masks: Masks | None = None,
        weights: Array | None = None,
    ) -> Array:
        """The gradient of the mean loss; shape (parameter_count,)."""
        values = self.forward(parameters, x, masks)
        delta = self.loss(values[-1], labels)[1] / len(x)
        if weights is not None:
            delta = delta * weights[:, None]
        tensors = self.tensors(parameters)
        gradients: list[Array] = []
        for number in reversed(range(len(self.layers))):
            layer, inputs = self.layers[number], values[number]
            if isinstance(layer, int):
                _, matrix = tensors.pop(), tensors.pop()
                gradients = [inputs.T @ delta, delta.sum(axis=0), *gradients]
                delta = delta @ matrix.T
            elif layer == "layer_norm":
                _, weight = tensors.pop(), tensors.pop()
                normalized, deviation = normalize(inputs)
                gradients = [(delta * normalized).sum(axis=0), delta.sum(axis=0), *gradients]
                d = delta * weight
                along = (d * normalized).mean(axis=1, keepdims=True)
                delta = (d - d.mean(axis=1, keepdims=True) - normalized * along) / deviation
            elif layer == "dropout":
                delta = delta * (1.0 if masks is None else masks[number])
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
            if layer in ACTIVATIONS and ACTIVATIONS[str(layer)].kinked
        ]
        return np.concatenate([np.empty(0), *kinked])

    def draw_parameters(self, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Parameters that keep activations near 1 and no bias at 0, exact in float32."""
        flat = rng.normal(size=self.parameter_count)
        for weights in self.tensors(flat)[::2]:
            if weights.ndim == 2:
                weights *= math.sqrt(2.0 / len(weights))
        for bias in self.tensors(flat)[1::2]:
            bias *= 0.3
        return flat.astype(np.float32)
