"""Files that are either the old one or the new one, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat


def write_atomically(path: str | os.PathLike[str], contents: bytes) -> None:
    """Write beside, flush to the disk, rename: a crash leaves the old file or the new one.

    A symbolic link is followed, and the permissions of a file that is replaced are kept. Where the
    file has other names (hard links), they stay with the old file.

    Raises:
        OSError: It cannot be written, or is something else than a file, such as a folder, a pipe or
            a device; its filename is the path as it was given. The old file, if any, is as it was,
            and nothing is left beside it.
    """
    beside = None
    try:
        mode = _mode_of(path)
        target = absolute(path, follow=True)
        folder, name = os.path.split(target)
        beside = os.path.join(folder, _name_beside(name))
        # The system masks a new file's permissions; those of an old one are never widened.
        made_with = 0o666 if mode is None else mode
        with open(beside, "xb", opener=lambda p, flags: os.open(p, flags, made_with)) as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, mode)
        os.replace(beside, target)
    except BaseException as error:
        if beside is not None:
            with contextlib.suppress(OSError):
                os.unlink(beside)
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not a caller's
            error.filename = os.fspath(path)
            del error.filename2  # of a rename; None would be shown
        raise
    _flush_folder(folder)


def absolute(path: str | os.PathLike[str], *, follow: bool = False) -> str:
    """The path from the root on; where a link leads, if that is asked for.

    Raises:
        FileNotFoundError: The path is relative, and the current folder is gone; its filename is
            the path.
    """
    try:
        return os.path.realpath(path) if follow else os.path.abspath(path)
    except FileNotFoundError:  # of os.getcwd(), without a name
        why = "the current folder is gone, and a relative path leads nowhere"
        raise FileNotFoundError(errno.ENOENT, why, os.fspath(path)) from None


def _name_beside(name: str) -> str:
    """A hidden name that nobody else uses, and that is possible wherever the file's own name is.

    It has no more characters or bytes than that; a short one is no trouble anywhere.
    """
    suffix = os.urandom(8).hex()
    kept = max(len(name) - len(suffix) - 2, 31)
    return f".{name[:kept]}.{suffix}"


def _mode_of(path: str | os.PathLike[str]) -> int | None:
    """The permissions of the file that is replaced, or None where there is none yet.

    Raises:
        OSError: What is there is no file, and a file must not take its place.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no file but a pipe, a socket or a device; give another")
    return stat.S_IMODE(mode) & 0o777


def _flush_folder(folder: str) -> None:
    """Flush the rename itself, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
