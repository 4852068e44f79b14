"""Reading files safely: opening one never waits, and no file is mapped into memory.

If a file is mapped and another process makes it shorter, the system kills the process that uses the
mapping, with SIGBUS. So files are read into memory of our own, and a file that changes while it is
read is refused.
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
"""The most characters of a path that an error shows; Linux has no longer paths."""

_NOT_FILES = (
    (stat.S_ISFIFO, "a pipe, not a file: write what comes through it to a file first"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)


def refuse(name: str, why: str) -> NoReturn:
    """Raise a FileFormatError for a file; `why` may quote bytes of it, which are made printable."""
    raise FileFormatError(f"{shown(name)}: {checks.printable(why, 400)}") from None


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path as an error shows it: what a terminal would obey is escaped."""
    return checks.printable(os.fspath(path), LONGEST_PATH)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading.

    A pipe must not be opened: opening it would wait for a writer, perhaps for ever, and would take
    bytes that another reader should get. So the type of the file is checked before it is opened;
    and again afterwards, because another program may have replaced it between the two. For that
    case it is opened with O_NONBLOCK, which waits for nobody.

    Raises:
        OSError: The file does not exist, cannot be read, or is a folder, a pipe, a socket or a
            device. The error's filename is the path, also if a read by the caller fails.
        FileFormatError: When the context ends: another program changed the file meanwhile.
    """
    name = os.fspath(path)
    _check_is_file(name, os.stat(name).st_mode)
    with open(name, "rb", opener=_open_without_waiting) as file:
        before = os.fstat(file.fileno())
        _check_is_file(name, before.st_mode)  # the file may have been replaced since the stat
        try:
            yield file
        except OSError as error:
            if error.errno is not None and error.filename is None:  # a failed read names no file
                error.filename = name
            raise
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        refuse(name, "another program changed it while it was read; read it again")


def fill(file: BinaryIO, buffer: Any) -> None:
    """Fill a contiguous array from the current position of a file, whose size was checked before.

    Raises:
        FileFormatError: The file ends too early: it became shorter. The message does not name it.
    """
    memory = memoryview(buffer).cast("B")
    if file.readinto(memory) != len(memory):  # type: ignore[attr-defined]
        raise FileFormatError("the file became shorter while it was read")


def parse_json(text: bytes, *, most_objects: int, most_items: int) -> Any:
    """Parse JSON that may come from an attacker, with a limit on the memory that it takes.

    An empty object has two bytes of text but takes 64 bytes of memory, so a limit on the length of
    the text is not enough. Objects and items are counted before the text is parsed.

    Args:
        text: The JSON.
        most_objects: The largest allowed number of opening braces outside strings.
        most_items: The largest allowed number of commas, opening brackets and opening braces
            outside strings.

    Raises:
        ValueError: It is not JSON, has more objects or items than allowed, or an entry twice.
        RecursionError: It is nested too deeply.
    """
    import json  # here, because the import takes milliseconds and most programs read no JSON

    if not _is_within(text, most_objects, most_items):
        raise ValueError(
            f"its {len(text):,} bytes of JSON hold more entries than such a file can have"
        )
    return json.loads(text.decode(), object_pairs_hook=_object)


def _is_within(text: bytes, most_objects: int, most_items: int) -> bool:
    """Tell whether some JSON has at most so many objects and items.

    The quick count includes marks inside strings, so it may be too high. Only then are the strings
    removed and the rest counted.
    """

    def fits(parts: list[bytes]) -> bool:
        objects = sum(part.count(b"{") for part in parts)
        others = sum(part.count(mark) for part in parts for mark in (b"[", b","))
        return objects <= most_objects and objects + others <= most_items

    if fits([text]):
        return True
    bare = text.replace(rb"\\", b"").replace(rb"\"", b"")  # now each quote begins or ends a string
    # An item has at most two strings, a key and a value. No object of ours has more than 16 items.
    most_strings = min(2 * most_items, 32 * most_objects) + 1
    return bare.count(b'"') <= 2 * most_strings and fits(bare.split(b'"')[::2])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build the dict of a JSON object; raise a ValueError if a name is there twice.

    Of two entries with the same name one reader would use the first, another the second: the same
    file would be two different models.
    """
    entries: dict[str, Any] = {}
    for name, value in pairs:
        if name in entries:
            raise ValueError(f"the entry {name!r} is there twice")
        entries[name] = value
    return entries


def _open_without_waiting(name: str, flags: int) -> int:
    """Open a file as open() does, but without waiting if it was just replaced by a pipe."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check_is_file(name: str, mode: int) -> None:
    """Raise an OSError if the mode is not that of an ordinary file; for a folder as open() does."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    for is_one, what in _NOT_FILES:
        if is_one(mode):
            raise OSError(errno.EINVAL, f"it is {what}", name)
