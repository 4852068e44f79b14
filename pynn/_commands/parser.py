"""The parser of the commands' options: help that fits the terminal, and errors of one line."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from pynn._base import vocabulary, words
from pynn._commands.program import columns, complain, printable, say

NARROWEST, WIDEST = 40, 80
BELOW = " " * 6
"""What stands before the second column where it is below the first."""
LEAST_ROOM = 25
"""With less room the second column is below the first."""


class Help(argparse.HelpFormatter):
    """Texts as they are written here, wrapped to the width of the terminal."""

    def __init__(self, prog: str) -> None:
        """Format for the terminal, if it is one, and else for 80 columns."""
        width = min(max(columns(), NARROWEST), WIDEST) - 2
        super().__init__(prog, width=width, max_help_position=min(24, width // 3))

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Wrap the help of an option; a name such as conv-fast stays whole."""
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(line for part in text.split("\n\n") for line in [*fit(part, width), ""])


def fit(text: str, width: int) -> list[str]:
    """Wrap a paragraph; of one with indented lines, the lines that are too long.

    Of an indented line with two columns, the second one is wrapped in its place, or below the first
    if there is little room.
    """
    lines = text.rstrip("\n").split("\n")
    if not any(line.startswith(" ") for line in lines):
        return textwrap.wrap(" ".join(lines), width)
    found, column = [], 0
    for line in lines:
        if column and line.startswith(" " * column) and line[column] != " ":
            left, right = "", line[column:]  # another line of the second column
        else:
            left, gap, right = re.fullmatch(r"( *\S.*?)(?:(  +)(\S.*))?", line).groups()  # type: ignore[union-attr]
            column = len(left) + len(gap) if right else 0
        found += [line] if len(line) <= width else _wrapped(left, right or "", column, width)
    return found


def _wrapped(left: str, right: str, column: int, width: int) -> list[str]:
    """Wrap a line that is too long, with the second column in its place if there is room for it."""
    if not right:
        return textwrap.wrap(left, width, subsequent_indent=BELOW)
    if width - column < LEAST_ROOM:
        below = textwrap.wrap(right, width, initial_indent=BELOW, subsequent_indent=BELOW)
        return [left, *below] if left else below
    first, *others = textwrap.wrap(right, width - column, break_on_hyphens=False)
    return [left.ljust(column) + first, *(" " * column + other for other in others)]


def examples(program: str, calls: Mapping[str, str]) -> str:
    """The part of a help text that shows calls of a program, by their arguments, and their use."""
    left = {f"  {program} {call}".rstrip(): use for call, use in calls.items()}
    width = max(len(one) for one in left if len(one) < 42)
    lines = [f"{one:<{width}}  {use}".rstrip() for one, use in left.items()]
    return "\n".join(["examples:", *lines, ""])


def listed(names: Iterable[object], word: str = "or") -> str:
    """Names as words: "a, b or c"."""
    *most, last = map(str, names)
    return f"{', '.join(most)} {word} {last}" if most else last


def nearest(word: str, names: Iterable[object]) -> str:
    """A question that names what was meant, or ""."""
    import difflib  # only an error needs it

    options = {str(name): vocabulary.COMMAND_LINE.get(str(name), "") for name in names}
    if meant := words.find(word.lstrip("-").replace("-", "_"), options):
        return f"; did you mean {meant}?"
    table = {str(name).lstrip("-"): name for name in names}
    found = difflib.get_close_matches(word.lstrip("-"), table, n=1)
    return f"; did you mean {table[found[0]]}?" if found else ""


class Parser(argparse.ArgumentParser):
    """A parser that prints its help and errors by `say` and `complain`.

    An error is one line. It names the nearest option for a misspelt one, and the values that may
    be given.
    """

    def __init__(self, program: str, description: str, epilog: str, operands: str = "") -> None:
        """Make a parser; `operands` are what the usage shows behind the options."""
        super().__init__(
            prog=program,
            usage=f"%(prog)s [OPTION ...] {operands}".rstrip(),
            description=description,
            epilog=epilog,
            formatter_class=Help,
            allow_abbrev=False,
        )

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse the arguments; exit with status 2 if one is not known."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            wrong = next((one for one in rest if one.startswith("-")), "").partition("=")[0]
            if not wrong:
                self.error(f"too many arguments: {' '.join(rest)}")
            self.error(f"there is no {wrong}{nearest(wrong, self._option_string_actions)}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(action.choices)
            raise argparse.ArgumentError(
                action, f"must be {listed(choices)}, got {value!r}{nearest(str(value), choices)}"
            )

    def error(self, message: str) -> NoReturn:
        """Print an error in one line, and exit with status 2."""
        complain(f"{self.prog}: error: {printable(message)} ({self.prog} --help)")
        sys.exit(2)

    def _print_message(self, message: str, file: object = None) -> None:
        """Print help or a version, which is all that argparse prints here."""
        say(message.rstrip("\n"))
