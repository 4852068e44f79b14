"""Code that the commands share: printing, and how a run ends.

File names and errors may hold control characters, which a terminal would obey, so all of them go
through `printable`. Paths are strings here and in predict.py, whose users wait for its start:
pathlib would be a tenth of the time of its imports besides NumPy and Pillow.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

import pynn
from pynn._base import checks

INTERRUPTED = 130  # the status that a shell reports if SIGINT ended a program
BROKEN_PIPE = 141  # the same for SIGPIPE
_WHOLE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
LONGEST = 2000  # the most characters of a message, which may quote a file


class Failure(Exception):
    """The run cannot go on; the message says why, and what to do."""


def width(stream: TextIO | None) -> int | None:
    """How many characters a line of a terminal has; None if the stream is none."""
    try:
        if stream is None or not stream.isatty():
            return None
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def columns() -> int:
    """How wide help and drawings may be: as the terminal is, or $COLUMNS says, or 80."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) else width(sys.stdout) or 80


def folded(text: str, most: int | None) -> str:
    """Break the lines of a text that are too long for a terminal, at blanks."""
    if most is None or all(len(line) <= most for line in text.split("\n")):
        return text
    return "\n".join("\n".join(_fold(line, max(most, 20))) for line in text.split("\n"))


def _fold(line: str, most: int) -> list[str]:
    """Break a line; of two columns the second is broken, and stays one if the first is narrow."""
    if len(line) <= most:
        return [line]
    import textwrap  # few lines are too long

    blank = len(line) - len(line.lstrip())
    left, gap, right = line[blank:].partition("  ")
    place = len(line) - len(right.lstrip())
    if gap and place <= most // 3:
        first, others = line[:place], " " * place
        return textwrap.wrap(
            right.lstrip(), most, initial_indent=first, subsequent_indent=others, **_WHOLE
        )
    if gap and len(left) > most // 3 and "  " not in right.strip():  # what stands far on the right
        return [*_fold(" " * blank + left, most), *_fold(" " * (blank + 4) + right.strip(), most)]
    return textwrap.wrap(line, most, subsequent_indent=" " * (blank + 4), **_WHOLE)


def printable(text: str) -> str:
    """Put text from outside on one line, with escapes for characters that are not printable."""
    return checks.printable(text, LONGEST)


def near(path: str | os.PathLike[str]) -> str:
    """A path as a user would type it: relative if it lies below the current directory."""
    text = os.fspath(path)
    try:
        here = os.path.join(os.getcwd(), "")
    except FileNotFoundError:  # it is gone, and nothing lies below it
        return text
    return os.path.relpath(text) if text.startswith(here) else text


def shown(path: str | os.PathLike[str]) -> str:
    """The same path for a message: with escapes, so that it can be printed."""
    return printable(near(path))


def reason(error: BaseException, about: str | None = None) -> str:
    """The words of an error, without its errno, and without the file's name if that is `about`."""
    if isinstance(error, OSError) and error.strerror:
        name = None if error.filename is None else os.fsdecode(error.filename)
        return error.strerror if name in (None, about) else f"{name}: {error.strerror}"
    return str(error).strip() or type(error).__name__


def say(text: str, *, fold: bool = True) -> None:
    """Print a result on standard output, and flush it.

    On a terminal that is too narrow lines are broken, unless they are for programs.

    Raises:
        BrokenPipeError: The reader of the output has gone away.
        Failure: Standard output is closed, or cannot be written to.
    """
    if sys.stdout is None:
        raise Failure("there is no standard output to print to")
    try:
        print(folded(text, width(sys.stdout)) if fold else text, flush=True)
    except BrokenPipeError:
        give_up(sys.stdout)
        raise
    except OSError as error:
        give_up(sys.stdout)
        raise Failure(f"standard output: {reason(error)}") from None


def complain(text: str) -> None:
    """Print a line on standard error; if that fails, the exit status alone shows the error."""
    if sys.stderr is not None:
        try:
            print(text, file=sys.stderr, flush=True)
        except OSError:
            give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Send a stream to the null device: Python flushes it on exit, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run(name: str, work: Callable[[], int]) -> int:
    """Do a program's work and return its exit status; print an error as one line on stderr."""
    _occupy_closed_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for streams that are not UTF-8
    try:
        return work()
    except BrokenPipeError:
        return BROKEN_PIPE
    except KeyboardInterrupt as interrupt:
        complain("; ".join([f"{name}: interrupted", *map(str, interrupt.args)]))
        return INTERRUPTED
    except (Failure, pynn.PynnError, OSError, MemoryError, ImportError) as error:
        complain(f"{name}: error: {printable(reason(error))}")
        return 1


def _occupy_closed_descriptors() -> None:
    """Open those of the descriptors 0, 1 and 2 that are closed.

    Otherwise a file that the program opens could get such a number, and output would go into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
