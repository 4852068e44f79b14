"""The picture of feature maps: the channels of each layer's outputs, as the model predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from plotted import CHAIN, overlaps, pixels

import pynn
from pynn import plots

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(5)
STEPS: list[tuple[str, tuple[Any, ...]]] = [
    ("conv2d", (5, 3)),
    ("batch_norm", ()),
    ("relu", ()),
    ("dropout", (0.5,)),
    ("max_pool2d", (2,)),
]
SIZES = {"conv2d1": (9, 8), "batch_norm1": (9, 8), "relu1": (9, 8), "dropout1": (9, 8)}
SIZES |= {"max_pool2d1": (4, 4)}


def chain(steps: int = 5, channels: int = 2) -> Any:
    """So many of the steps, in a network of images."""
    made: Any = pynn.Builder().input((channels, 9, 8))
    for name, arguments in STEPS[:steps]:
        made = getattr(made, name)(*arguments)
    return made


def trained(channels: int = 2) -> pynn.Model:
    """A model with running means of its own."""
    model: pynn.Model = chain(channels=channels).dense(3).softmax_cross_entropy().build(seed=1)
    for name in ("running_mean", "bias", "running_var"):
        model.parameters[f"batch_norm1.{name}"][...] = RNG.uniform(0.2, 0.5, 5)
    return model


def example(channels: int = 2) -> npt.NDArray[np.float32]:
    """An image."""
    return RNG.normal(size=(channels, 9, 8)).astype(np.float32)


def tiles(axes: Any, count: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """The first pictures of a row of them."""
    [image] = axes.get_images()
    mosaic = pixels(image)
    left = [1 + (width + 1) * place for place in range(count)]
    return np.stack([mosaic[1 : 1 + height, at : at + width] for at in left])


def drawn(figure: Any) -> dict[str, Any]:
    """The axes of each layer, by its name; those of colour bars left out."""
    titled = [axes for axes in figure.axes if axes.get_title(loc="left")]
    return {axes.get_title(loc="left").partition(":")[0]: axes for axes in titled}


def test_maps_are_the_outputs_of_each_layer() -> None:
    """Those of a prediction: of a network that ends there and has the same parameters."""
    model, image = trained(), example()
    figure = plots.feature_maps(model, image)
    found = drawn(figure)
    assert [*found] == ["the image", *SIZES]
    assert [*found] == [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes[:6]]
    for number, (name, size) in enumerate(SIZES.items(), start=1):
        part = chain(number).mean_squared_error().build()
        for parameter, array in part.parameters.items():
            array[...] = model.parameters[parameter]
        maps = part(image[None]).reshape(5, *size)
        np.testing.assert_allclose(tiles(found[name], 5, *size), maps, rtol=1e-5, atol=1e-6)
        title = f"{name}: all 5 channels, {size[0]} x {size[1]}"
        assert found[name].get_title(loc="left") == title
        [shown] = found[name].get_images()
        reach = np.quantile(np.abs(maps), 0.995)
        np.testing.assert_allclose(shown.get_clim(), (-reach, reach), rtol=1e-5)
    assert overlaps(figure) == []


@pytest.mark.parametrize(("name", "count"), [*zip(SIZES, [1, 3, 5, 64, 2], strict=True)])
def test_one_layer(name: str, count: int) -> None:
    """It stands alone below the image, with as many channels as are asked for."""
    model, image = trained(), example()
    every = drawn(plots.feature_maps(model, image))
    figure = plots.feature_maps(model, image, layer=name, count=count)
    found = drawn(figure)
    assert [*found] == ["the image", name]
    size = SIZES[name]
    shown, some = min(count, 5), f"{count} of 5" if count < 5 else "all 5"
    np.testing.assert_array_equal(
        tiles(found[name], shown, *size), tiles(every[name], shown, *size)
    )
    assert np.isfinite(pixels(found[name].get_images()[0])).sum() == shown * size[0] * size[1]
    assert f"{name}: {some} channels" in found[name].get_title(loc="left")
    assert overlaps(figure) == []


def test_many_channels_stand_in_rows() -> None:
    """Sixteen in each; the seventeenth is below the first."""
    wide: Any = pynn.Builder().input((1, 6, 6)).conv2d(18, 3).dense(2).softmax_cross_entropy()
    model, image = wide.build(seed=0), RNG.integers(0, 256, (6, 6), np.uint8)
    figure = plots.feature_maps(model, image)
    [shown] = drawn(figure)["conv2d1"].get_images()
    assert pixels(shown).shape == (2 * 7, 16 * 7)
    part: Any = pynn.Builder().input((1, 6, 6)).conv2d(18, 3).mean_squared_error()
    same = part.build(seed=0)
    same.parameters["conv2d1.weight"][...] = model.parameters["conv2d1.weight"]
    maps = same(image[None]).reshape(18, 6, 6)
    np.testing.assert_allclose(pixels(shown)[8:14, 1:7], maps[16], rtol=1e-5, atol=1e-6)
    assert overlaps(figure) == []


def test_image_of_one_channel_is_grey() -> None:
    """In any shape that it may have; bytes and the floats that they stand for are the same."""
    model, image = trained(channels=1), RNG.integers(0, 256, (9, 8), np.uint8)
    first = drawn(plots.feature_maps(model, image))
    np.testing.assert_allclose(tiles(first["the image"], 1, 9, 8)[0], image / 255, rtol=1e-6)
    assert first["the image"].get_images()[0].get_clim() == (0, 1)
    for same in (image[None], image.reshape(-1), image / 255):
        found = drawn(plots.feature_maps(model, same))
        for name, size in {"the image": (9, 8), **SIZES}.items():
            count = 1 if name == "the image" else 5
            maps = tiles(found[name], count, *size)
            np.testing.assert_allclose(maps, tiles(first[name], count, *size), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("least", "largest"), [(0.0, 1.0), (0.2, 0.7), (-2.0, 0.5), (-1.0, 3.0), (0.0, 5.0)]
)
def test_image_of_three_channels_is_in_colours(least: float, largest: float) -> None:
    """From 0 to 1 as they are; a wider range of values is made to fit."""
    image = RNG.uniform(least, largest, (3, 9, 8)).astype(np.float32)
    image[0, 0, :2] = least, largest
    figure = plots.feature_maps(trained(channels=3), image)
    [shown] = drawn(figure)["the image"].get_images()
    low, high = min(least, 0.0), max(largest, 1.0)
    expected = (image.transpose(1, 2, 0) - low) / (high - low)
    np.testing.assert_allclose(np.asarray(shown.get_array()), expected, atol=1e-6)
    assert overlaps(figure) == []


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (98, 40)])
def test_images_of_any_shape(size: tuple[int, int]) -> None:
    """Texts and pictures of long images lie beside each other, too."""
    images: Any = pynn.Builder().input((1, *size)).conv2d(20, 3).relu().dense(2)
    model = images.softmax_cross_entropy().build()
    figure = plots.feature_maps(model, np.ones(size, np.float32))
    assert overlaps(figure) == []
    assert max(figure.get_size_inches()) < 12


IMAGE = np.zeros((3, 9, 8), np.float32)


@pytest.mark.parametrize(
    ("image", "options", "error", "words"),
    [
        (
            IMAGE[:2],
            {},
            pynn.ArgumentError,
            r"image must have shape \(3, 9, 8\) or \(216,\), got \(2, 9, 8\)$",
        ),
        (IMAGE[None], {}, pynn.ArgumentError, r"one of several images is image\[0\]"),
        (IMAGE.transpose(1, 2, 0), {}, pynn.ArgumentError, r"image\.transpose\(2, 0, 1\)"),
        (np.float32(3.0), {}, pynn.ArgumentTypeError, "image must be a NumPy array, got float32"),
        (IMAGE[0, 0, 0:0], {}, pynn.ArgumentError, r"got \(0,\)"),
        (np.array(3.0), {}, pynn.ArgumentError, r"got \(\)"),
        (
            IMAGE.astype(np.complex64),
            {},
            pynn.ArgumentTypeError,
            "image must be numbers, got dtype complex64",
        ),
        (np.full_like(IMAGE, np.nan), {}, pynn.ArgumentError, "image must have finite"),
        (
            IMAGE,
            {"layer": "conv2d9"},
            pynn.ArgumentError,
            "layers whose outputs are images, conv2d1, .*, max_pool2d1; got 'conv2d9'",
        ),
        (IMAGE, {"layer": "dense1"}, pynn.ArgumentError, "got 'dense1'"),
        (IMAGE, {"layer": 1}, pynn.ArgumentTypeError, "layer must be the name .*; got int 1"),
        (IMAGE, {"count": 0}, pynn.ArgumentError, "count must be at least 1, got 0"),
        (IMAGE, {"path": 3}, pynn.ArgumentTypeError, "path must be a str or a Path"),
    ],
)
def test_feature_maps_refuses(
    image: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """What is no image of the model, or no layer that gives images."""
    with pytest.raises(error, match=words):
        plots.feature_maps(trained(channels=3), image, **options)


def test_models_without_images() -> None:
    """A model of plain rows, a closed one, and what is not a model."""
    with pytest.raises(pynn.ArgumentError, match=r"begin the chain with \.input\(\(channels"):
        plots.feature_maps(CHAIN.build(), np.zeros(20, np.float32))
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model, got str"):
        plots.feature_maps("model", IMAGE)  # type: ignore[arg-type]
    model = trained(channels=3)
    model.close()
    with pytest.raises(pynn.ClosedError):
        plots.feature_maps(model, IMAGE)


def test_values_that_are_not_finite() -> None:
    """Of a layer or of the outputs: nothing is drawn."""
    model = trained(channels=3)
    model.parameters["dense1.bias"][0] = np.nan
    with pytest.raises(pynn.DivergenceError, match="not finite"):
        plots.feature_maps(model, IMAGE)
    images: Any = pynn.Builder().input((1, 3, 3)).conv2d(1, 1).tanh().dense(1)
    model = images.mean_squared_error().build()
    model.parameters["conv2d1.weight"][...] = 3e38
    with pytest.raises(pynn.DivergenceError, match="outputs of conv2d1 are not finite"):
        plots.feature_maps(model, np.full((3, 3), 9.0, np.float32))
    assert [*drawn(plots.feature_maps(model, np.full((3, 3), 9.0), layer="tanh1"))][1] == "tanh1"
