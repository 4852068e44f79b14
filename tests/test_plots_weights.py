"""The picture of a layer's weights: an image for each unit, on one scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plotted import CHAIN, overlaps, pixels

import pynn
from pynn import plots

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (4, 4), (5, 5), (6, 6), (64, 6)])
def test_weights_are_images(count: int, shown: int) -> None:
    """Each unit's weights stand somewhere as an image, on a scale symmetric about 0."""
    model = CHAIN.build(seed=2)
    figure = plots.weights(model, shape=(4, 5), count=count)
    [image] = figure.axes[0].get_images()
    mosaic = pixels(image)
    matrix = model.parameters["dense1.weight"]
    tiles = [
        mosaic[top : top + 4, left : left + 5]
        for top in range(1, mosaic.shape[0], 5)
        for left in range(1, mosaic.shape[1], 6)
    ]
    for unit, tile in enumerate(tiles):
        if unit < shown:
            np.testing.assert_array_equal(tile, matrix[:, unit].reshape(4, 5))
        else:
            assert np.isnan(tile).all()
    assert np.isfinite(mosaic).sum() == shown * 20
    reach = np.quantile(np.abs(matrix[:, :shown]), 0.995)
    np.testing.assert_allclose(image.get_clim(), (-reach, reach))
    some = f"{shown} of 6" if shown < 6 else "all 6"
    assert figure.get_suptitle() == f"dense1: weights of {some} units"
    assert overlaps(figure) == []


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (2, 200)])
@pytest.mark.parametrize("count", [1, 3, 30])
def test_weights_of_any_shape(shape: tuple[int, int], count: int) -> None:
    """Images may be lines, too."""
    model = pynn.Builder().input(400).dense(30).softmax_cross_entropy().build()
    assert overlaps(plots.weights(model, shape=shape, count=count)) == []


@pytest.mark.parametrize(
    ("channels", "count", "title"),
    [
        (1, 64, "conv2d1: all 6 filters"),
        (1, 4, "conv2d1: 4 of 6 filters"),
        (3, 64, "conv2d1: all 18 images of 6 filters of 3 channels each"),
    ],
)
def test_filters_are_images(channels: int, count: int, title: str) -> None:
    """Of a convolution an image for each channel of each filter, in the shape of the filters."""
    images = pynn.Builder().input((channels, 8, 8)).relu().conv2d(6, (3, 5)).dense(2)
    model = images.softmax_cross_entropy().build(seed=2)
    figure = plots.weights(model, count=count)
    assert figure.get_suptitle() == title
    [image] = figure.axes[0].get_images()
    mosaic, filters = pixels(image), model.parameters["conv2d1.weight"].reshape(-1, 3, 5)
    for number in range(min(count, 2)):
        left = 1 + 6 * number
        np.testing.assert_array_equal(mosaic[1:4, left : left + 5], filters[number])
    assert np.isfinite(mosaic).sum() == min(count, 6 * channels) * 15
    assert overlaps(figure) == []


def test_weights_that_are_all_zero() -> None:
    """They have a scale all the same."""
    model = CHAIN.build()
    model.parameters["dense1.weight"][...] = 0
    [image] = plots.weights(model, shape=(2, 10)).axes[0].get_images()
    assert image.get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, pynn.ArgumentError, "image of 20 pixels, since the model has 20 inputs; got 28 x 28"),
        ({"shape": (4, 4)}, pynn.ArgumentError, "got 4 x 4"),
        ({"shape": (-4, -5)}, pynn.ArgumentError, "shape must be at least 1, got -4"),
        ({"shape": 20}, pynn.ArgumentTypeError, r"shape must be \(height, width\), got int 20"),
        ({"shape": (4, 5), "count": 0}, pynn.ArgumentError, "count must be at least 1, got 0"),
        ({"shape": (4, 5), "path": 3}, pynn.ArgumentTypeError, "path must be a str or a Path"),
    ],
)
def test_weights_refuses(options: dict[str, Any], error: type[Exception], words: str) -> None:
    """A shape that is not that of the model's inputs is refused."""
    with pytest.raises(error, match=words):
        plots.weights(CHAIN.build(), **options)


def test_weights_that_are_not_finite() -> None:
    """They are refused, and so is a thing that is not a model."""
    model = CHAIN.build()
    model.parameters["dense1.weight"][3, 2] = np.inf
    with pytest.raises(pynn.DivergenceError, match=r"dense1\.weight has values that are not"):
        plots.weights(model, shape=(4, 5))
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model, got str"):
        plots.weights("model")  # type: ignore[arg-type]
