"""Paths that no file can have, names that a terminal would obey, and reading that fails."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import readers

import pynn
from pynn import _inspect
from pynn._base import reading
from pynn.formats import nn_rust, pytorch

X = np.random.default_rng(5).normal(size=(9, 3)).astype(np.float32)
Y = np.arange(9) % 2

CHAIN = pynn.Builder().input(3).dense(2).softmax_cross_entropy()

READERS = {
    **readers.READERS,
    "pytorch": lambda path: pytorch.load(path, CHAIN),
}
WRITERS: dict[str, Callable[[Any], object]] = {
    "save": lambda path: CHAIN.build().save(path),
    "checkpoint": lambda path: CHAIN.build().fit(X, Y, epochs=1, checkpoint=path),
    "export_c": lambda path: CHAIN.build().export_c(f"{path}.c"),
    "export_onnx": lambda path: CHAIN.build().export_onnx(path),
    "write_idx": lambda path: pynn.datasets.write_idx(path, Y.astype(np.uint8)),
    "nn_rust": lambda path: nn_rust.save(CHAIN.build(), path),
    "pytorch": lambda path: pytorch.save(CHAIN.build(), path),
    "to_csv": lambda path: CHAIN.build().fit(X, Y, epochs=1).to_csv(path),
}
CALLS = [*READERS.items(), *((f"{name} writes", call) for name, call in WRITERS.items())]


@pytest.mark.parametrize("path", ["a\0b", "a\ud800b"], ids=["NUL", "surrogate"])
@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
def test_path_that_no_file_can_have(call: Callable[[Any], object], path: str) -> None:
    """It is an argument that does not fit, whose name the error says."""
    pattern = r"^(path|root|state_dict|checkpoint) must be a possible path on this .*got str"
    with pytest.raises(pynn.ArgumentError, match=pattern):
        call(path)


@pytest.mark.parametrize("reader", [*READERS, "inspect", "checkpoint", "model"])
def test_names_of_files_in_errors_are_no_orders_to_a_terminal(reader: str, tmp_path: Path) -> None:
    """They are printed by whoever prints a traceback; bidirectional text is an order, too."""
    path = tmp_path / "\x1b[2J\u202e\n.safetensors"
    if reader == "model":  # that lacks a run
        CHAIN.build().save(path)
    else:
        path.write_bytes(b"\xffrubbish, of a length that would do for a header")
    calls = {
        **READERS,
        "inspect": lambda path: _inspect.inspect(str(path)),
        "checkpoint": WRITERS["checkpoint"],
        "model": pynn.Model.resume,
    }
    with pytest.raises(pynn.PynnError) as caught:
        calls[reader](path)
    assert "\\x1b[2J\\u202e\\n.safetensors" in str(caught.value)
    assert str(caught.value).isprintable()


def test_error_of_a_read_has_the_files_name(tmp_path: Path) -> None:
    """The system's error for a disk that fails, as for the memory of a process, has none."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"1")
    with pytest.raises(OSError, match="model") as caught, reading.opened(path):
        raise OSError(errno.EIO, "Input/output error")
    assert caught.value.filename == str(path)
