"""The original Rust library's files: what is read is written back as the same bytes."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from nn_rust_bytes import CHAINS, FIRST, SMALL, build, with_bytes

import pynn
from pynn.formats import nn_rust

pytestmark = pytest.mark.usefixtures("unflushed")


def test_a_file_made_by_hand(path: Path) -> None:
    """Its chain, weights and predictions are those given in the comments."""
    path.write_bytes(SMALL)
    model = nn_rust.load(path, seed=7)
    chain = "2 -> dense(3, he) -> relu -> dense(2, he) -> softmax_cross_entropy"
    assert repr(model) == f"Model({chain}; 17 parameters)"
    assert (model.seed, model.epochs_trained) == (7, 0)
    parameters = {name: array.tolist() for name, array in model.parameters.items()}
    assert parameters == {
        "dense1.weight": [[1, 2, -1], [0, 1, 2]],
        "dense1.bias": [-1, 0, 1],
        "dense2.weight": [[1, 0], [0, 1], [2, -1]],
        "dense2.bias": [0, 1],
    }
    # (3, 1) gives (3 - 1, 6 + 1 + 0, -3 + 2 + 1) = (2, 7, 0), which ReLU leaves as it is;
    # then (2 + 0 + 0, 0 + 7 + 0) + (0, 1) = (2, 8).
    assert model(np.array([[3, 1]], np.float32)).tolist() == [[2, 8]]
    # (-2, 3): (-2 - 1, -4 + 3, 2 + 6 + 1) = (-3, -1, 9), after ReLU (0, 0, 9); (18, -9) + (0, 1).
    assert model(np.array([[-2, 3]], np.float32)).tolist() == [[18, -8]]


def test_a_file_made_by_hand_is_written_again(path: Path) -> None:
    """It is the same, byte for byte."""
    path.write_bytes(SMALL)
    nn_rust.save(nn_rust.load(path), path)
    assert path.read_bytes() == SMALL


@pytest.mark.parametrize("name", CHAINS)
def test_models_there_and_back(path: Path, name: str) -> None:
    """The same chain, parameters to the bit, and the second file is the first."""
    model = build(CHAINS[name])
    nn_rust.save(model, path)
    first = path.read_bytes()
    loaded = nn_rust.load(path)
    assert repr(loaded) == repr(model)
    for key, array in model.parameters.items():
        np.testing.assert_array_equal(array, loaded.parameters[key])
    nn_rust.save(loaded, path)
    assert path.read_bytes() == first
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("value", [-0.0, 1e-45, -3.4028235e38])
def test_odd_numbers_keep_their_bits(path: Path, value: float) -> None:
    """The sign of zero, and the ends of float32."""
    content = with_bytes(FIRST + 13, struct.pack("<f", value))
    path.write_bytes(content)
    nn_rust.save(nn_rust.load(path), path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("chain", "inits"),
    [
        (pynn.Builder().input(2).dense(2).sigmoid().dense(2), ["xavier", "he"]),
        (pynn.Builder().input(2).dense(2, init="xavier").relu().dense(2), ["he", "he"]),
        (pynn.Builder().input(2).dense(2).dense(2).sigmoid(), ["he", "xavier"]),
    ],
)
def test_init_follows_from_the_activation(
    path: Path, chain: pynn.LayerBuilder, inits: list[str]
) -> None:
    """The file does not say it; it is the one that suits the following activation."""
    nn_rust.save(build(chain), path)
    loaded = nn_rust.load(path)
    assert [layer.init for layer in loaded._spec.layers if layer.kind == "dense"] == inits


def test_dropout_is_left_out(path: Path) -> None:
    """The file is that of the chain without dropout, and predicts the same."""
    chain = pynn.Builder().input(3)
    model = build(chain.dropout(0.2).dense(4).relu().dropout(0.5).dense(2))
    nn_rust.save(model, path)
    loaded = nn_rust.load(path)
    assert repr(loaded) == repr(build(chain.dense(4).relu().dense(2)))
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))


def test_a_loaded_model_trains_on(path: Path) -> None:
    """It trains as a model does that was built, with the order that its seed gives."""
    x = np.random.default_rng(2).normal(size=(30, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.uint8)
    path.write_bytes(SMALL)
    model = nn_rust.load(path, seed=3)
    before = model.evaluate(x, y).loss
    model.fit(x, y, epochs=5, batch_size=5)
    assert model.evaluate(x, y).loss < before / 2
    assert model.epochs_trained == 5
