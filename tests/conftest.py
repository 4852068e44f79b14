"""Make tests import the installed package, not the folder pynn; and define shared fixtures."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

# `python -m pytest` puts the current folder first on the path; the pynn in it has no compiled part.
_root = Path(__file__).parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _root]

Examples = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def pytest_collection_finish() -> None:
    """Keep the garbage collector from scanning thousands of test objects, which live to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def examples() -> Examples:
    """Noisy images of three patterns, (300, 4, 5) uint8, and their patterns, (300,) uint8."""
    rng = np.random.default_rng(21)
    patterns = rng.integers(0, 256, (3, 4, 5))
    labels = rng.integers(0, 3, 300, np.uint8)
    noise = rng.normal(0, 90, (300, 4, 5))
    images = np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in a folder of its own; it does not exist yet."""
    return tmp_path / "file"


@pytest.fixture
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk. (test_crash.py tests that files reach it.)"""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    """Restore pynn's number of threads, which belongs to the process, after the test."""
    import pynn  # here, as the path is set above

    before = pynn.get_num_threads()
    yield
    pynn.set_num_threads(before)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also in a background job, which would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def root() -> Path:
    """The repository."""
    return _root
