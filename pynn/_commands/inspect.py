"""The command `pynn inspect`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pynn import _inspect
from pynn._commands import program
from pynn._commands.parser import Parser
from pynn._commands.program import run, say

DESCRIPTION = """\
Say what a file holds: a model or a checkpoint of pynn, an IDX file (also
compressed with gzip), or a model of the original Rust library. What it is
shows in its content, not its name.

Of a model it prints the chain, the number of parameters, the seed and the
epochs, of a checkpoint also where its run stands; of each tensor the type,
the shape, and the least, mean and greatest of its finite numbers.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run("pynn", lambda: _work(argv))


def _work(argv: Sequence[str] | None) -> int:
    parser = Parser("pynn inspect", DESCRIPTION, "", "FILE")
    parser.add_argument("file", metavar="FILE")
    say(_inspect.inspect(parser.parse_args(argv).file, program.width(sys.stdout)))
    return 0
