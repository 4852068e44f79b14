"""A release has one version, that of meson.build, and a changelog that programs can read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import _changelog
import pytest
from _release import bump, check, version_of
from _wheel_build import PYTHON_TAG
from _wheel_platforms import PLATFORMS

ROOT = Path(__file__).parent.parent

CHANGES = """# Changes

## Unreleased

### Fixed

- a thing
  of two lines

## 0.2.0 - 2026-03-01

### Added

- another

### Removed

- something

## 0.1.0 - 2026-02-28

### Added

- all
"""


def test_the_changelog_has_its_form() -> None:
    """CHANGELOG.md has no problem, and no version that is newer than that of meson.build."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert _changelog.problems(text) == []
    versions = [heading.split(" - ")[0] for heading in _changelog.headings(text)[1:]]
    known = _changelog.ordered(version_of(ROOT))
    assert [version for version in versions if _changelog.ordered(version) > known] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# Changes", "Changes", "no title"),
        ("## Unreleased", "## 0.3.0 - 2026-04-01", 'first version is "0.3.0'),
        ("0.2.0 - 2026-03-01", "0.2.0, in March", "not of the form"),
        ("0.2.0 - 2026-03-01", "v0.2.0 - 2026-03-01", "not of the form"),
        ("2026-03-01", "2026-02-30", "not of the form"),
        ("2026-03-01", "2026-02-27", "later date than the version above"),
        ("0.2.0", "0.0.9", "not newer"),
        ("0.2.0", "0.1.0", "not newer"),
        ("### Removed", "### Gone", '"Gone" of "0.2.0 - 2026-03-01" is none of Added'),
        ("### Removed", "### Added", 'has "Added" twice'),
        ("- something", "something", 'not a list: "something"'),
        ("- something", "", 'not a list: "nothing"'),
        ("### Fixed\n\n", "", "text before its first part"),
        ("### Added\n\n- all", "", '"0.1.0 - 2026-02-28" has no part'),
    ],
)  # fmt: skip
def test_a_wrong_form_is_found(old: str, new: str, said: str) -> None:
    """Each rule of the form has a text that breaks it, and a sentence that says so."""
    assert _changelog.problems(CHANGES) == []
    assert said in "\n".join(_changelog.problems(CHANGES.replace(old, new, 1)))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the two files that a release changes."""
    (tmp_path / "meson.build").write_text("project('pynn', 'c',\n  version: '0.2.0', # here\n)\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    commit(tmp_path)
    return tmp_path


def commit(clone: Path) -> None:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", clone, "add", "."], check=True)
    subprocess.run(["git", *who, "-C", clone, "commit", "--quiet", "-m", "x"], check=True)


def test_a_release_is_prepared(clone: Path) -> None:
    """After bump and a commit nothing stands against the release, whose notes were unreleased."""
    assert "scripts/release bump" in "".join(check(clone, None))
    assert bump(clone, "0.3.0") == []
    assert "not all is committed" in "".join(check(clone, None))
    commit(clone)
    assert check(clone, "v0.3.0") == []
    assert version_of(clone) == "0.3.0"
    text = (clone / "CHANGELOG.md").read_text("utf-8")
    assert _changelog.notes(text, "0.3.0") == "### Fixed\n\n- a thing\n  of two lines"
    assert _changelog.notes(text, "Unreleased") == ""
    assert "must be v0.3.0" in "".join(check(clone, "v0.2.0"))


@pytest.mark.parametrize(
    ("version", "said"),
    [("0.3", "no version"), ("0.2.0", "not newer"), ("0.1.9", "not newer"), ("0.10.0", "")],
)
def test_only_a_newer_version_can_follow(clone: Path, version: str, said: str) -> None:
    """A version that is released, or older, is refused, and no file is changed then."""
    found = bump(clone, version)
    assert said in "".join(found)
    assert bool(found) == bool(said)
    assert version_of(clone) == ("0.2.0" if said else version)


def test_a_version_without_its_changes_is_no_release(clone: Path) -> None:
    """A version in meson.build that the changelog does not have stops a release."""
    meson = clone / "meson.build"
    meson.write_text(meson.read_text().replace("0.2.0", "0.2.1"))
    assert "no 0.2.1" in "".join(check(clone, None))


def test_the_first_release_keeps_its_version(clone: Path) -> None:
    """Before any release meson.build says the version that is to come."""
    (clone / "CHANGELOG.md").write_text(CHANGES.partition("## 0.2.0")[0])
    assert "older" in "".join(bump(clone, "0.1.0"))
    assert bump(clone, "0.2.0") == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone")
def test_no_other_file_has_the_version() -> None:
    """Only records of a measurement, which say what they measured, name pynn's version besides."""
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "*.md", "*.py", "*.toml", "*.build", "*.[ch]", "*.js",
         "*.html", "*.yml", "*.ipynb", "scripts/*", ".ci/*"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\0")[:-1]  # fmt: skip
    assert len(names) > 300
    pattern = re.compile(rf"(?<![\d.]){re.escape(version_of(ROOT))}(?!\.?\d)")
    have = [name for name in names if pattern.search((ROOT / name).read_text("utf-8"))]
    others = {"CHANGELOG.md", "docs/performance.md", "tests/test_release.py"}
    assert set(have) - others == {"meson.build"}


def test_the_workflow_fits_the_scripts() -> None:
    """It names scripts that are there and platforms that are built, and actions by commit."""
    text = (ROOT / ".github/workflows/wheels.yml").read_text("utf-8")
    scripts = set(re.findall(r"scripts/\w+(?:\.py)?", text))
    assert scripts == {"scripts/release", "scripts/wheels", "scripts/_wheel_program.py"}
    assert [name for name in scripts if not (ROOT / name).is_file()] == []
    tried = set(re.findall(r"platform: (\w+)", text))
    assert tried and tried <= set(PLATFORMS)
    actions = re.findall(r"uses: (\S+@.*)", text)
    assert len(actions) >= 5
    pinned = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [action for action in actions if not pinned.fullmatch(action)] == []


def test_cibuildwheel_builds_the_same_kind_of_wheel() -> None:
    """Whoever builds natively gets a wheel of the same tag, tried by the same program."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    table = text.partition("[tool.cibuildwheel]")[2].partition("\n[")[0]
    assert f'build = "{PYTHON_TAG}-*"' in table
    assert 'test-command = "python {project}/scripts/_wheel_program.py"' in table
