"""The floors of the C library: what a file includes lies on its own floor or below."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "csrc"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.[ch]"))

MAY_INCLUDE = {
    "": ("pynn.h", "internal.h", "layers/", "base/"),
    "plain": (),  # a program by itself
    "layers": ("pynn.h", "layers/", "base/"),
    "base": ("pynn.h", "base/"),
}
"""For the files of each folder, how what they include may begin."""


def names_in(text: str) -> list[str]:
    """What lines of C include, between quotes or angle brackets."""
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]*)', text, re.MULTILINE)


def included(file: str) -> list[str]:
    """The files of the library that a file includes; other headers come from the system."""
    known = {path.rpartition("/")[2] for path in FILES}
    names = names_in((ROOT / file).read_text())
    return [name for name in names if name.rpartition("/")[2] in known]


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
    wrong = [name for name in included(file) if not name.startswith(allowed) or name not in FILES]
    assert wrong == []


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".h")])
def test_no_header_includes_itself(file: str) -> None:
    """There is no circle of headers."""
    assert file not in closure(file)


def test_every_folder_is_on_a_floor() -> None:
    """A new folder needs its place in the table above."""
    assert {file.rpartition("/")[0] for file in FILES} == set(MAY_INCLUDE)


def test_one_file_knows_a_blas() -> None:
    """BLAS is cblas for one file; all others call pynn_gemm()."""
    texts = {file: (ROOT / file).read_text() for file in FILES}
    users = [
        file
        for file, text in texts.items()
        if any(name.startswith(("cblas", "Accelerate")) for name in names_in(text))
    ]
    assert users == ["base/gemm_cblas.c"]


@pytest.mark.parametrize(
    "line",
    [
        '#include "internal.h"',
        "#include <internal.h>",
        '  #  include "internal.h"',
        "\t#include\t<internal.h>",
        "#include<internal.h> /* networks */",
    ],
)
def test_an_include_is_found_however_it_is_written(line: str) -> None:
    """Also in angle brackets, and with spaces where C allows them."""
    assert names_in(f"int x;\n{line}\nint y;\n") == ["internal.h"]
