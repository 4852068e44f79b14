"""A wheel states, and contains, the licences of all that is in it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import _wheel_licences
import pytest
from _wheel_licences import LicenceError, expression
from packaging.licenses import canonicalize_license_expression

ROOT = Path(__file__).parent.parent
INFO = "pynn_blas-1.0.0.dist-info"
METADATA = "Name: pynn-blas\nLicense-Expression: MIT\nLicense-File: LICENSE\nKeywords: x\n\ntext\n"
BSD = "Copyright (c) The OpenBLAS Project\nCopyright (c) The University of Tennessee\n"
GCC = f"{BSD}GCC RUNTIME LIBRARY EXCEPTION\n"


def make_wheel(folder: Path, stated: str = "MIT", **more: str) -> Path:
    """A wheel with few files; more has the texts of OpenBLAS and of its licence."""
    wheel = folder / "pynn_blas-1.0.0-cp310-abi3-any.whl"
    names = {"openblas": "pynn/libscipy_openblas_pynn.so", "licence": _wheel_licences.COPIED}
    files = {
        "pynn/__init__.py": "",
        f"{INFO}/METADATA": METADATA.replace("MIT", stated),
        f"{INFO}/licenses/LICENSE": "MIT",
        **{names[key]: text for key, text in more.items()},
        f"{INFO}/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6)), text)
    return wheel


def test_a_wheel_with_openblas_states_its_licences(tmp_path: Path) -> None:
    """The metadata, the folder of licences, the SBOM and the record have OpenBLAS."""
    wheel = make_wheel(tmp_path, openblas="ELF", licence=GCC)
    with pytest.raises(LicenceError, match="has the licences"):
        _wheel_licences.check(wheel)
    _wheel_licences.state(wheel, "scipy-openblas32==1.2.3")
    _wheel_licences.check(wheel)
    with zipfile.ZipFile(wheel) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
        assert {info.date_time for info in archive.infolist()} == {(2026, 1, 2, 3, 4, 6)}
    assert texts[f"{INFO}/licenses/OpenBLAS.txt"] == GCC
    assert _wheel_licences.COPIED not in texts
    (line,) = (line for line in texts[f"{INFO}/METADATA"].splitlines() if "Expression" in line)
    stated = line.removeprefix("License-Expression: ")
    assert stated == canonicalize_license_expression(stated) == expression(GCC)
    (component,) = json.loads(texts[f"{INFO}/sboms/openblas.cdx.json"])["components"]
    assert (component["name"], component["version"]) == ("scipy-openblas32", "1.2.3")
    record = [line.split(",")[0] for line in texts[f"{INFO}/RECORD"].splitlines()]
    assert record == list(texts) and record[-1].endswith("RECORD")


def test_what_is_written_is_the_same_each_time(tmp_path: Path) -> None:
    """Two wheels that are the same before are the same after: releases can be built again."""
    wheels = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        wheels.append(make_wheel(tmp_path / name, openblas="ELF", licence=BSD))
        _wheel_licences.state(wheels[-1], "scipy-openblas32==1.2.3")
    assert wheels[0].read_bytes() == wheels[1].read_bytes()


def test_a_wheel_without_openblas_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is added to what pynn's own licence covers."""
    wheel = make_wheel(tmp_path)
    before = wheel.read_bytes()
    _wheel_licences.state(wheel, "scipy-openblas32==1.2.3")
    assert wheel.read_bytes() == before
    _wheel_licences.check(wheel)


def test_a_wheel_that_states_other_licences_is_refused(tmp_path: Path) -> None:
    """What the metadata say must fit what is in the wheel."""
    with pytest.raises(LicenceError, match="states the licences"):
        _wheel_licences.check(make_wheel(tmp_path, stated="Apache-2.0"))


@pytest.mark.parametrize("licence", ["", "Copyright (c) The OpenBLAS Project", "Tennessee"])
def test_a_wheel_without_the_whole_licence_is_refused(licence: str, tmp_path: Path) -> None:
    """OpenBLAS does not go into a wheel without its licence, or with that of something else."""
    more = {"licence": licence} if licence else {}
    with pytest.raises(LicenceError, match=r"without pynn/|does not name"):
        _wheel_licences.state(make_wheel(tmp_path, openblas="ELF", **more), "x==1")


def test_gcc_is_named_only_where_it_is() -> None:
    """Only where the licence has GCC's exception is there something of GCC."""
    assert expression(BSD) == "MIT AND BSD-3-Clause AND BSD-3-Clause-Open-MPI"
    assert expression(GCC) == f"{expression(BSD)} AND {_wheel_licences.RUNTIME}"


def test_the_licence_is_that_of_pyproject() -> None:
    """What a wheel states of pynn itself is what pyproject.toml says."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'license = "{_wheel_licences.OWN}"\nlicense-files = ["LICENSE"]\n' in text
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")
