"""The layers that a chain has from a model, with their parameters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pynn._base.arrays import Floats
from pynn._network.choice import one
from pynn._network.class_names import Names
from pynn._network.layers import Layer, Shape
from pynn._network.losses import Loss
from pynn._network.snapshot import Snapshot
from pynn._network.spec import Spec, shape_after


class Beginning(NamedTuple):
    """The first layers of a model."""

    input_shape: Shape
    layers: tuple[Layer, ...]
    parameters: Floats
    """Those that the flat array of a model with these layers begins with."""
    before: str | None
    """The name of the first layer that was left out; None if all were taken."""
    loss: Loss | None = None
    """The loss of the model, if all layers were taken."""
    scale: Floats | None = None
    """The parameters of this loss: the mean and the scale of its targets, if it has them."""
    classes: Names | None = None
    """The names of the model's classes, if all layers were taken and it has names."""

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
        layers = model.spec.layers[: len(taken)]
        begun = cls(model.spec.input_shape, layers, model.parameters[:size].copy(), None)
        if end is not None:
            return begun._replace(before=end.name)
        scale = model.parameters[size:].copy()
        return begun._replace(loss=model.spec.loss, scale=scale, classes=model.classes)

    def kept(self, spec: Spec) -> tuple[Floats, Names | None]:
        """What a network with this beginning keeps: its first parameters, and names of classes.

        Names, and the scale of targets, are about the outputs. They are kept if the outputs are
        still those of the model, and the loss is of the same kind.
        """
        if self.loss is None or self.scale is None or len(spec.layers) > len(self.layers):
            return self.parameters, None
        classes = self.classes if spec.loss.has_classes else None
        if spec.loss != self.loss:
            return self.parameters, classes
        return np.concatenate([self.parameters, self.scale]), classes

    @property
    def shape(self) -> Shape:
        """The shape of an example behind the layers."""
        return shape_after(self.input_shape, self.layers)

    def __str__(self) -> str:
        """The call that took them."""
        return f"from_model(model{'' if self.before is None else f', before={self.before!r}'})"
