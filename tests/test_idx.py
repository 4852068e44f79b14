"""IDX files: what is written is read, and what is damaged is refused with a useful message."""

import gzip
import os
import re
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pynn
from pynn.datasets import read_idx, write_idx

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
SHAPES = [(), (0,), (7,), (2, 3), (3, 0, 2), (2, 3, 4), (2, 1, 3, 1, 2)]
CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}

# int16, 2 x 3: 12 bytes of header, 12 of payload.
SMALL = bytes([0, 0, 0x0B, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + struct.pack(">6h", 0, 1, -1, 300, -300, 2)


def idx(code, *dims, payload=b""):
    """The bytes of an IDX file."""
    return bytes([0, 0, code, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + payload


def example(dtype, shape):
    """An array that has every byte value somewhere, given enough room."""
    generator = np.random.default_rng(7)
    if dtype.startswith("float"):
        return generator.normal(size=shape).astype(dtype).reshape(shape)
    limits = np.iinfo(dtype)
    return np.asarray(generator.integers(limits.min, limits.max, shape, dtype, endpoint=True))


def refuse(path, content, message, error=pynn.FileFormatError):
    """Reading a file with that content fails, and the message names the file and what is wrong."""
    path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["a.idx", "a.idx.gz"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_written_is_read(tmp_path, dtype, shape, name):
    """Values, dtype and shape survive, plain and compressed."""
    array = example(dtype, shape)
    write_idx(tmp_path / name, array)
    read = read_idx(tmp_path / name)
    assert read.dtype == np.dtype(dtype) and read.dtype.isnative
    assert read.shape == shape
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bytes_are_those_of_the_format(tmp_path, dtype):
    """Header and payload are big-endian, as the format's description has them."""
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    write_idx(tmp_path / "a", array)
    expected = idx(
        CODES[dtype], 2, 3, payload=array.astype(array.dtype.newbyteorder(">")).tobytes()
    )
    assert (tmp_path / "a").read_bytes() == expected


@settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    array=hnp.arrays(
        st.sampled_from(
            [f"{order}{kind}" for kind in ["u1", "i1", "i2", "i4", "f4", "f8"] for order in "<>"]
        ),
        hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    ),
    transpose=st.booleans(),
    suffix=st.sampled_from(["", ".gz"]),
)
def test_any_array_survives(tmp_path, array, transpose, suffix):
    """Byte orders and memory layouts of all kinds, to the bit (NaNs, too)."""
    array = array.T if transpose else array
    path = tmp_path / f"a{suffix}"
    write_idx(path, array)
    read = read_idx(path)
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.shape == array.shape
    assert read.tobytes() == array.astype(read.dtype).tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_plain_bytes_are_mapped(tmp_path, dtype):
    """Where that is asked for a plain file of bytes is not read but mapped, read-only."""
    write_idx(tmp_path / "a", np.zeros((1000, 1000), dtype))
    tracemalloc.start()
    array = read_idx(tmp_path / "a", mapped=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(array, np.memmap)
    assert not array.flags.writeable
    assert peak < 200_000


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "name, dtype, shape",
    [("a.gz", "uint8", 5), ("a", "int16", 5), ("a.gz", "float32", 5), ("a", "float64", (1, 1, 5))],
)
def test_other_arrays_are_ordinary(tmp_path, name, dtype, shape, mapped):
    """What cannot be mapped is in memory of its own, aligned, to be changed at will."""
    write_idx(tmp_path / name, np.zeros(shape, dtype))
    array = read_idx(tmp_path / name, mapped=mapped)
    assert type(array) is np.ndarray
    assert array.flags.aligned
    array[0] = 1


@pytest.mark.parametrize("wrong", [None, 1, "r"])
def test_mapped_is_yes_or_no(tmp_path, wrong):
    """NumPy's words for it are not ours."""
    with pytest.raises(pynn.ArgumentTypeError, match="mapped must be True or False, got"):
        read_idx(tmp_path / "a", mapped=wrong)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_takes_its_memory_once(tmp_path, dtype):
    """Its bytes are read to where they stay, and put into the machine's order there."""
    write_idx(tmp_path / "a", np.zeros(1_000_000, dtype))
    tracemalloc.start()
    array = read_idx(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes + 300_000


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("length", range(len(SMALL)))
def test_every_truncation_is_refused(tmp_path, length, compress):
    """Cut at any byte, plain or before compression; the message has both lengths."""
    if length < 4:
        message = f"too short for an IDX file: {length} bytes, the shortest header has 4"
    elif length < 12:
        message = f"2 dimensions need 12 bytes, the file has {length}; fetch"
    else:
        message = re.escape(
            "truncated: the header says 2 x 3 int16 (12 bytes),"
            f" the file has {length - 12} after its 12-byte header; fetch"
        )
    refuse(tmp_path / "a", compress(SMALL[:length]), message)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("extra", [b"\0", b"\0" * 5000])
def test_trailing_bytes_are_refused(tmp_path, extra, compress):
    """More than the header says is as wrong as less."""
    message = r"trailing bytes: the header says 2 x 3 int16 \(12 bytes\), at least \d+ bytes follow"
    refuse(tmp_path / "a", compress(SMALL + extra), message)


@pytest.mark.parametrize("value", [1, 5, 7, 0x0A, 0x0F, 0x1F, 0x8B, 0xFF])
@pytest.mark.parametrize("place", range(12))
def test_every_wrong_header_byte_is_refused(tmp_path, place, value):
    """Change any byte of the header, and the file no longer agrees with it."""
    content = bytearray(SMALL)
    assert content[place] != value
    content[place] = value
    if place < 2:
        begin = content[:2].hex(" ")
        message = f"not an IDX file: it begins with the bytes {begin}, but IDX files with 00 00"
    elif place == 2:
        message = f"unknown element type 0x{value:02x} in its third byte; IDX has 0x08 .uint8., "
    elif place == 3:
        message = "too short for its header|truncated|trailing bytes|impossible size"
    else:
        message = "truncated|trailing bytes"
    refuse(tmp_path / "a", bytes(content), message)


def test_all_six_types_are_named(tmp_path):
    """The message on an unknown type lists those that there are."""
    known = "0x08 (uint8), 0x09 (int8), 0x0b (int16), 0x0c (int32), 0x0d (float32), 0x0e (float64)"
    refuse(
        tmp_path / "a",
        idx(0x0A, 1, payload=b"xx"),
        re.escape(f"0x0a in its third byte; IDX has {known}"),
    )


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "content, message",
    [
        (idx(8, 2**30, 2**30), r"1073741824 x 1073741824 uint8 \(1152921504606846976 bytes\)"),
        (idx(14, 2**32 - 1, 2**32 - 1), "impossible size.*more bytes than can be addressed"),
        (idx(8, *[2**31, 2] * 2), "impossible size"),
        (idx(8, *[1] * 65, payload=b"x"), "a shape that NumPy cannot have"),
        (idx(8, 0, *[2**32 - 1] * 3), "a shape that NumPy cannot have"),
        (idx(14, *[2**32 - 1] * 3, 0), "a shape that NumPy cannot have"),
    ],
)
def test_huge_claims_are_refused_at_once(tmp_path, content, message, compress):
    """A tiny file with a large claim costs a tiny file's memory."""
    tracemalloc.start()
    refuse(tmp_path / "a", compress(content), message)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_bomb_is_refused(tmp_path):
    """A compressed file that expands beyond its claim is read to its claim."""
    bomb = gzip.compress(idx(8, 1000) + bytes(64 << 20))
    tracemalloc.start()
    refuse(tmp_path / "a.gz", bomb, r"1000 uint8 \(1000 bytes\), at least 1001 bytes follow")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_densest_compression_is_read(tmp_path):
    """The bound on what a compressed file can hold does not cut off what deflate can do."""
    write_idx(tmp_path / "a.gz", np.zeros(16 << 20, np.uint8))
    assert read_idx(tmp_path / "a.gz").shape == (16 << 20,)


def test_content_decides_not_the_name(tmp_path):
    """A compressed file without .gz, and a plain one with it."""
    (tmp_path / "a").write_bytes(gzip.compress(SMALL))
    (tmp_path / "b.gz").write_bytes(SMALL)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), read_idx(tmp_path / "b.gz"))


def test_members_of_gzip_are_joined(tmp_path):
    """The gzip format lets files be concatenated."""
    (tmp_path / "a").write_bytes(gzip.compress(SMALL[:17]) + gzip.compress(SMALL[17:]))
    assert read_idx(tmp_path / "a").tolist() == [[0, 1, -1], [300, -300, 2]]


@pytest.mark.parametrize("length", range(2, len(gzip.compress(SMALL))))
def test_every_truncated_gzip_file_is_refused(tmp_path, length):
    """Cut anywhere after the two bytes that make it a gzip file."""
    refuse(
        tmp_path / "a.gz", gzip.compress(SMALL)[:length], "damaged gzip file .*; fetch or write it"
    )


@pytest.mark.parametrize("place", range(-8, 0))
def test_a_wrong_checksum_is_refused(tmp_path, place):
    """The last eight bytes of a gzip file are its CRC and length."""
    content = bytearray(gzip.compress(SMALL))
    content[place] ^= 0x10
    refuse(tmp_path / "a.gz", bytes(content), "damaged gzip file")


def test_bytes_after_gzip_are_refused(tmp_path):
    """Garbage after the compressed data is none of its members."""
    refuse(tmp_path / "a.gz", gzip.compress(SMALL) + b"garbage", "damaged gzip file")


def test_corrupt_gzip_data_never_passes(tmp_path):
    """Flip any bit of the compressed data: it is refused, or the array is what it was."""
    expected = [[0, 1, -1], [300, -300, 2]]
    content = gzip.compress(SMALL, mtime=0)
    refused = 0
    for bit in range(8 * 2, 8 * len(content)):
        broken = bytearray(content)
        broken[bit // 8] ^= 1 << bit % 8
        (tmp_path / "a").write_bytes(broken)
        try:
            assert read_idx(tmp_path / "a").tolist() == expected
        except pynn.FileFormatError:
            refused += 1
    assert refused > 8 * len(SMALL)


def test_a_missing_file_is_named(tmp_path):
    """It is pynn's error and Python's own."""
    with pytest.raises(pynn.DataNotFoundError, match=re.escape(f"{tmp_path / 'a'}: no such file")):
        read_idx(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        read_idx(str(tmp_path / "a"))


@pytest.mark.parametrize("dtype", ["bool", "uint16", "int64", "float16", "complex64", "U3", "O"])
def test_other_dtypes_are_refused_by_name(tmp_path, dtype):
    """The message has what it got and what there is; nothing is written."""
    array = np.zeros(3, dtype)
    message = re.escape(
        f"array has dtype {array.dtype}, but IDX only has uint8, int8, int16, int32, float32, "
        "float64"
    )
    with pytest.raises(pynn.ArgumentTypeError, match=message):
        write_idx(tmp_path / "a", array)
    assert os.listdir(tmp_path) == []


class Sparse:
    """A sparse matrix, as far as its methods tell."""

    def toarray(self):
        raise AssertionError("nothing is converted unasked")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2, 3], "got list; convert with np.asarray"),
        ((np.zeros(3), 1), r"got tuple; pass one of its parts, as in array\[0\]"),
        (Sparse(), r"got Sparse; convert with array.toarray\(\)"),
    ],
)
def test_only_arrays_are_written(value, message, tmp_path):
    """A list's dtype would be a guess."""
    with pytest.raises(pynn.ArgumentTypeError, match=f"array must be a NumPy array, {message}"):
        write_idx(tmp_path / "a", value)


def test_arrays_of_other_classes_are_written(tmp_path):
    """A matrix of NumPy is an array, too."""
    write_idx(tmp_path / "a", np.arange(6, dtype=np.uint8).reshape(2, 3).view(np.matrix))
    assert read_idx(tmp_path / "a").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_dimension_must_fit(tmp_path):
    """2^32 is one more than 32 bits can say."""
    with pytest.raises(
        pynn.ArgumentError, match=r"array has shape \(4294967296, 0\).* at most 4294967295"
    ):
        write_idx(tmp_path / "a", np.empty((2**32, 0), np.uint8))


def test_compressed_bytes_are_reproducible(tmp_path, monkeypatch):
    """Neither the time nor the file's name goes into the file."""
    array = example("int32", (5, 5))
    write_idx(tmp_path / "a.gz", array)
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_idx(tmp_path / "b.gz", array)
    content = (tmp_path / "a.gz").read_bytes()
    assert content == (tmp_path / "b.gz").read_bytes()
    assert content[4:8] == bytes(4)  # MTIME


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """When the new content cannot be put in place, the old is there and nothing else."""
    write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))

    def fail(*_):
        raise OSError("disk on fire")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk on fire"):
        write_idx(tmp_path / "a", np.arange(9, dtype=np.uint8))
    assert os.listdir(tmp_path) == ["a"]
    assert read_idx(tmp_path / "a").tolist() == [0, 1, 2]


def test_a_mapped_array_survives_a_rewrite(tmp_path):
    """The old file stays until its last user is gone, since the new one is another file."""
    write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))
    old = read_idx(tmp_path / "a", mapped=True)
    write_idx(tmp_path / "a", np.full(1, 9, np.uint8))
    assert old.tolist() == [0, 1, 2]
    assert read_idx(tmp_path / "a").tolist() == [9]


def test_a_missing_directory_is_named(tmp_path):
    """The error names the file that the caller asked for."""
    with pytest.raises(FileNotFoundError) as caught:
        write_idx(tmp_path / "none" / "a", np.zeros(1, np.uint8))
    assert caught.value.filename == str(tmp_path / "none" / "a")
