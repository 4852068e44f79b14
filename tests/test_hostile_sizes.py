"""Files that claim to be huge, or are: refused at no cost in memory."""

from __future__ import annotations

import copy
import errno
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hostile_files import ITEM_NBYTES, Try, idx, join, parts, sound_checkpoint, sound_files

import pynn

sound = pytest.fixture(sound_files)
checkpoint = pytest.fixture(scope="module")(sound_checkpoint)

HANGS = 600  # seconds after which a program hangs; it takes a few
MB = 10**6

# The start of programs that say what memory they took. What a parent took counts for its child in
# ru_maxrss on Linux, but not in VmHWM.
PEAK = """
import json, re, resource, sys
import numpy, pynn

def status(name):
    with open("/proc/self/status") as file:
        return 1024 * int(re.search(name + r":\\s+(\\d+) kB", file.read())[1])

def peak():
    if sys.platform == "linux":
        return status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes
"""

# Tries files in turn and prints how each ended, and the most memory by then.
MEASURE = """
actions = {"read_idx": pynn.datasets.read_idx, "load": pynn.load, "resume": pynn.Model.resume}

def attempt(action, path):
    try:
        actions[action](path)
    except (pynn.PynnError, OSError) as error:
        return type(error).__name__
    return "read"

room, *files = json.loads(sys.argv[1])
if room is not None:
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + room,) * 2)
print(json.dumps([(attempt(*file), peak()) for file in files]))
"""

# Reads a few rows of many, and predicts on them.
USE = """
images = pynn.datasets.read_idx(sys.argv[1], mapped=True)
model = pynn.Builder().input(784).dense(10).softmax_cross_entropy().build(seed=0)
print(json.dumps({
    "type": type(images).__name__,
    "shape": images.shape,
    "first": images[0].max().item(),
    "last": images[-1].ravel().tolist(),
    "picked": model(images[[0, len(images) // 2, len(images) - 1]]).tolist(),
    "cut": model(images[-2:]).tolist(),
    "peak": peak(),
}))
"""


class Attempt(NamedTuple):
    """How reading a file ended: "read", or the name of an error; the most memory until then."""

    outcome: str
    peak_nbytes: int


def run(code: str, folder: Path, *arguments: str) -> Any:
    """What a program prints as JSON, run in an interpreter of its own away from the sources."""
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("AddressSanitizer takes memory of its own")
    result = subprocess.run(
        [sys.executable, "-c", PEAK + code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def measure(folder: Path, files: list[Try], *, room: int | None = None) -> list[Attempt]:
    """Try (action, file) one after the other in one process; room: what it may still allocate."""
    arguments = [room, *((action, str(file)) for action, file in files)]
    return [Attempt(*attempt) for attempt in run(MEASURE, folder, json.dumps(arguments))]


def sparse(path: Path, nbytes: int) -> None:
    """Make a file longer with a hole at its end; skip the test where it would fill the disk."""
    try:
        os.truncate(path, nbytes)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG):
            pytest.skip("the file system has no sparse files")
        raise
    if path.stat().st_blocks * 512 > nbytes // 2:
        pytest.skip("the file system has no sparse files")


def check_cost(folder: Path, sound: list[Try], hostile: list[Try]) -> None:
    """Each hostile file is refused for its format, and takes no more memory than the sound ones."""
    attempts = measure(folder, sound + hostile)
    before = attempts[len(sound) - 1].peak_nbytes
    assert [attempt.outcome for attempt in attempts[: len(sound)]] == ["read"] * len(sound)
    for (_, file), attempt in zip(hostile, attempts[len(sound) :], strict=True):
        assert attempt.outcome == "FileFormatError", file.name
        assert attempt.peak_nbytes < before + 10 * MB, file.name


def test_a_claim_of_2_to_60_elements_takes_no_memory(tmp_path: Path, sound: list[Try]) -> None:
    """This holds for every type of element, number of dimensions, and compression."""
    hostile: list[Try] = []
    for code in ITEM_NBYTES:
        for dims in ([2**30, 2**30], [2] * 60, [2**30, 2**30, 1]):
            for name, compress in (("", bytes), (".gz", gzip.compress)):
                file = tmp_path / f"{code}-{len(dims)}{name}"
                file.write_bytes(compress(idx(code, *dims, payload=bytes(1000))))
                hostile.append(("read_idx", file))
    check_cost(tmp_path, sound, hostile)


def gigabytes_of_zeros(start: bytes, count: int) -> bytes:
    """A sound gzip file of some bytes and then so many times 64 MB: of 65 kB each."""
    return gzip.compress(start) + gzip.compress(bytes(64 << 20), 9) * count


def test_a_bomb_takes_no_memory(tmp_path: Path, sound: list[Try]) -> None:
    """A compressed file of 4 MB that holds 4 GB, with a small claim, with none, with a huge one."""
    hostile: list[Try] = []
    for name, start in {
        "small": idx(0x08, 1000),
        "small-float64": idx(0x0E, 10, 10),
        "no-elements": idx(0x08, 0, 5),
        "2-to-60": idx(0x08, 2**30, 2**30),
        "2-to-60-float32": idx(0x0D, 2**29, 2**29),
        "10-GB": idx(0x08, 10, 10**9),
        "no-IDX": b"hello",
        "overflow": idx(0x0E, *[2**32 - 1] * 5),
    }.items():
        file = tmp_path / f"{name}.gz"
        file.write_bytes(gigabytes_of_zeros(start, 64))
        hostile.append(("read_idx", file))
    check_cost(tmp_path, sound, hostile)


LIMITED = pytest.mark.skipif(sys.platform != "linux", reason="has no limit of address space")


@LIMITED
def test_what_does_not_fit_into_memory_is_an_error_of_ours(path: Path) -> None:
    """Numbers of 2 GB, where 1 is left."""
    path.write_bytes(idx(0x0C, 2**29))
    sparse(path, 8 + 2**31)
    [attempt] = measure(path.parent, [("read_idx", path)], room=1 << 30)
    assert attempt.outcome == "OutOfMemoryError"
    assert attempt.peak_nbytes < 200 * MB


@LIMITED
def test_a_compressed_claim_that_does_not_fit_into_memory(path: Path) -> None:
    """The file is so long that its claim could be true, and it is all holes."""
    path.write_bytes(gzip.compress(idx(0x08, 64, 2**30)))
    sparse(path, 128 << 20)
    [attempt] = measure(path.parent, [("read_idx", path)], room=4 << 30)
    assert attempt.outcome == "OutOfMemoryError"
    assert attempt.peak_nbytes < 200 * MB


def test_a_file_of_5_gigabytes_is_mapped(path: Path) -> None:
    """More than most machines have to spare is opened, read here and there, and predicted on."""
    rows = 6_850_000
    path.write_bytes(idx(0x08, rows, 28, 28))
    sparse(path, 16 + rows * 784)
    last = bytes(k % 251 for k in range(784))
    with path.open("r+b") as file:
        file.seek(-784, os.SEEK_END)
        file.write(last)
    assert path.stat().st_size > 5 * 2**30
    used = run(USE, path.parent, str(path))
    assert used["peak"] < 200 * MB
    assert used["type"] == "memmap" and used["shape"] == [rows, 28, 28]
    assert used["first"] == 0 and bytes(used["last"]) == last
    model = pynn.Builder().input(784).dense(10).softmax_cross_entropy().build(seed=0)
    expected = model(np.frombuffer(bytes(2 * 784) + last, np.uint8).reshape(3, 784))
    np.testing.assert_allclose(used["picked"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(used["cut"], expected[1:], rtol=1e-5, atol=1e-6)


def test_absurd_sizes_take_no_memory(tmp_path: Path, sound: list[Try], checkpoint: bytes) -> None:
    """In shapes, offsets, chain and run, one at a time, and in all of them so that they agree."""
    hostile: list[Try] = []
    for size in (2**31 - 1, 2**31, 10**18, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400):
        header, tensors = parts(checkpoint)
        shapes = copy.deepcopy(header)
        shapes["dense1.weight"]["shape"] = [size, 4]
        offsets = copy.deepcopy(header)
        offsets["dense1.weight"]["data_offsets"][1] = size
        chain, all_of_it = copy.deepcopy(header), {}
        description = json.loads(header["__metadata__"]["model"])
        description["input"] = size
        chain["__metadata__"]["model"] = json.dumps(description)
        for key, value in {**chain, "dense1.weight": shapes["dense1.weight"]}.items():
            all_of_it[key] = copy.deepcopy(value)
        all_of_it["dense1.weight"]["data_offsets"][1] = 16 * size
        for name, damaged_header in (
            *(("shapes", shapes), ("offsets", offsets), ("chain", chain), ("all", all_of_it)),
        ):
            for action in ("load", "resume"):
                file = tmp_path / f"{name}-{len(str(size))}-digits-{size % 10}-{action}"
                file.write_bytes(join(damaged_header, tensors))
                hostile.append((action, file))
    check_cost(tmp_path, sound, hostile)


@pytest.mark.parametrize("place", ["header", "tensor", "metadata", "model", "run"])
def test_a_long_header_takes_memory_by_its_length(
    tmp_path: Path, sound: list[Try], checkpoint: bytes, place: str
) -> None:
    """8 MB of entries, which would take many times as much once Python has parsed them."""
    hostile: list[Try] = []
    for number, item in enumerate(["{}", "[]", "0", '""', '{"a":0}', "1.5", "[[1]]"]):
        header, tensors = parts(checkpoint)
        many = f'"x": [{",".join([item] * (8 * MB // (len(item) + 1)))}]'
        if place in ("model", "run"):
            whole = json.loads(header["__metadata__"][place]) | {"PLACE": 0}
            header["__metadata__"][place] = json.dumps(whole).replace('"PLACE": 0', many)
        else:
            target = {"header": header, "tensor": header["dense1.bias"]}
            target.get(place, header["__metadata__"])["PLACE"] = 0
        file = tmp_path / str(number)
        file.write_bytes(join(json.dumps(header).replace('"PLACE": 0', many).encode(), tensors))
        hostile.append(("load", file))
    attempts = measure(tmp_path, sound + hostile)
    before = attempts[len(sound) - 1].peak_nbytes
    for (_, file), attempt in zip(hostile, attempts[len(sound) :], strict=True):
        assert attempt.outcome == "FileFormatError"
        assert attempt.peak_nbytes < before + 16 * file.stat().st_size, file.name


def test_a_long_file_of_others_is_not_read(
    tmp_path: Path, sound: list[Try], checkpoint: bytes
) -> None:
    """Tensors of 5 GB that no model has: refused by their names, without a look at them."""
    header, tensors = parts(checkpoint)
    nbytes = 5 * 2**30
    header["extra"] = {
        "dtype": "F32",
        "shape": [nbytes // 4],
        "data_offsets": [len(tensors), len(tensors) + nbytes],
    }
    file = tmp_path / "long"
    file.write_bytes(join(header, tensors))
    sparse(file, file.stat().st_size + nbytes)
    check_cost(tmp_path, sound, [("load", file), ("resume", file)])
