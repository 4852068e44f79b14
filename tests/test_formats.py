"""What all formats of others have in common: how they are reached, and what `save` takes."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pynn


@pytest.mark.parametrize("name", pynn.formats.__all__)
def test_import_of_pynn_is_enough(name: str) -> None:
    """A format is imported when it is first used: before no format is, then it alone."""
    code = (
        "import sys, pynn\n"
        "def imported(): return [n for n in sys.modules if n.startswith('pynn.formats.')]\n"
        f"print(len(imported()), pynn.formats.{name}.save.__module__)\n"
        "print(*(n for n in pynn.formats.__all__ if f'pynn.formats.{n}' in imported()))"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.split() == ["0", f"pynn.formats.{name}", name]


@pytest.mark.parametrize("name", pynn.formats.__all__)
def test_save_takes_model_and_path(name: str) -> None:
    """In this order, and what else there is by name; `load` takes the file first."""
    module = getattr(pynn.formats, name)
    model, path, *rest = inspect.signature(module.save).parameters.values()
    assert (model.name, path.name) == ("model", "path")
    assert all(option.kind is option.KEYWORD_ONLY for option in rest)
    assert "save" in module.__all__


@pytest.mark.parametrize("name", pynn.formats.__all__)
@pytest.mark.parametrize("value", [None, "model", object])
def test_save_refuses_what_is_no_model(name: str, value: Any, tmp_path: Path) -> None:
    """The error says what it got."""
    save = getattr(pynn.formats, name).save
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model, got"):
        save(value, tmp_path / "model.c")
    assert list(tmp_path.iterdir()) == []


def test_unknown_format_is_an_attribute_error() -> None:
    """The module knows its formats only, and lists them for completion."""
    with pytest.raises(AttributeError, match=r"'pynn\.formats' has no attribute 'keras'"):
        _ = pynn.formats.keras
    assert set(pynn.formats.__all__) <= set(dir(pynn.formats))


def test_the_command_line_has_every_format() -> None:
    """`python -m pynn export` offers what pynn.formats can save."""
    from pynn._commands.export import FORMATS

    assert sorted(FORMATS) == sorted(pynn.formats.__all__)
