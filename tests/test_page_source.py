"""The page's own scripts: what they compute are places and sizes, and all else is computed in C."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent.parent / "web").glob("*.js"))

# Numbers of pixels, bytes, items and keys: what may be multiplied and divided.
PLACES = {
    "across", "clientHeight", "clientWidth", "columns", "count", "dx", "dy",
    "height", "index", "length", "offsetX", "offsetY", "outputs", "pixel",
    "pixels", "r", "rows", "side", "steps", "STEPS", "tiles",
    "width", "x", "y",
}  # fmt: skip
# sqrt is for a square of pictures, abs for how a number is written.
FUNCTIONS = {"abs", "ceil", "floor", "max", "min", "sqrt"}
FACTORS = re.compile(r"([\w.]+|\))\s*(?:\*\*|[*/%])=?\s*([\w.]+|\()")
# Comments, strings, and regular expressions.
NO_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|`[^`]*`|\"[^\"]*\"|/[^\s/]+/[a-z]*(?=[.,)])", flags=re.S)


def of_values(script: str) -> list[str]:
    """Products, quotients and functions in a script that are not of places alone."""
    code = NO_CODE.sub("", script)
    found = [f"Math.{name}" for name in re.findall(r"Math\.(\w+)", code) if name not in FUNCTIONS]
    for match in FACTORS.finditer(code):
        names = [operand.split(".")[-1] for operand in match.groups()]
        if not all(name in PLACES or name in ("", "(", ")") or name.isdigit() for name in names):
            found.append(match[0])
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_no_arithmetic_of_values(script: Path) -> None:
    """A script multiplies and divides places alone, and calls no function of Math for values."""
    assert of_values(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code", ["w * x[0]", "y = a / sum", "Math.exp(y)", "p %= 2", "loss ** 2", "x * weight"]
)
def test_arithmetic_is_found(code: str) -> None:
    """The test above would see these."""
    assert of_values(code) != []
