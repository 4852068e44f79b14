"""What the programs share: where things lie, and how a run ends."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pynn

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"  # where train.py saves and predict.py looks

INTERRUPTED = 130  # what a shell reports for a program that SIGINT ended
BROKEN_PIPE = 141  # and for SIGPIPE


class Failure(Exception):
    """The run cannot go on; the message says why, and what to do."""


def shown(path: Path) -> str:
    """A path as a user would type it: relative if it lies below the current directory."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def reason(error: Exception) -> str:
    """An error as one line, without an errno."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None:
            text = f"{os.fsdecode(error.filename)}: {text}"
    return " ".join(text.split()) or type(error).__name__


def run(name: str, work: Callable[[], int]) -> int:
    """Do a program's work and return its exit status; what goes wrong is one line on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold anything
    try:
        status = work()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Python flushes stdout once more on exit: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (Failure, pynn.PynnError, OSError, MemoryError) as error:
        print(f"{name}: error: {reason(error)}", file=sys.stderr)
        return 1
