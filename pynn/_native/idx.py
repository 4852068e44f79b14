"""The header of an IDX file, parsed by the C library."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from pynn._base.errors import FileFormatError
from pynn._native.library import ffi, lib

# The element types of IDX, by their code in the third byte of a file.
IDX_DTYPES: dict[int, np.dtype[Any]] = {
    lib.PYNN_IDX_UINT8: np.dtype(np.uint8),
    lib.PYNN_IDX_INT8: np.dtype(np.int8),
    lib.PYNN_IDX_INT16: np.dtype(np.int16),
    lib.PYNN_IDX_INT32: np.dtype(np.int32),
    lib.PYNN_IDX_FLOAT32: np.dtype(np.float32),
    lib.PYNN_IDX_FLOAT64: np.dtype(np.float64),
}


class IdxHeader(NamedTuple):
    """The contents of an IDX file's header.

    Attributes:
        dtype: The type of the elements, in the machine's byte order.
        shape: The dimensions, outermost first.
        payload_offset: The position of the first element in the file, in bytes.
        payload_nbytes: The size of all elements, in bytes.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    payload_offset: int
    payload_nbytes: int


def parse_idx(data: bytes) -> IdxHeader:
    """Parse the header of an IDX file.

    Args:
        data: The first bytes of the file, at least the whole header.

    Raises:
        FileFormatError: The header is incomplete or invalid.
    """
    idx = ffi.new("pynn_idx *")
    status = lib.pynn_idx_parse(ffi.from_buffer("uint8_t[]", data), len(data), idx)
    if status not in (lib.PYNN_OK, lib.PYNN_IDX_TRUNCATED, lib.PYNN_IDX_TRAILING_BYTES):
        raise FileFormatError(_header_defect(status, data[:4], len(data)))
    return IdxHeader(
        IDX_DTYPES[idx.type],
        tuple(ffi.unpack(idx.dims, idx.ndim)),
        idx.payload_offset,
        idx.item_count * idx.item_nbytes,
    )


def check_length(header: IdxHeader, found: int) -> None:
    """Check that `found`, the number of bytes after the header, is what the header says.

    Raises:
        FileFormatError: There are fewer bytes, or more.
    """
    claim = claim_of(header)
    if found < header.payload_nbytes:
        there = f"the file has {found} after its {header.payload_offset}-byte header"
        raise FileFormatError(f"truncated: {claim}, {there}; fetch or write it again")
    if found > header.payload_nbytes:
        raise FileFormatError(
            f"trailing bytes: {claim}, at least {found} bytes follow it; fetch or write it again"
        )


def _header_defect(status: int, magic: bytes, nbytes: int) -> str:
    """Say for an error what is wrong with a header that C refused with this status."""
    if status == lib.PYNN_IDX_SHORT_HEADER:
        if nbytes < 4:
            return f"too short for an IDX file: {nbytes} bytes, the shortest header has 4"
        needed = 4 + 4 * magic[3]
        return (
            f"too short for its header: {magic[3]} dimensions need {needed} bytes, the file has"
            f" {nbytes}; fetch or write it again"
        )
    if status == lib.PYNN_IDX_BAD_MAGIC:
        begin = magic[:2].hex(" ")
        return f"not an IDX file: it begins with the bytes {begin}, but IDX files with 00 00"
    if status == lib.PYNN_IDX_UNKNOWN_TYPE:
        known = ", ".join(f"0x{code:02x} ({dtype})" for code, dtype in IDX_DTYPES.items())
        return f"unknown element type 0x{magic[2]:02x} in its third byte; IDX has {known}"
    assert status == lib.PYNN_IDX_OVERFLOW, status
    return (
        "impossible size: the dimensions in its header multiply to more bytes than can be"
        f" addressed ({2 * sys.maxsize + 1})"
    )


def claim_of(header: IdxHeader) -> str:
    """Describe for an error the payload that a header promises."""
    shape = " x ".join(map(str, header.shape)) or "one"
    return f"the header says {shape} {header.dtype} ({header.payload_nbytes} bytes)"
