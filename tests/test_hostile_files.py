"""Files made to do harm: they are read or refused with an error of ours, at no cost in memory.

What is damaged in one known way, and what the message then says, is in test_idx.py and
test_files_refusals.py. Here files are damaged in any way, and what is bounded is what that may lead to.
"""

from __future__ import annotations

import copy
import errno
import gzip
import json
import os
import re
import runpy
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pynn
from pynn.datasets import read_idx

FUZZ = Path(__file__).parent / "fuzz"
SEEDS: dict[str, bytes] = runpy.run_path(str(FUZZ / "make_corpus.py"))["idx_seeds"]()
HANGS = 600  # seconds after which a program hangs; it takes a few
MB = 10**6

FUZZING = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=300,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # the file is written anew each time
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in a folder of its own."""
    return tmp_path / "file"


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to four places overwritten, widened, cut out or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        cut = draw(st.integers(0, 12) | st.integers(0, len(content)))
        new = draw(st.binary(max_size=12) | st.just(content[place : place + cut] * 2))
        content = content[:place] + new + content[place + cut :]
    return content


# ------------------------------------------------------------ IDX


ITEM_NBYTES = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}
DIMENSIONS = st.integers(0, 4) | st.sampled_from([255, 2**16, 2**30, 2**31, 2**32 - 1])


def idx(code: int, *dims: int, payload: bytes = b"") -> bytes:
    """The bytes of an IDX file."""
    return bytes([0, 0, code, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) + payload


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
    """Also where they begin as an IDX file does, or as gzip."""
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
    """As is every input that ever made the parser in C fail."""
    failed = {file.name: file.read_bytes() for file in (FUZZ / "failed" / "idx").iterdir()}
    for name, content in {**failed, **SEEDS}.items():
        array = read_or_refuse(path, compress(content))
        sound = re.search(r"scalar|vector|matrix|cut-at-33|labels|dims-255|^none", name)
        assert array is None or sound, name
        assert array is not None or not re.search("scalar|vector|matrix|labels", name), name


# ------------------------------------------------------------ what memory it takes


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


Try = tuple[str, Path]  # what to do to which file


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


@pytest.fixture
def sound(tmp_path: Path, checkpoint: bytes) -> list[Try]:
    """A sound file for each action, so that what the first one loads is not put to another."""
    (tmp_path / "sound.idx").write_bytes(idx(0x0B, 1, payload=b"ab"))
    (tmp_path / "sound.idx.gz").write_bytes(gzip.compress(idx(0x0B, 1, payload=b"ab")))
    (tmp_path / "sound.checkpoint").write_bytes(checkpoint)
    return [
        ("read_idx", tmp_path / "sound.idx"),
        ("read_idx", tmp_path / "sound.idx.gz"),
        ("load", tmp_path / "sound.checkpoint"),
        ("resume", tmp_path / "sound.checkpoint"),
    ]


def check_cost(folder: Path, sound: list[Try], hostile: list[Try]) -> None:
    """Each hostile file is refused for its format, and takes no more memory than the sound ones."""
    attempts = measure(folder, sound + hostile)
    before = attempts[len(sound) - 1].peak_nbytes
    assert [attempt.outcome for attempt in attempts[: len(sound)]] == ["read"] * len(sound)
    for (_, file), attempt in zip(hostile, attempts[len(sound) :], strict=True):
        assert attempt.outcome == "FileFormatError", file.name
        assert attempt.peak_nbytes < before + 10 * MB, file.name


def test_a_claim_of_2_to_60_elements_takes_no_memory(tmp_path: Path, sound: list[Try]) -> None:
    """Whatever the type of the elements, the number of dimensions, and the compression."""
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
    """Where the file is so long that its claim could be true, and is all holes."""
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


# ------------------------------------------------------------ model files and checkpoints


X = np.random.default_rng(8).normal(size=(9, 3)).astype(np.float32)
Y = np.arange(9) % 2
RATE = pynn.SGD(learning_rate=0.25)
STEPS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "optimizer": RATE}


class Interrupted(Exception):
    """What ends a run early here."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint of a run with one epoch and one step of the next behind it."""
    file = tmp_path_factory.mktemp("checkpoint") / "run"

    def interrupt(progress: pynn.Progress) -> None:
        if progress.epoch == 2:
            raise Interrupted

    chain = pynn.Builder().input(3).dense(4).relu().dense(2)
    model = chain.softmax_cross_entropy().build(seed=5)
    with pytest.raises(Interrupted):
        model.fit(X, Y, **STEPS, validation=(X, Y), on_progress=interrupt, checkpoint=file)
    resumed = pynn.Model.resume(file)
    assert resumed.epochs_trained == 1
    return file.read_bytes()


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and tensors of a safetensors file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def join(header: object, tensors: bytes) -> bytes:
    """A safetensors file; the header as bytes, or as what becomes JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def use_or_refuse(path: Path, content: bytes) -> None:
    """Read a file as a model and as a checkpoint: what is accepted works, through its next `fit`.

    A run that goes on may be refused for its examples, batch size or optimizer, since those come
    from the file; and numbers in the file may make a loss that is not finite.
    """
    path.write_bytes(content)
    try:
        model = pynn.load(path)
    except (pynn.FileFormatError, OSError) as error:
        assert not isinstance(error, MemoryError)
        with pytest.raises((pynn.FileFormatError, OSError)):
            pynn.Model.resume(path)
        return
    try:
        if model.inputs == 3 and model.outputs == 2:
            assert model.predict(X).shape == (9,)
            assert model.predict_proba(X).shape == (9, 2)
    except pynn.DivergenceError:
        pass
    try:
        resumed = pynn.Model.resume(path)
    except pynn.FileFormatError as error:
        assert str(error).startswith(f"{path}: ")
        return
    assert resumed.epochs_trained >= 0
    after = path.with_name("after")
    try:
        history = resumed.fit(X, Y, **STEPS, validation=(X, Y), checkpoint=after)
    except pynn.PynnError:
        return
    assert f"History({history.epochs} epochs in " in repr(history)
    assert len(history.accuracy) == len(history.seconds) == history.epochs == 3
    assert len(history.val_loss) == len(history.val_accuracy) == 3
    assert np.isfinite(history.accuracy + history.val_accuracy).all()
    assert all(type(loss) is float and np.isfinite(loss) for loss in history.loss)
    pynn.Model.resume(after).close()


def test_the_sound_checkpoint_goes_on(path: Path, checkpoint: bytes) -> None:
    """What is damaged below is, undamaged, a run that is resumed and ends as one never stopped."""
    path.write_bytes(join(*parts(checkpoint)))
    resumed = pynn.Model.resume(path)
    resumed.fit(X, Y, **STEPS, validation=(X, Y))
    chain = pynn.Builder().input(3).dense(4).relu().dense(2)
    model = chain.softmax_cross_entropy().build(seed=5)
    model.fit(X, Y, **STEPS)
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array, resumed.parameters[name])
    use_or_refuse(path, checkpoint)


@FUZZING
@given(content=st.binary(max_size=100), sound_length=st.booleans(), brace=st.booleans())
def test_any_bytes_are_a_model_or_refused(
    path: Path, content: bytes, sound_length: bool, brace: bool
) -> None:
    """Also where they begin with a length that fits, and then as JSON does."""
    content = b"{" * brace + content
    use_or_refuse(path, join(content, b"") if sound_length else content)
    with pytest.raises(pynn.FileFormatError, match=r"not a (safetensors file|model of pynn)"):
        pynn.load(path)


@FUZZING
@given(data=st.data())
def test_any_damaged_checkpoint_is_used_or_refused(
    path: Path, checkpoint: bytes, data: st.DataObject
) -> None:
    """Bytes of length, header and numbers overwritten, widened, cut out or repeated."""
    use_or_refuse(path, data.draw(damaged(checkpoint)))


@FUZZING
@given(data=st.data())
def test_any_damaged_header_is_used_or_refused(
    path: Path, checkpoint: bytes, data: st.DataObject
) -> None:
    """The same in the header alone, with the length set right, so that it is looked at."""
    header, tensors = parts(checkpoint)
    use_or_refuse(path, join(data.draw(damaged(json.dumps(header).encode())), tensors))


@pytest.mark.parametrize(
    "length", [0, 1, 7, -1, -8, +1, +8, 10**8, 2**31, 2**32, 2**62, 2**63, 2**64 - 8, 2**64 - 1]
)
def test_wrong_header_lengths_are_refused(path: Path, checkpoint: bytes, length: int) -> None:
    """Nothing, some bytes less or more than there are (small numbers), and any absurd number."""
    if abs(length) in (1, 8):
        length += int.from_bytes(checkpoint[:8], "little")
    path.write_bytes(length.to_bytes(8, "little") + checkpoint[8:])
    for read in (pynn.load, pynn.Model.resume):
        with pytest.raises(pynn.FileFormatError, match="not a safetensors file"):
            read(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"__metadata__": {"format": 1}}, "its metadata must be text by name"),
        ({"__metadata__": []}, "its metadata must be text by name"),
        ({"dense1.bias": 1}, "tensor dense1.bias: it must have dtype, shape and data_offsets, and"),
        ({"dense1.bias": {"shape": [4], "dtype": "F32"}}, "it must have dtype, shape and data_off"),
        ({"dense1.bias": {"more": 0}}, "dense1.bias: it must have dtype, shape and data_offsets"),
        ({"dense1.bias": {"dtype": 32}}, "tensor dense1.bias: its dtype must be text"),
        ({"dense1.bias": {"dtype": "F64"}}, r"dense1.bias: F64 of shape \[4\] is not 16 bytes"),
        ({"dense1.bias": {"shape": [-4]}}, "its shape must be up to 64 integers from 0"),
        ({"dense1.bias": {"shape": [4.0]}}, "its shape must be up to 64 integers from 0"),
        ({"dense1.bias": {"shape": [4, True]}}, "its shape must be up to 64 integers from 0"),
        ({"dense1.bias": {"shape": [1] * 64 + [4]}}, "its shape must be up to 64 integers from 0"),
        ({"dense1.bias": {"shape": 4}}, "its shape must be up to 64 integers from 0"),
        ({"dense1.bias": {"data_offsets": [16, 0]}}, "its data_offsets must be begin and end"),
        ({"dense1.bias": {"data_offsets": [0]}}, "its data_offsets must be begin and end"),
        ({"dense1.bias": {"data_offsets": [4, 20]}}, "it begins at 4, and what is before it ends"),
        ({"dense1.weight": None}, r"it begins at \d+, and what is before it ends at \d+"),
        ({"dense2.weight": None}, r"its tensors take \d+ bytes, and \d+ are there"),
    ],
)
def test_a_wrong_header_is_refused(
    path: Path, checkpoint: bytes, change: dict[str, Any], words: str
) -> None:
    """Each field by itself, and the offsets one with another; None stands for no such tensor."""
    header, tensors = parts(checkpoint)
    header["__metadata__"] = {"format": "pynn", "format_version": "1"}
    for name, entries in change.items():
        if entries is None:
            del header[name]
        elif isinstance(entries, dict) and len(entries) == 1:
            header[name] |= entries
        else:
            header[name] = entries
    path.write_bytes(join(header, tensors))
    with pytest.raises(pynn.FileFormatError, match=f"not a safetensors file: .*{words}"):
        pynn.load(path)


INTEGERS = st.integers() | st.sampled_from(
    [0, 1, 2, 3, 4, 9, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 10**18, -1, 10**400]
)
TEXT = st.text('ab"\\/\0\n\xe9\u4e2d\U0001f600', max_size=5)
KNOWN = st.sampled_from(["pynn", "1", "sgd", "adam", "F32", "F64", "BOOL", "relu", "dense", "he"])
LEAVES = st.none() | st.booleans() | INTEGERS | st.floats() | TEXT | KNOWN
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def ways(value: Any) -> Iterator[tuple[Any, ...]]:
    """The ways to all that is in some JSON, and to itself."""
    yield ()
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield from ((key, *way) for way in ways(inner))


@st.composite
def rewritten(draw: st.DrawFn, original: Any) -> Any:
    """JSON with what stands in up to three places replaced, removed, doubled or given a sibling."""
    document = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(list(ways(document))))
        if not way:
            return draw(JSON)
        target = document
        for key in way[:-1]:
            target = target[key]
        deed = draw(st.sampled_from(["replace"] * 4 + ["remove", "double", "sibling"]))
        if deed == "replace":
            target[way[-1]] = draw(JSON)
        elif deed == "remove":
            del target[way[-1]]
        elif deed == "double":
            target[way[-1]] = [target[way[-1]]] * 2
        elif isinstance(target, dict):
            target[draw(TEXT | KNOWN)] = draw(JSON)
        else:
            target.append(draw(JSON))
    return document


@FUZZING
@given(data=st.data())
def test_any_header_is_used_or_refused(path: Path, checkpoint: bytes, data: st.DataObject) -> None:
    """Any JSON at any place of the header: types, shapes, offsets, names and metadata."""
    header, tensors = parts(checkpoint)
    use_or_refuse(path, join(data.draw(rewritten(header)), tensors))


@settings(FUZZING, max_examples=600)
@given(data=st.data(), entry=st.sampled_from(["run", "model"]))
def test_any_metadata_is_used_or_refused(
    path: Path, checkpoint: bytes, data: st.DataObject, entry: str
) -> None:
    """Any JSON at any place of what a checkpoint says of its model and of its run."""
    header, tensors = parts(checkpoint)
    value = data.draw(rewritten(json.loads(header["__metadata__"][entry])))
    header["__metadata__"][entry] = json.dumps(value)
    use_or_refuse(path, join(header, tensors))


RUN_PLACES = [
    *(("epochs",), ("batch_size",), ("rows",), ("first_epoch",), ("fingerprint",)),
    *(("optimizer",), ("optimizer", "kind"), ("optimizer", "learning_rate")),
    *(("results",), ("results", 0), *(("results", 0, figure) for figure in range(7))),
    *(("sums",), ("sums", 0), ("sums", 1), ("sums", 2)),
]
EXTREMES: list[Any] = [
    *(None, True, False, "", "1", "nan", [], {}, [1], [[]], [None] * 3, {"kind": "sgd"}),
    *(0, -1, 1, 7, 1.5, -0.0, float("nan"), float("inf"), float("-inf"), 1e308),
    *(2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 10**18, 10**400, -(10**400)),
]


@pytest.mark.parametrize("way", RUN_PLACES, ids=lambda way: ".".join(map(str, way)))
def test_every_extreme_in_a_run_is_used_or_refused(
    path: Path, checkpoint: bytes, way: tuple[Any, ...]
) -> None:
    """Every type of JSON and every size of number, for everything that a run consists of."""
    header, tensors = parts(checkpoint)
    for value in EXTREMES:
        whole = json.loads(header["__metadata__"]["run"])
        target = whole
        for key in way[:-1]:
            target = target[key]
        target[way[-1]] = value
        header["__metadata__"]["run"] = json.dumps(whole)
        use_or_refuse(path, join(header, tensors))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"sums": [1.0, 1, 3]}, "3 examples are no whole steps of 4"),
        ({"sums": [1.0, 1, 10]}, r"sums must be in \[0, 9\], got 10"),
        ({"sums": [10**400, 1, 4]}, "a figure must be a finite number, got int 1000"),
        ({"sums": [1.0, 1]}, "not enough values"),
        ({"epochs": 1}, "more is done than 1 epochs"),
        ({"results": []}, "it ends after 0 epochs, the model after 1"),
        ({"first_epoch": 2**62}, "the model after 1"),
        ({"results": [[1, 3, None, 0.5, None, None, 0.1]]}, "a figure must be .* NoneType None"),
        ({"results": [[1, 3, True, 0.5, None, None, 0.1]]}, "a figure must be .* bool True"),
        ({"optimizer": {}}, "it has no entry 'kind'"),
        ({"rubbish": 1, "more": {}}, "the run has unknown entries: more, rubbish; a newer pynn"),
        ({"optimizer": {"kind": "sgd", "learning_rate": 0.1, "warmth": 1}}, "warmth"),
        ({"early_stopping": {"patience": 1, "impatience": 2}}, "impatience"),
        ({"state": []}, "state must be an object, got list"),
        ({"state": {"kind": None, "updates": 0, "moments": 0, "third": 1}}, "entries: third"),
        ({"state": {"kind": "sgd", "updates": 0, "moments": 1}}, "no entry 'optimizer.first'"),
        ({"id": "me"}, "id must be 32 hexadecimal digits, got str 'me'"),
        ({"id": None}, "id must be 32 hexadecimal digits, got NoneType None"),
    ],
)
@pytest.mark.parametrize("read", [pynn.load, pynn.Model.resume])
def test_a_run_that_cannot_be_is_refused(
    path: Path, checkpoint: bytes, entries: dict[str, Any], words: str, read: Callable[[Path], Any]
) -> None:
    """Each entry may be one that a run has, but not beside the others; load looks at it, too."""
    header, tensors = parts(checkpoint)
    run = json.loads(header["__metadata__"]["run"]) | entries
    header["__metadata__"]["run"] = json.dumps(run)
    path.write_bytes(join(header, tensors))
    with pytest.raises(pynn.FileFormatError, match=f"says of its run is damaged: .*{words}"):
        read(path)


@pytest.mark.parametrize("run", ["null", "[]", "1"])
def test_a_run_that_is_no_object_is_refused(path: Path, checkpoint: bytes, run: str) -> None:
    """Above all it does not count as none."""
    header, tensors = parts(checkpoint)
    header["__metadata__"]["run"] = run
    path.write_bytes(join(header, tensors))
    with pytest.raises(pynn.FileFormatError, match="a run must be an object, got "):
        pynn.load(path)


@pytest.mark.parametrize("extra", ["optimizer.first", "best"])
def test_a_tensor_that_no_run_needs_is_refused(path: Path, checkpoint: bytes, extra: str) -> None:
    """The names are those of a checkpoint's tensors, but this run has neither."""
    header, tensors = parts(checkpoint)
    nbytes = 4 * (3 * 4 + 4 + 4 * 2 + 2)
    begin, end = len(tensors), len(tensors) + nbytes
    header[extra] = {"dtype": "F32", "shape": [nbytes // 4], "data_offsets": [begin, end]}
    path.write_bytes(join(header, tensors + bytes(nbytes)))
    with pytest.raises(pynn.FileFormatError, match=extra):
        pynn.load(path)


def test_a_checkpoint_without_an_id_is_read(path: Path, checkpoint: bytes) -> None:
    """The first ones had none."""
    header, tensors = parts(checkpoint)
    run = json.loads(header["__metadata__"]["run"])
    del run["id"]
    header["__metadata__"]["run"] = json.dumps(run)
    path.write_bytes(join(header, tensors))
    assert pynn.load(path).epochs_trained == 1
    assert pynn.Model.resume(path).fit(X, Y, **STEPS, validation=(X, Y)).epochs == 3


def deepest() -> int:
    """The most lists within lists that Python reads as JSON, called from about here."""
    least, most = 1, 1 << 20
    while most - least > 1:
        depth = (least + most) // 2
        try:
            json.loads("[" * depth + "]" * depth)
            least = depth
        except RecursionError:
            most = depth
    return least


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        *(("run", key) for key in ("epochs", "optimizer", "results", "sums", "another")),
        *(("model", key) for key in ("input", "layers", "seed", "another")),
    ],
)
def test_deep_nesting_is_used_or_refused(
    path: Path, checkpoint: bytes, entry: str, key: str
) -> None:
    """At any depth that is just read, or just not: then it is the message that is too deep."""
    header, tensors = parts(checkpoint)
    sound = json.loads(header["__metadata__"][entry])
    limit = deepest()
    for depth in [10, 100, *range(limit - 60, limit + 5), 100_000]:
        text = json.dumps({**sound, key: "PLACE"})
        nested = "[" * depth + "]" * depth
        header["__metadata__"][entry] = text.replace('"PLACE"', nested)
        use_or_refuse(path, join(header, tensors))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"__metadata__":{"a":', b'{"a":['])
def test_a_deeply_nested_header_is_refused(path: Path, opening: bytes) -> None:
    """The header itself, which must not run the stack out."""
    use_or_refuse(path, join(opening * 200_000, b""))


def test_absurd_sizes_take_no_memory(tmp_path: Path, sound: list[Try], checkpoint: bytes) -> None:
    """In shapes, in offsets, in the chain, in the run, and in all of them so that they agree."""
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
    """Of 8 MB of entries that take many times as much where Python has read them."""
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
