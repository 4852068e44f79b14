"""Every gradient of the C library against the NumPy reference, and what training does with it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from boundary import make_network, train
from reference import ACTIVATIONS, ALPHA, EPS, SLOPE, Reference, as_floats, sgd

from pynn._native.data import Data
from pynn._native.network import Network
from pynn._native.workspace import Workspace

# A float32 is rounded by up to 6e-8 of itself. Over sums of a hundred terms and three layers that
# becomes 1e-7 of a tensor's norm, typically, and 1.5e-6 in the worst, where terms cancel.
TOLERANCE = 1e-5
# Where two precisions could take different sides of a kink, nothing can be compared.
KINK_DISTANCE = 1e-5


class Example(NamedTuple):
    """A network in C and its reference, parameters, and rows to compute on."""

    network: Network
    reference: Reference
    parameters: npt.NDArray[np.float32]
    features: npt.NDArray[Any]  # (n, I), uint8 or float32
    labels: npt.NDArray[np.int32]

    @property
    def data(self) -> Data:
        """The features and labels, for C."""
        return Data(self.features, self.labels)


def draw_example(
    inputs: int, layers: Sequence[int | str], rows: int, dtype: str = "float32", seed: int = 0
) -> Example:
    """Random parameters and data with every kink some way off."""
    network, reference = (
        make_network(inputs, layers, slope=SLOPE, alpha=ALPHA, eps=EPS),
        Reference(inputs, layers),
    )
    assert network.parameter_count == reference.parameter_count
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, attempt])
        parameters = reference.draw_parameters(rng)
        if dtype == "uint8":
            features: npt.NDArray[Any] = rng.integers(0, 256, (rows, inputs), dtype=np.uint8)
        else:
            features = rng.normal(size=(rows, inputs)).astype(np.float32)
        kinks = reference.kinks(parameters.astype(np.float64), as_floats(features))
        if np.abs(kinks).min(initial=1) > KINK_DISTANCE:
            break
    labels = rng.integers(0, network.outputs, rows, dtype=np.int32)
    return Example(network, reference, parameters, features, labels)


def assert_close(
    reference: Reference, actual: npt.NDArray[np.float32], expected: npt.NDArray[np.float64]
) -> None:
    """Every tensor agrees, in relation to its own norm; none is without a gradient."""
    for got, wanted in zip(reference.tensors(actual), reference.tensors(expected), strict=True):
        norm = np.linalg.norm(wanted)
        assert np.isfinite(got).all()
        assert norm > 1e-4
        assert np.linalg.norm(got - wanted) <= TOLERANCE * norm


def assert_gradient_is_reference(
    example: Example, rows: npt.NDArray[np.uint32] | None, count: int
) -> None:
    """Gradient, loss and correct predictions over some rows are the reference's."""
    workspace = Workspace(example.network, count)
    gradients, sums = workspace.gradient(example.data, rows, count, example.parameters)
    chosen = np.arange(count) if rows is None else rows
    x, labels = as_floats(example.features)[chosen], example.labels[chosen]
    parameters = example.parameters.astype(np.float64)
    assert_close(example.reference, gradients, example.reference.gradient(parameters, x, labels))
    losses = example.reference.losses(parameters, x, labels)
    logits = example.reference.forward(parameters, x)[-1]
    assert sums.loss == pytest.approx(losses.sum(), rel=TOLERANCE)
    assert (sums.correct, sums.rows) == ((logits.argmax(axis=1) == labels).sum(), count)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("batch", [1, 2, 7, 64, 129])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(), (17,), (64, 10)], ids=["1 dense", "2 dense", "3 dense"])
def test_gradient(hidden: tuple[int, ...], activation: str, batch: int, dtype: str) -> None:
    """Depths, activations, batches and types of features, on the first rows and on chosen ones."""
    layers: list[int | str] = [layer for width in hidden for layer in (width, activation)]
    layers.append(3)
    example = draw_example(10, layers, batch + 5, dtype, seed=1)
    rows = np.random.default_rng(2).integers(0, batch + 5, batch, dtype=np.uint32)
    assert_gradient_is_reference(example, None, batch)
    assert_gradient_is_reference(example, rows, batch)


@pytest.mark.parametrize("outputs", [3, 10, 17, 64])
@pytest.mark.parametrize("hidden", [1, 3, 17, 64])
@pytest.mark.parametrize("inputs", [1, 3, 10, 17, 64])
def test_gradient_of_widths(inputs: int, hidden: int, outputs: int) -> None:
    """All combinations of narrow, odd and round widths."""
    example = draw_example(inputs, [hidden, "tanh", outputs], 33, seed=3)
    assert_gradient_is_reference(example, None, 33)


def test_gradient_of_wide_layer_norm() -> None:
    """Columns and a batch that are cut into several tasks and sums, the last ones smaller."""
    example = draw_example(20, [300, "layer_norm", "tanh", 5], 517, seed=15)
    assert_gradient_is_reference(example, None, 517)


def test_gradient_of_large_layers() -> None:
    """Layers and a batch that are cut into several tasks, the last of which are smaller."""
    example = draw_example(201, [150, "tanh", 130, "sigmoid", 10], 257, "uint8", seed=14)
    assert_gradient_is_reference(example, None, 257)


@pytest.mark.parametrize(
    "layers",
    [
        ["relu", 5, "tanh", 3],
        ["sigmoid", "tanh", 5, "relu", 3],
        [5, "relu", 3, "sigmoid"],
        [5, "tanh", "sigmoid", 3],
        [5, "relu", "tanh", 4, "sigmoid", "sigmoid", "tanh", 3],
        [5, 4, 3],
        [6, "tanh", 5, "relu", 4, "sigmoid", 3],
        [5, "layer_norm", "tanh", 3],
        ["layer_norm", 5, "layer_norm", 3, "layer_norm"],
        ["relu", "layer_norm", "layer_norm", "gelu", 4, "layer_norm", "sigmoid", 3],
        [40, "layer_norm", "relu", 150, "layer_norm", "sigmoid", 3],
        ["gelu", 6, "gelu", "leaky_relu", 5, "relu", "gelu", "gelu", 3, "leaky_relu"],
        # each before layers that overwrite their inputs, where the layer before allows it
        *([6, activation, "tanh", 5, activation, "sigmoid", 3] for activation in ACTIVATIONS),
    ],
    ids=lambda layers: "-".join(map(str, layers)),
)
def test_gradient_of_unusual_chains(layers: list[int | str]) -> None:
    """Activations first, last, in a row and mixed; dense layers in a row."""
    example = draw_example(10, layers, 9, seed=4)
    assert_gradient_is_reference(example, None, 9)


def test_gradient_by_hand() -> None:
    """A network of 2 inputs and 2 classes with figures that can be checked on paper.

    W = [[1, 0], [0, 1/2]], b = (0, 0), two rows:

    x = (1, 2), label 0: logits (1, 1), softmax (1/2, 1/2), loss log 2, dz = (-1/2, 1/2);
        x^T dz = [[-1/2, 1/2], [-1, 1]].
    x = (log 3, 0), label 1: logits (log 3, 0), softmax (3/4, 1/4), loss log 4, dz = (3/4, -3/4);
        x^T dz = [[3/4 log 3, -3/4 log 3], [0, 0]].

    The gradient is the mean of both: dW[0] = 3/8 log 3 - 1/4 = 0.161979608 and its negative,
    dW[1] = (-1/2, 1/2), db = (1/8, -1/8). Only the first row is right: of equal
    logits the first counts.
    """
    network = make_network(2, [2], slope=SLOPE, alpha=ALPHA, eps=EPS)
    parameters = np.array([1, 0, 0, 0.5, 0, 0], np.float32)
    x = np.array([[1, 2], [np.log(3), 0]], np.float32)
    data = Data(x, np.array([0, 1], np.int32))
    gradients, sums = Workspace(network, 2).gradient(data, None, 2, parameters)
    expected = [0.161979608, -0.161979608, -0.5, 0.5, 0.125, -0.125]
    np.testing.assert_allclose(gradients, expected, rtol=0, atol=2e-7)
    assert sums.loss == pytest.approx(np.log(8), abs=5e-7)
    assert (sums.correct, sums.rows) == (1, 2)


def test_sgd_step_by_hand() -> None:
    """The same rows in one step at learning rate 1/2: p - dp / 2."""
    network = make_network(2, [2], slope=SLOPE, alpha=ALPHA, eps=EPS)
    parameters = np.array([1, 0, 0, 0.5, 0, 0], np.float32)
    x = np.array([[1, 2], [np.log(3), 0]], np.float32)
    data = Data(x, np.array([0, 1], np.int32))
    sums = train(Workspace(network, 2), data, None, 2, 0, 1, 0.5, parameters)
    expected = [0.919010196, 0.080989804, 0.25, 0.25, -0.0625, 0.0625]
    np.testing.assert_allclose(parameters, expected, rtol=0, atol=2e-7)
    assert sums.loss == pytest.approx(np.log(8), abs=5e-7)
    assert (sums.correct, sums.rows) == (1, 2)


@pytest.mark.parametrize(
    "logits",
    [
        (1e4, -1e4, 0.0),
        (-1e4, 1e4, 1e4 - 1),
        (1e4, 1e4 - 1, 1e4 - 2),
        (1e4, 1e4, 1e4),
        (-1e4, -1e4, -1e4),
        (0.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_extreme_logits(logits: tuple[float, ...], label: int) -> None:
    """Huge, nearly equal and equal logits: loss and gradient are finite and right.

    The weights are the logits and the input is 1, so that float32 has them exactly. The bound is
    absolute, some roundings of the largest entry of softmax - onehot, which is 1.
    """
    network, reference = make_network(1, [3], slope=SLOPE, alpha=ALPHA, eps=EPS), Reference(1, [3])
    parameters = np.array([*logits, 0, 0, 0], np.float32)
    x, labels = np.ones((1, 1), np.float32), np.array([label], np.int32)
    workspace = Workspace(network, 1)
    data = Data(x, labels)
    gradients, sums = workspace.gradient(data, None, 1, parameters)
    wide = parameters.astype(np.float64)
    expected = reference.gradient(wide, x.astype(np.float64), labels)
    np.testing.assert_allclose(gradients, expected, rtol=0, atol=3e-7)
    loss = reference.losses(wide, x.astype(np.float64), labels)[0]
    assert sums.loss == pytest.approx(loss, rel=1e-6, abs=1e-6)
    assert sums.correct == (np.argmax(logits) == label)
    assert workspace.evaluate(data, 0, 1, parameters) == sums


def test_one_class_has_no_gradient() -> None:
    """With a single class softmax is 1: no loss, no gradient, every prediction right."""
    example = draw_example(3, [4, "tanh", 1], 7)
    workspace = Workspace(example.network, 7)
    gradients, sums = workspace.gradient(example.data, None, 7, example.parameters)
    assert not gradients.any()
    assert sums[:3] == (0.0, 7, 7)


def test_saturated_activations_stay_finite() -> None:
    """Pre-activations of +-1e4 give sigmoid and tanh a slope of 0, not NaN."""
    for activation in ("sigmoid", "tanh"):
        network = make_network(1, [2, activation, 3], slope=SLOPE, alpha=ALPHA, eps=EPS)
        parameters = np.array([1e4, -1e4, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0], np.float32)
        data = Data(np.ones((1, 1), np.float32), np.zeros(1, np.int32))
        gradients, sums = Workspace(network, 1).gradient(data, None, 1, parameters)
        assert np.isfinite(gradients).all()
        assert np.isfinite(sums.loss)
        assert not gradients[:4].any()
        assert np.linalg.norm(gradients[4:]) > 0.1


def test_relu_has_no_gradient_at_zero() -> None:
    """At its kink ReLU has slope 0, as everywhere in the field."""
    network = make_network(1, [1, "relu", 2], slope=SLOPE, alpha=ALPHA, eps=EPS)
    parameters = np.array([0, 0, 1, -1, 0, 0], np.float32)
    data = Data(np.ones((1, 1), np.float32), np.zeros(1, np.int32))
    gradients, _ = Workspace(network, 1).gradient(data, None, 1, parameters)
    np.testing.assert_array_equal(gradients, [0, 0, 0, 0, -0.5, 0.5])


def test_uint8_is_read_as_fractions() -> None:
    """Bytes give the gradient that float32 features of value / 255 give."""
    example = draw_example(17, [10, "sigmoid", 3], 20, "uint8")
    fractions = (example.features / 255.0).astype(np.float32)
    workspace = Workspace(example.network, 20)
    bytes_, _ = workspace.gradient(example.data, None, 20, example.parameters)
    floats, _ = workspace.gradient(Data(fractions, example.labels), None, 20, example.parameters)
    np.testing.assert_allclose(bytes_, floats, rtol=0, atol=1e-6 * np.linalg.norm(floats))


def test_gradient_depends_on_its_arguments_alone() -> None:
    """Earlier batches, room to spare and how rows are named leave no trace in the bits."""
    example = draw_example(17, [64, "relu", 10, "tanh", 3], 64, seed=5)
    exact = Workspace(example.network, 7)
    first, first_sums = exact.gradient(example.data, None, 7, example.parameters)
    roomy = Workspace(example.network, 64)
    roomy.gradient(example.data, None, 64, example.parameters)
    for rows in (None, np.arange(7, dtype=np.uint32)):
        again, sums = roomy.gradient(example.data, rows, 7, example.parameters)
        np.testing.assert_array_equal(again, first)
        assert sums == first_sums


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("batch_size", [1, 4, 10, 21, 22])
def test_epoch_is_reference_training(batch_size: int, dtype: str) -> None:
    """An epoch over 21 rows, the last partial batch included, ends where the reference's does."""
    example = draw_example(10, [17, "tanh", 10, "sigmoid", 3], 21, dtype, seed=6)
    order = np.random.default_rng(7).permutation(21).astype(np.uint32)
    steps = -(-21 // batch_size)
    parameters = example.parameters.copy()
    workspace = Workspace(example.network, batch_size)
    sums = train(workspace, example.data, order, batch_size, 0, steps, 0.1, parameters)
    start = example.parameters.astype(np.float64)
    expected = list(
        example.reference.train(
            start, as_floats(example.features), example.labels, order, batch_size, sgd(0.1)
        )
    )
    assert len(expected) == steps
    assert sums.rows == 21
    assert sums.loss == pytest.approx(sum(losses.sum() for _, losses in expected), rel=TOLERANCE)
    tensors = map(example.reference.tensors, (start, parameters, expected[-1][0]))
    for before, got, wanted in zip(*tensors, strict=True):
        moved = np.linalg.norm(wanted - before)
        rounding = 2.0**-24 * np.linalg.norm(wanted)  # of float32 parameters, once a step
        assert moved > 1e-3
        assert np.linalg.norm(got - wanted) <= TOLERANCE * moved + steps * rounding


def test_last_partial_batch_is_a_mean_over_its_rows() -> None:
    """Step 2 of ten rows in batches of four moves the parameters by the gradient of two rows."""
    example = draw_example(10, [17, "relu", 3], 10, seed=8)
    order = np.random.default_rng(9).permutation(10).astype(np.uint32)
    workspace = Workspace(example.network, 4)
    gradients, gradient_sums = workspace.gradient(example.data, order[8:], 2, example.parameters)
    parameters = example.parameters.copy()
    sums = train(workspace, example.data, order, 4, 2, 3, 0.25, parameters)
    assert sums == gradient_sums
    assert sums.rows == 2
    expected = example.parameters - np.float32(0.25) * gradients
    np.testing.assert_allclose(parameters, expected, rtol=0, atol=5e-7)
    assert np.abs(parameters - example.parameters).max() > 1e-3


def test_many_steps_are_step_by_step() -> None:
    """One call for an epoch, a call a step, and a cut in between give the same bits and sums."""
    example = draw_example(17, [64, "relu", 10, "tanh", 3], 50, "uint8", seed=10)
    order = np.random.default_rng(11).permutation(50).astype(np.uint32)
    workspace = Workspace(example.network, 8)
    results = []
    for cuts in ([0, 7], [0, 1, 2, 3, 4, 5, 6, 7], [0, 3, 3, 7]):
        parameters = example.parameters.copy()
        runs = [
            train(workspace, example.data, order, 8, first, last, 0.1, parameters)
            for first, last in itertools.pairwise(cuts)
        ]
        totals = [sum(column) for column in zip(*(run[:3] for run in runs), strict=True)]
        results.append((parameters, totals))
    (whole, (loss, correct, rows)), *others = results
    assert rows == 50
    assert not np.array_equal(whole, example.parameters)
    for parameters, totals in others:
        np.testing.assert_array_equal(parameters, whole)
        assert totals == [pytest.approx(loss, rel=1e-12), correct, rows]


def test_order_none_is_ascending() -> None:
    """Without an order rows are taken as they come."""
    example = draw_example(10, [17, "relu", 3], 10, seed=12)
    workspace = Workspace(example.network, 4)
    plain, ordered = example.parameters.copy(), example.parameters.copy()
    plain_sums = train(workspace, example.data, None, 4, 0, 3, 0.1, plain)
    order = np.arange(10, dtype=np.uint32)
    assert train(workspace, example.data, order, 4, 0, 3, 0.1, ordered) == plain_sums
    np.testing.assert_array_equal(plain, ordered)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("max_batch", [1, 7, 40])
def test_evaluate_and_predict(max_batch: int, dtype: str) -> None:
    """Losses, predictions, logits and probabilities of rows 3 to 31, in parts of any size."""
    example = draw_example(10, [17, "relu", 10], 33, dtype, seed=13)
    workspace = Workspace(example.network, max_batch)
    parameters = example.parameters.astype(np.float64)
    x, labels = as_floats(example.features)[3:31], example.labels[3:31]
    logits = example.reference.forward(parameters, x)[-1]
    sums = workspace.evaluate(example.data, 3, 31, example.parameters)
    losses = example.reference.losses(parameters, x, labels)
    assert sums.loss == pytest.approx(losses.sum(), rel=TOLERANCE)
    assert (sums.correct, sums.rows) == ((logits.argmax(axis=1) == labels).sum(), 28)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    for probabilities, expected in ((False, logits), (True, softmax)):
        out = np.full((28, 10), np.nan, np.float32)
        workspace.predict(example.data, 3, 31, example.parameters, out, probabilities=probabilities)
        np.testing.assert_allclose(out, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("outputs", [1, 16, 19])
def test_bias_gradient_of_a_huge_batch(outputs: int) -> None:
    """The mean of so many equal values: as floats added one by one it would be off by 1e-3."""
    rows = 1 << 17
    network = make_network(1, [outputs], "mean_squared_error")
    targets = np.full((rows, outputs), -0.05, np.float32)
    data = Data(np.zeros((rows, 1), np.float32), targets)
    workspace = Workspace(network, rows)
    gradients, _ = workspace.gradient(data, None, rows, network.new_parameters())
    np.testing.assert_allclose(gradients[outputs:], 0.1 / outputs, rtol=256 * 2**-24)
