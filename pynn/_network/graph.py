"""What layers and losses need of an ONNX graph, to which they add themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class OnnxGraph(Protocol):
    """An ONNX graph, to which layers and losses add their operators."""

    FLOAT: int
    """The number of ONNX's type of float32; also that of the attribute `to` of a Cast."""
    INT64: int

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operator that makes the value called `output`; return that name."""

    def constant(self, name: str, value: float) -> str:
        """Add a number that operators can take as an input; return its name."""

    def integers(self, name: str, values: int | Sequence[int]) -> str:
        """Add integers that operators can take as an input; return their name."""

    def reshaped(self, name: str, shape: tuple[int, ...]) -> str:
        """Give a parameter another shape, with its values in the same order; return its name."""
