"""Step.check of convolutional networks: one wrong number is named, and so is a wrong formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_explain_check import changed, largest, spoil, times, with_number

import pynn
from pynn._explain.network64 import Network64
from pynn._explain.reference import layers
from pynn._explain.step import Step
from pynn._network.layers import Layer
from pynn._network.parameters import views

RNG = np.random.default_rng(6)
X = RNG.normal(size=(7, 2, 8, 7)).astype(np.float32)
Y = np.arange(7) % 3


def small() -> Step:
    """The second step of a network with every kind of layer of images."""
    chain: Any = pynn.Builder().input((2, 8, 7)).conv2d(4, 3, stride=2).batch_norm().tanh()
    chain = chain.max_pool2d(2, stride=1).conv2d(6, 3, groups=2).avg_pool2d(2).tanh()
    chain = chain.conv2d(4, 1).global_avg_pool().dense(3)
    model = chain.softmax_cross_entropy().build(seed=3)
    model.explain(X, Y).apply()
    return model.explain(X, Y, optimizer=pynn.Adam())


def test_a_sound_step() -> None:
    """All errors are roundings, also those of bytes that are mostly 0."""
    assert largest(small().check()) < 1e-6
    assert largest(digits(40, seed=3).check()) < 1e-6


def digits(rows: int, seed: int) -> Step:
    """The first step of a network that has a batch_norm and largest values, on noise in bytes."""
    chain: Any = pynn.Builder().input((1, 28, 28)).conv2d(4, 5).batch_norm().relu().max_pool2d(2)
    model = chain.dense(10).softmax_cross_entropy().build(seed=seed)
    noise = np.random.default_rng(seed).random((rows, 28, 28))
    pixels = np.where(noise < 0.2, 200, 0).astype(np.uint8)
    return model.explain(pixels, (np.arange(rows) + seed) % 10)


@pytest.mark.parametrize("seed", [22, 24, 34])
def test_rounding_of_all_layers_is_known(seed: int) -> None:
    """A value near 0, which rounding changes much, may stand below one of thousands of weights.

    In the first two networks another value may become the largest of a window as well: the rounding
    of the other values counts all the same. The third one needs more than a few random roundings.
    """
    assert largest(digits(1, seed).check()) < 1e-6


NUMBERS = [
    ("forward", "conv2d1", "Y", (2, 3, 1, 2)),
    ("forward", "batch_norm1", "Y", (0, 1, 2, 3)),
    ("forward", "max_pool2d1", "Y", (6, 2, 0, 0)),
    ("forward", "avg_pool2d1", "Y", (3, 5, 0, 0)),
    ("forward", "global_avg_pool1", "Y", (4, 1)),
    ("backward", "conv2d1", "dW", (3, 1, 2, 0)),
    ("backward", "conv2d2", "db", (4,)),
    ("backward", "batch_norm1", "dweight", (2,)),
]


@pytest.mark.parametrize(("way", "layer", "symbol", "index"), NUMBERS)
def test_one_wrong_number_of_a_layer(
    way: str, layer: str, symbol: str, index: tuple[int, ...]
) -> None:
    """It is off by 1, and is named, or what the next layer made of it."""
    found = with_number(small(), way, layer, symbol, index, 1.0).check().layers
    assert found.error > 1e-3
    if way == "backward" or symbol != "Y":
        assert found[1:] == (f"{layer}.{symbol}", index)


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
def test_a_wrong_running_mean(name: str) -> None:
    """It is named among the updates, though no optimizer changed it."""
    step = small()
    start = next(view.offset for view in views(step._captured.spec) if view.name.endswith(name))
    after = spoil(step._captured.after, start + 2, 1.0)
    found = changed(step, after=after).check().updates
    assert found.error > 1e-2
    assert found[1:] == (f"batch_norm1.{name}.after", (2,))


KINDS = ["conv2d", "batch_norm", "max_pool2d", "avg_pool2d", "global_avg_pool"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_value(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The layer is named, and differences disagree with the derivative."""
    step = small()
    times(monkeypatch, layers, "value", Layer.kinds[kind], lambda y: 1.001 * y)
    found = step.check()
    assert found.layers.name.startswith(kind) and found.layers.name.endswith("Y")
    assert min(found.layers.error, found.differences.error) > 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_derivative(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The layer is named, the gradient is off, and differences of the loss say so by themselves."""
    step = small()
    times(
        monkeypatch,
        layers,
        "gradients",
        Layer.kinds[kind],
        lambda found: found | {"dX": 1.001 * found["dX"]},
    )
    found = step.check()
    assert found.layers.name.startswith(kind) and found.layers.name.endswith("dX")
    assert min(found.layers.error, found.gradients.error, found.differences.error) > 1e-5


def test_parameters_that_change_the_largest_value_are_left_out() -> None:
    """Where a weight of nearly 0 changes its sign, the largest value is at another place."""
    chain: Any = pynn.Builder().input((1, 2, 2)).conv2d(1, 1).max_pool2d(2).dense(2)
    model = chain.softmax_cross_entropy().build(seed=3)
    model.parameters["conv2d1.weight"][...] = 1e-5
    found = model.explain(X[:, :1, :2, :2].copy(), Y % 2).check()
    assert found.left_out == 1
    assert largest(found) < 1e-6


@pytest.mark.parametrize(("apart", "taken"), [(1e-6, True), (1e-2, False), (0.0, False)])
def test_of_nearly_equal_values_those_of_c_count(apart: float, taken: bool) -> None:
    """Rounding may make another one the largest of a window, and then another place gets dX."""
    chain: Any = pynn.Builder().input((1, 2, 4)).conv2d(1, 1).max_pool2d(2).dense(2)
    model = chain.softmax_cross_entropy().build(seed=3)
    step = model.explain(X[:1, :1, :2, :4].copy(), Y[:1])
    network = Network64(step._captured)
    values = network.forward(0, network.x)
    ours = np.array([[[[1.0, 1.0 + apart, 5.0, 2.0], [0.5, 0.2, 3.0, 4.0]]]])
    theirs = ours[..., [1, 0, 2, 3]].copy()
    found = network.near([values[0], ours, *values[2:]], [values[0], theirs, *values[2:]])[1]
    np.testing.assert_array_equal(found, theirs if taken else ours)


def test_no_difference_is_taken_of_running_means() -> None:
    """They have no part in a step of training: of 20 numbers 14 are compared."""
    chain: Any = pynn.Builder().input(3).batch_norm().dense(2).softmax_cross_entropy()
    found = chain.build(seed=3).explain(X[:, 0, 0, :3].copy(), Y % 2).check()
    assert (found.compared, found.left_out) == (14, 0)
