"""The page's own scripts: what they compute are places and sizes, and all else is computed in C."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent.parent / "web").glob("*.js"))

# Numbers of pixels, bytes, items and keys: what may be multiplied, divided, added and subtracted.
PLACES = {
    "across", "clientHeight", "clientWidth", "columns", "count", "dx", "dy",
    "height", "index", "length", "offsetX", "offsetY", "outputs", "pixel",
    "pixels", "rows", "side", "steps", "STEPS", "tiles",
    "width",
}  # fmt: skip
# What a script computes besides: numbers of layers, rows, steps, bytes and milliseconds.
ALLOWED = {
    "core.js": {"1e-4", "k + 1", "k += 4"},
    "drawing.js": {
        ") - start", "100 * pen.x", "100 * pen.y", "pen.x + MOVES", "pen.y + MOVES",
        "row + 1", "row - 1",
    },
    "files.js": {
        "8 + Number", "end - begin", "first - other", "found - 100", "k - 1", "last - first",
    },
    "layers.js": {"layer + 1"},
    "network.js": {
        "1e-5", "4 * MOST_LAYERS", "MOST_LAYERS + 1", "MOST_LAYERS - 1", "k + 9", "k += 9",
    },
    "page.js": {"8 + Number", "begin + 4", "packed.length - begin"},
    "step.js": {
        "AFTER + k", "BEFORE + k", "GRADIENT + k", "M_AFTER + k", "V_AFTER + k",
        "cell.cellIndex + dx", "cell.parentNode.rowIndex + dy", "columns + c",
        "layer + 1", "layer - 1", "r * columns",
    },
    "training.js": {") - shown", ") - start", "epochs + 1"},
}  # fmt: skip
# sqrt is for a square of pictures, abs for how a number is written.
FUNCTIONS = {"abs", "ceil", "floor", "max", "min", "sqrt"}
FACTORS = re.compile(r"([\w.]+|[)\]])\s*(?:\*\*|[*/%])=?\s*([\w.]+|\()")
TERMS = re.compile(r"([\w.]+|[)\]])\s*[-+]=?\s*([\w.]+|\()")
# Comments, strings, and regular expressions.
NO_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|/[^\s/]+/[a-z]*(?=[.,)])", flags=re.S)
TEMPLATE = re.compile(r"`((?:[^`$]|\$(?!\{)|\$\{[^{}`]*\})*)`")
HOLE = re.compile(r"\$\{([^{}`]*)\}")


def code_of(script: str) -> str:
    """What a script computes: without its texts, but with the expressions inside of them."""
    code = NO_CODE.sub(" ", script)
    while (
        inner := TEMPLATE.sub(lambda text: f"({';'.join(HOLE.findall(text[1]))})", code)
    ) != code:
        code = inner
    assert "`" not in code
    return code


def of_values(script: str) -> list[str]:
    """Computations in a script that are not of places alone."""
    code = code_of(script)
    found = [f"Math.{name}" for name in re.findall(r"Math\.(\w+)", code) if name not in FUNCTIONS]
    found += re.findall(r"\.reduce\w*", code)
    for match in [*FACTORS.finditer(code), *TERMS.finditer(code)]:
        names = [operand.split(".")[-1] for operand in match.groups()]
        is_place = all(
            name in PLACES or name in ("", "(", ")", "]") or name.isdigit() for name in names
        )
        if not is_place:
            found.append(match[0])
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_no_arithmetic_of_values(script: Path) -> None:
    """A script computes with places alone, and calls no function of Math for values."""
    found = set(of_values(script.read_text(encoding="utf-8")))
    assert found == ALLOWED.get(script.name, set())


@pytest.mark.parametrize(
    "code",
    [
        "w * x[0]",
        "y = a / sum",
        "Math.exp(y)",
        "p %= 2",
        "loss ** 2",
        "x * weight",
        "const s = x * y",
        "a + b",
        "sum -= loss",
        "x[0] + y[0]",
        "values.reduce(add)",
        "`y = ${four(w * x)}`",
        "`y = ${is ? `${1 - s}` : y}`",
    ],
)
def test_arithmetic_is_found(code: str) -> None:
    """The test above would see these, in the texts that a script writes, too."""
    assert of_values(code) != []
