"""ONNX files: what onnx's checker and onnxruntime make of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from random_networks import (
    ACTIVATIONS,
    LOSSES,
    OF_FEATURES,
    OF_IMAGES,
    kinds_in,
    random_inputs,
    random_network,
    unknown_layer,
)

import pynn
from pynn.formats import onnx as exporter

onnx: Any = pytest.importorskip("onnx")
onnxruntime: Any = pytest.importorskip("onnxruntime")

NETWORKS = 200


def session(path: Path) -> Any:
    """The file, opened by onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path: Path, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What onnxruntime makes of some rows."""
    opened = session(path)
    shape = opened.get_inputs()[0].shape[1:]
    (out,) = opened.run(None, {"input": x.reshape(len(x), *shape)})
    return np.asarray(out)


@pytest.fixture
def model() -> pynn.Model:
    """A small classifier."""
    chain = pynn.Builder().input(5).dense(4).gelu().dense(3).leaky_relu(0.125).dense(2).gelu()
    return chain.softmax_cross_entropy().build(seed=3)


# ------------------------------------------------------------ random networks


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_onnxruntime_agrees(seed: int, tmp_path: Path) -> None:
    """The checker accepts the file, and outputs are within 1e-5 of ours, or of the largest."""
    model = random_network(seed)
    path = tmp_path / "model.onnx"
    model.export_onnx(path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    x, _ = random_inputs(model, 9)
    expected = np.exp(model(x)) if model._spec.loss.has_rates else model(x)
    got = run(path, x)
    assert got.shape == expected.shape and got.dtype == np.float32
    assert np.abs(got - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_every_layer_and_loss_occurs() -> None:
    """Among the random networks is all that the builder has."""
    found = kinds_in([random_network(seed) for seed in range(NETWORKS)])
    assert found == {"dense", *OF_IMAGES, *OF_FEATURES, *ACTIVATIONS, *LOSSES}


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy"])
def test_probabilities(loss: str, tmp_path: Path) -> None:
    """With probabilities the output is that of predict_proba, also for large logits."""
    chain: Any = pynn.Builder().input(6).dense(9).tanh().dense(4)
    model = getattr(chain, loss)().build(seed=1)
    model.parameters["dense2.bias"][...] = [0, 300, -300, 299]
    path = tmp_path / "model.onnx"
    model.export_onnx(path, probabilities=True)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    x, _ = random_inputs(model, 20)
    np.testing.assert_allclose(run(path, x), model.predict_proba(x), rtol=1e-5, atol=1e-6)


def test_probabilities_of_a_regression_are_refused(tmp_path: Path) -> None:
    """Its outputs are numbers, not logits."""
    chain: Any = pynn.Builder().input(6).dense(1)
    with pytest.raises(pynn.ArgumentError, match="with mean_squared_error: its outputs are not"):
        chain.mean_squared_error().build().export_onnx(tmp_path / "a", probabilities=True)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------ what is in a file


def test_graph_is_as_documented(model: pynn.Model, tmp_path: Path) -> None:
    """Names and shapes of input, output and parameters; who made it, and which versions."""
    model.export_onnx(tmp_path / "model.onnx")
    file = onnx.load(tmp_path / "model.onnx")

    def shape(value: Any) -> tuple[str, list[str | int]]:
        dims = value.type.tensor_type.shape.dim
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        return value.name, [dim.dim_param or dim.dim_value for dim in dims]

    assert [shape(value) for value in file.graph.input] == [("input", ["batch", 5])]
    assert [shape(value) for value in file.graph.output] == [("output", ["batch", 2])]
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in file.graph.initializer}
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(tensors.pop(name), array)
    assert sorted(tensors) == ["half", "one", "sqrt_2"]  # of GELU, once
    assert (file.producer_name, file.producer_version) == ("pynn", pynn.__version__)
    assert [(o.domain, o.version) for o in file.opset_import] == [("", 13)]
    assert file.ir_version == 7
    assert str(model._spec) in file.doc_string and "255" in file.doc_string
    names = [node.name for node in file.graph.node]
    assert len(set(names)) == len(names)
    assert {"dense1", "gelu1", "dense2", "leaky_relu1", "dense3", "output"} <= set(names)


def images() -> pynn.LayerBuilder:
    """A chain that ends with images."""
    return pynn.Builder().input((2, 7, 5)).conv2d(3, 3, stride=2).batch_norm().layer_norm()


def test_graph_of_images_is_as_documented(tmp_path: Path) -> None:
    """Its input has four axes, its output two; parameters keep their names and shapes."""
    model = images().mean_squared_error().build()
    model.export_onnx(tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert shapes == [["batch", 2, 7, 5], ["batch", 36]]
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for name, array in model.parameters.items():
        shape = (3, 4, 3) if name.startswith("layer_norm") else array.shape
        np.testing.assert_array_equal(tensors[name], array.reshape(shape))
    assert [node.op_type for node in graph.node][:2] == ["Conv", "BatchNormalization"]
    assert graph.node[-1].op_type == "Flatten"


def test_probabilities_of_images(tmp_path: Path) -> None:
    """Softmax is over all outputs of the last layer, whose shape is that of images."""
    model = images().softmax_cross_entropy().build(seed=3)
    model.export_onnx(tmp_path / "model.onnx", probabilities=True)
    x, _ = random_inputs(model, 6)
    got = run(tmp_path / "model.onnx", x)
    np.testing.assert_allclose(got, model.predict_proba(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 33])
def test_any_number_of_rows(rows: int, model: pynn.Model, tmp_path: Path) -> None:
    """The first dimension is free, in one session."""
    path = tmp_path / "model.onnx"
    model.export_onnx(path)
    x, _ = random_inputs(model, rows)
    np.testing.assert_allclose(run(path, x), model(x), rtol=1e-5, atol=1e-6)


def test_same_model_same_bytes(model: pynn.Model, tmp_path: Path) -> None:
    """Nothing of the time or of an order by chance is in the file."""
    model.export_onnx(tmp_path / "a")
    model.export_onnx(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_dropout_is_left_out(tmp_path: Path) -> None:
    """In use it does nothing: the file has no node for it, nor do numbers of layers count it."""
    chain = pynn.Builder().input(3).dropout(0.5).dense(2).dropout(0.1).relu().dropout(0.2)
    chain.softmax_cross_entropy().build().export_onnx(tmp_path / "model.onnx")
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    assert [(node.name, node.op_type) for node in nodes] == [("dense1", "Gemm"), ("output", "Relu")]


# ------------------------------------------------------------ what cannot be


def test_missing_package_says_what_to_install(
    model: pynn.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without onnx it is an ImportError with the command."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'pynn-blas\[onnx\]'"):
        model.export_onnx(tmp_path / "model.onnx")


def test_parameters_that_are_not_finite(model: pynn.Model, tmp_path: Path) -> None:
    """The error names the first, and no file is written."""
    model.parameters["dense2.weight"][1, 2] = np.nan
    message = r"parameters\['dense2.weight'\]\[1, 2\] is nan"
    with pytest.raises(pynn.DivergenceError, match=message):
        model.export_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_too_large_for_the_format(
    model: pynn.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit one message of Protocol Buffers is refused with the way out."""
    monkeypatch.setattr(exporter, "MAX_NBYTES", 4 * model.parameter_count - 1)
    with pytest.raises(pynn.ArgumentError, match=r"holds at most .* safetensors"):
        model.export_onnx(tmp_path / "model.onnx")


def test_unknown_layer_is_no_silent_gap(
    model: pynn.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that the export does not know is an error, not a file without it."""
    odd = unknown_layer(monkeypatch)
    spec = model._spec
    monkeypatch.setattr(model._engine, "spec", spec._replace(layers=(*spec.layers, odd)))
    message = "maxout1: maxout layers cannot be exported to ONNX"
    with pytest.raises(pynn.ArgumentError, match=message):
        model.export_onnx(tmp_path / "model.onnx")


@pytest.mark.parametrize("path", [None, 3, b"model.onnx"])
def test_path_must_be_one(path: Any, model: pynn.Model) -> None:
    """As for every path of pynn."""
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path"):
        model.export_onnx(path)


def test_old_file_stays_when_it_cannot_be_written(
    model: pynn.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves the file that was there."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        model.export_onnx(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_closed_model(model: pynn.Model, tmp_path: Path) -> None:
    """It cannot be exported."""
    model.close()
    with pytest.raises(pynn.ClosedError):
        model.export_onnx(tmp_path / "model.onnx")
