"""What scripts/release does to the files of a release, and what it checks in them."""

from __future__ import annotations

import datetime
import re
import subprocess
from pathlib import Path

import _changelog


def read(root: Path, name: str) -> str:
    """The text of a file of a clone."""
    return (root / name).read_text(encoding="utf-8")


def version_of(root: Path) -> str:
    """The version that meson.build says."""
    match = re.search(r"^  version: '([^']+)'", read(root, "meson.build"), re.MULTILINE)
    if match is None:
        raise SystemExit("scripts/release: meson.build has no line with the version")
    return match[1]


def bump(root: Path, version: str) -> list[str]:
    """Make the files those of a new version; where that cannot be, say why and change nothing."""
    old, text = version_of(root), read(root, "CHANGELOG.md")
    if not _changelog.VERSION.fullmatch(version):
        return [f"{version} is no version: three numbers with points between them are"]
    found = _changelog.problems(text)
    if _changelog.notes(text, old) and _changelog.ordered(version) <= _changelog.ordered(old):
        found.append(f"{version} is not newer than {old}, which is released")
    elif _changelog.ordered(version) < _changelog.ordered(old):
        found.append(f"{version} is older than {old}")
    if not _changelog.notes(text, _changelog.UNRELEASED):
        found.append("CHANGELOG.md says of nothing that is not yet released")
    if not found:
        day = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
        changed = _changelog.release(text, version, day)
        (root / "CHANGELOG.md").write_text(changed, encoding="utf-8")
        meson = read(root, "meson.build").replace(f"version: '{old}'", f"version: '{version}'", 1)
        (root / "meson.build").write_text(meson, encoding="utf-8")
    return found


def check(root: Path, tag: str | None) -> list[str]:
    """What stands against a release of what is in a clone: a sentence each."""
    version, text = version_of(root), read(root, "CHANGELOG.md")
    found = _changelog.problems(text)
    if _changelog.headings(text)[1:2] != [f"{version} - {_day(text, version)}"]:
        found.append(f"CHANGELOG.md has no {version}, that of meson.build, as its newest version")
    if _changelog.notes(text, _changelog.UNRELEASED):
        found.append("CHANGELOG.md still has something unreleased: scripts/release bump moves it")
    if tag is not None and tag != f"v{version}":
        found.append(f"the tag is {tag}, but meson.build says {version}: it must be v{version}")
    status = ["git", "-C", str(root), "status", "--porcelain"]
    done = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    if done:
        found.append(f"not all is committed:\n{done}")
    return found


def _day(text: str, version: str) -> str:
    """The date of a version in the changelog, or "" if it is not there."""
    match = re.search(rf"^## {re.escape(version)} - (.*)$", text, re.MULTILINE)
    return match[1] if match else ""
