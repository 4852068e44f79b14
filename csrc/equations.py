"""Collect the equations that the C sources are marked with, and where each stands.

A mark is a comment of one line that ends with a name:

    /* dX = dY W^T   @dense.dX */

    python equations.py OUTPUT SOURCE...

writes a Python module whose dict EQUATIONS has, for each name, the equation, the file and the line
of the mark. It runs when pynn is built, so that what Model.explain says of the C code cannot differ
from it.
"""

import re
import sys
from pathlib import Path

MARK = re.compile(r"/\* (?P<equation>.+\S)   @(?P<name>[a-z0-9_]+\.[A-Za-z]+) \*/")


def collect(root: Path, sources: list[Path]) -> dict[str, tuple[str, str, int]]:
    """Find the marks: for each name the equation, the file from `root` on, and the line."""
    found: dict[str, tuple[str, str, int]] = {}
    for source in sources:
        path = source.resolve().relative_to(root).as_posix()
        for number, line in enumerate(source.read_text("utf-8").splitlines(), 1):
            marks = list(MARK.finditer(line))
            if len(marks) != line.count("   @"):
                raise SystemExit(f"{path}:{number}: this is not a mark: {line.strip()}")
            for mark in marks:
                if mark["name"] in found:
                    raise SystemExit(f"{path}:{number}: there is another mark {mark['name']}")
                found[mark["name"]] = (mark["equation"], path, number)
    return found


def main(output: str, *sources: str) -> None:
    """Write the module."""
    found = collect(Path(__file__).resolve().parent.parent, [Path(name) for name in sources])
    lines = [f"    {name!r}: {found[name]!r},\n" for name in sorted(found)]
    Path(output).write_text(
        '"""The equations in the C sources; written by csrc/equations.py."""\n\n'
        "EQUATIONS: dict[str, tuple[str, str, int]] = {\n" + "".join(lines) + "}\n",
        "utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
