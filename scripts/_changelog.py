"""CHANGELOG.md: whether it has the form of Keep a Changelog, and what a release makes of it.

The form: a title and perhaps some lines of text; "## Unreleased"; then each version, the newest
first, as "## 1.2.3 - 2026-05-31"; each has parts with
the names of PARTS, and each part a list.
"""

from __future__ import annotations

import datetime
import re

PARTS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""The parts that a version may have."""

UNRELEASED = "Unreleased"

VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
"""The form of a version: three numbers, which the name of the shared library needs."""

_RELEASED = re.compile(rf"({VERSION.pattern}) - (\d{{4}}-\d\d-\d\d)")


def ordered(version: str) -> tuple[int, ...]:
    """The numbers of a version, which are compared in its place."""
    return tuple(int(number) for number in version.split("."))


def headings(text: str) -> list[str]:
    """The headings of the versions, without "## ", from top to bottom."""
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


def notes(text: str, version: str) -> str:
    """What stands below the heading of a version, or of "Unreleased"; "" if it has none."""
    pattern = rf"^## {re.escape(version)}(?: - [^\n]*)?\n(.*?)(?=^## |\Z)"
    match = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    return match[1].strip() if match else ""


def problems(text: str) -> list[str]:
    """What is wrong with the form of a changelog, a sentence each; an empty list if nothing is."""
    found = [] if text.startswith("# ") else ["The first line is no title."]
    first, *others = headings(text) or [""]
    if first != UNRELEASED:
        found.append(f'The first version is "{first}", not "{UNRELEASED}".')
    newer: tuple[tuple[int, ...], str] | None = None
    for heading in others:
        match = _RELEASED.fullmatch(heading)
        if match is None or not _is_date(match[5]):
            found.append(f'"{heading}" is not of the form "1.2.3 - 2026-05-31".')
            continue
        this = ordered(match[1]), match[5]
        if newer and this[0] >= newer[0]:
            found.append(f'"{heading}" stands below a version that is not newer.')
        if newer and this[1] > newer[1]:
            found.append(f'"{heading}" has a later date than the version above it.')
        newer = this
    for heading in [first, *others]:
        found += _problems_of_parts(heading, notes(text, heading.split(" - ")[0]))
    return found


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _problems_of_parts(heading: str, body: str) -> list[str]:
    if not body:
        return [] if heading == UNRELEASED else [f'"{heading}" has no part.']
    before, *rest = re.split(r"^### (.*)$", body, flags=re.MULTILINE)
    names, lists = rest[::2], rest[1::2]
    found = [f'"{heading}" has text before its first part.'] if before.strip() else []
    for name, entries in zip(names, lists, strict=True):
        if name not in PARTS:
            found.append(f'"{name}" of "{heading}" is none of {", ".join(PARTS)}.')
        if names.count(name) > 1:
            found.append(f'"{heading}" has "{name}" twice.')
        lines = entries.strip().splitlines() or ["nothing"]
        wrong = [line for line in lines if not re.match(r"- \S|  +\S", line)]
        if wrong or not lines[0].startswith("- "):
            found.append(f'"{name}" of "{heading}" is not a list: "{(wrong or lines)[0]}".')
    return found


def release(text: str, version: str, day: str) -> str:
    """The changelog after a release: what was unreleased belongs to the version."""
    heading = f"## {UNRELEASED}\n"
    return text.replace(heading, f"{heading}\n## {version} - {day}\n", 1)
