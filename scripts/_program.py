"""What the programs share: where things lie, how help looks, and how a run ends.

Paths are strings here and in predict.py, which one waits for: pathlib would be a tenth of what it
imports beyond NumPy and Pillow.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable

import pynn

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MODELS = os.path.join(ROOT, "models")  # where train.py saves and predict.py looks

INTERRUPTED = 130  # what a shell reports for a program that SIGINT ended
BROKEN_PIPE = 141  # and for SIGPIPE


class Failure(Exception):
    """The run cannot go on; the message says why, and what to do."""


def help_format(prog: str) -> argparse.HelpFormatter:
    """Help for 80 columns, like the texts in it; to ask for the terminal's width imports much."""
    return argparse.RawDescriptionHelpFormatter(prog, width=78)


def shown(path: str | os.PathLike[str]) -> str:
    """A path as a user would type it: relative if it lies below the current directory."""
    text = os.fspath(path)
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it is gone, and nothing lies below it
        return text
    return os.path.relpath(text) if text.startswith(os.path.join(here, "")) else text


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
    except KeyboardInterrupt as interrupt:
        print("; ".join([f"{name}: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return INTERRUPTED
    except (Failure, pynn.PynnError, OSError, MemoryError) as error:
        print(f"{name}: error: {reason(error)}", file=sys.stderr)
        return 1
