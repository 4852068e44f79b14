"""state_dicts of convolutional networks: what is in them, and what PyTorch makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import random_inputs, random_network
from safetensors.numpy import load_file
from torch_networks import torch_network

import pynn
from pynn.formats import pytorch

CHAIN = (
    pynn.Builder()
    .input((2, 6, 6))
    .conv2d(4, 3, groups=2)
    .batch_norm()
    .relu()
    .max_pool2d(2)
    .conv2d(3, (2, 3))
    .layer_norm()
    .dense(5)
    .batch_norm()
    .dense(3)
    .softmax_cross_entropy()
)
SHAPES = {
    "0.weight": (4, 1, 3, 3),
    "0.bias": (4,),
    **{f"1.{name}": (4,) for name in ("weight", "bias", "running_mean", "running_var")},
    "1.num_batches_tracked": (),
    "4.weight": (3, 4, 2, 3),
    "4.bias": (3,),
    "5.weight": (3, 3, 3),
    "5.bias": (3, 3, 3),
    "7.weight": (5, 27),
    "7.bias": (5,),
    **{f"8.{name}": (5,) for name in ("weight", "bias", "running_mean", "running_var")},
    "8.num_batches_tracked": (),
    "9.weight": (3, 5),
    "9.bias": (3,),
}
X = np.random.default_rng(0).normal(size=(20, 2, 6, 6)).astype(np.float32)
Y = np.arange(20) % 3


@pytest.fixture(scope="module")
def model() -> pynn.Model:
    """Trained for 4 steps, so that the running means are its own."""
    model = CHAIN.build(seed=2)
    model.fit(X, Y, epochs=2, batch_size=10)
    return model


def test_shapes_are_those_of_pytorch(model: pynn.Model, path: Path) -> None:
    """Filters, running means, and how many steps they were trained for, as an integer."""
    pytorch.save(model, path)
    arrays = load_file(path)
    assert {name: array.shape for name, array in arrays.items()} == SHAPES
    assert arrays["1.num_batches_tracked"].dtype == np.int64
    assert arrays["1.num_batches_tracked"] == model.steps_trained == 4
    np.testing.assert_array_equal(arrays["4.weight"], model.parameters["conv2d2.weight"])


def test_what_is_saved_can_be_loaded(model: pynn.Model, path: Path) -> None:
    """It predicts the same bits, also with names given, and without the counts of steps."""
    pytorch.save(model, path)
    arrays = load_file(path)
    counted = {name: array for name, array in arrays.items() if "num_batches" not in name}
    names = ["0", "1", "4", "5", "7", "8", "9"]
    for source, chosen in ((path, None), (path, names), (arrays, names), (counted, None)):
        loaded = pytorch.load(source, CHAIN, names=chosen)
        np.testing.assert_array_equal(loaded(X), model(X))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda arrays: arrays.pop("0.bias"), "Conv2d(..., bias=False) add a tensor of zeros"),
        (lambda arrays: arrays.pop("8.bias"), "BatchNorm1d(..., bias=False) add a tensor of zeros"),
        (lambda arrays: arrays.pop("1.running_var"), "has no tensor 1.running_var"),
        (
            lambda arrays: arrays.update({"4.weight": np.zeros((3, 4, 3, 2), np.float32)}),
            "4.weight has shape (3, 4, 3, 2), and conv2d2.weight needs (3, 4, 2, 3)",
        ),
        (
            lambda arrays: arrays.update({"5.weight": np.zeros(27, np.float32)}),
            "5.weight has shape (27,), and layer_norm1.weight needs (3, 3, 3)",
        ),
        (
            lambda arrays: arrays.update({"3.running_sum": np.zeros(4, np.float32)}),
            "neither weight nor bias nor running_mean nor running_var of a Conv2d or BatchNorm2d",
        ),
    ],
)
def test_what_does_not_fit_is_named(change: Any, words: str, model: pynn.Model, path: Path) -> None:
    """A tensor that is missing, has another shape, or is none of ours."""
    pytorch.save(model, path)
    arrays = load_file(path)
    change(arrays)
    with pytest.raises(pynn.ArgumentError) as caught:
        pytorch.load(arrays, CHAIN)
    assert words in str(caught.value)


@pytest.mark.parametrize("seed", range(2, 122, 3))
def test_pytorch_computes_the_same(seed: int) -> None:
    """A random convolutional network, with its state_dict loaded by PyTorch, and back again."""
    torch = pytest.importorskip("torch")
    model = random_network(seed, scaled=False)
    module = torch_network(torch, model).eval()
    # Those of global_avg_pool are two modules in one place.
    module.load_state_dict(pytorch.state_dict(model))
    x, _ = random_inputs(model, 9)
    images = torch.from_numpy(x).reshape(-1, *model._spec.input_shape)
    expected = module(images).detach().numpy().reshape(9, -1)
    assert np.abs(model(x) - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
    again = pytorch.load(module.state_dict(), _chain(model))
    np.testing.assert_array_equal(again(x), model(x))


def _chain(model: pynn.Model) -> Any:
    """The chain of a model, not yet built."""
    return pynn._builder.FinishedBuilder(model._spec)
