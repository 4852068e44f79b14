"""A digit is drawn, by whatever points, and the network that the page starts with reads it."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import digit, draw, get, probabilities, text
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from strokes import BY_HAND, trace

import pynn

ROOT = Path(__file__).parent.parent.parent
PICTURES = {"two": 2, "three": 3, "five": 5, "seven": 7}


@pytest.mark.parametrize("number", range(10))
def test_a_digit_by_hand(page: Any, number: int) -> None:
    """Each of the ten, drawn with the mouse, is read right."""
    draw(page, BY_HAND[number])
    assert text(page, "answer") == str(number)
    shown = probabilities(page)
    assert shown.index(max(shown)) == number and sum(shown) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_is_traced(page: Any, name: str) -> None:
    """Each picture of data/digits, drawn along the middle of its ink, is read right."""
    draw(page, trace(ROOT / "data" / "digits" / f"{name}.png"))
    assert text(page, "answer") == str(PICTURES[name])


def test_all_pictures_are_traced() -> None:
    """A picture that is new in data/digits belongs into the list above."""
    assert {file.stem for file in (ROOT / "data" / "digits").glob("*.png")} == set(PICTURES)


@pytest.mark.parametrize("kind", ["touch", "pen"])
def test_a_finger_and_a_pen(page: Any, kind: str) -> None:
    """They draw what the mouse draws."""
    draw(page, BY_HAND[3])
    seen = digit(page)
    draw(page, BY_HAND[3], kind)
    assert digit(page) == seen
    assert text(page, "answer") == "3"


def test_the_keyboard(page: Any) -> None:
    """Arrow keys move the pen, the space bar puts it down and lifts it, Delete clears the paper."""
    paper = page.find_element("id", "paper")
    up, down, left, right = Keys.ARROW_UP, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_RIGHT
    to_the_start = up * 11 + left * 6
    seven = " " + right * 14 + (down * 2 + left) * 10 + " "
    paper.send_keys(to_the_start + seven + down * 5)
    assert text(page, "answer") == "7"
    paper.send_keys(Keys.DELETE)
    assert text(page, "answer") not in set("0123456789")
    assert not any(digit(page))


def test_the_page_can_be_used_by_the_tab_key(page: Any) -> None:
    """It reaches the paper, the units of each layer, each choice, and each button and field."""
    wanted = {"paper", "clear", "data", "hidden", "activation", "optimizer", "rate", "batch"}
    wanted |= {"restart", "open", "save"}
    reached = set()
    units = 0
    for _ in range(40):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.add(get(page, "document.activeElement.id"))
        units += get(page, "document.activeElement.closest('.units') !== null")
    assert wanted - reached == set()
    assert units >= 5


def test_a_unit(page: Any) -> None:
    """Its weights as a picture, its sum, and the equation, with the line of C that has it."""
    draw(page, BY_HAND[4])
    page.find_element("css selector", ".units button:nth-child(3)").click()
    assert page.find_element("id", "unit-weights").is_displayed()
    assert text(page, "unit-sum").startswith("y2 = ")
    mark = text(page, "unit-mark")
    assert "Y = X W" in mark and "csrc/layers/dense.c, line" in mark
    line = get(page, "marks[`dense.sparseY`].line")  # most of a drawing is 0
    assert f"line {line}" in mark


def test_the_marks(page: Any) -> None:
    """For each equation the line named is that of its mark, and the code shown stands below it."""
    marks = get(page, "marks")
    assert len(marks) > 40
    for name, mark in marks.items():
        lines = (ROOT / mark["file"]).read_text(encoding="utf-8").splitlines()
        assert f"@{name}" in lines[mark["line"] - 1]
        below = " ".join(line.strip() for line in lines[mark["line"] : mark["line"] + 15])
        assert mark["code"] in below


MEASURE = """
let began;
window.times = [];
for (const name of ["pointerdown", "pointermove"]) {
  window.addEventListener(name, () => (began = performance.now()), { capture: true });
  window.addEventListener(name, (event) => {
    if (event.buttons === 0) return;
    document.getElementById("answer").getBoundingClientRect();
    window.times.push(performance.now() - began);
  });
}
"""


def test_the_time_from_a_point_to_the_answer(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """At most 5 ms, from the pointer's event to the answer in the page, laid out.

    It is the median over a digit's points, and the least of eight digits: the machine may be busy
    with something else for a while.
    """
    page.execute_script(MEASURE)
    medians = []
    for number in (2, 3, 6, 8) * 2:
        page.execute_script("window.times.length = 0")
        draw(page, BY_HAND[number])
        times = get(page, "window.times")
        assert len(times) > 15
        medians.append(statistics.median(times))
    with capsys.disabled():
        shown = ", ".join(f"{median:.1f}" for median in medians)
        print(f"\npoint to answer: {shown} ms, the medians of eight digits")
    assert min(medians) <= 5


def test_the_answer_is_pynns(page: Any) -> None:
    """The network of web/digits.safetensors gives the same probabilities in Python."""
    draw(page, BY_HAND[8])
    model = pynn.load(ROOT / "web" / "digits.safetensors")
    expected = model.predict_proba(np.array([digit(page)], np.uint8))[0]
    assert np.abs(expected - probabilities(page)).max() < 1e-6


def test_one_pointer_draws(page: Any) -> None:
    """Neither another button nor a second finger leaves ink, and a line goes on beside it."""
    page.execute_script(
        "paper.setPointerCapture = () => 0; paper.hasPointerCapture = () => true;"
        "const box = paper.getBoundingClientRect();"
        "window.point = (name, pointerId, clientX, button = 0) => paper.dispatchEvent("
        "  new PointerEvent(name, { pointerId, button, bubbles: true,"
        "    clientX: clientX + box.left, clientY: box.top + 100 }));"
        "point('pointerdown', 1, 100, 2); point('pointermove', 1, 150, 2);"
        "point('pointerup', 1, 150, 2);"
    )
    assert not any(digit(page))
    line = "point('pointerdown', 2, 60); point('pointermove', 2, 100);"
    page.execute_script(f"{line} point('pointermove', 2, 160); point('pointerup', 2, 160);")
    alone = digit(page)
    page.find_element("id", "clear").click()
    page.execute_script(
        f"{line} point('pointerdown', 3, 20); point('pointermove', 3, 30);"
        "point('pointerup', 3, 30);"
        "point('pointermove', 2, 160); point('pointerup', 2, 160);"
    )
    assert any(alone) and digit(page) == alone
