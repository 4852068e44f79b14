"""The page as `python -m pynn play` serves it: what the server forbids, the page does not need."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
from chromium import draw, give, requests, saved, text, wait
from strokes import BY_HAND

from pynn import _play

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def served(browser: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The page, built here, from a server in a thread; the browser must not complain.

    The package may have been installed before the page was built, or with another page.
    """
    monkeypatch.setattr(_play, "find_page", lambda: chromium.PAGE)
    with _play.Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        browser.get_log("browser")
        chromium.open_page(browser, url=server.url)
        yield browser
        server.shutdown()
        thread.join(60)
    log = browser.get_log("browser")
    assert [entry["message"] for entry in log if entry["level"] == "SEVERE"] == []


def test_the_served_page(served: Any, folder: Path) -> None:
    """It draws, reads, trains and saves, and asks for nothing but itself."""
    draw(served, BY_HAND[2])
    assert text(served, "answer") == "2"
    give(served, "data", *sorted((ROOT / "data" / "mnist").glob("*.gz")))
    served.find_element("id", "train").click()
    wait(served, "document.getElementById('train-state').dataset.epochs >= 1")
    served.find_element("id", "train").click()
    assert saved(served, folder).stat().st_size > 100_000
    asked = [url for url in requests(served) if url.startswith("http")]
    assert set(asked) == {served.current_url}


def test_the_page_is_installed(tmp_path: Path) -> None:
    """The package has the page, where it was built before the package is."""
    assert chromium.PAGE.exists()
    meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
    setup = [*meson, "setup", tmp_path / "build", "-Dpython=enabled", "-Dblas=reference"]
    subprocess.run(setup, check=True, cwd=ROOT, capture_output=True)
    introspect = [*meson, "introspect", "--installed", tmp_path / "build"]
    listed = subprocess.run(introspect, check=True, capture_output=True).stdout
    installed = json.loads(listed)[str(chromium.PAGE)]
    assert Path(installed).parts[-3:] == ("pynn", "_page", "index.html")
