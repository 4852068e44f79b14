"""Draw the pictures of docs/gallery.md: run its blocks with the figures in its comments.

    python docs/site/draw.py

The pictures go into docs/pictures. It needs matplotlib and the MNIST of a clone.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"^([A-Z]+) = \d+  # (\d+) for the pictures$", re.MULTILINE)


def program(page: str) -> str:
    """The program that draws the pictures of a page."""
    return FIGURE.sub(r"\1 = \2", "\n".join(BLOCK.findall(page)))


def main() -> None:
    """Draw them, and print the files."""
    code = program((ROOT / "docs" / "gallery.md").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "data").symlink_to(ROOT / "data")
        os.chdir(folder)
        exec(code, {})
        for picture in sorted(Path(folder).glob("*.png")):
            target = ROOT / "docs" / "pictures" / f"gallery-{picture.name}"
            target.write_bytes(picture.read_bytes())
            print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1000} kB")
        os.chdir(ROOT)


if __name__ == "__main__":
    main()
