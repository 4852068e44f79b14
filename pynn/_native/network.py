"""The C library's network: a chain of layers without its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from pynn._base.arrays import Floats
from pynn._base.errors import OutOfMemoryError
from pynn._native import library
from pynn._native.library import check, create, ffi, floats, lib
from pynn._network.layers import Layer
from pynn._network.losses import Loss
from pynn._network.spec import Spec


def _describe(struct: Any, what: Layer | Loss, options: dict[str, Any]) -> list[Any]:
    """Fill in a pynn_layer or a pynn_loss; the options go to the member named like the kind.

    Returns what the struct points to: the caller must keep it as long as the struct.
    """
    struct.kind = getattr(lib, f"PYNN_{what.kind.upper()}")
    kept = []
    for name, value in options.items():
        if isinstance(value, str):  # a value of the enum that is named like the option
            value = getattr(lib, f"PYNN_{name.upper()}_{value.upper()}")
        if isinstance(value, list) and isinstance(value[0], dict):
            value = _array(name.removesuffix("s"), value)
            kept.append(value)
        setattr(getattr(struct, what.kind), name, value)
    return kept


def _array(name: str, items: list[dict[str, Any]]) -> Any:
    """An array of structs called pynn_NAME, each of which has a kind."""
    kinds = [getattr(lib, f"PYNN_{name.upper()}_{item['kind'].upper()}") for item in items]
    structs = [item | {"kind": kind} for item, kind in zip(items, kinds, strict=True)]
    return ffi.new(f"pynn_{name}[]", structs)


class Network:
    """A network of the C library: a chain of layers without its parameters; immutable.

    Args:
        spec: The chain of layers and its loss.

    Raises:
        ArgumentError: The layers do not form a network.
        OutOfMemoryError: There is no memory for the network.
    """

    def __init__(self, spec: Spec) -> None:
        layers = ffi.new("pynn_layer[]", len(spec.layers))
        kept = [
            _describe(described, placed.layer, placed.layer.c_struct(placed.input_shape))
            for described, placed in zip(layers, spec.placed_layers, strict=True)
        ]
        for described, placed in zip(layers, spec.placed_layers, strict=True):
            described.frozen = placed.frozen
        objective = ffi.new("pynn_loss *")
        _describe(objective, spec.loss, vars(spec.loss))
        shape = ffi.new("pynn_shape *", [*spec.input_shape, 1, 1][:3])
        description = library.allocator, shape, layers, len(layers), objective
        self.handle = create(
            "pynn_network", lib.pynn_network_create_shaped, lib.pynn_network_destroy, *description
        )
        del kept  # C has copied what the layers point to
        self.input_shape = spec.input_shape
        self.inputs = spec.inputs
        self.outputs = int(lib.pynn_network_outputs(self.handle))
        self.parameter_count = int(lib.pynn_network_parameter_count(self.handle))

    def views(self) -> list[tuple[int, str, tuple[int, ...], int, bool, bool]]:
        """List C's view of each parameter: (layer, name, shape, offset, decays, trained)."""
        return [self._view(k) for k in range(lib.pynn_network_view_count(self.handle))]

    def _view(self, index: int) -> tuple[int, str, tuple[int, ...], int, bool, bool]:
        view = ffi.new("pynn_parameter_view *")
        check(lib.pynn_network_view(self.handle, index, view))
        name, shape = library._string(view.name), tuple(view.dims[0 : view.ndim])
        return view.layer, name, shape, view.offset, bool(view.decays), bool(view.trained)

    def new_parameters(self) -> Floats:
        """Allocate parameters: float32 zeros, shape (parameter_count,), aligned to 64 bytes.

        Raises:
            OutOfMemoryError: There is no memory for the array.
        """
        count = self.parameter_count
        try:
            memory = np.zeros(count + 16, np.float32)
        except (MemoryError, ValueError):  # ValueError: more bytes than can be addressed
            raise OutOfMemoryError(f"out of memory for {count:,} parameters") from None
        start = -memory.ctypes.data % 64 // 4
        return memory[start : start + count]

    def initialize(self, seed: int) -> Floats:
        """Draw initial parameters from a seed; float32, shape (parameter_count,)."""
        parameters = self.new_parameters()
        pointer = floats(parameters, self.parameter_count, writable=True)
        check(lib.pynn_network_initialize(self.handle, seed, pointer))
        return parameters
