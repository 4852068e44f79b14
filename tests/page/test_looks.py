"""What the page is besides its numbers: small, self-contained, and readable everywhere."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest
from chromium import PAGE, draw, get, give, open_page, requests, set_field, text, wait
from strokes import BY_HAND

ROOT = Path(__file__).parent.parent.parent
MOST_BYTES = 150_000
STEPS = {"dense": 938, "lenet": 150}  # that a network is trained before its picture is taken


def test_the_size(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole page, without MNIST, is at most 150 kB as gzip compresses it."""
    page = PAGE.read_bytes()
    small = len(gzip.compress(page, 9))
    with capsys.disabled():
        print(f"\nsize: {len(page):,} bytes, {small:,} with gzip -9")
    assert small <= MOST_BYTES


def test_no_request_is_made(page: Any) -> None:
    """From a file, the page asks for nothing but itself, whatever one does; it has all it needs."""
    requests(page)
    open_page(page)
    assert get(page, "location.protocol") == "file:"
    draw(page, BY_HAND[1])
    page.find_element("css selector", ".units button").click()
    give(page, "open", ROOT / "web" / "digits.safetensors")
    page.find_element("id", "save").click()
    asked = [url for url in requests(page) if not url.startswith(("data:", "blob:"))]
    assert asked == [PAGE.as_uri()]
    outside = "performance.getEntriesByType('resource').filter((e) => /^\\w+:\\/\\//.test(e.name))"
    assert get(page, f"{outside}.map((e) => e.name)") == []


# The texts that are shown, each with its colour and the colour behind it, as red, green, blue.
TEXTS = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = numbers(getComputedStyle(element).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour.slice(0, 3);
  }
  return [255, 255, 255];
};
return Array.from(document.querySelectorAll("body *")).filter((element) =>
  element.checkVisibility({ opacityProperty: true })
    && !element.matches(":disabled, script, #hint, option")
    && Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.textContent.trim())
).map((element) => [element.textContent.trim().slice(0, 40),
                    numbers(getComputedStyle(element).color).slice(0, 3), behind(element)]);
"""


def luminance(colour: list[float]) -> float:
    """Relative luminance, by the guidelines for accessible pages (WCAG 2.2)."""
    shares = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: list[float], other: list[float]) -> float:
    """The contrast of two colours, from 1 to 21."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("chain", ["dense", "lenet"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_screenshot(page: Any, width: int, scheme: str, chain: str) -> None:
    """It is written to build/page; texts have contrast, and nothing is wider than the screen."""
    open_page(page, width, scheme)
    give(page, "data", *sorted((ROOT / "data" / "mnist").glob("*.gz")))
    set_field(page, "chain", chain)
    page.find_element("id", "train").click()
    wait(page, f"doubles(core.page_progress(), 8)[1] >= {STEPS[chain]}")
    page.find_element("id", "train").click()
    draw(page, BY_HAND[3])
    if chain == "dense":
        page.find_element("css selector", ".units button:nth-child(2)").click()
    else:
        page.find_element("css selector", ".maps").click()
        page.find_element("id", "step").click()
        wait(page, "!document.getElementById('explained').hidden")
    page.execute_script("window.scrollTo(0, 0); document.activeElement.blur()")

    assert get(page, "document.documentElement.scrollWidth") <= width
    dark = (
        luminance(
            get(page, "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        )
        < 0.2
    )
    assert dark == (scheme == "dark")
    shown = page.execute_script(TEXTS)
    assert len(shown) > 30
    faint = [(words, round(contrast(*colours), 2)) for words, *colours in shown]
    assert [text for text in faint if text[1] < 4.5] == []

    height = get(page, "document.documentElement.scrollHeight")
    area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    options = {"captureBeyondViewport": True, "clip": area}
    picture = page.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
    name = f"{width}-{scheme}.png" if chain == "dense" else f"{width}-{scheme}-{chain}.png"
    PAGE.with_name(name).write_bytes(base64.b64decode(picture))


def test_every_control_has_a_name(page: Any) -> None:
    """For those who hear the page: buttons, fields and pictures say what they are."""
    nameless = page.execute_script(
        "return Array.from(document.querySelectorAll('button, input, select, canvas, svg, meter,"
        " progress')).filter((element) => !(element.getAttribute('aria-label')"
        " || element.textContent.trim() || element.labels?.[0]?.textContent.trim()))"
        ".map((element) => element.outerHTML)"
    )
    assert nameless == []
    assert text(page, "drawing-title") == "Draw a digit"
