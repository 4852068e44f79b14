"""state_dicts of PyTorch: which tensor goes where, and what is refused; mostly without PyTorch."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import pynn
from pynn.formats import pytorch

Arrays = dict[str, npt.NDArray[Any]]

BUILDER = pynn.Builder().input(3).dense(4).relu().dropout(0.25).dense(2)
CHAIN = BUILDER.softmax_cross_entropy()
X = np.random.default_rng(50).normal(size=(7, 3)).astype(np.float32)


def linear(outputs: int, inputs: int, seed: int = 0) -> tuple[Any, Any]:
    """Weight and bias as torch.nn.Linear(inputs, outputs) has them."""
    rng = np.random.default_rng([seed, outputs, inputs])
    return (
        rng.normal(size=(outputs, inputs)).astype(np.float32),
        rng.normal(size=outputs).astype(np.float32),
    )


def modules(*names: str, sizes: tuple[int, ...] = (3, 4, 2)) -> Arrays:
    """A state_dict of Linear modules between layers of these sizes."""
    arrays: Arrays = {}
    for number, name in enumerate(names):
        dot = "." if name else ""
        weight, bias = linear(sizes[number + 1], sizes[number], seed=number)
        arrays |= {f"{name}{dot}weight": weight, f"{name}{dot}bias": bias}
    return arrays


def refusal(source: Any, chain: Any = CHAIN, **options: Any) -> str:
    """What load says of a mapping that it refuses, or of a file."""
    kind = pynn.FileFormatError if isinstance(source, (str, Path)) else pynn.ArgumentError
    with pytest.raises(kind) as caught:
        pytorch.load(source, chain, **options)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in a folder of its own."""
    return tmp_path / "model.safetensors"


# ------------------------------------------------------------ what is read


def test_answers_are_those_of_the_same_products() -> None:
    """x W^T + b with PyTorch's W, ReLU, and the next; nothing is done about dropout."""
    arrays = modules("0", "3")
    model = pytorch.load(arrays, CHAIN, seed=9)
    hidden = np.maximum(X @ arrays["0.weight"].T + arrays["0.bias"], 0)
    expected = hidden @ arrays["3.weight"].T + arrays["3.bias"]
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)
    assert (model.seed, model.epochs_trained) == (9, 0)
    assert repr(model) == repr(CHAIN.build())


@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_weights_are_transposed(kind: str, path: Path) -> None:
    """To the bit, from a mapping as from a file; the source is not changed."""
    arrays = modules("fc1", "fc2")
    save_file(arrays, path)
    source = arrays if kind == "mapping" else path
    parameters = pytorch.load(source, CHAIN).parameters
    for number in (1, 2):
        weight, bias = linear((3, 4, 2)[number], (3, 4, 2)[number - 1], seed=number - 1)
        np.testing.assert_array_equal(parameters[f"dense{number}.weight"], weight.T)
        np.testing.assert_array_equal(parameters[f"dense{number}.bias"], bias)
        np.testing.assert_array_equal(arrays[f"fc{number}.weight"], weight)


@pytest.mark.parametrize(
    "names",
    [
        ("0", "3"),
        ("2", "10"),
        ("net.9.linear", "net.10.linear"),
        ("layers.2", "layers.10"),
        ("module.fc9", "module.fc10"),
        ("fc09", "fc10"),
        ("1" * 5000, "2" + "0" * 5000),
        ("first", "last"),
        ("body", "head"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_order_follows_from_names(names: tuple[str, str], turned: bool, path: Path) -> None:
    """Numbers count by their value, whatever the order of the mapping or the file."""
    arrays = modules(*names)
    if turned:
        arrays = dict(reversed(arrays.items()))
    expected = pytorch.load(modules("0", "1"), CHAIN)(X)
    np.testing.assert_array_equal(pytorch.load(arrays, CHAIN)(X), expected)
    save_file(arrays, path)
    np.testing.assert_array_equal(pytorch.load(path, CHAIN)(X), expected)


def test_a_single_linear_has_no_name() -> None:
    """The state_dict of nn.Linear itself."""
    chain = pynn.Builder().input(3).dense(2).softmax_cross_entropy()
    arrays = modules("", sizes=(3, 2))
    assert list(arrays) == ["weight", "bias"]
    np.testing.assert_array_equal(
        pytorch.load(arrays, chain).parameters["dense1.weight"], arrays["weight"].T
    )


SQUARE = pynn.Builder().input(3).dense(3).relu().dense(3).relu().dense(3).softmax_cross_entropy()


@pytest.mark.parametrize(
    "names", [("fc1", "fc2", "fc10"), ("0.0", "0.2", "1"), ("a.1", "a.2.x", "a.3")]
)
def test_numbers_decide_between_equal_shapes(names: tuple[str, ...]) -> None:
    """Where the first difference of two names is a number."""
    arrays = modules(*names, sizes=(3, 3, 3, 3))
    model = pytorch.load(arrays, SQUARE)
    for number, name in enumerate(names, start=1):
        np.testing.assert_array_equal(
            model.parameters[f"dense{number}.weight"], arrays[f"{name}.weight"].T
        )


@pytest.mark.parametrize(
    "names", [("first", "second", "third"), ("fc1", "fc2", "head"), ("fc", "fc1", "fc2")]
)
def test_words_do_not_decide_between_equal_shapes(names: tuple[str, ...]) -> None:
    """That is an error, and names= says it."""
    arrays = modules(*names, sizes=(3, 3, 3, 3))
    message = refusal(arrays, SQUARE)
    assert "which comes first, " in message and "say the order of " in message
    turned = names[::-1]
    model = pytorch.load(arrays, SQUARE, names=turned)
    for number, name in enumerate(turned, start=1):
        np.testing.assert_array_equal(
            model.parameters[f"dense{number}.weight"], arrays[f"{name}.weight"].T
        )


def test_names_say_the_order() -> None:
    """Also where the names would be in another."""
    arrays = modules("z", "a")
    assert "dense1 from a, dense2 from z" in refusal(arrays)
    model = pytorch.load(arrays, CHAIN, names=["z", "a"])
    np.testing.assert_array_equal(model.parameters["dense1.bias"], arrays["z.bias"])


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
    """Byte order and strides are no matter."""
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
            " in PyTorch. Taken were dense1 from fc1, dense2 from fc2; say another order",
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
            "has no tensor fc2.bias; pynn's dense layers have one: for Linear(..., bias=False) add"
            " zeros; it has fc1.bias, fc1.weight, fc2.weight",
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
    """Says what it is, which tensors were taken, and the way out."""
    if kind == "mapping":
        message, start = refusal(arrays), "state_dict: "
    else:
        save_file(arrays, path)
        message, start = refusal(path), f"{path}: "
    assert message.startswith(start)
    assert words in message


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.bool_, np.complex64])
def test_types_that_are_no_floats(dtype: type[np.generic], path: Path) -> None:
    """Are refused by name."""
    arrays = replaced(fc1__bias=np.zeros(4, dtype))
    words = "fc1.bias must be float32, float64, float16 or bfloat16, is "
    with pytest.raises(pynn.ArgumentTypeError, match=f"^state_dict: {words}{np.dtype(dtype)}"):
        pytorch.load(arrays, CHAIN)
    save_file(arrays, path)
    assert f"{path}: {words}" in refusal(path)


def test_types_that_numpy_does_not_have(path: Path) -> None:
    """Are refused by the name that safetensors has for them."""
    weight, _ = linear(2, 3)
    write_safetensors(
        path, {"weight": ("F32", [2, 3], weight.tobytes()), "bias": ("F8_E4M3", [2], b"ab")}
    )
    chain = pynn.Builder().input(3).dense(2).softmax_cross_entropy()
    assert "bias must be float32, float64, float16 or bfloat16, is F8_E4M3" in refusal(path, chain)


class Module:
    """Something with a state_dict of its own."""

    def state_dict(self) -> Arrays:
        """Its arrays."""
        return modules("0", "2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((Module(), CHAIN), "state_dict must be a path or .*, got Module; pass its .state_dict()"),
        ((3, CHAIN), "state_dict must be a path or a mapping of tensors, got int 3"),
        (({0: X}, CHAIN), "names of tensors must be str, got int 0"),
        (({"fc.bias": [1, 2]}, CHAIN), r"'fc.bias' must be a tensor or a NumPy array, got list"),
        (({"fc.bias": np.ma.array([1.0])}, CHAIN), "fc.bias must be a NumPy array without a mask"),
        (({"model": modules("0")}, CHAIN), r"if that is the state_dict, pass it alone: .*'model'"),
        ((modules("0", "2"), BUILDER), r"chain must end in its loss .*, got LayerBuilder Builder"),
        ((modules("0", "2"), CHAIN.build()), "chain must end in its loss and not be built"),
        ((modules("0", "2"), CHAIN, "02"), "names must be a list of str, .* got str '02'"),
        ((modules("0", "2"), CHAIN, [0, 2]), "names must be a list of str"),
    ],
)
def test_arguments_of_wrong_types(arguments: tuple[Any, ...], words: str) -> None:
    """Are named, with what they should be."""
    source, chain, *names = arguments
    with pytest.raises(pynn.ArgumentTypeError, match=words):
        pytorch.load(source, chain, names=names[0] if names else None)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["fc1"], "names must have one for each of the 2 dense layers, got 1: fc1"),
        (["fc1", "fc1"], "names must differ from each other, got fc1, fc1"),
        (["fc1", "fc3"], "has tensors of modules that are not in names: fc2.bias, fc2.weight; "),
        (["fc2", "fc1"], "Taken were dense1 from fc2, dense2 from fc1; "),
    ],
)
def test_names_that_do_not_fit(names: list[str], words: str) -> None:
    """As many as dense layers, each there, and none left over."""
    assert words in refusal(modules("fc1", "fc2"), names=names)


def test_files_of_pynn_itself_are_refused(path: Path) -> None:
    """Their weights are (inputs, outputs), so a square one would be taken the wrong way round."""
    SQUARE.build().save(path)
    assert "a model of pynn's own, whose weights are (inputs, outputs)" in refusal(path, SQUARE)


@pytest.mark.parametrize("content", [b"", b"{", b"hello world", bytes(100), b"\x80\x02}q\x00."])
def test_files_that_are_no_safetensors(path: Path, content: bytes) -> None:
    """Are refused as such."""
    path.write_bytes(content)
    assert f"{path}: not a safetensors file: " in refusal(path)


def test_a_missing_file_is_an_oserror(path: Path) -> None:
    """As everywhere."""
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
    """Of the length, the header and the numbers."""
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


# ------------------------------------------------------------ files of torch.save


@pytest.fixture
def torch_file(tmp_path: Path) -> Path:
    """A file that begins as those of torch.save do."""
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK\3\4" + bytes(40))
    return path


def pretend_torch(
    monkeypatch: pytest.MonkeyPatch, load: Callable[..., object], **names: object
) -> None:
    """Put a module in torch's place, with a load() of our own."""
    module = ModuleType("torch")
    vars(module).update({"load": load, "__version__": "2.13.0+cpu", **names})
    monkeypatch.setitem(sys.modules, "torch", module)


@pytest.mark.parametrize("version", ["2.9.1", "1.13.0+cu117"])
def test_a_torch_that_may_run_what_a_file_holds_is_not_used(
    version: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loader is not called."""
    pretend_torch(monkeypatch, lambda *_, **__: pytest.fail("it was"), __version__=version)
    with pytest.raises(ImportError, match=r"take 2\.10 or later"):
        pytorch.load(torch_file, CHAIN)


@pytest.mark.parametrize("start", [b"PK\3\4", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."])
def test_files_of_torch_are_read_by_torch(
    start: bytes, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without executing what is in them, and on the CPU; new ones and old ones."""
    calls = []

    def load(file: BinaryIO, **options: object) -> Arrays:
        calls.append((file.name, file.tell(), options))
        return modules("0", "2")

    torch_file.write_bytes(start)
    pretend_torch(monkeypatch, load)
    model = pytorch.load(torch_file, CHAIN)
    assert calls == [(str(torch_file), 0, {"map_location": "cpu", "weights_only": True})]
    np.testing.assert_array_equal(model(X), pytorch.load(modules("0", "2"), CHAIN)(X))


def test_without_torch_the_way_out_is_named(
    torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra, or a file that needs no PyTorch."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError) as caught:
        pytorch.load(torch_file, CHAIN)
    assert "pip install 'pynn-blas[pytorch]'" in str(caught.value)
    assert "safetensors.torch.save_file(" in str(caught.value)
    with pytest.raises(ImportError, match=r"pip install 'pynn-blas\[pytorch\]'"):
        pytorch.state_dict(CHAIN.build())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (RuntimeError("bad zip\nmore words"), "torch.load refuses it: bad zip$"),
        (ValueError(), "torch.load refuses it: ValueError$"),
        ([1, 2], "holds no state_dict: list; save module.state_dict()"),
        ({"model": {}, "epoch": 3}, "'model' holds no tensor but a dict; .*pass it alone"),
        ({"epoch": 3}, "'epoch' must be a tensor or a NumPy array, got int 3"),
    ],
)
def test_files_of_torch_that_hold_something_else(
    content: object, words: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Are refused, with torch's own first line where it refuses them."""

    def load(*arguments: object, **options: object) -> object:
        if isinstance(content, Exception):
            raise content
        return content

    pretend_torch(monkeypatch, load)
    with pytest.raises(pynn.FileFormatError, match=f"^{torch_file}: {words}"):
        pytorch.load(torch_file, CHAIN)


@pytest.mark.parametrize("error", [OSError("gone"), MemoryError()])
def test_errors_of_the_system_pass(
    error: Exception, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are no fault of the file's."""

    def load(*arguments: object, **options: object) -> object:
        raise error

    pretend_torch(monkeypatch, load)
    with pytest.raises(type(error)):
        pytorch.load(torch_file, CHAIN)


class Tensor:
    """As much of a torch.Tensor as is needed of one; numpy() refuses bfloat16 as that does."""

    def __init__(self, array: npt.NDArray[Any], dtype: str = "torch.float32") -> None:
        self.array, self.dtype, self.shape = array, dtype, array.shape

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def float(self) -> Tensor:
        return Tensor(self.array)

    def numpy(self) -> npt.NDArray[Any]:
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        if self.dtype == "torch.float16":
            raise RuntimeError("a tensor on the meta device")
        return self.array


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
def test_tensors_in_a_mapping(dtype: str) -> None:
    """Are read as arrays are."""
    arrays = modules("0", "2")
    tensors = {name: Tensor(array, dtype) for name, array in arrays.items()}
    model = pytorch.load(tensors, CHAIN)
    np.testing.assert_array_equal(model(X), pytorch.load(arrays, CHAIN)(X))


def test_tensors_that_are_no_arrays() -> None:
    """Say why, in PyTorch's words."""
    tensors = {k: Tensor(array, "torch.float16") for k, array in modules("0", "2").items()}
    with pytest.raises(pynn.ArgumentTypeError, match=r"'0\.weight' cannot be .* the meta device"):
        pytorch.load(tensors, CHAIN)


def test_tensors_of_a_file_that_are_no_arrays(
    torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Are the file's fault, which is named."""
    tensors = {k: Tensor(array, "torch.float16") for k, array in modules("0", "2").items()}
    pretend_torch(monkeypatch, lambda *_, **__: tensors)
    with pytest.raises(pynn.FileFormatError, match=f"^{torch_file}: '0.weight' cannot be read"):
        pytorch.load(torch_file, CHAIN)


# ------------------------------------------------------------ what is written


@pytest.mark.parametrize(
    ("chain", "names"),
    [
        (BUILDER, ["0", "3"]),  # 1 is ReLU, 2 dropout
        (pynn.Builder().input(3).relu().dense(2), ["1"]),
        (pynn.Builder().input(3).dense(2).dense(2).gelu().dense(2), ["0", "1", "3"]),
    ],
)
def test_saved_names_are_places_in_a_sequential(
    chain: pynn.LayerBuilder, names: list[str], path: Path
) -> None:
    """Weights as PyTorch has them; what is saved can be loaded, and nothing is left beside it."""
    model = chain.softmax_cross_entropy().build(seed=3)
    pytorch.save(model, path)
    arrays = load_file(path)
    assert sorted(arrays) == sorted(f"{n}.{kind}" for n in names for kind in ("weight", "bias"))
    for number, name in enumerate(names, start=1):
        np.testing.assert_array_equal(
            arrays[f"{name}.weight"], model.parameters[f"dense{number}.weight"].T
        )
    loaded = pytorch.load(path, chain.softmax_cross_entropy())
    np.testing.assert_array_equal(loaded(X), model(X))
    assert os.listdir(path.parent) == [path.name]


def test_saved_names_can_be_chosen(path: Path) -> None:
    """One for each dense layer; the same model gives the same bytes."""
    model = CHAIN.build(seed=3)
    pytorch.save(model, path, names=["z", "head"])
    first = path.read_bytes()
    assert sorted(load_file(path)) == ["head.bias", "head.weight", "z.bias", "z.weight"]
    pytorch.save(model, path, names=["z", "head"])
    assert path.read_bytes() == first
    loaded = pytorch.load(path, CHAIN, names=["z", "head"])
    np.testing.assert_array_equal(loaded(X), model(X))


def test_wrong_arguments_of_save(path: Path) -> None:
    """Nothing is written."""
    model = CHAIN.build()
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model"):
        pytorch.save(path, model)  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got int 3"):
        pytorch.save(model, 3)  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentError, match="each of the 2 dense layers, got 3: a, b, c"):
        pytorch.save(model, path, names=["a", "b", "c"])
    for suffix in (".pt", ".pth"):
        with pytest.raises(pynn.ArgumentError, match=rf"must not end in \{suffix}, .*state_dict"):
            pytorch.save(model, path.with_suffix(suffix))
    model.close()
    with pytest.raises(pynn.ClosedError):
        pytorch.save(model, path)
    assert os.listdir(path.parent) == []


def test_state_dict_has_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by torch.from_numpy of copies, so that training one does not change the other."""
    pretend_torch(monkeypatch, lambda: None, from_numpy=Tensor)
    model = CHAIN.build(seed=3)
    state = pytorch.state_dict(model, names=["a", "b"])
    assert list(state) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    before = model.parameters["dense1.bias"].copy()
    state["a.bias"].array[...] = 7
    np.testing.assert_array_equal(model.parameters["dense1.bias"], before)
    assert state["b.weight"].shape == (2, 4)


# ------------------------------------------------------------ PyTorch itself


@pytest.mark.parametrize("kind", ["tensors", "safetensors", "pt", "old pt", "bfloat16"])
def test_pytorch_and_back(kind: str, tmp_path: Path) -> None:
    """A module's answers are the model's, and the model's tensors go into a module."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    nn = torch.nn

    def make() -> Any:
        return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.25), nn.Linear(4, 2)).eval()

    module = make()
    source: Any = module.state_dict()
    path = tmp_path / kind
    if kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(source, path)
    elif kind == "bfloat16":
        source = {name: tensor.bfloat16() for name, tensor in source.items()}
        module.load_state_dict(source)
    elif kind != "tensors":
        torch.save(source, path, _use_new_zipfile_serialization=kind == "pt")
    model = pytorch.load(path if path.exists() else source, CHAIN)
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)

    model = CHAIN.build(seed=8)
    other = make()
    other.load_state_dict(pytorch.state_dict(model))
    with torch.no_grad():
        np.testing.assert_allclose(
            other(torch.from_numpy(X)).numpy(), model(X), rtol=1e-5, atol=1e-6
        )
    pytorch.save(model, tmp_path / "saved.safetensors")
    load_tensors = pytest.importorskip("safetensors.torch").load_file
    make().load_state_dict(load_tensors(tmp_path / "saved.safetensors"))
    # pynn's own files, as docs/formats.md has it.
    model.save(tmp_path / "own.safetensors")
    tensors = load_tensors(tmp_path / "own.safetensors")
    third = make()
    third.load_state_dict(
        {
            "0.weight": tensors["dense1.weight"].T,
            "0.bias": tensors["dense1.bias"],
            "3.weight": tensors["dense2.weight"].T,
            "3.bias": tensors["dense2.bias"],
        }
    )
    for name, tensor in third.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_a_damaged_file_of_torch(tmp_path: Path) -> None:
    """Cut short, or not a tensor in it: refused, with nothing of it executed."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    torch.save({"0.weight": Path("x")}, path)
    assert "torch.load refuses it" in refusal(path)
    torch.save({"0.weight": torch.zeros(2, 3)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    assert "torch.load refuses it" in refusal(path)
