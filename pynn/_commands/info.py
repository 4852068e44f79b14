"""The command `pynn info`."""

from __future__ import annotations

from collections.abc import Sequence

from pynn import _info
from pynn._commands.parser import Parser
from pynn._commands.program import run, say

DESCRIPTION = """\
Say what runs here: the version, the instruction set of pynn's own code, the
BLAS and whose kernels it has chosen, the threads and what their number comes
from, the processor, where the files are, and which packages that pynn can use
are installed. A report of a fault should have it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run("pynn", lambda: _work(argv))


def _work(argv: Sequence[str] | None) -> int:
    parser = Parser("pynn info", DESCRIPTION, "")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    if parser.parse_args(argv).json:
        import json

        say(json.dumps(_info.collect(), indent=2), fold=False)
    else:
        say(_info.describe())
    return 0
