"""The page's own source: what it computes, it computes in C."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_has_no_arithmetic() -> None:
    """No product, quotient, remainder or function of Math: the files in C have those."""
    code = (ROOT / "web" / "page.js").read_text(encoding="utf-8")
    code = re.sub(r"//.*|/\*.*?\*/|`[^`]*`|\"[^\"]*\"|/\S+/[ig]*", "", code)
    assert re.findall(r"Math\.|[*%]|\w / \w", code) == []
