"""The arithmetic of the benchmarks: rounds to ratios, ratios to a median with its range, tables.

A round is one turn of every contender, so within a round the machine was about the same for all:
ratios are taken round by round. Nothing here measures.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Case = dict[str, Any]
"""{"contenders": {name: {...}}, "rounds": [{"turns": {name: {"seconds": s, ...}}, ...}, ...]}"""


class Spread(NamedTuple):
    """The median of some figures, and their range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        values = list(figures)
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} - {self.high:.{digits}f})"


def seconds(case: Case, name: str) -> list[float]:
    """A contender's seconds, one a round."""
    return [turns["turns"][name]["seconds"] for turns in case["rounds"]]


def ratios(case: Case, name: str, against: str) -> list[float]:
    """Seconds of one contender over those of another, round by round."""
    return [a / b for a, b in zip(seconds(case, name), seconds(case, against), strict=True)]


def gains(case: Case, one: str, two: str, *, work: int = 1) -> list[float]:
    """How many times as fast as `one` is `two`, which does `work` times as much; by rounds."""
    return [work * ratio for ratio in ratios(case, one, two)]


def options(case: Case, peer: str) -> list[str]:
    """The contenders that are one peer with different settings: "torch@1", "torch@2"."""
    return [name for name in case["contenders"] if name.split("@")[0] == peer]


def best(case: Case, names: Sequence[str]) -> str:
    """The contender with the smallest median of seconds."""
    return min(names, key=lambda name: statistics.median(seconds(case, name)))


def against_best(case: Case, name: str, names: Sequence[str]) -> tuple[Spread, str]:
    """Ratio to the best of some contenders, and which that is."""
    against = best(case, names)
    return Spread.of(ratios(case, name, against)), against


def stolen(case: Case) -> str:
    """The seconds that the host gave to others while a case was measured, of those of all cores."""
    rounds = case["rounds"]
    if not rounds:
        return ""
    text = f"{sum(done.get('stolen_seconds', 0.0) for done in rounds):.1f} s"
    if all("core_seconds" in done for done in rounds):  # older results do not have it
        text += f" of {sum(done['core_seconds'] for done in rounds):.0f}"
    return text


class Line(NamedTuple):
    """A line of a table of limits: what was done, what came out, what is allowed."""

    work: str
    measured: Spread
    at_most: float
    unit: str = ""
    against: str = ""
    stolen: str = ""

    @property
    def holds(self) -> bool:
        return self.measured.median <= self.at_most

    @property
    def verdict(self) -> str:
        return "yes" if self.holds else "**no**"

    def cells(self) -> list[str]:
        digits = 0 if self.unit else 2
        limit = f"{self.at_most:.{digits}f}{self.unit}"
        measured = self.measured.text(digits) + self.unit
        return [self.work, self.against, measured, limit, self.verdict, self.stolen]

    def brief(self) -> str:
        """In one cell: "0.26, at most 0.30: yes"."""
        digits = 0 if self.unit else 2
        limit = f"{self.at_most:.{digits}f}{self.unit}"
        return f"{self.measured.median:.{digits}f}, at most {limit}: {self.verdict}"


LINE_HEADERS = ["work", "against", "measured: median (range)", "at most", "holds", "stolen"]


def worst(lines: Sequence[Line]) -> Line:
    """The line that is furthest over its limit, or nearest to it."""
    return max(lines, key=lambda line: line.measured.median / line.at_most)


def losses_apart(case: Case) -> dict[str, float]:
    """By how much, relatively, each contender's first loss differs from that of pynn."""
    return _apart(case, "first_loss", lambda own, other: abs(other - own) / own)


def outputs_apart(case: Case) -> dict[str, float]:
    """By how much, at most, each contender's first probabilities differ from those of pynn."""

    def furthest(own: Sequence[float], other: Sequence[float]) -> float:
        return max(abs(a - b) for a, b in zip(own, other, strict=True))

    return _apart(case, "first", furthest)


def _apart(case: Case, key: str, distance: Callable[[Any, Any], float]) -> dict[str, float]:
    """Distances from the first pynn that has such a figure; nothing where none has."""
    known = {n: c[key] for n, c in case["contenders"].items() if c.get(key) is not None}
    own = next((name for name in known if name.startswith("pynn@")), None)
    if own is None:
        return {}
    reference = known.pop(own)
    return {name: distance(reference, figure) for name, figure in known.items()}


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown that also reads well as plain text."""
    cells = [list(headers), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [_row(row, lambda c, i: c.ljust(widths[i])) for row in cells]
    lines.insert(1, _row(["-" * width for width in widths], lambda c, i: c))
    return "\n".join(lines)


def _row(cells: Sequence[str], pad: Callable[[str, int], str]) -> str:
    return "| " + " | ".join(pad(cell, i) for i, cell in enumerate(cells)) + " |"


def between(text: str, name: str, new: str) -> str:
    """The text with what is between `<!-- begin: name -->` and `<!-- end: name -->` replaced."""
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page needs exactly one pair of marks for {name!r}")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{new.strip()}\n{end}{after}"
