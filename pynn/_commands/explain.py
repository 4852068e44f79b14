"""The command `pynn explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pynn import _explain_image
from pynn._commands.parser import Parser
from pynn._commands.program import run, say

DESCRIPTION = """\
Show what a step of training on a picture of a digit would do to a model: the
values of each layer, the gradients, the new parameters, each with its equation
and the line of C that computes it. The model does not change.

The picture may be of any size, with one digit in it, dark on light or light on
dark. It becomes 28 x 28 as MNIST's digits are. The model takes 784 values.
"""

# For each flag the arguments of argparse's add_argument.
OPTIONS: Mapping[str, dict[str, Any]] = {
    "--image": {"metavar": "FILE", "required": True, "help": "the picture"},
    "--label": {
        "type": int,
        "metavar": "N",
        "help": "the digit (default: what the model predicts)",
    },
    "--learning-rate": {"type": float, "metavar": "R", "help": "of plain SGD (default: 0.05)"},
    "--raw": {"action": "store_true", "help": "use the picture as it is: 28 x 28, white on black"},
    "--html": {"metavar": "FILE", "help": "write a page with heat maps, and print its size only"},
    "--check": {"action": "store_true", "help": "compare all numbers with others, in float64"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run("pynn", lambda: _work(argv))


def _work(argv: Sequence[str] | None) -> int:
    parser = Parser("pynn explain", DESCRIPTION, "", "MODEL --image FILE")
    parser.add_argument("model", metavar="MODEL", help="a file of pynn or of the Rust library")
    for flag, settings in OPTIONS.items():
        parser.add_argument(flag, **settings)
    options = vars(parser.parse_args(argv))
    say(_explain_image.explain(options.pop("model"), options.pop("image"), **options))
    return 0
