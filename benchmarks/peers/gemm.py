"""The GEMM-only bound: what the products of an epoch take on pynn's own copy of OpenBLAS (gemm.c).

Modes: "serial", one thread; "blas", BLAS's own two threads; "halves", two threads that share out
every product; "independent", two threads that do all of it, each for itself.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers import common

MODES = {"serial": 0, "blas": 0, "halves": 1, "independent": 2}
SOURCE = Path(__file__).with_name("gemm.c")


class Peer(common.Peer):
    def __init__(self, threads: int, mode: str) -> None:
        super().__init__(threads, mode)
        blas = _openblas_of_pynn()
        self.sgemm = ctypes.cast(blas.scipy_cblas_sgemm, ctypes.c_void_p)
        blas.scipy_openblas_set_num_threads(2 if mode == "blas" else 1)
        self.run = compiled()

    def load(self, data: str, rows: int) -> None:
        self.rows = rows  # products take the same time with any numbers

    def build(self, widths: Sequence[int], batch: int, learning_rate: float) -> None:
        self.widths, self.batch = (ctypes.c_int * len(widths))(*widths), batch
        self.notes["products a step"] = 3 * (len(widths) - 1) - 1

    def epoch(self) -> float:
        raise TypeError("the bound has seconds, no loss")

    def timed_epoch(self) -> float:
        """Seconds of an epoch, without those of making its arrays."""
        layers = len(self.widths) - 1
        seconds: float = self.run(
            self.sgemm,
            layers,
            self.widths,
            self.batch,
            ctypes.c_long(self.rows),
            MODES[self.mode],
        )
        if seconds < 0:
            raise MemoryError("gemm_epoch had too little memory, or no thread")
        return seconds


def compiled() -> Any:
    """gemm_epoch of gemm.c, a C function."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "gemm.so")
        command = ["cc", "-std=c11", "-O2", "-shared", "-fPIC", "-pthread", str(SOURCE)]
        subprocess.run([*command, "-o", str(library)], check=True)
        run = ctypes.CDLL(str(library)).gemm_epoch
    run.restype = ctypes.c_double
    return run


def _openblas_of_pynn() -> ctypes.CDLL:
    """The library that pynn itself multiplies with; the loader gives the copy that is there."""
    import pynn

    info = pynn.build_info()
    if info["blas"] != "scipy-openblas" or info["blas_library"] is None:
        raise ImportError("the bound needs a pynn with its own OpenBLAS, as pip builds it on Linux")
    return ctypes.CDLL(info["blas_library"])
