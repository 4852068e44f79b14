"""IDX files that are damaged in any way: read, or refused with an error of ours.

What is damaged in one known way, and what the message then says, is in test_idx.py and
test_files_refusals.py. Here files are damaged in any way, and what that may lead to is bounded.
"""

from __future__ import annotations

import gzip
import re
import runpy
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import FUZZING, ITEM_NBYTES, damaged, idx
from hypothesis import given
from hypothesis import strategies as st

import pynn
from pynn.datasets import read_idx

FUZZ = Path(__file__).parent / "fuzz"
SEEDS: dict[str, bytes] = runpy.run_path(str(FUZZ / "make_corpus.py"))["idx_seeds"]()
DIMENSIONS = st.integers(0, 4) | st.sampled_from([255, 2**16, 2**30, 2**31, 2**32 - 1])


def product(dims: list[int] | tuple[int, ...]) -> int:
    """As an integer of any size."""
    return int(np.prod([1, *dims], dtype=object))


def read_or_refuse(path: Path, content: bytes) -> np.ndarray[Any, Any] | None:
    """What read_idx makes of the content: an array, or None where it is refused."""
    path.write_bytes(content)
    try:
        array = read_idx(path)
    except pynn.FileFormatError as error:
        assert str(error).startswith(f"{path}: ")
        return None
    assert array.tobytes() is not None  # all of it can be touched
    return array


@FUZZING
@given(
    code=st.sampled_from(list(ITEM_NBYTES)),
    dims=st.lists(DIMENSIONS, max_size=70),
    change=st.integers(-3, 3),
    compress=st.booleans(),
)
def test_any_header_is_read_just_if_it_is_true(
    path: Path, code: int, dims: list[int], change: int, compress: bool
) -> None:
    """An array comes of it where the payload has the length that the header says, else an error."""
    claim = product(dims) * ITEM_NBYTES[code]
    length = max(0, min(claim, 4000) + change)
    content = idx(code, *dims, payload=bytes(length))
    array = read_or_refuse(path, gzip.compress(content) if compress else content)
    if array is not None:
        assert length == claim and array.shape == tuple(dims)
    else:  # a shape may be one that NumPy does not have, even without elements
        strides = product([dim for dim in dims if dim > 0]) * ITEM_NBYTES[code]
        assert length != claim or len(dims) > 32 or strides >= 2**63


@FUZZING
@given(content=st.binary(max_size=60), start=st.sampled_from([b"", b"\0\0", b"\x1f\x8b\x08"]))
def test_any_bytes_are_read_or_refused(path: Path, content: bytes, start: bytes) -> None:
    """Some begin as an IDX file does, or as gzip does."""
    array = read_or_refuse(path, start + content)
    assert array is None or array.nbytes <= len(content)


@FUZZING
@given(data=st.data())
def test_any_damaged_file_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    """A sound file, damaged before it is compressed; what is read is what stands there."""
    content = data.draw(damaged(idx(0x0B, 2, 3, payload=bytes(range(12)))))
    plain, compressed = (read_or_refuse(path, c) for c in (content, gzip.compress(content)))
    assert (plain is None) == (compressed is None)
    if plain is not None and compressed is not None:
        assert plain.dtype == compressed.dtype and plain.shape == compressed.shape
        big_endian = plain.astype(plain.dtype.newbyteorder(">"))
        assert content.endswith(big_endian.tobytes())


def gzip_with_all_fields(content: bytes) -> bytes:
    """A gzip file whose header has everything that it may have."""
    header = b"\x1f\x8b\x08\x1f" + bytes(6) + b"\4\0\1\2\3\4" + b"name\0" + b"comment\0"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    return header + gzip.compress(content)[10:]


@FUZZING
@given(data=st.data())
def test_any_damaged_compressed_file_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    """Damaged after it was compressed. A checksum of 32 bits guards what is read."""
    sound = idx(0x08, 300, payload=bytes(range(100)) * 3)
    assert read_or_refuse(path, gzip_with_all_fields(sound)) is not None
    array = read_or_refuse(path, data.draw(damaged(gzip_with_all_fields(sound))))
    assert array is None or array.tolist() == list(range(100)) * 3


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 1000, b"garbage", b"\x1f\x8b", b"\x1f\x8b\x08"])
def test_what_follows_a_compressed_file(path: Path, extra: bytes) -> None:
    """Zeros are padding, as tape drives add it and gzip takes it; all else is refused."""
    path.write_bytes(gzip.compress(idx(0x08, 2, payload=b"ab")) + extra)
    if not extra.strip(b"\0"):
        assert read_idx(path).tolist() == [97, 98]
    else:
        with pytest.raises(pynn.FileFormatError, match="damaged gzip file"):
            read_idx(path)


def test_the_seeds_are_those_of_their_program() -> None:
    """The corpus that fuzzing starts from is what make_corpus.py writes."""
    kept = {file.name: file.read_bytes() for file in (FUZZ / "corpus" / "idx").iterdir()}
    assert kept == SEEDS
    assert len(SEEDS) >= 24


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_the_seeds_of_the_fuzzer_are_read_or_refused(
    path: Path, compress: Callable[[bytes], bytes]
) -> None:
    """So is every input that ever made the parser in C fail."""
    failed = {file.name: file.read_bytes() for file in (FUZZ / "failed" / "idx").iterdir()}
    for name, content in {**failed, **SEEDS}.items():
        array = read_or_refuse(path, compress(content))
        sound = re.search(r"scalar|vector|matrix|cut-at-33|labels|dims-255|^none", name)
        assert array is None or sound, name
        assert array is not None or not re.search("scalar|vector|matrix|labels", name), name
