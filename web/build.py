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
import struct
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

OTHER_BUILDS = {"augment.c", "gemm_cblas.c", "gemm_reference.c", "team.c"}
"""Files that the page has another for: as_they_are.c, gemm_portable.c and team_single.c."""

THREADS = {"threads_posix.c", "threads_win32.c"}
"""What team.c needs, and team_single.c does not."""

TABLES = {"columns.c", "standardize.c"}
"""The layers for tables, which the page refuses."""

SCRIPTS = ("core", "network", "drawing", "layers", "training", "step", "files", "page")
"""The scripts of the page, in their order."""

QUICK = frozenset(
    [
        "batch_norm",
        "conv2d_gradient",
        "dense",
        "finite",
        "gather",
        "gemm_portable",
        "loss",
        "pool2d",
        "shifted",
        "sparse",
    ]
)
"""Files in whose loops the time of a step goes. All others are made small instead."""

ZERO = 150
"""The byte of a weight of 0."""

TARGET = ["--target=wasm32-wasi", "-mexec-model=reactor"]

FLAGS = [
    *TARGET,
    "-msimd128",
    "-std=c11",
    "-g0",
    "-DNDEBUG",
    "-DPYNN_SAME_BITS",
    "-DPYNN_WITHOUT_TABLES",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wall",
    "-Wextra",
    "-Werror",
]

# Loops that a source asks to be unrolled still are.
QUICK_FLAGS = ["-O3", "-fno-unroll-loops"]
SMALL_FLAGS = ["-Oz"]


def main() -> None:
    """Build the page and say how large it is."""
    page = (WEB / "index.html").read_text(encoding="utf-8")
    parts = {
        "core": compile_core(),
        "digits": pack((WEB / "digits.safetensors").read_bytes()),
        "marks": json.dumps(find_marks()).encode(),
    }
    for name, text in {
        "style.css": f"<style>\n{read_code('style.css')}</style>",
        "scripts": f"<script>\n{''.join(read_code(f'{name}.js') for name in SCRIPTS)}</script>",
        "embedded": "\n".join(embed(name, part) for name, part in parts.items()),
    }.items():
        page = page.replace(f"<!-- {name} -->", text)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(page, encoding="utf-8")
    small = len(gzip.compress(page.encode(), 9))
    print(f"{OUTPUT}: {len(page):,} bytes, {small:,} compressed with gzip")


def read_code(name: str) -> str:
    """Read a script or the styles, without indentation and lines that are comments."""
    code = (WEB / name).read_text(encoding="utf-8")
    code = re.sub(r"^ *(/\*.*?\*/|//[^\n]*)$", "", code, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\n\s*", "\n", code)


def pack(model: bytes) -> bytes:
    """Write the weights of a model as bytes; page_unpack() in web/page.c makes floats of them.

    The weights are multiples of 1 / 128: see train_digits.py. A byte counts these, from ZERO on.
    """
    begin = 8 + int.from_bytes(model[:8], "little")
    weights = [128 * weight + ZERO for (weight,) in struct.iter_unpack("<f", model[begin:])]
    packed = bytes(map(int, weights))
    assert list(packed) == weights, "web/digits.safetensors has weights that are no bytes"
    return model[:begin] + packed


def compile_core() -> bytes:
    """Compile the library and the page's own C files to WebAssembly."""
    sources = [
        *WEB.glob("*.c"),
        *CSRC.glob("*.c"),
        *CSRC.glob("layers/*.c"),
        *CSRC.glob("base/*.c"),
    ]
    flags = [*FLAGS, f"-I{CSRC}", f'-DPYNN_VERSION="{version()}"', "-c"]
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            if source.name in OTHER_BUILDS | THREADS | TABLES:
                continue
            zig(folder, *flags, *(QUICK_FLAGS if source.stem in QUICK else SMALL_FLAGS), source)
        objects = sorted(Path(folder).glob("*.o"))
        zig(folder, *TARGET, "-O3", "-Wl,--strip-all", "-o", "page.wasm", *objects)
        return (Path(folder) / "page.wasm").read_bytes()


def zig(folder: str, *arguments: str | Path) -> None:
    """Run zig's C compiler in a folder, in which it leaves what it makes."""
    command = [sys.executable, "-m", "ziglang", "cc", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=folder)


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
