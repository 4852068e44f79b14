"""Backpropagation in float64 against differences of the loss, which know nothing of derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pynn._base.arrays import Doubles
from pynn._explain.errors import LEAST, Index, LargestError, relative
from pynn._explain.network64 import Network64
from pynn._network.parameters import ParameterView

MOST = 100
"""Of so many parameters the differences are computed."""
DISTANCE = 1e-4
"""How far a parameter is moved, for inputs up to 1. The error of a difference of the fourth order
is then about 1e-16 times a fifth derivative."""
VISIBLE = 1e-9
"""The least share of the loss whose change a difference can measure: float64 rounds a loss by some
1e-16 of it, which is 1e-7 of that share."""


def differences(
    network: Network64, parameters: Sequence[ParameterView]
) -> Iterator[LargestError | None]:
    """The error of backpropagation in float64 for each parameter of a sample.

    None stands for a parameter that takes a function over a kink.
    """
    values = network.forward(0, network.x)
    gradients = network.backward(values)
    sizes = network.sizes_of_gradients(values, gradients)
    loss = float(network.losses(values[-1])[1].mean())
    for view, index in _sample(parameters):
        place, symbol, x = view.layer, network.symbol(view), values[view.layer]
        array = network.arrays[place][symbol]
        distance = DISTANCE / max(1.0, float(np.abs(x).max()))
        difference = _difference(network, place, x, array, index, distance)
        if difference is None:
            yield None
            continue
        size = max(float(sizes[place][f"d{symbol}"][index]), VISIBLE * loss / distance, LEAST)
        found = (gradients[place][f"d{symbol}"][index], difference, size)
        error = relative(*(np.array([number], np.float64) for number in found))
        yield LargestError(float(error[0]), view.name, index)


def _sample(parameters: Sequence[ParameterView]) -> Iterator[tuple[ParameterView, Index]]:
    """All parameters, if they are few; else as many of each array, drawn with a fixed seed."""
    parameters = [view for view in parameters if view.trained]
    few = sum(math.prod(view.shape) for view in parameters) <= MOST
    share = MOST if few else max(1, MOST // len(parameters))
    rng = np.random.default_rng(0)
    for view in parameters:
        size = math.prod(view.shape)
        for flat in sorted(rng.choice(size, min(size, share), replace=False)):
            yield view, tuple(int(i) for i in np.unravel_index(flat, view.shape))


def _difference(
    network: Network64, place: int, x: Doubles, array: Doubles, index: Index, distance: float
) -> float | None:
    """The derivative of the mean loss by a parameter, as a central difference of fourth order.

    With L(d) the loss where the parameter is moved by d, it is

        (8 (L(d) - L(-d)) - (L(2 d) - L(-2 d))) / (12 d)

    Args:
        network: The network; it is as before in the end.
        place: The layer's place in the chain.
        x: The layer's inputs, which do not depend on its parameters.
        array: The parameters of the layer that the parameter is one of.
        index: Its place in the array.
        distance: d.

    Returns:
        The derivative; None if an input of a function with a kink changes its side on the way.
    """
    kept, losses, sides = array[index], [], []
    for move in (-2.0, -1.0, 1.0, 2.0):
        array[index] = kept + move * distance
        values = network.forward(place, x)
        losses.append(network.losses(values[-1])[0])
        sides.append(network.sides(place, values))
    array[index] = kept
    if not all(np.array_equal(a, b) for at in sides for a, b in zip(at, sides[0], strict=True)):
        return None
    change = 8.0 * (losses[2] - losses[1]) - (losses[3] - losses[0])
    return float(change.mean()) / (12.0 * distance)
