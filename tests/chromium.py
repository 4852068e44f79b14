"""The page in headless Chromium: how it is started, waited for, drawn on and given files."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "build" / "page" / "index.html"
FLAGS = (
    "--headless",
    "--no-sandbox",  # which containers do not allow
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

T = TypeVar("T")
Point = tuple[float, float]
Stroke = list[Point]


@contextmanager
def started(folder: Path, *flags: str) -> Iterator[Any]:
    """A browser, whose downloads and settings go into a folder."""
    browser, its_driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert browser and its_driver, "install them: apt-get install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={folder / 'settings'}", *flags):
        options.add_argument(flag)
    options.binary_location = browser
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(its_driver))
    try:
        yield driver
    finally:
        driver.quit()


def open_page(
    driver: Any, width: int = 1280, scheme: str = "light", url: str = PAGE.as_uri()
) -> None:
    """Load the page anew, with the network that it starts with."""
    assert PAGE.exists(), "build the page: python web/build.py"
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(url)
    wait(driver, "document.documentElement.dataset.ready === 'yes'")


def wait(driver: Any, condition: str, seconds: float = 60) -> None:
    """Wait until a condition in JavaScript is true."""
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return {condition}"):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def wait_for(found: Callable[[], T], seconds: float = 60) -> T:
    """Wait until a function finds something, and return that."""
    end = time.monotonic() + seconds
    while not (what := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return what


def get(driver: Any, expression: str) -> Any:
    """The value of an expression in JavaScript."""
    return driver.execute_script(f"return {expression}")


def text(driver: Any, name: str) -> str:
    """The text of an element."""
    shown: str = driver.find_element("id", name).text
    return shown


def give(driver: Any, name: str, *files: Path) -> None:
    """Choose files in a field for files, and wait until the page has taken them or said why not."""
    field = driver.find_element("id", name)
    driver.execute_script(
        "const said = new MutationObserver(() => (window.taken = true));"
        "window.taken = false;"
        "for (const id of ['error', 'data-state', 'model-state'])"
        "  said.observe(document.getElementById(id), { childList: true, characterData: true });"
        "arguments[0].value = '';",
        field,
    )
    field.send_keys("\n".join(map(str, files)))
    wait(driver, "window.taken")


def set_field(driver: Any, name: str, value: str) -> None:
    """Give a field of the form another value, as a user does."""
    driver.execute_script(
        "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
        "for (const name of ['input', 'change'])"
        "  field.dispatchEvent(new Event(name, { bubbles: true }));",
        name,
        value,
    )


def draw(driver: Any, strokes: list[Stroke], kind: str = "mouse") -> None:
    """Draw on cleared paper, by points in pixels from the paper's middle."""
    driver.find_element("id", "clear").click()
    paper = driver.find_element("id", "paper")
    driver.execute_script("arguments[0].scrollIntoView({ block: 'center' })", paper)
    builder = ActionBuilder(driver, mouse=PointerInput(kind, kind), duration=2)
    pointer = builder.pointer_action
    for stroke in strokes:
        pointer.move_to(paper, *map(round, stroke[0]))
        pointer.pointer_down()
        for point in stroke[1:]:
            pointer.move_to(paper, *map(round, point))
        pointer.pointer_up()
    builder.perform()


def probabilities(driver: Any) -> list[float]:
    """What the network makes of the drawing: the probability of each class."""
    rows = "document.querySelectorAll('#probabilities li')"
    share = "(row) => Number(row.style.getPropertyValue('--share'))"
    values: list[float] = get(driver, f"Array.from({rows}, {share})")
    return values


def saved(page: Any, folder: Path) -> Path:
    """The file that the page saves."""
    for old in folder.glob("*.safetensors"):
        old.unlink()
    page.find_element("id", "save").click()
    return wait_for(lambda: list(folder.glob("*.safetensors")))[0]


def digit(driver: Any) -> list[int]:
    """The 28 x 28 pixels that the network sees, from 0 to 255."""
    picture = "document.getElementById('digit').getContext('2d').getImageData(0, 0, 28, 28).data"
    pixels: list[int] = get(driver, f"Array.from({picture}).filter((_, index) => index % 4 === 0)")
    return pixels


def requests(driver: Any) -> list[str]:
    """The addresses that the browser has asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
