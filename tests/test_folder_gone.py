"""Files where the current folder has been removed: errors name them all the same."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mistakes import X, Y
from readers import READERS

import pynn
from pynn._commands import program
from pynn.datasets import _mnist
from pynn.formats import nn_rust


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is one that somebody has removed."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    try:
        Path.cwd()
    except FileNotFoundError:
        return
    pytest.skip("this system has a current folder all the same")


WRITERS: dict[str, Callable[[pynn.Model, str], object]] = {
    "save": lambda model, path: model.save(path),
    "checkpoint": lambda model, path: model.fit(X, Y, epochs=1, checkpoint=path),
    "to_csv": lambda model, path: model.fit(X, Y, epochs=1).to_csv(path),
    "export_c": lambda model, path: model.export_c(path),
    "write_idx": lambda model, path: pynn.datasets.write_idx(path, X),
    "nn_rust": lambda model, path: nn_rust.save(model, path),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("path", ["model.c", "./model.c", "folder/../model.c"])
@pytest.mark.usefixtures("gone")
def test_writing_where_the_folder_is_gone_names_the_file(name: str, path: str) -> None:
    """The error says which file, and why."""
    chain = pynn.Builder().input(20).dense(5, init="he").relu().dense(3)
    model = chain.softmax_cross_entropy().build()
    with pytest.raises(FileNotFoundError) as caught:
        WRITERS[name](model, path)
    assert Path(caught.value.filename).stem == "model"
    assert str(caught.value).startswith("[Errno 2] the current folder is gone, and a relative path")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.usefixtures("gone")
def test_reading_where_the_folder_is_gone_names_the_file(name: str) -> None:
    """The error says that the file is not there."""
    with pytest.raises(FileNotFoundError, match=r"\bmodel\.c\b"):
        READERS[name]("model.c")


@pytest.mark.usefixtures("gone")
def test_mnist_is_looked_for_elsewhere_where_the_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for in the cache; the error names the places that exist."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.setattr(_mnist, "MIRRORS", ())
    cache = re.escape(str(tmp_path / "pynn" / "mnist"))
    with pytest.raises(pynn.DataNotFoundError, match=f"^MNIST is in none of {cache} \\("):
        pynn.datasets.mnist()


@pytest.mark.usefixtures("gone")
def test_programs_show_paths_where_the_folder_is_gone() -> None:
    """Paths are shown as they are."""
    assert program.shown("/models/relu") == "/models/relu"
