#!/usr/bin/env python3
"""Say which digit an image shows, by networks that train.py saved. See --help.

This is `pynn predict` for a clone of the repository, whose folders it uses. The work is done by
pynn/_commands/predict.py.
"""

import os
import sys
from collections.abc import Sequence

try:
    from pynn._commands import predict
except ModuleNotFoundError as error:
    if error.name not in ("numpy", "pynn"):
        raise
    sys.exit(f"predict.py: error: {error.name} is not installed: pip install '.[scripts]'")
except ValueError as error:
    if type(error).__module__ != "pynn":  # pynn raises one for a wrong environment variable
        raise
    sys.exit(f"predict.py: error: {error}")

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
MODELS = os.path.join(ROOT, "models")
IMAGE = os.path.join(ROOT, "data", "digits", "seven.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    return predict.main(argv, program="predict.py", models=MODELS, image=IMAGE)


if __name__ == "__main__":
    sys.exit(main())
