"""The parameters of a network: their names, their shapes, and where they lie in the flat array.

All parameters of a network are one array of floats. The layers follow each other in it, and within
a layer its parameters, without gaps. The C library counts in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentTypeError
from pynn._network.spec import Spec


class ParameterView(NamedTuple):
    """Where a parameter of a layer lies in the flat array, and what it is."""

    layer: int
    """The layer's place in the chain, from 0."""
    name: str
    """The layer's kind and its number among its kind, a dot, and its own name: "dense1.weight"."""
    shape: tuple[int, ...]
    offset: int
    """In floats."""
    decays: bool
    """Whether weight decay makes it smaller."""
    trained: bool
    """Whether a step of the optimizer changes it."""
    transposed: bool
    """Whether PyTorch keeps the transpose."""

    @property
    def end(self) -> int:
        """Where the next parameter begins, in floats."""
        return self.offset + math.prod(self.shape)

    def of(self, array: Floats) -> Floats:
        """The parameter in a flat array, without a copy."""
        return array[self.offset : self.end].reshape(self.shape)


def views(spec: Spec) -> list[ParameterView]:
    """All parameters of a network, in order."""
    found: list[ParameterView] = []
    offset = 0
    for placed in spec.placed_layers:
        for name, shape, decays, trained, transposed in placed.parameters:
            full_name = f"{placed.name}.{name}"
            view = ParameterView(
                placed.number - 1, full_name, shape, offset, decays, trained, transposed
            )
            found.append(view)
            offset = view.end
    return found


class Parameters(dict[str, Floats]):
    """Views by name. To put another array in the place of one would change no model: an error."""

    def __setitem__(self, name: str, array: Floats) -> None:
        if self.get(name) is not array:  # after += it is the same
            raise ArgumentTypeError(
                f"parameters cannot be replaced; write into it: parameters[{name!r}][...] = array"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is an ordinary dict, of arrays that are no views any more."""
        return dict, (dict(self),)


def named(parameters: Sequence[ParameterView], array: Floats) -> Parameters:
    """Views of a flat array: "dense1.weight" (inputs, outputs), "dense1.bias" (outputs,), ..."""
    return Parameters({view.name: view.of(array) for view in parameters})
