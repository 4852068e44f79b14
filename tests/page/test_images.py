"""Networks of images in the page: feature maps, filters, a step explained, training and files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from chromium import digit, draw, get, give, probabilities, saved, set_field, text, wait
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from strokes import BY_HAND

import pynn


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


def of_chain(chain: pynn.LayerBuilder) -> pynn.Model:
    """A model of a chain, trained a little."""
    return trained(chain.softmax_cross_entropy().build(seed=2))


CHAINS = {
    "every kind": every_kind,
    "lenet": lambda: of_chain(pynn.models.lenet()),
    "small_cnn": lambda: of_chain(pynn.models.small_cnn()),
}


# ------------------------------------------------------------ opening, looking, saving


@pytest.mark.parametrize("name", CHAINS)
def test_a_model_of_images(page: Any, name: str, folder: Path, tmp_path: Path) -> None:
    """The page gives the probabilities that pynn gives, and saves what it has opened."""
    model = CHAINS[name]()
    open_model(page, tmp_path, model)
    draw(page, BY_HAND[6])
    seen = np.array([digit(page)], np.uint8).reshape(1, 1, 28, 28)
    expected = model.predict_proba(seen)[0]
    assert np.abs(expected - probabilities(page)).max() < 1e-6
    again = pynn.load(saved(page, folder))
    assert repr(again) == repr(model) and again.seed == model.seed
    for parameter, values in model.parameters.items():
        assert (again.parameters[parameter] == values).all()


def test_feature_maps(page: Any, tmp_path: Path) -> None:
    """Each layer of images is a picture with a tile for each channel, of the drawing at hand."""
    open_model(page, tmp_path, of_chain(pynn.models.lenet()))
    draw(page, BY_HAND[3])
    wait(page, "!isAsked")
    sizes = get(page, "Array.from(document.querySelectorAll('.maps'), (m) => [m.width, m.height])")
    assert sizes == [[74, 49], [74, 49], [38, 25], [35, 35], [35, 35], [19, 19]]
    picture = "document.querySelector('.maps').getContext('2d').getImageData(0, 0, 74, 49).data"
    before = get(page, f"Array.from({picture})")
    draw(page, BY_HAND[8])
    wait(page, "!isAsked")
    pixels = np.array(get(page, f"Array.from({picture})")).reshape(49, 74, 4)
    assert (pixels.ravel() != before).any()
    values = shown(page, 0).reshape(6, 24, 24)
    tile = pixels[25:49, 50:74].astype(int)  # of the last filter
    redder = tile[:, :, 0] > tile[:, :, 2]
    strong = np.abs(values[5]) > np.abs(values).max() / 10
    assert strong.any() and (redder == (values[5] > 0))[strong].all()
    assert (pixels[24] == 0).all() and (pixels[:, 24] == 0).all()  # the lines between


def evaluated(text: str) -> tuple[float, float]:
    """The two sides of a formula with numbers, such as "y[0] = 2·3 + 1 = 7"."""
    text = re.sub(r"\((?:b|the other terms)\)", "", text.replace("\N{MINUS SIGN}", "-"))
    _, formula, result = text.split(" = ")
    for sign, python in (("·", "*"), ("√", "sqrt"), ("²", "**2"), ("Φ", "Phi")):
        formula = formula.replace(sign, python)
    names = {
        "sqrt": np.sqrt,
        "max": lambda *values: max(values),
        "tanh": np.tanh,
        "exp": np.exp,
        "Phi": normal,
    }
    return float(eval(formula, names)), float(result.split(",")[0])


def normal(x: float) -> float:
    """The normal distribution."""
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


UNITS = {
    "every kind": (100, 250, 700, 700, 250, 120, 120, 150, 30, 30, 12, 5, 5, 5, 3),
    "small_cnn": (420, 420, 420, 105, 800, 900, 900, 200, 700, 700, 700, 12, 5),
}
"""The unit of each layer that is looked at."""


@pytest.mark.parametrize("name", UNITS)
def test_units_written_out(page: Any, name: str, tmp_path: Path) -> None:
    """Whatever layer a unit is of, its formula with numbers comes to its value."""
    model = CHAINS[name]()
    open_model(page, tmp_path, model)
    draw(page, BY_HAND[6])
    for layer, unit in enumerate(UNITS[name]):
        page.execute_script(f"choose({layer}, {unit})")
        formula, result = evaluated(text(page, "unit-sum"))
        value = float(shown(page, layer)[unit])
        assert result == pytest.approx(value, rel=1e-3, abs=1e-6), (layer, text(page, "unit-sum"))
        assert formula == pytest.approx(value, rel=5e-3, abs=5e-3), (layer, text(page, "unit-sum"))
        kind = get(page, f"model.layers[{layer}].kind")
        mark = get(page, f"marks['{kind}.Y']")
        assert f"{mark['file']}, line {mark['line']}" in text(page, "unit-mark")


def test_a_unit_of_a_filter(page: Any, tmp_path: Path) -> None:
    """A click on a pixel of a map chooses its unit: its filter as a picture, its sum, its line."""
    model = of_chain(pynn.models.lenet())
    open_model(page, tmp_path, model)
    draw(page, BY_HAND[3])
    maps = page.find_elements("css selector", ".maps")[3]
    ratio = maps.size["width"] / 35
    to = [round((9 + 4 + 0.5) * ratio - maps.size["width"] / 2), round(2.5 * ratio) - 17 * ratio]
    ActionChains(page).move_to_element_with_offset(maps, to[0], round(to[1])).click().perform()
    assert text(page, "unit-title") == "conv2d2, unit [1, 2, 4]"
    assert "Y[n,f,y,x] = b[f] + sum" in text(page, "unit-mark")
    size = "[document.getElementById('unit-weights').width, "
    size += "document.getElementById('unit-weights').height]"
    assert get(page, size) == [17, 11]  # six channels of 5 x 5, three side by side
    maps.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert text(page, "unit-title") == "conv2d2, unit [1, 3, 6]"
    maps.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)  # over the line between maps
    assert text(page, "unit-title") == "conv2d2, unit [2, 3, 0]"


# ------------------------------------------------------------ training


@pytest.mark.parametrize("name", ["lenet", "small_cnn"])
def test_a_chain_of_the_form(page: Any, name: str, folder: Path, tmp_path: Path) -> None:
    """The form makes the chain of pynn.models; it trains, its filters change, and it is saved."""
    open_digits(page, tmp_path, 640)
    set_field(page, "chain", name)
    page.find_element("id", "restart").click()
    assert not page.find_element("id", "hidden").is_displayed()
    picture = "document.getElementById('tiles').toDataURL()"
    before = get(page, picture)
    assert "filters" in text(page, "tiles-figure")
    page.find_element("id", "train").click()
    wait(page, "document.getElementById('train-state').dataset.epochs >= 4")
    page.find_element("id", "train").click()
    assert get(page, "document.getElementById('curve-0').getAttribute('points').length") > 40
    assert get(page, picture) != before
    draw(page, BY_HAND[1])
    with pynn.load(saved(page, folder)) as model:
        chain = getattr(pynn.models, name)().softmax_cross_entropy().build(seed=0)
        assert repr(model).split("Model")[-1] == repr(chain).split("Model")[-1]
        seen = np.array([digit(page)], np.uint8).reshape(1, 1, 28, 28)
        assert np.abs(model.predict_proba(seen)[0] - probabilities(page)).max() < 1e-6
        images, labels = digits(640)
        assert model.evaluate(images.reshape(-1, 1, 28, 28), labels).accuracy > 0.9


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", CHAINS)
def test_a_step_is_pynns(
    page: Any, name: str, optimizer: str, folder: Path, tmp_path: Path
) -> None:
    """From one model, on one batch, the page and pynn come to the same loss and parameters."""
    model = CHAINS[name]()
    open_digits(page, tmp_path, 16)
    open_model(page, tmp_path, model)
    set_field(page, "optimizer", optimizer)
    set_field(page, "rate", "0.01")
    set_field(page, "batch", "16")
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden")
    own = {"sgd": pynn.SGD(learning_rate=0.01), "adam": pynn.Adam(learning_rate=0.01)}
    images, labels = digits(16)
    opened = pynn.load(tmp_path / "model.safetensors")  # without the moments of its training
    step = opened.explain(images.reshape(-1, 1, 28, 28), labels, optimizer=own[optimizer])
    assert f"{step.loss:.4g}" in text(page, "step-loss")
    with pynn.load(saved(page, folder)) as after:
        for parameter, update in step.updates.items():
            apart = np.abs(after.parameters[parameter] - update.after)
            # Adam divides a gradient by its size: one that is 0 but for rounding becomes large.
            is_sure = (optimizer == "sgd") | (np.abs(update.gradient) > 1e-5)
            assert np.where(is_sure, apart, 0).max() < 2e-5, parameter
        assert after.steps_trained == model.steps_trained + 1


# Values of each array of a step, from its first to its last, as the page writes them out.
WRITE_OUT = """
const some = (layer, what) => {
  const [rows, columns] = doubles(core.page_step_array(layer, what), 2);
  return [0, 0.2, 0.45, 0.7, 1].map((share) => Math.floor(share * (rows * columns - 1)));
};
const sum = (layer, what) => (index) =>
  sumText(core.page_step_sum(layer, what, index), "", what === GRADIENT);
return model.layers.flatMap(({ kind }, layer) => {
  const ways = [
    [Y, (index) => valueText(layer, index)], [DX, (index) => gradientText(layer, index)],
  ];
  if (isProduct(kind) || kind === "batch_norm") {
    ways.push([GRADIENT, sum(layer, GRADIENT)], [GRADIENT + 1, sum(layer, GRADIENT + 1)]);
  }
  return ways.filter(([what]) => has(layer, what)).flatMap(([what, write]) => {
    const values = floats(core.page_step_values(layer, what), some(layer, what)[4] + 1).slice();
    return some(layer, what).map((index) => [`${kind} ${what} = ${write(index)}`, values[index]]);
  });
});
"""


@pytest.mark.parametrize("name", CHAINS)
def test_a_step_written_out(page: Any, name: str, tmp_path: Path) -> None:
    """Values of each array of a step, forward and backward, are what their formulas come to."""
    open_digits(page, tmp_path, 16)
    open_model(page, tmp_path, CHAINS[name]())
    set_field(page, "batch", "16")
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden")
    written = page.execute_script(WRITE_OUT)
    formulas = [
        it for it in written if it[0].count(" = ") == 2 and not re.search("sigm|φ|s,", it[0])
    ]
    assert len(formulas) > 0.8 * len(written)  # all but dX of GELU and of the norms
    for text_of_value, value in formulas:
        formula, result = evaluated(text_of_value)
        assert result == pytest.approx(value, rel=1e-3, abs=1e-12), text_of_value
        assert formula == pytest.approx(value, abs=rounding(text_of_value)), text_of_value


def rounding(written: str) -> float:
    """By how much a sum of products of numbers with four digits may be off."""
    formula = written.split(" = ")[1]
    if "max" in formula or "\N{SQUARE ROOT}" in formula:
        return 5e-3
    whole = re.sub(r"^\((.* \+ .*)\) / \d+$", r"\1", formula)  # without the divisor of a mean
    terms = [abs(evaluated(f"x = {term} = 0")[0]) for term in whole.split(" + ")]
    return 2e-3 * max(terms) + 1e-12


def test_what_a_step_does_not_write_out(page: Any, tmp_path: Path) -> None:
    """The page says so where a value comes from too many numbers."""
    open_digits(page, tmp_path, 16)
    open_model(page, tmp_path, of_chain(pynn.models.small_cnn()))
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden")
    assert "too long to write out" in get(page, "gradientText(1, 5)")
    page.execute_script("document.querySelectorAll('details').forEach((it) => (it.open = true))")
    assert "shown: the first" in text(page, "step-forward")
    running = get(page, "runningText(1, 2, 3)").replace("\N{MINUS SIGN}", "-")
    before, momentum, found, _, after = map(float, re.findall(r"-?[\d.]+(?:e-?\d+)?", running)[:5])
    assert before + momentum * (found - before) == pytest.approx(after, rel=1e-5)


# ------------------------------------------------------------ what cannot be


def test_data_that_are_no_images(page: Any) -> None:
    """A chain of convolutions is refused for points of the plane, with a reason."""
    page.find_element("id", "spirals").click()
    set_field(page, "chain", "lenet")
    page.find_element("id", "train").click()
    wait(page, "document.getElementById('error').textContent !== ''", seconds=5)
    assert "2 columns, which are no images" in text(page, "error")
    assert text(page, "train") == "Train"


def test_images_that_are_too_small(page: Any, tmp_path: Path) -> None:
    """The layer that does not fit is named."""
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (8, 5, 4))
    (tmp_path / "images").write_bytes(header + bytes(160))
    (tmp_path / "labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 8]) + bytes([0, 1] * 4))
    give(page, "data", tmp_path / "images", tmp_path / "labels")
    set_field(page, "chain", "lenet")
    page.find_element("id", "restart").click()
    wait(page, "document.getElementById('error').textContent !== ''", seconds=5)
    assert "layer 1, conv2d, does not go with the shape" in text(page, "error")
    set_field(page, "chain", "small_cnn")
    page.find_element("id", "restart").click()
    wait(page, "document.getElementById('error').textContent === ''", seconds=5)
    assert text(page, "model-state").startswith("1 \N{MULTIPLICATION SIGN} 5")


def test_an_open_chain_in_the_form(page: Any, folder: Path, tmp_path: Path) -> None:
    """New weights for a network that the form cannot describe leave its layers as they are."""
    model = every_kind()
    open_model(page, tmp_path, model)
    assert get(page, "document.getElementById('chain').selectedOptions[0].textContent") == (
        "those of the open model"
    )
    page.find_element("id", "restart").click()
    with pynn.load(saved(page, folder)) as again:
        assert repr(again).split("seed")[0] == repr(model).split("seed")[0]
        assert (again.parameters["conv2d1.weight"] != model.parameters["conv2d1.weight"]).any()
