"""The architecture of a network as plain data, and as the JSON that files keep it in."""

from __future__ import annotations

import sys
from typing import NamedTuple

from pynn._boundary import Layer, Loss
from pynn._errors import ArgumentError

MAX_WIDTH = 2**31 - 1
"""The widest that a layer may be: BLAS counts in int."""

MAX_LAYERS = 4096
"""The most layers of a chain, whose cost grows with their square: a file may claim any number."""


MAX_PARAMETERS = (2 * sys.maxsize + 1) // 4
"""More floats than these have more bytes than can be addressed."""


class Spec(NamedTuple):
    """A chain of layers from its input to its loss."""

    inputs: int
    layers: tuple[Layer, ...]
    loss: Loss

    def __str__(self) -> str:
        return " -> ".join([str(self.inputs), *map(str, self.layers), self.loss])

    def check_size(self) -> None:
        """Raise an ArgumentError that names the layer with which the parameters are too many."""
        count, width = 0, self.inputs
        for number, layer in enumerate(self.layers, start=1):
            if layer.kind != "dense":
                continue
            count += (width + 1) * layer.outputs
            width = layer.outputs
            if count > MAX_PARAMETERS:
                raise ArgumentError(
                    f"layer {number}: dense: the network has {count:,} parameters up to here, and"
                    f" must have at most {MAX_PARAMETERS:,}"
                )

    def to_json(self) -> str:
        """The chain as JSON: {"input": 784, "layers": [{"kind": "relu"}, ...], "loss": ...}."""
        import json  # here, since it takes a while and only files need it

        layers = [{"kind": layer.kind, **layer.arguments()} for layer in self.layers]
        return json.dumps({"input": self.inputs, "layers": layers, "loss": self.loss})
