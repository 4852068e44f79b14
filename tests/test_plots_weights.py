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


FILTERS = [
    # Of 20 channels, each image stands by itself.
    (1, 1, 64, 1, "all 6 filters"),
    (1, 1, 4, 1, "4 of 6 filters"),
    (6, 6, 64, 1, "all 6 filters"),
    (3, 1, 64, 3, "all 18 images of 6 filters of 3 channels each"),
    (3, 1, 7, 3, "7 of 18 images of 6 filters of 3 channels each"),
    (16, 1, 64, 16, "64 of 96 images of 6 filters of 16 channels each"),
    (20, 1, 64, 1, "64 of 120 images of 6 filters of 20 channels each"),
]


@pytest.mark.parametrize(("channels", "groups", "count", "together", "title"), FILTERS)
@pytest.mark.parametrize("layer", [None, "conv2d2"])
def test_filters_are_images(
    channels: int, groups: int, count: int, together: int, title: str, layer: str | None
) -> None:
    """Of a convolution an image for each channel of each filter, those of a filter together."""
    images: Any = pynn.Builder().input((channels, 8, 8)).relu()
    images = images if layer is None else images.conv2d(channels, 1).relu()
    model = images.conv2d(6, (3, 5), groups=groups).dense(2).softmax_cross_entropy().build(seed=2)
    figure, name = plots.weights(model, layer=layer, count=count), layer or "conv2d1"
    assert figure.get_suptitle() == f"{name}: {title}"
    [image] = figure.axes[0].get_images()
    mosaic, filters = pixels(image), model.parameters[f"{name}.weight"].reshape(-1, 3, 5)
    shown, gap, width = min(count, len(filters)), 1 if together == 1 else 3, 6 * together - 1
    for number in range(shown):
        row, column = divmod(number // together, mosaic.shape[1] // (width + gap))
        top, left = row * (3 + gap) + gap, column * (width + gap) + gap + 6 * (number % together)
        tile = mosaic[top : top + 3, left : left + 5]
        np.testing.assert_array_equal(tile, filters[number])
    assert np.isfinite(mosaic).sum() == shown * 15
    assert overlaps(figure) == []


def test_weights_of_a_dense_layer_that_is_not_the_first() -> None:
    """Its inputs are images if the layer below gives such."""
    images: Any = pynn.Builder().input((1, 6, 6)).conv2d(1, 3).dense(4).dense(2)
    model = images.softmax_cross_entropy().build(seed=2)
    [image] = plots.weights(model, layer="dense1", shape=(6, 6)).axes[0].get_images()
    first = model.parameters["dense1.weight"][:, 0].reshape(6, 6)
    np.testing.assert_array_equal(pixels(image)[1:7, 1:7], first)
    with pytest.raises(pynn.ArgumentError, match="4 pixels, since dense2 has 4 inputs; got 6 x 6"):
        plots.weights(model, layer="dense2", shape=(6, 6))


def test_weights_that_are_all_zero() -> None:
    """They have a scale all the same."""
    model = CHAIN.build()
    model.parameters["dense1.weight"][...] = 0
    [image] = plots.weights(model, shape=(2, 10)).axes[0].get_images()
    assert image.get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, pynn.ArgumentError, "image of 20 pixels, since dense1 has 20 inputs; got 28 x 28"),
        ({"shape": (4, 4)}, pynn.ArgumentError, "got 4 x 4"),
        ({"shape": (-4, -5)}, pynn.ArgumentError, "shape must be at least 1, got -4"),
        ({"shape": 20}, pynn.ArgumentTypeError, r"shape must be \(height, width\), got int 20"),
        ({"shape": (4, 5), "count": 0}, pynn.ArgumentError, "count must be at least 1, got 0"),
        (
            {"layer": "relu1"},
            pynn.ArgumentError,
            "dense and conv2d layers, dense1, dense2; got 're",
        ),
        ({"layer": 0}, pynn.ArgumentTypeError, "layer must be the name of one of .*; got int 0"),
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
