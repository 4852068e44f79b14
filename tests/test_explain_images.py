"""Explained steps of convolutional networks: shapes, pictures, notes, and the step itself."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pynn
from pynn._explain._equations import EQUATIONS
from pynn._explain.blocks import blocks
from pynn._explain.equations import Equation, equation
from pynn._explain.heat_map import planes

RNG = np.random.default_rng(4)
X = RNG.normal(size=(12, 2, 9, 8)).astype(np.float32)
Y = np.arange(12) % 3


def chain() -> Any:
    """Every kind of layer of images, and what follows them."""
    images: Any = pynn.Builder().input((2, 9, 8)).conv2d(4, 3).batch_norm().relu().max_pool2d(2)
    return images.conv2d(6, 3, groups=2).relu().global_avg_pool().dense(3).softmax_cross_entropy()


def test_arrays_have_the_shapes_of_images() -> None:
    """(n, channels, height, width) on both ways; gradients those of the parameters."""
    step = chain().build(seed=1).explain(X, Y)
    assert step.forward["conv2d1"].X.shape == (12, 2, 9, 8)
    np.testing.assert_array_equal(step.forward["conv2d1"].X, X)
    assert step.forward["conv2d1"].Y.shape == step.backward["relu1"].dX.shape == (12, 4, 9, 8)
    assert step.forward["max_pool2d1"].Y.shape == (12, 4, 4, 4)
    assert step.forward["conv2d2"].W.shape == step.backward["conv2d2"].dW.shape == (6, 2, 3, 3)
    assert step.forward["global_avg_pool1"].Y.shape == (12, 6)
    assert step.example(3).forward["conv2d2"].Y.shape == (1, 6, 4, 4)


@pytest.mark.parametrize("optimizer", [pynn.SGD(learning_rate=0.1), pynn.Adam(weight_decay=0.1)])
def test_apply_does_the_step_of_fit(optimizer: pynn.Optimizer) -> None:
    """Running means follow the batch, as in fit: the same bytes after three steps."""
    fitted, applied = chain().build(seed=1), chain().build(seed=1)
    for _ in range(3):
        fitted.fit(X, Y, epochs=1, batch_size=12, shuffle=False, optimizer=optimizer)
        step = applied.explain(X, Y, optimizer=optimizer)
        update = step.updates["batch_norm1.running_mean"]
        moved = update.before + 0.1 * (step.forward["conv2d1"].Y.mean((0, 2, 3)) - update.before)
        np.testing.assert_allclose(update.after, moved, rtol=1e-5, atol=1e-7)
        assert not step.gradients["batch_norm1.running_var"].any()
        step.apply()
    assert applied._engine.parameters.tobytes() == fitted._engine.parameters.tobytes()


def test_running_means_have_an_equation_of_their_own() -> None:
    """No optimizer changes them, so its formulas are not shown for them."""
    text = str(chain().build(seed=1).explain(X, Y, optimizer=pynn.Adam()))
    block = text.partition("batch_norm1.running_mean, update\n")[2].partition("\n\n")[0]
    assert equation("batch_norm.running").text in block
    assert re.search(r"    before  4:? .*\n    after  4:  \[", block)
    assert "gradient" not in block and "of batch_norm1" not in block.partition("after")[2]


def test_plain_sgd_names_the_line_of_each_parameter() -> None:
    """What adds up a gradient does the step, of filters and of a batch_norm as well."""
    step = chain().build(seed=1).explain(X, Y)
    found = {
        block.title: [item for item in block.items if isinstance(item, Equation)]
        for block in blocks(step._captured)
        if block.part == "update" and block.title.startswith(("conv2d", "batch_norm"))
    }
    assert found == {
        "conv2d1.weight": [equation("conv2d.fusedW")],
        "conv2d1.bias": [equation("conv2d.fusedb")],
        "batch_norm1.weight": [equation("batch_norm.fusedweight")],
        "batch_norm1.bias": [equation("batch_norm.fusedbias")],
        "batch_norm1.running_mean": [equation("batch_norm.running")],
        "batch_norm1.running_var": [equation("batch_norm.running")],
        "conv2d2.weight": [equation("conv2d.fusedW")],
        "conv2d2.bias": [equation("conv2d.fusedb")],
    }


@pytest.mark.parametrize("optimizer", [pynn.SGD(momentum=0.9), pynn.Adam()])
def test_other_optimizers_name_their_own_lines(optimizer: pynn.Optimizer) -> None:
    """No block of a parameter says that the sum of a gradient does the step."""
    step = chain().build(seed=1).explain(X, Y, optimizer=optimizer)
    named = {
        item for it in blocks(step._captured) for item in it.items if isinstance(item, Equation)
    }
    fused = {equation(name) for name in EQUATIONS if ".fused" in name}
    assert not named & fused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"padding": "valid"}, "c the channel, (y, x) the place in Y"),
        (
            {"padding": "valid", "stride": 3},
            "(i, j) the place in the filter, s = 3 the stride note:",
        ),
        ({"groups": 2, "padding": "valid"}, "c the channel of the filter's group, (y, x)"),
        (
            {"stride": 2},
            "s = 2 the stride; the rows and columns of X include the zeros around it: 1 above,"
            " 1 below, 0 on the left, 1 on the right note:",
        ),
    ],
)
def test_letters_of_a_convolution(options: dict[str, Any], words: str) -> None:
    """A note says what they stand for in the equations, with the stride and the padding."""
    images: Any = pynn.Builder().input((2, 9, 8)).conv2d(4, 3, **options)
    model = images.global_avg_pool().softmax_cross_entropy().build(seed=1)
    text = re.sub(r"\s+", " ", str(model.explain(X, Y)))
    assert "note: n is the example, f the filter, " in text
    assert words in text


def test_equations_of_filters_have_the_names_of_their_arrays() -> None:
    """Filters are W, and their gradient is dW, where they are added up, too."""
    names = {name for name in EQUATIONS if name.startswith("conv2d.")}
    text = " ".join(equation(name).text for name in sorted(names))
    assert {*re.findall(r"\b[A-Za-z]+\b", text)} - {"sum", "over", "of", "where"} == {
        *("W", "dW", "b", "db", "X", "dX", "Y", "dY"),
        *("r", "n", "f", "c", "i", "j", "y", "x", "v", "u", "s"),
    }


def test_notes_of_images() -> None:
    """Shared weights, the means of a batch, and channels of a ReLU that are 0 everywhere."""
    model = chain().build(seed=1)
    model.parameters["batch_norm1.bias"][2] = -100
    text = re.sub(r"\s+", " ", str(model.explain(X, Y)))
    assert "the same 72 weights are used at 72 places of each example: 5,184 multiply-adds" in text
    assert "mean and variance are those of this batch; in prediction" in text
    assert "note: 1 of 4 channels are off (0) for all 12 examples: no gradient passes" in text


def test_text_stays_readable() -> None:
    """Filters of 72 numbers are printed, images of 144 are not; lines are at most 100 wide."""
    text = str(chain().build(seed=1).explain(X, Y))
    assert "    W  4 x 2 x 3 x 3:\n" in text and "    X  12 x 2 x 9 x 8:  least" in text
    assert "    Y  12 x 4 x 4 x 4:  least" in text
    assert max(map(len, text.splitlines())) <= 100
    assert len(text) < 20_000


def test_planes_are_pictures_side_by_side() -> None:
    """Each plane is where it belongs, with a gap of one pixel; more than 64 are not drawn."""
    values = np.zeros((7, 10, 3, 5), np.float32)
    values[np.unravel_index(17, (7, 10))][2, 4] = 1
    drawn = planes(values)
    assert drawn.remark == "the first 64 of 70, each as a picture of 3 x 5"
    assert (drawn.height, drawn.width) == (4 * 4 - 1, 16 * 6 - 1)
    with Image.open(io.BytesIO(drawn.png)) as image:
        visible = np.argwhere(np.asarray(image.convert("RGBA"))[..., 3] > 0)
    assert visible.tolist() == [[1 * 4 + 2, 1 * 6 + 4]]


def test_page_shows_feature_maps(tmp_path: Path) -> None:
    """Images and filters are pictures, one of each channel; the page is not too large."""
    lenet: Any = pynn.Builder().input((1, 28, 28)).conv2d(6, 5).relu().max_pool2d(2)
    model = lenet.conv2d(16, 5).relu().max_pool2d(2).dense(10).softmax_cross_entropy().build()
    pixels = RNG.integers(0, 256, (64, 28, 28), np.uint8)
    model.explain(pixels, np.arange(64) % 10).to_html(tmp_path / "step.html")
    page = (tmp_path / "step.html").read_text()
    assert "<b>Y</b> 64 x 6 x 28 x 28; the first 64 of 384, each as a picture of 28 x 28" in page
    assert "<b>W</b> 16 x 6 x 5 x 5; the first 64 of 96, each as a picture of 5 x 5" in page
    assert len(page) < 1_000_000
