"""Networks of every sort, drawn from a seed, for what must work for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn._network.layers import Layer
from pynn._network.losses import Loss

# Those of this pynn, so that a new one is not forgotten.
# In the order of the builder's methods.
STEPS = list(vars(pynn.LayerBuilder))
ACTIVATIONS = [kind for kind in STEPS if kind in Layer.kinds and kind != "dense"]
LOSSES = [loss for loss in STEPS if loss in Loss.kinds]


def random_network(seed: int, widest: int = 48) -> pynn.Model:
    """A model with up to 6 dense layers, up to that wide, any activations and any loss.

    Its biases are drawn, too; with most seeds there is one activation between dense layers, with
    some there are two or none, or one before the first or after the last.
    """
    rng = np.random.default_rng(seed)
    chain: Any = pynn.Builder().input(int(rng.integers(1, widest + 1)))
    if rng.random() < 0.1:
        chain = add_activation(chain, rng)
    for _ in range(rng.integers(0, 6)):
        chain = chain.dense(
            int(rng.integers(1, widest + 1)), init=str(rng.choice(["he", "xavier"]))
        )
        for _ in range(rng.choice([0, 1, 2], p=[0.1, 0.8, 0.1])):
            chain = add_activation(chain, rng)
    chain = chain.dense(int(rng.integers(1, 13)))
    if rng.random() < 0.2:
        chain = add_activation(chain, rng)
    model: pynn.Model = getattr(chain, LOSSES[seed % len(LOSSES)])().build(seed=seed)
    for name, array in model.parameters.items():
        if name.endswith("bias"):
            array[...] = rng.normal(0, 0.3, array.shape)
    return model


def add_activation(chain: Any, rng: np.random.Generator) -> Any:
    """The chain with one more layer, of any kind but dense."""
    kind = str(rng.choice(ACTIVATIONS))
    arguments = {
        "layer_norm": [rng.uniform(0.001, 0.1)],
        "elu": [rng.uniform(0, 1.5)],
        "leaky_relu": [rng.uniform(0, 1.5)],
        "dropout": [rng.uniform(0, 0.9)],
    }
    return getattr(chain, kind)(*arguments.get(kind, []))


def random_inputs(model: pynn.Model, rows: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Features for it as float32 (rows, inputs), a third of which are 0, and others as uint8."""
    rng = np.random.default_rng(model.inputs)
    floats = rng.normal(size=(rows, model.inputs)).astype(np.float32)
    floats[rng.random(floats.shape) < 1 / 3] = 0
    pixels = rng.integers(0, 256, floats.shape, np.uint8)
    pixels[rng.random(floats.shape) < 1 / 3] = 0
    return floats, pixels


def kinds_in(models: list[pynn.Model]) -> set[str]:
    """The kinds of layers and losses that occur."""
    return {layer.kind for model in models for layer in model._spec.layers} | {
        model._spec.loss.kind for model in models
    }


def unknown_layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    """A layer of a kind that says nothing of how it is exported; known for this test only."""
    monkeypatch.setattr(Layer, "kinds", dict(Layer.kinds))

    class Maxout(Layer):
        kind = "maxout"

    return Maxout()
