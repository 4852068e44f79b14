"""The layers that a chain has from a model, with their parameters."""

from __future__ import annotations

from typing import NamedTuple

from pynn._base.arrays import Floats
from pynn._network.choice import one
from pynn._network.layers import Layer, Shape
from pynn._network.snapshot import Snapshot
from pynn._network.spec import shape_after


class Beginning(NamedTuple):
    """The first layers of a model."""

    input_shape: Shape
    layers: tuple[Layer, ...]
    parameters: Floats
    """Those that the flat array of a model with these layers begins with."""
    before: str | None
    """The name of the first layer that was left out; None if all were taken."""

    @classmethod
    def of(cls, model: Snapshot, before: object) -> Beginning:
        """Take the layers in front of one, by its name or number, or all if it is None.

        Raises:
            ArgumentTypeError: `before` is neither a str nor an integer.
            ArgumentError: There is no such layer.
        """
        placed = model.spec.placed_layers
        end = None if before is None else one("before", before, placed)
        taken = placed if end is None else placed[: end.number - 1]
        size = sum(parameter.size for layer in taken for parameter in layer.parameters)
        return cls(
            model.spec.input_shape,
            model.spec.layers[: len(taken)],
            model.parameters[:size].copy(),
            None if end is None else end.name,
        )

    @property
    def shape(self) -> Shape:
        """The shape of an example behind the layers."""
        return shape_after(self.input_shape, self.layers)

    def __str__(self) -> str:
        """The call that took them."""
        return f"from_model(model{'' if self.before is None else f', before={self.before!r}'})"
