"""scikit-learn's own checks and tests on pynn's estimators; and pynn without scikit-learn."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from pynn.sklearn import MLPClassifier, MLPRegressor

# Most runs here are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ------------------------------------------------------------ scikit-learn's own checks


def name_of(check: Any) -> str:
    """A check's name, with what it is called with."""
    arguments = "".join(f"-{key}={value}" for key, value in getattr(check, "keywords", {}).items())
    return str(getattr(check, "func", check).__name__) + arguments


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{name_of(check)}")
        for made in (MLPClassifier(), MLPRegressor())
        for estimator, check in estimator_checks_generator(made)
    ],
)
def test_estimator_check(estimator: Any, check: Any) -> None:
    """Every check that scikit-learn has for an estimator of its kind; none is expected to fail."""
    check(estimator)


# ------------------------------------------------------------ import


def run_python(code: str, folder: Path) -> str:
    """What a program prints in an interpreter of its own, away from the sources."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_import_pynn_does_not_import_scikit_learn(tmp_path: Path) -> None:
    """scikit-learn is imported with pynn.sklearn alone."""
    code = "import sys, pynn; print([m for m in sys.modules if 'sklearn' in m or 'scipy' in m])"
    assert run_python(code, tmp_path) == "[]\n"


def test_missing_scikit_learn_is_said(tmp_path: Path) -> None:
    """The error has the command that installs it."""
    code = """if True:
        import sys
        sys.modules["sklearn"] = None
        try:
            import pynn.sklearn
        except ImportError as error:
            print(error)
    """
    expected = "pynn.sklearn needs scikit-learn: pip install 'pynn-blas[sklearn]'\n"
    assert run_python(code, tmp_path) == expected


# ------------------------------------------------------------ scikit-learn's own tests

PEERS = runpy.run_path(str(Path(__file__).parent / "peers" / "sklearn_mlp.py"))
AS_EXPECTED = {
    name: PEERS["Outcome"]("failed", f"... {PEERS['REASONS'][reason]} ...")
    for name, reason in PEERS["EXPECTED"].items()
}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"test_shuffle": ("passed", ""), "test_alpha": ("skipped", "")}, []),
        ({"test_shuffle": ("failed", "why")}, ["test_shuffle: fails\nwhy"]),
        (
            {"test_gradient": ("passed", "")},
            ["test_gradient: passes, and is expected to fail because of"],
        ),
        (
            {"test_gradient": ("failed", "no")},
            ["test_gradient: fails, and not because of private names\nno"],
        ),
        ({"test_gradient": None, "test_gradient[1]": ("failed", "AttributeError")}, []),
        ({"test_gradient": None}, ["test_gradient: is expected to fail, and is not there"]),
        (
            {"test_mlp_param_dtypes[MLPClassifier-float32]": ("failed", "")},
            ["test_mlp_param_dtypes"],
        ),
    ],
    ids=str,
)
def test_outcomes_of_scikit_learns_tests_are_judged(
    changes: dict[str, Any], lines: list[str]
) -> None:
    """A test that fails or passes against expectation, or is not there, is reported."""
    changed = {n: o and PEERS["Outcome"](*o) for n, o in {**AS_EXPECTED, **changes}.items()}
    wrong = PEERS["judge"]({name: outcome for name, outcome in changed.items() if outcome})
    assert len(wrong) == len(lines)
    assert all(found.startswith(line) for found, line in zip(wrong, lines, strict=True))


def test_the_page_lists_what_fails_of_scikit_learns_tests() -> None:
    """docs/sklearn.md and the script have the same tests, for the same reasons."""
    page = (Path(__file__).parents[1] / "docs" / "sklearn.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(test_[^`]*)` \| (.*) \|$", page, re.MULTILINE)
    assert dict(rows) == PEERS["EXPECTED"]
