"""Arrays of a batch, (n, values) or (n, channels, height, width): other ways to look at them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pynn._base.arrays import Floats


def flat(array: Floats) -> Floats:
    """An array of a batch with one axis for all values of an example."""
    return array.reshape(len(array), -1)


def of_units(array: Floats) -> Floats:
    """An array of a batch as (n, units), where a unit of an image is a channel at all places."""
    return np.moveaxis(array, 1, -1).reshape(-1, array.shape[1])


def units_of(array: Floats) -> str:
    """What the second axis of an array of a batch goes over."""
    return "channels" if array.ndim > 2 else "units"


def place_of(array: Floats, output: int) -> tuple[int, ...]:
    """The indices in each example of an array of a batch of value number `output`."""
    return tuple(int(index) for index in np.unravel_index(output, array.shape[1:]))


def value_name(symbol: str, at: Sequence[int]) -> str:
    """What a formula calls a value of an example: "y3", or of an image "y[0,2,1]"."""
    return f"{symbol}{at[0]}" if len(at) == 1 else f"{symbol}[{','.join(map(str, at))}]"
