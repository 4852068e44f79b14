"""The page of an explained step: it needs nothing else, its pictures are right, and it is small."""

from __future__ import annotations

import html.parser
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from random_networks import random_inputs, random_network
from random_training import OPTIMIZERS, X, Y, build

import pynn
from pynn._explain.heat_map import BLUE, MOST_PICTURES, RED, HeatMap, heat_map, pictures

VOID = {"meta", "img"}


class Reader(html.parser.HTMLParser):
    """Reads a page: its tags with attributes, its text, and whether all that opens is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pixels(drawn: HeatMap) -> npt.NDArray[np.uint8]:
    """The picture as another decoder reads it: (height, width, 4)."""
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert image.size == (drawn.width, drawn.height)
        return np.asarray(image.convert("RGBA"))


def of_value(value: float, largest: float) -> tuple[int, ...]:
    """The colour of a value."""
    level = round(15 * min(1.0, abs(value) / largest))
    return (*(BLUE if value < 0 and level else RED), 255 * level // 15)


def test_colours_tell_sign_and_size() -> None:
    """Red above 0, blue below, transparent at 0, deeper with the magnitude."""
    values = np.array([[1.0, -1.0, 0.0], [0.6, -0.2, 0.01]], np.float32)
    found = pixels(heat_map(values))
    for at, value in np.ndenumerate(values):
        assert tuple(found[at]) == of_value(float(value), np.quantile(abs(values), 0.995))


@pytest.mark.parametrize("values", [np.zeros(5), np.zeros((3, 4)), np.full((2, 2), -1e-30)])
def test_nothing_to_scale_by(values: npt.NDArray[Any]) -> None:
    """Zeros are transparent; tiny values get their colour all the same."""
    assert (pixels(heat_map(values))[..., 3] == (0 if not values.any() else 255)).all()


def test_large_matrices_are_means() -> None:
    """A pixel is the mean of a block, also of the smaller blocks at the ends."""
    values = np.random.default_rng(1).normal(size=(700, 300))
    drawn = heat_map(values)
    assert (drawn.height, drawn.width) == (234, 150)
    assert drawn.remark == "each pixel is the mean of 3 x 2 values"
    rows, columns = range(0, 700, 3), range(0, 300, 2)
    means = np.array([[values[i : i + 3, j : j + 2].mean() for j in columns] for i in rows])
    largest = np.quantile(abs(means), 0.995)
    found = pixels(drawn)
    for at in ((0, 0), (0, 149), (233, 0), (233, 149), (100, 40), (7, 90)):
        assert tuple(found[at]) == of_value(float(means[at]), largest)


@pytest.mark.parametrize("axis", [0, 1])
def test_pictures_have_their_pixels(axis: int) -> None:
    """Each unit, or each example, is a square; the pixel of an input is where it is in an image."""
    every = np.zeros((70, 81), np.float32)
    for number in range(70):
        every[number, number % 81] = 1 if number % 2 else -1
    drawn = pictures(every if axis else every.T, axis)
    assert drawn.remark == "the first 64 of 70, each as a picture of 9 x 9"
    found = pixels(drawn)
    assert (found[..., 3] > 0).sum() == MOST_PICTURES
    for number in range(MOST_PICTURES):
        row, column = number // 16 * 10 + number // 9, number % 16 * 10 + number % 9
        assert tuple(found[row, column]) == (*(RED if number % 2 else BLUE), 255)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_page_needs_nothing_else(name: str, tmp_path: Path) -> None:
    """No script, no address, all text escaped; a callable's name is no tag."""
    step = build().explain(X[:5], Y[:5], optimizer=OPTIMIZERS[name])
    step.to_html(tmp_path / "step.html")
    page = (tmp_path / "step.html").read_text("utf-8")
    read = Reader(page)
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= {
        *("html", "head", "body", "meta", "title", "style", "div", "h1", "h2", "p", "details"),
        *("summary", "code", "figure", "figcaption", "img", "table", "tr", "td", "b", "span"),
    }
    addresses = [value for _, pairs in read.tags for key, value in pairs.items() if key == "src"]
    assert addresses and all(str(it).startswith("data:image/png;base64,") for it in addresses)
    assert not re.search(r"url\(|@import|https?:|href", page)
    assert repr(step._captured.optimizer) in read.text
    assert step._repr_html_() in page


@pytest.mark.parametrize("seed", range(6))
def test_every_number_of_a_small_step_is_there(seed: int, tmp_path: Path) -> None:
    """A cell's title has the value with all its digits, and what NumPy calls it."""
    model, rng = random_network(seed, widest=9), np.random.default_rng(seed)
    features, _ = random_inputs(model, 4)
    labels: Any = rng.uniform(0, 1, (4, model.outputs)).astype(np.float32)
    if model._spec.loss.has_classes:
        labels = rng.integers(0, model.outputs, 4)
    step = model.explain(features, labels)
    titles = {pairs.get("title") for tag, pairs in Reader(step._repr_html_()).tags if tag == "td"}
    first = next(iter(model.parameters)).partition(".")[0]
    shown = [(name, array) for name, array in step.forward[first].items() if name != "X"]
    shown += [("dW", step.backward[first].dW), ("losses", step.losses)]
    for name, array in shown:
        for at, value in np.ndenumerate(array):
            if max(array.shape) <= 12 and (array.ndim <= 2 or array.size <= 144):
                assert f"{name}[{','.join(map(str, at))}] = {value}" in titles


def test_labels_have_no_colours() -> None:
    """They tell no magnitude; targets do."""
    page = build().explain(X[:3], np.array([0, 2, 1]))._repr_html_()
    assert '<td title="label[1] = 2">2</td>' in page
    model = pynn.Builder().input(6).dense(1).mean_squared_error().build(seed=0)
    page = model.explain(X[:3], X[:3, :1])._repr_html_()
    assert re.search(r'<td class="[pn]" style="--a:\d+" title="t\[0,0\]', page)


def test_pictures_scroll_where_they_are_too_wide() -> None:
    """A browser that scales them down leaves out rows and columns of pixels."""
    chain = pynn.Builder().input(784).dense(20).relu().dense(3).softmax_cross_entropy()
    images = np.random.default_rng(0).integers(0, 256, (30, 784), np.uint8)
    page = chain.build(seed=0).explain(images, np.arange(30) % 3)._repr_html_()
    assert page.count("<img") == page.count('<div class="scroll"><img') > 5
    assert re.search(r"\.pynn-step img\{[^}]*max-width:none", page)
    assert "Each array has a scale of its own" in page


def test_an_example_has_a_page(tmp_path: Path) -> None:
    """The same as of the step, with its own numbers and heading."""
    example = build().explain(X[:5], Y[:5]).example(3)
    example.to_html(tmp_path / "example.html")
    page = (tmp_path / "example.html").read_text("utf-8")
    assert example._repr_html_() in page
    text = " ".join(Reader(page).text.split())
    assert "example 3 of 5; 6 -> dense(20, he) -> leaky_relu(0.1) -> dropout(0.2)" in text
    assert f"loss {example.loss:.6g}" in text
    assert "dW" not in text


def test_the_page_of_a_digits_network_is_small(tmp_path: Path) -> None:
    """A batch of 128 through 784-256-64-10 with Adam, all noise: at most half a megabyte."""
    chain = pynn.Builder().input(784).dense(256).relu().dense(64).relu().dense(10)
    model = chain.softmax_cross_entropy().build(seed=0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (128, 784), np.uint8)
    step = model.explain(images, rng.integers(0, 10, 128), optimizer=pynn.Adam())
    step.to_html(tmp_path / "step.html")
    assert (tmp_path / "step.html").stat().st_size < 500_000
    page = (tmp_path / "step.html").read_text("utf-8")
    assert page.count("the first 64 of 256, each as a picture of 28 x 28") == 5
    assert page.count("<img") < 40


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the path; what was there stays."""
    step = build().explain(X[:5], Y[:5])
    with pytest.raises(FileNotFoundError, match=r"nowhere/step\.html"):
        step.to_html(tmp_path / "nowhere" / "step.html")
    with pytest.raises(pynn.ArgumentTypeError, match="path must be"):
        step.to_html(3)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
