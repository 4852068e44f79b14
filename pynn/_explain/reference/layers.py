"""The layers in float64, but for those of images; csrc/layers computes them.

`arrays` holds a layer's parameters by their symbols, and what `draws` returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from pynn._base.arrays import Doubles
from pynn._explain.reference import single
from pynn._network.layers import Layer
from pynn._network.layers.activations import (
    Elu,
    Gelu,
    LeakyRelu,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from pynn._network.layers.columns import EMBEDDING, ONE_HOT, TableColumns, codes_of
from pynn._network.layers.dense import Dense
from pynn._network.layers.dropout import Dropout
from pynn._network.layers.norm import LayerNorm
from pynn._network.layers.standardize import Standardize

Arrays = Mapping[str, Doubles]

WITH_KINK = (Relu, LeakyRelu, Elu)
"""The functions with a kink at 0, where the derivative jumps."""


class Scalar(NamedTuple):
    """A scalar function at X, and its derivative there; and the sizes of both."""

    y: Doubles
    slope: Doubles
    size: Doubles
    slope_size: Doubles


# ------------------------------------------------------------ what is asked for


@singledispatch
def draws(layer: Layer, factors: Callable[[float], Doubles]) -> dict[str, Doubles]:
    """The random numbers of a step, by their symbols.

    Args:
        layer: The layer.
        factors: Returns what C multiplies this layer's inputs by in dropout of a rate.
    """
    return {}


@singledispatch
def scalar(layer: Layer, x: Doubles) -> Scalar:
    """A scalar function and its derivative."""
    raise NotImplementedError(f"{layer.kind} has no reference")


@singledispatch
def value(layer: Layer, x: Doubles, arrays: Arrays) -> Doubles:
    """Y from X."""
    return scalar(layer, x).y


@singledispatch
def gradients(layer: Layer, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    """dX, and the gradients of the parameters, by their symbols, from X and dY."""
    return {"dX": dy * scalar(layer, x).slope}


@singledispatch
def sizes(layer: Layer, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    """The sizes of Y and of all that gradients() returns, by their symbols."""
    of = scalar(layer, x)
    return {"Y": of.size, "dX": np.abs(dy) * of.slope_size}


# ------------------------------------------------------------ dense


@value.register
def _(layer: Dense, x: Doubles, arrays: Arrays) -> Doubles:
    return x @ arrays["W"] + arrays["b"]


@gradients.register
def _(layer: Dense, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    return {"dW": x.T @ dy, "db": dy.sum(axis=0), "dX": dy @ arrays["W"].T}


@sizes.register
def _(layer: Dense, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    # All are sums of products. Of magnitudes, they are the sums of the magnitudes.
    magnitudes = {name: np.abs(array) for name, array in arrays.items()}
    x, dy = np.abs(x), np.abs(dy)
    return {"Y": value(layer, x, magnitudes), **gradients(layer, x, dy, magnitudes)}


# ------------------------------------------------------------ dropout


@draws.register
def _(layer: Dropout, factors: Callable[[float], Doubles]) -> dict[str, Doubles]:
    # Only which values are dropped is taken from C.
    rate = single(layer.rate)
    return {"M": np.where(factors(rate) == 0.0, 0.0, 1.0 / (1.0 - rate))}


@value.register
def _(layer: Dropout, x: Doubles, arrays: Arrays) -> Doubles:
    return x * arrays["M"]


@gradients.register
def _(layer: Dropout, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    return {"dX": dy * arrays["M"]}


@sizes.register
def _(layer: Dropout, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    return {"Y": np.abs(x * arrays["M"]), "dX": np.abs(dy * arrays["M"])}


# ------------------------------------------------------------ standardize


@value.register
def _(layer: Standardize, x: Doubles, arrays: Arrays) -> Doubles:
    return _standardized(layer, x, arrays, x.reshape(len(x), -1) - arrays["mean"])


@sizes.register
def _(layer: Standardize, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    # There are no gradients: it is the first layer, and is not trained.
    terms = np.abs(x).reshape(len(x), -1) + np.abs(arrays["mean"])
    return {"Y": _standardized(layer, x, arrays, terms)}


def _standardized(layer: Standardize, x: Doubles, arrays: Arrays, distance: Doubles) -> Doubles:
    """Y, or its size, from X - mean or the size of that."""
    y = distance.reshape(x.shape) / arrays["scale"].reshape(x.shape[1:])
    if layer.takes_missing:
        y = np.where(np.isnan(x), 0.0, y)
    limit = np.inf if layer.clip is None else single(layer.clip)
    return np.clip(y, -limit, limit)


# ------------------------------------------------------------ layer norm


def _normal(layer: LayerNorm, x: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """H = (X - mean) / d with d = sqrt(variance + eps), and the size of H, (N, I); and d, (N, 1).

    C subtracts the mean as the sum of two floats, the nearest one and the mean of the distances
    from that. So the rounding of large X does not count, but that of all distances in a row does.
    """
    x = x.reshape(len(x), -1)
    distance = x - x.mean(axis=1, keepdims=True)
    d = np.sqrt((distance**2).mean(axis=1, keepdims=True) + single(layer.eps))
    far = np.abs(distance)
    return distance / d, (far + far.mean(axis=1, keepdims=True)) / d, d


@value.register
def _(layer: LayerNorm, x: Doubles, arrays: Arrays) -> Doubles:
    y: Doubles = arrays["weight"] * _normal(layer, x)[0] + arrays["bias"]
    return y.reshape(x.shape)


@gradients.register
def _(layer: LayerNorm, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    h, _, d = _normal(layer, x)
    dy = dy.reshape(h.shape)
    dh = dy * arrays["weight"]
    along = (dh * h).mean(axis=1, keepdims=True)
    return {
        "dweight": (dy * h).sum(axis=0),
        "dbias": dy.sum(axis=0),
        "dX": ((dh - dh.mean(axis=1, keepdims=True) - h * along) / d).reshape(x.shape),
    }


@sizes.register
def _(layer: LayerNorm, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    _, h, d = _normal(layer, x)
    dy = np.abs(dy).reshape(h.shape)
    dh = dy * np.abs(arrays["weight"])
    along = (dh * h).mean(axis=1, keepdims=True)
    return {
        "Y": (np.abs(arrays["weight"]) * h + np.abs(arrays["bias"])).reshape(x.shape),
        "dweight": (dy * h).sum(axis=0),
        "dbias": dy.sum(axis=0),
        "dX": ((dh + dh.mean(axis=1, keepdims=True) + h * along) / d).reshape(x.shape),
    }


# ------------------------------------------------------------ scalar functions


def sigmoid(x: Doubles) -> Doubles:
    """1 / (1 + exp(-x)), as the exponential of its logarithm, where nothing overflows."""
    shares: Doubles = np.exp(-np.logaddexp(0.0, -x))
    return shares


def _below(x: Doubles) -> Doubles:
    """The normal distribution function Phi(x), by way of erfc, which keeps its tail."""
    twice: Doubles = np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2.0))
    return 0.5 * twice


@scalar.register
def _(layer: Relu, x: Doubles) -> Scalar:
    y, slope = np.maximum(x, 0.0), np.where(x > 0, 1.0, 0.0)
    return Scalar(y, slope, y, slope)


@scalar.register
def _(layer: LeakyRelu, x: Doubles) -> Scalar:
    slope = np.where(x > 0, 1.0, single(layer.slope))
    return Scalar(slope * x, slope, slope * np.abs(x), slope)


@scalar.register
def _(layer: Sigmoid, x: Doubles) -> Scalar:
    y = sigmoid(x)
    return Scalar(y, y * sigmoid(-x), y, y + y**2)  # C computes y - y^2


@scalar.register
def _(layer: Tanh, x: Doubles) -> Scalar:
    y = np.tanh(x)
    return Scalar(y, 1.0 / np.cosh(x) ** 2, np.abs(y), 1.0 + y**2)  # C computes 1 - y^2


@scalar.register
def _(layer: Gelu, x: Doubles) -> Scalar:
    below, density = _below(x), np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi)
    # exp() makes the rounding of x^2 / 2, which is relative to that, relative to its own value.
    tail = 1.0 + 0.5 * x**2
    size = np.where(x > 0, below, below * tail)
    slope_size = size + np.abs(x) * density * tail
    return Scalar(x * below, below + x * density, np.abs(x) * size, slope_size)


@scalar.register
def _(layer: Silu, x: Doubles) -> Scalar:
    s, rest = sigmoid(x), sigmoid(-x)
    return Scalar(x * s, s * (1.0 + x * rest), np.abs(x) * s, s * (1.0 + np.abs(x) * rest))


@scalar.register
def _(layer: Elu, x: Doubles) -> Scalar:
    alpha, left = single(layer.alpha), np.minimum(x, 0.0)
    y = np.where(x > 0, x, alpha * np.expm1(left))
    slope = np.where(x > 0, 1.0, alpha * np.exp(left))
    # C computes the slope as y + alpha.
    return Scalar(y, slope, np.abs(y), np.where(x > 0, 1.0, np.abs(y) + alpha))


@scalar.register
def _(layer: Softplus, x: Doubles) -> Scalar:
    y, s = np.logaddexp(0.0, x), sigmoid(x)
    return Scalar(y, s, y, s)


# ------------------------------------------------------------ columns of a table


def _numbers(layer: TableColumns, x: Doubles, arrays: Arrays, sign: float) -> Doubles:
    """(x + sign mean) / scale of the columns of numbers, 0 where x is missing."""
    if not layer.numbers:
        return x[:, :0]
    x = x[:, layer.scaled_features]
    return np.where(np.isnan(x), 0.0, (x + sign * arrays["mean"]) / arrays["scale"])


def _looked_up(layer: TableColumns, x: Doubles, arrays: Arrays) -> Iterator[Doubles]:
    """The pieces of Y of the columns of categories."""
    for it in layer.placed():
        column, codes = it.column, codes_of(x[:, it.feature], it.column.size)
        if column.kind == EMBEDDING:
            table = arrays["weight"][it.table :][: column.size * column.width]
            yield table.reshape(column.size, column.width)[codes]
        elif column.kind == ONE_HOT:
            yield np.eye(column.size)[codes][:, 1:]


@value.register
def _(layer: TableColumns, x: Doubles, arrays: Arrays) -> Doubles:
    return np.hstack([_numbers(layer, x, arrays, -1.0), *_looked_up(layer, x, arrays)])


@gradients.register
def _(layer: TableColumns, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    found = {"dX": np.zeros_like(x)}  # of a code there is none, and nobody needs that of a number
    if "weight" in arrays:
        found["dweight"] = np.zeros_like(arrays["weight"])
    for it in layer.placed():
        column = it.column
        if column.kind == EMBEDDING:
            table = found["dweight"][it.table :][: column.size * column.width]
            of_column = dy[:, it.output : it.output + column.width]
            codes = codes_of(x[:, it.feature], column.size)
            np.add.at(table.reshape(column.size, column.width), codes, of_column)
    return found


@sizes.register
def _(layer: TableColumns, x: Doubles, dy: Doubles, arrays: Arrays) -> dict[str, Doubles]:
    magnitudes = {name: np.abs(array) for name, array in arrays.items()}
    numbers = _numbers(layer, np.abs(x), magnitudes, 1.0)
    y = np.hstack([numbers, *_looked_up(layer, x, magnitudes)])
    return {"Y": y, **gradients(layer, x, np.abs(dy), magnitudes)}
