"""What a checkpoint says of its run: any entry may be extreme, or contradict the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_files import STEPS, X, Y, join, parts, sound_checkpoint, use_or_refuse

import pynn

checkpoint = pytest.fixture(scope="module")(sound_checkpoint)

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


TESTED, OF_REGRESSION = (0.5, 0.5), (0.5, 1.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"sums": [1.0, 1, 3]}, "3 examples are not whole steps of 4"),
        ({"sums": [1.0, 1, 10]}, r"sums must be in \[0, 9\], got 10"),
        ({"sums": [10**400, 1, 4]}, "a number must be finite, got int 1000"),
        ({"sums": [1.0, 1]}, "not enough values"),
        ({"epochs": 1}, "it has done more than its 1 epochs"),
        ({"results": []}, "it ends after 0 epochs, the model after 1"),
        ({"first_epoch": 2**62}, "the model after 1"),
        ({"results": [[1, 3, None, 0.5, None, None, 0.1]]}, "must be finite, got NoneType None"),
        ({"results": [[1, 3, True, 0.5, None, None, 0.1]]}, "must be finite, got bool True"),
        ({"optimizer": {}}, "it has no entry 'kind'"),
        ({"rubbish": 1, "more": {}}, "the run has unknown entries: more, rubbish; a newer pynn"),
        ({"optimizer": {"kind": "sgd", "learning_rate": 0.1, "warmth": 1}}, "warmth"),
        ({"early_stopping": {"patience": 1, "impatience": 2}}, "impatience"),
        ({"state": []}, "state must be an object, got list"),
        ({"state": {"kind": None, "updates": 0, "moments": 0, "third": 1}}, "entries: third"),
        ({"state": {"kind": "sgd", "updates": 0, "moments": 1}}, "no entry 'optimizer.first'"),
        ({"state": {"kind": "sgd", "updates": 0, "moments": 2}}, r"moments must be in \[0, 1\]"),
        ({"state": {"kind": None, "updates": 0, "moments": 1}}, r"moments must be in \[0, 0\]"),
        ({"state": {"kind": [], "updates": 0, "moments": 0}}, "unknown optimizer list"),
        ({"id": "me"}, "id must be 32 hexadecimal digits, got str 'me'"),
        ({"augmentation": [1]}, "augmentation must be an object, got list"),
        ({"augmentation": {"shift": 1}}, "rotate"),
        ({"id": None}, "id must be 32 hexadecimal digits, got NoneType None"),
        ({"errors": [[1.0], [1.0]]}, "it has the entry errors, which only regression has"),
        (
            {"results": [[1, 3, 0.5, 0.5, *TESTED, 0.1, *OF_REGRESSION]]},
            "metrics of epoch 1 are not",
        ),
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
    with pytest.raises(pynn.FileFormatError, match=f"description of its run is damaged: .*{words}"):
        read(path)


@pytest.mark.parametrize("run", ["null", "[]", "1"])
def test_a_run_that_is_no_object_is_refused(path: Path, checkpoint: bytes, run: str) -> None:
    """It is not taken for a file without a run."""
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
