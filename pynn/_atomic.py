"""Files that are either the old one or the new one, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os


def write_atomically(path: str | os.PathLike[str], contents: bytes) -> None:
    """Write beside, flush to the disk, rename: a crash leaves the old file or the new one.

    A link is followed, and the permissions of a file that is replaced are kept.

    Raises:
        OSError: It cannot be written; the old file, if any, is as it was, and nothing is left
            beside it.
    """
    import tempfile  # here, since it takes a while and only saving needs it

    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    mode = _mode_for(target)
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", dir=folder)
    except OSError as error:
        error.filename = os.fspath(path)  # the name that the caller knows
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)
        os.replace(beside, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        if isinstance(error, OSError) and error.filename is not None:
            error.filename, error.filename2 = os.fspath(path), None
        raise
    _flush_folder(folder)


def _mode_for(target: str) -> int:
    """The permissions of the file that is replaced, or those that a new file would get."""
    try:
        return os.stat(target).st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def _flush_folder(folder: str) -> None:
    """Flush the rename itself, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
