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
OF_IMAGES = ["conv2d", "max_pool2d", "avg_pool2d", "global_avg_pool"]
OF_FEATURES = ["standardize"]
NO_ACTIVATIONS = ("dense", *OF_IMAGES, *OF_FEATURES)
ACTIVATIONS = [kind for kind in STEPS if kind in Layer.kinds and kind not in NO_ACTIVATIONS]
LOSSES = [loss for loss in STEPS if loss in Loss.kinds]


def random_network(seed: int, widest: int = 48, *, scaled: bool = True) -> pynn.Model:
    """A model with any layers and any loss; one of three takes images.

    With `scaled` some models standardize their features, and some their targets.
    Its biases are drawn, too, and so are the running means.
    """
    rng = np.random.default_rng(seed)
    chain = random_images(rng) if seed % 3 == 2 else random_rows(rng, widest)
    drawn = np.random.default_rng([seed, 1])
    chain = standardized(chain, drawn) if scaled else chain
    loss = LOSSES[seed // 3 % len(LOSSES)] if seed % 3 == 2 else LOSSES[seed % len(LOSSES)]
    options = {}
    if loss == "mean_squared_error":
        options["standardize"] = scaled and bool(drawn.integers(2))
    model: pynn.Model = getattr(chain, loss)(**options).build(seed=seed)
    for name, array in model.parameters.items():
        if name.endswith(("bias", "running_mean")):
            array[...] = rng.normal(0, 0.3, array.shape)
        if name.startswith("batch_norm") and name.endswith("weight"):
            array[...] = rng.normal(1, 0.3, array.shape)
        if name.endswith("running_var"):
            array[...] = rng.uniform(0.5, 2, array.shape)
    for name, array in model.parameters.items():
        if name.startswith(("standardize", "targets")):
            array[...] = drawn.uniform(0.25, 1.5, array.shape)
    return model


def standardized(chain: Any, rng: np.random.Generator) -> Any:
    """One chain of four begins with a standardize layer with any options."""
    if rng.random() >= 0.25:
        return chain
    options = {
        "robust": bool(rng.integers(2)),
        "clip": None if rng.random() < 0.5 else float(rng.uniform(0.5, 3)),
        "missing": str(rng.choice(["error", "mean"])),
    }
    layers = pynn.Builder().input(_input(chain)).standardize(**options)._layers
    return pynn.LayerBuilder(chain._input_shape, (*layers, *chain._layers), chain._shape)


def _input(chain: Any) -> Any:
    shape = chain._input_shape
    return shape if len(shape) > 1 else shape[0]


def random_rows(rng: np.random.Generator, widest: int) -> Any:
    """A chain with up to 6 dense layers, up to that wide, without its loss.

    With most seeds there is one activation between dense layers, with some there are two or none,
    or one before the first or after the last.
    """
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
    return chain


def random_images(rng: np.random.Generator) -> Any:
    """A chain of images of up to 4 channels and 12 x 12, without its loss.

    It has up to 3 convolutions, most with a pool, an activation or a batch_norm behind them.
    """
    chain: Any = pynn.Builder().input(tuple(map(int, rng.integers([1, 3, 3], [5, 13, 13]))))
    if rng.random() < 0.2:
        chain = add_pool(chain, rng)
    for number in range(rng.integers(1, 4)):
        chain = add_convolution(chain, rng) if number else add_one_convolution(chain, rng)
        if rng.random() < 0.5:
            chain = chain.batch_norm(eps=rng.uniform(0.001, 0.1))
        for _ in range(rng.choice([0, 1, 2], p=[0.2, 0.7, 0.1])):
            chain = add_activation(chain, rng)
        if rng.random() < 0.5:
            chain = add_pool(chain, rng)
    end = rng.integers(0, 4)
    if end == 0 and len(chain._shape) == 3:
        chain = chain.global_avg_pool()
    return chain if end == 1 else chain.dense(int(rng.integers(1, 9)))


def add_one_convolution(chain: Any, rng: np.random.Generator) -> Any:
    """The chain with a convolution, which fits when one of a few does."""
    longer = chain
    while longer is chain:
        longer = add_convolution(chain, rng)
    return longer


def add_convolution(chain: Any, rng: np.random.Generator) -> Any:
    """The chain with a convolution of any options; or as it is, if these do not fit."""
    groups = int(rng.choice([1, 1, 2, chain._shape[0]]))
    filters = groups * int(rng.integers(1, 5))
    size = tuple(map(int, rng.integers(1, 5, 2))) if rng.random() < 0.3 else int(rng.integers(1, 6))
    padding: Any = ["same", "valid", int(rng.integers(0, 3))][rng.integers(0, 3)]
    options = {"stride": int(rng.choice([1, 1, 2, 3])), "padding": padding, "groups": groups}
    try:
        return chain.conv2d(filters, size, init=str(rng.choice(["he", "xavier"])), **options)
    except pynn.ArgumentError:
        return chain


def add_pool(chain: Any, rng: np.random.Generator) -> Any:
    """The chain with a pool of any options; or as it is, if these do not fit."""
    size = tuple(map(int, rng.integers(1, 6, 2))) if rng.random() < 0.3 else int(rng.integers(1, 6))
    padding = int(rng.integers(0, np.min(size) // 2 + 1))
    kind = str(rng.choice(["max_pool2d", "avg_pool2d"]))
    try:
        return getattr(chain, kind)(size, stride=int(rng.integers(1, 4)), padding=padding)
    except pynn.ArgumentError:
        return chain


def add_activation(chain: Any, rng: np.random.Generator) -> Any:
    """The chain with one more layer, of any kind that keeps the number of values."""
    kinds = [kind for kind in ACTIVATIONS if kind != "flatten" or rng.random() < 0.2]
    kind = str(rng.choice(kinds))
    arguments = {
        "layer_norm": [rng.uniform(0.001, 0.1)],
        "elu": [rng.uniform(0, 1.5)],
        "leaky_relu": [rng.uniform(0, 1.5)],
        "dropout": [rng.uniform(0, 0.9)],
    }
    return getattr(chain, kind)(*arguments.get(kind, []))


def random_inputs(model: pynn.Model, rows: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Features for it as float32 (rows, inputs), a third of which are 0, and others as uint8.

    Where they may be missing, some are NaN.
    """
    rng = np.random.default_rng(model.inputs)
    floats = rng.normal(size=(rows, model.inputs)).astype(np.float32)
    floats[rng.random(floats.shape) < 1 / 3] = 0
    pixels = rng.integers(0, 256, floats.shape, np.uint8)
    pixels[rng.random(floats.shape) < 1 / 3] = 0
    if model._spec.takes_missing:
        floats[rng.random(floats.shape) < 1 / 5] = np.nan
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
