"""What Windows does otherwise, emulated: no Python of Windows runs these tests."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn._base import atomic
from pynn._commands import result
from pynn.datasets import _kept

Refuse = Callable[[int, int | None], list[float]]

WITHOUT_POSIX = """
import os, pkgutil, sys

for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None  # importing it is an ImportError
sys.modules["sklearn"] = None  # which would take seconds
import numpy, multiprocessing.connection
for name in ("fork", "register_at_fork", "sched_getaffinity", "getuid", "fchmod",
             "sysconf", "uname", "O_NONBLOCK", "O_NOCTTY", "O_NOFOLLOW", "O_DIRECTORY"):
    if hasattr(os, name):
        delattr(os, name)
import pynn

for module in pkgutil.walk_packages(pynn.__path__, "pynn."):
    if not module.name.startswith(("pynn.__main__", "pynn.lib", "pynn.sklearn")):
        __import__(module.name)
from pynn.__main__ import main

sys.exit(main(["train", "--data", sys.argv[1], "--network", "relu", "--epochs", "1"]))
"""


def test_modules_and_training_need_no_posix(tmp_path: Path) -> None:
    """All modules can be imported, and the command trains, without what only POSIX has."""
    rng = np.random.default_rng(1)
    for part in ("train", "t10k"):
        images, labels = rng.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 3
        pynn.datasets.write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        pynn.datasets.write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels.astype(np.uint8))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_POSIX, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        encoding="cp1252",
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nthreads " in done.stdout
    assert "peak memory" not in done.stdout


def test_peak_memory_is_not_known_without_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no module that says it."""
    monkeypatch.delattr(result, "resource")
    assert result._peak_memory_nbytes() is None
    assert json.loads(result.as_json(0, "MNIST", []))["peak_memory_nbytes"] is None


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """A function that makes a rename fail so many times, as Windows does; it returns the pauses."""

    def refusing(times: int, winerror: int | None) -> list[float]:
        pauses: list[float] = []
        replace = os.replace

        def fail(source: str, target: str) -> None:
            if len(pauses) == times:
                return replace(source, target)
            error = PermissionError(errno.EACCES, "Access is denied", source)
            error.winerror = winerror  # type: ignore[attr-defined]
            raise error

        monkeypatch.setattr(os, "replace", fail)
        monkeypatch.setattr(time, "sleep", pauses.append)
        return pauses

    return refusing


@pytest.mark.parametrize("winerror", [5, 32])
def test_a_file_that_is_open_for_a_moment_is_replaced(
    refuse: Refuse, path: Path, winerror: int
) -> None:
    """Windows refuses to replace a file that another program has open; pynn tries again."""
    path.write_bytes(b"old")
    pauses = refuse(3, winerror)
    atomic.write_atomically(path, b"new")
    assert len(pauses) == 3
    assert path.read_bytes() == b"new"


def test_a_file_that_stays_open_is_an_error(refuse: Refuse, path: Path) -> None:
    """After 0.6 s the error names the file and the remedy; the old file stays, and it alone."""
    path.write_bytes(b"old")
    pauses = refuse(1000, 32)
    with pytest.raises(PermissionError, match="if a program has it open, close it there") as caught:
        atomic.write_atomically(path, b"new")
    assert caught.value.filename == os.fspath(path)
    assert 0.5 < sum(pauses) < 0.7
    assert [(file.name, file.read_bytes()) for file in path.parent.iterdir()] == [
        (path.name, b"old")
    ]


def test_no_permission_is_not_tried_again(refuse: Refuse, path: Path) -> None:
    """Other systems say at once and for good that a file may not be replaced."""
    pauses = refuse(1, None)
    with pytest.raises(PermissionError, match="denied") as caught:
        atomic.write_atomically(path, b"new")
    assert pauses == []
    assert caught.value.strerror == "Access is denied"


def keep(path: Path) -> npt.NDArray[np.uint8]:
    """Keep two images."""
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    return _kept.write(os.fspath(path), b"f" * 32, iter(images), 2)


def test_kept_images_are_renamed_before_they_are_mapped(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows renames no file that is mapped."""
    monkeypatch.setattr(_kept, "RENAMES_MAPPED", False)
    replace = os.replace

    def check(source: str, target: str) -> None:
        assert source not in Path("/proc/self/maps").read_text(encoding="utf-8")
        replace(source, target)

    monkeypatch.setattr(os, "replace", check)
    pixels = keep(path)
    assert isinstance(pixels, np.memmap)
    assert pixels.tolist() == np.arange(24).reshape(2, 3, 4, 1).tolist()


def test_kept_images_that_another_process_replaced_are_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the rename and the mapping another process may write images of its own."""
    monkeypatch.setattr(_kept, "RENAMES_MAPPED", False)
    monkeypatch.setattr(_kept, "read", lambda path, fingerprint: None)
    with pytest.raises(OSError, match="another process replaced the file; try again") as caught:
        keep(path)
    assert caught.value.filename == os.fspath(path)
