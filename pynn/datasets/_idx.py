"""IDX files: one array each, plain or compressed with gzip."""

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

from pynn._base import arrays, checks, reading
from pynn._base.atomic import write_atomically
from pynn._base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataNotFoundError,
    FileFormatError,
    OutOfMemoryError,
)
from pynn._native.idx import IDX_DTYPES, IdxHeader, check_length, claim_of, parse_idx

GZIP_MAGIC = b"\x1f\x8b"  # an IDX file begins with two zeros, so the content tells them apart
LONGEST_HEADER = 4 + 4 * 255
DENSEST_DEFLATE = 1032  # output bytes for an input byte: 258 for a match that takes two bits
READ_NBYTES = 1 << 16  # of a compressed file at a time
PIECE_NBYTES = 1 << 18  # of what is in it


def read_idx(path: str | os.PathLike[str], *, mapped: bool = False) -> npt.NDArray[Any]:
    """Read the array in an IDX file.

    Whether the file is compressed is seen from its content, not its name. The array is an ordinary
    one in the machine's byte order. A compressed file takes no more memory than its header says,
    however far it would expand.

    Args:
        path: The file.
        mapped: Whether a plain file of bytes is mapped instead, for one that is larger than the
            memory: the array is then read-only, and read from the file as it is used. If another
            program makes the file shorter meanwhile, the system ends this process (SIGBUS); what
            replaces the file, as `write_idx` does, is no danger. Other files are read in any case.

    Returns:
        The array: uint8, int8, int16, int32, float32 or float64, of the shape in the file.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        DataNotFoundError: There is no such file.
        FileFormatError: It is no IDX file, or it is damaged, too short or too long.
        OSError: It cannot be read, or is no ordinary file but a pipe, for instance.
        OutOfMemoryError: It is sound so far, and there is no memory for its array.

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
    name = os.fspath(checks.path("path", path))
    array = arrays.plain_array("array", array)
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
    if name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    write_atomically(name, content)


def _read(file: BinaryIO, *, mapped: bool) -> npt.NDArray[Any]:
    """The array in an open file."""
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
    """Header and payload of a compressed file.

    What a header may make us allocate is bounded twice: by the header's own claim, and by what
    deflate can make of the bytes that there are.
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
                f"truncated: {claim_of(header)}, and what its {compressed_nbytes} compressed bytes"
                f" hold is at most {most}; fetch or write it again"
            )
        payload = np.empty(header.payload_nbytes, np.uint8)
        found = 0
        for piece in itertools.chain([start[header.payload_offset :]], pieces):
            some = np.frombuffer(piece, np.uint8)[: len(payload) - found]
            payload[found : found + len(some)] = some
            found += len(some)
            if len(some) < len(piece):  # how far it goes on beyond its claim is not looked at
                found += 1
                break
        check_length(header, found)
        return header, payload
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


def _array(header: IdxHeader, payload: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The array of a payload, whose bytes are put into the machine's order where they lie."""
    flat = payload.view(header.dtype)
    if header.dtype.itemsize > 1 and sys.byteorder == "little":
        flat.byteswap(inplace=True)
    try:
        return flat.reshape(header.shape)
    except ValueError as error:
        raise FileFormatError(f"a shape that NumPy does not have: {error}") from None
