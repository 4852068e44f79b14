"""Write ONNX files, which onnxruntime and many other programs run: https://onnx.ai.

The graph has one input, "input" (batch, inputs) or (batch, channels, height, width), and one
output, "output" or "probabilities" (batch, outputs), all float32; "batch" is any number of rows.
Parameters are initializers with the names and shapes of `Model.parameters`, so "dense1.weight" is
(inputs, outputs); only those of a layer_norm of images are (channels, height, width). A layer
becomes one operator, such as Gemm for a dense layer, or several where the opset has none for it:
GELU is made of Erf and others, because its own operator came only with opset 20. Dropout is left
out, as it does nothing in prediction. With the loss poisson the output is the rates that `predict`
gives.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pynn._base import checks, words
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentError
from pynn._model import Model
from pynn._native.library import version
from pynn._network.layers import Shape
from pynn._network.parameters import views
from pynn._network.snapshot import Snapshot
from pynn._network.spec import PlacedLayer, Spec, errors_of
from pynn.formats._models import checked, finite_snapshot

OPSET = 13
"""The version of the set of operators. It is that of 2020, which every runtime knows."""

IR_VERSION = 7
"""The version of the file format: the one that came with this opset."""

MAX_NBYTES = 2**31 - 2**20
"""The most bytes of parameters. A file is one message of Protocol Buffers, which must be smaller
than 2 GiB."""


@words.corrected
def save(model: Model, path: str | os.PathLike[str], *, probabilities: bool = False) -> None:
    """Write a model as an ONNX file. `Model.export_onnx` calls this function, and documents it."""
    checked(model)
    path = checks.path("path", path)
    try:
        import onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ImportError(
            "an export to ONNX needs the package onnx: pip install 'pynn-blas[onnx]'"
        ) from error
    snapshot = finite_snapshot(model)
    if 4 * model.parameter_count > MAX_NBYTES:
        raise ArgumentError(
            f"an ONNX file holds at most {MAX_NBYTES:,} bytes of parameters, and the model has"
            f" {4 * model.parameter_count:,}; save it as safetensors, with Model.save"
        )
    graph = _Graph(onnx, snapshot, probabilities)
    write_atomically(path, graph.to_bytes(snapshot))


class _Graph:
    """A graph that grows layer by layer; `self.value` is the name of the last layer's output."""

    def __init__(self, onnx: Any, snapshot: Snapshot, probabilities: bool) -> None:
        self._onnx = onnx
        self.FLOAT, self.INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
        self._nodes: list[Any] = []
        self._initializers: dict[str, Any] = {}
        self._parameters = snapshot.named
        self.value = "input"
        layers = [placed for placed in snapshot.spec.placed_layers if placed.layer.in_use]
        has_images, end = len(layers[-1].output_shape) > 1, "output"
        loss = snapshot.spec.loss
        if probabilities or loss.has_rates:
            end = "rows" if has_images else layers[-1].name
        own = [
            view.name for view in views(snapshot.spec) if view.layer == len(snapshot.spec.layers)
        ]
        for name in own:
            self.constant(name, self._parameters[name])
            end = "standardized"
        for placed in layers[:-1]:
            self._add_layer(placed, placed.name)
        self._add_layer(layers[-1], layers[-1].name if has_images else end)
        if has_images:
            self.value = self.add("Flatten", [self.value], end, axis=1)
        if own:
            self.value = "output"
            snapshot.spec.loss.add_outputs_to_onnx(self, end, own, self.value)
        if probabilities:
            loss.add_probabilities_to_onnx(self, self.value, "probabilities")
            self.value = "probabilities"
        elif loss.has_rates:
            self.value = self.add("Exp", [self.value], "output")

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operator that makes the value called `output`; return that name."""
        node = self._onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)
        self._nodes.append(node)
        return output

    def constant(self, name: str, value: Any) -> str:
        """Add an array or a number that operators can take as an input; return its name."""
        values = np.asarray(value, np.float32)
        self._initializers[name] = self._onnx.numpy_helper.from_array(values, name)
        return name

    def integers(self, name: str, values: Any) -> str:
        """Add integers that operators can take as an input; return their name."""
        array = np.asarray(values, np.int64)
        self._initializers[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def reshaped(self, name: str, shape: Shape) -> str:
        """Give a parameter another shape, with its values in the same order; return its name."""
        return self.constant(name, self._parameters[name].reshape(shape))

    def _add_layer(self, placed: PlacedLayer, output: str) -> None:
        names = [f"{placed.name}.{parameter.name}" for parameter in placed.parameters]
        for name in names:
            self.constant(name, self._parameters[name])
        with errors_of(placed.name):
            placed.layer.add_to_onnx(
                self, self.value, names, placed.name, output, placed.input_shape
            )
        self.value = output

    def _say_of_input(self, spec: Spec) -> str:
        if spec.layers[0].takes_bytes:
            return "uint8 input is to be divided by 255."
        return "input: numbers, NaN where missing, and codes; metadata_props has the columns."

    def to_bytes(self, snapshot: Snapshot) -> bytes:
        """The content of the file. The same model always gives the same bytes."""
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        shapes = {"input": snapshot.spec.input_shape, self.value: (snapshot.spec.outputs,)}
        first, last = (
            helper.make_tensor_value_info(name, float32, ["batch", *shape])
            for name, shape in shapes.items()
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
            doc_string=f"{snapshot.spec}\n{self._say_of_input(snapshot.spec)}",
        )
        metadata = {
            name: json.dumps(value, ensure_ascii=False)
            for placed in snapshot.spec.placed_layers
            for name, value in placed.layer.metadata().items()
        }
        if snapshot.classes is not None:
            metadata["classes"] = json.dumps(snapshot.classes)
        if metadata:
            helper.set_model_props(model, metadata)
        contents: bytes = model.SerializeToString(deterministic=True)
        return contents


__all__ = ["save"]
