"""The picture of the worst mistakes: the examples with the largest losses, in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from plotted import CHAIN, overlaps, partly_wrong_model, pixels

import pynn
from pynn import plots

pytest.importorskip("matplotlib")

model = pytest.fixture(partly_wrong_model)


def captioned(figure: Any, height: int, width: int) -> list[tuple[npt.NDArray[Any], str]]:
    """The images of a figure with the words above them."""
    [axes] = figure.axes
    [image] = axes.get_images()
    found = []
    for text in axes.texts:
        middle, bottom = text.get_position()
        top, left = round(bottom + 0.6), round(middle - (width - 1) / 2)
        found.append((pixels(image)[top : top + height, left : left + width], text.get_text()))
    return found


def test_worst_mistakes_are_the_worst(
    model: pynn.Model, examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """They are in the order of their losses, with true class, predicted class and probability."""
    images, labels = examples
    probabilities = model.predict_proba(images).astype(np.float64)
    answers = probabilities.argmax(axis=1)
    losses = -np.log(probabilities[np.arange(len(labels)), labels])
    wrong = [int(k) for k in np.argsort(-losses) if answers[k] != labels[k]]
    assert len(wrong) > 9
    figure = plots.worst_mistakes(model, images, labels, count=9)
    for (tile, words), index in zip(captioned(figure, 4, 5), wrong, strict=False):
        np.testing.assert_array_equal(tile, images[index])
        share = f"{probabilities[index, answers[index]]:.0%}"
        assert words == f"{labels[index]} → {answers[index]}  {share}"
    assert len(captioned(figure, 4, 5)) == 9
    assert figure.get_suptitle().startswith(f"the 9 worst of {len(wrong)} mistakes in 300\n")


@pytest.mark.parametrize("count", [1, 2, 5, 25, 100])
def test_worst_mistakes_can_be_read(
    count: int, examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """The texts can be read however many mistakes there are."""
    images, labels = examples
    figure = plots.worst_mistakes(CHAIN.build(seed=1), images, labels, count=count)
    assert len(captioned(figure, 4, 5)) == count
    assert overlaps(figure) == []


@pytest.mark.parametrize("shape", [(1, 20), (20, 1), (2, 10)])
def test_worst_mistakes_of_any_shape(
    shape: tuple[int, int], examples: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> None:
    """Images may be lines, too."""
    images, labels = examples
    images = images.reshape(-1, *shape)
    figure = plots.worst_mistakes(CHAIN.build(seed=1), images, labels)
    assert len(captioned(figure, *shape)) == 25
    assert overlaps(figure) == []


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_worst_mistakes_in_colour(dtype: str) -> None:
    """Three channels are red, green and blue, on white; one channel is grey as without it."""
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (9, 3, 4, 5), np.uint8)
    if dtype == "float32":
        images = np.divide(images, 255, dtype=np.float32)
    labels = np.arange(9) % 3
    chain = pynn.Builder().input((3, 4, 5)).dense(3).softmax_cross_entropy()
    figure = plots.worst_mistakes(chain.build(seed=1), images, labels)
    tiles = [tile for tile, _ in captioned(figure, 4, 5)]
    assert len(tiles) > 3 and pixels(figure.axes[0].get_images()[0])[0, 0].tolist() == [1, 1, 1]
    colours = images.transpose(0, 2, 3, 1) / (255 if dtype == "uint8" else 1)
    for tile in tiles:
        assert min(np.abs(tile - colour).max() for colour in colours) < 1e-6
    grey = pynn.Builder().input((1, 4, 5)).dense(3).softmax_cross_entropy().build(seed=1)
    figures = [plots.worst_mistakes(grey, x, labels) for x in (images[:, :1], images[:, 0])]
    found = [captioned(figure, 4, 5) for figure in figures]
    for (one, words), (other, same) in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
        assert words == same


def test_losses_beyond_float32_are_in_order() -> None:
    """The order is right even where the true class's probability is 0 as float32."""
    model = pynn.Builder().input(4).dense(2).softmax_cross_entropy().build()
    model.parameters["dense1.weight"][...] = 0
    model.parameters["dense1.weight"][:, 0] = [1, 10, 100, 1000]
    images = np.eye(4, dtype=np.float32).reshape(4, 2, 2) * 1000
    figure = plots.worst_mistakes(model, images, np.ones(4, np.int64))
    assert [int(tile.argmax()) for tile, _ in captioned(figure, 2, 2)] == [3, 2, 1, 0]


def test_no_mistakes() -> None:
    """Without mistakes, or without examples, the figure says so."""
    model = CHAIN.build()
    images = np.zeros((5, 4, 5), np.uint8)
    for count in (5, 0):
        figure = plots.worst_mistakes(model, images[:count], model.predict(images)[:count])
        assert figure.get_suptitle() == f"0 mistakes in {count}"
        assert figure.axes == [] and overlaps(figure) == []


REGRESSION = pynn.Builder().input(20).dense(3).mean_squared_error()


@pytest.mark.parametrize(
    ("chain", "images", "labels", "words"),
    [
        (CHAIN, np.zeros((2, 20), np.uint8), [0, 1], r"\(n, height, width\), or .*, got \(2, 20\)"),
        (CHAIN, np.zeros((2, 5, 2, 2), np.uint8), [0, 1], r"1 or 3 channels, got \(2, 5, 2, 2\)"),
        (CHAIN, np.zeros((2, 4, 5), np.uint8), [0], r"labels must have shape \(2,\)"),
        (CHAIN, np.zeros((2, 4, 5), np.uint8), [0, 3], r"labels must be in \[0, 3\)"),
        (CHAIN, np.zeros((2, 4, 4), np.uint8), [0, 1], r"features must have shape \(n, 20\)"),
        (REGRESSION, np.zeros((2, 4, 5), np.uint8), [0, 1], "it has mean_squared_error"),
    ],
)
def test_worst_mistakes_refuses(
    chain: pynn.FinishedBuilder, images: npt.NDArray[Any], labels: list[int], words: str
) -> None:
    """A model or examples for which a mistake is not defined are refused."""
    with pytest.raises(pynn.ArgumentError, match=words):
        plots.worst_mistakes(chain.build(), images, np.array(labels))


def test_worst_mistakes_needs_a_model_and_a_count() -> None:
    """A count that can be drawn."""
    images = np.zeros((2, 4, 5), np.uint8)
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model"):
        plots.worst_mistakes(None, images, np.zeros(2, int))  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentError, match=r"count must be in \[1, 400\], got 401"):
        plots.worst_mistakes(CHAIN.build(), images, np.zeros(2, int), count=401)
