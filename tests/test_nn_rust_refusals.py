"""What the original Rust library's files cannot hold, and files of it that are not sound."""

from __future__ import annotations

import contextlib
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nn_rust_bytes import CHAINS, DIMS, FIRST, LAYERS, LOSS_AT, RELU_AT, SMALL, build, with_bytes

import pynn
from pynn.formats import nn_rust

pytestmark = pytest.mark.usefixtures("unflushed")

DENSE, SIGMOID, RELU, LOSS = b"\0", b"\1", b"\2", b"\3"

FUZZING = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def write_anew(path: Path, content: bytes) -> None:
    """Some file systems wait for the disk where a file is overwritten or replaced."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def refusal(path: Path, content: bytes) -> str:
    """What load says of some bytes; it begins with the file's name."""
    path.write_bytes(content)
    with pytest.raises(pynn.FileFormatError) as caught:
        nn_rust.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def u32(*numbers: int) -> bytes:
    """As they stand in a file."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


# ------------------------------------------------------------ what the format cannot say


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        (
            pynn.Builder().input(2).dense(2).tanh().dense(2).softmax_cross_entropy(),
            "layer 2: tanh: the original Rust library has only dense, relu and sigmoid",
        ),
        (pynn.Builder().input(2).gelu().dense(2).softmax_cross_entropy(), "layer 1: gelu: "),
        (
            pynn.Builder().input(2).dense(2).relu().leaky_relu(0.1).softmax_cross_entropy(),
            "layer 3: leaky_relu: ",
        ),
        (pynn.Builder().input(2).dense(2).mean_squared_error(), "loss: mean_squared_error: "),
        (pynn.Builder().input(2).dense(2).binary_cross_entropy(), "loss: binary_cross_entropy: "),
        (pynn.Builder().input(2).dense(2).poisson(), "loss: poisson: "),
        (
            pynn.Builder().input(2).dense(2).softmax_cross_entropy(label_smoothing=0.125),
            "loss: softmax_cross_entropy with label_smoothing=0.125: ",
        ),
    ],
)
def test_what_the_format_cannot_say(path: Path, chain: pynn.FinishedBuilder, words: str) -> None:
    """The error names the layer or the loss, and nothing is written."""
    with pytest.raises(pynn.ArgumentError) as caught:
        nn_rust.save(chain.build(), path)
    assert str(caught.value).startswith(words)
    assert "Model.save" in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_neither_written_nor_read(path: Path, value: float) -> None:
    """Both name the place; the file that was there stays."""
    path.write_bytes(SMALL)
    model = nn_rust.load(path)
    model.parameters["dense2.bias"][1] = value
    with pytest.raises(pynn.DivergenceError, match=rf"'dense2\.bias'\]\[1\] is {value}"):
        nn_rust.save(model, path)
    assert path.read_bytes() == SMALL
    content = with_bytes(LOSS_AT - 4, struct.pack("<f", value))
    assert refusal(path, content).startswith(f"layer 3: dense: its parameters hold {value}; ")


def test_wrong_arguments(path: Path) -> None:
    """No model, no path, no seed."""
    model = build(CHAINS["one dense"])
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model, got "):
        nn_rust.save(path, model)  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got int 3"):
        nn_rust.save(model, 3)  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got int 3"):
        nn_rust.load(3)  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentError, match="seed must be in"):
        nn_rust.load(path, seed=-1)
    with pytest.raises(FileNotFoundError):
        nn_rust.load(path)
    model.close()
    with pytest.raises(pynn.ClosedError):
        nn_rust.save(model, path)


# ------------------------------------------------------------ files that are not sound


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_every_truncation_is_refused(path: Path, length: int) -> None:
    """A file is refused at every length, also without its last byte, which is the loss."""
    assert "truncated: " in refusal(path, SMALL[:length])


@pytest.mark.parametrize(
    ("at", "new", "words"),
    [
        (0, u32(0), "the number of dims is 0, and must be in [3, 4098]"),
        (0, u32(2), "the number of dims is 2, and must be in [3, 4098]"),
        (0, u32(4099), "the number of dims is 4099, and must be in [3, 4098]"),
        (0, u32(2**32 - 1), "the number of dims is 4294967295, "),
        (0, u32(4098), "truncated: the list of 4098 dims needs 16392 bytes at 4, and 120 are left"),
        (0, u32(6), "6 dims need 5 layers, and it says 512"),  # its fifth dim is the 4 layers
        (DIMS, u32(0), "dims[0] is 0, and must be in [1, 2147483647]"),
        (DIMS + 16, u32(2**31), "dims[4] is 2147483648, "),
        (
            DIMS,
            u32(3),
            "layer 1: dense: the dims say 3 x 3, and the layer says 2 x 3 with a bias of 3",
        ),
        (DIMS + 4, u32(2), "layer 1: dense: the dims say 2 x 2, and the layer says 2 x 3 "),
        (
            DIMS + 8,
            u32(2),
            "layer 2: relu: the dims must be the same before and after it, and are 3 and 2",
        ),
        (DIMS + 12, u32(3), "layer 3: dense: the dims say 3 x 3, and the layer says 3 x 2 "),
        (
            DIMS + 16,
            u32(3),
            "layer 4: softmax_cross_entropy: the dims must be the same before and after it, and are"
            " 2 and 3",
        ),
        (LAYERS, u32(3), "5 dims need 4 layers, and it says 3"),
        (LAYERS, u32(5), "5 dims need 4 layers, and it says 5"),
        (LAYERS, u32(2**32 - 1), "5 dims need 4 layers, and it says 4294967295"),
        (FIRST, b"\4", "layer 1 is of the unknown kind 4; kinds are 0 to 3"),
        (RELU_AT, b"\xff", "layer 2 is of the unknown kind 255"),
        (RELU_AT, LOSS, "layer 2, before the last, is softmax_cross_entropy; "),
        (LOSS_AT, RELU, "the last layer is relu; "),
        (LOSS_AT, DENSE, "the last layer is dense; "),
        (FIRST + 1, u32(3), "layer 1: dense: the dims say 2 x 3, and the layer says 3 x 3 "),
        (
            FIRST + 5,
            u32(2**32 - 1),
            "layer 1: dense: the dims say 2 x 3, and the layer says 2 x 4294967295 ",
        ),
        (
            FIRST + 9,
            u32(2),
            "layer 1: dense: the dims say 2 x 3, and the layer says 2 x 3 with a bias of 2",
        ),
    ],
)
def test_every_number_is_held_against_the_others(
    path: Path, at: int, new: bytes, words: str
) -> None:
    """The message says which, what it is, and what it should be."""
    message = refusal(path, with_bytes(at, new))
    assert message.startswith(words)
    assert message.endswith("; it is damaged, or not a model of the original Rust library")


@pytest.mark.parametrize("count", [1, 1000])
def test_bytes_after_the_end_are_refused(path: Path, count: int) -> None:
    """Any number of bytes after the end is refused."""
    assert refusal(path, SMALL + bytes(count)).startswith(f"{count} bytes follow the last layer; ")


def test_a_file_without_weights_is_refused(path: Path) -> None:
    """Its fields agree with each other, but there is nothing to train."""
    content = u32(3, 5, 5, 5, 2) + RELU + LOSS
    assert refusal(path, content).startswith("none of its layers is dense; ")


def test_the_longest_chain(path: Path) -> None:
    """A chain of as many layers as are allowed is read, one with a layer more is refused."""
    for count, fits in ((4096, True), (4097, False)):
        content = u32(count + 2, *[1] * (count + 2), count + 1)
        content += DENSE + u32(1, 1, 1) + bytes(8) + RELU * (count - 1) + LOSS
        path.write_bytes(content)
        if fits:
            assert nn_rust.load(path).parameter_count == 2
        else:
            assert "the number of dims is 4099" in refusal(path, content)


def test_a_file_that_shrinks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is read, at any place: the size was that of the whole file."""
    real = os.fstat

    def fstat(handle: int) -> os.stat_result:
        fields = list(real(handle))
        fields[6] = len(SMALL)
        return os.stat_result(fields)

    for length in range(len(SMALL)):
        path.write_bytes(SMALL[:length])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fstat", fstat)
            with pytest.raises(pynn.FileFormatError, match="became shorter while it was read"):
                nn_rust.load(path)


def test_a_file_that_shrinks_late_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shrinks after its structure was checked, and before the numbers are read."""
    nn_rust.save(build(pynn.Builder().input(100).dense(100).relu().dense(100)), path)
    real = nn_rust._chain

    def chain(*arguments: Any) -> Any:
        os.truncate(path, 60_000)
        return real(*arguments)

    monkeypatch.setattr(nn_rust, "_chain", chain)
    with pytest.raises(pynn.FileFormatError, match="became shorter while it was read"):
        nn_rust.load(path)


def test_absurd_claims_take_no_memory(path: Path) -> None:
    """2^32 - 1 in every field that is a number, and in all that belong together."""
    huge = 2**32 - 1
    width = 2**31 - 1
    contents = [with_bytes(at, u32(huge)) for at in (0, *range(4, 28, 4), 29, 33, 37, 79, 83, 87)]
    contents += [
        u32(3, width, width, width, 2) + DENSE + u32(width, width, width) + bytes(100),
        u32(3, 1, width, width, 2) + DENSE + u32(1, width, width) + bytes(100),
        u32(4098, *[width] * 4098, 4097) + (DENSE + u32(width, width, width)) * 4096 + LOSS,
    ]
    tracemalloc.start()
    try:
        for content in contents:
            refusal(path, content)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_large_sound_file_takes_its_size(path: Path) -> None:
    """8 MB take the parameters once, and a quarter of that to check that they are finite."""
    nn_rust.save(build(pynn.Builder().input(2000).dense(1000)), path)
    nbytes = path.stat().st_size
    tracemalloc.start()
    try:
        assert nn_rust.load(path).parameter_count == 2_001_000
        assert tracemalloc.get_traced_memory()[1] < 1.5 * nbytes
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------ files damaged anyhow


def use_or_refuse(path: Path, content: bytes) -> bool:
    """Read a file: what is accepted works, and is written as the same bytes; whether it is."""
    write_anew(path, content)
    try:
        model = nn_rust.load(path)
    except pynn.FileFormatError as error:
        assert str(error).startswith(f"{path}: ")
        return False
    assert 4 * model.parameter_count < len(content)
    with contextlib.suppress(pynn.DivergenceError):  # finite weights may be large
        assert model(np.ones((2, model.inputs), np.float32)).shape == (2, model.outputs)
    path.unlink()
    nn_rust.save(model, path)
    assert path.read_bytes() == content
    return True


def corrupted(rng: np.random.Generator, content: bytes) -> bytes:
    """With one to four places changed: bits, bytes, numbers, cuts, insertions."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, max(1, len(data))))
        deed = rng.integers(0, 6)
        if deed == 0 and data:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif deed == 1 and data:
            data[at] = int(rng.integers(0, 256))
        elif deed == 2:
            number = int(rng.choice([0, 1, 2, 3, 4, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
            data[at : at + 4] = u32(number)
        elif deed == 3:
            del data[at : at + int(rng.integers(1, 9))]
        elif deed == 4:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
        else:
            data[at : at + 4] = rng.bytes(4)
    return bytes(data)


def test_ten_thousand_corruptions(path: Path) -> None:
    """Each is refused or a model that works; none takes much memory, and both happen often."""
    rng = np.random.default_rng(31)
    used = 0
    tracemalloc.start()
    try:
        for _ in range(10_000):
            used += use_or_refuse(path, corrupted(rng, SMALL))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert 1000 < used < 9000


@FUZZING
@given(content=st.binary(max_size=80), sound_start=st.integers(0, LOSS_AT))
def test_any_bytes_are_used_or_refused(path: Path, content: bytes, sound_start: int) -> None:
    """Random bytes by themselves, and after a sound beginning."""
    use_or_refuse(path, content)
    use_or_refuse(path, SMALL[:sound_start] + content)


WIDTHS = st.integers(1, 3) | st.sampled_from([0, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1])


@FUZZING
@given(
    dims=st.lists(WIDTHS, min_size=1, max_size=6),
    kinds=st.binary(max_size=5).map(lambda data: bytes(byte % 4 for byte in data)),
    wrong=st.none() | st.tuples(st.integers(0, 4), st.integers(0, 2), WIDTHS),
    change=st.sampled_from([0, 0, 0, -1, 1, 4]),
)
def test_any_structure_is_read_just_if_it_agrees(
    path: Path,
    dims: list[int],
    kinds: bytes,
    wrong: tuple[int, int, int] | None,
    change: int,
) -> None:
    """Layers between any dims: a model where all agrees, else refused."""
    agrees = len(kinds) == len(dims) - 1 and kinds.count(3) == 1 and kinds[-1:] == LOSS
    agrees = agrees and 0 in kinds and change == 0 and all(1 <= d <= 3 for d in dims)
    content = u32(len(dims), *dims, len(kinds))
    for number, kind in enumerate(kinds):
        before, after = [*dims, *[1] * 6][number : number + 2]
        content += bytes([kind])
        if kind != 0:
            agrees = agrees and before == after
            continue
        sizes = [before, after, after]
        if wrong is not None and wrong[0] == number:
            agrees = agrees and sizes[wrong[1]] == wrong[2]
            sizes[wrong[1]] = wrong[2]
        content += u32(*sizes) + bytes(4 * min(100, sizes[0] * sizes[1] + sizes[2]))
    content = content[:change] if change < 0 else content + bytes(change)
    assert use_or_refuse(path, content) == agrees
