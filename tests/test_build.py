"""The installed Python package: that the build put together what it should have."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import pynn
from pynn._native import library

ROOT = Path(__file__).parent.parent

needs_own_openblas = pytest.mark.skipif(
    pynn.build_info()["blas"] != "scipy-openblas", reason="built with another BLAS"
)


def test_every_module_is_installed() -> None:
    """The modules of all folders, also of one that is new."""
    files = [path.relative_to(ROOT) for path in (ROOT / "pynn").rglob("*.py")]
    modules = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    assert "pynn" in modules
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


def test_the_version_is_the_one_of_meson_build() -> None:
    """C, Python and the package's metadata all say what meson.build says."""
    match = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())
    assert match
    assert pynn.__version__ == importlib.metadata.version("pynn-blas") == match[1]


def test_the_openblas_pin_is_the_same_everywhere() -> None:
    """pyproject.toml and the advice in csrc/meson.build name one version of scipy-openblas32."""
    text = (ROOT / "pyproject.toml").read_text() + (ROOT / "csrc/meson.build").read_text()
    pins = re.findall(r"scipy-openblas32==([0-9.]+)", text)
    assert len(pins) >= 3
    assert len(set(pins)) == 1


OTHERS_FIRST = """
import json, sys
import numpy, threadpoolctl
numpy.ones((64, 64)) @ numpy.ones((64, 64))
import pynn
with threadpoolctl.threadpool_limits(2):
    # 31 outputs: a product that is for BLAS at every instruction set (csrc/base/gemm.c).
    chain = pynn.Builder().input(32).dense(31, init="he").softmax_cross_entropy()
    chain.build(seed=0).predict(numpy.ones((64, 32), numpy.float32))
    json.dump(threadpoolctl.threadpool_info(), sys.stdout)
"""


@needs_own_openblas
def test_our_openblas_is_ours_alone(tmp_path: Path) -> None:
    """With NumPy's OpenBLAS loaded first we use our copy, at one thread; NumPy's is left alone."""
    command = [sys.executable, "-c", OTHERS_FIRST]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=tmp_path).stdout
    pools: list[dict[str, Any]] = json.loads(output)
    ours = [pool for pool in pools if Path(pool["filepath"]).name == "libscipy_openblas_pynn.so"]
    others = [pool for pool in pools if pool not in ours]
    assert [pool["num_threads"] for pool in ours] == [1]
    assert all(pool["num_threads"] == 2 for pool in others)


def test_no_bytecode_is_installed() -> None:
    """pynn/meson.build installs all that is in a folder but what Python leaves there."""
    text = (ROOT / "pynn/meson.build").read_text()
    left_out = set(re.findall("'(.*)__pycache__'", text))
    modules = (ROOT / "pynn").rglob("*.py")
    folders = {module.parent.relative_to(ROOT / "pynn") for module in modules}
    assert left_out == {"" if folder == Path() else f"{folder}/" for folder in folders}


def test_licences_are_installed() -> None:
    """pynn's own licence, and that of OpenBLAS where a copy of it is installed."""
    info = importlib.metadata.distribution("pynn-blas")
    assert "MIT License" in str(info.read_text("licenses/LICENSE"))
    if Path(pynn.__file__).with_name("libscipy_openblas_pynn.so").exists():
        beside = Path(pynn.__file__).with_name("libscipy_openblas_pynn.LICENSE.txt")
        # scripts/wheels moves it.
        text = beside.read_text() if beside.exists() else info.read_text("licenses/OpenBLAS.txt")
        assert "The OpenBLAS Project" in str(text)
        assert "GCC RUNTIME LIBRARY EXCEPTION" in str(text)


COUNT_THREADS = """
import os, sys
import numpy
before = len(os.listdir("/proc/self/task"))
import pynn
print(len(os.listdir("/proc/self/task")) - before, os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@pytest.mark.skipif(
    not Path(pynn.__file__).with_name("libscipy_openblas_pynn.so").exists(),
    reason="pynn is not installed with an OpenBLAS of its own",
)
@pytest.mark.parametrize("wish", [None, "2"])
def test_our_openblas_starts_no_threads(wish: str | None, tmp_path: Path) -> None:
    """They would have no work, but look for it, without a rest; the user's setting stays."""
    given = {"OPENBLAS_NUM_THREADS": wish} if wish else {}
    env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"} | given
    command = [sys.executable, "-c", COUNT_THREADS]
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, cwd=tmp_path, env=env
    ).stdout
    assert output.decode().split() == ["0", str(wish)]


# ------------------------------------------------------------ free-threaded Python

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        ({"setup-args": "-Db=1"}, ["-Db=1"]),
        ({"setup-args": ["-Db=1", "-Dc=2"]}, ["-Db=1", "-Dc=2"]),
    ],
)
def test_limited_api_is_left_out_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any] | None, expected: list[str]
) -> None:
    """A free-threaded Python gets one option more, before the caller's; others get the caller's."""
    pytest.importorskip("mesonpy")
    import _backend

    before = json.dumps(given)
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
    ours = "-Dpython.allow_limited_api=false"
    assert _backend.with_interpreter(given) == {"setup-args": [ours, *expected]}
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 0}.get)
    assert _backend.with_interpreter(given) == (given or {})
    assert json.dumps(given) == before


def test_extension_serves_all_versions_where_one_can() -> None:
    """Its name has the interpreter's version only if that is free-threaded."""
    assert ("cp" in Path(library.extension()).name) is FREE_THREADED


WITHOUT_GIL = """
import sys
import numpy, pynn
model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=0)
model.fit(numpy.eye(2), [0, 1], epochs=1)
sys.exit(sys._is_gil_enabled())
"""


@pytest.mark.skipif(not FREE_THREADED, reason="this Python has a global lock")
def test_import_does_not_turn_the_global_lock_on(tmp_path: Path) -> None:
    """All modules that pynn loads say that they work without it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    command = [sys.executable, "-W", "error", "-c", WITHOUT_GIL]
    assert subprocess.run(command, cwd=tmp_path, env=environment).returncode == 0
