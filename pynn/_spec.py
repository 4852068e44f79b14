"""The architecture of a network as plain data, and as the JSON that files keep it in."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from pynn._base.checks import shown
from pynn._base.errors import ArgumentError
from pynn._native.network import Layer, Loss

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
    label_smoothing: float = 0.0

    @property
    def outputs(self) -> int:
        """The width at the end of the chain."""
        return [layer.outputs for layer in self.layers if layer.kind == "dense"][-1]

    @property
    def answers(self) -> int:
        """How many right or wrong answers the network gives for an example: its accuracy's base."""
        counts = {"softmax_cross_entropy": 1, "mean_squared_error": 0}
        return counts.get(self.loss, self.outputs)

    @property
    def loss_name(self) -> str:
        """The loss with what it takes."""
        share = self.label_smoothing
        return f"{self.loss}(label_smoothing={shown(share)})" if share else self.loss

    def __str__(self) -> str:
        return " -> ".join([str(self.inputs), *map(str, self.layers), self.loss_name])

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

    def to_plain(self) -> list[Any]:
        """All of it in lists and plain values, for what keeps objects."""
        return [self.inputs, list(map(list, self.layers)), *self[2:]]

    @classmethod
    def from_plain(cls, kept: list[Any]) -> Spec:
        """The chain that to_plain() gave."""
        inputs, layers, *rest = kept
        return cls(inputs, tuple(Layer(*layer) for layer in layers), *rest)

    def to_json(self) -> str:
        """The chain as JSON: {"input": 784, "layers": [{"kind": "relu"}, ...], "loss": ...}."""
        import json  # here, since it takes a while and only files need it

        layers = [{"kind": layer.kind, **layer.arguments()} for layer in self.layers]
        chain: dict[str, Any] = {"input": self.inputs, "layers": layers, "loss": self.loss}
        if self.label_smoothing:
            chain["label_smoothing"] = self.label_smoothing
        return json.dumps(chain)
