"""Files that are read: opened so that nothing hangs, and never mapped.

A mapped file kills the process that uses it, with SIGBUS, as soon as another process makes the file
shorter. So files are read into memory of our own; one that changes meanwhile is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn

from pynn._base import checks
from pynn._base.errors import FileFormatError

LONGEST_PATH = 5000
"""Characters of one in an error; Linux has no longer ones."""

_NOT_FILES = (
    (stat.S_ISFIFO, "a pipe, not a file: write what comes through it to a file first"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)


def refuse(name: str, why: str) -> NoReturn:
    """Say what is wrong with a file; what that quotes from it may be long, or no text at all."""
    raise FileFormatError(f"{shown(name)}: {checks.printable(why, 400)}") from None


def shown(path: str | os.PathLike[str]) -> str:
    """What an error calls a file: its path, of which a terminal obeys nothing."""
    return checks.printable(os.fspath(path), LONGEST_PATH)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """An ordinary file, open for reading.

    A pipe is not even opened: that would wait for its writer, and take away what it writes.

    Raises:
        OSError: It is not there, cannot be read, or is a folder, a pipe, a socket or a device; its
            filename is the path, also where the caller's reading fails.
        FileFormatError: At the end: another program has changed it in the meantime.
    """
    name = os.fspath(path)
    _check_is_file(name, os.stat(name).st_mode)
    with open(name, "rb", opener=_open_without_waiting) as file:
        before = os.fstat(file.fileno())
        _check_is_file(name, before.st_mode)  # another may have taken its place since
        try:
            yield file
        except OSError as error:
            if error.errno is not None and error.filename is None:  # of a read, which has no name
                error.filename = name
            raise
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        refuse(name, "another program changed it while it was read; read it again")


def fill(file: BinaryIO, buffer: Any) -> None:
    """Read from where a file stands until a contiguous array is full.

    Raises:
        FileFormatError: It ends before, although it was long enough; without the file's name.
    """
    memory = memoryview(buffer).cast("B")
    if file.readinto(memory) != len(memory):  # type: ignore[attr-defined]
        raise FileFormatError("the file became shorter while it was read")


def parse_json(text: bytes, *, most_objects: int, most_items: int) -> Any:
    """Read JSON that may be hostile: it is measured before memory is taken for it.

    An empty object is two bytes of text and 64 bytes of memory.

    Args:
        text: The JSON.
        most_objects: The most opening braces outside strings.
        most_items: The most commas, opening brackets and braces outside strings.

    Raises:
        ValueError: It is no JSON, holds more than that, or an entry twice.
        RecursionError: It is nested too deeply.
    """
    import json  # here, since it takes a while and most files do not need it

    if not _is_within(text, most_objects, most_items):
        raise ValueError(
            f"its {len(text):,} bytes of JSON hold more entries than such a file can have"
        )
    return json.loads(text.decode(), object_pairs_hook=_object)


def _is_within(text: bytes, most_objects: int, most_items: int) -> bool:
    """Whether some JSON has no more objects and items than that."""

    def fits(parts: list[bytes]) -> bool:
        objects = sum(part.count(b"{") for part in parts)
        others = sum(part.count(mark) for part in parts for mark in (b"[", b","))
        return objects <= most_objects and objects + others <= most_items

    if fits([text]):
        return True
    bare = text.replace(rb"\\", b"").replace(rb"\"", b"")  # some may be in strings: leave those out
    # A key and a value each; and no object of ours has more than 16 entries.
    most_strings = min(2 * most_items, 32 * most_objects) + 1
    return bare.count(b'"') <= 2 * most_strings and fits(bare.split(b'"')[::2])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of which no reader may see another one by taking another entry."""
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:
            raise ValueError(f"the entry {name!r} is there twice")
        entries[name] = value
    return entries


def _open_without_waiting(name: str, flags: int) -> int:
    """Open as open() does, but wait for nobody if a pipe has just taken the file's place."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check_is_file(name: str, mode: int) -> None:
    """OSError for what is no ordinary file, in the words of open() where it has some."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    for is_one, what in _NOT_FILES:
        if is_one(mode):
            raise OSError(errno.EINVAL, f"it is {what}", name)
