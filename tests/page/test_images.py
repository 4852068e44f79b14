"""Networks of images in the page: feature maps, filters, a step explained, training and files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from chromium import digit, draw, get, give, probabilities, saved, set_field, text, wait
from selenium.webdriver.common.keys import Keys
from strokes import BY_HAND

import pynn

ROOT = Path(__file__).parent.parent.parent
MNIST = sorted((ROOT / "data" / "mnist").glob("*.gz"))


def every_kind() -> pynn.Model:
    """A network with every kind of layer for images, and options that are not the usual ones."""
    chain = pynn.Builder().input((1, 28, 28)).conv2d(4, (3, 2), stride=2).relu()
    chain = chain.conv2d(6, 3, padding=2, groups=2).batch_norm(momentum=0.3, eps=1e-3)
    chain = chain.max_pool2d((3, 2), stride=2, padding=1).conv2d(8, 2, padding="valid").gelu()
    chain = chain.avg_pool2d(2, stride=1, padding=1).conv2d(5, 3, stride=3, init="xavier").tanh()
    model = chain.flatten().dense(12).batch_norm().relu().dense(10).softmax_cross_entropy()
    return trained(model.build(seed=3))


def trained(model: pynn.Model) -> pynn.Model:
    """The model after a few steps, so that no running mean is 0."""
    images, labels = digits(64)
    model.fit(images, labels, epochs=2, batch_size=32, optimizer=pynn.Adam(learning_rate=0.01))
    return model


def digits(count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Bars at the height of their label, in noise."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 10, count, np.uint8)
    images = rng.integers(0, 60, (count, 28, 28), np.uint8)
    images[np.arange(count), 5 + labels, 4:24] = 255
    return images, labels


def open_model(page: Any, folder: Path, model: pynn.Model) -> None:
    """Give a model to the page."""
    model.save(folder / "model.safetensors")
    give(page, "open", folder / "model.safetensors")


def open_digits(page: Any, folder: Path, count: int) -> None:
    """Give IDX files of images and labels to the page."""
    for name, array in zip(("images", "labels"), digits(count), strict=True):
        dims = np.array(array.shape, ">u4").tobytes()
        (folder / name).write_bytes(bytes([0, 0, 8, array.ndim]) + dims + array.tobytes())
    give(page, "data", folder / "images", folder / "labels")


def shown(page: Any, layer: int) -> npt.NDArray[np.float32]:
    """The outputs of a layer for the drawing."""
    width = get(page, f"core.page_width({layer})")
    values = get(page, f"Array.from(floats(core.page_outputs({layer}), {width}))")
    return np.array(values, np.float32)


CHAINS = {"every kind": every_kind, "small_cnn": lambda: trained(pynn.models.small_cnn().softmax_cross_entropy().build(seed=2)), "lenet": lambda: trained(pynn.models.lenet().softmax_cross_entropy().build(seed=2))}


@pytest.mark.parametrize("name", CHAINS)
def test_a_model_of_images(page: Any, name: str, folder: Path, tmp_path: Path) -> None:
    """The page gives the probabilities that pynn gives, and saves what it has opened."""
    model = CHAINS[name]()
    open_model(page, tmp_path, model)
    draw(page, BY_HAND[6])
    expected = model.predict_proba(np.array([digit(page)], np.uint8).reshape(1, 1, 28, 28))[0]
    assert np.abs(expected - probabilities(page)).max() < 1e-6
    again = pynn.load(saved(page, folder))
    assert repr(again) == repr(model)
    for parameter, values in model.parameters.items():
        assert (again.parameters[parameter] == values).all()
