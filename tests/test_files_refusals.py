"""Model files that are damaged, or of others, are refused, with what is wrong in them."""

from __future__ import annotations

import copy
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import DESCRIPTION, Tensors, X, build, write
from safetensors.numpy import save_file

import pynn


def refusal(path: Path) -> str:
    """What load says of a file that is no model; it begins with the file's name."""
    with pytest.raises(pynn.FileFormatError) as caught:
        pynn.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_missing_file_is_a_file_not_found_error(path: Path) -> None:
    """load raises what open() raises."""
    with pytest.raises(FileNotFoundError) as caught:
        pynn.load(path)
    assert caught.value.filename in (path, str(path))


@pytest.mark.skipif(os.name != "posix", reason="opens a folder with another error")
def test_folder_is_an_is_a_directory_error(path: Path) -> None:
    """load raises what open() raises."""
    with pytest.raises(IsADirectoryError):
        pynn.load(path.parent)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"{}", b"hello, this is a text\n" * 9, bytes(100), b"\xff" * 100, b"PK\3\4" * 9],
)
def test_other_files_are_refused(content: bytes, path: Path) -> None:
    """The error says that the file is not a safetensors file."""
    path.write_bytes(content)
    assert refusal(path).startswith("not a safetensors file: ")


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 100, -200, -9, -8, -4, -1])
def test_truncated_file_is_refused(cut: int, path: Path) -> None:
    """A file that ends early is refused, wherever it ends."""
    build().save(path)
    path.write_bytes(path.read_bytes()[:cut])
    assert refusal(path).startswith("not a safetensors file: ")


def test_trailing_bytes_are_refused(path: Path) -> None:
    """A file that goes on after its end is refused."""
    build().save(path)
    path.write_bytes(path.read_bytes() + b"\0")
    assert refusal(path).startswith("not a safetensors file: ")


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"model": "{}"}])
def test_files_of_others_are_refused(metadata: dict[str, str] | None, path: Path) -> None:
    """A safetensors file that pynn did not write is said to be no model of pynn."""
    save_file(dict(build().parameters), path, metadata)
    assert refusal(path).startswith(
        "not a model of pynn: its metadata has no entry 'format' that is 'pynn'"
    )


@pytest.mark.parametrize("version", ["0", "2", "1.0", " 1", ""])
def test_unknown_version_is_refused(version: str, path: Path) -> None:
    """The error has the file's version and the one that is known."""
    write(path, format_version=version)
    assert refusal(path).startswith(
        f"format version {version!r} is unknown; this pynn reads version '1'. A newer pynn may"
    )


def test_missing_version_is_refused(path: Path) -> None:
    """No version is no version 1."""
    save_file(dict(build().parameters), path, {"format": "pynn", "model": json.dumps(DESCRIPTION)})
    assert refusal(path).startswith("format version None is unknown")


def test_unknown_entry_of_the_metadata_is_refused(path: Path) -> None:
    """An unknown entry may change what the model is, so it is not ignored."""
    write(path, author="somebody", format_of_weights="int8")
    assert refusal(path) == (
        "the description of the model in its metadata is damaged: its metadata has unknown entries:"
        " author, format_of_weights; a newer pynn may read them"
    )


@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_cross_entropy", "poisson"])
def test_entry_of_another_loss_is_refused(loss: str, path: Path) -> None:
    """An entry that the loss does not use is a mistake."""
    write(path, description=DESCRIPTION | {"loss": loss, "label_smoothing": 0.1})
    assert "label_smoothing is an option of softmax_cross_entropy, not of" in refusal(path)


@pytest.mark.parametrize(
    "quoted",
    ["9" * 100_000, "\x1b[2J\n\r\x00" * 1000, "\u202e" * 1000],
    ids=["long", "codes", "turned"],
)
def test_what_a_message_quotes_is_short_and_harmless(quoted: str, path: Path) -> None:
    """A file cannot flood a terminal, or steer it, by the words that an error repeats."""
    write(path, {quoted: np.zeros(1, np.float32)}, format_version="1")
    named = refusal(path)
    write(path, format_version=quoted)
    for message in (named, refusal(path)):
        assert len(message) < 500
        assert message.isprintable()


def changed(name: str, array: npt.NDArray[Any] | None) -> Tensors:
    """The tensors of build() with one added, replaced, or (None) left out."""
    tensors: Tensors = dict(build().parameters)
    if array is None:
        del tensors[name]
    else:
        tensors[name] = array
    return tensors


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("dense1.bias", None, "tensors are missing: dense1.bias"),
        ("dense3.weight", None, "tensors are missing: dense3.weight"),
        (
            "dense4.bias",
            np.zeros(3, np.float32),
            "tensors that the model does not have: dense4.bias",
        ),
        (
            "dense1.bias",
            np.zeros(5, np.float32),
            "tensor dense1.bias must have shape [4], has [5]",
        ),
        (
            "dense1.weight",
            np.zeros((4, 3), np.float32),
            "tensor dense1.weight must have shape [3, 4], has [4, 3]",
        ),
        (
            "dense1.weight",
            np.zeros(12, np.float32),
            "tensor dense1.weight must have shape [3, 4], has [12]",
        ),
        (
            "dense2.bias",
            np.zeros((5, 1), np.float32),
            "tensor dense2.bias must have shape [5], has [5, 1]",
        ),
        (
            "dense2.bias",
            np.zeros(5, np.float64),
            "tensor dense2.bias must be of dtype F32 (float32), is F64",
        ),
        (
            "dense2.bias",
            np.zeros(5, np.float16),
            "tensor dense2.bias must be of dtype F32 (float32), is F16",
        ),
        (
            "dense2.bias",
            np.zeros(5, np.int32),
            "tensor dense2.bias must be of dtype F32 (float32), is I32",
        ),
    ],
)
def test_wrong_tensors_are_refused(
    name: str, array: npt.NDArray[Any] | None, words: str, path: Path
) -> None:
    """The error names the tensor, what it must be, and what it is."""
    write(path, changed(name, array))
    assert refusal(path) == words


def with_entry(place: str, value: Any) -> dict[str, Any]:
    """DESCRIPTION with the entry at a place such as "layers.0.kind" replaced."""
    description = copy.deepcopy(DESCRIPTION)
    *way, last = (int(step) if step.isdigit() else step for step in place.split("."))
    target: Any = description
    for step in way:
        target = target[step]
    target[last] = value
    return description


CONV2D = {
    "kind": "conv2d",
    "filters": 3,
    "size": [3, 3],
    "stride": 1,
    "padding": "same",
    "groups": 1,
    "init": "he",
}


def without_entry(place: str) -> dict[str, Any]:
    """DESCRIPTION without the entry at a place."""
    description = with_entry(place, None)
    target: Any = description
    *way, last = place.split(".")
    for step in way:
        target = target[int(step) if step.isdigit() else step]
    del target[last]
    return description


DAMAGED: list[tuple[str, str]] = [
    ("", "Expecting value"),
    ("{", "Expecting property name"),
    (json.dumps(DESCRIPTION)[:-1], "Expecting"),
    (json.dumps(DESCRIPTION) + "}", "Extra data"),
    ("null", "expected an object, got NoneType None"),
    ("[1]", "expected an object, got list [1]"),
    ("[" * 50_000, "recursion"),
    ('{"input": ' * 50_000, "recursion"),
    ("[" * 100_000, "100,000 bytes of JSON hold more entries than such a file can have"),
    ('{"input": 3, "input": 3}', "the entry 'input' is there twice"),
    ('{"input": ' + "9" * 5000 + "}", "digits"),
    ('{"input": 1e999}', "input must be an integer, got float inf"),
    ('{"input": NaN}', "input must be an integer, got float nan"),
    *(
        (json.dumps(without_entry(name)), f"it has no entry '{name}'")
        for name in DESCRIPTION
        if name != "steps_trained"  # files had none at first
    ),
    (json.dumps(without_entry("layers.0.kind")), "it has no entry 'kind'"),
    (json.dumps(without_entry("layers.0.outputs")), "it has no entry 'outputs'"),
    (json.dumps(without_entry("layers.0.init")), "it has no entry 'init'"),
    *(
        (json.dumps(with_entry(place, value)), words)
        for place, value, words in [
            ("input", 0, "input must be in [1, 2147483647], got 0"),
            ("input", 2**31, "got 2147483648"),
            ("input", 3.0, "input must be an integer, got float 3.0"),
            ("input", True, "input must be an integer, got bool True"),
            ("layers", [], "at least one dense or conv2d layer"),
            ("layers", [{"kind": "relu"}], "at least one dense or conv2d layer"),
            ("layers", [{"kind": "relu"}] * 5000, "at most 4096 layers"),
            ("input", [1, 2, 2], "layer 1: dense needs plain rows, and here are images (1, 2, 2)"),
            ("input", [4], "(channels, height, width), got (4)"),
            ("input", [1, 2, "3"], "input must be an integer, got str '3'"),
            ("input", [2**20, 2**20, 2], "an example has at most 2,147,483,647"),
            ("layers.0", {"kind": "conv2d", "filters": 3}, "it has no entry 'size'"),
            ("layers.0", CONV2D, "layer 1: conv2d needs images, and here are rows of"),
            ("layers.0", CONV2D | {"filters": 2.5}, "conv2d filters must be an integer"),
            ("layers.0", CONV2D | {"size": [3]}, "a height and a width, got 1 of them"),
            ("layers.0", CONV2D | {"size": None}, "conv2d size must be an integer, got NoneType"),
            ("layers.0", CONV2D | {"padding": "full"}, "padding must be 'same', 'valid' or"),
            ("layers.0", CONV2D | {"padding": [1, 1]}, "conv2d padding must be an integer"),
            ("layers.0", CONV2D | {"groups": 2}, "3 filters cannot be divided into 2 groups"),
            (
                "layers.0",
                {"kind": "batch_norm", "momentum": 0, "eps": 1e-5},
                "momentum must be above",
            ),
            ("layers", 7, "not iterable"),
            ("layers", [None], "not iterable"),
            ("layers", {"kind": "relu"}, ""),
            ("layers.0", "dense", ""),
            ("layers.0.kind", "conv", "unknown layer kind 'conv'"),
            ("layers.0.kind", ["dense"], "unknown layer kind ['dense']"),
            ("layers.0.kind", "input", "unknown layer kind 'input'"),
            ("layers.0.kind", "build", "unknown layer kind 'build'"),
            ("layers.0.kind", "__class__", "unknown layer kind '__class__'"),
            ("layers.2.outputs", -5, "layer 3: dense must be in [1, 2147483647], got -5"),
            ("layers.2.outputs", "5", "layer 3: dense must be an integer, got str '5'"),
            ("layers.2.init", "zero", "layer 3: dense: init must be 'he' or 'xavier', got 'zero'"),
            ("layers.2.init", {}, "layer 3: dense: init must be 'he' or 'xavier', got dict {}"),
            ("layers.1.outputs", 5, "layer relu has unknown entries: outputs"),
            ("layers.0.bias", False, "layer dense has unknown entries: bias"),
            ("extra", 1, "the model has unknown entries: extra; a newer pynn may read them"),
            ("loss", "mse", "unknown loss 'mse'"),
            ("loss", None, "unknown loss None"),
            ("seed", -1, "seed must be in [0, 18446744073709551615], got -1"),
            ("seed", 2**64, "got 18446744073709551616"),
            ("seed", "0", "seed must be an integer, got str '0'"),
            ("steps_trained", -1, "steps_trained must be in [0, "),
            ("label_smoothing", 1.0, "label_smoothing must be at least 0 and less than"),
            ("label_smoothing", "0", "label_smoothing must be a number, got str '0'"),
            (
                "layers.1",
                {"kind": "dropout", "rate": 1.0},
                "layer 2: dropout rate must",
            ),
            ("layers.1", {"kind": "dropout"}, "it has no entry 'rate'"),
            ("epochs_trained", -1, "epochs_trained must be in [0, "),
            ("epochs_trained", 2**64 - 1, "epochs_trained must be in [0, "),
            ("epochs_trained", 1.5, "epochs_trained must be an integer, got float 1.5"),
        ]
    ),
]


@pytest.mark.parametrize(("text", "words"), DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_description_is_refused(text: str, words: str, path: Path) -> None:
    """Metadata that describes no network is refused, with what is wrong in it."""
    write(path, model=text)
    message = refusal(path)
    assert message.startswith("the description of the model in its metadata is damaged: ")
    assert words in message


TEXT = st.text('ab"\0\xe9\u4e2d', max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("relu"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    *DESCRIPTION,
    "layers.0",
    "layers.1",
    "layers.2.kind",
    "layers.2.outputs",
    "layers.5.init",
]
FUZZING = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=200,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture
    ],  # the file is written anew each time
)


@FUZZING
@given(place=st.sampled_from(PLACES), value=JSON)
def test_any_description_is_read_or_refused(path: Path, place: str, value: Any) -> None:
    """Whatever JSON stands anywhere in it: a model of that description, or a FileFormatError."""
    description = with_entry(place, value)
    write(path, PARAMETERS, description)
    try:
        model = pynn.load(path)
    except pynn.FileFormatError:
        return
    assert model.predict(X).shape == (9,)
    model.save(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["model"]) == description


PARAMETERS: Tensors = dict(build().parameters)


@FUZZING
@given(data=st.data())
def test_any_changed_byte_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    """Whatever byte of the header is changed: a model that works, or an error of ours."""
    write(path, PARAMETERS)
    content = bytearray(path.read_bytes())
    header_nbytes = int.from_bytes(content[:8], "little")
    place = data.draw(st.integers(0, 8 + header_nbytes - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        model = pynn.load(path)
    except pynn.FileFormatError:
        return
    assert model.predict(X).shape == (9,)


HUGE = 2**31 - 1
HUGE_LAYER = {"kind": "dense", "outputs": HUGE, "init": "he"}


@pytest.mark.parametrize(
    ("inputs", "layers"),
    [
        (HUGE, [HUGE_LAYER]),
        (1, [HUGE_LAYER]),
        (HUGE, [{**HUGE_LAYER, "outputs": 1}]),
        (HUGE, [HUGE_LAYER] * 3),  # more parameters than size_t counts
        (1, [HUGE_LAYER, {**HUGE_LAYER, "outputs": 1}] * 100),
    ],
)
@pytest.mark.parametrize("claimed_in_header", [True, False])
def test_hostile_sizes_allocate_nothing(
    inputs: int, layers: list[dict[str, Any]], claimed_in_header: bool, path: Path
) -> None:
    """A short file that claims layers of terabytes is refused before memory is asked for."""
    description = DESCRIPTION | {"input": inputs, "layers": layers}
    widths = [inputs, *(layer["outputs"] for layer in layers)]
    if claimed_in_header:
        write_claim(path, description, widths)
    else:
        tensors: Tensors = {}
        for number in range(1, len(widths)):
            tensors[f"dense{number}.weight"] = tensors[f"dense{number}.bias"] = np.zeros(
                1, np.float32
            )
        write(path, tensors, description)
    tracemalloc.start()
    try:
        refusal(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def write_claim(path: Path, description: dict[str, Any], widths: list[int]) -> None:
    """A file whose header claims tensors of just the right shapes, without their data."""
    metadata = {"format": "pynn", "format_version": "1", "model": json.dumps(description)}
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for number in range(1, len(widths)):
        shape = widths[number - 1 : number + 1]
        for name, dims in ((f"dense{number}.weight", shape), (f"dense{number}.bias", shape[1:])):
            nbytes = 4 * int(np.prod(dims, dtype=object))
            offsets = [offset, offset + nbytes]
            header[name] = {"dtype": "F32", "shape": dims, "data_offsets": offsets}
            offset += nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(1000))
