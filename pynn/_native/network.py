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
_INITS: dict[str, int] = {
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


class ParameterView(NamedTuple):
    """An array of parameters of a layer, as the C library places it."""

    layer: int
    """The number of its layer, from 0."""
    name: str
    dims: tuple[int, ...]
    offset: int
    """Where it begins in the flat array, in floats."""
    decays: bool
    """Whether weight decay makes it smaller."""
    trained: bool
    """Whether training changes it."""


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
            for (
                name,
                value,
            ) in layer.arguments().items():  # in the member that is named like the kind
                setattr(getattr(spec, layer.kind), name, _INITS.get(value, value))
        objective = ffi.new("pynn_loss *", {"kind": _LOSSES[loss]})
        if label_smoothing:
            objective.softmax_cross_entropy.label_smoothing = label_smoothing
        description = library.allocator, inputs, specs, len(layers), objective
        self.handle = create(
            "pynn_network", lib.pynn_network_create, lib.pynn_network_destroy, *description
        )
        self.inputs = inputs
        self.outputs = int(lib.pynn_network_outputs(self.handle))
        self.parameter_count = int(lib.pynn_network_parameter_count(self.handle))
        views = self.views()
        self.dense_views = [
            DenseView(weight.dims[0], weight.dims[1], weight.offset, bias.offset)
            for weight, bias in zip(views[::2], views[1::2], strict=True)
        ]

    def views(self) -> list[ParameterView]:
        """All arrays of parameters, in the order in which they lie."""
        return [self._view(k) for k in range(lib.pynn_network_view_count(self.handle))]

    def _view(self, index: int) -> ParameterView:
        view = ffi.new("pynn_parameter_view *")
        check(lib.pynn_network_view(self.handle, index, view))
        name = library._string(view.name)
        dims = tuple(view.dims[0 : view.ndim])
        return ParameterView(
            view.layer, name, dims, view.offset, bool(view.decays), bool(view.trained)
        )

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
