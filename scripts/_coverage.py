"""The report of scripts/coverage: lines and branches that no test reaches, and the reasons why.

It is called with the JSON reports of gcovr and of coverage.py.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from _coverage_reasons import REASONS

ROOT = Path(__file__).parent.parent

# The least percentage that the tests must reach.
NEEDED = {
    ("csrc", "lines"): 100.0,
    ("csrc", "branches"): 95.0,
    ("pynn", "lines"): 98.0,
}


class Place(NamedTuple):
    """A line of code, counted as a line or for its branches."""

    folder: str
    kind: str
    """lines or branches."""
    file: str
    line: int
    reached: int
    total: int


def read_gcovr(report: dict[str, Any]) -> Iterator[Place]:
    for file in report["files"]:
        name = file["file"]
        for line in file["lines"]:
            number = line["line_number"]
            yield Place("csrc", "lines", name, number, line["count"] > 0, 1)
            counts = [branch["count"] for branch in line["branches"]]
            if counts:
                taken = sum(count > 0 for count in counts)
                yield Place("csrc", "branches", name, number, taken, len(counts))


def read_coverage(report: dict[str, Any]) -> Iterator[Place]:
    for path, file in report["files"].items():
        parts = Path(path).parts
        inside = len(parts) - parts[::-1].index("pynn")
        name = "/".join(("pynn", *parts[inside:]))  # wherever it is installed
        for reached, lines in ((1, file["executed_lines"]), (0, file["missing_lines"])):
            for number in lines:
                yield Place("pynn", "lines", name, number, reached, 1)


@lru_cache
def lines_of(file: str) -> list[tuple[str, str]]:
    """The lines of a file, each with the function that it is in."""
    lines = (ROOT / file).read_text().splitlines()
    functions = python_functions(lines) if file.endswith(".py") else c_functions(lines)
    return list(zip(functions, map(str.strip, lines), strict=True))


def python_functions(lines: list[str]) -> list[str]:
    functions = [""] * len(lines)

    def visit(node: ast.AST, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            inside = names
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                inside = (*names, child.name)
                if not isinstance(child, ast.ClassDef):
                    span = slice(child.lineno - 1, child.end_lineno)
                    functions[span] = [".".join(inside)] * len(functions[span])
            visit(child, inside)

    visit(ast.parse("\n".join(lines)), ())
    return functions


def c_functions(lines: list[str]) -> list[str]:
    """By the format of our C: what is outside of functions begins in the first column."""
    begins = re.compile(
        r"PYNN_KERNEL\([\w\s*]+, (\w+),"  # csrc/base/vector.h
        r"|\w[\w\s*]* NAME\((\w+)\)\("  # csrc/layers/sparse_sums.h, gemm_kernel.h
        r"|(?!typedef)\w[\w\s*]*?\b(\w+)\("
    )
    functions, function = [], ""
    for line in lines:
        if match := begins.match(line):
            function = match[1] or match[2] or match[3]
        functions.append(function)
        if line.startswith("}"):
            function = ""
    return functions


def text_of(place: Place) -> str:
    return lines_of(place.file)[place.line - 1][1]


def what_of(place: Place) -> str:
    return "not run" if place.kind == "lines" else f"{place.reached} of {place.total} branches"


def reason_for(place: Place) -> str | None:
    function, line = lines_of(place.file)[place.line - 1]
    reasons = REASONS.get(place.file, {}).get(function, {})
    return next((why for text, why in reasons.items() if text in line), None)


def print_misses(places: list[Place]) -> int:
    """Print the places that are not reached; return how many of them have no reason."""
    unexplained = 0
    for place in places:
        if place.reached == place.total:
            continue
        reason = reason_for(place)
        unexplained += reason is None
        print(f"  {place.file}:{place.line}: {what_of(place)}: {text_of(place)}")
        print(f"      {reason or 'NO REASON: test it, or say why not in _coverage_reasons.py'}")
    return unexplained


def find_stale() -> list[str]:
    """Reasons for lines that no longer exist."""
    return [
        f"{file}: {function}: {text}"
        for file, functions in REASONS.items()
        for function, reasons in functions.items()
        for text in reasons
        if not any(where == function and text in line for where, line in lines_of(file))
    ]


def main() -> int:
    places: list[Place] = []
    for path in sys.argv[1:]:
        report = json.loads(Path(path).read_text())
        read = read_gcovr if "gcovr/format_version" in report else read_coverage
        places += read(report)
    failures = []
    for (folder, kind), needed in NEEDED.items():
        these = [place for place in places if (place.folder, place.kind) == (folder, kind)]
        if not these:
            continue
        reached, total = sum(p.reached for p in these), sum(p.total for p in these)
        percent = 100 * reached / total
        print(f"{folder}: {percent:.2f} % of {kind} ({reached} of {total})")
        if percent < needed:
            failures.append(f"{folder}: fewer than {needed:g} % of {kind}")
        if unexplained := print_misses(these):
            failures.append(f"{folder}: {unexplained} misses of {kind} without a reason")
    failures += [f"a reason for what is not there: {line}" for line in find_stale()]
    print("\n".join(failures) or "enough, and a reason for the rest")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
