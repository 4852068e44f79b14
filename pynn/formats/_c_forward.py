"""The forward pass of a network as C statements: one call for each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pynn._network.layers import Layer
from pynn._network.spec import PlacedLayer, Spec, errors_of
from pynn.formats._c_functions import FROM_BYTES


class Forward:
    """The calls of a forward pass, with two buffers, "a" and "b", between input and output.

    A layer that works in place writes its outputs over its inputs. Any other layer reads one buffer
    and writes the other; the last of these layers writes the output array.
    """

    def __init__(self, layers: Sequence[PlacedLayer]) -> None:
        self.lines: list[str] = []
        self.widths = {"a": 0, "b": 0}
        self.multiply_adds = 0
        self._layers = layers

    @property
    def stack_nbytes(self) -> int:
        """The size of both buffers in bytes."""
        return 4 * sum(self.widths.values())

    @classmethod
    def of(cls, spec: Spec) -> Forward:
        """Make the calls for a chain of layers."""
        layers = [placed for placed in spec.placed_layers if placed.layer.in_use]
        forward, x = cls(layers), "input"
        last = max(k for k, placed in enumerate(layers) if not placed.layer.in_place)
        for k, placed in enumerate(layers):
            y = x if x != "input" else "a"
            if not placed.layer.in_place:
                y = "output" if k == last else "b" if x == "a" else "a"
            if y != "output":
                forward.widths[y] = max(forward.widths[y], placed.outputs)
            forward.multiply_adds += placed.layer.multiply_adds(placed.inputs)
            if x == "input":
                forward._call_first(placed, y)
            else:
                forward._call(placed, x, y)
            x = y
        return forward

    def functions(self, *, libc: bool) -> list[str]:
        """The C functions of the layers, one for each kind that the chain has.

        Args:
            libc: Whether the functions may call libc.

        Raises:
            ArgumentError: A kind of layer cannot be exported to C.
        """
        first_of_kind: dict[str, PlacedLayer] = {}
        for placed in self._layers:
            first_of_kind.setdefault(placed.layer.kind, placed)
        helpers: list[str] = []
        apart: list[str] = []
        in_place: list[str] = []
        for kind in Layer.kinds:
            if kind in first_of_kind:
                placed = first_of_kind[kind]
                with errors_of(placed.name):
                    code = placed.layer.c_function()
                (in_place if placed.layer.in_place else apart).append(code)
                helpers.append(placed.layer.c_helper(libc=libc))
        takes_bytes = self._layers[0].layer.c_bytes_function() or FROM_BYTES
        return [part for part in [*helpers, *apart, takes_bytes, *in_place] if part]

    def _call(self, placed: PlacedLayer, x: str, y: str, *, indent: int = 4) -> None:
        """Add the call of a layer from array x to array y."""
        layer, name = placed.layer, placed.name
        sizes = [placed.inputs] if layer.in_place else [placed.inputs, placed.outputs]
        options = [number(float(np.float32(value))) for value in layer.c_options()]
        parameters = [f"{name}_{parameter.name}" for parameter in placed.parameters]
        arguments = ", ".join([*map(str, sizes), *options, x, *parameters, y])
        suffix = "_bytes" if x == "bytes" else ""
        comment = "" if layer.in_place else f" /* ({placed.inputs}) to ({placed.outputs}) */"
        self.lines.append(f"{' ' * indent}{layer.kind}_layer{suffix}({arguments});{comment}")

    def _call_first(self, placed: PlacedLayer, y: str) -> None:
        """Add the calls of the first layer: for an input in bytes, and for one in floats."""
        self.lines.append("    if (bytes != NULL) {")
        if placed.layer.c_bytes_function():
            self._call(placed, "bytes", y, indent=8)
        else:
            self.lines.append(f"        from_bytes({placed.inputs}, bytes, {y});")
            self._call(placed, y, y, indent=8)
        self.lines.append("    } else {")
        self._call(placed, "input", y, indent=8)
        self.lines.append("    }")

    def body(self) -> str:
        """The declaration of the buffers, and the calls."""
        buffers = [f"{name}[{width}]" for name, width in self.widths.items() if width]
        first = [f"    float {', '.join(buffers)}; /* outputs of layers but the last */", ""]
        return "\n".join((first if buffers else []) + self.lines)


def number(value: float) -> str:
    """Write a float as a C constant that a compiler reads as the same float."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
