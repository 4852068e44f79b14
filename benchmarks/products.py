"""Measure the portable product against OpenBLAS: python benchmarks/products.py

products.c is compiled with both, and runs on one thread, once for each instruction set; OpenBLAS
takes its kernels for the same one. One that the processor does not have is skipped. Needs a C
compiler and the package scipy_openblas32.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEVELS = {"x86-64-v4": "SkylakeX", "x86-64-v3": "Haswell", "x86-64-v2": "Nehalem"}
"""pynn's levels, and the processors that OpenBLAS has kernels for with the same instructions."""
FLAGS = ["-std=c11", "-O3", "-D_POSIX_C_SOURCE=200809L", "-DPYNN_SCIPY_OPENBLAS"]
FLAGS += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
# Both files define the same functions.
RENAMED = [f"-Dpynn_blas_{name}=portable_{name}" for name in ("gemm", "name", "config", "kernel")]


def main() -> None:
    """Compile, and print a table for each level."""
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        for level, kernels in LEVELS.items():
            print(f"{level}, OpenBLAS's {kernels}", flush=True)
            settings = {
                "PYNN_INSTRUCTION_SET": level,
                "OPENBLAS_CORETYPE": kernels,
                "OPENBLAS_NUM_THREADS": "1",
            }
            subprocess.run([program, level], env=os.environ | settings, check=True)


def build(folder: Path) -> Path:
    """Compile products.c with both products."""
    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is None or spec.origin is None:
        raise SystemExit("products.py needs: python -m pip install scipy-openblas32")
    openblas = Path(spec.origin).parent
    compiler = ["cc", *FLAGS, f"-I{ROOT / 'csrc'}", f"-isystem{openblas / 'include'}"]
    base, portable, program = ROOT / "csrc/base", folder / "portable.o", folder / "products"
    compile_portable = [*compiler, *RENAMED, "-c", base / "gemm_portable.c", "-o", portable]
    subprocess.run(compile_portable, check=True)
    sources = [ROOT / "benchmarks/products.c", base / "gemm_cblas.c", base / "instruction_set.c"]
    libraries = [openblas / "lib/libscipy_openblas.so", f"-Wl,-rpath,{openblas / 'lib'}"]
    subprocess.run([*compiler, *sources, portable, *libraries, "-o", program], check=True)
    return program


if __name__ == "__main__":
    main()
