"""Files of other programs: each is called what it is, by its content and not by its name."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import complaint, out, run, squeezed
from PIL import Image

import pynn
from pynn._files import kinds


def image(form: str) -> bytes:
    """A picture in a format of Pillow."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, form)
    return file.getvalue()


def zipped(*names: str) -> bytes:
    """A zip file with such files in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "1")
    return file.getvalue()


def array(save: object) -> bytes:
    """What NumPy saves of an array."""
    file = io.BytesIO()
    save(file, np.zeros(3))  # type: ignore[operator]
    return file.getvalue()


def graph() -> bytes:
    """A model in ONNX, without any operator."""
    empty = onnx.helper.make_graph([], "empty", [], [])
    content: bytes = onnx.helper.make_model(empty).SerializeToString()
    return content


FILES = {
    "a PNG image": image("PNG"),
    "a JPEG image": image("JPEG"),
    "a GIF image": image("GIF"),
    "a TIFF image": image("TIFF"),
    "a BMP image": image("BMP"),
    "a WebP image": image("WEBP"),
    "a PDF document": b"%PDF-1.7\n%\xb5\xb5",
    "an HDF5 file, as older versions of Keras save models in": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "a GGUF file, a language model of llama.cpp": b"GGUF\3\0\0\0" + bytes(40),
    "a NumPy array (.npy)": array(np.save),
    "NumPy arrays (.npz)": array(np.savez),
    "a file of torch.save (PyTorch)": zipped("archive/data.pkl", "archive/version"),
    "a model of Keras (.keras)": zipped("metadata.json", "config.json", "model.weights.h5"),
    "an Office document, such as a workbook of Excel": zipped("[Content_Types].xml"),
    "a zip archive": zipped("x.txt"),
    "a zip archive that is damaged": b"PK\3\4" + bytes(99),
    "a pickle of Python, which could run any program": pickle.dumps({"a": 1}),
    "an ONNX model": graph(),
    "a table in text (CSV)": b"a,b\n1,2\n3,4\n",
    "text": "# grüße, world\n".encode() * 60,
    "text in JSON": json.dumps({"a": [1]}).encode(),
    "an empty file": b"",
    "a gzip file of text": gzip.compress(b"hello"),
    "a gzip file": gzip.compress(b"\1\2\3\4"),
    "a gzip file of an empty file": gzip.compress(b""),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are relative to an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", FILES)
def test_a_foreign_file_is_named(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By inspect, and by each command that needs a model."""
    Path("file").write_bytes(FILES[kind])
    lines = squeezed(out(capsys, "inspect", "file"))
    assert lines[:2] == [f"file file, {len(FILES[kind]):,} bytes", f"kind {kind}"]
    assert all(line.startswith("use ") for line in lines[2:])
    if "gzip" not in kind:  # what is compressed is taken for IDX, and refused as that
        for command in (["export", "c", "file", "file.c"], ["explain", "file", "--image", "x"]):
            assert complaint(capsys, *command).startswith(f"file: is {kind}, not a model of pynn")
    assert run("predict", "--model", "file", "x.png") == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"pynn predict: error: file: is {kind}, not a model of pynn")
    assert captured.err.count("\n") == 1


def test_the_old_files_of_torch_are_known() -> None:
    """Those before PyTorch 1.6, which are no zip files."""
    Path("file").write_bytes(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9 j\xa8P\x19.")
    assert kinds.foreign("file") == kinds._TORCH


@pytest.mark.parametrize(
    "content", [b"\1\2\3", b"\xff\xfe\xfd", b"\x80\x02\0\0", b"\x08\0\0\0\x12"]
)
def test_what_may_be_a_model_is_not_foreign(content: bytes) -> None:
    """The original Rust library's files begin with any small number."""
    Path("file").write_bytes(content)
    assert kinds.foreign("file") is None


def test_files_of_pynn_are_not_foreign() -> None:
    """Models, checkpoints, IDX files and models of the Rust library, also compressed or damaged."""
    model = pynn.Builder().input(3).dense(2).softmax_cross_entropy().build()
    model.save("model")
    pynn.formats.nn_rust.save(model, "rust")
    pynn.datasets.write_idx("idx", np.arange(3, dtype=np.uint8))
    pynn.datasets.write_idx("idx.gz", np.arange(3, dtype=np.uint8))
    Path("damaged").write_bytes(b"\x1f\x8b hello")
    for name in ("model", "rust", "idx", "idx.gz", "damaged"):
        assert kinds.foreign(name) is None
        kinds.refuse_foreign(name)
