"""MNIST's layout: four IDX files, which many data sets share."""

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
    """Images and their labels: a pair, so that `model.fit(*train)` works.

    Attributes:
        images: Shape (n, ...), uint8.
        labels: Shape (n,), integers.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[Any]

    def __repr__(self) -> str:
        """Dtypes and shapes rather than the arrays."""
        images, labels = self
        return (
            f"Dataset(images={images.dtype} {images.shape}, labels={labels.dtype} {labels.shape})"
        )


def load(root: str | os.PathLike[str], *, mapped: bool = False) -> tuple[Dataset, Dataset]:
    """Read a data set in MNIST's layout: Fashion-MNIST, KMNIST, your own.

    The four files are train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte. Each may be called train-images.idx3-ubyte (and so on) instead, and may
    be compressed, with .gz at the end; a plain file goes before a compressed one.

    Args:
        root: The directory that holds them.
        mapped: Whether plain files are mapped, as `read_idx` does it.

    Returns:
        Training and test set; arrays as `read_idx` gives them.

    Raises:
        DataNotFoundError: A file is missing.
        FileFormatError: A file is damaged, is not what its name says, or labels and images differ
            in number.

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
    """As `load`; labels must be below `classes` if that is given."""
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
    """Which of the four files are not there, by their first name."""
    return [name for name in NAMES if _find(root, name) is None]


def _find(root: Path, name: str) -> Path | None:
    """The first that exists of the names that a file may have.

    A pipe, too, is found, for `read_idx` to refuse it; a directory of such a name is what some
    tools unpack a file into.
    """
    dotted = name.replace("-idx", ".idx")
    for candidate in (name, dotted, f"{name}.gz", f"{dotted}.gz"):
        if (root / candidate).exists() and not (root / candidate).is_dir():
            return root / candidate
    return None


def _read(images_path: Path, labels_path: Path, classes: int | None, *, mapped: bool) -> Dataset:
    """One of the two sets, checked."""
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
