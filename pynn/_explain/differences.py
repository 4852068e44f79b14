"""Backpropagation in float64 against differences of the loss, which know nothing of derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

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
FARTHER = (3.0, 10.0, 30.0, 100.0)
"""How many times as far a parameter is moved where the first difference is not accurate."""
ACCURATE = 1e-7
"""A difference that is nearer than this to backpropagation needs no other one."""
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
        at = partial(_difference, network, place, x, array, index)
        difference = at(distance)
        if difference is None:
            yield None
            continue
        size = max(float(sizes[place][f"d{symbol}"][index]), VISIBLE * loss / distance, LEAST)
        gradient = float(gradients[place][f"d{symbol}"][index])
        error = _error(gradient, difference, size)
        if error > ACCURATE:
            error = _error(gradient, _most_agreeing(at, distance, difference), size)
        yield LargestError(error, view.name, index)


def _error(gradient: float, difference: float, size: float) -> float:
    """How far backpropagation is from a difference, relative to the size."""
    numbers = (np.array([number], np.float64) for number in (gradient, difference, size))
    return float(relative(*numbers)[0])


def _most_agreeing(at: Callable[[float], float | None], distance: float, first: float) -> float:
    """Of the differences at growing distances, one that agrees best with its neighbour.

    The rounding of the loss, which is divided by the distance, is larger than usual where a network
    makes much of a little, as a batch_norm does of channels that hardly vary. A larger distance
    makes less of it, but may be too large for the fourth order. Neighbours agree where neither
    error is large. Nothing here knows the gradient, so a wrong one stays off as much as it is.

    Args:
        at: Gives the difference at a distance; None where it takes a function over a kink.
        distance: The first distance.
        first: The difference there.
    """
    found = [first]
    for factor in FARTHER:
        difference = at(factor * distance)
        if difference is None or not math.isfinite(difference):  # over a kink, or an overflow
            break
        found.append(difference)
    if len(found) == 1:
        return first
    return found[int(np.abs(np.diff(found)).argmin()) + 1]


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
