"""The layers of images in float64; csrc/layers/conv2d.c, pool2d.c and batch_norm.c compute them.

Images are (N, channels, height, width).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles
from pynn._explain.reference import single
from pynn._explain.reference.layers import Arrays, gradients, sizes, value
from pynn._network.layers import Layer
from pynn._network.layers.conv2d import Conv2d
from pynn._network.layers.norm import BatchNorm, FrozenBatchNorm
from pynn._network.layers.pool2d import AvgPool2d, Flatten, GlobalAvgPool, MaxPool2d

# ------------------------------------------------------------ windows


class _Windows(NamedTuple):
    """How windows lie on images."""

    size: tuple[int, int]
    stride: int
    pads: tuple[tuple[int, int], tuple[int, int]]
    """Rows above and below, and columns on the left and on the right."""

    def of(self, x: Doubles, padding: float = 0.0) -> Doubles:
        """All windows: (N, channels, outputs high, outputs wide, height, width)."""
        padded = np.pad(x, ((0, 0), (0, 0), *self.pads), constant_values=padding)
        every = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=(2, 3))
        return every[:, :, :: self.stride, :: self.stride]

    def add(self, parts: Doubles, x: Doubles) -> Doubles:
        """The sums of what the windows have for each place of images x: of() backwards."""
        n, channels, height, width = x.shape
        (top, bottom), (left, right) = self.pads
        padded = np.zeros((n, channels, height + top + bottom, width + left + right))
        high, wide = ((count - 1) * self.stride + 1 for count in parts.shape[2:4])
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                places = padded[:, :, i : i + high : self.stride, j : j + wide : self.stride]
                places += parts[..., i, j]
        return padded[:, :, top : top + height, left : left + width]


def _of_conv2d(layer: Conv2d, x: Doubles) -> _Windows:
    (top, left), (bottom, right) = layer.pads(x.shape[1:])
    return _Windows(layer.size, layer.stride, ((top, bottom), (left, right)))


def _of_pool(layer: MaxPool2d | AvgPool2d) -> _Windows:
    return _Windows(layer.size, layer.stride, ((layer.padding, layer.padding),) * 2)


# ------------------------------------------------------------ convolution

# Letters: n example, g group, f filter and c channel of the group, v u place of the output, i j
# place in the window.


def _grouped(layer: Conv2d, x: Doubles, weight: Doubles) -> tuple[Doubles, Doubles]:
    """The windows (n, g, c, v, u, i, j), and the filters (g, f, c, i, j)."""
    windows = _of_conv2d(layer, x).of(x)
    groups = layer.groups
    return (
        windows.reshape(len(x), groups, -1, *windows.shape[2:]),
        weight.reshape(groups, -1, *weight.shape[1:]),
    )


@value.register
def _(layer: Conv2d, x: Doubles, arrays: Arrays) -> Doubles:
    windows, filters = _grouped(layer, x, arrays["W"])
    y = np.einsum("ngcvuij,gfcij->ngfvu", windows, filters, optimize=True)
    biased: Doubles = y.reshape(len(x), layer.filters, *y.shape[3:]) + arrays["b"][:, None, None]
    return biased


@gradients.register
def _(layer: Conv2d, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    weight = arrays["W"]
    windows, filters = _grouped(layer, x, weight)
    d = dy.reshape(len(x), layer.groups, -1, *dy.shape[2:])
    parts = np.einsum("ngfvu,gfcij->ngcvuij", d, filters, optimize=True)
    return {
        "dW": np.einsum("ngcvuij,ngfvu->gfcij", windows, d, optimize=True).reshape(weight.shape),
        "db": dy.sum(axis=(0, 2, 3)),
        "dX": _of_conv2d(layer, x).add(parts.reshape(len(x), -1, *parts.shape[3:]), x),
    }


@sizes.register
def _(layer: Conv2d, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    # As for dense: all are sums of products.
    magnitudes = {name: np.abs(array) for name, array in arrays.items()}
    x, dy = np.abs(x), np.abs(dy)
    return {"Y": value(layer, x, magnitudes), **gradients(layer, x, dy, magnitudes)}


# ------------------------------------------------------------ pools


def places_of_largest(layer: MaxPool2d, x: Doubles) -> npt.NDArray[np.intp]:
    """For each output the place of the largest value in its window; of equal ones the first."""
    windows = _of_pool(layer).of(x, -np.inf)
    places: npt.NDArray[np.intp] = windows.reshape(*windows.shape[:4], -1).argmax(axis=-1)
    return places


def values_at(layer: MaxPool2d, x: Doubles, places: npt.NDArray[np.intp]) -> Doubles:
    """For each output the value at a place in its window, whether or not it is the largest."""
    windows = _of_pool(layer).of(x, -np.inf)
    every = windows.reshape(*windows.shape[:4], -1)
    return np.take_along_axis(every, places[..., None], axis=-1)[..., 0]


def nearly_equal(layer: MaxPool2d, x: Doubles, distance: Doubles) -> npt.NDArray[np.bool_]:
    """Which places of x are in a window where another value may be the largest just as well.

    That is so where it is less than the window's largest by at most the distance, which there is
    for each place, but not equal to it.
    """
    windows, far = _of_pool(layer).of(x, -np.inf), _of_pool(layer).of(distance)
    below = windows.max(axis=(4, 5), keepdims=True) - windows
    unsure = ((below > 0) & (below <= far)).any(axis=(4, 5), keepdims=True)
    return _of_pool(layer).add(np.broadcast_to(unsure, windows.shape).astype(np.float64), x) > 0


@value.register
def _(layer: MaxPool2d, x: Doubles, arrays: Arrays) -> Doubles:
    largest: Doubles = _of_pool(layer).of(x, -np.inf).max(axis=(4, 5))
    return largest


@gradients.register
def _(layer: MaxPool2d, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    count = layer.size[0] * layer.size[1]
    is_it: Doubles = np.eye(count)[places_of_largest(layer, x)]
    parts = dy[..., None, None] * is_it.reshape(*dy.shape, *layer.size)
    return {"dX": _of_pool(layer).add(parts, x)}


@sizes.register
def _(layer: MaxPool2d, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    return {"Y": np.abs(value(layer, x, arrays)), **gradients(layer, x, np.abs(dy), arrays)}


@value.register
def _(layer: AvgPool2d, x: Doubles, arrays: Arrays) -> Doubles:
    means: Doubles = _of_pool(layer).of(x).mean(axis=(4, 5))
    return means


@gradients.register
def _(layer: AvgPool2d, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    share = dy / (layer.size[0] * layer.size[1])
    parts = np.broadcast_to(share[..., None, None], (*dy.shape, *layer.size))
    return {"dX": _of_pool(layer).add(parts, x)}


@value.register
def _(layer: GlobalAvgPool, x: Doubles, arrays: Arrays) -> Doubles:
    means: Doubles = x.mean(axis=(2, 3))
    return means


@gradients.register
def _(layer: GlobalAvgPool, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    share = dy / (x.shape[2] * x.shape[3])
    return {"dX": np.broadcast_to(share[..., None, None], x.shape).copy()}


@value.register
def _(layer: Flatten, x: Doubles, arrays: Arrays) -> Doubles:
    return x.reshape(len(x), -1)


@gradients.register
def _(layer: Flatten, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    return {"dX": dy.reshape(x.shape)}


@sizes.register(AvgPool2d)
@sizes.register(GlobalAvgPool)
@sizes.register(Flatten)
def _(layer: Layer, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    x, dy = np.abs(x), np.abs(dy)
    return {"Y": value(layer, x, arrays), **gradients(layer, x, dy, arrays)}


# ------------------------------------------------------------ batch norm


class _Normal(NamedTuple):
    """H = (X - mean) / d with d = sqrt(variance + eps), for each channel of a batch."""

    axes: tuple[int, ...]
    """All but that of the channels."""
    h: Doubles
    size: Doubles
    """Of H, for the same reasons as in layer_norm."""
    d: Doubles

    @classmethod
    def of(cls, layer: BatchNorm, x: Doubles) -> _Normal:
        axes = (0, *range(2, x.ndim))
        distance = x - x.mean(axis=axes, keepdims=True)
        d = np.sqrt((distance**2).mean(axis=axes, keepdims=True) + single(layer.eps))
        far = np.abs(distance)
        return cls(axes, distance / d, (far + far.mean(axis=axes, keepdims=True)) / d, d)

    def across(self, channels: Doubles) -> Doubles:
        """A number of each channel, in a shape that goes with X."""
        return channels.reshape(self.d.shape[1:])

    def means(self, array: Doubles) -> Doubles:
        """The mean of each channel."""
        found: Doubles = array.mean(axis=self.axes, keepdims=True)
        return found


@value.register
def _(layer: BatchNorm, x: Doubles, arrays: Arrays) -> Doubles:
    it = _Normal.of(layer, x)
    return it.across(arrays["weight"]) * it.h + it.across(arrays["bias"])


def _norm_gradients(it: _Normal, h: Doubles, dy: Doubles, weight: Doubles) -> dict[str, Doubles]:
    zeros = np.zeros_like(weight)
    return {
        "dweight": (dy * h).sum(axis=it.axes),
        "dbias": dy.sum(axis=it.axes),
        "drunning_mean": zeros,
        "drunning_var": zeros,
    }


@gradients.register
def _(layer: BatchNorm, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    it, weight = _Normal.of(layer, x), arrays["weight"]
    inner = dy - it.means(dy) - it.h * it.means(dy * it.h)
    return {**_norm_gradients(it, it.h, dy, weight), "dX": it.across(weight) * inner / it.d}


@sizes.register
def _(layer: BatchNorm, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    it, weight, dy = _Normal.of(layer, x), np.abs(arrays["weight"]), np.abs(dy)
    inner = dy + it.means(dy) + it.size * it.means(dy * it.size)
    return {
        "Y": it.across(weight) * it.size + np.abs(it.across(arrays["bias"])),
        **_norm_gradients(it, it.size, dy, weight),
        "dX": it.across(weight) * inner / it.d,
    }


def _across(channels: Doubles, x: Doubles) -> Doubles:
    """A number of each channel, in a shape that goes with X."""
    return channels.reshape(-1, *[1] * (x.ndim - 2))


def _deviations(layer: FrozenBatchNorm, x: Doubles, arrays: Arrays) -> Doubles:
    return np.sqrt(_across(arrays["running_var"], x) + single(layer.eps))


@value.register
def _(layer: FrozenBatchNorm, x: Doubles, arrays: Arrays) -> Doubles:
    weight, bias, mean = (_across(arrays[it], x) for it in ("weight", "bias", "running_mean"))
    return weight * (x - mean) / _deviations(layer, x, arrays) + bias


@gradients.register
def _(layer: FrozenBatchNorm, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    return {"dX": _across(arrays["weight"], x) * dy / _deviations(layer, x, arrays)}


@sizes.register
def _(layer: FrozenBatchNorm, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    magnitudes = {name: np.abs(array) for name, array in arrays.items()}
    negative = {**magnitudes, "running_mean": -magnitudes["running_mean"]}  # |x| + |mean|
    return {
        "Y": value(layer, np.abs(x), negative),
        **gradients(layer, x, np.abs(dy), magnitudes),
    }


# ------------------------------------------------------------ parameters that follow the data


def follow(layer: Layer, x: Doubles, arrays: Arrays) -> dict[str, tuple[Doubles, Doubles]]:
    """How a step of training changes each parameter that is not trained, and the sizes of that.

    Only batch_norm and standardize have such parameters, and those of the latter stay as they are.
    """
    if not isinstance(layer, BatchNorm):
        return {
            name: (np.zeros_like(array), np.zeros_like(array)) for name, array in arrays.items()
        }
    axes, momentum = (0, *range(2, x.ndim)), single(layer.momentum)
    mean, variance, count = x.mean(axis=axes), x.var(axis=axes), x.size // x.shape[1]
    variance = variance * count / max(count - 1, 1)
    old = arrays["running_mean"], arrays["running_var"]
    size = np.abs(x).mean(axis=axes)
    return {
        "running_mean": (momentum * (mean - old[0]), momentum * (size + np.abs(old[0]))),
        "running_var": (momentum * (variance - old[1]), momentum * (variance + np.abs(old[1]))),
    }
