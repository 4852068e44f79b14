"""Gradients of 200 convolutional networks: finite differences, NumPy in float64, C and PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from random_networks import OF_IMAGES, kinds_in, random_network
from reference_images import ImageReference
from torch_networks import torch_network

import pynn
from pynn._native.data import Data
from pynn._native.network import Network
from pynn._native.workspace import Workspace

SEEDS = range(2, 602, 3)  # of these, random_network() makes networks of images
STEP = 1e-6
TOLERANCE = 1e-5


def without_dropout(seed: int) -> pynn.Model:
    """A random network of images in which nothing is drawn."""
    model = random_network(seed, scaled=False)
    spec = model._spec
    kept = tuple(layer for layer in spec.layers if layer.kind != "dropout")
    same = pynn.Model._create(spec._replace(layers=kept), seed)
    same._engine.parameters[...] = model._engine.parameters
    return same


def draw(
    model: pynn.Model, reference: ImageReference, rows: int, seed: int, distance: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Images and targets with every kink some way off."""
    parameters = model._engine.parameters.astype(np.float64)
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, attempt])
        x = rng.normal(size=(rows, model.inputs)).astype(np.float32)
        targets: Any = rng.uniform(0, 1, (rows, model.outputs)).astype(np.float32)
        if model._spec.loss.has_classes:
            targets = rng.integers(0, model.outputs, rows, dtype=np.int32)
        distances, _ = reference.kinks(parameters, x.astype(np.float64), targets)
        if distances.min(initial=1) > distance * 0.5**attempt:
            return x, targets
    raise AssertionError


def test_every_kind_occurs() -> None:
    """Among the networks is every kind of layer of images."""
    found = kinds_in([random_network(seed, scaled=False) for seed in SEEDS])
    assert {*OF_IMAGES, "batch_norm", "layer_norm", "flatten", "dense"} <= found


@pytest.mark.parametrize("seed", range(2, 92, 3))
def test_reference_is_a_finite_difference(seed: int) -> None:
    """30 parameters of each of 30 networks: their gradients are slopes of the mean loss."""
    model = without_dropout(seed)
    reference = ImageReference(model._spec)
    x, targets = draw(model, reference, 4, seed, 1e-3)
    parameters, features = model._engine.parameters.astype(np.float64), x.astype(np.float64)
    gradient = reference.gradient(parameters, features, targets)
    rng = np.random.default_rng(seed)
    scale = float(np.linalg.norm(gradient))
    assert scale > 1e-4 or model.outputs == 1  # whose probability is always 1
    _, sides = reference.kinks(parameters, features, targets)
    for index in rng.permutation(len(parameters))[:30]:
        losses = []
        for step in (STEP, -STEP):
            moved = parameters.copy()
            moved[index] += step
            if (reference.kinks(moved, features, targets)[1] != sides).any():
                break  # no slope is right where the derivative jumps
            losses.append(reference.forward(moved, features, targets).losses.mean())
        if len(losses) == 2:
            slope = (losses[0] - losses[1]) / (2 * STEP)
            assert abs(slope - gradient[index]) <= 1e-6 * max(1.0, scale)


def assert_close(
    reference: ImageReference, got: npt.NDArray[np.float32], wanted: npt.NDArray[np.float64]
) -> None:
    """Each array agrees in relation to its norm, or, where its terms cancel, to that of all.

    The gradient of a bias in front of a batch_norm, for instance, is 0.
    """
    whole = np.linalg.norm(wanted)
    for view in reference.views:
        ours, theirs = got[view.offset : view.end], wanted[view.offset : view.end]
        error = np.linalg.norm(ours - theirs)
        assert error <= TOLERANCE * max(np.linalg.norm(theirs), 0.1 * whole), view.name
        assert view.trained or not ours.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_of_c_is_that_of_the_reference(seed: int) -> None:
    """Strides, paddings, groups, pools and norms; and the loss, to 1e-5."""
    model = without_dropout(seed)
    reference = ImageReference(model._spec)
    # In a single image a channel may have so few values that batch_norm leaves nothing of them.
    rows = [1, 5, 9, 70][seed % 4] if "batch_norm" not in kinds_in([model]) else 5 + 65 * (seed % 2)
    x, targets = draw(model, reference, rows, seed, 1e-5)
    workspace = Workspace(Network(model._spec), rows)
    got, sums = workspace.gradient(Data(x, targets), None, rows, model._engine.parameters)
    parameters, features = model._engine.parameters.astype(np.float64), x.astype(np.float64)
    losses = reference.forward(parameters, features, targets).losses
    assert sums.loss == pytest.approx(losses.sum(), rel=TOLERANCE)
    assert_close(reference, got, reference.gradient(parameters, features, targets))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_step_is_that_of_pytorch(seed: int) -> None:
    """Parameters and running means after a step of SGD, against PyTorch in float64."""
    torch = pytest.importorskip("torch")
    model = without_dropout(seed)
    reference = ImageReference(model._spec)
    x, targets = draw(model, reference, 6, seed, 1e-5)
    module = torch_network(torch, model).double().train()
    module.load_state_dict(pynn.formats.pytorch.state_dict(model))
    outputs = module(torch.from_numpy(x).double().reshape(-1, *model._spec.input_shape))
    loss = getattr(torch.nn, model._spec.loss.torch_module)()
    wanted = torch.from_numpy(targets)
    loss(outputs.reshape(6, -1), wanted.long() if targets.ndim == 1 else wanted.double()).backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= 0.5 * parameter.grad
    sgd = pynn.SGD(learning_rate=0.5)
    model.fit(x, targets, epochs=1, batch_size=6, shuffle=False, optimizer=sgd)
    theirs = module.state_dict()
    for name, ours in pynn.formats.pytorch.state_dict(model).items():
        size = max(1.0, float(theirs[name].abs().max()))
        assert float((ours - theirs[name]).abs().max()) <= TOLERANCE * size, name
