"""What blocks.py finds to show of a step, and text.py and html.py show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.formulas import number
from pynn._explain.equations import Equation


class Array(NamedTuple):
    """An array to show, by its symbol."""

    name: str
    values: npt.NDArray[Any]
    same_as: str = ""
    """Where the same numbers are shown before, such as "Y of dense1"; then a reader needs no more
    than this."""
    pictures: int | None = None
    """The axis along which the values may be pixels of pictures."""

    @property
    def meaning(self) -> str:
        """What the symbol means, where the equations do not say it; "" otherwise."""
        return MEANINGS.get(self.name, "")

    @property
    def is_magnitude(self) -> bool:
        """Whether the values tell how much; labels do not."""
        return self.name != "label"


MEANINGS = {
    "P": "probabilities",
    "t": "targets",
    "w": "weights of the examples, divided by their mean",
    "momentum": "m after the step",
    "m": "after the step",
    "v": "after the step",
}


class Formula(NamedTuple):
    """A formula with its numbers: "name = formula = result"."""

    text: str


class Sentence(NamedTuple):
    """Words, such as what the letters of an equation are."""

    text: str


class Note(NamedTuple):
    """A remark on what there is to learn."""

    text: str


Item = Equation | Array | Formula | Sentence | Note


class Block(NamedTuple):
    """What belongs to one layer, loss or parameter in one part of the step."""

    part: str
    """ "forward", "loss", "backward" or "update"."""
    title: str
    items: list[Item]


def summary(values: npt.NDArray[Any]) -> str:
    """The least, mean and largest value of an array; of NaN, how many there are."""
    there = values[~np.isnan(values)]
    missing = f"{values.size - there.size:,} missing"
    if there.size == 0:
        return missing
    mean = float(there.mean(dtype="float64"))
    words = f"least {number(there.min())}, mean {number(mean)}, largest {number(there.max())}"
    return words if there.size == values.size else f"{words}, {missing}"


def shape_of(values: npt.NDArray[Any]) -> str:
    """The shape in words: "3 x 2"."""
    return " x ".join(map(str, values.shape))
