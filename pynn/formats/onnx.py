"""ONNX files, which onnxruntime and many other programs run: https://onnx.ai.

The graph has one input, "input" (batch, inputs), and one output, "output" or "probabilities"
(batch, outputs), all float32; "batch" is any number of rows. A dense layer is a Gemm with
initializers of the names and shapes that `Model.parameters` has, so "dense1.weight" is (inputs,
outputs). GELU is spelt out with Erf, since an operator of its own came only with opset 20. Dropout
does nothing in use and is left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pynn._base import checks
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentError
from pynn._native.library import version
from pynn.formats._chain import Snapshot, Step, snapshot

if TYPE_CHECKING:
    from pynn._model import Model

OPSET = 13
"""The operators' version: that of 2020, which has all that is needed and every runtime knows."""

IR_VERSION = 7
"""The file format's version: the one that came with this opset."""

MAX_NBYTES = 2**31 - 2**20
"""The most bytes of parameters: the file is one message of Protocol Buffers, of less than 2 GiB."""

_SIMPLE = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}
_LAST = {"softmax_cross_entropy": "Softmax", "binary_cross_entropy": "Sigmoid"}


def export(model: Model, path: str | os.PathLike[str], *, probabilities: bool = False) -> None:
    """Write a model as an ONNX file. `Model.export_onnx` is this function, and documents it."""
    path = checks.path("path", path)
    try:
        import onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ImportError(
            "an export to ONNX needs the package onnx: pip install 'pynn-blas[onnx]'"
        ) from error
    taken = snapshot(model)
    if 4 * model.parameter_count > MAX_NBYTES:
        raise ArgumentError(
            f"an ONNX file holds at most {MAX_NBYTES:,} bytes of parameters, and the model has"
            f" {4 * model.parameter_count:,}; save it as safetensors, with Model.save"
        )
    graph = _Graph(onnx, taken, probabilities)
    write_atomically(path, graph.to_bytes(taken))


class _Graph:
    """A graph as it grows: each step takes `self.value`, the name of what came before it."""

    def __init__(self, onnx: Any, taken: Snapshot, probabilities: bool) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._initializers: dict[str, Any] = {}
        self.value = "input"
        *first, last = taken.steps
        for step in first:
            self._add_step(step, step.name, taken)
        if probabilities:
            operator = _last_operator(taken)
            self._add_step(last, last.name, taken)
            axis = {"axis": 1} if operator == "Softmax" else {}
            self._add(operator, [self.value], "probabilities", **axis)
        else:
            self._add_step(last, "output", taken)

    def _add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        node = self._onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)
        self._nodes.append(node)
        self.value = output

    def _constant(self, name: str, array: Any) -> str:
        values = np.asarray(array, np.float32)
        self._initializers[name] = self._onnx.numpy_helper.from_array(values, name)
        return name

    def _add_step(self, step: Step, output: str, taken: Snapshot) -> None:
        kind = step.layer.kind
        if kind == "dense":
            names = (f"{step.name}.weight", f"{step.name}.bias")
            operands = [self._constant(name, taken.parameters[name]) for name in names]
            self._add("Gemm", [self.value, *operands], output)
        elif kind == "leaky_relu":
            self._add("LeakyRelu", [self.value], output, alpha=step.layer.slope)
        elif kind == "gelu":
            self._add_gelu(step.name, output)
        elif kind in _SIMPLE:
            self._add(_SIMPLE[kind], [self.value], output)
        else:
            raise ArgumentError(f"{step.name}: there is no export of {kind} to ONNX")

    def _add_gelu(self, name: str, output: str) -> None:
        """Add x (1 + erf(x / sqrt 2)) / 2, in the order in which runtimes know it and fuse it."""
        x = self.value
        self._add("Div", [x, self._constant("sqrt_2", np.sqrt(2.0))], f"{name}.scaled")
        self._add("Erf", [self.value], f"{name}.erf")
        self._add("Add", [self.value, self._constant("one", 1.0)], f"{name}.erf_plus_1")
        self._add("Mul", [x, self.value], f"{name}.twice")
        self._add("Mul", [self.value, self._constant("half", 0.5)], output)

    def to_bytes(self, taken: Snapshot) -> bytes:
        """The file: what is the same gives the same bytes."""
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        shapes = {"input": taken.spec.inputs, self.value: taken.spec.outputs}
        first, last = (
            helper.make_tensor_value_info(name, float32, ["batch", width])
            for name, width in shapes.items()
        )
        graph = helper.make_graph(
            self._nodes, "pynn", [first], [last], initializer=list(self._initializers.values())
        )
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="pynn",
            producer_version=version(),
            doc_string=f"{taken.spec}\nuint8 input is to be divided by 255.",
        )
        contents: bytes = model.SerializeToString(deterministic=True)
        return contents


def _last_operator(taken: Snapshot) -> str:
    """What makes probabilities of the outputs."""
    loss = taken.spec.loss
    if loss not in _LAST:
        raise ArgumentError(
            f"probabilities must be False for a model with {loss}, whose outputs are no logits"
        )
    return _LAST[loss]


__all__ = ["export"]
