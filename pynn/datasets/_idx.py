"""Reading and writing IDX files, which hold one array each, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import itertools
import os
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, checks, reading, words
from pynn._base.atomic import write_atomically
from pynn._base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataNotFoundError,
    FileFormatError,
    OutOfMemoryError,
)
from pynn._native.idx import IDX_DTYPES, IdxHeader, check_length, claim_of, parse_idx

GZIP_MAGIC = b"\x1f\x8b"  # the first bytes of a gzip file; those of an IDX file are two zeros
LONGEST_HEADER = 4 + 4 * 255  # in bytes: the magic number, and 255 dimensions
DENSEST_DEFLATE = 1032  # the most output bytes for an input byte: a match of 258 takes two bits
READ_NBYTES = 1 << 16  # how much of a compressed file is read at a time
PIECE_NBYTES = 1 << 18  # the most bytes that are decompressed at a time


@words.corrected
def read_idx(path: str | os.PathLike[str], *, mapped: bool = False) -> npt.NDArray[Any]:
    """Read the array in an IDX file.

    The content of the file, not its name, decides whether it is compressed. The array is in memory
    and in the machine's byte order. A compressed file never takes more memory than the array that
    its header describes, even if more data follow.

    Args:
        path: The file.
        mapped: Whether to map the file into memory instead of reading it, for a file that is larger
            than the memory. The array is then read-only, and its elements are read from the file
            when they are used. This applies to uncompressed files of uint8 or int8; others are read
            in any case. If another program makes a mapped file shorter, the system ends this
            process with SIGBUS. It is safe to replace the file by another, as `write_idx` does.

    Returns:
        The array: uint8, int8, int16, int32, float32 or float64, with the shape in the file.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        DataNotFoundError: The file does not exist.
        FileFormatError: It is not an IDX file, or is damaged, too short or too long.
        OSError: It cannot be read, or is not an ordinary file but, for instance, a pipe.
        OutOfMemoryError: There is no memory for its array.

    Example:
        >>> import tempfile, numpy as np, pynn
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pynn.datasets.write_idx(f"{folder}/squares.gz", np.arange(5, dtype=np.int32) ** 2)
        ...     pynn.datasets.read_idx(f"{folder}/squares.gz")
        array([ 0,  1,  4,  9, 16], dtype=int32)
    """
    path = checks.path("path", path)
    if not isinstance(mapped, bool):
        raise ArgumentTypeError(f"mapped must be True or False, got {checks.describe(mapped)}")
    try:
        with reading.opened(path) as file:
            try:
                return _read(file, mapped=mapped)
            except FileFormatError as error:
                reading.refuse(os.fspath(path), str(error))
    except FileNotFoundError:
        raise DataNotFoundError(f"{reading.shown(path)}: no such file") from None
    except MemoryError:
        name = reading.shown(path)
        raise OutOfMemoryError(f"{name}: there is no memory for its array") from None


@words.corrected
def write_idx(path: str | os.PathLike[str], array: npt.NDArray[Any]) -> None:
    """Write an array to an IDX file, compressed with gzip if the name ends in .gz.

    A crash leaves the old file or the new one. The same array always gives the same bytes.

    Args:
        path: The file to write; an old file is replaced.
        array: An array of any shape, byte order and memory layout; its dtype is uint8, int8, int16,
            int32, float32 or float64.

    Raises:
        ArgumentTypeError: It is not an array, or IDX does not have its dtype.
        ArgumentError: A dimension is too large for the 32 bits that IDX has.
        OSError: The file cannot be written.
    """
    name = os.fspath(checks.path("path", path))
    array = arrays.plain_array("array", array)
    native = array.dtype.newbyteorder("=")
    codes = {dtype: code for code, dtype in IDX_DTYPES.items()}
    if native not in codes:
        known = ", ".join(map(str, codes))
        raise ArgumentTypeError(
            f"array has dtype {array.dtype}, but IDX only has {known}; convert it with"
            " array.astype(...)"
        )
    if max(array.shape, default=0) > 0xFFFFFFFF:
        raise ArgumentError(
            f"array has shape {array.shape}, but a dimension in IDX is at most {0xFFFFFFFF}"
        )
    header = bytes([0, 0, codes[native], array.ndim]) + np.array(array.shape, ">u4").tobytes()
    payload = np.asarray(array, dtype=native.newbyteorder(">"), order="C").tobytes()
    content = header + payload
    if name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    write_atomically(name, content)


def _read(file: BinaryIO, *, mapped: bool) -> npt.NDArray[Any]:
    """Read or map the array in an open file."""
    start = file.read(LONGEST_HEADER)
    if start.startswith(GZIP_MAGIC):
        return _array(*_inflate(file))
    header = parse_idx(start)
    check_length(header, os.fstat(file.fileno()).st_size - header.payload_offset)
    if mapped and header.dtype.itemsize == 1 and header.payload_nbytes > 0:
        data = np.memmap(file, np.uint8, "r", header.payload_offset, header.payload_nbytes)
        return _array(header, data)
    payload = np.empty(header.payload_nbytes, np.uint8)
    file.seek(header.payload_offset)
    reading.fill(file, payload)
    return _array(header, payload)


def _inflate(file: BinaryIO) -> tuple[IdxHeader, npt.NDArray[np.uint8]]:
    """Read the header and the payload of a compressed file.

    A damaged or hostile header may claim any size, and compressed data may expand to any size. So
    the allocation has two limits: the size that the header claims, and the most that deflate can
    make of the bytes in the file. A claim above the second is refused before memory is allocated.
    """
    compressed_nbytes = os.fstat(file.fileno()).st_size
    try:
        pieces = _unpacked(file)
        start = b""
        while len(start) < LONGEST_HEADER and (piece := next(pieces, b"")):
            start += piece
        header = parse_idx(start)
        most = compressed_nbytes * DENSEST_DEFLATE
        if header.payload_nbytes > most:
            raise FileFormatError(
                f"truncated: {claim_of(header)}, but its {compressed_nbytes} compressed bytes can"
                f" hold at most {most}; fetch or write it again"
            )
        payload = np.empty(header.payload_nbytes, np.uint8)
        found = 0
        for piece in itertools.chain([start[header.payload_offset :]], pieces):
            some = np.frombuffer(piece, np.uint8)[: len(payload) - found]
            payload[found : found + len(some)] = some
            found += len(some)
            if len(some) < len(piece):  # more than claimed is an error, however much it is
                found += 1
                break
        check_length(header, found)
        return header, payload
    except zlib.error as error:
        raise FileFormatError(f"damaged gzip file ({error}); fetch or write it again") from None


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """Decompress a gzip file piece by piece: its members in turn, with zeros allowed after each.

    gzip.GzipFile does the same, but reads the zeros byte by byte. That would take a minute for
    128 MB of zeros, and a sparse file has them without using disk space.
    """
    file.seek(0)
    member = None
    unread = b""
    while unread := unread or file.read(READ_NBYTES):
        if member is None:
            unread = unread.lstrip(b"\0")
            if not unread:
                continue
            member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: gzip's wrapper
        if piece := member.decompress(unread, PIECE_NBYTES):
            yield piece
        unread = member.unconsumed_tail or member.unused_data
        if member.eof:
            member = None
    if member is not None:
        raise zlib.error("it ends within its data")


def _array(header: IdxHeader, payload: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Make an array of a payload; its bytes are swapped in place to the machine's order."""
    flat = payload.view(header.dtype)
    if header.dtype.itemsize > 1 and sys.byteorder == "little":
        flat.byteswap(inplace=True)
    try:
        return flat.reshape(header.shape)
    except ValueError as error:
        raise FileFormatError(f"it has a shape that NumPy cannot have: {error}") from None
