"""The equations that the C sources are marked with, and where each stands.

csrc/equations.py collects them when pynn is built.
"""

from __future__ import annotations

from typing import NamedTuple

from pynn._explain._equations import EQUATIONS


class Equation(NamedTuple):
    """An equation, and the line of C that computes it."""

    text: str
    file: str
    """From the top of the repository on: "csrc/layers/dense.c"."""
    line: int
    """The line of the mark, from 1; the code is below it."""

    @property
    def place(self) -> str:
        """The file and the line: "csrc/layers/dense.c:52"."""
        return f"{self.file}:{self.line}"


def equation(name: str) -> Equation:
    """Return the equation that is marked with a name, such as "dense.dX"."""
    return Equation(*EQUATIONS[name])
