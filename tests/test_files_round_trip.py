"""Model files: what is saved is loaded, by pynn and by others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from model_files import DESCRIPTION, X, Y, build, write
from safetensors.numpy import load_file

import pynn


def test_loaded_model_is_the_saved_one(path: Path) -> None:
    """Chain, parameters to the bit, answers and epochs come back."""
    model = build()
    model.save(path)
    loaded = pynn.load(path)
    assert repr(loaded) == repr(model)
    assert loaded.epochs_trained == 2
    assert loaded.parameters.keys() == model.parameters.keys()
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(
            array.view(np.uint32), loaded.parameters[name].view(np.uint32)
        )
    np.testing.assert_array_equal(model(X), loaded(X))
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38])
def test_odd_floats_survive(value: float, path: Path) -> None:
    """A model that diverged is saved with its values as they are."""
    model = build()
    model.parameters["dense2.weight"][1, 2] = value
    model.save(path)
    expected = np.float32(value).view(np.uint32)
    assert pynn.load(path).parameters["dense2.weight"][1, 2].view(np.uint32) == expected


def test_every_kind_of_layer_comes_back(path: Path) -> None:
    """Each layer has its arguments again: the chain and its predictions are the same."""
    chain = pynn.Builder().input(3).dense(4).leaky_relu(0.3).gelu().dense(5, init="xavier").relu()
    model = chain.sigmoid().tanh().leaky_relu().dense(2).softmax_cross_entropy().build(seed=1)
    model.save(path)
    assert repr(pynn.load(path)) == repr(model)
    np.testing.assert_array_equal(pynn.load(path)(X), model(X))


def test_training_goes_on_where_it_was_saved(path: Path) -> None:
    """Save and load in the middle change no bit of what follows."""
    model = build()
    model.save(path)
    loaded = pynn.load(path)
    for m in (model, loaded):
        m.fit(X, Y, epochs=3, batch_size=4)
    np.testing.assert_array_equal(model(X), loaded(X))
    assert loaded.epochs_trained == 5


def test_loaded_model_is_independent_of_the_file(path: Path) -> None:
    """The file can be overwritten and removed under a loaded model."""
    model = build()
    model.save(path)
    loaded = pynn.load(path)
    path.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    np.testing.assert_array_equal(model(X), loaded(X))


def test_everybody_can_read_the_file(path: Path) -> None:
    """The safetensors library alone gives the parameters and a description in JSON."""
    model = build()
    model.save(path)
    tensors = load_file(path)
    assert tensors.keys() == model.parameters.keys()
    for name, array in model.parameters.items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], array)
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert {name: metadata[name] for name in ("format", "format_version")} == {
        "format": "pynn",
        "format_version": "1",
    }
    assert json.loads(metadata["model"]) == DESCRIPTION
    assert len(metadata) == 3


def test_files_without_a_count_of_steps_are_read(path: Path) -> None:
    """The first files had none."""
    write(path, description={n: v for n, v in DESCRIPTION.items() if n != "steps_trained"})
    assert pynn.load(path).steps_trained == 0


def test_everybody_can_write_the_file(path: Path) -> None:
    """A file made with the safetensors library alone is a model."""
    write(path)
    np.testing.assert_array_equal(pynn.load(path)(X), build()(X))


@pytest.mark.parametrize("as_path", [str, Path, lambda path: os.fspath(path).encode().decode()])
def test_path_may_be_a_string(as_path: Callable[[Path], Any], path: Path) -> None:
    """save and load take a str and a Path."""
    build().save(as_path(path))
    assert pynn.load(as_path(path)).inputs == 3


def test_relative_path_is_in_the_current_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name without a folder works."""
    monkeypatch.chdir(path.parent)
    build().save("here")
    assert pynn.load("here").inputs == 3
    assert os.listdir() == ["here"]


@pytest.mark.parametrize("wrong", [None, 3, b"model"])
def test_what_is_no_path_is_refused(wrong: Any) -> None:
    """The error says what a path is."""
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got"):
        build().save(wrong)
    with pytest.raises(pynn.ArgumentTypeError, match="path must be a str or a Path, got"):
        pynn.load(wrong)
