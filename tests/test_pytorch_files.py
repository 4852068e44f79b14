"""state_dicts of PyTorch: which tensor goes where, and what is refused; mostly without PyTorch."""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
import warnings
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


@pytest.mark.parametrize("prefix", ["module.", "model.net.", "module._orig_mod.", "model..net."])
@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_a_prefix_of_all_names_may_be_left_out(prefix: str, kind: str, path: Path) -> None:
    """That of DataParallel, of Lightning or of torch.compile; with names= in any order, or none."""
    arrays = {prefix + name: array for name, array in modules("z", "a").items()}
    save_file(arrays, path)
    source = arrays if kind == "mapping" else path
    for names in (["z", "a"], [f"{prefix}z", f"{prefix}a"]):
        model = pytorch.load(source, CHAIN, names=names)
        np.testing.assert_array_equal(model.parameters["dense1.bias"], arrays[f"{prefix}z.bias"])
    assert "has tensors of modules that are not in names: " in refusal(source, names=["z", "b"])


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


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("fc2", "fc1", "fc3"), "fc1 or fc2"),
        (("fc1", "fc10", "fc2"), "fc2 or fc10"),
        (("net.2.fc", "net.4.fc", "net.0.fc"), "net.0.fc or net.2.fc"),
        (("up.3.0", "up.2.5", "up.1.9"), "up.1.9 or up.2.5"),
    ],
)
def test_numbers_against_the_order_of_the_modules(
    names: tuple[str, ...], first: str, path: Path
) -> None:
    """A mapping has both, and where they differ names= says which; a safetensors file is sorted."""
    arrays = modules(*names, sizes=(3, 3, 3, 3))
    message = refusal(arrays, SQUARE)
    assert f"which comes first, {first}? By their numbers {first.split()[0]}, but " in message
    save_file(arrays, path)
    for source, order in ((arrays, names), (path, names), (path, None)):
        model = pytorch.load(source, SQUARE, names=order)
        for number, name in enumerate(order or pynn_order(names), start=1):
            np.testing.assert_array_equal(
                model.parameters[f"dense{number}.weight"], arrays[f"{name}.weight"].T
            )


def pynn_order(names: tuple[str, ...]) -> list[str]:
    """By the numbers in them."""
    return sorted(names, key=lambda name: [int(digits) for digits in re.findall("[0-9]+", name)])


def test_numbers_of_one_value_do_not_decide() -> None:
    """As in fc1 and fc01."""
    arrays = modules("fc01", "fc1", "fc2", sizes=(3, 3, 3, 3))
    assert "which comes first, fc01 or fc1? Both layers" in refusal(arrays, SQUARE)


def test_names_say_the_order() -> None:
    """Also where the names would be in another."""
    arrays = modules("z", "a")
    assert "dense1 from a, dense2 from z" in refusal(arrays)
    model = pytorch.load(arrays, CHAIN, names=["z", "a"])
    np.testing.assert_array_equal(model.parameters["dense1.bias"], arrays["z.bias"])


# ------------------------------------------------------------ tied tensors


TIED = modules("fc1", "fc2", "fc3", sizes=(3, 3, 3, 3))


def tied_file(path: Path, aliases: dict[str, str], **metadata: str) -> Path:
    """A file as save_model of safetensors.torch writes it: the tensors that are no alias."""
    kept = {name: array for name, array in TIED.items() if name not in aliases}
    save_file(kept, path, metadata={"format": "pt", **metadata, **aliases})
    return path


@pytest.mark.parametrize(
    "aliases",
    [
        {"fc2.weight": "fc1.weight"},
        {"fc1.weight": "fc3.weight", "fc1.bias": "fc3.bias"},
        {"fc1.weight": "fc2.weight", "fc2.weight": "fc3.weight"},
        {"fc3.bias": "fc2.bias", "fc2.bias": "fc1.bias", "fc3.weight": "fc1.weight"},
    ],
    ids=str,
)
@pytest.mark.parametrize("names", [None, ["fc3", "fc1", "fc2"]])
def test_tied_tensors(aliases: dict[str, str], names: list[str] | None, path: Path) -> None:
    """The file has each once; the metadata say which others it is, in steps if need be."""
    whole = dict(TIED)
    for _ in aliases:  # so often that the longest chain is gone through
        whole |= {alias: whole[name] for alias, name in aliases.items()}
    model = pytorch.load(tied_file(path, aliases), SQUARE, names=names)
    np.testing.assert_array_equal(model(X), pytorch.load(whole, SQUARE, names=names)(X))


@pytest.mark.parametrize(
    ("aliases", "words"),
    [
        ({"fc2.weight": "fc7.weight"}, "fc2.weight is fc7.weight, and there is no such tensor"),
        (
            {"fc1.bias": "fc2.bias", "fc2.bias": "x.bias"},
            "fc1.bias is fc2.bias is x.bias, and there is no such tensor",
        ),
        ({"fc1.bias": "fc1.bias"}, "fc1.bias is fc1.bias, and that is a circle"),
        (
            {"fc1.bias": "fc2.bias", "fc2.bias": "fc3.bias", "fc3.bias": "fc2.bias"},
            "fc1.bias is fc2.bias is fc3.bias is fc2.bias, and that is a circle",
        ),
    ],
    ids=str,
)
def test_aliases_that_lead_nowhere(aliases: dict[str, str], words: str, path: Path) -> None:
    """Each step is named."""
    assert f"{path}: by its metadata {words}" in refusal(tied_file(path, aliases), SQUARE)


def test_other_metadata_are_no_aliases(path: Path) -> None:
    """Nor is the name of a tensor that is there."""
    other = {"epoch": "3", "best": "fc1.weight", "decay.weight": "0.1", "fc1.bias": "fc2.bias"}
    save_file(TIED, path, metadata=other)
    np.testing.assert_array_equal(pytorch.load(path, SQUARE)(X), pytorch.load(TIED, SQUARE)(X))


def test_many_aliases_are_followed_once(path: Path) -> None:
    """A file may hold any number: their time grows with it, not with its square."""
    steps = {f"{k}.weight": f"{k + 1}.weight" for k in range(30_000)}
    tied_file(path, {**steps, "30000.weight": "fc1.weight"})
    assert "has 30004 Linear modules" in refusal(path, SQUARE)


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
        (({"model": modules("0")}, CHAIN), r"holds no .*: state_dict\['model'\]$"),
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

LOAD = r"torch\.load\(path, weights_only=True\)"


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
        ({"epoch": 3}, "'epoch' must be a tensor or a NumPy array, got int 3$"),
        ([{"lr": 1}, modules("0")], f"holds no state_dict: list; .* alone: {LOAD}\\[1\\]$"),
        (RuntimeError("Cannot use TorchScript archives ..."), ".*torch.jit.load"),
        (ValueError("\x1b[1mbold\x1b[0m\x1b]0;x\x07"), r".*: bold\\x1b\]0;x\\x07$"),
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


STATE = modules("0", "2")
NAN = np.float64("nan")


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (
            {"epoch": 3, "model_state_dict": STATE, "optimizer_state_dict": {}},
            ["['model_state_dict']"],
        ),
        ({"loss": NAN, "state_dict": STATE}, ["['state_dict']"]),
        ({"model": {"args": {}, "state_dict": STATE}, "epoch": 3}, ["['model']['state_dict']"]),
        ({"epoch": 3, "nets": [{"lr": 0.1}, (STATE,)]}, ["['nets'][1][0]"]),
        ({"ema": modules("1"), "step": 1, "model": STATE}, ["['ema']", "['model']"]),
        ({0: STATE}, ["[0]"]),
        ({"net": STATE, "same": STATE}, ["['net']"]),
        ({"epoch": 3, "it's\n": STATE}, ["""[\"it's\\n\"]"""]),
        ({"epoch": 3, "opt": {"state": {0: {"exp_avg": X}}}, "net": STATE}, ["['net']"]),
    ],
)
@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_a_checkpoint_leads_to_its_state_dict(
    content: Any, places: list[str], kind: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in it that is; Python for it, as it can be pasted, ends the message."""
    pretend_torch(monkeypatch, lambda *_, **__: content)
    source, error, whole = torch_file, pynn.FileFormatError, "torch.load(path, weights_only=True)"
    if kind == "mapping":
        source, error, whole = content, pynn.ArgumentTypeError, "state_dict"
    with pytest.raises(error) as caught:
        pytorch.load(source, CHAIN)
    assert str(caught.value).endswith(" alone: " + ", ".join(whole + place for place in places))
    for place in places:
        assert "0.weight" in eval(f"content{place}") or place == "['ema']"


class WholeModule(Module):
    """As much of a torch.nn.Module as tells it from an optimizer."""

    named_parameters = Module.state_dict


def test_a_module_in_a_checkpoint() -> None:
    """Has a state_dict; so has an optimizer, which has no parameters."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"state_dict\['net'\]\.state_dict\(\)$"):
        pytorch.load({"optimizer": Module(), "net": WholeModule()}, CHAIN)


def test_containers_that_hold_themselves() -> None:
    """Are looked into once."""
    content: dict[str, Any] = {"epoch": 3, "later": [STATE]}
    content["again"] = content["later"]
    content["later"].insert(0, content)
    with pytest.raises(pynn.ArgumentTypeError, match=r"alone: state_dict\['later'\]\[1\]$"):
        pytorch.load(content, CHAIN)


def test_a_state_dict_with_other_things() -> None:
    """They are to be left out."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"'epoch' .*int 3; leave out what is no"):
        pytorch.load({**STATE, "epoch": 3}, CHAIN)


@pytest.mark.parametrize("name", ["numpy._core.multiarray.scalar", "__main__.Net"])
def test_what_torch_does_not_load_is_said_in_few_words(
    name: str, torch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in half of PyTorch's own page: what is in the file, and the two ways out."""
    page = (
        "Weights only load failed. This file can still be loaded, \x1b[1mdo those steps\x1b[0m\n"
        f"\tWeightsUnpickler error: Unsupported global: GLOBAL {name} was not an allowed global"
    )

    def load(*arguments: object, **options: object) -> object:
        raise pickle.UnpicklingError(page)

    pretend_torch(monkeypatch, load)
    message = refusal(torch_file)
    assert f"more than tensors and plain values: {name}. " in message
    assert "x1b" not in message and "do those steps" not in message
    assert "torch.save(module.state_dict(), path)" in message
    assert message.endswith("content.state_dict() of a whole module")


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


@pytest.mark.parametrize("loss", [0.5, np.float64(0.5), np.zeros(2)])
@pytest.mark.parametrize("whole", [False, True])
def test_checkpoints_of_torch(loss: Any, whole: bool, tmp_path: Path) -> None:
    """The tutorials' form, with NumPy's numbers, or with a whole module: the way out is said."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    state = module.state_dict()
    optimizer = torch.optim.Adam(module.parameters()).state_dict()
    content = {"epoch": 3, "model_state_dict": state, "optimizer": optimizer, "loss": loss}
    torch.save({**content, "module": module} if whole else content, path)
    message = refusal(path)
    if whole or not isinstance(loss, float) or isinstance(loss, np.floating):
        assert "more than tensors and plain values: " in message
        assert "\x1b" not in message and r"\x1b" not in message
        content = torch.load(path, weights_only=False)
        pytorch.load(content["model_state_dict"], CHAIN)
    else:
        place = message.partition(" alone: ")[2]
        np.testing.assert_array_equal(
            pytorch.load(eval(place, {"torch": torch, "path": path}), CHAIN)(X),
            pytorch.load(state, CHAIN)(X),
        )


def test_an_archive_of_torchscript(tmp_path: Path) -> None:
    """Is read by torch.jit.load, as the message says."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(torch.nn.Linear(3, 2)).save(path)
    assert "torch.jit.load(path).state_dict()" in refusal(path)


def test_a_module_that_is_tied(path: Path) -> None:
    """As save_model of safetensors.torch writes it."""
    torch = pytest.importorskip("torch")
    safetensors_torch = pytest.importorskip("safetensors.torch")
    module = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(3)))
    module[2].weight = module[0].weight
    module[1].bias = module[0].bias
    safetensors_torch.save_model(module, path)
    chain = pynn.Builder().input(3).dense(3).dense(3).dense(3).mean_squared_error()
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(pytorch.load(path, chain)(X), expected, rtol=1e-5, atol=1e-6)
