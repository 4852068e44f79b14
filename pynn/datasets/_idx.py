"""IDX files: one array each, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import itertools
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pynn import _checks
from pynn._atomic import write_atomically
from pynn._boundary_idx import IDX_DTYPES, claim_of, decode_idx, parse_idx
from pynn._errors import (
    ArgumentError,
    ArgumentTypeError,
    DataNotFoundError,
    FileFormatError,
    OutOfMemoryError,
)

GZIP_MAGIC = b"\x1f\x8b"  # an IDX file begins with two zeros, so the content tells them apart
LONGEST_HEADER = 4 + 4 * 255
DENSEST_DEFLATE = 1032  # output bytes for an input byte: 258 for a match that takes two bits
READ_NBYTES = 1 << 16  # of a compressed file at a time
PIECE_NBYTES = 1 << 18  # of what is in it


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read the array in an IDX file.

    Whether the file is compressed is seen from its content, not its name. A plain file of bytes is
    mapped into memory: reading it costs nothing, the array is read-only, and the file must not be
    cut short while the array is in use. All else is an ordinary array in the machine's byte order.
    A compressed file takes no more memory than its header says, however far it would expand.

    Args:
        path: The file.

    Returns:
        The array: uint8, int8, int16, int32, float32 or float64, of the shape in the file.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: It is no IDX file, or it is damaged, too short or too long.
        OSError: It cannot be read.
        OutOfMemoryError: It is sound so far, and there is no memory for its array.

    Example:
        >>> import tempfile, numpy as np, pynn
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pynn.datasets.write_idx(f"{folder}/squares.gz", np.arange(5, dtype=np.int32) ** 2)
        ...     pynn.datasets.read_idx(f"{folder}/squares.gz")
        array([ 0,  1,  4,  9, 16], dtype=int32)
    """
    path = Path(_checks.path("path", path))
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
            return _array(_inflate(file) if compressed else _map(file))
    except FileNotFoundError:
        raise DataNotFoundError(f"{path}: no such file") from None
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except MemoryError:
        raise OutOfMemoryError(f"{path}: there is no memory for its array") from None


def write_idx(path: str | os.PathLike[str], array: npt.NDArray[Any]) -> None:
    """Write an array as an IDX file, compressed if the name ends in .gz.

    The file appears whole or not at all, and the same array always gives the same bytes.

    Args:
        path: The file; one that exists is replaced.
        array: uint8, int8, int16, int32, float32 or float64 in any byte order and memory layout,
            of any shape.

    Raises:
        ArgumentTypeError: It is no array, or of a dtype that IDX does not have.
        ArgumentError: A dimension does not fit IDX's 32 bits.
        OSError: The file cannot be written.
    """
    path = Path(_checks.path("path", path))
    array = _checks.plain_array("array", array)
    native = array.dtype.newbyteorder("=")
    codes = {dtype: code for code, dtype in IDX_DTYPES.items()}
    if native not in codes:
        known = ", ".join(map(str, codes))
        raise ArgumentTypeError(
            f"array has dtype {array.dtype}, and IDX has {known}; convert it with array.astype(...)"
        )
    if max(array.shape, default=0) > 0xFFFFFFFF:
        raise ArgumentError(
            f"array has shape {array.shape}, and the dimensions of IDX are at most {0xFFFFFFFF}"
        )
    header = bytes([0, 0, codes[native], array.ndim]) + np.array(array.shape, ">u4").tobytes()
    payload = np.asarray(array, dtype=native.newbyteorder(">"), order="C").tobytes()
    content = header + payload
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    write_atomically(path, content)


def _map(file: BinaryIO) -> npt.NDArray[np.uint8]:
    """The bytes of a plain file, mapped into memory."""
    if os.fstat(file.fileno()).st_size == 0:  # which cannot be mapped
        return np.empty(0, np.uint8)
    return np.memmap(file, np.uint8, mode="r")


def _inflate(file: BinaryIO) -> npt.NDArray[np.uint8]:
    """The bytes of a compressed file; one more than its header says if there are more.

    What a header may make us allocate is bounded twice: by the header's own claim, and by what
    deflate can make of the bytes that there are.
    """
    compressed_nbytes = os.fstat(file.fileno()).st_size
    try:
        pieces = _unpacked(file)
        start = b""
        while len(start) < LONGEST_HEADER and (piece := next(pieces, b"")):
            start += piece
        header = parse_idx(start, header_only=True)
        most = compressed_nbytes * DENSEST_DEFLATE
        if header.payload_nbytes > most:
            raise FileFormatError(
                f"truncated: {claim_of(header)}, and what its {compressed_nbytes} compressed bytes"
                f" hold is at most {most}; fetch or write it again"
            )
        data = np.empty(header.payload_offset + header.payload_nbytes + 1, np.uint8)
        filled = 0
        for piece in itertools.chain([start], pieces):
            some = np.frombuffer(piece, np.uint8)[: len(data) - filled]
            data[filled : filled + len(some)] = some
            filled += len(some)
            if filled == len(data):
                break
        return data[:filled]
    except zlib.error as error:
        raise FileFormatError(f"damaged gzip file ({error}); fetch or write it again") from None


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """What a compressed file holds, piece by piece: its members in turn, which zeros may pad.

    As gzip.GzipFile does it, which however takes padding byte by byte: a minute for 128 MB, which a
    file with a hole has for nothing.
    """
    file.seek(0)
    member = None
    unread = b""
    while unread := unread or file.read(READ_NBYTES):
        if member is None:
            unread = unread.lstrip(b"\0")
            if not unread:
                continue
            member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: as gzip wraps it
        if piece := member.decompress(unread, PIECE_NBYTES):
            yield piece
        unread = member.unconsumed_tail or member.unused_data
        if member.eof:
            member = None
    if member is not None:
        raise zlib.error("it ends within its data")


def _array(data: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The array in the bytes of an IDX file: a view where elements are bytes, else a copy."""
    header = parse_idx(data)
    if header.dtype.itemsize == 1:
        flat = data[header.payload_offset :].view(header.dtype)
    else:
        flat = decode_idx(data)
    try:
        return flat.reshape(header.shape)
    except ValueError as error:
        raise FileFormatError(f"a shape that NumPy does not have: {error}") from None
