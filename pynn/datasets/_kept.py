"""Files that keep decoded images: a header, and the pixels, which are mapped into memory."""

from __future__ import annotations

import errno
import math
import os
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pynn._base import reading
from pynn._base.atomic import replacing
from pynn._base.errors import FileFormatError

Pixels = npt.NDArray[np.uint8]

MAGIC = b"pynnimg1"
HEADER = struct.Struct("<8s32s4QI4x")  # magic, fingerprint, shape, and CRC-32 of all but itself
RENAMES_MAPPED = sys.platform != "win32"  # whether the system renames a file that is mapped
PIECE = 1 << 24  # bytes whose checksum is computed in one call, which Ctrl-C waits for


def read(path: str, fingerprint: bytes) -> Pixels | None:
    """Map the pixels of a file; return None if there is none, or one of other images, or damaged.

    The fingerprint (32 bytes) is that of the images that are wanted. All pixels are read once, to
    compare their checksum: this takes less time than an epoch of any training, and a file that the
    disk has damaged is found.
    """
    try:
        with reading.opened(path) as file:
            magic, owner, *shape, checksum = HEADER.unpack(file.read(HEADER.size))
            if magic != MAGIC or owner != fingerprint:
                return None
            if HEADER.size + math.prod(shape) != os.fstat(file.fileno()).st_size:
                return None
            pixels = np.memmap(file, np.uint8, "r", HEADER.size, tuple(shape))
    except (OSError, FileFormatError, struct.error, ValueError):
        return None
    flat = pixels.reshape(-1)
    found = 0
    for start in range(0, len(flat), PIECE):
        found = zlib.crc32(flat[start : start + PIECE].data, found)
    return pixels if _checksum(fingerprint, shape, found) == checksum else None


def write(path: str, fingerprint: bytes, images: Iterator[Pixels], count: int) -> Pixels:
    """Write `count` images of one shape as they come, and map them.

    Another process may write the same file at the same time: each writes one of its own, and the
    last that is finished gets the name. An array that is mapped keeps its file, also without a
    name. So the file is mapped before it gets its name, where the system allows that.

    Raises:
        OSError: The file cannot be written, or on Windows another process wrote one of other
            images meanwhile. Its filename is the path.
    """
    with replacing(path) as file:
        file.write(bytes(HEADER.size))
        checksum = 0
        for image in images:
            contents = image.tobytes()
            checksum = zlib.crc32(contents, checksum)
            file.write(contents)
        shape = count, *image.shape
        file.seek(0)
        checksum = _checksum(fingerprint, shape, checksum)
        file.write(HEADER.pack(MAGIC, fingerprint, *shape, checksum))
        file.flush()
        if RENAMES_MAPPED:
            return np.memmap(file, np.uint8, "r", HEADER.size, shape)
    if (pixels := read(path, fingerprint)) is None:
        raise OSError(errno.EAGAIN, "another process replaced the file; try again", path)
    return pixels


def _checksum(fingerprint: bytes, shape: Sequence[int], of_pixels: int) -> int:
    """Return the checksum of a file. Without the header, 4 x 5 pixels could become 5 x 4."""
    return zlib.crc32(HEADER.pack(MAGIC, fingerprint, *shape, 0), of_pixels)
