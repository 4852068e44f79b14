"""Safetensors files, read: first the header, then one tensor after the other, where it is wanted.

    8 bytes  the length of the header, little-endian
    header   JSON, which may be padded with blanks: for each tensor
                 "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
             and "__metadata__": {"NAME": "TEXT", ...}, if any
    data     the tensors, one after the other without gaps, little-endian, row by row

The format is documented at https://github.com/huggingface/safetensors. The library of that name
writes our files. It does not read them, because it maps a file: a program that shortens the file
meanwhile would kill us.
"""

from __future__ import annotations

import math
import os
import sys
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import reading
from pynn._base.errors import FileFormatError

MAX_HEADER_NBYTES = 100_000_000  # as the library has it
MAX_ITEMS = 1_000_000  # of a header's JSON, where a tensor has about eight
ENTRY_NBYTES = 48  # what a header has to say of a tensor takes more
ITEM_NBYTES = 3  # so do its items, but for dimensions, of which there are few
MAX_DIMS = 64  # NumPy's

_ITEM_NBITS = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64},
    **{"I64": 64, "F16": 16, "BF16": 16, "F32": 32, "F64": 64},
}
"""Of the types whose size is known here; no tensor of another is read."""

_FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


class Entry(NamedTuple):
    """What the header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    """In the data."""
    end: int


class Reader:
    """An open file whose header is sound.

    Args:
        name: What errors call the file.
        file: The file, from `reading.opened`; it stays the caller's.

    Raises:
        FileFormatError: It is no safetensors file, or damaged.
    """

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self._file = file
        try:
            self._data, header = _read_header(file)
            self.metadata = _metadata(header.pop("__metadata__", {}))
            self.tensors = {key: _entry(key, value) for key, value in header.items()}
            _check_offsets(self.tensors, os.fstat(file.fileno()).st_size - self._data)
        except RecursionError:
            reading.refuse(name, "not a safetensors file: its header is nested too deeply")
        except ValueError as error:
            reading.refuse(name, f"not a safetensors file: {error}")

    def read_into(self, key: str, array: npt.NDArray[Any]) -> None:
        """Read a tensor into an array of its type and shape, contiguous and in our byte order.

        Raises:
            FileFormatError: The file has become shorter.
        """
        self._file.seek(self._data + self.tensors[key].begin)
        try:
            reading.fill(self._file, array.reshape(-1))
        except FileFormatError as error:
            reading.refuse(self.name, str(error))
        if sys.byteorder == "big":
            array.byteswap(inplace=True)

    def read(self, key: str) -> npt.NDArray[Any]:
        """A tensor of F16, F32 or F64; or of BF16, as float32, whose upper half that is."""
        entry = self.tensors[key]
        if entry.dtype == "BF16":
            halves = np.empty(entry.shape, np.uint16)
            self.read_into(key, halves)
            return (halves.astype(np.uint32) << 16).view(np.float32)
        array = np.empty(entry.shape, np.dtype(_FLOATS[entry.dtype]).newbyteorder("="))
        self.read_into(key, array)
        return array


def _read_header(file: BinaryIO) -> tuple[int, dict[str, Any]]:
    """Where the data begin, and the header as JSON has it; ValueError if there is none."""
    file.seek(0)
    nbytes = os.fstat(file.fileno()).st_size
    start = file.read(8)
    if len(start) < 8:
        raise ValueError(f"it has {len(start)} bytes, and the length of the header takes 8")
    length = int.from_bytes(start, "little")
    if length > min(nbytes - 8, MAX_HEADER_NBYTES):
        raise ValueError(
            f"it says that its header has {length:,} bytes; {nbytes - 8:,} follow, and"
            f" {MAX_HEADER_NBYTES:,} are allowed"
        )
    text = file.read(length)
    if len(text) < length:
        raise ValueError("it became shorter while it was read")
    if not text.startswith(b"{"):
        raise ValueError("its header is no JSON object")
    header = reading.parse_json(
        text,
        most_objects=length // ENTRY_NBYTES + 16,
        most_items=min(length // ITEM_NBYTES + 64, MAX_ITEMS),
    )
    return 8 + length, header


def _metadata(entries: object) -> dict[str, str]:
    """The metadata, which are text; ValueError if not."""
    if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
        raise ValueError("its metadata must be text by name")
    return entries


def _entry(key: str, value: object) -> Entry:
    """What the header says of a tensor; ValueError if that makes no sense by itself."""
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {key}: it must have dtype, shape and data_offsets, and no more")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str):
        raise ValueError(f"tensor {key}: its dtype must be text")
    if not _is_sizes(shape) or len(shape) > MAX_DIMS:
        raise ValueError(f"tensor {key}: its shape must be up to {MAX_DIMS} integers from 0")
    if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"tensor {key}: its data_offsets must be begin and end")
    begin, end = offsets
    nbits = _ITEM_NBITS.get(dtype)
    if nbits is not None and nbits * math.prod(shape) != 8 * (end - begin):
        raise ValueError(f"tensor {key}: {dtype} of shape {shape} is not {end - begin} bytes")
    return Entry(dtype, tuple(shape), begin, end)


def _is_sizes(value: object) -> bool:
    """Whether it is a list of integers that can be sizes."""
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**63 for v in value)


def _check_offsets(tensors: dict[str, Entry], nbytes: int) -> None:
    """Check that the tensors fill the data without gaps; ValueError if not."""
    place = 0
    for key, entry in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if entry.begin != place:
            raise ValueError(
                f"tensor {key}: it begins at {entry.begin}, and what is before it ends at {place}"
            )
        place = entry.end
    if place != nbytes:
        raise ValueError(f"its tensors take {place:,} bytes, and {nbytes:,} are there")
