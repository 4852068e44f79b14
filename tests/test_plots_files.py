"""Files of pictures: they are whole, in the format of their name; and what is imported for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest
from plotted import CHAIN, FULL, MATRIX

import pynn
from pynn import plots

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".PDF", b"%PDF"), (".svg", b"<?xml")]
)
def test_files_are_in_the_format_of_their_name(suffix: str, start: bytes, tmp_path: Path) -> None:
    """Whole, with nothing left beside them."""
    path = tmp_path / f"picture{suffix}"
    FULL.plot(path)
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [path.name]


def test_all_pictures_are_written(
    tmp_path: Path, examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """Each file has the figure's size at 150 dots an inch."""
    model = CHAIN.build()
    images: Any = pynn.Builder().input((1, 4, 5)).conv2d(3, 3).dense(3).softmax_cross_entropy()
    figures = {
        "history": plots.history(FULL, tmp_path / "history.png"),
        "confusion": plots.confusion_matrix(MATRIX, tmp_path / "confusion.png"),
        "maps": plots.feature_maps(images.build(), examples[0][0], tmp_path / "maps.png"),
        "weights": plots.weights(model, tmp_path / "weights.png", shape=(4, 5)),
        "mistakes": plots.worst_mistakes(model, *examples, path=tmp_path / "mistakes.png"),
    }
    for name, figure in figures.items():
        content = (tmp_path / f"{name}.png").read_bytes()
        size = [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)]  # of PNG's header
        assert size == [int(inches * 150) for inches in figure.get_size_inches()]


@pytest.mark.parametrize("name", ["picture", "picture.xyz", ".png"])
def test_names_of_no_format_are_refused(name: str, tmp_path: Path) -> None:
    """The error lists the formats that there are."""
    with pytest.raises(pynn.ArgumentError, match=r"path must end in .*\.pdf.*\.png.*; got '.*'"):
        FULL.plot(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""

    def absent(name: str, *_: object) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    class Finder:
        """Knows of no matplotlib."""

        find_spec = staticmethod(lambda name, *_: absent(name) if name == "matplotlib" else None)

    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(ImportError, match=r"pip install 'pynn-blas\[plots\]'"):
        FULL.plot()


def test_pyplot_is_not_imported(tmp_path: Path) -> None:
    """It would choose a backend and keep each figure; and importing pynn.plots imports nothing."""
    code = """if True:
        import sys
        import pynn, pynn.plots
        assert not any(name.startswith("matplotlib") for name in sys.modules)
        pynn.History([1.0], [1.0]).plot("picture.png")
        assert "matplotlib.figure" in sys.modules
        assert "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert (tmp_path / "picture.png").exists()
