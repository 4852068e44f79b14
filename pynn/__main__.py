"""The command line: `pynn COMMAND ...`, and the same as `python -m pynn`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import pynn
from pynn._commands.parser import Parser, listed, nearest
from pynn._commands.program import run

DESCRIPTION = """\
Train networks that read digits, and look at what they do. Each command has a
--help of its own.
"""

EPILOG = """\
examples:
  pynn train --epochs 3
  pynn predict photo.jpg
  pynn explain models/relu.safetensors --image photo.jpg
  pynn inspect models/relu.safetensors
  pynn export onnx models/relu.safetensors relu.onnx
  pynn data list

exit status: 0 done, 1 it failed, 2 wrong call, 130 interrupted
"""


class Command(NamedTuple):
    """A command: what it does, in a line, and the module that has its `main(argv)`."""

    help: str
    module: str


COMMANDS = {
    "train": Command("train networks on images of digits, and save them", "train"),
    "predict": Command("say which digit an image shows", "predict"),
    "explain": Command("show a step of training on an image", "explain"),
    "inspect": Command("say what a file holds", "inspect"),
    "export": Command("write a model in another format", "export"),
    "data": Command("list, download and verify data sets", "data"),
    "play": Command("show the page that trains in the browser", "play"),
    "info": Command("say what runs here", "info"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; an error is one line on standard error."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        module = importlib.import_module(f"pynn._commands.{COMMANDS[given[0]].module}")
        status: int = module.main(given[1:])
        return status
    return run("pynn", lambda: _explain_use(given))


def _explain_use(given: list[str]) -> int:
    """Print the help or the version, or exit with an error."""
    parser = Parser("pynn", DESCRIPTION, EPILOG, "COMMAND ...")
    parser.add_argument("--version", action="version", version=f"pynn {pynn.__version__}")
    commands = parser.add_argument_group("commands")
    for name, command in COMMANDS.items():
        commands.add_argument(name, nargs="?", help=command.help)
    if not given:
        parser.error(f"a command is missing: {listed(COMMANDS)}")
    if not given[0].startswith("-"):
        parser.error(f"there is no command {given[0]}{nearest(given[0], COMMANDS)}")
    parser.parse_args(given[:1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
