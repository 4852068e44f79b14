"""A step, explained: which equations and lines of C it names, and what is left when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import get, give, set_field, text, wait

import pynn

UPDATES = {
    "sgd": ["dense.fusedW", "dense.fusedb"],
    "momentum": ["sgd.momentum"],
    "adam": ["adam.m", "adam.v", "adam.p"],
    "adamw": ["adam.m", "adam.v", "adamw.p"],
}


def open_csv(page: Any, folder: Path, *, is_sparse: bool) -> None:
    """Give 16 examples of 100 columns, most of which are 0 if they are to be sparse."""
    rng = np.random.default_rng(81)
    features = rng.normal(size=(16, 100)).round(3) * (
        rng.random((16, 100)) < 0.1 if is_sparse else 1
    )
    rows = [f"{i % 3}," + ",".join(map(str, row)) for i, row in enumerate(features)]
    (folder / "data.csv").write_text("\n".join(rows))
    give(page, "data", folder / "data.csv")


def named(page: Any, block: str) -> list[str]:
    """The marks that a block of the step shows, by their names."""
    lines = get(
        page, f"Array.from(document.querySelectorAll('#{block} .mark span'), (s) => s.textContent)"
    )
    marks = get(page, "marks")
    places = {f"{mark['file']}, line {mark['line']}": [] for mark in marks.values()}
    for name, mark in marks.items():
        places[f"{mark['file']}, line {mark['line']}"].append(name)
    assert all(len(names) == 1 for names in places.values())
    return [places[line][0] for line in lines]


@pytest.mark.parametrize("optimizer", UPDATES)
@pytest.mark.parametrize(("smoothing", "is_sparse"), [(0, False), (0.1, True)])
def test_the_equations(
    page: Any, optimizer: str, smoothing: float, is_sparse: bool, tmp_path: Path
) -> None:
    """Each block names the equations, and the lines of C, that computed its values."""
    open_csv(page, tmp_path, is_sparse=is_sparse)
    chain = pynn.Builder().input(100).dense(6).layer_norm().relu().dense(3)
    model = chain.softmax_cross_entropy(label_smoothing=smoothing).build(seed=1)
    model.save(tmp_path / "model.safetensors")
    give(page, "open", tmp_path / "model.safetensors")
    set_field(page, "optimizer", "sgd" if optimizer == "momentum" else optimizer)
    set_field(page, "momentum", "0.5" if optimizer == "momentum" else "0")
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden", seconds=5)

    s, smoothed = "sparse" if is_sparse else "", "smoothed" if smoothing else ""
    loss = "softmax_cross_entropy"
    assert named(page, "loss") == [f"{loss}.P", f"{loss}.{smoothed}loss", f"{loss}.{smoothed}dZ"]
    assert named(page, "forward-0") == [f"dense.{s}Y", "dense.b"]
    assert named(page, "forward-1") == ["layer_norm.Y"]
    assert named(page, "backward-0") == [f"dense.{s}dW", "dense.db"]
    assert named(page, "backward-2") == ["relu.dX"]
    update = UPDATES[optimizer]
    is_fused = optimizer == "sgd"
    assert named(page, "update-3") == update
    assert named(page, "update-0") == ([f"dense.fused{s}W", "dense.fusedb"] if is_fused else update)
    norm = ["layer_norm.fusedweight", "layer_norm.fusedbias"]
    assert named(page, "update-1") == (norm if is_fused else update)


def test_the_numbers_of_the_optimizer(page: Any) -> None:
    """An update is written out with the numbers that C used."""
    page.find_element("id", "spirals").click()
    set_field(page, "optimizer", "adamw")
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden", seconds=5)
    shown = get(page, "updateText(0, 0, 0)").replace("\N{MINUS SIGN}", "-")
    for part in ("m = 0.9·", "+ 0.1·", "v = 0.999·", "+ 0.001·", "0.002·0.01·", "0.9^1", "1e-8)"):
        assert part in shown
    own = get(page, "[facts.beta1, facts.rest2, facts.eps, facts.decay, facts.certain]")
    assert own == [0.9, 1 - 0.999, 1e-8, 0.01, 1]


def test_a_mark_that_is_unknown(page: Any) -> None:
    """It is an error, not an equation that is missing in silence."""
    script = "try { markLine('dense.nothing'); return ''; } catch (error) { return error.message; }"
    assert "dense.nothing" in page.execute_script(script)


def test_a_step_that_fails(page: Any) -> None:
    """Nothing is shown of it: neither its values nor those of the step before, which are gone."""
    page.find_element("id", "spirals").click()
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden", seconds=5)
    page.execute_script("floats(core.page_parameters(0), 1)[0] = NaN;")
    page.find_element("id", "step").click()
    wait(page, "document.getElementById('error').textContent !== ''", seconds=5)
    assert "not a number" in text(page, "error")
    assert not page.find_element("id", "explained").is_displayed()
    calls = (
        "point(0, 0)",
        "loss(0)",
        "update(0, 0, 0)",
        "sum(0, 2, 0)",
        "array(0, 2)",
        "remarks(0)",
    )
    assert get(page, "[" + ", ".join(f"core.page_step_{call}" for call in calls) + "]") == [0] * 6
    assert get(page, "[core.page_step_pixel(0, 2, 5), core.page_step_pick(0, 2, 0, 0)]") == [0, -1]


def test_a_probability_of_zero(page: Any) -> None:
    """A loss that is finite is not written as the logarithm of 0, nor is the mean infinite."""
    page.find_element("id", "spirals").click()
    page.execute_script(
        "const end = core.page_parameter_count();"
        "floats(core.page_parameters(0), end).set([0, 0, 500], end - 3);"
        "$('batch').value = '64'; $('rate').value = '0'; $('step').click();"
    )
    wait(page, "!document.getElementById('explained').hidden", seconds=5)
    losses = get(page, "Array.from({ length: facts.rows }, (_, row) => lossTexts(3 * row)[1])")
    assert any("as a float" in loss for loss in losses)
    assert not any("log 0 " in loss for loss in losses)
    means = get(page, "Array.from({ length: 9 }, (_, k) => doubles(core.page_step_loss(k), 10)[9])")
    assert all(300 < mean < 400 for mean in means)


def test_more_than_the_memory(page: Any) -> None:
    """A step that does not fit the memory is refused before it takes any, with advice."""
    page.find_element("id", "spirals").click()
    for field, value in (("hidden", "4096 4096 4096 4096 4096 4096 4096"), ("batch", "4096")):
        set_field(page, field, value)
    page.find_element("id", "step").click()
    wait(page, "document.getElementById('error').textContent !== ''", seconds=30)
    assert "fewer units or a smaller batch" in text(page, "error")
    assert get(page, "core.memory.buffer.byteLength") < 2**30
