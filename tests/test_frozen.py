"""Frozen layers: training leaves them as they are, files keep them, and explanations show them."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pynn
from pynn._training import checkpoints

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 5)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
CHAIN = pynn.Builder().input(5).dense(6).batch_norm().relu().dense(4).layer_norm().dense(3)
LAYERS = ("dense1", "batch_norm1", "dense2", "layer_norm1", "dense3")

OPTIMIZERS = [
    pynn.SGD(learning_rate=0.1),
    pynn.SGD(momentum=0.9, weight_decay=0.1, max_gradient_norm=0.5),
    pynn.Adam(learning_rate=0.01),
    pynn.AdamW(learning_rate=0.01, weight_decay=0.1),
]


def built() -> pynn.Model:
    return CHAIN.softmax_cross_entropy().build(seed=1)


def train(model: pynn.Model, optimizer: pynn.SGD | pynn.Adam, epochs: int = 1) -> pynn.History:
    return model.fit(X, Y, epochs=epochs, batch_size=16, optimizer=optimizer)


def copied(model: pynn.Model) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.parameters.items()}


def changed(model: pynn.Model, before: dict[str, bytes]) -> set[str]:
    """The layers with a parameter that has changed."""
    return {name.partition(".")[0] for name, bits in copied(model).items() if bits != before[name]}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("frozen", [("dense1",), ("dense2", "batch_norm1"), LAYERS[:4]], ids=str)
def test_frozen_layers_stay_as_they_are(
    optimizer: pynn.SGD | pynn.Adam, frozen: tuple[str, ...]
) -> None:
    """No step, no weight decay, no other running means; all other layers are trained."""
    model = built()
    train(model, optimizer)
    before = copied(model)
    model.freeze(*frozen)
    train(model, optimizer)
    assert changed(model, before) == set(LAYERS) - set(frozen)
    model.unfreeze(*frozen)
    train(model, optimizer)
    assert changed(model, before) == set(LAYERS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_freezing_and_unfreezing_changes_no_bit(optimizer: pynn.SGD | pynn.Adam) -> None:
    """Between two trainings nothing else happens: moments and counts stay."""
    one, other = built(), built()
    for model in (one, other):
        train(model, optimizer)
    one.freeze("all")
    one.unfreeze("all")
    for model in (one, other):
        train(model, optimizer)
    assert copied(one) == copied(other)


def test_layers_are_given_by_name_number_or_all() -> None:
    """Layers without parameters have nothing to freeze."""
    model = built()
    assert model.frozen == ()
    model.freeze(3, 1, "dense2")  # 3 is the ReLU
    assert model.frozen == ("dense1", "dense2")
    model.freeze("all")
    assert model.frozen == LAYERS
    model.unfreeze(6, "dense1")
    assert model.frozen == LAYERS[1:4]
    model.unfreeze("all")
    assert model.frozen == ()


MANY = pynn.Builder().input(1)
for _ in range(13):
    MANY = MANY.dense(1)


@pytest.mark.parametrize(
    ("layers", "error", "words"),
    [
        ((), pynn.ArgumentError, r'freeze needs a layer, as in freeze\("dense1"\), or "all"'),
        (
            ("dense4",),
            pynn.ArgumentError,
            "there is no layer 'dense4'; the layers are dense1, ba",
        ),
        ((0,), pynn.ArgumentError, r"freeze must be in \[1, 6\], got 0"),
        ((7,), pynn.ArgumentError, r"freeze must be in \[1, 6\], got 7"),
        ((1.0,), pynn.ArgumentTypeError, 'the name of a layer such as "dense1", or its number in'),
        ((True,), pynn.ArgumentTypeError, "the name of a layer"),
    ],
    ids=str,
)
def test_wrong_layers_are_refused(
    layers: tuple[str, ...], error: type[Exception], words: str
) -> None:
    """The message says which layers there are, and nothing is frozen."""
    model = built()
    with pytest.raises(error, match=words):
        model.freeze("dense1", *layers) if layers else model.freeze()
    assert model.frozen == ()


def test_of_many_layers_a_message_names_some() -> None:
    """The first and the last."""
    model = MANY.mean_squared_error().build()
    with pytest.raises(pynn.ArgumentError, match=r"dense5, \.\.\., dense9, .*, dense13$"):
        model.unfreeze("dense")


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.fit(X, Y, epochs=1),
        lambda model: model.partial_fit(X, Y),
        lambda model: model.explain(X, Y),
    ],
    ids=["fit", "partial_fit", "explain"],
)
def test_there_must_be_something_to_train(call: Callable[[pynn.Model], object]) -> None:
    """The remedy in the message works."""
    model = built()
    model.freeze("all")
    with pytest.raises(pynn.ArgumentError, match=r'frozen; .* model\.unfreeze\("dense3"\)'):
        call(model)
    assert model.evaluate(X, Y).loss > 0
    model.unfreeze("dense3")
    call(model)


def test_a_closed_model_cannot_be_frozen() -> None:
    """It has no network any more."""
    model = built()
    model.close()
    with pytest.raises(pynn.ClosedError, match="closed"):
        model.freeze("dense1")


def test_a_frozen_batch_norm_has_its_running_means() -> None:
    """The loss of a step of training is then that of evaluation."""
    model = built()
    train(model, OPTIMIZERS[2], epochs=3)
    one = model.evaluate(X, Y).loss
    assert abs(model.explain(X, Y).loss - one) > 1e-3
    model.freeze("batch_norm1")
    assert abs(model.explain(X, Y).loss - one) < 1e-6


# ---------------------------------------------------------------- files and checkpoints


@pytest.mark.parametrize("way", ["file", "pickle"])
def test_frozen_layers_are_saved(tmp_path: Path, way: str) -> None:
    """In a file and in a pickle."""
    model = built()
    model.freeze("dense1", "layer_norm1")
    if way == "file":
        model.save(tmp_path / "a.safetensors")
        again = pynn.load(tmp_path / "a.safetensors")
    else:
        again = pickle.loads(pickle.dumps(model))
    assert again.frozen == ("dense1", "layer_norm1")
    before = copied(again)
    train(again, OPTIMIZERS[0])
    assert changed(again, before) == set(LAYERS) - {"dense1", "layer_norm1"}


def test_a_file_without_frozen_layers_has_no_entry_for_them(tmp_path: Path) -> None:
    """So an older pynn can read it."""
    model = built()
    model.save(tmp_path / "a.safetensors")
    assert b"frozen" not in (tmp_path / "a.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("entry", "words"),
    [("dense1", "must be a list"), ([3], "unknown frozen layer 3"), (["relu1"], "'relu1'")],
    ids=str,
)
def test_damaged_entries_are_refused(entry: object, words: str) -> None:
    """A file may hold anything."""
    spec = built()._engine.spec
    with pytest.raises(ValueError, match=words):
        type(spec).from_dict({**spec.to_dict(), "frozen": entry})


def test_a_resumed_run_has_the_frozen_layers_of_its_callback(tmp_path: Path) -> None:
    """A callback lets more layers be trained from the second epoch on; the run stays the same."""

    def fit(model: pynn.Model, epochs: int) -> pynn.History:
        def thaw(result: pynn.EpochResult) -> None:
            if result.epoch == 1:
                model.unfreeze("dense1")

        return model.fit(
            X, Y, epochs=epochs, batch_size=16, checkpoint=tmp_path / "run", on_epoch=thaw
        )

    model = built()
    model.freeze("dense1", "dense2")
    history = fit(model, 3)
    other = built()
    other.freeze("dense1", "dense2")
    fit(other, 1)
    resumed = pynn.Model.resume(tmp_path / "run")
    assert resumed.frozen == ("dense2",)
    assert fit(resumed, 3).loss == history.loss
    assert copied(resumed) == copied(model)
    assert changed(model, copied(built())) == set(LAYERS) - {"dense2"}


def test_the_run_of_a_checkpoint_cannot_be_changed(tmp_path: Path) -> None:
    """Freezing what is frozen changes nothing, and is allowed."""
    model = built()
    model.freeze("dense1")
    model.fit(X, Y, epochs=1, batch_size=16, checkpoint=tmp_path / "run")
    resumed = pynn.Model.resume(tmp_path / "run")
    resumed.freeze("dense1")
    with pytest.raises(pynn.PynnError, match=r"would change the run .* call fit first"):
        resumed.freeze("dense2")
    resumed.fit(X, Y, epochs=2, batch_size=16, checkpoint=tmp_path / "run")
    resumed.freeze("dense2")
    assert resumed.frozen == ("dense1", "dense2")


def test_going_back_to_a_checkpoint_goes_back_to_its_frozen_layers(tmp_path: Path) -> None:
    """As after a loss that is not finite."""
    model = built()
    model.freeze("dense1")
    model.fit(X, Y, epochs=1, batch_size=16, checkpoint=tmp_path / "run")
    run_id = pynn.Model.resume(tmp_path / "run")._engine.resumed[0].id  # type: ignore[index]
    model.unfreeze("dense1")
    checkpoints.go_back_to(model._engine, tmp_path / "run", run_id)
    assert model.frozen == ("dense1",)


# ---------------------------------------------------------------- what is shown


def test_frozen_layers_are_shown() -> None:
    """In the summary and in repr."""
    model = built()
    assert "frozen" not in model.summary() + repr(model)
    model.freeze("dense1", "batch_norm1")
    assert "1  dense(6, he), frozen  (n, 6)" in model.summary()
    assert repr(model).endswith("111 parameters, 60 frozen)")


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("frozen", [("dense1", "batch_norm1"), ("batch_norm1", "dense3")], ids=str)
def test_explained_steps_have_frozen_layers(
    optimizer: pynn.SGD | pynn.Adam, frozen: tuple[str, ...]
) -> None:
    """The numbers are those of fit, and right; frozen parameters are neither computed nor shown."""
    model = built()
    train(model, optimizer)
    model.freeze(*frozen)
    before, step = copied(model), model.explain(X, Y, optimizer=optimizer)
    trained = {name for name in model.parameters if name.partition(".")[0] not in frozen}
    assert set(step.gradients) == set(step.updates) == trained
    assert "dX" not in step.backward["dense2" if "dense1" in frozen else "dense1"]
    check = step.check()
    assert max(it.error for it in check[:4] if not isinstance(it, int)) < 1e-6
    assert str(step).count("frozen: the step leaves the parameters as they are") == 2
    assert str(step).count("dense2.weight, update") == 1
    assert "batch_norm1.weight, update" not in str(step)
    step.apply()
    assert changed(model, before) == set(LAYERS) - set(frozen)


def test_a_frozen_batch_norm_is_written_out_with_its_running_means() -> None:
    """Forward and backward, in the equations of C."""
    model = built()
    model.parameters["batch_norm1.running_mean"][...] = 0.25
    model.parameters["batch_norm1.running_var"][...] = 4.0
    model.freeze("batch_norm1")
    text = str(model.explain(X, Y).example(0))
    assert "y = weight (x - running_mean) / sqrt(running_var + eps) + bias" in text
    assert re.search(r"    y\d = 1\*\(\S+ - 0\.25\) / sqrt\(4 \+ 1e-05\) \+ 0 = ", text)
    assert "dX = weight dY / sqrt(running_var + eps)" in text
    assert re.search(r"    dx\d = 1\*\S+ / sqrt\(4 \+ 1e-05\) = ", text)
