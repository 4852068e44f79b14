"""Data sets in the layout of MNIST, which many share: four IDX files in a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading, words
from pynn._base.errors import ArgumentTypeError, DataNotFoundError, FileFormatError
from pynn.datasets._idx import read_idx

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


class Dataset(NamedTuple):
    """A pair of images and their labels, to be used as in `model.fit(*train, epochs=5)`.

    Attributes:
        images: Shape (n, ...), uint8.
        labels: Shape (n,), integers.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[Any]

    def __repr__(self) -> str:
        """Show dtypes and shapes instead of the arrays."""
        images, labels = self
        return (
            f"Dataset(images={images.dtype} {images.shape}, labels={labels.dtype} {labels.shape})"
        )


@words.corrected
def load(
    root: str | os.PathLike[str], *, prefix: str = "", mapped: bool = False
) -> tuple[Dataset, Dataset]:
    """Read a data set in MNIST's layout, such as Fashion-MNIST, KMNIST, EMNIST or your own.

    The four files are train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte. A name may have idx4 for images with channels, test for t10k, a dot as
    in train-images.idx3-ubyte, and .gz at its end if the file is compressed. If there are several
    such files, the first of these forms is read, and a plain file rather than a compressed one.

    Images may have any size and number of channels, and labels any number of classes.

    Args:
        root: The directory with the four files.
        prefix: What the four names begin with, as in "emnist-letters-".
        mapped: Whether to map plain files into memory, as `read_idx` does.

    Returns:
        The training set and the test set, with arrays as from `read_idx`.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        DataNotFoundError: A file is missing.
        FileFormatError: A file is damaged, does not hold what its name says, or the numbers of
            images and labels, or the shapes of training and test images, differ.

    Example:
        >>> import pynn
        >>> train, test = pynn.datasets.load("data/mnist")
        >>> test
        Dataset(images=uint8 (10000, 28, 28), labels=uint8 (10000,))
    """
    if not _is_prefix(prefix):
        raise ArgumentTypeError(
            "prefix must be a str without folders, with which the names of the files begin, as in"
            f" 'emnist-letters-', got {checks.describe(prefix)}"
        )
    return load_layout(Path(checks.path("root", root)), prefix=prefix, mapped=mapped)


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and os.path.basename(value) == value and "\0" not in value


def load_layout(
    root: Path, *, prefix: str = "", classes: int | None = None, mapped: bool = False
) -> tuple[Dataset, Dataset]:
    """Read a data set as `load` does; with `classes`, check that labels are below it."""
    missing = missing_files(root, prefix)
    if missing:
        raise DataNotFoundError(f"{reading.shown(root)}: {_what_is_missing(root, missing)}")
    paths = [path for name in NAMES if (path := find_file(root, prefix, name))]
    train = _read(paths[0], paths[1], classes, mapped=mapped)
    test = _read(paths[2], paths[3], classes, mapped=mapped)
    shape, other = train.images.shape[1:], test.images.shape[1:]
    if shape != other and len(train.images) and len(test.images):
        raise FileFormatError(
            f"{reading.shown(paths[2])}: images of shape {other}, and those of"
            f" {reading.shown(paths[0].name)} have {shape}; the two files do not belong together"
        )
    return train, test


def missing_files(root: Path, prefix: str = "") -> list[str]:
    """List the four files that are missing, by their first names."""
    return [prefix + name for name in NAMES if find_file(root, prefix, name) is None]


def _what_is_missing(root: Path, missing: list[str]) -> str:
    """Say which files a directory lacks, and what it has instead."""
    found = "no such directory"
    if root.is_dir():
        found = f"lacks {', '.join(missing)}"
        first = "train-images"
        prefixes = {name.partition(first)[0] for name in os.listdir(root) if first in name}
        whole = [repr(prefix) for prefix in sorted(prefixes) if not missing_files(root, prefix)]
        if whole:
            return checks.printable(f"{found}; it has them with prefix={' or '.join(whole)}", 1000)
    return (
        f"{found}; a data set is the four files {', '.join(NAMES)}, plain or with .gz at the end,"
        " also named with a dot as in train-images.idx3-ubyte"
    )


def find_file(root: Path, prefix: str, name: str) -> Path | None:
    """Find a file under the first of its possible names that exists; None if there is none.

    A directory is passed over, because some tools unpack a file into a directory of that name. A
    pipe is not passed over: `read_idx` will refuse it.
    """
    names = [name, name.replace("-idx3", "-idx4")]  # the digit is the number of dimensions
    names += [one.replace("t10k-", "test-") for one in names]
    for hyphened in names:
        dotted = hyphened.replace("-idx", ".idx")
        for candidate in (hyphened, dotted, f"{hyphened}.gz", f"{dotted}.gz"):
            path = root / f"{prefix}{candidate}"
            if path.exists() and not path.is_dir():
                return path
    return None


def _read(images_path: Path, labels_path: Path, classes: int | None, *, mapped: bool) -> Dataset:
    """Read and check the training set or the test set."""
    images_name, labels_name = reading.shown(images_path), reading.shown(labels_path)
    images = read_idx(images_path, mapped=mapped)
    labels = read_idx(labels_path, mapped=mapped)
    if images.dtype != np.uint8 or images.ndim < 2:
        raise FileFormatError(
            f"{images_name}: images must be uint8 of shape (n, height, width) or (n, channels,"
            f" height, width), the file has {images.dtype} of shape {images.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise FileFormatError(
            f"{labels_name}: labels must be integers of shape (n,), the file has {labels.dtype} of"
            f" shape {labels.shape}"
        )
    if len(images) != len(labels):
        raise FileFormatError(
            f"{labels_name}: {len(labels)} labels for the {len(images)} images of"
            f" {reading.shown(images_path.name)}; the two files do not belong together"
        )
    wrong = labels < 0 if classes is None else (labels < 0) | (labels >= classes)
    if wrong.any():
        index = int(np.argmax(wrong))
        needed = "0 or more" if classes is None else f"0 to {classes - 1}"
        raise FileFormatError(
            f"{labels_name}: label {labels[index]} at index {index}; labels must be {needed}"
        )
    return Dataset(images, labels)
