"""The losses, their gradients and weights, against the float64 reference and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from boundary import make_network
from reference import SMOOTHING, Reference

import pynn
from pynn._native.data import Data
from pynn._native.network import Network
from pynn._native.workspace import Workspace

ROWS, INPUTS = 45, 9  # rows in several blocks
NAMES = ("smoothed_cross_entropy", "mean_squared_error", "binary_cross_entropy", "poisson")


def make(
    loss: str, layers: list[int | str], seed: int = 0
) -> tuple[Network, Reference, Any, Any, Any]:
    """A network and its reference; parameters, features and answers."""
    smoothed = loss == "smoothed_cross_entropy"
    kind = "softmax_cross_entropy" if smoothed else loss
    options = {"label_smoothing": SMOOTHING} if smoothed else {}
    network = make_network(INPUTS, layers, kind, init="xavier", **options)
    reference = Reference(INPUTS, layers, loss)
    rng = np.random.default_rng(seed)
    parameters = reference.draw_parameters(rng)
    x = rng.normal(size=(ROWS, INPUTS)).astype(np.float32)
    answers: npt.NDArray[Any] = rng.integers(0, network.outputs, ROWS, np.int32)
    if loss == "mean_squared_error":
        answers = rng.normal(size=(ROWS, network.outputs)).astype(np.float32)
    elif loss == "binary_cross_entropy":
        answers = rng.random((ROWS, network.outputs)).round(1).astype(np.float32)
    elif loss == "poisson":
        answers = rng.poisson(2.0, (ROWS, network.outputs)).astype(np.float32)
    return network, reference, parameters, x, answers


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("layers", [[1], [5], [7, "tanh", 3], [20, "gelu", 11, "sigmoid", 600]])
@pytest.mark.parametrize("loss", [*NAMES, "softmax_cross_entropy"])
def test_gradient_and_sums(loss: str, layers: list[int | str], weighted: bool) -> None:
    """Every tensor's gradient, the loss and the right answers are the reference's."""
    network, reference, parameters, x, answers = make(loss, layers)
    weights = None
    if weighted:
        weights = np.random.default_rng(5).random(ROWS).astype(np.float32) * 3
        weights[7] = 0
    data = Data(x, answers, weights)
    gradients, sums = Workspace(network, ROWS).gradient(data, None, ROWS, parameters)
    wide, inputs = parameters.astype(np.float64), x.astype(np.float64)
    expected = reference.gradient(
        wide, inputs, answers, weights=None if weights is None else weights.astype(np.float64)
    )
    for got, wanted in zip(reference.tensors(gradients), reference.tensors(expected), strict=True):
        norm = np.linalg.norm(wanted)
        assert np.linalg.norm(got - wanted) <= 1e-5 * norm + 1e-9
        if layers != [1] or loss not in ("softmax_cross_entropy", "smoothed_cross_entropy"):
            assert norm > 1e-4
    losses = reference.losses(wide, inputs, answers) * (1.0 if weights is None else weights)
    assert sums.loss == pytest.approx(losses.sum(), rel=1e-5, abs=1e-5)
    outputs = reference.forward(wide, inputs)[-1]
    right = 0
    if loss == "binary_cross_entropy":
        right = np.count_nonzero((outputs > 0) == (answers > 0.5))
    elif loss.endswith("cross_entropy"):
        right = np.count_nonzero(outputs.argmax(axis=1) == answers)
    assert (sums.correct, sums.rows) == (right, ROWS)


@pytest.mark.parametrize("loss", NAMES)
def test_reference_agrees_with_finite_differences(loss: str) -> None:
    """The other link: the reference's gradient is the slope of its loss."""
    _, reference, parameters, x, answers = make(loss, [6, "tanh", 3])
    wide, inputs = parameters.astype(np.float64), x.astype(np.float64)
    gradient = reference.gradient(wide, inputs, answers)
    step = 1e-6
    for index in range(reference.parameter_count):
        moved = [wide.copy(), wide.copy()]
        moved[0][index] -= step
        moved[1][index] += step
        low, high = (reference.losses(p, inputs, answers).mean() for p in moved)
        assert gradient[index] == pytest.approx((high - low) / (2 * step), abs=1e-8)
    assert np.linalg.norm(gradient) > 0.01


@pytest.mark.parametrize(
    ("logit", "target", "loss", "gradient"),
    [
        (0.0, 1.0, math.log(2), -0.5),
        (0.0, 0.25, math.log(2), 0.25),
        (1e4, 1.0, 0.0, 0.0),
        (1e4, 0.0, 1e4, 1.0),
        (-1e4, 0.0, 0.0, 0.0),
        (-1e4, 1.0, 1e4, -1.0),
        (-20.0, 0.0, 2.0611536e-9, 2.0611536e-9),
        (math.log(3), 0.0, math.log(4), 0.75),
    ],
)
def test_binary_cross_entropy_by_hand(
    logit: float, target: float, loss: float, gradient: float
) -> None:
    """-t log s(z) - (1 - t) log(1 - s(z)) and s(z) - t, where nothing overflows or is lost."""
    network = make_network(1, [1], "binary_cross_entropy")
    data = Data(np.zeros((1, 1), np.float32), np.array([[target]], np.float32))
    parameters = np.array([0.0, logit], np.float32)
    gradients, sums = Workspace(network, 1).gradient(data, None, 1, parameters)
    assert sums.loss == pytest.approx(loss, rel=1e-6)
    assert gradients[1] == pytest.approx(gradient, rel=1e-6)


@pytest.mark.parametrize(
    ("log_rate", "target", "loss", "gradient"),
    [
        (0.0, 1.0, 0.0, 0.0),
        (0.0, 3.0, 3 * math.log(3) - 2, -2.0),
        (1.0, 0.0, math.e, math.e),
        (-1e4, 0.0, 0.0, 0.0),
        (-1e4, 2.0, 2 * math.log(2) + 19998.0, -2.0),
        (math.log(0.5), 0.25, 0.25 + 0.25 * math.log(0.5), 0.25),
    ],
)
def test_poisson_by_hand(log_rate: float, target: float, loss: float, gradient: float) -> None:
    """exp(z) - t + t (log t - z) and exp(z) - t; of a target 0 only the rate is left."""
    network = make_network(1, [1], "poisson")
    data = Data(np.zeros((1, 1), np.float32), np.array([[target]], np.float32))
    parameters = np.array([0.0, log_rate], np.float32)
    gradients, sums = Workspace(network, 1).gradient(data, None, 1, parameters)
    assert sums.loss == pytest.approx(loss, rel=1e-6, abs=1e-12)
    assert gradients[1] == pytest.approx(gradient, rel=1e-6)


def test_smoothing_of_a_sure_answer() -> None:
    """Logits (1e4, 0), label 0, a share 0.5: the loss is half of half of 1e4, the slope 1/4."""
    network = make_network(1, [2], label_smoothing=0.5)
    data = Data(np.zeros((1, 1), np.float32), np.zeros(1, np.int32))
    parameters = np.array([0, 0, 1e4, 0], np.float32)
    gradients, sums = Workspace(network, 1).gradient(data, None, 1, parameters)
    assert sums.loss == pytest.approx(2500.0)
    np.testing.assert_allclose(gradients[2:], [0.25, -0.25], rtol=1e-6)


# ------------------------------------------------------------ what a user sees


def chain(outputs: int, loss: str, **options: float) -> pynn.Model:
    """A small network with a loss."""
    layers = pynn.Builder().input(3).dense(16, init="xavier").tanh().dense(outputs, init="xavier")
    model: pynn.Model = getattr(layers, loss)(**options).build(seed=1)
    return model


X = np.random.default_rng(2).normal(size=(400, 3)).astype(np.float32)


@pytest.mark.parametrize("flat", [True, False], ids=["(n,)", "(n, 1)"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_regression_of_one_output(flat: bool, dtype: Any) -> None:
    """A function is learnt from targets of either shape; predictions are (n,)."""
    y = (10 * (X[:, 0] * X[:, 1])).round().astype(dtype)
    model = chain(1, "mean_squared_error")
    history = model.fit(
        X,
        y if flat else y[:, None],
        epochs=60,
        batch_size=20,
        optimizer=pynn.Adam(learning_rate=0.02),
    )
    values = model.predict(X)
    assert values.shape == (400,) and values.dtype == np.float32
    assert np.mean((values - y) ** 2) < 0.1 * np.var(y)
    assert history.accuracy == [] and history.val_accuracy == []
    evaluation = model.evaluate(X, y)
    assert math.isnan(evaluation.accuracy)
    assert evaluation.loss == pytest.approx(np.mean((values - y) ** 2.0), rel=1e-4)
    assert "accuracy" not in repr(history)


def test_regression_of_several_outputs() -> None:
    """Predictions are (n, outputs), and probabilities there are none."""
    y = np.stack([X[:, 0] - X[:, 1], X[:, 2] ** 2], axis=1)
    model = chain(2, "mean_squared_error")
    model.fit(
        X, y, epochs=60, batch_size=20, optimizer=pynn.Adam(learning_rate=0.02), validation=(X, y)
    )
    values = model.predict(X)
    assert values.shape == (400, 2)
    assert np.mean((values - y) ** 2) < 0.05 * np.var(y)
    with pytest.raises(pynn.ChainError, match=r"predict_proba needs probabilities.*use predict"):
        model.predict_proba(X)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_counts(dtype: Any) -> None:
    """The rates of counts are learnt, and are what predict gives."""
    rates = np.exp(1.0 + X[:, 0] - 0.5 * X[:, 1])
    y = np.random.default_rng(0).poisson(rates).astype(dtype)
    model = chain(1, "poisson")
    model.fit(X, y, epochs=60, batch_size=20, optimizer=pynn.Adam(learning_rate=0.02))
    found = model.predict(X)
    assert found.shape == (400,) and found.dtype == np.float32
    np.testing.assert_array_equal(found, np.exp(model(X)[:, 0]))
    assert np.median(np.abs(np.log(found / rates))) < 0.2
    deviances = np.where(y > 0, y * np.log(np.maximum(y, 1) / found), 0) - y + found
    assert model.evaluate(X, y).loss == pytest.approx(deviances.mean(), rel=1e-5)
    with pytest.raises(pynn.ChainError, match=r"predict_proba needs probabilities.*use predict"):
        model.predict_proba(X)


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_rates_that_are_no_floats(target: float) -> None:
    """exp(89) is an error, not infinity, and so is its loss; its logarithm can be had."""
    model = pynn.Builder().input(3).dense(2).poisson().build()
    model.parameters["dense1.bias"][...] = 89
    with pytest.raises(pynn.DivergenceError, match=r"not finite: it is exp\(\d\d.*call the"):
        model.predict(X)
    assert np.isfinite(model(X)).all()
    with pytest.raises(pynn.DivergenceError, match="the loss is not finite"):
        model.evaluate(X, np.full((400, 2), target))
    with pytest.raises(pynn.DivergenceError, match="step 1 of 4: the loss is not finite any more"):
        model.fit(X, np.full((400, 2), target), epochs=1)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
def test_several_labels_at_once(dtype: Any) -> None:
    """A yes or no is learnt for each output; accuracy is the share of right ones."""
    y = np.stack([X[:, 0] > 0, X[:, 1] > X[:, 2]], axis=1)
    model = chain(2, "binary_cross_entropy")
    history = model.fit(
        X, y.astype(dtype), epochs=40, batch_size=20, optimizer=pynn.Adam(learning_rate=0.02)
    )
    answers = model.predict(X)
    assert answers.shape == (400, 2) and answers.dtype == bool
    assert np.mean(answers == y) == pytest.approx(model.evaluate(X, y.astype(dtype)).accuracy)
    assert np.mean(answers == y) > 0.97
    assert 0.9 < history.accuracy[-1] <= 1
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-model(X))), atol=1e-6)
    np.testing.assert_array_equal(probabilities > 0.5, answers)


@pytest.mark.parametrize(
    ("loss", "wrong", "error", "words"),
    [
        ("mean_squared_error", np.ones(4), ValueError, "must have shape (5, 2), one value"),
        ("mean_squared_error", np.full((5, 2), np.nan), ValueError, "finite, got nan at [0, 0]"),
        ("mean_squared_error", np.full((5, 2), 1e39), ValueError, "must be finite as float32"),
        ("mean_squared_error", np.array([["a", "b"]] * 5), TypeError, "numbers, got dtype <U1"),
        ("mean_squared_error", [[1.0], [1.0, 2.0]], ValueError, "must have rows of equal lengths"),
        ("binary_cross_entropy", np.full((5, 2), 1.5), ValueError, "[0, 1], got 1.5 at [0, 0]"),
        ("binary_cross_entropy", np.full((5, 2), np.nan), ValueError, "in [0, 1], got nan"),
        ("binary_cross_entropy", np.ones((5, 3)), ValueError, "got (5, 3)"),
        (
            "poisson",
            np.full((5, 2), -1),
            ValueError,
            "at least 0 with poisson, which is for",
        ),
        ("poisson", np.full((5, 2), math.nan), ValueError, "finite, got nan at [0, 0]"),
    ],
)
def test_wrong_targets_are_refused(
    loss: str, wrong: Any, error: type[Exception], words: str
) -> None:
    """The error names the argument, what it needs and what it got."""
    with pytest.raises(error) as caught:
        chain(2, loss).fit(X[:5], wrong, epochs=1)
    assert words in str(caught.value)
    assert str(caught.value).startswith("labels must ")


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 1.0 - 2.0**-24, math.nan])
def test_smoothing_out_of_range_is_refused(smoothing: float) -> None:
    """A share is in [0, 1)."""
    with pytest.raises(
        pynn.ArgumentError, match="label_smoothing must be at least 0 and less than"
    ):
        chain(2, "softmax_cross_entropy", label_smoothing=smoothing)


def test_largest_smoothing_is_taken() -> None:
    """What a float32 tells apart from 1."""
    model = chain(2, "softmax_cross_entropy", label_smoothing=1.0 - 2.0**-23)
    assert model.evaluate(X, (X[:, 0] > 0).astype(np.int64)).loss > 0


def test_smoothing_keeps_a_model_from_being_sure() -> None:
    """With a share of 0.2 the best probabilities of two classes are 0.9, and it is learnt."""
    y = (X[:, 0] > 0).astype(np.int64)
    plain, smooth = (
        chain(2, "softmax_cross_entropy"),
        chain(2, "softmax_cross_entropy", label_smoothing=0.2),
    )
    for model in (plain, smooth):
        model.fit(X, y, epochs=60, batch_size=20, optimizer=pynn.Adam(learning_rate=0.02))
    assert np.median(plain.predict_proba(X).max(axis=1)) > 0.99
    assert 0.85 < np.median(smooth.predict_proba(X).max(axis=1)) < 0.95
    assert "label_smoothing=0.2" in repr(smooth) and "label_smoothing=0.2" in smooth.summary()
