"""Chains that begin with the layers of a model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pynn

RNG = np.random.default_rng(5)
X = RNG.random((30, 2, 6, 6), np.float32)
Y = RNG.integers(0, 3, 30)


def trained() -> pynn.Model:
    chain = pynn.Builder().input((2, 6, 6)).conv2d(4, 3).batch_norm().relu().max_pool2d(2)
    model = chain.dense(5).tanh().dense(3).softmax_cross_entropy().build(seed=1)
    model.fit(X, Y, epochs=2, batch_size=10, optimizer=pynn.Adam(learning_rate=0.02))
    model.freeze("conv2d1")
    return model


def arrays(model: pynn.Model) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.parameters.items()}


@pytest.mark.parametrize("before", ["dense2", 8])
def test_the_last_layer_is_replaced(before: str | int) -> None:
    """The others keep their parameters; the new one has the initial weights of its seed."""
    model = trained()
    chain = pynn.Builder().from_model(model, before=before).dense(4).mean_squared_error()
    new = chain.build(seed=9)
    old, fresh = arrays(model), model.copy()
    fresh.reset(9)
    for name, bits in arrays(new).items():
        if name.startswith("dense2"):
            assert new.parameters[name].shape[-1] == 4
        else:
            assert bits == old[name]
            assert name.endswith("bias") or bits != arrays(fresh)[name]
    same = pynn.Builder().from_model(model, before=before).dense(3).softmax_cross_entropy()
    assert arrays(same.build(seed=9))["dense2.weight"] == arrays(fresh)["dense2.weight"]
    assert (new.frozen, new.epochs_trained, new.steps_trained, new.seed) == ((), 0, 0, 9)


def test_all_layers_may_be_taken() -> None:
    """With another loss the outputs are those of the model."""
    model = trained()
    same = pynn.Builder().from_model(model).binary_cross_entropy().build()
    assert arrays(same) == arrays(model)
    assert (same(X) == model(X)).all()


def test_names_of_classes_belong_to_the_outputs() -> None:
    """They are kept with all layers; other outputs, or a loss without classes, have none."""
    model = trained()
    model.classes = ["a", "b", "c"]
    chain = pynn.Builder().from_model(model)
    model.classes = None  # the chain has those of its moment
    kept = chain.softmax_cross_entropy(label_smoothing=0.1).build()
    assert kept.classes == ("a", "b", "c")
    assert set(kept.predict(X).tolist()) <= {"a", "b", "c"}
    assert chain.mean_squared_error().build().classes is None
    assert chain.relu().softmax_cross_entropy().build().classes is None
    model.classes = ["a", "b", "c"]
    same = pynn.Builder().from_model(model, before="dense2").dense(3).softmax_cross_entropy()
    assert same.build().classes is None


def test_the_scale_of_targets_belongs_to_the_outputs() -> None:
    """It is kept with all layers and the same loss, so that predictions are the same."""
    chain = pynn.Builder().input((2, 6, 6)).dense(4).dense(1)
    model = chain.mean_squared_error(standardize=True).build()
    model.fit(X, 1e4 + 1e3 * X[:, 0, 0, 0], epochs=1)
    begun = pynn.Builder().from_model(model)
    same = begun.mean_squared_error(standardize=True).build()
    assert (same.predict(X) == model.predict(X)).all()
    assert arrays(same) == arrays(model)
    assert (model(X) == same(X)).all()
    other = begun.relu().mean_squared_error(standardize=True).build()
    assert other.parameters["targets.scale"] == 0.0  # the next fit finds it
    assert "targets.scale" not in begun.mean_squared_error().build().parameters


def test_no_layer_may_be_taken() -> None:
    """Then only the input is the model's."""
    chain = pynn.Builder().from_model(trained(), before=1).conv2d(2, 3).mean_squared_error()
    other = pynn.Builder().input((2, 6, 6)).conv2d(2, 3).mean_squared_error()
    assert arrays(chain.build(seed=2)) == arrays(other.build(seed=2))


def test_a_chain_keeps_the_parameters_of_its_moment() -> None:
    """The model may be trained or closed later; chains and models do not change each other."""
    model = trained()
    before = arrays(model)
    chain = pynn.Builder().from_model(model, before="flatten1")
    model.parameters["conv2d1.weight"][...] = 0.0
    model.close()
    one = chain.dense(2).softmax_cross_entropy().build()
    one.parameters["conv2d1.weight"][...] = 1.0
    two = chain.global_avg_pool().dense(2).mean_squared_error().build()
    for name in ("conv2d1.weight", "conv2d1.bias", "batch_norm1.running_mean"):
        assert arrays(two)[name] == before[name]


def test_the_chain_is_shown_and_pickled() -> None:
    """Its repr is the Python that makes it; copies have the parameters."""
    model = trained()
    chain = pynn.Builder().from_model(model, before="dense2").relu().dense(2)
    text = "Builder().from_model(model, before='dense2').relu().dense(2, init='he')"
    assert repr(chain) == text
    assert repr(chain.mean_squared_error()) == f"{text}.mean_squared_error()"
    assert repr(pynn.Builder().from_model(model)) == "Builder().from_model(model)"
    again = pickle.loads(pickle.dumps(chain.mean_squared_error()))
    assert arrays(again.build(seed=3)) == arrays(chain.mean_squared_error().build(seed=3))


def test_the_new_model_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    """Load, replace, freeze, train."""
    trained().save(tmp_path / "old")
    chain = pynn.Builder().from_model(pynn.load(tmp_path / "old"), before="dense2").dense(2)
    model = chain.softmax_cross_entropy().build(seed=4)
    model.freeze("conv2d1", "batch_norm1", "dense1")
    before = arrays(model)
    history = model.fit(X, Y % 2, epochs=8, optimizer=pynn.Adam(learning_rate=0.05))
    assert history.loss[-1] < history.loss[0]
    model.save(tmp_path / "new")
    after = arrays(pynn.load(tmp_path / "new"))
    assert {name for name in after if after[name] != before[name]} == {
        "dense2.weight",
        "dense2.bias",
    }


@pytest.mark.parametrize(
    ("model", "before", "error", "words"),
    [
        ("relu.safetensors", None, pynn.ArgumentTypeError, "model must be a pynn.Model, as pynn.l"),
        (
            None,
            "dense9",
            pynn.ArgumentError,
            "before: there is no layer 'dense9'; the layers are",
        ),
        (None, 9, pynn.ArgumentError, r"before must be in \[1, 8\], got 9"),
        (None, 2.5, pynn.ArgumentTypeError, "before must be the name of a layer"),
    ],
    ids=["path", "name", "number", "float"],
)
def test_wrong_arguments_are_refused(
    model: Any, before: Any, error: type[Exception], words: str
) -> None:
    """The message says what there is."""
    with pytest.raises(error, match=words):
        pynn.Builder().from_model(model or trained(), before=before)


def test_a_closed_model_has_no_layers_to_take() -> None:
    """It says that it is closed."""
    model = trained()
    model.close()
    with pytest.raises(pynn.ClosedError, match="closed"):
        pynn.Builder().from_model(model)
