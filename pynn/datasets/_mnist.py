"""MNIST: the places where it may be, and its download."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pynn._base import checks, words
from pynn._base.errors import DataNotFoundError
from pynn.datasets._layout import Dataset, load_layout, missing_files
from pynn.datasets._places import user_cache

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


@words.corrected
def mnist(root: str | os.PathLike[str] | None = None) -> tuple[Dataset, Dataset]:
    """Read MNIST, images of handwritten digits: 60,000 to train on and 10,000 to test with.

    With `root`, only that directory is read. Without it, the first of these directories that has
    all four files is read: $PYNN_DATA; data/mnist under the current directory; the user's cache
    ($XDG_CACHE_HOME/pynn/mnist, or if that is not set ~/.cache/pynn/mnist, on macOS
    ~/Library/Caches/pynn/mnist, on Windows ~/AppData/Local/pynn/mnist). If none has them, and the
    package pooch is installed, they are downloaded into the cache and their SHA-256 is checked. A
    damaged file is always an error: no other directory is tried instead.

    Args:
        root: The directory with the four files, as for `load`.

    Returns:
        The training set and the test set: images of shape (n, 28, 28), labels of shape (n,) from 0
        to 9, both uint8.

    Raises:
        DataNotFoundError: MNIST is in none of these places and could not be downloaded.
        FileFormatError: A file is damaged, or does not hold what its name says.

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
    """Find the first place that has all four files; if there is none, download to the cache."""
    cache = user_cache("mnist")
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


def _download(folder: Path, looked: str) -> None:
    """Download the files that a folder lacks, each from the first mirror that works.

    Args:
        folder: The folder for the files; it is created if needed.
        looked: The places that were searched, in words, for the start of an error.
    """
    hint = (
        f"put its four files ({', '.join(CHECKSUMS)}; plain or with .gz at the end) into one of"
        " these, or name their directory: mnist(root)"
    )
    try:
        pooch: Any = importlib.import_module("pooch")
    except ModuleNotFoundError as error:
        if error.name != "pooch":
            raise
        raise DataNotFoundError(
            f"{looked}, and without pooch it is not downloaded: pip install pooch, or {hint}"
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
                    f"{looked}, and downloading it failed ({'; '.join(failures)}); {hint}"
                )


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a logger quiet except for errors: the library prints nothing when all goes well."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
