"""MNIST: where it may lie, and where it is fetched from."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pynn._base import checks
from pynn._base.errors import DataNotFoundError
from pynn.datasets._layout import Dataset, load_layout, missing_files

CLASSES = 10

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

# SHA-256 of the .gz files as both mirrors serve them.
CHECKSUMS = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def mnist(root: str | os.PathLike[str] | None = None) -> tuple[Dataset, Dataset]:
    """MNIST: handwritten digits, 60,000 to train on and 10,000 to test.

    With `root`, reads that directory and looks nowhere else. Without, takes the first of these that
    holds all four files: $PYNN_DATA, data/mnist under the current directory, the user's cache
    ($XDG_CACHE_HOME/pynn/mnist; where that is not set ~/.cache/pynn/mnist, on macOS
    ~/Library/Caches/pynn/mnist, on Windows ~/AppData/Local/pynn/mnist). Where none does, and pooch
    is installed, downloads them into the cache and checks their SHA-256. A damaged file is an
    error, wherever it lies: no other is taken for it.

    Args:
        root: The directory that holds the four files, as for `load`.

    Returns:
        Training and test set: images (n, 28, 28), labels (n,) from 0 to 9, uint8 both.

    Raises:
        DataNotFoundError: It is in none of these places and could not be downloaded.
        FileFormatError: A file is damaged, or not what its name says.

    Example:
        >>> import pynn
        >>> train, test = pynn.datasets.mnist()
        >>> train.images.shape, train.labels[:5].tolist()
        ((60000, 28, 28), [5, 0, 4, 1, 9])
    """
    return load_layout(
        _locate() if root is None else Path(checks.path("root", root)), classes=CLASSES
    )


def _locate() -> Path:
    """The first place that holds all four files; the cache after a download if none does."""
    cache = _cache()
    places = [cache]
    with suppress(FileNotFoundError):  # the current folder is gone
        places.insert(0, Path("data", "mnist").absolute())
    if from_environment := os.environ.get("PYNN_DATA"):
        places.insert(0, Path(from_environment))
    for place in places:
        if not missing_files(place):
            return place
    looked = f"MNIST is in none of {', '.join(map(str, places))}"
    if not from_environment:
        looked += " ($PYNN_DATA is not set)"
    _download(cache, looked)
    return cache


def _cache() -> Path:
    """The directory for downloads, which need not exist."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(configured):
        base = Path(configured)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path.home() / "AppData" / "Local"
    else:
        base = Path.home() / ".cache"
    return base / "pynn" / "mnist"


def _download(folder: Path, looked: str) -> None:
    """Fetch the files that the folder lacks, each from the first mirror that gives it.

    Args:
        folder: Where they go; made if need be.
        looked: What an error says before it says what failed.
    """
    way_out = (
        f"put its four files ({', '.join(CHECKSUMS)}; plain or with .gz at the end) into one of"
        " these, or name their directory: mnist(root)"
    )
    try:
        pooch: Any = importlib.import_module("pooch")
    except ModuleNotFoundError as error:
        if error.name != "pooch":
            raise
        raise DataNotFoundError(
            f"{looked}, and without pooch it is not downloaded: pip install pooch, or {way_out}"
        ) from None
    with _quiet(pooch.get_logger()):
        for name in missing_files(folder):
            failures = []
            for mirror in MIRRORS:
                try:
                    pooch.retrieve(
                        f"{mirror}{name}.gz",
                        known_hash=f"sha256:{CHECKSUMS[name]}",
                        fname=f"{name}.gz",
                        path=folder,
                    )
                    break
                except (OSError, ValueError) as error:  # no connection, no space, a wrong checksum
                    failures.append(f"{mirror}{name}.gz: {error}")
            else:
                raise DataNotFoundError(
                    f"{looked}, and downloading it failed ({'; '.join(failures)}); {way_out}"
                )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a logger from announcing what goes well."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
