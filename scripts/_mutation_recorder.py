"""A plugin of pytest that records which lines of pynn each test runs, and how long it takes.

Writes JSON to the file that PYNN_RECORD names: "seconds" and "breadth" (how many lines it runs) by
test, and "lines", which are by file and line the tests that run it. A test's name is without its
parameters. A line that a fixture runs counts for all tests of the file: their name is "".
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

_SETUP = "setup"
_seconds: dict[str, float] = defaultdict(float)
_coverage = coverage.Coverage(data_file=None, config_file=False, source_pkgs=["pynn"])
# Files whose tests run pynn in processes of their own are no reason for a warning, an error here.
_coverage.set_option("run:disable_warnings", ["module-not-imported", "no-data-collected"])
_coverage.start()


def _name(nodeid: str) -> str:
    return nodeid.split("::", 1)[1].split("[")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """What fixtures run is not the first test's alone."""
    _coverage.switch_context(_SETUP)
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """From here on it is the test's."""
    _coverage.switch_context(_name(item.nodeid))
    yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the time of all parameters, and of setting up."""
    _seconds[_name(report.nodeid)] += report.duration


def pytest_sessionfinish() -> None:
    """Write all of it."""
    _coverage.stop()
    data = _coverage.get_data()
    lines: dict[str, dict[str, list[str]]] = {}
    breadth: dict[str, int] = defaultdict(int)
    for file in data.measured_files():
        parts = Path(file).parts
        place = "/".join(parts[len(parts) - 1 - parts[::-1].index("pynn") :])
        by_line = lines[place] = {}
        for line, contexts in data.contexts_by_lineno(file).items():
            names = {"" if context == _SETUP else context for context in contexts if context}
            by_line[str(line)] = sorted(names)
            for name in names:
                breadth[name] += 1
    record = {"seconds": _seconds, "breadth": breadth, "lines": lines}
    Path(os.environ["PYNN_RECORD"]).write_text(json.dumps(record))
