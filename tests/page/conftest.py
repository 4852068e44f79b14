"""Fixtures of the page's tests. A browser serves all of them, and each loads the page anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the browser downloads to."""
    return tmp_path_factory.mktemp("chromium")


@pytest.fixture(scope="session")
def browser(folder: Path) -> Iterator[Any]:
    with chromium.started(folder) as driver:
        yield driver


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """The page, as wide as on a desk; the test fails if the browser has complained of an error."""
    chromium.open_page(browser)
    browser.get_log("browser")
    yield browser
    log = browser.get_log("browser")
    assert [entry["message"] for entry in log if entry["level"] == "SEVERE"] == []
