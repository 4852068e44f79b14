"""The way of an input through a network, as calls of C."""

from __future__ import annotations

import numpy as np

from pynn._base.errors import ArgumentError
from pynn.formats._c_layers import LAYERS
from pynn.formats._chain import Snapshot, Step


class Forward:
    """The way through the layers as calls, with buffers "a" and "b" between input and output.

    A dense layer goes from one buffer to the other, the last one to the output; what else there is
    works where its values are.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.kinds: set[str] = set()
        self.widths = {"a": 0, "b": 0}
        self.multiply_adds = 0

    @property
    def stack_nbytes(self) -> int:
        """The bytes of the buffers."""
        return 4 * sum(self.widths.values())

    @classmethod
    def of(cls, taken: Snapshot) -> Forward:
        """The calls for a chain."""
        forward, place = cls(), "input"
        last = max(k for k, step in enumerate(taken.steps) if step.layer.kind == "dense")
        for k, step in enumerate(taken.steps):
            kind = step.layer.kind
            if kind not in LAYERS:
                raise ArgumentError(f"{step.name}: there is no export of {kind} to C")
            to = place if place != "input" else "a"
            if kind == "dense":
                to = "output" if k == last else "b" if place == "a" else "a"
                forward.multiply_adds += step.inputs * step.outputs
            if to != "output":
                forward.widths[to] = max(forward.widths[to], step.outputs)
            forward.kinds.add(kind)
            if place == "input":
                forward._first(step, to)
            else:
                forward._call(step, place, to)
            place = to
        return forward

    def _call(self, step: Step, place: str, to: str, *, indent: int = 4) -> None:
        if step.layer.kind == "dense":
            sizes = f"{step.inputs}, {step.outputs}"
            suffix = "_bytes" if place == "bytes" else ""
            parameters = f"{step.name}_weight, {step.name}_bias"
            call = f"dense_layer{suffix}({sizes}, {place}, {parameters}, {to});"
            call += f" /* ({step.inputs}) to ({step.outputs}) */"
        else:
            slope = ""
            if step.layer.kind == "leaky_relu":
                slope = f"{number(float(np.float32(step.layer.slope)))}, "
            call = f"{step.layer.kind}_layer({step.outputs}, {slope}{place}, {to});"
        self.lines.append(" " * indent + call)

    def _first(self, step: Step, to: str) -> None:
        """The first layer, whose input may be bytes."""
        self.lines.append("    if (bytes != NULL) {")
        if step.layer.kind == "dense":
            self.kinds.add("dense_bytes")
            self._call(step, "bytes", to, indent=8)
        else:
            self.kinds.add("from_bytes")
            self.lines.append(f"        from_bytes({step.inputs}, bytes, {to});")
            self._call(step, to, to, indent=8)
        self.lines.append("    } else {")
        self._call(step, "input", to, indent=8)
        self.lines.append("    }")

    def body(self) -> str:
        """The statements, after their buffers."""
        buffers = [f"{name}[{width}]" for name, width in self.widths.items() if width]
        first = [f"    float {', '.join(buffers)}; /* what a layer hands to the next */", ""]
        return "\n".join((first if buffers else []) + self.lines)


def number(value: float) -> str:
    """A float as a constant of C that is the same float."""
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
