"""Atomic writes: after a crash a file holds its old contents or the new ones, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from typing import BinaryIO


def write_atomically(path: str | os.PathLike[str], contents: bytes) -> None:
    """Write a file as `replacing` does, all at once. Errors are those of `replacing`."""
    with replacing(path) as file:
        file.write(contents)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file so that a crash leaves either the old contents or the new ones.

    The context's value is the open file. If the contents were written into the file itself, a crash
    or a full disk would leave a part of them. So they go to a temporary file in the same folder,
    and when the context ends, they are flushed to the disk, and then the temporary file is renamed:
    the system replaces the old file in one step. Without the flush, a power failure could keep the
    rename and lose the contents. If the context ends with an error, the old file stays.

    A symbolic link is followed, and the permissions of a file that is replaced are kept. Where the
    file has other names (hard links), these keep the old contents.

    Raises:
        OSError: The file cannot be written, or the path leads to a folder, a pipe, a socket or a
            device. The error's filename is the path as it was given. The old file, if any, is
            unchanged, and no temporary file is left.
    """
    beside = None
    try:
        mode = _mode_of(path)
        target = absolute(path, follow=True)
        folder, name = os.path.split(target)
        beside = os.path.join(folder, _name_beside(name))
        # A new file gets the permissions that the umask leaves of 0o666. A replacement is created
        # with the old file's, so that at no moment more users may read it than before.
        made_with = 0o666 if mode is None else mode
        with open(beside, "x+b", opener=lambda p, flags: os.open(p, flags, made_with)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, mode)
        _rename(beside, target)
    except BaseException as error:
        if beside is not None:
            with contextlib.suppress(OSError):
                os.unlink(beside)
        # Name the caller's path, not the temporary file; an OSError without errno is not the
        # system's, but one that a signal handler raised.
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = os.fspath(path)
            del error.filename2  # the second name of a rename; if it were None, str() would show it
        raise
    _flush_folder(folder)


def _rename(beside: str, target: str) -> None:
    """Give the file its name.

    Windows refuses that while another program has the old file open. Some programs, such as those
    that look for viruses, open each new file for a moment; so there it is tried for 0.6 s.

    Raises:
        OSError: The system refuses it.
    """
    for pause in (0.02, 0.05, 0.1, 0.2, 0.25, None):
        try:
            os.replace(beside, target)
        except PermissionError as error:
            # 5 is "access is denied", 32 "in use by another process"; other systems set none.
            if getattr(error, "winerror", None) not in (5, 32):
                raise
            if pause is None:
                why = "if a program has it open, close it there, or give another path"
                error.strerror = f"{error.strerror}; {why}"
                raise
            time.sleep(pause)
        else:
            return


def absolute(path: str | os.PathLike[str], *, follow: bool = False) -> str:
    """Return the absolute path; with `follow`, also resolve symbolic links.

    Raises:
        FileNotFoundError: The path is relative, and the current folder was removed. The error's
            filename is the path.
    """
    try:
        return os.path.realpath(path) if follow else os.path.abspath(path)
    except FileNotFoundError:  # from os.getcwd(); it names no file
        why = "the current folder is gone, and a relative path leads nowhere"
        raise FileNotFoundError(errno.ENOENT, why, os.fspath(path)) from None


def _name_beside(name: str) -> str:
    """Return a name for the temporary file: hidden, random, and short enough for the file system.

    A file system limits the length of a name, some in characters, some in bytes. So a long name is
    cut to make room for the random part: the result is no longer than the file's own name, or has
    at most 49 characters, which every file system allows.
    """
    suffix = os.urandom(8).hex()
    kept = max(len(name) - len(suffix) - 2, 31)
    return f".{name[:kept]}.{suffix}"


def _mode_of(path: str | os.PathLike[str]) -> int | None:
    """Return the permissions of the file that is to be replaced, or None if there is none yet.

    Raises:
        OSError: The path leads to something else than an ordinary file, which must not be replaced.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file; give another")
    return stat.S_IMODE(mode) & 0o777


def _flush_folder(folder: str) -> None:
    """Flush the folder, so that the rename survives a power failure, where the system allows it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
