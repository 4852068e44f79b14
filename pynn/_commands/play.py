"""The command `pynn play`."""

from __future__ import annotations

from collections.abc import Sequence

from pynn import _play
from pynn._commands.parser import Parser
from pynn._commands.program import run, say

DESCRIPTION = """\
Show the page on which one draws digits, sees each layer read them, and trains
networks: the same C code, in the web browser. It is served to this machine
alone, and nothing leaves the machine. Ctrl-C ends it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run("pynn", lambda: _work(argv))


def _work(argv: Sequence[str] | None) -> int:
    """Serve the page until Ctrl-C."""
    parser = Parser("pynn play", DESCRIPTION, "")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="(default: one that is free)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no web browser"
    )
    options = parser.parse_args(argv)
    with _play.Server(options.port) as server:
        say(f"{server.url}  (Ctrl-C ends it)")
        server.run(browser=not options.no_browser)
    return 0
