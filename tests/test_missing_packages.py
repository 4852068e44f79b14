"""A package that is installed but broken is not called missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pynn
from pynn.formats import pytorch

ROOT = Path(__file__).parent.parent
BROKEN = [
    ImportError("libx.so.1: cannot open shared object file"),
    ModuleNotFoundError("No module named 'needed'", name="needed"),
]


class Breaks:
    """An importer of a package that is there and cannot be imported."""

    def __init__(self, package: str, error: ImportError) -> None:
        self.package, self.error = package, error

    def find_spec(self, name: str, *rest: object) -> None:
        if name.partition(".")[0] == self.package:
            raise self.error


def small() -> pynn.Model:
    return pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=0)


def plot(folder: Path) -> object:
    return pynn.plots.weights(small(), shape=(1, 2))


def export(folder: Path) -> object:
    return small().export_onnx(folder / "model.onnx")


def state_dict(folder: Path) -> object:
    return pytorch.state_dict(small())


def load(folder: Path) -> object:
    (folder / "torch.pt").write_bytes(b"PK\3\4")
    return pytorch.load(
        folder / "torch.pt", pynn.Builder().input(2).dense(2).softmax_cross_entropy()
    )


def download(folder: Path) -> object:
    return pynn.datasets._mnist.download_to(folder)


def images(folder: Path) -> object:
    return pynn.datasets.images(folder)


def estimator(folder: Path) -> object:
    from pynn.sklearn import MLPClassifier

    return MLPClassifier


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("matplotlib", plot),
        ("onnx", export),
        ("torch", state_dict),
        ("torch", load),
        ("pooch", download),
        ("PIL", images),
        ("sklearn", estimator),
    ],
)
@pytest.mark.parametrize("error", BROKEN)
def test_what_breaks_a_package_is_shown(
    package: str,
    call: Callable[[Path], object],
    error: ImportError,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error is the one that its import gave."""
    for name in list(sys.modules):
        if name.partition(".")[0] == package or name.startswith("pynn.sklearn"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Breaks(package, error), *sys.meta_path])
    with pytest.raises(type(error)) as caught:
        call(tmp_path)
    assert caught.value is error


@pytest.mark.parametrize(
    ("program", "package"),
    [("predict.py", "numpy"), ("train.py", "numpy")],
)
@pytest.mark.parametrize("error", BROKEN)
def test_what_breaks_a_program_is_shown(
    program: str, package: str, error: ImportError, tmp_path: Path
) -> None:
    """It does not say to install what is installed."""
    (tmp_path / f"{package}.py").write_text(f"raise {error!r}\n")
    done = run_with(tmp_path, program)
    assert done.returncode == 1
    assert "is not installed" not in done.stderr
    assert str(error) in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("program", ["predict.py", "train.py"])
def test_what_is_missing_is_one_line(program: str, tmp_path: Path) -> None:
    """And the command that installs it."""
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError('no numpy', name='numpy')\n")
    done = run_with(tmp_path, program)
    assert done.returncode == 1
    expected = f"{program}: error: numpy is not installed: pip install '.[scripts]'\n"
    assert done.stderr == expected


def run_with(folder: Path, program: str) -> subprocess.CompletedProcess[Any]:
    """A program that finds the modules of a folder first."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / program), "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


@pytest.mark.parametrize("program", ["predict.py", "train.py"])
@pytest.mark.parametrize("variable", ["PYNN_NUM_THREADS", "PYNN_INSTRUCTION_SET"])
def test_wrong_setting_in_the_environment_is_one_line(program: str, variable: str) -> None:
    """pynn reads it while it is imported."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / program],
        env={**os.environ, variable: "many"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program}: error: the environment variable {variable} must be")
    assert done.stderr.count("\n") == 1
