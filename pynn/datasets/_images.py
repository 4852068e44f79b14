"""Data sets of image files: one folder for each class."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading, words
from pynn._base.atomic import absolute
from pynn._base.errors import (
    ArgumentError,
    ArgumentTypeError,
    FileFormatError,
    OutOfMemoryError,
)
from pynn.datasets import _kept
from pynn.datasets._folders import File, Found, find
from pynn.datasets._layout import Dataset
from pynn.datasets._pictures import BadPicture, How, Resize, decode, pillow_version
from pynn.datasets._places import user_cache

Pixels = npt.NDArray[np.uint8]

LONGEST_SIDE = 10_000
MOST_SHOWN = 3  # the most bad files that an error names
VERSION = 1  # of what `decode` makes of a file; another one makes all that is kept out of date


class ImageDataset(Dataset):
    """Images that were read from files, and their labels: a `Dataset` that knows their names.

    Attributes:
        images: Shape (n, channels, height, width), uint8.
        labels: Shape (n,), int64: indices into `classes`.
        classes: The names of the classes, which are those of their folders.
        files: The files of the images, n paths below the data set's folder, with slashes.
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]

    def __new__(
        cls, images: Pixels, labels: npt.NDArray[Any], classes: Sequence[str], files: Sequence[str]
    ) -> ImageDataset:
        """Put together images and labels, which are the pair, and their names."""
        self = super().__new__(cls, images, labels)
        self.classes, self.files = tuple(classes), tuple(files)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the names where the data set is pickled or copied."""
        return type(self), (*self, self.classes, self.files)

    def __repr__(self) -> str:
        """Show dtypes and shapes instead of the arrays, and the number of classes."""
        return f"Image{super().__repr__()[:-1]}, {len(self.classes)} classes)"


@words.corrected
def images(
    folder: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    grey: bool = False,
    resize: Resize = "stretch",
    classes: Sequence[str] | None = None,
    cache: bool | str | os.PathLike[str] = True,
) -> ImageDataset:
    """Read image files from a folder that has a folder for each class, as in pets/cat/1.jpg.

    This needs Pillow. PNG, JPEG, GIF, WebP, TIFF, BMP and PNM files are read, also in folders below
    those of the classes; other files and hidden ones are passed over, and links are followed. An
    image is turned as its EXIF data say, and white is put behind what is transparent. 16 bits are
    scaled to 8, and of several frames or pages the first is read.

    The images are kept in a file that is mapped into memory, so the next call needs no decoding,
    and they need not fit into memory. It is made anew where the name, the size or a time of any
    image file, an argument, or Pillow's version is another.

    Args:
        folder: The folder with the classes' folders. Parts of a data set, such as train and test,
            are read by a call each.
        size: Height and width of all images, or one number for both. If it is not given, all must
            have the same size already.
        grey: Whether to read images in grey, as one channel; otherwise they are RGB.
        resize: How images of other proportions get the size: "stretch" changes the proportions,
            "crop" cuts off what is too much on both sides, "pad" adds black on both sides.
        classes: The names of the classes' folders, in the order of their labels, for instance
            `train.classes` for the test set. A class may then be without images. If it is not
            given, all folders are classes, in the order of their names.
        cache: Where to keep the images: True for the user's cache, images in the folder in which
            `mnist` keeps its files, or if that cannot be written, in memory; False for memory
            alone; or a folder, which is made if needed.

    Returns:
        The images, of shape (n, channels, height, width), and their labels, in the order of the
        classes and then of the files' names. The array is read-only unless it is in memory.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range, the images have different sizes and none was
            given, or the folders are no classes.
        DataNotFoundError: The folder, its classes' folders, or images in one of them are missing.
        FileFormatError: A file is damaged, or no image, or cannot be used; the error names the
            first such files.
        ImportError: Pillow is not installed.
        OSError: A folder cannot be read, or a `cache` that was named cannot be written.
        OutOfMemoryError: There is no memory for the images.

    Example:
        >>> import pathlib, tempfile, numpy as np, pynn
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name, grey in [("dark", 20), ("light", 230)]:
        ...         pathlib.Path(folder, name).mkdir()
        ...         Image.new("L", (40, 30), grey).save(f"{folder}/{name}/1.png")
        ...     train = pynn.datasets.images(folder, size=(8, 10), cache=False)
        >>> train
        ImageDataset(images=uint8 (2, 3, 8, 10), labels=int64 (2,), 2 classes)
        >>> train.classes, train.files
        (('dark', 'light'), ('dark/1.png', 'light/1.png'))
    """
    root = absolute(checks.path("folder", folder))
    how = How(_check_size(size), _check_bool("grey", grey), _check_resize(resize))
    place = _check_cache(cache)
    names = None if classes is None else _check_classes(classes)
    version = pillow_version()
    found = find(root, names)
    try:
        pixels = _kept_or_read(found, how, place, version, named=not isinstance(cache, bool))
    except MemoryError:
        raise OutOfMemoryError(
            f"{reading.shown(root)}: there is no memory for {len(found.files):,} images; give a"
            " smaller size, or a cache"
        ) from None
    labels = np.array([file.label for file in found.files], np.int64)
    return ImageDataset(pixels, labels, found.classes, [file.name for file in found.files])


def _kept_or_read(
    found: Found, how: How, place: str | None, version: str, *, named: bool
) -> Pixels:
    """Return the images that are kept in `place`; if there are none, read them and keep them.

    If they cannot be kept there, they are read into memory, unless the caller has named the place.
    """
    if place is None:
        return _in_memory(found, how)
    # One file for each folder and arguments, so that a changed image makes no second file.
    call = json.dumps([found.root, found.classes, how])
    path = os.path.join(place, f"{hashlib.sha256(call.encode()).hexdigest()[:32]}.pixels")
    content = json.dumps([VERSION, version, call, found.files])
    fingerprint = hashlib.sha256(content.encode()).digest()
    if (pixels := _kept.read(path, fingerprint)) is not None:
        return pixels
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)  # others need not see the images
        return _kept.write(path, fingerprint, _decoded(found, how), len(found.files))
    except OSError:  # not of an image: those are FileFormatErrors
        if named:
            raise
        return _in_memory(found, how)


def _in_memory(found: Found, how: How) -> Pixels:
    """Read all images into an array."""
    rows = _decoded(found, how)
    first = next(rows)
    pixels = np.empty((len(found.files), *first.shape), np.uint8)
    pixels[0] = first
    for index, image in enumerate(rows, 1):
        pixels[index] = image
    return pixels


def _decoded(found: Found, how: How) -> Iterator[Pixels]:
    """Decode one image after the other; at the end, or at another size, raise the errors.

    A bad file does not end the reading, so that an error names several: who collects images has
    many of them.
    """
    bad: list[str] = []
    first: tuple[File, Pixels] | None = None
    for file in found.files:
        path = os.path.join(found.root, file.name)
        try:
            image = decode(path, how)
        except BadPicture as error:
            bad.append(f"{reading.shown(path)}: {error}")
            continue
        first = first or (file, image)
        if image.shape != first[1].shape:
            raise ArgumentError(
                "size must be given, because the images differ:"
                f" {reading.shown(first[0].name)} is {_size(first[1])} and"
                f" {reading.shown(file.name)} {_size(image)}, as in size=32"
            )
        yield image
    if bad:
        more = f"; and {len(bad) - MOST_SHOWN} more" if len(bad) > MOST_SHOWN else ""
        raise FileFormatError(
            f"{'; '.join(bad[:MOST_SHOWN])}{more}; replace or remove {'them' if bad[1:] else 'it'}"
        )


def _size(image: Pixels) -> str:
    return f"{image.shape[1]} x {image.shape[2]}"


def _check_size(size: object) -> tuple[int, int] | None:
    """Return (height, width)."""
    if size is None:
        return None
    lengths = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(lengths) != 2:
        raise ArgumentError(f"size must be an integer, or a height and a width, got {size}")
    height, width = (checks.integer("size", n, least=1, most=LONGEST_SIDE) for n in lengths)
    return height, width


def _check_bool(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be True or False, got {checks.describe(value)}")
    return value


def _check_resize(value: object) -> Resize:
    if value == "stretch" or value == "crop" or value == "pad":
        return value
    raise ArgumentError(
        f"resize must be 'stretch', 'crop' or 'pad', got {checks.describe(value)}; what size is"
        " size=..."
    )


def _check_classes(classes: object) -> tuple[str, ...]:
    if not isinstance(classes, (tuple, list)) or not all(isinstance(c, str) for c in classes):
        raise ArgumentTypeError(
            "classes must be the names of the classes' folders, as in classes=('cat', 'dog'), got"
            f" {checks.describe(classes)}"
        )
    names = tuple(classes)
    if not names or len(set(names)) < len(names):
        raise ArgumentError(f"classes must be different names, got {checks.describe(classes)}")
    return names


def _check_cache(cache: object) -> str | None:
    """Return the folder to keep the images in; None if they are not kept."""
    if not isinstance(cache, bool):
        return absolute(checks.path("cache", cache))
    if not cache:
        return None
    try:
        return os.fspath(user_cache("images"))
    except RuntimeError:  # a user without a home
        return None
