"""scikit-learn's own test_mlp.py with pynn's estimators in the place of its own.

    python tests/peers/sklearn_mlp.py

The file is that of the installed scikit-learn. It fails where a test fails that EXPECTED does not
have, or for another reason; where one passes that EXPECTED has; and where EXPECTED has one that is
not there. docs/sklearn.md has the same list.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sklearn
import sklearn.neural_network

import pynn.sklearn

VERSION = "1.9"
"""The scikit-learn that EXPECTED is of."""

PRIVATE = "private names"
FLOAT64 = "weights in float64"

REASONS = {
    PRIVATE: "AttributeError",
    FLOAT64: "dtype == dtype",
}
"""Why a test fails here, and what its failure says then."""

EXPECTED = {
    "test_gradient": PRIVATE,
    "test_mlp_param_dtypes[MLPClassifier-float64]": FLOAT64,
    "test_mlp_param_dtypes[MLPRegressor-float64]": FLOAT64,
}
"""The tests that fail, each with all of its parameters if it has none here, and why."""


class Outcome(NamedTuple):
    """Of a test: "passed", "failed" or "skipped", and what its failure says."""

    word: str
    text: str = ""


def judge(outcomes: dict[str, Outcome]) -> list[str]:
    """What is not as expected, some lines for each test, from outcomes by the tests' names."""
    wrong = []
    for name, (word, text) in outcomes.items():
        reason = EXPECTED.get(name, EXPECTED.get(name.partition("[")[0]))
        if word == "failed" and reason is None:
            wrong.append(f"{name}: fails\n{text}")
        elif word == "failed" and reason is not None and REASONS[reason] not in text:
            wrong.append(f"{name}: fails, and not because of {reason}\n{text}")
        elif word == "passed" and reason is not None:
            wrong.append(f"{name}: passes, and is expected to fail because of {reason}")
    there = {*outcomes, *(name.partition("[")[0] for name in outcomes)}
    missing = [name for name in EXPECTED if name not in there]
    return wrong + [f"{name}: is expected to fail, and is not there" for name in missing]


class Recorder:
    """A plugin of pytest: collects outcomes."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be read."""
        if report.failed:
            self.outcomes[report.nodeid] = Outcome("failed", report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure wherever it is, else how the call ended."""
        name = report.nodeid.partition("::")[2]
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[name] = Outcome(report.outcome, report.longreprtext)


def run() -> dict[str, Outcome]:
    """The outcomes with pynn's estimators in scikit-learn's place."""
    folder = Path(sklearn.neural_network.__file__).parent / "tests"
    theirs: Any = sklearn.neural_network
    theirs.MLPClassifier = pynn.sklearn.MLPClassifier
    theirs.MLPRegressor = pynn.sklearn.MLPRegressor
    recorder = Recorder()
    options = ["-p", "no:cacheprovider", "-p", "no:terminal", "-W", "ignore"]
    not_ours = ["-c", os.devnull, "--rootdir", str(folder)]  # the settings of our own tests
    pytest.main([*options, *not_ours, str(folder / "test_mlp.py")], [recorder])
    return recorder.outcomes


def main() -> int:
    """Run, say what is not as expected, and be 1 then."""
    outcomes = run()
    wrong = judge(outcomes)
    words = [outcome.word for outcome in outcomes.values()]
    print(
        f"test_mlp.py of scikit-learn {sklearn.__version__}: {words.count('passed')} passed,"
        f" {words.count('skipped')} skipped, {words.count('failed')} failed; not as expected:"
        f" {len(wrong)}"
    )
    print(*wrong, sep="\n")
    if wrong and not sklearn.__version__.startswith(f"{VERSION}."):
        print(f"what is expected is of scikit-learn {VERSION}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
