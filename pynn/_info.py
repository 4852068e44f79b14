"""Facts about pynn, its BLAS and its environment, for build_info() and `python -m pynn info`."""

from __future__ import annotations

import os
import sys
from typing import Any, TypedDict

from pynn._base.checks import printable
from pynn._native import library, threads

REQUIRED = ("cffi", "numpy")
OPTIONAL = (
    "ipywidgets",
    "matplotlib",
    "onnx",
    "pillow",
    "pooch",
    "scikit-learn",
    "torch",
    "tqdm",
)
LONGEST = 500  # the most characters of a value that is printed

# What set the number of threads, in words, by its name in BuildInfo.
ORIGINS: dict[threads.Origin, str] = {
    "set_num_threads": "pynn.set_num_threads",
    "PYNN_NUM_THREADS": "PYNN_NUM_THREADS in the environment",
    "quota": "the CPU quota of the container",
    "affinity": "the cores that this process may use",
    "cores": "the cores of the machine",
}


class BuildInfo(TypedDict):
    """The dict that `pynn.build_info` returns."""

    version: str
    """The version of pynn: "1.2.3"."""
    instruction_set: str
    """The instruction set that pynn's own kernels use here: "x86-64-v4" (AVX-512), "x86-64-v3"
    (AVX2), "x86-64-v2" (SSE4.2), "x86-64", "aarch64" or "portable"."""
    blas: str
    """The BLAS that pynn was built with: "accelerate", "openblas", "scipy-openblas", or a product
    of pynn's own, "portable" or "reference"."""
    blas_kernel: str
    """The processor whose kernels this BLAS runs, in its own words: "SkylakeX"; "" if it says
    none."""
    blas_config: str
    """The description that this BLAS gives of itself; "" if it gives none."""
    blas_library: str | None
    """The file of this BLAS; None if it is not known."""
    threads: int
    """The number of threads that calculate."""
    threads_from: threads.Origin
    """What set this number: "set_num_threads", "PYNN_NUM_THREADS" (in the environment), "quota" (of
    a container), "affinity" (of this process) or "cores" (of the machine)."""
    package: str
    """The folder of the Python package."""
    extension: str
    """The file of the compiled extension."""


def build_info() -> BuildInfo:
    """Describe how this pynn was built, and what it uses on this machine.

    `python -m pynn info` prints this, and more.

    Returns:
        A dict with the keys of `BuildInfo`.

    Examples:
        >>> import pynn
        >>> info = pynn.build_info()
        >>> info["version"] == pynn.__version__
        True
        >>> print(*info)
        version instruction_set blas blas_kernel blas_config blas_library threads threads_from \
package extension
    """
    blas = library.blas_name()
    return {
        "version": library.version(),
        "instruction_set": library.instruction_set(),
        "blas": blas,
        "blas_kernel": library.blas_kernel(),
        "blas_config": library.blas_config(),
        "blas_library": _blas_library(blas),
        "threads": threads.get_num_threads(),
        "threads_from": threads.get_origin(),
        "package": os.path.dirname(__file__),
        "extension": library.extension(),
    }


def collect() -> dict[str, Any]:
    """Collect all facts for `python -m pynn info`, by name, as plain values for JSON."""
    import platform  # here, like importlib.metadata below: build_info() does not need it

    return {
        **build_info(),
        "data_cache": _data_cache(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processor": _processor(),
        "packages": {name: _version(name) for name in (*REQUIRED, *OPTIONAL)},
    }


def describe() -> str:
    """Format the same facts as lines for people to read."""
    known = collect()
    facts = {
        "pynn": known["version"],
        "instruction set": known["instruction_set"],
        "BLAS": " ".join(f"{known['blas']} {known['blas_kernel']}".split()),
        "BLAS's own words": known["blas_config"] or None,
        "threads": f"{known['threads']}, from {ORIGINS[known['threads_from']]}",
        "processor": known["processor"],
        "platform": known["platform"],
        "python": f"{known['python']}, {known['executable']}",
        "package": known["package"],
        "extension": known["extension"],
        "BLAS library": known["blas_library"] or "not known",
        "data cache": known["data_cache"] or "not known",
    }
    packages = {name: version or "not installed" for name, version in known["packages"].items()}
    parts = [{k: v for k, v in facts.items() if v is not None}, packages]
    width = max(len(name) for part in parts for name in part)
    return "\n\n".join(
        "\n".join(f"{name:{width}}  {printable(v, LONGEST)}" for name, v in part.items())
        for part in parts
    )


def _blas_library(blas: str) -> str | None:
    """Find the file that BLAS was loaded from, in Linux's list of mapped files.

    NumPy's own OpenBLAS may be loaded as well, so the name of the file must be that of pynn's.
    """
    start = {"scipy-openblas": "libscipy_openblas_pynn", "openblas": "libopenblas"}.get(blas)
    if start is None:
        return None
    try:
        with open("/proc/self/maps", "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return None
    paths = (os.fsdecode(line[line.index(b"/") :]) for line in lines if b"/" in line)
    return next((path for path in paths if os.path.basename(path).startswith(start)), None)


def _data_cache() -> str | None:
    """Return the folder for downloads of `pynn.datasets.mnist`; None without a home folder."""
    from pynn.datasets._places import user_cache  # here, as build_info() does not need it

    try:
        return str(user_cache("mnist"))
    except RuntimeError:
        return None


def _processor() -> str:
    """Return the processor's model name, if Linux gives it, as on x86-64; else its architecture."""
    import platform

    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name" and value.strip():
                    return value.strip()
    except OSError:
        pass
    return platform.machine() or "not known"


def _version(package: str) -> str | None:
    """Return the version of a package without importing it; None if it is not installed."""
    from importlib import metadata

    try:
        # If pip could not remove a package completely, the rest of it may have no version.
        return metadata.version(package) or None
    except (metadata.PackageNotFoundError, KeyError, ValueError, OSError):
        return None
