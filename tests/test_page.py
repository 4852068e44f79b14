"""The page of web/ in headless Chromium: it reads drawn digits, and trains on MNIST."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="scripts/check --only page has it")

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "build" / "page" / "index.html"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, width: float, height: float, begin: int, end: int) -> Stroke:
    """Part of an ellipse around (x, y), from one angle to another, in degrees."""
    angles = [math.radians(begin + (end - begin) * i / 14) for i in range(15)]
    return [(x + width * math.cos(a), y + height * math.sin(a)) for a in angles]


DIGITS: list[list[Stroke]] = [
    [arc(0, 0, 50, 75, -90, 270)],
    [[(5, -75), (-5, 75)]],
    [[*arc(0, -35, 45, 40, -170, 40), (-50, 70), (55, 70)]],
    [arc(0, -37, 42, 38, -150, 90) + arc(0, 38, 48, 38, -90, 150)],
    [[(-20, -75), (-45, 10), (50, 10)], [(30, -70), (20, 80)]],
    [[(45, -75), (-35, -75), (-40, -10), *arc(0, 25, 45, 45, -130, 140)]],
    [[(30, -78), (-20, -30), *arc(0, 30, 42, 45, -180, 180)]],
    [[(-50, -70), (50, -70), (-10, 78)]],
    [arc(0, -37, 36, 37, 90, -270) + arc(0, 38, 44, 40, -90, 270)],
    [[*arc(0, -30, 42, 42, 0, -360), (42, -30), (20, 80)]],
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.binary_location = "/usr/bin/chromium"
    service = webdriver.chrome.service.Service("/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_window_size(1280, 1000)
    driver.get(PAGE.as_uri())
    wait(driver, "document.documentElement.dataset.ready === 'yes'")
    yield driver
    driver.quit()


def wait(driver: Any, condition: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return {condition}"):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def draw(driver: Any, strokes: list[Stroke]) -> None:
    paper = driver.find_element("id", "paper")
    pointer = webdriver.ActionChains(driver, duration=4)
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            pointer.move_to_element_with_offset(paper, round(x), round(y))
            if number == 0:
                pointer.click_and_hold()
        pointer.release()
    pointer.perform()


@pytest.mark.parametrize("digit", range(10))
def test_a_drawn_digit_is_read(page: Any, digit: int) -> None:
    """By the network that the page starts with, in at most 5 milliseconds."""
    page.find_element("id", "clear").click()
    draw(page, DIGITS[digit])
    assert page.find_element("id", "answer").text == str(digit)
    assert float(page.find_element("id", "time").get_attribute("data-milliseconds")) <= 5


def test_two_epochs_of_mnist(page: Any) -> None:
    """They take at most 2 seconds each, and read 94 % of the test images right."""
    files = sorted((ROOT / "data" / "mnist").glob("*.gz"))
    page.find_element("id", "data").send_keys("\n".join(map(str, files)))
    wait(page, "!document.getElementById('train').disabled")
    began = time.monotonic()
    page.find_element("id", "train").click()
    wait(page, "document.getElementById('train-state').dataset.epochs >= 2")
    assert time.monotonic() - began <= 4
    accuracy = "document.getElementById('train-state').dataset.accuracy"
    assert float(page.execute_script(f"return {accuracy}")) > 0.94
    page.find_element("id", "train").click()


def test_the_page_has_no_arithmetic() -> None:
    """No product, quotient, remainder or function of Math: page.c has those."""
    code = (ROOT / "web" / "page.js").read_text(encoding="utf-8")
    code = re.sub(r"//.*|/\*.*?\*/|`[^`]*`|\"[^\"]*\"|/\S+/[ig]*", "", code)
    assert re.findall(r"Math\.|[*%]|\w / \w", code) == []
