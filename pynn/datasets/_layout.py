"""Data sets in the layout of MNIST, which many share: four IDX files in a directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading
from pynn._base.errors import DataNotFoundError, FileFormatError
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


def load(root: str | os.PathLike[str], *, mapped: bool = False) -> tuple[Dataset, Dataset]:
    """Read a data set in MNIST's layout, such as Fashion-MNIST, KMNIST or your own.

    The four files are train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte. A name may have a dot instead, as in train-images.idx3-ubyte, and a file
    may be compressed with .gz at the end of its name. If there are both, the plain file is read.

    Args:
        root: The directory with the four files.
        mapped: Whether to map plain files into memory, as `read_idx` does.

    Returns:
        The training set and the test set, with arrays as from `read_idx`.

    Raises:
        DataNotFoundError: A file is missing.
        FileFormatError: A file is damaged, does not hold what its name says, or the numbers of
            images and labels differ.

    Example:
        >>> import pynn
        >>> train, test = pynn.datasets.load("data/mnist")
        >>> test
        Dataset(images=uint8 (10000, 28, 28), labels=uint8 (10000,))
    """
    return load_layout(Path(checks.path("root", root)), mapped=mapped)


def load_layout(
    root: Path, *, classes: int | None = None, mapped: bool = False
) -> tuple[Dataset, Dataset]:
    """Read a data set as `load` does; with `classes`, check that labels are below it."""
    missing = missing_files(root)
    if missing:
        found = f"lacks {', '.join(missing)}" if root.is_dir() else "no such directory"
        raise DataNotFoundError(
            f"{reading.shown(root)}: {found}; a data set is the four files {', '.join(NAMES)},"
            " plain or with .gz at the end, also named with a dot as in train-images.idx3-ubyte"
        )
    paths = [path for name in NAMES if (path := _find(root, name))]
    train = _read(paths[0], paths[1], classes, mapped=mapped)
    return train, _read(paths[2], paths[3], classes, mapped=mapped)


def missing_files(root: Path) -> list[str]:
    """List the four files that are missing, by their first names."""
    return [name for name in NAMES if _find(root, name) is None]


def _find(root: Path, name: str) -> Path | None:
    """Find a file under the first of its possible names that exists; None if there is none.

    A directory is passed over, because some tools unpack a file into a directory of that name. A
    pipe is not passed over: `read_idx` will refuse it.
    """
    dotted = name.replace("-idx", ".idx")
    for candidate in (name, dotted, f"{name}.gz", f"{dotted}.gz"):
        if (root / candidate).exists() and not (root / candidate).is_dir():
            return root / candidate
    return None


def _read(images_path: Path, labels_path: Path, classes: int | None, *, mapped: bool) -> Dataset:
    """Read and check the training set or the test set."""
    images_name, labels_name = reading.shown(images_path), reading.shown(labels_path)
    images = read_idx(images_path, mapped=mapped)
    labels = read_idx(labels_path, mapped=mapped)
    if images.dtype != np.uint8 or images.ndim < 2:
        raise FileFormatError(
            f"{images_name}: images must be uint8 of shape (n, height, width), the file has"
            f" {images.dtype} of shape {images.shape}"
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
