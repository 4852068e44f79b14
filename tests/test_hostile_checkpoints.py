"""Model files and checkpoints, damaged in any way: used, or refused with an error of ours."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_files import (
    FUZZING,
    STEPS,
    X,
    Y,
    damaged,
    join,
    parts,
    sound_checkpoint,
    use_or_refuse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import pynn

checkpoint = pytest.fixture(scope="module")(sound_checkpoint)


def test_the_sound_checkpoint_goes_on(path: Path, checkpoint: bytes) -> None:
    """The run that is damaged below is resumed undamaged, and ends as one never stopped."""
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
    """Some begin with a length that fits, and then as JSON does."""
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
        ({"__metadata__": {"format": 1}}, "its metadata must be an object with text values"),
        ({"__metadata__": []}, "its metadata must be an object with text values"),
        ({"dense1.bias": 1}, "tensor dense1.bias: its entry must have dtype, shape and data_"),
        ({"dense1.bias": {"shape": [4], "dtype": "F32"}}, "its entry must have dtype, shape and"),
        ({"dense1.bias": {"more": 0}}, "dense1.bias: its entry must have dtype"),
        ({"dense1.bias": {"dtype": 32}}, "tensor dense1.bias: its dtype must be text"),
        ({"dense1.bias": {"dtype": "F64"}}, r"dense1.bias: F64 of shape \[4\] is not 16 bytes"),
        ({"dense1.bias": {"shape": [-4]}}, "its shape must be a list of at most 64"),
        ({"dense1.bias": {"shape": [4.0]}}, "its shape must be a list of at most 64"),
        ({"dense1.bias": {"shape": [4, True]}}, "its shape must be a list of at most 64"),
        ({"dense1.bias": {"shape": [1] * 64 + [4]}}, "its shape must be a list of at most 64"),
        ({"dense1.bias": {"shape": 4}}, "its shape must be a list of at most 64"),
        ({"dense1.bias": {"data_offsets": [16, 0]}}, r"its data_offsets must be \[begin, end\]"),
        ({"dense1.bias": {"data_offsets": [0]}}, r"its data_offsets must be \[begin, end\]"),
        ({"dense1.bias": {"data_offsets": [4, 20]}}, "it begins at 4, but must begin at 0"),
        ({"dense1.weight": None}, r"it begins at \d+, but must begin at \d+: without"),
        ({"dense2.weight": None}, r"its tensors need \d+ bytes of data, but the file has \d+"),
    ],
)
def test_a_wrong_header_is_refused(
    path: Path, checkpoint: bytes, change: dict[str, Any], words: str
) -> None:
    """Each field is wrong by itself, and offsets contradict each other; None removes a tensor."""
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
    """The depth is just within Python's limit, or just beyond it: then the error says too deep."""
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
