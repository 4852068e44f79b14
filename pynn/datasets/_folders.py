"""Finding the image files of a data set: one folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn

from pynn._base import reading
from pynn._base.errors import ArgumentError, DataNotFoundError, FileFormatError

SUFFIXES = (
    *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm"),
    *(".ppm", ".tif", ".tiff", ".webp"),
)
"""The ends of the names of files that are read, in upper or lower case."""

UNREAD = (
    *(".arw", ".avif", ".cr2", ".dng", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".nef"),
    *(".psd", ".raw", ".svg", ".tga"),
)
"""Those of images in formats that are not read; to pass over them in silence would lose images."""

PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
"""The usual names of the parts of a data set, which are no classes."""


class File(NamedTuple):
    """An image file."""

    name: str
    """Its path below the data set's folder, with slashes."""
    label: int
    stamp: tuple[int, ...]
    """Its size and its times, which change where its contents do."""


class Found(NamedTuple):
    """The images of a folder, by class and then by name."""

    root: str
    classes: tuple[str, ...]
    files: list[File]


def find(root: str, classes: Sequence[str] | None) -> Found:
    """Find the image files below the folders of classes. Errors are those of `images`.

    `classes` are the names of the folders, in the order of their labels; None: all folders there
    are, in the order of their names.
    """
    try:
        entries = _visible(root)
    except (FileNotFoundError, NotADirectoryError):
        raise DataNotFoundError(
            f"{reading.shown(root)}: no such folder; give one with a folder for each class"
        ) from None
    folders = [entry.name for entry in entries if entry.is_dir()]
    pictures = [entry for entry in entries if not entry.is_dir() and _is_picture(entry)]
    if not folders:
        what = "images, but no folders" if pictures else "no folders"
        _give_up(root, f"holds {what}; put the images of each class into a folder of its own")
    if pictures:
        raise FileFormatError(
            f"{reading.shown(pictures[0].path)}: lies beside the folders of the classes, and has no"
            " class; move it into one of them, or elsewhere"
        )
    names = _names(root, folders, classes)
    files = []
    for label, name in enumerate(names):
        of_class = list(_below(root, name, label, ())) if name in folders else []
        if not of_class and classes is None:
            _give_up(os.path.join(root, name), _nothing(os.path.join(root, name)))
        files += of_class
    if not files:
        _give_up(root, f"holds no images of the classes {', '.join(names)}")
    return Found(root, names, files)


def _names(root: str, folders: list[str], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes' names, if they fit the folders."""
    if classes is None:
        if {name.lower() for name in folders} <= PARTS:
            first = next((name for name in folders if name.lower().startswith("train")), folders[0])
            raise ArgumentError(
                f"folder holds {' and '.join(folders)}, which are parts of a data set, not classes;"
                f" read each by itself: train ="
                f' images("{reading.shown(os.path.join(root, first))}"), and any other with'
                " classes=train.classes"
            )
        return tuple(folders)
    others = sorted(set(folders).difference(classes))
    if others:
        raise ArgumentError(
            f"classes must have all folders of {reading.shown(root)}, and lack"
            f" {reading.shown(others[0])!r}; add it, or move the folder elsewhere"
        )
    return tuple(classes)


def _visible(folder: str) -> list[os.DirEntry[str]]:
    """List what is in a folder, by name, without hidden files and what macOS adds to archives."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    return sorted(kept, key=lambda entry: entry.name)


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """Tell by its name whether a file is an image; refuse one in a format that is not read."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in UNREAD:
        raise FileFormatError(
            f"{reading.shown(entry.path)}: {suffix} files are not read; convert it to PNG or JPEG,"
            " or move it elsewhere"
        )
    return suffix in SUFFIXES


def _below(root: str, name: str, label: int, above: tuple[tuple[int, int], ...]) -> Iterator[File]:
    """Find the image files in a folder and in those below it.

    Links are followed. `above` identifies the folders on the way down: without it, a link to one of
    them would be followed without end.
    """
    folder = os.path.join(root, name)
    status = os.stat(folder)
    here = status.st_dev, status.st_ino
    if here in above:
        raise FileFormatError(
            f"{reading.shown(folder)}: is a link to a folder above it, which has no end; remove it"
        )
    for entry in _visible(folder):
        below = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _below(root, below, label, (*above, here))
        elif _is_picture(entry):
            yield File(below, label, _stamp(entry))


def _stamp(entry: os.DirEntry[str]) -> tuple[int, ...]:
    """Return the size and the times of a file, or of what a link leads to."""
    try:
        status = entry.stat()
    except FileNotFoundError:
        raise DataNotFoundError(
            f"{reading.shown(entry.path)}: a link to a file that is not there; remove the link"
        ) from None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _nothing(folder: str) -> str:
    """Say what a folder without images holds instead."""
    others = [entry.name for entry in _visible(folder) if not entry.is_dir()]
    found = f", but other files such as {reading.shown(others[0])}" if others else ""
    return (
        f"holds no images{found}; remove it, or say by classes=... that it may be empty (images"
        f" end in {', '.join(SUFFIXES)})"
    )


def _give_up(folder: str, why: str) -> NoReturn:
    raise DataNotFoundError(f"{reading.shown(folder)}: {why}") from None
