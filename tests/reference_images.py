"""Any network of pynn in float64 NumPy, also of images; written to be obviously right.

Finite differences check it, and it checks the C library (test_gradients_images.py). It takes a
chain as the builder made it; parameters and gradients are flat arrays in the layout of the C
library. Values of images are (N, channels, height, width). Nothing is dropped. batch_norm works
with the mean and the variance of the batch, as in training.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from reference import ACTIVATIONS, LOSSES, Array

from pynn._network.parameters import views
from pynn._network.spec import PlacedLayer, Spec

Parts = dict[str, Array]


def windows_of(x: Array, layer: Any, pads: Any, fill: float) -> Array:
    """All windows of images: (N, channels, outputs high, outputs wide, height, width)."""
    (top, left), (bottom, right) = pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    every = np.lib.stride_tricks.sliding_window_view(padded, layer.size, axis=(2, 3))
    return every[:, :, :: layer.stride, :: layer.stride]


def add_windows(d: Array, shape: tuple[int, ...], layer: Any, pads: Any) -> Array:
    """The sums of what each window gives its places: the way back of windows_of()."""
    (top, left), (bottom, right) = pads
    n, channels, height, width = shape
    padded = np.zeros((n, channels, height + top + bottom, width + left + right))
    for v in range(d.shape[2]):
        for u in range(d.shape[3]):
            y, x = v * layer.stride, u * layer.stride
            padded[:, :, y : y + d.shape[4], x : x + d.shape[5]] += d[:, :, v, u]
    return padded[:, :, top : top + height, left : left + width]


class Conv2d:
    """Y = windows of X times the filters, + b, group by group."""

    @staticmethod
    def grouped(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> tuple[Array, Array]:
        """The windows (N, G, C, OH, OW, KH, KW), and the filters (G, F, C, KH, KW)."""
        windows = windows_of(x, layer, layer.pads(placed.input_shape), 0.0)
        groups = layer.groups
        return (
            windows.reshape(len(x), groups, -1, *windows.shape[2:]),
            p["weight"].reshape(groups, -1, *p["weight"].shape[1:]),
        )

    @staticmethod
    def forward(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> Array:
        windows, filters = Conv2d.grouped(layer, placed, x, p)
        y = np.einsum("ngcvuij,gfcij->ngfvu", windows, filters)
        return y.reshape(len(x), *placed.output_shape) + p["bias"][:, None, None]

    @staticmethod
    def backward(layer: Any, placed: PlacedLayer, x: Array, p: Parts, dy: Array) -> Parts:
        windows, filters = Conv2d.grouped(layer, placed, x, p)
        d = dy.reshape(len(x), layer.groups, -1, *dy.shape[2:])
        back = np.einsum("ngfvu,gfcij->ngcvuij", d, filters)
        back = back.reshape(len(x), -1, *back.shape[3:])
        return {
            "weight": np.einsum("ngcvuij,ngfvu->gfcij", windows, d).reshape(p["weight"].shape),
            "bias": dy.sum((0, 2, 3)),
            "x": add_windows(back, x.shape, layer, layer.pads(placed.input_shape)),
        }


class Pool2d:
    """The largest value of each window, or the mean."""

    @staticmethod
    def pads(layer: Any) -> Any:
        return (layer.padding, layer.padding), (layer.padding, layer.padding)

    @staticmethod
    def forward(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> Array:
        if layer.kind == "avg_pool2d":
            return windows_of(x, layer, Pool2d.pads(layer), 0.0).mean((4, 5))
        return windows_of(x, layer, Pool2d.pads(layer), -np.inf).max((4, 5))

    @staticmethod
    def backward(layer: Any, placed: PlacedLayer, x: Array, p: Parts, dy: Array) -> Parts:
        if layer.kind == "avg_pool2d":
            shares = np.full(layer.size, 1.0 / (layer.size[0] * layer.size[1]))
        else:
            windows = windows_of(x, layer, Pool2d.pads(layer), -np.inf)
            flat = windows.reshape(*windows.shape[:4], -1)
            shares = np.eye(flat.shape[-1])[flat.argmax(-1)].reshape(windows.shape)
        d = dy[..., None, None] * shares
        return {"x": add_windows(d, x.shape, layer, Pool2d.pads(layer))}


class GlobalAvgPool:
    """The mean of each channel."""

    @staticmethod
    def forward(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> Array:
        return x.mean((2, 3))

    @staticmethod
    def backward(layer: Any, placed: PlacedLayer, x: Array, p: Parts, dy: Array) -> Parts:
        places = x.shape[2] * x.shape[3]
        return {"x": np.broadcast_to(dy[..., None, None] / places, x.shape).copy()}


class Norm:
    """(x - mean) / sqrt(variance + eps) over some axes, times a weight, plus a bias."""

    @staticmethod
    def axes(layer: Any, x: Array) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The axes of the mean, and the shape of weight and bias beside x."""
        if layer.kind == "layer_norm":
            return tuple(range(1, x.ndim)), x.shape[1:]
        return (0, *range(2, x.ndim)), (x.shape[1], *[1] * (x.ndim - 2))

    @staticmethod
    def normal(layer: Any, x: Array) -> tuple[Array, Array]:
        axes, _ = Norm.axes(layer, x)
        centered = x - x.mean(axes, keepdims=True)
        deviation = np.sqrt((centered**2).mean(axes, keepdims=True) + layer.eps)
        return centered / deviation, deviation

    @staticmethod
    def forward(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> Array:
        _, shape = Norm.axes(layer, x)
        y: Array = Norm.normal(layer, x)[0] * p["weight"].reshape(shape) + p["bias"].reshape(shape)
        return y

    @staticmethod
    def backward(layer: Any, placed: PlacedLayer, x: Array, p: Parts, dy: Array) -> Parts:
        axes, shape = Norm.axes(layer, x)
        h, deviation = Norm.normal(layer, x)
        d = dy * p["weight"].reshape(shape)
        means = d.mean(axes, keepdims=True), (d * h).mean(axes, keepdims=True)
        others = tuple(axis for axis in range(x.ndim) if axis not in axes)
        every = (0,) if layer.kind == "layer_norm" else tuple(set(range(x.ndim)) - set(others))
        return {
            "weight": (dy * h).sum(every).ravel(),
            "bias": dy.sum(every).ravel(),
            "x": (d - means[0] - h * means[1]) / deviation,
        }


class Dense:
    """Y = X W + b."""

    @staticmethod
    def forward(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> Array:
        return x @ p["weight"] + p["bias"]

    @staticmethod
    def backward(layer: Any, placed: PlacedLayer, x: Array, p: Parts, dy: Array) -> Parts:
        return {"weight": x.T @ dy, "bias": dy.sum(0), "x": dy @ p["weight"].T}


class Scalar:
    """A function of each value."""

    @staticmethod
    def forward(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> Array:
        if layer.kind == "leaky_relu":
            return np.where(x > 0, x, layer.slope * x)
        if layer.kind == "elu":
            return np.where(x > 0, x, layer.alpha * np.expm1(np.minimum(x, 0)))
        return ACTIVATIONS[layer.kind].value(x)

    @staticmethod
    def backward(layer: Any, placed: PlacedLayer, x: Array, p: Parts, dy: Array) -> Parts:
        if layer.kind == "leaky_relu":
            slope = np.where(x > 0, 1.0, layer.slope)
        elif layer.kind == "elu":
            slope = np.where(x > 0, 1.0, layer.alpha * np.exp(np.minimum(x, 0)))
        else:
            slope = ACTIVATIONS[layer.kind].derivative(x)
        return {"x": dy * slope}


class Same:
    """The same values, maybe in another shape."""

    @staticmethod
    def forward(layer: Any, placed: PlacedLayer, x: Array, p: Parts) -> Array:
        return x.reshape(len(x), *placed.output_shape)

    @staticmethod
    def backward(layer: Any, placed: PlacedLayer, x: Array, p: Parts, dy: Array) -> Parts:
        return {"x": dy.reshape(x.shape)}


KINDS: dict[str, Any] = {
    "dense": Dense,
    "conv2d": Conv2d,
    "max_pool2d": Pool2d,
    "avg_pool2d": Pool2d,
    "global_avg_pool": GlobalAvgPool,
    "flatten": Same,
    "dropout": Same,
    "layer_norm": Norm,
    "batch_norm": Norm,
}


class Pass(NamedTuple):
    """What a forward pass computes."""

    inputs: list[Array]
    """Those of each layer."""
    losses: Array
    slopes: Array
    """The gradient of each loss with respect to its own outputs, (N, outputs)."""


class ImageReference:
    """The network of a chain."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.layers = spec.placed_layers
        self.views = views(spec)

    def parts(self, number: int, parameters: npt.NDArray[Any]) -> Parts:
        """The parameters of a layer, by their own names."""
        return {
            view.name.partition(".")[2]: parameters[view.offset : view.end].reshape(view.shape)
            for view in self.views
            if view.layer == number
        }

    def forward(self, parameters: Array, x: Array, targets: npt.NDArray[Any]) -> Pass:
        """The inputs of each layer, and the losses of rows x."""
        values = [x.reshape(len(x), *self.spec.input_shape)]
        for number, placed in enumerate(self.layers):
            kind = KINDS.get(placed.layer.kind, Scalar)
            p = self.parts(number, parameters)
            values.append(kind.forward(placed.layer, placed, values[-1], p))
        losses, slopes = LOSSES[self.spec.loss.kind](values[-1].reshape(len(x), -1), targets)
        return Pass(values[:-1], losses, slopes)

    def gradient(self, parameters: Array, x: Array, targets: npt.NDArray[Any]) -> Array:
        """The gradient of the mean loss, flat; 0 of what is not trained."""
        done = self.forward(parameters, x, targets)
        found = np.zeros_like(parameters)
        dy = (done.slopes / len(x)).reshape(len(x), *self.layers[-1].output_shape)
        for number, placed in reversed(list(enumerate(self.layers))):
            kind = KINDS.get(placed.layer.kind, Scalar)
            p, inputs = self.parts(number, parameters), done.inputs[number]
            parts = kind.backward(placed.layer, placed, inputs, p, dy)
            own = self.parts(number, found)
            dy = parts.pop("x")
            for name, gradient in parts.items():
                own[name][...] = gradient
        return found

    def kinks(self, parameters: Array, x: Array, targets: npt.NDArray[Any]) -> tuple[Array, Array]:
        """Where derivatives jump: how far each value is from there, and on which side it is."""
        distances, sides = [np.empty(0)], [np.empty(0)]
        inputs = self.forward(parameters, x, targets).inputs
        for placed, values in zip(self.layers, inputs, strict=True):
            layer: Any = placed.layer
            if layer.kind in ("relu", "leaky_relu", "elu"):
                distances.append(np.abs(values).ravel())
                sides.append((values > 0).ravel())
            if layer.kind == "max_pool2d":
                windows = windows_of(values, layer, Pool2d.pads(layer), -np.inf)
                flat = windows.reshape(-1, windows.shape[4] * windows.shape[5])
                apart = flat.max(1, keepdims=True) - flat
                # Zeros of a ReLU are equal, and stay so.
                distances.append(apart[(apart > 0) & np.isfinite(apart)])
                sides.append(flat.argmax(1))
        return np.concatenate(distances), np.concatenate(sides)
