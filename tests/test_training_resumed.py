"""Runs that are resumed from a checkpoint, and checkpoints that are refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_training import OPTIMIZERS, Stop, X, Y, build, digest

import pynn


@pytest.mark.parametrize("every", [None, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("stop", [0, 1, 3])
def test_resumed_runs_end_with_the_same_bytes(
    name: str, stop: int, every: int | None, tmp_path: Path
) -> None:
    """A run that is stopped and resumed, with each optimizer, dropout, weights and stopping."""
    path = tmp_path / "run.checkpoint"
    options: dict[str, Any] = {
        "epochs": 5,
        "batch_size": 32,
        "optimizer": OPTIMIZERS[name],
        "validation": 0.2,
        "class_weight": "balanced",
        "early_stopping": pynn.EarlyStopping(patience=4),
    }
    whole = build()
    history = whole.fit(X, Y, **options)

    def interrupt(progress: pynn.Progress) -> None:
        if progress.epoch == stop + 1:
            raise Stop

    with pytest.raises(Stop):
        build().fit(X, Y, **options, checkpoint=path, every=every, on_progress=interrupt)
    resumed = pynn.Model.resume(path)
    again = resumed.fit(X, Y, **options)
    assert again.loss == history.loss and again.val_loss == history.val_loss
    assert digest(resumed) == digest(whole)
    assert resumed.steps_trained == whole.steps_trained


CHANGES: dict[str, dict[str, Any]] = {
    "optimizer": {"optimizer": pynn.Adam(learning_rate=0.5)},
    "schedule": {"optimizer": pynn.Adam(learning_rate=pynn.schedules.Cosine(0.01, 9))},
    "shuffle": {"shuffle": False},
    "validation, as a fraction,": {"validation": 0.3},
    "early_stopping": {"early_stopping": pynn.EarlyStopping(patience=9)},
    "features, labels and weights": {"sample_weight": np.arange(210.0)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_run_is_not_resumed(name: str, tmp_path: Path) -> None:
    """The error names what has changed."""
    path = tmp_path / "run.checkpoint"
    options: dict[str, Any] = {"epochs": 2, "optimizer": pynn.Adam(), "validation": 0.2}
    build().fit(X, Y, **options, checkpoint=path)
    resumed = pynn.Model.resume(path)
    word = "optimizer" if name == "schedule" else name
    with pytest.raises(pynn.ArgumentError, match=f"^{word} must be "):
        resumed.fit(X, Y, **(options | {"epochs": 3} | CHANGES[name]))


def test_divergence_under_early_stopping_goes_back(tmp_path: Path) -> None:
    """The error is that of the divergence, and the model is at its last checkpoint."""
    model = pynn.Builder().input(6).dense(3).softmax_cross_entropy().build()
    optimizer = pynn.SGD(learning_rate=lambda step: 0.1 if step < 14 else 1e38, momentum=0.9)
    with pytest.raises(pynn.DivergenceError, match="back at its last checkpoint, epoch 3, step 0"):
        model.fit(
            X,
            Y,
            epochs=5,
            batch_size=30,
            optimizer=optimizer,
            validation=(X, Y),
            early_stopping=pynn.EarlyStopping(patience=4),
            checkpoint=tmp_path / "run",
        )
    kept = pynn.Model.resume(tmp_path / "run")
    assert digest(model) == digest(kept)
    assert model.steps_trained == kept.steps_trained == 14
    for ours, theirs in zip(model._engine.state.moments, kept._engine.state.moments, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("first", OPTIMIZERS)
@pytest.mark.parametrize("second", ["momentum", "adam"])
def test_a_run_with_another_optimizer_can_be_resumed_from_its_start(
    first: str, second: str, tmp_path: Path
) -> None:
    """The first checkpoint of a run has what the optimizer before it left."""
    path = tmp_path / "run"
    model = build()
    model.fit(X, Y, epochs=1, batch_size=50, optimizer=OPTIMIZERS[first])
    whole = copy.deepcopy(model)

    def stop(progress: pynn.Progress) -> None:
        raise Stop

    options: dict[str, Any] = {"epochs": 2, "batch_size": 50, "optimizer": OPTIMIZERS[second]}
    with pytest.raises(Stop):
        model.fit(X, Y, **options, checkpoint=path, every=1000, on_progress=stop)
    # As it was when the run began, as if the interrupted one had been killed before its save.
    pristine = copy.deepcopy(whole)
    with pytest.raises(Stop):
        pristine.fit(X, Y, **options, checkpoint=path, every=1000, on_progress=stop)
    resumed = pynn.Model.resume(path)
    resumed.fit(X, Y, **options)
    whole.fit(X, Y, **options)
    assert digest(resumed) == digest(whole)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_resumed_model_goes_on_with_the_run(
    how: Callable[[pynn.Model], pynn.Model], tmp_path: Path
) -> None:
    """The copy knows which run it was resumed for."""
    options: dict[str, Any] = {"epochs": 3, "validation": 0.2, "optimizer": pynn.Adam()}
    options |= {"early_stopping": pynn.EarlyStopping(patience=2)}
    whole = build()
    history = whole.fit(X, Y, **options)
    build().fit(X, Y, **options | {"epochs": 2}, checkpoint=tmp_path / "run")
    copied = how(pynn.Model.resume(tmp_path / "run"))
    assert copied.fit(X, Y, **options).loss == history.loss
    assert digest(copied) == digest(whole)


def test_a_run_that_a_callback_ends_is_kept_as_it_ended(tmp_path: Path) -> None:
    """This holds without a checkpoint each epoch, too; resumed, the run goes on to all epochs."""
    path = tmp_path / "run"
    model, whole = build(), build()
    model.fit(
        X, Y, epochs=5, batch_size=50, checkpoint=path, every=100, on_epoch=lambda r: np.True_
    )
    resumed = pynn.Model.resume(path)
    assert digest(resumed) == digest(model) != digest(build())
    assert resumed.epochs_trained == 1
    resumed.fit(X, Y, epochs=5, batch_size=50)
    whole.fit(X, Y, epochs=5, batch_size=50)
    assert digest(resumed) == digest(whole)


DAMAGES: dict[str, tuple[str, Any]] = {
    "unknown optimizer": ("optimizer.kind", "rprop"),
    "unknown schedule": ("optimizer.learning_rate.kind", "Sawtooth"),
    "unknown optimizer str 'rms'": ("state.kind", "rms"),
    "moments must be in [0, 2], got 3": ("state.moments", 3),
    "updates must be in [0, ": ("state.updates", -1),
    "shuffle must be a bool": ("shuffle", 1),
    "a number must be finite": ("fraction", "0.2"),
    "patience must be at least 1": ("early_stopping.patience", 0),
    "it has no entry 'best'": ("early_stopping.min_delta", 1e-30),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_damaged_checkpoint_is_refused(words: str, tmp_path: Path) -> None:
    """What it says of optimizer, schedule, state and early stopping is checked."""
    import json

    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "run"
    optimizer = pynn.Adam(learning_rate=pynn.schedules.Cosine(0.01, 9))
    stopping = pynn.EarlyStopping(patience=3, restore_best=words != "it has no entry 'best'")
    build().fit(
        X,
        Y,
        epochs=1,
        optimizer=optimizer,
        validation=0.2,
        early_stopping=stopping,
        checkpoint=path,
    )
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    run = json.loads(metadata["run"])
    place, value = DAMAGES[words]
    *parents, name = place.split(".")
    entry = run
    for parent in parents:
        entry = entry[parent]
    entry[name] = value
    if not stopping.restore_best:
        entry["restore_best"] = True
    save_file(load_file(path), path, metadata | {"run": json.dumps(run)})
    with pytest.raises(pynn.FileFormatError) as caught:
        pynn.Model.resume(path)
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["dense1.weight", "dense2.bias", "optimizer.first", "optimizer.second", "best"]
)
def test_a_checkpoint_with_numbers_that_are_not_finite_is_refused(
    name: str, value: float, tmp_path: Path
) -> None:
    """None is ever written; one that was damaged is not gone on with."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "run"
    build().fit(
        X,
        Y,
        epochs=2,
        optimizer=pynn.Adam(),
        validation=0.2,
        early_stopping=pynn.EarlyStopping(),
        checkpoint=path,
    )
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    arrays = load_file(path)
    arrays[name].flat[1] = value
    save_file(arrays, path, metadata)
    named = "parameters" if name.startswith("dense") else name
    with pytest.raises(pynn.FileFormatError, match=f"damaged: {named}: a value is not finite"):
        pynn.Model.resume(path)


@pytest.mark.parametrize("rows", [2**32, 2**32 + 5, 2**33])
@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"validation": 0.5}])
def test_more_examples_than_an_order_can_name_are_refused(
    rows: int, options: dict[str, Any]
) -> None:
    """They are refused before anything is copied, and no number wraps around."""
    model = pynn.Builder().input(1).dense(2).softmax_cross_entropy().build()
    x = np.broadcast_to(np.zeros((1, 1), np.uint8), (rows, 1))
    y = np.broadcast_to(np.zeros(1, np.uint8), (rows,))
    with pytest.raises(pynn.ArgumentError, match="features must have at most 4,294,967,295 examp"):
        model.fit(x, y, epochs=1, **options)
