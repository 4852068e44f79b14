"""The floors of the C library: what a file includes lies on its own floor or below."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "csrc"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.[ch]"))

MAY_INCLUDE = {
    "": ("pynn.h", "internal.h", "layers/", "base/"),
    "layers": ("pynn.h", "layers/", "base/"),
    "base": ("pynn.h", "base/"),
}
"""For the files of each folder, how what they include may begin."""


def included(file: str) -> list[str]:
    """The files of the library that a file includes."""
    return re.findall(r'^#include "(.*)"', (ROOT / file).read_text(), re.MULTILINE)


def closure(file: str) -> set[str]:
    """All that a file includes, and what that includes."""
    found: set[str] = set()
    new = included(file)
    while new:
        name = new.pop()
        if name not in found:
            found.add(name)
            new += included(name)
    return found


@pytest.mark.parametrize("file", FILES)
def test_includes_run_downward(file: str) -> None:
    """Layers know of no network, no workspace and no batch; the base knows of no layer."""
    allowed = MAY_INCLUDE[file.rpartition("/")[0]]
    assert [name for name in included(file) if not name.startswith(allowed)] == []


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".h")])
def test_no_header_includes_itself(file: str) -> None:
    """There is no circle of headers."""
    assert file not in closure(file)


def test_every_folder_is_on_a_floor() -> None:
    """A new folder needs its place in the table above."""
    assert {file.rpartition("/")[0] for file in FILES} == set(MAY_INCLUDE)


def test_one_file_knows_a_blas() -> None:
    """BLAS is cblas for one file; all others call pynn_gemm()."""
    pattern = re.compile(r"^#include <(cblas|Accelerate)", re.MULTILINE)
    assert [file for file in FILES if pattern.search((ROOT / file).read_text())] == [
        "base/gemm_cblas.c"
    ]
