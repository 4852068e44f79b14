#!/usr/bin/env python3
"""Train networks on MNIST, or on any data set in its layout, and save them. See --help.

This is `pynn train` for a clone of the repository, whose folders it uses. The work is done by
pynn/_commands/train.py.
"""

import os
import sys
from collections.abc import Sequence

try:
    from pynn._commands import train
except ModuleNotFoundError as error:
    if error.name not in ("numpy", "pynn"):
        raise
    sys.exit(f"train.py: error: {error.name} is not installed: pip install '.[scripts]'")
except ValueError as error:
    if type(error).__module__ != "pynn":  # pynn raises one for a wrong environment variable
        raise
    sys.exit(f"train.py: error: {error}")

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MODELS = os.path.join(ROOT, "models")
DATA = os.path.join(ROOT, "data", "mnist")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    return train.main(argv, program="train.py", models=MODELS, data=DATA)


if __name__ == "__main__":
    sys.exit(main())
