"""Programs start however Python is called: it may leave their folder out of its path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = [
    "scripts/predict.py",
    "scripts/train.py",
    "benchmarks/run.py",
    "benchmarks/report.py",
    "benchmarks/sklearn_mlp.py",
    "scripts/_mutate.py",
]


def starts(folder: Path, *arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments, "--help"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_isolated(program: str, tmp_path: Path) -> None:
    """With -I, from elsewhere."""
    starts(tmp_path, "-I", str(ROOT / program))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11")
@pytest.mark.parametrize("program", PROGRAMS[:3])
def test_safe_path(program: str, tmp_path: Path) -> None:
    """With PYTHONSAFEPATH, which processes that it starts inherit."""
    starts(tmp_path, str(ROOT / program), PYTHONSAFEPATH="1")


@pytest.mark.parametrize("program", PROGRAMS[:2])
def test_through_a_link(program: str, tmp_path: Path) -> None:
    """Its folder is that of the file, not of the link."""
    (tmp_path / "link.py").symlink_to(ROOT / program)
    starts(tmp_path, "-I", "link.py")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="new in Python 3.11")
def test_a_benchmarks_worker_starts_on_a_safe_path(tmp_path: Path) -> None:
    """It finds the contenders beside it."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "worker.py"), "numpy", "1"],
        input='{"do": "memory"}\n',
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    assert '"nbytes"' in done.stdout
