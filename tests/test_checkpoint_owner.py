"""A checkpoint is of one call of `fit`: no other one takes it for its own, or puts it over else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import pynn

MINUTE = 60
X = np.random.default_rng(70).normal(size=(100, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.uint8)


def build(seed: int, width: int = 4) -> pynn.Model:
    """A model that diverges as soon as it is asked to."""
    return pynn.Builder().input(width).dense(2).softmax_cross_entropy().build(seed=seed)


def diverge(model: pynn.Model, path: Path, epoch: int, meanwhile: Callable[[Path], Any]) -> str:
    """Train until the rate explodes in the third epoch; the words of the error.

    After an epoch, once its checkpoint is written, something happens to that.
    """

    def on_epoch(result: pynn.EpochResult) -> None:
        if result.epoch == epoch:
            meanwhile(path)

    blows_up = pynn.SGD(learning_rate=lambda step: 0.1 if step < 4 else 3e38)
    with pytest.raises(pynn.DivergenceError) as caught:
        model.fit(
            X * 100,
            Y,
            epochs=9,
            batch_size=50,
            checkpoint=path,
            optimizer=blows_up,
            on_epoch=on_epoch,
        )
    return str(caught.value)


def run_in_file(path: Path) -> dict[str, Any]:
    """What a checkpoint says of its run, read without pynn."""
    with safe_open(path, framework="numpy") as file:
        run: dict[str, Any] = json.loads(file.metadata()["run"])
    return run


def in_this_process(path: Path) -> None:
    """Another model of the same shape is trained, with the same checkpoint."""
    build(2).fit(X, 1 - Y, epochs=7, checkpoint=path)


def in_another_process(path: Path) -> None:
    """The same, by a program that knows nothing of this one."""
    code = f"import test_checkpoint_owner as t; t.in_this_process({str(path)!r})"
    folder = Path(__file__).parent
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=MINUTE)


def resumed(path: Path) -> None:
    """The run itself is taken up by somebody else, who changes the model on the way."""
    other = pynn.Model.resume(path)

    def spoil(result: pynn.EpochResult) -> None:
        other.parameters["dense1.weight"][...] = 5.0

    other.fit(
        X * 100,
        Y,
        epochs=9,
        batch_size=50,
        checkpoint=path,
        optimizer=pynn.SGD(learning_rate=lambda step: 0.1),
        on_epoch=spoil,
    )


@pytest.mark.parametrize("other", [in_this_process, in_another_process, resumed])
def test_checkpoint_of_another_run_is_not_restored(
    other: Callable[[Path], None], tmp_path: Path
) -> None:
    """The error says that the way back is gone, and why; the model gets nobody's parameters."""
    path, model = tmp_path / "same.checkpoint", build(1)
    message = diverge(model, path, 2, other)
    assert message.endswith(
        "the model's parameters are lost, as its checkpoint cannot be used"
        f" ({path}: it no longer belongs to this run: another call of fit has written it):"
        " build it or load it anew"
    )
    kept = pynn.load(path)
    assert any((array != model.parameters[k]).any() for k, array in kept.parameters.items())
    assert model.epochs_trained == 2


def test_checkpoint_of_its_own_is_restored_after_another_was_there(tmp_path: Path) -> None:
    """What was there before the run began, or for a while, does not matter."""
    path, model = tmp_path / "same.checkpoint", build(1)
    in_this_process(path)
    message = diverge(model, path, 1, in_this_process)
    assert message.endswith("the model is back at its last checkpoint, epoch 3, step 0")
    kept = pynn.load(path)
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(array, kept.parameters[name])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (Path.unlink, "No such file or directory"),
        (lambda path: path.write_bytes(b"{}"), "not a safetensors file"),
        (lambda path: build(3).save(path), "it is a model, but not a checkpoint"),
        (lambda path: build(3, width=9).save(path), "it is a model, but not a checkpoint"),
    ],
    ids=["removed", "damaged", "model", "larger"],
)
def test_checkpoint_that_is_gone_does_not_hide_the_divergence(
    spoil: Callable[[Path], Any], words: str, tmp_path: Path
) -> None:
    """What went wrong first is the error; that there is no way back is part of it."""
    path = tmp_path / "run"
    message = diverge(build(1), path, 2, spoil)
    assert message.startswith("epoch 3, ")
    assert re.search(rf"lost, as its checkpoint cannot be used \(.*{words}", message)


def test_each_call_of_fit_has_an_id_of_its_own(tmp_path: Path) -> None:
    """Also one that resumes a run; within one it stays, and it is no part of a model's file."""
    seen = []
    for path in (tmp_path / "a", tmp_path / "b"):
        for model in (build(1), None):
            model = model or pynn.Model.resume(path)
            in_epochs = []
            model.fit(
                X,
                Y,
                epochs=2 if not seen else 4,
                checkpoint=path,
                on_epoch=lambda result, p=path, ids=in_epochs: ids.append(run_in_file(p)["id"]),
            )
            seen += sorted(set(in_epochs))
    assert len(seen) == len(set(seen)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in seen)
    for file, path in (("one", "a"), ("two", "b")):
        pynn.load(tmp_path / path).save(tmp_path / file)
    assert b'"id"' not in (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("what", ["model", "other model", "text", "array", "half a checkpoint"])
@pytest.mark.parametrize("resume", [False, True])
def test_file_that_is_no_checkpoint_is_not_replaced_by_one(
    what: str, resume: bool, tmp_path: Path
) -> None:
    """A trained model, above all, must not be lost to a slip of the keyboard."""
    path, model = tmp_path / "there", build(1)
    if resume:
        model.fit(X, Y, epochs=1, checkpoint=tmp_path / "run")
        model = pynn.Model.resume(tmp_path / "run")
    if what == "model":
        model.save(path)
    elif what == "other model":
        build(1, width=9).save(path)
    elif what == "text":
        path.write_text("My thesis\n")
    elif what == "array":
        pynn.datasets.write_idx(path, Y)
    else:
        build(2).fit(X, Y, epochs=1, checkpoint=path)
        path.write_bytes(path.read_bytes()[:-1])
    before = path.read_bytes()
    what = "a model without a run" if "model" in what else "another file"
    with pytest.raises(pynn.ArgumentError) as caught:
        model.fit(X, Y, epochs=2, checkpoint=path)
    assert str(caught.value) == (
        f"checkpoint must be a new file or an older checkpoint, but {path} is {what}, which would"
        " be lost: give another name, or remove it"
    )
    assert path.read_bytes() == before
    assert model.fit(X, Y, epochs=2, checkpoint=tmp_path / "new").epochs == 2


def test_older_checkpoints_and_empty_files_are_replaced(tmp_path: Path) -> None:
    """As documented; an empty file is what the system's functions for temporary files make."""
    path = tmp_path / "there"
    path.touch()
    build(2, width=4).fit(X, Y, epochs=3, checkpoint=path)
    build(1).fit(X, Y, epochs=1, checkpoint=path)
    assert pynn.load(path).seed == 1
    assert pynn.Model.resume(path).epochs_trained == 1
