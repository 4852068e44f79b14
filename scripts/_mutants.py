"""The mutants of a file: every small break that scripts/mutate may put into it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Edit(NamedTuple):
    """A stretch of a text, start <= i < end, and what takes its place."""

    start: int
    end: int
    text: str
    kind: str


class Mutant(NamedTuple):
    """A file with one edit."""

    file: str
    """The path from the repository, with slashes."""
    line: int
    """The edit's first, from 1."""
    kind: str
    before: str
    """The lines that the edit touches, as they are."""
    after: str
    number: int
    """Which of those with the same lines before and after, from 0."""
    edit: Edit

    @property
    def key(self) -> str:
        """Its name in the record: the same as long as its lines are."""
        words = (self.file, self.before, self.after, str(self.number))
        return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]

    def apply(self, text: str) -> str:
        """The file's text with the edit."""
        return text[: self.edit.start] + self.edit.text + text[self.edit.end :]


def of_file(root: Path, file: str) -> list[Mutant]:
    """All mutants of a file, in the order of their places."""
    import _mutants_c
    import _mutants_python

    text = (root / file).read_text(encoding="utf-8")
    edits = _mutants_c.edits(text) if file.startswith("csrc/") else _mutants_python.edits(text)
    return list(_mutants(file, text, sorted(set(edits))))


def _mutants(file: str, text: str, edits: Iterable[Edit]) -> Iterator[Mutant]:
    seen: dict[tuple[str, str], int] = {}
    for edit in edits:
        first = text.rfind("\n", 0, edit.start) + 1
        last = text.find("\n", edit.end)
        last = len(text) if last < 0 else last
        before = text[first:last]
        after = text[first : edit.start] + edit.text + text[edit.end : last]
        number = seen[before, after] = seen.get((before, after), -1) + 1
        line = text.count("\n", 0, edit.start) + 1
        yield Mutant(file, line, edit.kind, before, after, number, edit)


def shuffled(mutants: Iterable[Mutant], seed: int) -> list[Mutant]:
    """A random order in which a change of one line moves the mutants of that line alone."""
    return sorted(mutants, key=lambda mutant: random.Random(f"{seed} {mutant.key}").random())
