"""Functions and files are small enough to be read in one go, but for those that say why not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES_OF_A_FUNCTION = 40
MOST_LINES_OF_A_FILE = 400

PYTHON = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("pynn", "scripts", "benchmarks", "web")
    for path in (ROOT / folder).rglob("*.py")
)
C = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("csrc", "web")
    for path in (ROOT / folder).rglob("*.[ch]")
)

LONG_FILES = {
    "csrc/pynn.h": "it is the manual of the C library, and mostly comments",
    "pynn/_builder.py": "it has a method for each kind of layer, and is mostly docstrings",
}
"""Files of more lines, and why."""

OPTIONS = "it is the list of a program's options"
LONG_FUNCTIONS = {
    ("benchmarks/run.py", "_options"): OPTIONS,
    ("pynn/_commands/settings.py", "add_options"): OPTIONS,
    ("pynn/_commands/train_options.py", "_parser"): OPTIONS,
}
"""Functions of more lines, and why."""


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring."""
    assert function.end_lineno is not None
    count = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        count -= first.end_lineno - first.lineno + 1
    return count


@pytest.mark.parametrize("file", PYTHON)
def test_python_functions_are_short(file: str) -> None:
    """A function has at most 40 lines of code; its docstring does not count."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = {node.name: lines_of(node) for node in functions}
    long = {name for name, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION}
    assert long == {name for where, name in LONG_FUNCTIONS if where == file}


@pytest.mark.parametrize("file", C)
def test_c_functions_are_short(file: str) -> None:
    """A function has at most 40 lines: from its first line to the brace in the first column."""
    text = (ROOT / file).read_text(encoding="utf-8")
    functions = re.findall(
        r"^(?!typedef|enum|struct)\w[^\n;]*\([^;{}]*\{\n.*?^\}", text, re.M | re.S
    )
    long = {body.split("(")[0]: body.count("\n") + 1 for body in functions}
    assert {name: n for name, n in long.items() if n > MOST_LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("file", sorted({*PYTHON, *C} - set(LONG_FILES)))
def test_files_are_short(file: str) -> None:
    """A file has at most 400 lines, unless it says above why it is one thing."""
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_A_FILE


@pytest.mark.parametrize("file", LONG_FILES)
def test_long_files_need_their_reason(file: str) -> None:
    """A file that has become short needs none."""
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) > MOST_LINES_OF_A_FILE
