"""The NumPy reference: finite differences of its loss give its gradient, parameter by parameter."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from reference import ACTIVATIONS, Array, Reference, as_floats, sgd, softmax_cross_entropy

Labels = npt.NDArray[Any]

STEP = 1e-5
# A central difference is wrong by about STEP^2 = 1e-10 times a third derivative of order 1, and by
# the loss's rounding over STEP, 1e-11; the gradients below have norms above 1e-2.
TOLERANCE = 1e-7

CHAINS: dict[str, list[int | str]] = {
    "1 dense": [3],
    **{f"2 dense, {activation}": [4, activation, 3] for activation in ACTIVATIONS},
    **{f"3 dense, {activation}": [4, activation, 5, activation, 3] for activation in ACTIVATIONS},
    "mixed": [5, "tanh", 4, "relu", 4, "sigmoid", 3],
    "leaky and gelu": [5, "leaky_relu", 4, "gelu", 3],
    "activation first": ["tanh", 4, "relu", 3],
    "activation last": [4, "relu", 3, "tanh"],
    "activations in a row": [4, "tanh", "sigmoid", 3],
    "dense in a row": [4, 2, 3],
    "layer norm": [5, "layer_norm", "relu", 4, "tanh", "layer_norm", 3],
    "layer norm first and last": ["layer_norm", 4, "relu", 3, "layer_norm"],
    "width 1": [1, "sigmoid", 3],
}


def draw_example(network: Reference, batch: int, seed: int) -> tuple[Array, Array, Labels]:
    """Parameters, features and labels whose kinks are all at least 100 steps away from 0."""
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, attempt])
        parameters = network.draw_parameters(rng).astype(np.float64)
        x = rng.normal(size=(batch, network.inputs))
        if np.abs(network.kinks(parameters, x)).min(initial=1) > 100 * STEP:
            return parameters, x, rng.integers(0, 3, batch)
    raise AssertionError


def central_difference(
    network: Reference, index: int, parameters: Array, x: Array, labels: Labels
) -> float:
    """The slope of the mean loss along one parameter; no kink may lie on the way."""
    sides = []
    for step in (STEP, -STEP):
        moved = parameters.copy()
        moved[index] += step
        assert np.array_equal(network.kinks(moved, x) > 0, network.kinks(parameters, x) > 0)
        sides.append(network.losses(moved, x, labels).mean())
    return float(sides[0] - sides[1]) / (2 * STEP)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("chain", CHAINS)
def test_gradient_is_finite_difference(chain: str, batch: int) -> None:
    """Every parameter's gradient is the slope of the mean loss."""
    network = Reference(3, CHAINS[chain])
    parameters, x, labels = draw_example(network, batch, seed=1)
    gradient = network.gradient(parameters, x, labels)
    slopes = [
        central_difference(network, index, parameters, x, labels)
        for index in range(network.parameter_count)
    ]
    norm = float(np.linalg.norm(gradient))
    assert gradient.shape == (network.parameter_count,)
    assert np.isfinite(gradient).all()
    assert norm > 1e-2
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=TOLERANCE * max(norm, 1.0))


@pytest.mark.parametrize("chain", CHAINS)
def test_no_tensor_is_without_gradient(chain: str) -> None:
    """Weights and biases of every layer take part, so that comparing them means something."""
    network = Reference(3, CHAINS[chain])
    parameters, x, labels = draw_example(network, 5, seed=1)
    for tensor in network.tensors(network.gradient(parameters, x, labels)):
        assert np.linalg.norm(tensor) > 1e-4


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_derivative(name: str) -> None:
    """Derivatives are slopes over a wide range without the kink, and finite far out."""
    x = np.linspace(-20.0, 20.0, 402)
    assert np.abs(x).min() > 100 * STEP
    activation = ACTIVATIONS[name]
    slopes = (activation.value(x + STEP) - activation.value(x - STEP)) / (2 * STEP)
    np.testing.assert_allclose(activation.derivative(x), slopes, rtol=0, atol=1e-9)
    far = np.array([-1e4, 1e4])
    assert np.isfinite(activation.value(far)).all()


def test_activation_values() -> None:
    """Known values: at 0, at log 3, and what ReLU cuts."""
    x = np.array([-np.log(3), 0.0, np.log(3)])
    np.testing.assert_allclose(ACTIVATIONS["sigmoid"].value(x), [0.25, 0.5, 0.75], rtol=1e-15)
    np.testing.assert_allclose(ACTIVATIONS["tanh"].value(x), [-0.8, 0.0, 0.8], rtol=1e-15)
    np.testing.assert_array_equal(ACTIVATIONS["relu"].value(x), [0.0, 0.0, np.log(3)])


def test_softmax_cross_entropy_by_hand() -> None:
    """Logits (log 6, log 3, 0) are probabilities 0.6, 0.3, 0.1; huge and equal ones stay finite."""
    logits = np.array([[np.log(6), np.log(3), 0.0], [1e4, 1e4, 1e4], [1e4, 0.0, -1e4]])
    losses, gradient = softmax_cross_entropy(logits, np.array([1, 2, 2]))
    np.testing.assert_allclose(losses, [-np.log(0.3), np.log(3), 2e4], rtol=1e-14)
    expected = [[0.6, -0.7, 0.1], [1 / 3, 1 / 3, -2 / 3], [1.0, 0.0, -1.0]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


def test_tensors_are_views_in_order() -> None:
    """The flat layout: weights (I, O) row by row, then the bias, layer after layer."""
    network = Reference(2, [3, "relu", 1])
    flat = np.arange(network.parameter_count, dtype=np.float64)
    w0, b0, w1, b1 = network.tensors(flat)
    assert w0.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert b0.tolist() == [6, 7, 8]
    assert w1.tolist() == [[9], [10], [11]]
    assert b1.tolist() == [12]
    b1[0] = -1
    assert flat[12] == -1


def test_train_takes_the_batches_in_order() -> None:
    """Five rows in batches of two: three steps, the last with one row and its own mean."""
    network = Reference(3, CHAINS["2 dense, tanh"])
    parameters, x, labels = draw_example(network, 5, seed=2)
    order = np.array([4, 2, 0, 1, 3])
    steps = list(network.train(parameters, x, labels, order, 2, sgd(0.1)))
    assert [len(losses) for _, losses in steps] == [2, 2, 1]
    for (after, losses), rows in zip(steps, ([4, 2], [0, 1], [3]), strict=True):
        np.testing.assert_array_equal(losses, network.losses(parameters, x[rows], labels[rows]))
        parameters = parameters - 0.1 * network.gradient(parameters, x[rows], labels[rows])
        np.testing.assert_array_equal(after, parameters)


def test_as_floats() -> None:
    """Bytes are fractions of 255, floats are taken as they are, images become rows."""
    images = np.array([[[0, 255], [51, 1]]], np.uint8)
    np.testing.assert_array_equal(as_floats(images), [[0.0, 1.0, 0.2, 1 / 255]])
    np.testing.assert_array_equal(as_floats(np.array([[2.5]], np.float32)), [[2.5]])
