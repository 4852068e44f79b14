#!/usr/bin/env python3
"""Draw the pictures of the course: run the blocks of 6-training.md, and keep what they write.

    python docs/learn/draw.py

The pictures go into docs/pictures. It needs matplotlib, and the MNIST of a clone.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE / "6-training.md"
PICTURES = HERE.parent / "pictures"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def source(block: str) -> str:
    """The statements of a block, without prompts and answers."""
    return doctest.script_from_examples(block) if ">>>" in block else block


def main() -> None:
    """Draw them, and print the files."""
    blocks = [source(match[1]) for match in BLOCK.finditer(PAGE.read_text("utf-8"))]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "data").symlink_to(HERE.parents[1] / "data")
        os.chdir(folder)
        exec("\n".join(blocks), {})
        for picture in sorted(Path(folder).glob("learn-*.png")):
            shutil.copy(picture, PICTURES)
            print(PICTURES / picture.name)
        os.chdir(HERE)


if __name__ == "__main__":
    main()
