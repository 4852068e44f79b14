"""Test the installed package, not the source folder of the same name; fixtures that tests share."""

import gc
import sys
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
    """Spare the garbage collector the thousands of tests, which live until the end anyway."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def examples() -> Examples:
    """Noisy images of three patterns, (300, 4, 5) uint8, and which each is, (300,) uint8."""
    rng = np.random.default_rng(21)
    patterns = rng.integers(0, 256, (3, 4, 5))
    labels = rng.integers(0, 3, 300, np.uint8)
    noise = rng.normal(0, 90, (300, 4, 5))
    images = np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


@pytest.fixture
def root() -> Path:
    """The repository."""
    return _root
