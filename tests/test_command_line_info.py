"""python -m pynn info: what there is and what is missing, and nothing raw in the terminal."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import in_an_empty_folder, out, squeezed

import pynn
from pynn import _info

here = pytest.fixture(autouse=True)(in_an_empty_folder)


def info(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `info --json` prints."""
    known = json.loads("\n".join(out(capsys, "info", "--json")))
    assert isinstance(known, dict)
    return known


def test_info_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """All that build_info() knows, and what is around it."""
    known = info(capsys)
    assert known.items() >= pynn.build_info().items()
    assert known["python"] == platform.python_version()
    assert known["packages"]["numpy"] == np.__version__
    assert known["processor"] and known["platform"]


def test_info_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The same, a line each, in columns."""
    known = info(capsys)
    lines = out(capsys, "info")
    assert lines[0].split() == ["pynn", pynn.__version__]
    assert lines[1].split() == ["instruction", "set", known["instruction_set"]]
    at = lines[0].index(pynn.__version__)
    assert all(not line or (line[at - 2 : at] == "  " and line[at] != " ") for line in lines)
    said = {line[:at].rstrip(): line[at:] for line in lines if line}
    assert said["threads"].startswith(f"{known['threads']}, from ")
    assert said["package"] == known["package"]
    assert said["BLAS"].split()[0] == known["blas"]
    assert said["numpy"] == np.__version__


def test_info_of_what_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither packages, nor a home folder, nor /proc: it still says the rest."""

    def refuse(*_: object, **__: object) -> Any:
        raise FileNotFoundError

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_info, "open", refuse, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", absent)
    known = info(capsys)
    assert (known["data_cache"], known["blas_library"]) == (None, None)
    assert known["processor"] == platform.machine()
    assert set(known["packages"].values()) == {None}
    assert "data cache not known" in squeezed(out(capsys, "info"))
    assert "numpy not installed" in squeezed(out(capsys, "info"))


@pytest.mark.parametrize("version", [None, ""])
def test_info_of_a_package_without_a_version(
    version: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip leaves such a package behind where it could not remove one."""
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert set(info(capsys)["packages"].values()) == {None}


def test_info_prints_nothing_raw(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder or a package may have any name and version, which a terminal must not obey."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache\x1b[2J\r\udce9")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1\n2\x9b" + "x" * 5000)
    text = "\n".join(out(capsys, "info"))
    assert text.replace("\n", "").isprintable() and len(text) < 10_000
    assert "/cache\\x1b[2J\\r\\udce9" in text and "1\\n2\\x9b" in text
    assert "\n".join(out(capsys, "info", "--json")).replace("\n", "").isprintable()


def test_info_imports_no_package(here: Path) -> None:
    """Versions are read, not asked for: importing torch alone takes seconds."""
    code = """if True:
        import sys
        from pynn.__main__ import main
        main(["info"])
        print(sorted({"matplotlib", "onnx", "PIL", "pooch", "sklearn", "torch"} & set(sys.modules)))
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=here)
    assert (result.stdout.splitlines()[-1], result.stderr) == ("[]", "")


def test_info_knows_what_pynn_can_use() -> None:
    """The packages that pyproject.toml requires, and those of its extras for users."""
    required, optional = set(), set()
    for line in importlib.metadata.requires("pynn-blas") or []:
        name = re.split(r"[<>=\[]", line)[0]
        extra = re.search(r"extra == .(\w+)", line)
        if extra is None:
            required.add(name)
        elif extra[1] not in ("test", "benchmarks", "dev", "docs", "page", "wheels"):
            optional.add(name)
    assert (required, optional) == (set(_info.REQUIRED), set(_info.OPTIONAL))
