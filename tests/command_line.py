"""Calls of python -m pynn within the test's process, in an empty folder that may hold a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pynn
from pynn.__main__ import main

CHAIN = pynn.Builder().input(4).dense(3).relu().dense(2).softmax_cross_entropy()
X = np.random.default_rng(60).normal(size=(20, 4)).astype(np.float32)


def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved_model(here: Path) -> pynn.Model:
    """A model, which is in model.safetensors, too."""
    model = CHAIN.build(seed=5)
    model.parameters["dense1.weight"][...] = np.arange(12).reshape(4, 3)  # mean 5.5
    model.save("model.safetensors")
    return model


def run(*arguments: str) -> int:
    """The exit status of a call, also of one that argparse ends."""
    try:
        return main(arguments)
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines that a call prints that goes well."""
    assert run(*arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a call that fails."""
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("pynn: error: ")
    return captured.err.removeprefix("pynn: error: ").rstrip("\n")


def squeezed(lines: list[str]) -> list[str]:
    """Lines with runs of blanks made one."""
    return [" ".join(line.split()) for line in lines]
