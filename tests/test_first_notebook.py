"""The notebook of the documentation: its cells run in order, and each shows what its text says."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pynn

BOOK = Path(__file__).parent.parent / "docs" / "notebooks" / "first.ipynb"


def run(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does; return the value of its last line if it has one."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, BOOK.name, "exec"), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), BOOK.name, "eval"), names)


def test_the_cells_run_and_show_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model, a history, an evaluation, a picture, arrays."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    cells = json.loads(BOOK.read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    shapes, model, history, evaluation, picture, step, predicted = (
        run(source, names) for source in sources
    )
    assert shapes == ((1797, 8, 8), (1797,))
    assert isinstance(model, pynn.Model)
    assert history._repr_html_().count("<svg") == 2
    assert capsys.readouterr().err.count("\n") == history.epochs == 12
    assert evaluation.accuracy > 0.85
    assert len(evaluation._repr_html_()) > 1000
    assert picture._repr_png_()[:4] == b"\x89PNG"
    assert [array.shape for array in step] == [(10,), (10,)]
    assert np.issubdtype(predicted.dtype, np.integer)
    assert (tmp_path / "digits.safetensors").exists()


def test_the_notebook_has_no_outputs() -> None:
    """They would change with each run, and could differ from what the cells give today."""
    book = json.loads(BOOK.read_text("utf-8"))
    assert book["nbformat"] == 4
    for cell in book["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
