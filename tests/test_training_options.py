"""What fit offers beside the plain run: weights, held-out fractions, stopping, going on."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn import _boundary
from pynn._examples import divide, make_data
from pynn._history import ClassEvaluation, EpochResult

rng = np.random.default_rng(4)
X = rng.normal(size=(210, 6)).astype(np.float32)
Y = (X[:, 0] + 0.5 * rng.normal(size=210) > 0.3).astype(np.int64) + (X[:, 1] > 1.2)

OPTIMIZERS: dict[str, pynn.SGD | pynn.Adam] = {
    "sgd": pynn.SGD(learning_rate=0.1),
    "momentum": pynn.SGD(learning_rate=0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": pynn.SGD(learning_rate=0.05, momentum=0.9, nesterov=True),
    "adam": pynn.Adam(learning_rate=pynn.schedules.Cosine(0.02, steps=60)),
    "adamw": pynn.AdamW(
        learning_rate=pynn.schedules.WarmUp(pynn.schedules.OneCycle(0.02, steps=60), steps=5),
        max_gradient_norm=0.5,
    ),
    "callable": pynn.Adam(learning_rate=lambda step: 0.01 / (1 + step)),
}


def build(seed: int = 2) -> pynn.Model:
    """A network with all that is random in training."""
    chain = pynn.Builder().input(6).dense(20).leaky_relu(0.1).dropout(0.2).dense(3)
    return chain.softmax_cross_entropy(label_smoothing=0.05).build(seed=seed)


def digest(model: pynn.Model) -> str:
    """The parameters in short."""
    return hashlib.sha256(model._parameter_array.tobytes()).hexdigest()


# ------------------------------------------------------------ going on


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_fits_are_one_longer_fit(name: str) -> None:
    """Moments, schedule, shuffles and dropout go on where the first call ended."""
    whole, parts = build(), build()
    optimizer = OPTIMIZERS[name]
    history = whole.fit(X, Y, epochs=5, batch_size=32, optimizer=optimizer)
    first = parts.fit(X, Y, epochs=2, batch_size=32, optimizer=optimizer)
    second = parts.fit(X, Y, epochs=3, batch_size=32, optimizer=optimizer)
    assert first.loss + second.loss == history.loss
    assert digest(parts) == digest(whole)
    assert parts.steps_trained == whole.steps_trained == 5 * 7


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_goes_on_as_the_model_does(how: Callable[[pynn.Model], pynn.Model]) -> None:
    """Moments and steps are copied, and each has its own."""
    model = build()
    adam = pynn.Adam()
    model.fit(X, Y, epochs=2, batch_size=32, optimizer=adam)
    twin = how(model)
    for each in (model, twin):
        each.fit(X, Y, epochs=2, batch_size=32, optimizer=adam)
    assert digest(twin) == digest(model)
    assert twin.steps_trained == model.steps_trained


def test_a_pickle_that_is_read_only_goes_on() -> None:
    """Arrays that a loader maps from a file are copied: training writes to them."""
    model = build()
    model.fit(X, Y, epochs=1, optimizer=pynn.Adam())
    state = model.__getstate__()
    for moment in state["optimizer"]["moments"]:
        moment.flags.writeable = False
    again = pynn.Model.__new__(pynn.Model)
    again.__setstate__(state)
    for each in (model, again):
        each.fit(X, Y, epochs=1, optimizer=pynn.Adam())
    assert digest(again) == digest(model)


@pytest.mark.parametrize("where", ["parameters", "moments"])
def test_a_kept_state_of_another_size_is_refused(where: str) -> None:
    """C would write beyond it; one number would be spread over all."""
    model = build()
    model.fit(X, Y, epochs=1, optimizer=pynn.Adam())
    state = model.__getstate__()
    if where == "parameters":
        state["parameters"] = np.zeros(1, np.float32)
    else:
        state["optimizer"]["moments"][1] = state["optimizer"]["moments"][1][:-1]
    with pytest.raises(ValueError, match="reshape"):
        pynn.Model.__new__(pynn.Model).__setstate__(state)


def test_another_optimizer_starts_with_moments_of_its_own() -> None:
    """After SGD Adam is as on a model that has just been given those parameters."""
    model = build()
    model.fit(X, Y, epochs=1, batch_size=210, optimizer=pynn.SGD(momentum=0.9))
    fresh = build()
    for name, view in fresh.parameters.items():
        view[...] = model.parameters[name]
    fresh._epochs_trained, fresh._state = 1, _boundary.State(2, 1)
    for each in (model, fresh):
        each.fit(X, Y, epochs=2, batch_size=50, optimizer=pynn.Adam())
    assert digest(fresh) == digest(model)


def test_partial_fit_is_a_pass_without_shuffling() -> None:
    """A stream of batches gives what one call over all of them gives, and is no epoch."""
    adam = pynn.Adam()
    stream, whole, unshuffled = build(), build(), build()
    losses = [
        stream.partial_fit(X[i : i + 30], Y[i : i + 30], batch_size=64, optimizer=adam).loss
        for i in range(0, 210, 30)
    ]
    evaluation = whole.partial_fit(X, Y, batch_size=30, optimizer=adam)
    history = unshuffled.fit(X, Y, epochs=1, batch_size=30, optimizer=adam, shuffle=False)
    assert digest(stream) == digest(whole) == digest(unshuffled)
    assert np.mean(losses) == pytest.approx(evaluation.loss)
    assert history.loss == [evaluation.loss]
    assert (stream.epochs_trained, stream.steps_trained) == (0, 7)


def test_partial_fit_that_diverges() -> None:
    """It is the error that fit gives."""
    model = pynn.Builder().input(6).dense(3).mean_squared_error().build()
    x, y = np.full((40, 6), 100, np.float32), np.ones((40, 3))
    with pytest.raises(pynn.DivergenceError, match="the loss is not finite"):
        model.partial_fit(x, y, batch_size=1, optimizer=pynn.SGD(learning_rate=1e3))


# ------------------------------------------------------------ checkpoints


class Stop(Exception):
    """What a callback raises."""


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
    for ours, theirs in zip(model._state.moments, kept._state.moments, strict=True):
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
    """It knows what it was resumed for."""
    options: dict[str, Any] = {"epochs": 3, "validation": 0.2, "optimizer": pynn.Adam()}
    options |= {"early_stopping": pynn.EarlyStopping(patience=2)}
    whole = build()
    history = whole.fit(X, Y, **options)
    build().fit(X, Y, **options | {"epochs": 2}, checkpoint=tmp_path / "run")
    copied = how(pynn.Model.resume(tmp_path / "run"))
    assert copied.fit(X, Y, **options).loss == history.loss
    assert digest(copied) == digest(whole)


def test_a_run_that_a_callback_ends_is_kept_as_it_ended(tmp_path: Path) -> None:
    """Also where it is not kept after each epoch; resumed, it goes on to all epochs."""
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
    "a figure must be a finite number": ("fraction", "0.2"),
    "patience must be at least 1": ("early_stopping.patience", 0),
    "it has no entry 'best'": ("early_stopping.min_delta", 1e-30),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_damaged_checkpoint_is_refused(words: str, tmp_path: Path) -> None:
    """What it says of optimizer, schedule, state and stopping is checked."""
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
    """At once, before anything is copied, and nothing wraps around."""
    model = pynn.Builder().input(1).dense(2).softmax_cross_entropy().build()
    x = np.broadcast_to(np.zeros((1, 1), np.uint8), (rows, 1))
    y = np.broadcast_to(np.zeros(1, np.uint8), (rows,))
    with pytest.raises(pynn.ArgumentError, match="features must have at most 4,294,967,295 examp"):
        model.fit(x, y, epochs=1, **options)


@pytest.mark.parametrize("loss", ["mean_squared_error", "binary_cross_entropy"])
def test_other_losses_and_layers_are_saved(loss: str, tmp_path: Path) -> None:
    """A model of every layer comes back with its loss, and its run with the same bytes."""
    chain: Any = pynn.Builder().input(6).dense(5).leaky_relu(0.2).dense(4).gelu().dropout(0.5)
    chain = chain.dense(3).tanh().dense(3).sigmoid().dense(2)
    y = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1)
    whole, part = getattr(chain, loss)().build(seed=3), getattr(chain, loss)().build(seed=3)
    history = whole.fit(X, y, epochs=4, validation=0.2)
    part.fit(X, y, epochs=2, validation=0.2, checkpoint=tmp_path / "run")
    part.save(tmp_path / "model")
    loaded = pynn.load(tmp_path / "model")
    assert repr(loaded) == repr(part)
    np.testing.assert_array_equal(loaded.predict(X), part.predict(X))
    assert loaded.steps_trained == part.steps_trained
    resumed = pynn.Model.resume(tmp_path / "run")
    again = resumed.fit(X, y, epochs=4, validation=0.2)
    assert (again.loss, again.val_loss) == (history.loss, history.val_loss)
    assert digest(resumed) == digest(whole)


def test_a_schedule_has_to_say_its_rate() -> None:
    """The base of the schedules is none."""
    with pytest.raises(NotImplementedError, match="Schedule does not say"):
        pynn.schedules.Schedule()(0)


# ------------------------------------------------------------ weights


def test_weights_are_repetitions() -> None:
    """In one batch a weight of 2 is an example that is there twice, and 0 one that is not."""
    weights = rng.integers(0, 4, 210)
    chain = pynn.Builder().input(6).dense(3).softmax_cross_entropy()
    weighted, repeated = chain.build(), chain.build()
    rows = np.repeat(np.arange(210), weights)
    weighted.fit(X, Y, epochs=20, batch_size=210, sample_weight=weights)
    repeated.fit(X[rows], Y[rows], epochs=20, batch_size=len(rows))
    np.testing.assert_allclose(
        weighted._parameter_array, repeated._parameter_array, rtol=1e-4, atol=1e-5
    )
    plain = chain.build()
    plain.fit(X, Y, epochs=20, batch_size=210)
    assert np.abs(plain._parameter_array - weighted._parameter_array).max() > 1e-2


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e6])
def test_only_proportions_of_weights_matter(factor: float) -> None:
    """They are divided by their mean."""
    weights = rng.random(210)
    losses = [
        build().fit(X, Y, epochs=2, batch_size=40, sample_weight=w).loss
        for w in (weights, factor * weights)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_class_weight_is_a_sample_weight() -> None:
    """A dict and "balanced" are what the formulas say, and both kinds are multiplied."""
    counts = np.bincount(Y)
    by_hand = {"balanced": (210 / (3 * counts))[Y], "dict": np.array([1.0, 5.0, 0.5])[Y]}
    given: dict[str, Any] = {"balanced": "balanced", "dict": {1: 5.0, 2: 0.5}}
    extra = rng.random(210)
    for name, weights in by_hand.items():
        one, other = build(), build()
        one.fit(X, Y, epochs=2, batch_size=40, class_weight=given[name], sample_weight=extra)
        other.fit(X, Y, epochs=2, batch_size=40, sample_weight=weights * extra)
        np.testing.assert_allclose(
            one._parameter_array, other._parameter_array, rtol=1e-4, atol=1e-6
        )


def test_weighted_evaluation() -> None:
    """The loss is the weighted mean; the accuracy is not weighted."""
    model = build()
    weights = rng.random(210)
    losses = [model.evaluate(X[i : i + 1], Y[i : i + 1]).loss for i in range(210)]
    weighted = model.evaluate(X, Y, sample_weight=weights)
    assert weighted.loss == pytest.approx(np.average(losses, weights=weights), rel=1e-5)
    assert weighted.accuracy == model.evaluate(X, Y).accuracy


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sample_weight": np.ones(209)}, ValueError, "sample_weight must have shape (210,), one"),
        (
            {"sample_weight": -np.ones(210)},
            ValueError,
            "finite and at least 0, got -1.0 at index 0",
        ),
        ({"sample_weight": np.full(210, np.nan)}, ValueError, "got nan at index 0"),
        ({"sample_weight": np.full(210, np.inf)}, ValueError, "got inf at index 0"),
        ({"sample_weight": np.zeros(210)}, ValueError, "must have a value above 0, got zeros only"),
        (
            {"sample_weight": [1.0] * 210},
            TypeError,
            "sample_weight must be a NumPy array, got list",
        ),
        ({"sample_weight": np.array(["a"] * 210)}, TypeError, "sample_weight must be numbers"),
        ({"class_weight": "even"}, TypeError, "class_weight must be 'balanced' or a dict"),
        ({"class_weight": {3: 1.0}}, ValueError, "class_weight: a class must be in [0, 2], got 3"),
        ({"class_weight": {0: -1.0}}, ValueError, "class_weight[0] must be at least 0"),
        ({"class_weight": {0: 0.0, 1: 0.0, 2: 0.0}}, ValueError, "must leave something to learn"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False, got int 1"),
        ({"validation": 0.0}, ValueError, "validation must be greater than 0 and less than 1"),
        ({"validation": 1.0}, ValueError, "validation must be greater than 0 and less than 1"),
        ({"validation": 0.001}, ValueError, "validation must leave examples to train on and to"),
        ({"validation": 0.999}, ValueError, "validation must leave examples to train on and to"),
        ({"sample_weight": np.full(210, 0.0)}, ValueError, "got zeros only"),
        ({"validation": 1}, TypeError, "validation must be a pair (features, labels), or a"),
        ({"early_stopping": 5}, TypeError, "early_stopping must be a pynn.EarlyStopping, as in"),
        ({"early_stopping": pynn.EarlyStopping()}, ValueError, "watches val_loss, so fit needs"),
        ({"on_epoch": [print, 5]}, TypeError, "on_epoch must be callable, got int 5"),
        ({"optimizer": pynn.SGD}, TypeError, "optimizer must be a pynn.SGD, pynn.Adam or"),
    ],
)
def test_wrong_options_are_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The error names the argument, what it needs and what it got; nothing is trained."""
    model = build()
    before = digest(model)
    with pytest.raises(error) as caught:
        model.fit(X, Y, epochs=1, **options)
    assert words in str(caught.value)
    assert digest(model) == before


def test_class_weight_needs_classes() -> None:
    """For regression it is refused."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    with pytest.raises(pynn.ArgumentError, match="class_weight needs classes, and mean_squared"):
        model.fit(X, X[:, 0], epochs=1, class_weight="balanced")


# ------------------------------------------------------------ held out


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("counts", [[100, 100], [150, 50, 10], [3, 200, 7, 40]])
def test_held_out_classes_are_about_the_fraction(fraction: float, counts: list[int]) -> None:
    """Of each class within one example of it; all rows are somewhere, none twice."""
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(3).shuffle(labels)
    spec = pynn.Builder().input(1).dense(len(counts)).softmax_cross_entropy()._spec
    data = make_data(spec, "", np.ones((len(labels), 1), np.float32), labels)
    rows, held = divide(spec, 5, data, fraction)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows, held])), np.arange(len(labels)))
    assert len(held) == round(fraction * len(labels))
    for label, count in enumerate(counts):
        assert abs(np.count_nonzero(labels[held] == label) - fraction * count) <= 1
    again = divide(spec, 5, data, fraction)
    np.testing.assert_array_equal(held, again[1])
    assert not np.array_equal(held, divide(spec, 6, data, fraction)[1])


def test_held_out_examples_are_not_trained_on() -> None:
    """The run is that on the others, and its validation that of the held-out ones."""
    model = build()
    spec = model._spec
    rows, held = divide(spec, model.seed, make_data(spec, "", X, Y), 0.2)
    history = model.fit(X, Y, epochs=3, batch_size=30, validation=0.2)
    other = build()
    expected = other.fit(X[rows], Y[rows], epochs=3, batch_size=30, validation=(X[held], Y[held]))
    assert history.loss == expected.loss and history.val_loss == expected.val_loss
    assert digest(model) == digest(other)


def test_a_bad_example_that_is_held_out_has_its_own_number() -> None:
    """The error names the row of the features, not of what is held out."""
    model = build()
    spec = model._spec
    row = int(divide(spec, model.seed, make_data(spec, "", X, Y), 0.2)[1][5])
    features = X.copy()
    features[row, 3] = np.nan
    with pytest.raises(pynn.ArgumentError, match=rf": features\[{row}\] holds nan \(feature 3\)"):
        model.fit(features, Y, epochs=1, validation=np.float32(0.2))


@pytest.mark.parametrize("weight", [5e-324, 1e-310, 1e-200, 1e307, 1.79e308])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3e38, 1: 3e38, 2: 3e38}])
def test_weights_of_any_size_count_alike(weight: float, class_weight: Any) -> None:
    """They are brought to size first: neither a product nor the sum becomes infinite, or 0."""
    runs: list[Any] = []
    for value in (1.0, weight):
        model = build()
        model.fit(X, Y, epochs=1, sample_weight=np.full(210, value), class_weight=class_weight)
        runs.append(model._parameter_array)
    np.testing.assert_allclose(*runs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 0.1, 2: 7.0}])
@pytest.mark.parametrize("weight", [0.0, 50.0, 1e308])
def test_weights_that_are_held_out_mean_nothing(weight: float, class_weight: Any) -> None:
    """Means, and what is balanced, are of the examples trained on; others cause no warning."""
    labels = np.minimum(Y, rng.integers(0, 3, 210))
    model, other = build(), build()
    spec = model._spec
    rows, held = divide(spec, model.seed, make_data(spec, "", X, labels), 0.3)
    weights = 0.1 + rng.random(210)
    weights[held] = weight
    with np.errstate(all="raise"):
        model.fit(
            X, labels, epochs=2, validation=0.3, sample_weight=weights, class_weight=class_weight
        )
    other.fit(
        X[rows], labels[rows], epochs=2, sample_weight=weights[rows], class_weight=class_weight
    )
    assert digest(model) == digest(other)


def test_balanced_is_of_the_examples_trained_on() -> None:
    """Of a small class another share is held out than of the others."""
    labels = np.repeat([0, 1, 2], [190, 13, 7])
    model, other = build(), build()
    spec = model._spec
    rows, _ = divide(spec, model.seed, make_data(spec, "", X, labels), 0.8)
    counts = np.bincount(labels[rows])
    assert not np.allclose(counts / len(rows), np.array([190, 13, 7]) / 210, rtol=0.02)
    weights = np.zeros(210)
    weights[rows] = (len(rows) / (3 * counts))[labels[rows]]
    model.fit(X, labels, epochs=2, validation=0.8, class_weight="balanced")
    other.fit(X, labels, epochs=2, validation=0.8, sample_weight=weights)
    np.testing.assert_allclose(model._parameter_array, other._parameter_array, rtol=1e-5, atol=1e-7)


def test_weights_only_of_what_is_held_out_leave_nothing_to_learn() -> None:
    """The error says so."""
    model = build()
    spec = model._spec
    _, held = divide(spec, model.seed, make_data(spec, "", X, Y), 0.3)
    weights = np.zeros(210)
    weights[held] = 1e300
    with pytest.raises(pynn.ArgumentError, match="that are trained on are 0: sample_weight and"):
        model.fit(X, Y, epochs=1, validation=0.3, sample_weight=weights)


# ------------------------------------------------------------ stopping


def results(*figures: float) -> list[EpochResult]:
    """Epochs with these figures of the validation."""
    return [
        EpochResult(epoch, 99, 1.0, 0.5, figure, figure, 0.1)
        for epoch, figure in enumerate(figures, start=1)
    ]


@pytest.mark.parametrize(
    ("options", "figures", "best", "over"),
    [
        ({"patience": 2}, (3, 2, 1), 3, False),
        ({"patience": 2}, (1, 2), 1, False),
        ({"patience": 2}, (1, 2, 3), 1, True),
        ({"patience": 2}, (1, 1, 1), 1, True),
        ({"patience": 1}, (2, 1, 1.5), 2, True),
        ({"patience": 2, "min_delta": 0.5}, (3, 2.6, 2.4), 3, False),
        ({"patience": 2, "min_delta": 0.5}, (3, 2.6, 2.55), 1, True),
        ({"patience": 2, "monitor": "val_accuracy"}, (0.5, 0.7, 0.6, 0.65), 2, True),
        ({"patience": 2, "monitor": "val_accuracy"}, (0.5, 0.7, 0.6, 0.75), 4, False),
        ({"patience": 3, "monitor": "loss"}, (0.5, 0.7, 0.6), 1, False),
    ],
)
def test_when_to_stop(
    options: dict[str, Any], figures: tuple[float, ...], best: int, over: bool
) -> None:
    """After `patience` epochs that are not better by more than min_delta."""
    stopping = pynn.EarlyStopping(**options)
    assert stopping._best_epoch(results(*figures)) == best
    assert stopping._is_over(results(*figures)) is over


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_ends_and_restores(restore: bool) -> None:
    """Training on noise ends early, with the parameters of the best epoch if asked for."""
    noise = np.random.default_rng(8).integers(0, 3, 210)
    model = build()
    kept: list[npt.NDArray[np.float32]] = []
    history = model.fit(
        X,
        noise,
        epochs=200,
        batch_size=20,
        optimizer=pynn.Adam(learning_rate=0.02),
        validation=0.3,
        early_stopping=pynn.EarlyStopping(patience=4, restore_best=restore),
        on_epoch=lambda _: kept.append(model._parameter_array.copy()),
    )
    best = int(np.argmin(history.val_loss))
    assert history.epochs == best + 1 + 4 < 200
    expected = kept[best] if restore else kept[-1]
    np.testing.assert_array_equal(model._parameter_array, expected)
    assert model.epochs_trained == history.epochs


@pytest.mark.parametrize("how", ["patience", "callback", "neither"])
def test_exception_from_a_callback_after_the_last_epoch(how: str, tmp_path: Path) -> None:
    """The run is over, so the model has the best parameters; in the middle it has the latest."""
    noise = np.random.default_rng(8).integers(0, 3, 210)
    model = build()
    kept: list[npt.NDArray[np.float32]] = []
    figures: list[Any] = []

    def stop(result: EpochResult) -> bool:
        kept.append(model._parameter_array.copy())
        figures.append(result.val_loss)
        return how == "callback" and result.epoch == 15

    def fail(result: EpochResult) -> None:
        over = len(figures) - 1 - int(np.argmin(figures)) == 4
        if over if how == "patience" else result.epoch == 15:
            raise Stop

    patience = 4 if how == "patience" else 50
    path = tmp_path / "run"
    with pytest.raises(Stop):
        model.fit(
            X,
            noise,
            epochs=200,
            batch_size=20,
            optimizer=pynn.Adam(learning_rate=0.02),
            validation=0.3,
            early_stopping=pynn.EarlyStopping(patience=patience),
            on_epoch=[stop, fail],
            checkpoint=path,
        )
    best = int(np.argmin(figures))
    assert best < len(kept) - 1
    expected = kept[-1] if how == "neither" else kept[best]
    np.testing.assert_array_equal(model._parameter_array, expected)
    np.testing.assert_array_equal(pynn.load(path)._parameter_array, kept[-1])
    assert model.epochs_trained == len(kept)


def test_callbacks_in_turn_and_the_one_that_stops() -> None:
    """All are called, in their order; the epoch at which one returns True is the last."""
    calls: list[tuple[str, int]] = []

    def first(result: EpochResult) -> bool:
        calls.append(("first", result.epoch))
        return result.epoch == 3

    def second(result: EpochResult) -> int:
        calls.append(("second", result.epoch))
        return 1  # not True

    history = build().fit(X, Y, epochs=9, on_epoch=[first, second])
    assert history.epochs == 3
    assert calls == [(name, epoch) for epoch in (1, 2, 3) for name in ("first", "second")]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"patience": 0}, ValueError, "patience must be at least 1, got 0"),
        ({"patience": 1.5}, TypeError, "patience must be an integer, got float 1.5"),
        ({"monitor": "val"}, ValueError, "monitor must be one of 'val_loss', "),
        ({"min_delta": -1}, ValueError, "min_delta must be at least 0"),
        ({"restore_best": 1}, TypeError, "restore_best must be True or False, got int 1"),
    ],
)
def test_wrong_stopping_is_refused(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The error names the argument."""
    with pytest.raises(error) as caught:
        pynn.EarlyStopping(**options)
    assert words in str(caught.value)


def test_regression_has_no_accuracy_to_watch() -> None:
    """The error says what to watch."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    stopping = pynn.EarlyStopping(monitor="val_accuracy")
    with pytest.raises(pynn.ArgumentError, match="does not have; watch val_loss"):
        model.fit(X, X[:, 0], epochs=1, validation=0.2, early_stopping=stopping)


# ------------------------------------------------------------ figures of classes


def test_figures_of_each_class_by_hand() -> None:
    """Outputs are the features; answers 0 0 1 1 2 for labels 0 1 1 1 0."""
    model = pynn.Builder().input(3).dense(3).softmax_cross_entropy().build()
    model.parameters["dense1.weight"][...] = np.eye(3)
    x = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]] * 5
    y = np.array([0, 1, 1, 1, 0])
    figures = model.evaluate(x, y, per_class=True)
    np.testing.assert_array_equal(figures.confusion, [[1, 0, 1], [1, 2, 0], [0, 0, 0]])
    np.testing.assert_array_equal(figures.support, [2, 3, 0])
    np.testing.assert_allclose(figures.precision, [1 / 2, 1, 0])
    np.testing.assert_allclose(figures.recall, [1 / 2, 2 / 3, 0])
    np.testing.assert_allclose(figures.f1, [1 / 2, 4 / 5, 0])
    assert figures[:2] == model.evaluate(x, y)
    assert figures.accuracy == pytest.approx(3 / 5)
    lines = repr(figures).splitlines()
    assert lines[1].split() == ["class", "precision", "recall", "f1", "support"]
    assert lines[3].split() == ["1", "1.0000", "0.6667", "0.8000", "3"]


def test_figures_of_very_many_classes() -> None:
    """The square of their number is no int32; most of the matrix is never touched."""
    last = 46_340
    model = pynn.Builder().input(3).dense(last + 1).softmax_cross_entropy().build()
    weights = model.parameters["dense1.weight"]
    weights[...] = 0.0
    weights[[0, 1, 2], [0, last, last - 1]] = 1.0
    x, y = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]], np.array([0, last, last, 1])
    try:
        figures = model.evaluate(x, y, per_class=True)
    except pynn.OutOfMemoryError as error:
        assert "confusion matrix of 46,341 classes" in str(error)
        pytest.skip("there is no memory for the matrix")
    for label, answer in zip(y, [0, last, last - 1, last], strict=True):
        assert figures.confusion[label, answer] == 1
    assert figures.recall[[0, 1, last]].tolist() == [1.0, 0.0, 0.5]
    assert figures.precision[[0, 1, last]].tolist() == [1.0, 0.0, 0.5]
    assert figures.support[[0, 1, 2, last]].tolist() == [1, 1, 0, 2]


def test_figures_of_more_classes_than_memory() -> None:
    """The error is one of ours, and says what to do."""
    one = np.zeros(1, np.int32)
    with pytest.raises(pynn.OutOfMemoryError, match="evaluate without per_class"):
        ClassEvaluation.of(pynn.Evaluation(1.0, 0.5), one, one, 2**31 - 1)


def test_figures_of_classes_need_classes() -> None:
    """For regression they are refused."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    with pytest.raises(pynn.ArgumentError, match="per_class needs classes"):
        model.evaluate(X, X[:, 0], per_class=True)


def test_divergence_under_a_schedule_names_it() -> None:
    """The message has no figure to give, and says so."""
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build()
    optimizer = pynn.SGD(learning_rate=lambda step: 1e6)
    with pytest.raises(pynn.DivergenceError, match="than that of the schedule"):
        model.fit(X * 100, X[:, 0], epochs=9, batch_size=1, optimizer=optimizer)
