"""A chain of layers, as the C library describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from pynn._base.arrays import Floats
from pynn._base.errors import OutOfMemoryError
from pynn._native import library
from pynn._native.library import check, create, ffi, floats, lib

LayerKind = Literal["dense", "relu", "leaky_relu", "gelu", "sigmoid", "tanh", "dropout"]
Init = Literal["he", "xavier"]
Loss = Literal["softmax_cross_entropy", "mean_squared_error", "binary_cross_entropy"]

_KINDS: dict[str, int] = {
    "dense": lib.PYNN_DENSE,
    "relu": lib.PYNN_RELU,
    "leaky_relu": lib.PYNN_LEAKY_RELU,
    "gelu": lib.PYNN_GELU,
    "sigmoid": lib.PYNN_SIGMOID,
    "tanh": lib.PYNN_TANH,
    "dropout": lib.PYNN_DROPOUT,
}
_INITS: dict[str | None, int] = {
    None: lib.PYNN_INIT_NONE,
    "he": lib.PYNN_INIT_HE,
    "xavier": lib.PYNN_INIT_XAVIER,
}
_LOSSES: dict[str, int] = {
    "softmax_cross_entropy": lib.PYNN_SOFTMAX_CROSS_ENTROPY,
    "mean_squared_error": lib.PYNN_MEAN_SQUARED_ERROR,
    "binary_cross_entropy": lib.PYNN_BINARY_CROSS_ENTROPY,
}


class Layer(NamedTuple):
    """One layer of a chain.

    `outputs` and `init` are for dense layers, `slope` is for leaky ReLU, `rate` for dropout.
    """

    kind: LayerKind
    outputs: int = 0
    init: Init | None = None
    slope: float = 0.0
    rate: float = 0.0

    def arguments(self) -> dict[str, Any]:
        """What the builder's step for it takes, by name."""
        if self.kind == "dense":
            return {"outputs": self.outputs, "init": self.init}
        if self.kind == "leaky_relu":
            return {"slope": self.slope}
        return {"rate": self.rate} if self.kind == "dropout" else {}

    def __str__(self) -> str:
        arguments = ", ".join(map(str, self.arguments().values()))
        return f"{self.kind}({arguments})" if arguments else self.kind


class DenseView(NamedTuple):
    """Where a dense layer's parameters lie in the flat array, in floats."""

    inputs: int
    outputs: int
    weights_offset: int
    bias_offset: int


class Network:
    """A chain of layers, as the C library describes it; immutable.

    Args:
        inputs: Number of features.
        layers: The layers, in order.
        loss: The loss at the end.
        label_smoothing: Of softmax cross-entropy.

    Raises:
        ArgumentError: The layers make no network.
        OutOfMemoryError: There is no memory for it.
    """

    def __init__(
        self, inputs: int, layers: Sequence[Layer], loss: Loss, label_smoothing: float = 0.0
    ) -> None:
        specs = ffi.new("pynn_layer[]", len(layers))
        for spec, layer in zip(specs, layers, strict=True):
            spec.kind = _KINDS[layer.kind]
            spec.outputs = layer.outputs
            spec.init = _INITS[layer.init]
            spec.slope = layer.slope
            spec.rate = layer.rate
        objective = ffi.new("pynn_loss *", (_LOSSES[loss], label_smoothing))[0]
        description = library.allocator, inputs, specs, len(layers), objective
        self.handle = create(
            "pynn_network", lib.pynn_network_create, lib.pynn_network_destroy, *description
        )
        self.inputs = inputs
        self.outputs = int(lib.pynn_network_outputs(self.handle))
        self.parameter_count = int(lib.pynn_network_parameter_count(self.handle))
        self.dense_views = [
            self._dense(k) for k in range(lib.pynn_network_dense_count(self.handle))
        ]

    def _dense(self, index: int) -> DenseView:
        view = ffi.new("pynn_dense_view *")
        check(lib.pynn_network_dense(self.handle, index, view))
        return DenseView(view.inputs, view.outputs, view.weights_offset, view.bias_offset)

    def new_parameters(self) -> Floats:
        """A float32 array of shape (parameter_count,), zeros, at a multiple of 64 bytes.

        Raises:
            OutOfMemoryError: There is no memory for it.
        """
        count = self.parameter_count
        try:
            memory = np.zeros(count + 16, np.float32)
        except (MemoryError, ValueError):  # ValueError: more bytes than can be addressed
            raise OutOfMemoryError(f"out of memory for {count:,} parameters") from None
        start = -memory.ctypes.data % 64 // 4
        return memory[start : start + count]

    def initialize(self, seed: int) -> Floats:
        """New parameters, drawn from the seed; shape (parameter_count,)."""
        parameters = self.new_parameters()
        pointer = floats(parameters, self.parameter_count, writable=True)
        check(lib.pynn_network_initialize(self.handle, seed, pointer))
        return parameters
