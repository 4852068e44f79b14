"""The first ten steps on MNIST, held against PyTorch's: recorded figures, and live ones.

The figures are in parity/pytorch.json, made with PyTorch 2.13.0 for CPUs by

    python tests/parity/record_pytorch.py
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from boundary import make_network, train
from parity.record_pytorch import (
    BATCH_SIZE,
    RECIPES,
    RECORDED,
    STEPS,
    WIDTHS,
    Recipe,
    examples,
    initial_parameters,
    train_with_pytorch,
)
from reference import Reference, as_floats, sgd

from pynn._native.data import Data
from pynn._native.workspace import Workspace

TOLERANCE = 1e-5  # absolute for a mean loss; relative for the norm of a tensor of parameters


def chain(recipe: Recipe) -> list[int | str]:
    """The recipe's layers, as the reference takes them."""
    layers: list[int | str] = []
    for width in WIDTHS[1:-1]:
        layers += [width, recipe.activation]
    return [*layers, WIDTHS[-1]]


def train_with_pynn(recipe: Recipe) -> dict[str, Any]:
    """What train_with_pytorch() gives, from the C library."""
    network = make_network(WIDTHS[0], chain(recipe))
    workspace = Workspace(network, BATCH_SIZE)
    parameters = network.new_parameters()
    parameters[:] = np.concatenate([tensor.ravel() for tensor in initial_parameters()])
    data = Data(*examples())
    sums = [
        train(workspace, data, None, BATCH_SIZE, s, s + 1, recipe.learning_rate, parameters)
        for s in range(STEPS)
    ]
    tensors = Reference(WIDTHS[0], chain(recipe)).tensors(parameters.astype(np.float64))
    return {
        "losses": [s.loss / s.rows for s in sums],
        "norms": [float(np.linalg.norm(tensor)) for tensor in tensors],
    }


def train_with_reference(recipe: Recipe) -> dict[str, Any]:
    """What train_with_pytorch() gives, from the float64 reference."""
    network = Reference(WIDTHS[0], chain(recipe))
    images, labels = examples()
    steps = list(
        network.train(
            np.concatenate([tensor.ravel() for tensor in initial_parameters()]).astype(np.float64),
            as_floats(images),
            labels,
            np.arange(len(labels)),
            BATCH_SIZE,
            sgd(recipe.learning_rate),
        )
    )
    return {
        "losses": [float(losses.mean()) for _, losses in steps],
        "norms": [float(np.linalg.norm(tensor)) for tensor in network.tensors(steps[-1][0])],
    }


def assert_same(figures: dict[str, Any], expected: dict[str, Any]) -> None:
    """Losses and norms agree, and training did something."""
    assert len(figures["losses"]) == STEPS
    np.testing.assert_allclose(figures["losses"], expected["losses"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(figures["norms"], expected["norms"], rtol=TOLERANCE, atol=0)
    assert figures["losses"][-1] < figures["losses"][0] - 0.05


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    """The recorded figures, by recipe."""
    figures: dict[str, Any] = json.loads(RECORDED.read_text())
    return figures


@pytest.mark.parametrize("name", RECIPES)
def test_pynn_agrees_with_recorded_pytorch(name: str, recorded: dict[str, Any]) -> None:
    """The C library's losses are PyTorch's."""
    assert_same(train_with_pynn(RECIPES[name]), recorded[name])


@pytest.mark.parametrize("name", RECIPES)
def test_reference_agrees_with_recorded_pytorch(name: str, recorded: dict[str, Any]) -> None:
    """The reference's losses are PyTorch's, so the C library's own reference is the field's."""
    assert_same(train_with_reference(RECIPES[name]), recorded[name])


@pytest.mark.parametrize("name", RECIPES)
def test_pynn_agrees_with_pytorch(name: str) -> None:
    """The same with the PyTorch that is installed, if one is."""
    pytest.importorskip("torch")
    assert_same(train_with_pynn(RECIPES[name]), train_with_pytorch(RECIPES[name]))
