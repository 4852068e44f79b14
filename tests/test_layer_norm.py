"""Layer normalization: what no other layer is, a layer with parameters that do not decay."""

from __future__ import annotations

import numpy as np
import pytest

import pynn

X = (np.random.default_rng(0).normal(size=(40, 6)) * [1, 10, 100, 1, 1, 1]).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.uint8)


def norm_first(eps: float = 1e-5) -> pynn.Model:
    """A model whose first layer is layer_norm."""
    chain = pynn.Builder().input(6).layer_norm(eps).dense(2)
    return chain.softmax_cross_entropy().build(seed=1)


def normalized(model: pynn.Model, x: np.ndarray) -> np.ndarray:
    """What the first layer makes of x: the dense layer behind it is made to show two columns."""
    model.parameters["dense1.weight"][...] = np.eye(6, 2)
    columns = []
    for first in range(0, 6, 2):
        model.parameters["dense1.weight"][...] = np.eye(6, 2, -first)
        columns.append(model(x))
    return np.concatenate(columns, axis=1)


def test_starts_as_the_identity_of_normalized_values() -> None:
    """Weights are 1 and biases 0, so each row has mean 0 and variance 1."""
    model = norm_first()
    assert (model.parameters["layer_norm1.weight"] == 1).all()
    assert (model.parameters["layer_norm1.bias"] == 0).all()
    rows = normalized(model, X)
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(rows.var(axis=1), 1, rtol=1e-4)


def test_by_hand() -> None:
    """x = (1, 3, 5, 7, 9, 11): mean 6, variance 35/3; with eps 1/3 the divisor is sqrt 12."""
    row = normalized(norm_first(eps=1 / 3), np.array([[1, 3, 5, 7, 9, 11]], np.float32))
    expected = np.array([-5, -3, -1, 1, 3, 5]) / np.sqrt(12)
    np.testing.assert_allclose(row[0], expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize("eps", [1e-5, 1.1754944e-38])
def test_equal_values_give_zeros(eps: float) -> None:
    """The variance is 0, and eps keeps from a division by it, also the least eps."""
    assert (normalized(norm_first(eps), np.full((3, 6), 7, np.float32)) == 0).all()


def test_large_values_keep_their_differences() -> None:
    """Sums of squares beyond a float's range, and a mean far from 0."""
    huge = np.array([[1e30, -1e30, 1e30, -1e30, 1e30, -1e30]], np.float32)
    np.testing.assert_allclose(np.abs(normalized(norm_first(), huge)), 1, rtol=1e-6)
    far = np.array([[1000, 1002, 1000, 1002, 1000, 1002]], np.float32)
    expected = [[-1, 1, -1, 1, -1, 1]]
    np.testing.assert_allclose(normalized(norm_first(), far), expected, rtol=1e-5)


def test_a_mean_between_two_floats() -> None:
    """Near 1e6 floats are 1/16 apart: the mean of a row is none of them, and is not rounded."""
    steps = np.array([[0, 1, 0, 0, 0, 0], [0, 1, 1, 0, 3, 2]], np.float32)
    rows = 1e6 + steps / 16
    wide = rows.astype(np.float64)
    deviation = np.sqrt(wide.var(axis=1, keepdims=True) + 1e-5)
    expected = (wide - wide.mean(axis=1, keepdims=True)) / deviation
    np.testing.assert_allclose(normalized(norm_first(), rows), expected, rtol=0, atol=1e-6)


def test_weights_and_biases_do_not_decay() -> None:
    """Weight decay alone, at a learning rate that moves nothing else far, leaves them."""
    model = norm_first()
    model.parameters["layer_norm1.bias"][...] = 0.5
    before = {name: array.copy() for name, array in model.parameters.items()}
    optimizer = pynn.AdamW(learning_rate=1e-6, weight_decay=1e5)  # 1 - 0.1 a step
    model.fit(X, Y, epochs=1, batch_size=40, optimizer=optimizer)
    after = model.parameters
    np.testing.assert_allclose(after["layer_norm1.weight"], 1, atol=1e-5)
    np.testing.assert_allclose(after["layer_norm1.bias"], 0.5, atol=1e-5)
    np.testing.assert_allclose(after["dense1.weight"], 0.9 * before["dense1.weight"], atol=1e-5)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_change_no_bit(threads: int) -> None:
    """The sums over rows and over columns are cut by their shape alone.

    A batch of 800 rows gives the threads enough to do for the gradient of the parameters, too.
    """
    results = []
    before = pynn.get_num_threads()
    try:
        for count in (1, threads):
            pynn.set_num_threads(count)
            chain = pynn.Builder().input(6).dense(300).layer_norm().relu().dense(2)
            model = chain.softmax_cross_entropy().build(seed=2)
            model.fit(np.repeat(X, 20, axis=0), np.repeat(Y, 20), epochs=2, batch_size=800)
            results.append(model(X).tobytes())
    finally:
        pynn.set_num_threads(before)
    assert results[0] == results[1]


def test_pytorch_gives_the_same() -> None:
    """Outputs and gradients of torch.nn.LayerNorm between two linear layers."""
    torch = pytest.importorskip("torch")
    chain = pynn.Builder().input(6).dense(5).layer_norm(1e-3).dense(2)
    model = chain.softmax_cross_entropy().build(seed=3)
    model.parameters["layer_norm1.weight"][...] = [0.5, 1, 1.5, 2, -1]
    model.parameters["layer_norm1.bias"][...] = [0.1, 0.2, -0.3, 0.4, 0.5]
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.LayerNorm(5, 1e-3), torch.nn.Linear(5, 2)
    )
    names = ["dense1", "layer_norm1", "dense2"]
    with torch.no_grad():
        for name, module in zip(names, theirs, strict=True):
            weight = model.parameters[f"{name}.weight"]
            module.weight[...] = torch.from_numpy(weight.T.copy())
            module.bias[...] = torch.from_numpy(model.parameters[f"{name}.bias"].copy())
    logits = theirs(torch.from_numpy(X))
    np.testing.assert_allclose(model(X), logits.detach().numpy(), rtol=1e-5, atol=1e-5)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(Y.astype(np.int64)))
    loss.backward()
    before = {name: array.copy() for name, array in model.parameters.items()}
    model.fit(X, Y, epochs=1, batch_size=40, optimizer=pynn.SGD(learning_rate=1.0))
    for name, module in zip(names, theirs, strict=True):
        for part in ("weight", "bias"):
            step = before[f"{name}.{part}"] - model.parameters[f"{name}.{part}"]
            gradient = getattr(module, part).grad.numpy().T
            np.testing.assert_allclose(step, gradient, rtol=1e-4, atol=1e-6)
