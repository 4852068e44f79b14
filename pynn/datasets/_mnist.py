"""MNIST: the places where it may be, and its download."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from pynn._base import checks, reading, words
from pynn._base.errors import DataNotFoundError
from pynn.datasets._download import DownloadError, download
from pynn.datasets._layout import Dataset, find_file, load_layout, missing_files
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

# SHA-256 of the uncompressed files, as they were published in 1998.
CONTENTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@words.corrected
def mnist(root: str | os.PathLike[str] | None = None) -> tuple[Dataset, Dataset]:
    """Read MNIST, images of handwritten digits: 60,000 to train on and 10,000 to test with.

    With `root`, only that directory is read. Without it, the first of these directories that has
    all four files is read: $PYNN_DATA; data/mnist under the current directory; the user's cache
    ($XDG_CACHE_HOME/pynn/mnist, or if that is not set ~/.cache/pynn/mnist, on macOS
    ~/Library/Caches/pynn/mnist, on Windows ~/AppData/Local/pynn/mnist). If none has them, they are
    downloaded into the cache, by the package pooch if it is installed, and their SHA-256 is
    checked. A damaged file is always an error: no other directory is tried instead.

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


def places() -> list[Path]:
    """The folders that may have MNIST, in the order in which they are looked at."""
    found = [user_cache("mnist")]
    with contextlib.suppress(FileNotFoundError):  # the current folder is gone
        found.insert(0, Path("data", "mnist").absolute())
    if from_environment := os.environ.get("PYNN_DATA"):
        found.insert(0, Path(from_environment))
    return found


def find() -> Path | None:
    """The first of these folders that has all four files; None if there is none."""
    return next((place for place in places() if not missing_files(place)), None)


def _locate() -> Path:
    """Find the first place that has all four files; if there is none, download to the cache."""
    found = find()
    if found is None:
        found = user_cache("mnist")
        download_to(found)
    return found


def download_to(folder: Path) -> list[str]:
    """Download the files that a folder lacks; return their names.

    Raises:
        DataNotFoundError: No mirror gave one of them.
        OSError: A file cannot be written.
    """
    missing = missing_files(folder)
    for name in missing:
        try:
            download(folder, f"{name}.gz", CHECKSUMS[name], MIRRORS)
        except DownloadError as error:
            unset = "" if os.environ.get("PYNN_DATA") else " ($PYNN_DATA is not set)"
            raise DataNotFoundError(
                f"MNIST is in none of {', '.join(map(str, places()))}{unset}, and {name}.gz could"
                f" not be downloaded ({error}); put its four files ({', '.join(CHECKSUMS)}; plain"
                " or with .gz at the end) into one of these, or name their directory: mnist(root)"
            ) from None
    return missing


def verify(folder: Path) -> dict[str, str]:
    """Compare the files in a folder with the original, by the SHA-256 of their contents.

    Returns:
        For each of the four files its name in the folder and what is wrong with it, or "".

    Raises:
        OSError: A file cannot be read.
    """
    found = {}
    for name, sha256 in CONTENTS.items():
        path = find_file(folder, "", name)
        if path is None:
            found[name] = "missing"
            continue
        try:
            digest = _digest(path)
            found[path.name] = "" if digest == sha256 else f"other bytes: SHA-256 {digest}"
        except (EOFError, gzip.BadGzipFile, zlib.error):
            found[path.name] = "damaged"
    return found


def _digest(path: Path) -> str:
    """The SHA-256 of what a file holds, also if it is compressed."""
    digest = hashlib.sha256()
    with reading.opened(path) as file, contextlib.ExitStack() as stack:
        content: BinaryIO | gzip.GzipFile = file
        if file.read(2) == b"\x1f\x8b":
            content = stack.enter_context(gzip.open(file))
        file.seek(0)
        while part := content.read(2**20):
            digest.update(part)
    return digest.hexdigest()
