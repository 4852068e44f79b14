"""Safetensors files, written and read: the header, then each tensor into the array that needs it.

    8 bytes  the length of the header, little-endian
    header   JSON, which may be padded with blanks: for each tensor
                 "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
             and "__metadata__": {"NAME": "TEXT", ...}, if any
    data     the tensors, one after the other without gaps, little-endian, row by row

The format is documented at https://github.com/huggingface/safetensors. The safetensors library is
not used. It maps a file into memory to read it: if another program made the file shorter meanwhile,
the system would kill this process. It writes metadata in a random order. And it cannot be installed
on a free-threaded Python without a compiler of Rust.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import reading
from pynn._base.errors import FileFormatError

MAX_HEADER_NBYTES = 100_000_000  # the limit of the safetensors library
MAX_ITEMS = 1_000_000  # in the JSON of a header, where a tensor has about eight items
ENTRY_NBYTES = 48  # the entry of a tensor in a header takes more bytes than this
ITEM_NBYTES = 3  # so does each of its items but dimensions, of which there are few
MAX_DIMS = 64  # NumPy's limit

_ITEM_NBITS = {
    **{"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64},
    **{"I64": 64, "F16": 16, "BF16": 16, "F32": 32, "F64": 64},
}
"""The bits of an item of each dtype whose size is known here; other tensors are not read."""

_FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
_WRITTEN = {np.dtype(np.float32): "F32", np.dtype(np.int64): "I64"}


def to_bytes(
    tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Make the contents of a file of float32 and int64 tensors.

    The order is that of the safetensors library: the largest items first, so that every tensor is
    aligned, and equal ones by name. The same tensors and metadata always give the same bytes.
    """
    import json  # here, because the import takes milliseconds and only saving needs it

    header: dict[str, Any] = {}
    if metadata is not None:
        header["__metadata__"] = dict(sorted(metadata.items()))
    parts: list[Any] = []
    end = 0
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        begin, end = end, end + array.nbytes
        entry = {"dtype": _WRITTEN[array.dtype], "shape": array.shape, "data_offsets": [begin, end]}
        header[name] = entry
        parts.append(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


class Entry(NamedTuple):
    """The entry of a tensor in the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    """The first byte of the tensor, counted from the start of the data."""
    end: int
    """The byte after its last one, counted likewise."""


class Reader:
    """Reads an open safetensors file, whose header has been checked.

    Args:
        name: What errors call the file.
        file: The file, from `reading.opened`; the caller closes it.

    Raises:
        FileFormatError: It is not a safetensors file, or is damaged.
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
        """Read a tensor into an array of its dtype and shape.

        The array must be contiguous and in the machine's byte order.

        Raises:
            FileFormatError: The file became shorter.
        """
        self._file.seek(self._data + self.tensors[key].begin)
        try:
            reading.fill(self._file, array.reshape(-1))
        except FileFormatError as error:
            reading.refuse(self.name, str(error))
        if sys.byteorder == "big":
            array.byteswap(inplace=True)

    def read(self, key: str) -> npt.NDArray[Any]:
        """Read a tensor of dtype F16, F32 or F64 into a new array; one of BF16 becomes float32.

        A BF16 number is the upper half of the float32 number with the same value.
        """
        entry = self.tensors[key]
        if entry.dtype == "BF16":
            halves = np.empty(entry.shape, np.uint16)
            self.read_into(key, halves)
            return (halves.astype(np.uint32) << 16).view(np.float32)
        array = np.empty(entry.shape, np.dtype(_FLOATS[entry.dtype]).newbyteorder("="))
        self.read_into(key, array)
        return array


def _read_header(file: BinaryIO) -> tuple[int, dict[str, Any]]:
    """Read the position of the data and the header's JSON; raise a ValueError if it is damaged."""
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
        raise ValueError("its header is not a JSON object")
    header = reading.parse_json(
        text,
        most_objects=length // ENTRY_NBYTES + 16,
        most_items=min(length // ITEM_NBYTES + 64, MAX_ITEMS),
    )
    return 8 + length, header


def _metadata(entries: object) -> dict[str, str]:
    """Check that all metadata are text, and return them; else raise a ValueError."""
    if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
        raise ValueError("its metadata must be an object with text values")
    return entries


def _entry(key: str, value: object) -> Entry:
    """Check the entry of a tensor in the header, apart from others; else raise a ValueError."""
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"tensor {key}: its entry must have dtype, shape and data_offsets, and nothing else"
        )
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str):
        raise ValueError(f"tensor {key}: its dtype must be text")
    if not _is_sizes(shape) or len(shape) > MAX_DIMS:
        raise ValueError(
            f"tensor {key}: its shape must be a list of at most {MAX_DIMS} integers of 0 or more"
        )
    if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"tensor {key}: its data_offsets must be [begin, end], with begin <= end")
    begin, end = offsets
    nbits = _ITEM_NBITS.get(dtype)
    if nbits is not None and nbits * math.prod(shape) != 8 * (end - begin):
        raise ValueError(f"tensor {key}: {dtype} of shape {shape} is not {end - begin} bytes")
    return Entry(dtype, tuple(shape), begin, end)


def _is_sizes(value: object) -> bool:
    """Tell whether a value is a list of integers that can be sizes."""
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**63 for v in value)


def _check_offsets(tensors: dict[str, Entry], nbytes: int) -> None:
    """Check that the tensors fill the data without gaps; else raise a ValueError."""
    place = 0
    for key, entry in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if entry.begin != place:
            raise ValueError(
                f"tensor {key}: it begins at {entry.begin}, but must begin at {place}: without a"
                " gap or an overlap"
            )
        place = entry.end
    if place != nbytes:
        raise ValueError(f"its tensors need {place:,} bytes of data, but the file has {nbytes:,}")
