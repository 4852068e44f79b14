"""Build the page: one file, build/page/index.html, that works from anywhere, also from file://.

    python -m pip install ziglang==0.17.1
    python web/build.py

Zig's C compiler makes WebAssembly of the C library and of what stands beside this file. The script
puts it, the model and the styles into the page, the binary parts compressed and as base64.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WEB = Path(__file__).parent
ROOT = WEB.parent
CSRC = ROOT / "csrc"
sys.path.insert(0, str(CSRC))

import equations  # noqa: E402 - it stands with the C sources

OUTPUT = ROOT / "build" / "page" / "index.html"

OTHER_BUILDS = {"gemm_cblas.c", "gemm_reference.c", "team.c"}
"""Files of csrc/base that the page has another for: gemm_portable.c and team_single.c."""

SCRIPTS = ("core", "network", "drawing", "layers", "training", "step", "files", "page")
"""The scripts of the page, in their order."""

FLAGS = [
    "--target=wasm32-wasi",
    "-mexec-model=reactor",
    "-msimd128",
    "-std=c11",
    "-O3",
    "-DNDEBUG",
    "-DPYNN_SAME_BITS",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--strip-all",
]


def main() -> None:
    """Build the page and say how large it is."""
    page = (WEB / "index.html").read_text(encoding="utf-8")
    parts = {
        "core": compile_core(),
        "digits": (WEB / "digits.safetensors").read_bytes(),
        "marks": json.dumps(find_marks()).encode(),
    }
    for name, text in {
        "style.css": f"<style>\n{(WEB / 'style.css').read_text(encoding='utf-8')}</style>",
        "scripts": f"<script>\n{''.join(map(read_script, SCRIPTS))}</script>",
        "embedded": "\n".join(embed(name, part) for name, part in parts.items()),
    }.items():
        page = page.replace(f"<!-- {name} -->", text)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(page, encoding="utf-8")
    small = len(gzip.compress(page.encode(), 9))
    print(f"{OUTPUT}: {len(page):,} bytes, {small:,} compressed with gzip")


def read_script(name: str) -> str:
    """Read one of the page's scripts."""
    return (WEB / f"{name}.js").read_text(encoding="utf-8")


def compile_core() -> bytes:
    """Compile the library and the page's own C files to WebAssembly."""
    sources = [path for path in sorted(CSRC.glob("*.c")) + sorted(CSRC.glob("layers/*.c"))]
    sources += [path for path in sorted(CSRC.glob("base/*.c")) if path.name not in OTHER_BUILDS]
    with tempfile.TemporaryDirectory() as folder:
        core = Path(folder) / "page.wasm"
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, f"-I{CSRC}", "-o", core]
        command += [f'-DPYNN_VERSION="{version()}"', *sorted(WEB.glob("*.c")), *sources]
        subprocess.run(list(map(str, command)), check=True)
        return core.read_bytes()


def version() -> str:
    """Read the version where meson reads it."""
    found = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def find_marks() -> dict[str, dict[str, object]]:
    """Find the equations that the C sources are marked with, and the line below each."""
    marks: dict[str, dict[str, object]] = {}
    for name, (equation, file, line) in equations.collect(ROOT, sorted(CSRC.rglob("*.c"))).items():
        code = (ROOT / file).read_text(encoding="utf-8").split("\n", line)[line]
        marks[name] = {"file": file, "line": line, "equation": equation, "code": statement(code)}
    return marks


HEADS = r"""
      static\ [^{;]*\{                             # of a function
    | [A-Z_]+\([^{;]*\)\ \{                      # of a kernel
    | for\ \([^{\n]*\)\ \{                       # of a loop
    | (?:const|float|pynn)\w*\ [^;(]+=\ [^;]*;   # a value that is used below
"""


def statement(code: str) -> str:
    """Find the first statement of C code, behind comments, heads and values."""
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
    code = re.sub(rf"^(\s*({HEADS})\n)+", "", code, flags=re.VERBOSE)
    found = re.match(r"\s*((?:for \([^\n]*?\)\s)?[^;{]*[;{])", code)
    assert found is not None
    return re.sub(r"\s+", " ", found[1])


def embed(name: str, part: bytes) -> str:
    """Make a script element that a browser does not run, with data for page.js."""
    text = base64.b64encode(gzip.compress(part, 9, mtime=0)).decode()
    return f'<script type="application/gzip" id="{name}">{text}</script>'


if __name__ == "__main__":
    main()
