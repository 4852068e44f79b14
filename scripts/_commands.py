"""Running commands, for the scripts that build for other machines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class FailedError(Exception):
    """A command has failed: its arguments and the end of its output."""


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Run a command, and return what it prints; raise a FailedError if it fails.

    Args:
        command: The program and its arguments.
        cwd: Where it runs; None means here.
        variables: Variables of its environment, besides those of this process.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise FailedError(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}")
    return done.stdout
