"""Dropout: its random numbers, its gradient, and that it is for training alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from boundary import make_network, train
from reference import Reference

import pynn
from pynn._native.data import Data
from pynn._native.library import ffi, lib
from pynn._native.state import State
from pynn._native.workspace import Workspace

ffi, lib = ffi, lib
SEED = 2**63 + 12345


def draw_mask(step: int, layer: int, rate: float, first: int, count: int) -> npt.NDArray[Any]:
    """Factors that the library draws."""
    mask = np.full(count + 1, 42, np.float32)
    pointer = ffi.from_buffer("float[]", mask)
    lib.pynn_dropout_mask(SEED, step, layer, rate, first, count, pointer)
    assert mask[count] == 42
    return mask[:count]


def words(step: int, layer: int, first: int, count: int) -> npt.NDArray[np.uint64]:
    """The words of the stream that pynn.h names, from single blocks of Philox."""
    stream, begin = 2**62 + step, (layer << 44) + first
    out, drawn = ffi.new("uint32_t[4]"), []
    for word in range(begin, begin + count):
        counter = [word // 4 % 2**32, word // 4 >> 32, stream % 2**32, stream >> 32]
        lib.pynn_philox4x32(counter, [SEED % 2**32, SEED >> 32], out)
        drawn.append(out[word % 4])
    return np.array(drawn, np.uint64)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.999])
@pytest.mark.parametrize(
    ("step", "layer", "first", "count"),
    [(0, 0, 0, 200), (5, 3, 1, 64), (2**40, 4095, 63, 130), (1, 1, 2**43 + 2, 3), (7, 2, 0, 0)],
)
def test_masks_are_those_of_the_words(
    rate: float, step: int, layer: int, first: int, count: int
) -> None:
    """A value is dropped where its word is among the lowest; the vector code has the same words."""
    dropped = words(step, layer, first, count) < np.uint64(float(np.float32(rate)) * 2**32)
    expected = np.where(dropped, 0, 1 / (np.float32(1) - np.float32(rate))).astype(np.float32)
    np.testing.assert_array_equal(draw_mask(step, layer, rate, first, count), expected)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_share_of_dropped_values(rate: float) -> None:
    """Of 100,000 values about the rate is dropped, and the mean stays 1."""
    mask = draw_mask(3, 1, rate, 0, 100_000)
    deviation = math.sqrt(rate * (1 - rate) / 100_000)
    assert abs(np.mean(mask == 0) - rate) < 5 * deviation
    assert abs(mask.mean() - 1) < 5 * deviation / (1 - rate)


LAYERS: list[list[int | str]] = [
    [6, "dropout", 4],
    [7, "relu", "dropout", 5, "dropout", 3],
    ["dropout", 8, "tanh", 3],
    ["dropout", "dropout", 8, "sigmoid", "dropout", "dropout", 3],
    [300, "gelu", "dropout", 130, "leaky_relu", "dropout", 3],
    [5, "dropout", "tanh", 3, "dropout"],
]


@pytest.mark.parametrize("rows", [1, 33, 200])
@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_gradient_with_dropped_values(layers: list[int | str], rows: int) -> None:
    """A step at rate 1 is the reference's gradient with the same factors."""
    inputs = 150
    network = make_network(inputs, layers, slope=0.0625, rate=0.4)
    reference = Reference(inputs, layers)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, inputs)).astype(np.float32)
    labels = rng.integers(0, 3, rows, np.int32)
    before = reference.draw_parameters(rng)
    parameters, state = before.copy(), State(SEED, 11)
    workspace = Workspace(network, rows)
    data = Data(x, labels)
    sums = train(workspace, data, None, rows, 0, 1, 1.0, parameters, state=state)
    assert state.step == 12

    masks, width = {}, inputs
    for number, layer in enumerate(layers):
        width = layer if isinstance(layer, int) else width
        if layer == "dropout":
            mask = draw_mask(11, number, 0.4, 0, rows * width).reshape(rows, width)
            masks[number] = mask.astype(np.float64)
    wide = before.astype(np.float64)
    expected = reference.gradient(wide, x.astype(np.float64), labels, masks)
    gradient = before - parameters
    scale = np.abs(before).max()
    for got, wanted in zip(reference.tensors(gradient), reference.tensors(expected), strict=True):
        # The difference of parameters has their rounding.
        assert np.abs(got - wanted).max() < 1e-6 * scale + 1e-5 * np.abs(wanted).max()
    assert np.linalg.norm(expected) > 1e-2
    losses = reference.losses(wide, x.astype(np.float64), labels, masks)
    assert sums.loss == pytest.approx(losses.sum(), rel=1e-5)


def make(rate: float, seed: int = 3) -> pynn.Model:
    """A network that drops."""
    chain = pynn.Builder().input(20).dense(64).relu().dropout(rate).dense(3)
    return chain.softmax_cross_entropy().build(seed=seed)


X = np.random.default_rng(1).normal(size=(300, 20)).astype(np.float32)
Y = (X[:, :3]).argmax(axis=1)


def test_nothing_is_dropped_in_use() -> None:
    """Predictions and evaluations are those of the chain without it, to the bit."""
    model = make(0.5)
    plain = pynn.Builder().input(20).dense(64).relu().dense(3).softmax_cross_entropy().build()
    for name, view in plain.parameters.items():
        view[...] = model.parameters[name]
    np.testing.assert_array_equal(model(X), plain(X))
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert model.evaluate(X, Y) == plain.evaluate(X, Y)


def test_a_rate_of_0_drops_nothing() -> None:
    """Training is that of the chain without it."""
    model = make(0.0)
    plain = pynn.Builder().input(20).dense(64).relu().dense(3).softmax_cross_entropy().build(seed=3)
    history = [each.fit(X, Y, epochs=2, batch_size=32) for each in (model, plain)]
    assert history[0].loss == history[1].loss
    np.testing.assert_array_equal(model(X), plain(X))


def test_dropping_trains_and_differs_from_step_to_step() -> None:
    """It learns; another seed drops others; and steps of one epoch do not drop the same."""
    models = [make(0.3), make(0.3), make(0.3, seed=4), make(0.0)]
    histories = [model.fit(X, Y, epochs=15, batch_size=30) for model in models]
    assert histories[0].loss == histories[1].loss
    assert histories[0].loss != histories[2].loss
    assert histories[0].loss[-1] > histories[3].loss[-1]  # noisier in training
    assert models[0].evaluate(X, Y).accuracy > 0.9
    assert not np.array_equal(draw_mask(0, 2, 0.3, 0, 64), draw_mask(1, 2, 0.3, 0, 64))


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_number_of_threads_changes_no_bit(threads: int) -> None:
    """What is dropped goes by the place in the batch."""
    before = pynn.get_num_threads()
    results = []
    try:
        for count in (1, threads):
            pynn.set_num_threads(count)
            model = pynn.Builder().input(20).dropout(0.1).dense(1200).relu().dropout(0.5).dense(3)
            trained = model.softmax_cross_entropy().build(seed=5)
            trained.fit(X, Y, epochs=1, batch_size=150, optimizer=pynn.Adam(max_gradient_norm=1.0))
            results.append(trained(X))
    finally:
        pynn.set_num_threads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.0 - 2.0**-24, 1.5, math.nan, math.inf])
def test_rate_out_of_range_is_refused(rate: float) -> None:
    """The error names the layer."""
    with pytest.raises(pynn.ArgumentError, match=r"layer 1: dropout rate must be at least 0 and"):
        pynn.Builder().input(3).dropout(rate)


def test_largest_rate_is_taken() -> None:
    """What a float32 tells apart from 1; hardly anything is left, and that is large."""
    model = pynn.Builder().input(3).dropout(1.0 - 2.0**-23).dense(2).softmax_cross_entropy().build()
    assert model.evaluate(np.ones((4, 3), np.float32), np.zeros(4, np.int32)).loss > 0


def test_wrong_type_of_rate_is_refused() -> None:
    """The error says what it got."""
    with pytest.raises(pynn.ArgumentTypeError, match="dropout rate must be a number, got str 'a'"):
        pynn.Builder().input(3).dropout("a")  # type: ignore[arg-type]
