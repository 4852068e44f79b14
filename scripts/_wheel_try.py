"""Trying a wheel as a user would: installed without a compiler, into each Python found here."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from _commands import FailedError, run

PROGRAM = Path(__file__).with_name("_wheel_program.py")


class Tried(NamedTuple):
    """What an installation of a wheel came to."""

    python: str
    """The version of the Python."""
    seconds: float
    """How long pip took to install the wheel and what it needs."""
    nbytes: int
    """The size of the installed package."""
    said: str
    """What the program printed: the accuracy and how long it took."""


def pythons() -> dict[str, Path]:
    """The Pythons from 3.10 on that are found here, by version."""
    found: dict[str, Path] = {}
    folders = [Path(folder) for folder in os.environ["PATH"].split(":")]
    folders += sorted((Path.home() / ".pyenv/versions").glob("*/bin"))
    for folder in folders:
        for minor in range(10, 20):
            path = folder / f"python3.{minor}"
            if f"3.{minor}" not in found and path.is_file() and _runs(path):
                found[f"3.{minor}"] = path
    return found


def _runs(python: Path) -> bool:
    """Whether a Python starts: some files of this name only choose between others."""
    done = subprocess.run([python, "-c", "import venv, ssl"], capture_output=True, check=False)
    return done.returncode == 0


def try_wheel(wheel: Path, version: str, python: Path, folder: Path, data: str) -> Tried:
    """Install a wheel into a new virtual environment, train two epochs with it, and predict.

    Args:
        wheel: The wheel.
        version: The version of the Python.
        python: The Python.
        folder: A folder for the virtual environment, which must not exist.
        data: The folder of MNIST; "" makes the program train on random digits.

    Raises:
        FailedError: pip or the program has failed.
    """
    run(python, "-m", "venv", folder)
    # No compiler is found: nothing but the environment is on the path.
    variables = {"PATH": str(folder / "bin"), "PYTHONNOUSERSITE": "1", "CC": "/nonexistent"}
    began = time.perf_counter()
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-compile",
        "--disable-pip-version-check", "--only-binary=:all:", wheel, **variables)  # fmt: skip
    seconds = time.perf_counter() - began
    (package,) = folder.glob("lib/python3*/site-packages/pynn")
    nbytes = sum(path.stat().st_size for path in package.rglob("*") if path.is_file())
    said = run(
        folder / "bin/python", "-P" if version != "3.10" else "-s", PROGRAM, data, **variables
    )
    shutil.rmtree(folder)
    if not said.startswith("trained"):
        raise FailedError(said)
    return Tried(version, seconds, nbytes, said.strip().splitlines()[-1])
