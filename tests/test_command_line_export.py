"""python -m pynn export: each format gets its file, and a model is never lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import X, complaint, in_an_empty_folder, out, run, saved_model
from safetensors.numpy import load_file

import pynn
from pynn.__main__ import main
from pynn._commands.export import FORMATS
from pynn.datasets import write_idx
from pynn.formats import nn_rust

here = pytest.fixture(autouse=True)(in_an_empty_folder)
model = pytest.fixture(saved_model)


def test_export_to_the_rust_library_and_on(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exported file can be read, by export as well."""
    lines = out(capsys, "export", "nn_rust", "model.safetensors", "model.bin")
    assert lines == [f"wrote model.bin, {os.path.getsize('model.bin')} bytes"]
    np.testing.assert_array_equal(nn_rust.load("model.bin")(X), model(X))
    out(capsys, "export", "nn_rust", "model.bin", "again.bin")
    assert Path("again.bin").read_bytes() == Path("model.bin").read_bytes()


@pytest.mark.parametrize("output", ["model.safetensors", "./link"])
def test_export_does_not_replace_the_model_it_reads(
    output: str, model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model's file is not overwritten, under none of its names."""
    Path("link").symlink_to("model.safetensors")
    before = Path("model.safetensors").read_bytes()
    assert main(["export", "nn_rust", "model.safetensors", output]) == 1
    assert capsys.readouterr().err == (
        f"pynn: error: {output}: is the file of the model, which would be lost; give another name\n"
    )
    assert Path("model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "names"), [([], ["0", "2"]), (["--names", "fc1,head"], ["fc1", "head"])]
)
def test_export_to_pytorch(
    options: list[str], names: list[str], model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names are places in a Sequential, or those that are asked for."""
    out(capsys, "export", "pytorch", *options, "model.safetensors", "torch.safetensors")
    arrays = load_file("torch.safetensors")
    assert sorted({key.rpartition(".")[0] for key in arrays}) == names
    np.testing.assert_array_equal(arrays[f"{names[0]}.weight"], model.parameters["dense1.weight"].T)


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (["onnx"], {"probabilities": False}),
        (["onnx", "--probabilities"], {"probabilities": True}),
        (["c"], {"name": None, "libc": True}),
        (["c", "--no-libc", "--name", "net"], {"name": "net", "libc": False}),
    ],
)
def test_export_by_the_functions_of_the_formats(
    arguments: list[str],
    keywords: dict[str, Any],
    model: pynn.Model,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """save() gets the options as keywords, and what it returns is printed."""
    calls = []

    def write(model: pynn.Model, path: str, **options: Any) -> str:
        calls.append((repr(model), path, options))
        Path(path).write_bytes(b"12345")
        return "a report"

    form, *options = arguments
    monkeypatch.setattr(getattr(pynn.formats, form), "save", write)
    lines = out(capsys, "export", form, "model.safetensors", "output", *options)
    assert lines == ["wrote output, 5 bytes", "a report"]
    assert calls == [(repr(model), "output", keywords)]


def test_every_keyword_is_one_of_the_method() -> None:
    """The real methods take every keyword that the pretended methods above take."""
    import inspect

    for name in ("onnx", "c"):
        taken = inspect.signature(getattr(pynn.Model, f"export_{name}")).parameters
        assert {settings["dest"] for settings in FORMATS[name].options.values()} < taken.keys()


@pytest.mark.parametrize("form", FORMATS)
def test_what_cannot_be_exported(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No model there, an IDX file, a tensor file: one line, and nothing is written."""
    write_idx("images", X)
    assert "missing: No such file" in complaint(capsys, "export", form, "missing", "output")
    message = complaint(capsys, "export", form, "images", "output")
    assert message == "images: begins as an IDX file does, and must be a model"
    assert os.listdir() == ["images"]


def test_what_a_format_cannot_say(capsys: pytest.CaptureFixture[str]) -> None:
    """What a format cannot hold is the error that the format's module raises."""
    pynn.Builder().input(2).dense(2).tanh().softmax_cross_entropy().build().save("model")
    message = complaint(capsys, "export", "nn_rust", "model", "output")
    assert message.startswith("layer 2: tanh: the original Rust library has ")
    assert "to/output" in complaint(capsys, "export", "pytorch", "model", "to/output")
    monkey = complaint(capsys, "export", "pytorch", "model", "output", "--names", "a,b")
    assert "names must have one name for each of the 1 dense layers, got 2: a, b" in monkey


def test_a_package_that_is_missing(
    model: pynn.Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the package and how to install it."""

    def write(model: pynn.Model, path: str, **options: Any) -> None:
        raise ImportError("pip install 'pynn-blas[onnx]'")

    monkeypatch.setattr(pynn.formats.onnx, "save", write)
    message = complaint(capsys, "export", "onnx", "model.safetensors", "output")
    assert message == "pip install 'pynn-blas[onnx]'"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["a.safetensors", "a.onnx"],
            "there is no format a.safetensors; there are onnx, c, nn_rust and pytorch; the format"
            " comes before the files: pynn export onnx a.safetensors a.onnx (pynn export --help)",
        ),
        (["model", "model.C"], "the format comes before the files: pynn export c model model.C"),
        (["m.st", "m"], "the format comes before the files: pynn export onnx m.st m"),
        (["onx", "a", "b"], "there is no format onx; there are onnx, c, nn_rust and pytorch; did"),
        (["keras", "a", "b"], "there is no format keras; there are onnx, c, nn_rust and pytorch ("),
    ],
)
def test_a_forgotten_format(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing, and the call as it should be."""
    Path("model").write_bytes(b"any")
    assert run("export", *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("pynn export: error: ") and says in err and err.count("\n") == 1
