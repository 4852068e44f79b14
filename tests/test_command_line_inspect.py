"""python -m pynn inspect: what it says of a file, and one line of error where that is not sound."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from command_line import CHAIN, X, complaint, in_an_empty_folder, out, saved_model, squeezed
from safetensors.numpy import load_file, save_file

import pynn
from pynn._inspect import _report
from pynn.datasets import write_idx
from pynn.formats import nn_rust

here = pytest.fixture(autouse=True)(in_an_empty_folder)
model = pytest.fixture(saved_model)

Y = np.arange(20) % 2


# ------------------------------------------------------------ inspect


def test_inspect_a_model(model: pynn.Model, capsys: pytest.CaptureFixture[str]) -> None:
    """What the file says, and a line for each tensor."""
    lines = squeezed(out(capsys, "inspect", "model.safetensors"))
    nbytes = os.path.getsize("model.safetensors")
    assert lines[:8] == [
        f"file model.safetensors, {nbytes} bytes",
        "kind model of pynn",
        "chain 4 -> dense(3, he) -> relu -> dense(2, he) -> softmax_cross_entropy",
        "parameters 23",
        "seed 5",
        "epochs 0",
        "",
        "tensor dtype shape min mean max",
    ]
    second = model.parameters["dense2.weight"]
    figures = f"{second.min():.4g} {second.mean(dtype=float):.4g} {second.max():.4g}"
    assert lines[8:] == [
        "dense1.weight float32 4 x 3 0 5.5 11",
        "dense1.bias float32 3 0 0 0",
        f"dense2.weight float32 3 x 2 {figures}",
        "dense2.bias float32 2 0 0 0",
    ]


def test_a_narrow_table_has_two_lines_for_each_tensor() -> None:
    """The name of each figure stands before it, since there is no room for a head."""
    arrays = {"dense1.weight": np.array([[1.0, 3.0]], np.float32)}
    text = _report({"kind": "model"}, arrays, most=20)
    assert text.splitlines()[-2:] == ["dense1.weight  float32  1 x 2", "    min 1  mean 2  max 3"]


def test_inspect_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    """It says where the run stands, also in the middle of an epoch."""

    def stop(progress: pynn.Progress) -> None:
        if (progress.epoch, progress.step) >= (2, 1):
            raise KeyboardInterrupt

    options: dict[str, Any] = {"epochs": 3, "batch_size": 5, "checkpoint": "run", "every": 1}
    with pytest.raises(KeyboardInterrupt):
        CHAIN.build().fit(X, Y, **options, on_progress=stop)
    lines = squeezed(out(capsys, "inspect", "run"))
    assert lines[1] == "kind checkpoint of pynn"
    assert re.fullmatch(r"run 1 of 3 epochs done, [1-4] steps of the next", lines[2])
    assert "epochs 1" in lines
    pynn.Model.resume("run").fit(X, Y, **options)
    assert squeezed(out(capsys, "inspect", "run"))[2] == "run 3 of 3 epochs done"


def test_inspect_a_file_of_the_rust_library(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no seed and no epochs."""
    nn_rust.save(model, "model.bin")
    lines = squeezed(out(capsys, "inspect", "model.bin"))
    assert lines[1] == "kind model of the original Rust library"
    assert lines[2].startswith("chain 4 -> dense(3, he) -> relu -> dense(2, he) -> ")
    assert lines[3] == "parameters 23"
    assert lines[4:7] == [
        "",
        "tensor dtype shape min mean max",
        "dense1.weight float32 4 x 3 0 5.5 11",
    ]


@pytest.mark.parametrize(
    ("array", "row"),
    [
        (np.arange(24, dtype=np.uint8).reshape(2, 3, 4), "uint8 2 x 3 x 4 0 11.5 23"),
        (np.array([-3, 123456], np.int32), "int32 2 -3 6.173e+04 123456"),
        (np.array(2.5), "float64 one 2.5 2.5 2.5"),
        (np.array([1.5e308, 1.7e308]), "float64 2 1.5e+308 1.6e+308 1.7e+308"),
        (np.empty((0, 28), np.uint8), "uint8 0 x 28"),
        (np.array([1, np.nan, 3, np.inf], np.float32), "float32 4 1 2 3 2 not finite"),
        (np.array([np.nan], np.float32), "float32 1 1 not finite"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_inspect_an_idx_file(
    array: np.ndarray[Any, Any], row: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any type and shape is described; the figures are of the finite values."""
    write_idx(f"file{suffix}", array)
    lines = squeezed(out(capsys, "inspect", f"file{suffix}"))
    assert lines[0] == f"file file{suffix}, {os.path.getsize(f'file{suffix}'):,} bytes"
    assert lines[1] == "kind IDX" + ", compressed with gzip" * bool(suffix)
    assert lines[2:] == ["", "tensor dtype shape min mean max", f"elements {row}"]


def test_inspect_says_what_is_not_finite(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that diverged can be looked at."""
    model.parameters["dense1.weight"][0] = [np.nan, np.inf, -np.inf]
    model.save("model.safetensors")
    lines = squeezed(out(capsys, "inspect", "model.safetensors"))
    assert "dense1.weight float32 4 x 3 3 7 11 3 not finite" in lines


def test_columns_stand_below_each_other(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words begin, and numbers end, at the same place in each line."""
    lines = out(capsys, "inspect", "model.safetensors")
    head, *rows = lines[7:]
    for name in ("dtype", "shape"):
        at = head.index(name)
        assert all(row[at - 1] == " " and row[at] != " " for row in rows)
    for name in ("min", "mean", "max"):
        end = head.index(name) + len(name)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows)


# ------------------------------------------------------------ files that are not sound


def damaged_model() -> bytes:
    """A model whose header says that it has a layer of another size."""
    content = Path("model.safetensors").read_bytes()
    return content.replace(b'\\"outputs\\": 3', b'\\"outputs\\": 4')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"\1",
            "is none of the files that pynn knows; as a model of the original Rust library: trunc",
        ),
        (b"\1\2\3\4", "as a model of the original Rust library: the number of dims is "),
        (b"\0\0\x08\x01\0\0\0\x05abc", "truncated: the header says 5 uint8 (5 bytes), the file "),
        (b"\0\0\x07\x01\0\0\0\0", "unknown element type 0x07"),
        (b"\x1f\x8b hello", "damaged gzip file"),
        (b"\x10\0\0\0\0\0\0\0{}", "not a safetensors file: "),
        (bytes(8) + b"{", "not a safetensors file: "),
        (damaged_model, "tensor dense1.weight must have shape [4, 4], has [4, 3]"),
    ],
)
def test_inspect_what_is_not_sound(
    content: bytes | Callable[[], bytes],
    words: str,
    model: pynn.Model,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line that begins with the file's name, exit status 1, no traceback."""
    Path("file").write_bytes(content if isinstance(content, bytes) else content())
    message = complaint(capsys, "inspect", "file")
    assert message.startswith("file: ")
    assert words in message


def test_inspect_tensors_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    """A file without a chain is refused, and its names do nothing to the terminal."""
    save_file({"weight": X}, "others")
    assert "not a model of pynn: " in complaint(capsys, "inspect", "others")
    description = {"input": 1, "layers": [], "loss": "", "seed": 0, "epochs_trained": 0}
    metadata = {"format": "pynn", "format_version": "1", "model": json.dumps(description)}
    save_file({"weight": X}, "others", metadata | {"format_version": "\x1b[2J"})
    assert "\x1b" not in complaint(capsys, "inspect", "others")
    CHAIN.build().save("model")
    with safetensors.safe_open("model", framework="numpy") as file:
        metadata = file.metadata()
    save_file(load_file("model") | {"\x1b[2J\n" + "x" * 9000: X}, "others", metadata)
    message = complaint(capsys, "inspect", "others")
    assert "tensors that the model does not have: " in message
    assert message.isprintable() and len(message) < 2100 and "\\x1b[2J" in message


def test_a_run_that_is_damaged(capsys: pytest.CaptureFixture[str]) -> None:
    """The model is sound, and what is said of its run is not."""
    CHAIN.build().fit(X, Y, epochs=1, checkpoint="run")
    content = Path("run").read_bytes()
    Path("run").write_bytes(content.replace(b'\\"first_epoch\\": 0', b'\\"first_epoch\\": 7'))
    assert "the description of its run is damaged" in complaint(capsys, "inspect", "run")


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing", "missing: No such file"), (".", ".: Is a directory")],
)
def test_inspect_what_cannot_be_opened(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The system's reason, without its number."""
    message = complaint(capsys, "inspect", name)
    assert words in message and "Errno" not in message


def test_names_of_any_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no UTF-8 can be printed."""
    name = os.fsdecode(b"caf\xe9")
    assert "caf\\udce9: No such file" in complaint(capsys, "inspect", name)


def test_gzip_is_seen_by_its_content(capsys: pytest.CaptureFixture[str]) -> None:
    """A gzip file is recognized whatever its name."""
    write_idx("plain", np.arange(3, dtype=np.uint8))
    Path("packed").write_bytes(gzip.compress(Path("plain").read_bytes()))
    assert squeezed(out(capsys, "inspect", "packed"))[1] == "kind IDX, compressed with gzip"
