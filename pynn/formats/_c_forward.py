"""The forward pass of a network as C statements: one call for each layer."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pynn._network.layers import Layer
from pynn._network.parameters import TARGETS
from pynn._network.spec import PlacedLayer, Spec, errors_of
from pynn.formats._c_fold import CLayer, layers_of
from pynn.formats._c_functions import FROM_BYTES


class _Call(NamedTuple):
    """A layer that reads one array and writes another, by name: "input", "a", "b", "output"."""

    layer: CLayer
    x: str
    y: str
    floats: str = ""
    """Where an input in bytes becomes one in floats, if the layer cannot read bytes itself."""


class Forward:
    """The calls of a forward pass, with two buffers, "a" and "b", between input and output.

    A layer that works in place writes its outputs over its inputs. Any other layer reads one buffer
    and writes the other; the last of these layers writes the output array.

    The buffers are two arrays on the stack. Of a network of images, whose outputs are large, they
    are the beginning and the end of one static array, which is as large as the largest two values
    that follow each other.

    Attributes:
        layers: The layers of the file.
        lines: The calls.
        stack_nbytes: The size of the buffers on the stack.
        static_nbytes: The size of the static buffer.
        multiply_adds: How many there are.
    """

    def __init__(self, layers: Sequence[CLayer]) -> None:
        self.layers = layers
        self._calls = _calls_of(layers)
        self._last_function = ""
        self._one_buffer = any(len(layer.placed.input_shape) > 1 for layer in layers)
        values = _values_of(self._calls)
        self._widths = {
            name: max((width for own, width in values if own == name), default=0) for name in "ab"
        }
        both = [sum(widths) for widths in pairwise(width for _, width in values)]
        self._peak = max(both, default=sum(self._widths.values()))
        self.stack_nbytes = 0 if self._one_buffer else 4 * sum(self._widths.values())
        self.static_nbytes = 4 * self._peak if self._one_buffer else 0
        placed = [layer.placed for layer in layers]
        self.multiply_adds = sum(it.layer.multiply_adds(it.input_shape) for it in placed)
        self.lines: list[str] = []
        for number, call in enumerate(self._calls):
            if number == 0 and call.layer.placed.layer.takes_bytes:
                self._call_first(call)
            else:
                self._call(call.layer, self._at(call.x, call), self._at(call.y, call))

    @classmethod
    def of(cls, spec: Spec) -> Forward:
        """Make the calls for a chain of layers, and for its loss, which may rescale the outputs."""
        forward = cls(layers_of(spec))
        if spec.loss.parameters(spec.outputs):
            call = f"    rescale({spec.outputs}, {TARGETS}_mean, {TARGETS}_scale, output);"
            forward.lines.append(call)
            forward._last_function = spec.loss.c_outputs_function()
        return forward

    def functions(self, *, libc: bool) -> list[str]:
        """The C functions of the layers, one for each kind that the chain has.

        Args:
            libc: Whether the functions may call libc.

        Raises:
            ArgumentError: A kind of layer cannot be exported to C.
        """
        first_of_kind: dict[str, PlacedLayer] = {}
        for layer in self.layers:
            first_of_kind.setdefault(layer.placed.layer.kind, layer.placed)
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
        takes_bytes, first = "", self.layers[0].placed.layer
        if first.takes_bytes:
            takes_bytes = first.c_bytes_function() or FROM_BYTES
        parts = [*dict.fromkeys(helpers), *apart, takes_bytes, *in_place, self._last_function]
        return [part for part in parts if part]

    def _at(self, name: str, call: _Call) -> str:
        """The C expression for one of the arrays of a call."""
        if name not in self._widths or not self._one_buffer:
            return name
        if name == "a":
            return "buffer"
        placed = call.layer.placed
        offset = self._peak - (placed.outputs if name == call.y else placed.inputs)
        return f"buffer + {offset}" if offset else "buffer"

    def _call(self, layer: CLayer, x: str, y: str, *, indent: int = 4) -> None:
        """Add the call of a layer from array x to array y."""
        placed = layer.placed
        kind = placed.layer
        sizes = kind.c_sizes(placed.input_shape, placed.output_shape)
        options = [number(float(np.float32(value))) for value in kind.c_options()]
        arguments = ", ".join([*sizes, *options, x, *layer.constants, y])
        suffix = "_bytes" if x == "bytes" else ""
        call = f"{kind.kind}_layer{suffix}({arguments});"
        if layer.folded:
            call += f" /* and {', '.join(norm.name for norm in layer.folded)} */"
        elif not kind.in_place and len(placed.input_shape) == 1:
            call += f" /* ({placed.inputs}) to ({placed.outputs}) */"
        blanks = " " * indent
        self.lines += textwrap.wrap(
            call, 100, initial_indent=blanks, subsequent_indent=f"{blanks}    "
        )

    def _call_first(self, call: _Call) -> None:
        """Add the calls of the first layer: for an input in bytes, and for one in floats."""
        layer, y = call.layer, self._at(call.y, call)
        self.lines.append("    if (bytes != NULL) {")
        if not call.floats:
            self._call(layer, "bytes", y, indent=8)
        else:
            floats = y if call.floats == call.y else self._at(call.floats, call)
            self.lines.append(f"        from_bytes({layer.placed.inputs}, bytes, {floats});")
            self._call(layer, floats, y, indent=8)
        self.lines.append("    } else {")
        self._call(layer, "input", y, indent=8)
        self.lines.append("    }")

    def body(self) -> str:
        """The declaration of the buffers, and the calls."""
        if self._one_buffer:
            say = "outputs of layers but the last, in turn at its beginning and at its end"
            first = [f"    /* {say} */", f"    NAME_BUFFER float buffer[{self._peak}];", ""]
            return "\n".join((first if self._peak else []) + self.lines)
        buffers = [f"{name}[{width}]" for name, width in self._widths.items() if width]
        first = [f"    float {', '.join(buffers)}; /* outputs of layers but the last */", ""]
        return "\n".join((first if buffers else []) + self.lines)


def _calls_of(layers: Sequence[CLayer]) -> list[_Call]:
    """Choose the arrays that each layer reads and writes."""
    calls: list[_Call] = []
    x = "input"
    last = max(k for k, it in enumerate(layers) if not it.placed.layer.in_place)
    for k, it in enumerate(layers):
        layer = it.placed.layer
        y, floats = x if x != "input" else "a", ""
        if not layer.in_place:
            y = "output" if k == last else "b" if x == "a" else "a"
        if x == "input" and layer.takes_bytes and not layer.c_bytes_function():
            floats = y if layer.in_place else "b" if y == "a" else "a"
        calls.append(_Call(it, x, y, floats))
        x = y
    return calls


def _values_of(calls: Sequence[_Call]) -> list[tuple[str, int]]:
    """What is in the buffers, one after the other: the buffer's name, and how many floats."""
    values: list[tuple[str, int]] = []
    for call in calls:
        placed = call.layer.placed
        if call.floats and call.floats != call.y:
            values.append((call.floats, placed.inputs))
        if call.y != "output" and call.y != call.x:
            values.append((call.y, placed.outputs))
    return values


def number(value: float) -> str:
    """Write a float as a C constant that a compiler reads as the same float."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
