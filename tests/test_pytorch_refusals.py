"""state_dicts of PyTorch: types of numbers, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytorch_states import BUILDER, CHAIN, SQUARE, Arrays, Module, X, linear, modules, refusal
from safetensors.numpy import save_file

import pynn
from pynn.formats import pytorch

# ------------------------------------------------------------ types


def to_bfloat16(array: npt.NDArray[np.float32]) -> bytes:
    """The upper halves of float32 values, which lie before their lower ones in big-endian order."""
    return np.ascontiguousarray(array).view("<u2").reshape(-1, 2)[:, 1].tobytes()


def write_safetensors(path: Path, tensors: dict[str, tuple[str, list[int], bytes]]) -> None:
    """A file of tensors of any type; safetensors.numpy writes those that NumPy has."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        place = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": place}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_bfloat16_is_widened(path: Path) -> None:
    """Its bits are the upper half of a float32's, so nothing is lost."""
    arrays = modules("0", "2")
    write_safetensors(
        path,
        {name: ("BF16", list(a.shape), to_bfloat16(a)) for name, a in arrays.items()},
    )
    model = pytorch.load(path, CHAIN)
    for name, ours in (("0.weight", "dense1.weight"), ("2.bias", "dense2.bias")):
        kept = (arrays[name].view(np.uint32) & 0xFFFF0000).view(np.float32)
        np.testing.assert_array_equal(model.parameters[ours], kept.T)
        assert not np.array_equal(kept, arrays[name])


@pytest.mark.parametrize("kind", ["mapping", "file"])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_are_converted(dtype: type[np.floating[Any]], kind: str, path: Path) -> None:
    """float16 is widened, float64 rounded to the nearest."""
    arrays = {name: (a / 3).astype(dtype) for name, a in modules("0", "2").items()}
    save_file(arrays, path)
    model = pytorch.load(arrays if kind == "mapping" else path, CHAIN)
    expected = arrays["2.weight"].astype(np.float32).T
    np.testing.assert_array_equal(model.parameters["dense2.weight"], expected)


def test_arrays_of_any_memory_layout() -> None:
    """Byte order and strides do not matter."""
    arrays = modules("0", "2")
    odd = {name: np.asfortranarray(a).astype(">f4") for name, a in arrays.items()}
    odd["2.bias"] = np.repeat(arrays["2.bias"], 2)[::2]
    np.testing.assert_array_equal(pytorch.load(odd, CHAIN)(X), pytorch.load(arrays, CHAIN)(X))


# ------------------------------------------------------------ what is refused


def replaced(**changes: Any) -> Arrays:
    """A state_dict of fc1 and fc2 with tensors replaced, added, or left out where it says None."""
    arrays = modules("fc1", "fc2") | {k.replace("__", "."): v for k, v in changes.items()}
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            replaced(fc1__weight=np.zeros((4, 5), np.float32)),
            "fc1.weight has shape (4, 5), and dense1.weight needs (4, 3), outputs before inputs as"
            " in PyTorch. pynn took dense1 from fc1, dense2 from fc2; give another order",
        ),
        (
            replaced(fc1__weight=np.zeros((3, 4), np.float32)),
            "fc1.weight has shape (3, 4), and dense1.weight needs (4, 3)",
        ),
        (
            replaced(fc2__bias=np.zeros((2, 1), np.float32)),
            "fc2.bias has shape (2, 1), and dense2.bias needs (2,)",
        ),
        (
            replaced(fc2__bias=None),
            "has no tensor fc2.bias; pynn's dense layers have a bias: for Linear(..., bias=False)"
            " add a tensor of zeros; it has fc1.bias, fc1.weight, fc2.weight",
        ),
        (replaced(fc2__weight=None), "has no tensor fc2.weight; it has fc1.bias, "),
        (
            replaced(fc2__weight=None, fc2__bias=None),
            "has 1 Linear modules (fc1), and the chain 3 -> dense(4, he) -> ",
        ),
        (
            replaced(fc3__weight=np.zeros((2, 2), np.float32)),
            "has 3 Linear modules (fc1, fc2, fc3), and the chain",
        ),
        ({}, "has 0 Linear modules (none), and the chain"),
        (
            replaced(norm__running_mean=np.zeros(4, np.float32)),
            "has tensors that are neither weight nor bias of a Linear: norm.running_mean; ",
        ),
        (
            {**replaced(), "\x1b[2Jx": np.zeros(1, np.float32)},
            r"neither weight nor bias of a Linear: '\x1b[2Jx'; ",
        ),
        (
            {**replaced(), **{f"x{k}": np.zeros(1, np.float32) for k in range(50)}},
            "neither weight nor bias of a Linear: x0, x1, x2, x3, x4, x5 and 44 more; ",
        ),
        (
            {**replaced(), "long" * 100: np.zeros(1, np.float32)},
            f"neither weight nor bias of a Linear: '{'long' * 14}l...'; ",
        ),
        (
            replaced(fc1__bias=np.full(4, 1e39)),
            "fc1.bias holds values beyond float32, which goes up to 3.4e+38",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_what_does_not_fit_the_chain(arrays: Arrays, words: str, kind: str, path: Path) -> None:
    """The error says what it is, which tensors were taken, and what to do."""
    if kind == "mapping":
        message, start = refusal(arrays), "state_dict: "
    else:
        save_file(arrays, path)
        message, start = refusal(path), f"{path}: "
    assert message.startswith(start)
    assert words in message


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.bool_, np.complex64])
def test_types_that_are_no_floats(dtype: type[np.generic], path: Path) -> None:
    """They are refused by name."""
    arrays = replaced(fc1__bias=np.zeros(4, dtype))
    words = "fc1.bias must be float32, float64, float16 or bfloat16, is "
    with pytest.raises(pynn.ArgumentTypeError, match=f"^state_dict: {words}{np.dtype(dtype)}"):
        pytorch.load(arrays, CHAIN)
    save_file(arrays, path)
    assert f"{path}: {words}" in refusal(path)


def test_types_that_numpy_does_not_have(path: Path) -> None:
    """They are refused by the name that safetensors has for them."""
    weight, _ = linear(2, 3)
    write_safetensors(
        path, {"weight": ("F32", [2, 3], weight.tobytes()), "bias": ("F8_E4M3", [2], b"ab")}
    )
    chain = pynn.Builder().input(3).dense(2).softmax_cross_entropy()
    assert "bias must be float32, float64, float16 or bfloat16, is F8_E4M3" in refusal(path, chain)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((Module(), CHAIN), "state_dict must be a path or .*, got Module; pass its .state_dict()"),
        ((3, CHAIN), "state_dict must be a path or a mapping of tensors, got int 3"),
        (({0: X}, CHAIN), "names of tensors must be str, got int 0"),
        (({"fc.bias": [1, 2]}, CHAIN), r"'fc.bias' must be a tensor or a NumPy array, got list"),
        (({"fc.bias": np.ma.array([1.0])}, CHAIN), "fc.bias must be a NumPy array without a mask"),
        (({"model": modules("0")}, CHAIN), r"holds no .*: state_dict\['model'\]$"),
        (
            (modules("0", "2"), BUILDER),
            r"chain must be a chain with its loss, .*, got LayerBuilder Builder",
        ),
        ((modules("0", "2"), CHAIN.build()), "chain must be a chain with its loss, not yet built"),
        ((modules("0", "2"), CHAIN, "02"), "names must be a list of str, .* got str '02'"),
        ((modules("0", "2"), CHAIN, [0, 2]), "names must be a list of str"),
    ],
)
def test_arguments_of_wrong_types(arguments: tuple[Any, ...], words: str) -> None:
    """The error names the argument and what it should be."""
    source, chain, *names = arguments
    with pytest.raises(pynn.ArgumentTypeError, match=words):
        pytorch.load(source, chain, names=names[0] if names else None)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["fc1"], "names must have one name for each of the 2 dense layers, got 1: fc1"),
        (["fc1", "fc1"], "names must differ from each other, got fc1, fc1"),
        (["fc1", "fc3"], "has tensors of modules that are not in names: fc2.bias, fc2.weight; "),
        (["fc2", "fc1"], "pynn took dense1 from fc2, dense2 from fc1; "),
    ],
)
def test_names_that_do_not_fit(names: list[str], words: str) -> None:
    """names= must have one existing name for each dense layer, and leave none over."""
    assert words in refusal(modules("fc1", "fc2"), names=names)


def test_files_of_pynn_itself_are_refused(path: Path) -> None:
    """Their weights are (inputs, outputs), so a square one would be taken the wrong way round."""
    SQUARE.build().save(path)
    assert "a model in pynn's own format, whose weights are (inputs, outputs)" in refusal(
        path, SQUARE
    )


@pytest.mark.parametrize("content", [b"", b"{", b"hello world", bytes(100), b"\x80\x02}q\x00."])
def test_files_that_are_no_safetensors(path: Path, content: bytes) -> None:
    """The error says that the file is not a safetensors file."""
    path.write_bytes(content)
    assert f"{path}: not a safetensors file: " in refusal(path)


def test_a_missing_file_is_an_oserror(path: Path) -> None:
    """A file that is missing is a FileNotFoundError, as in every reader."""
    with pytest.raises(FileNotFoundError):
        pytorch.load(path, CHAIN)
    with pytest.raises(IsADirectoryError):
        pytorch.load(path.parent, CHAIN)


def file_of(arrays: Arrays, folder: Path) -> bytes:
    """The bytes of a safetensors file."""
    save_file(arrays, folder / "sound")
    return (folder / "sound").read_bytes()


def load_or_refuse(path: Path, content: bytes) -> None:
    """What is accepted is a model of the chain; all else is an error of ours."""
    path.write_bytes(content)
    try:
        model = pytorch.load(path, CHAIN)
    except (pynn.FileFormatError, OSError) as error:
        assert not isinstance(error, MemoryError)
        return
    assert repr(model) == repr(CHAIN.build())


def test_every_truncation_is_refused(path: Path) -> None:
    """A file that is cut in its length, its header or its numbers is refused."""
    content = file_of(modules("0", "2"), path.parent)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert "not a safetensors file" in refusal(path)


@settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_damaged_file_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    """Bytes overwritten, cut out or put in, up to four times; with bfloat16, too."""
    arrays = modules("0", "2")
    content = file_of(arrays, path.parent)
    if data.draw(st.booleans()):
        tensors = {k: ("BF16", list(a.shape), to_bfloat16(a)) for k, a in arrays.items()}
        write_safetensors(path, tensors)
        content = path.read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 8))
        content = content[:place] + data.draw(st.binary(max_size=8)) + content[place + cut :]
    load_or_refuse(path, content)
