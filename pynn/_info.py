"""What runs here: the build and its BLAS, and for `python -m pynn info` what is around them."""

from __future__ import annotations

import os
import sys
from typing import Any, TypedDict

from pynn._base.checks import printable
from pynn._native import library, threads

REQUIRED = ("cffi", "numpy", "safetensors")
OPTIONAL = ("matplotlib", "onnx", "pillow", "pooch", "scikit-learn", "torch", "tqdm")
LONGEST = 500  # of a value that is printed

# What the number of threads comes from, by its name in BuildInfo.
ORIGINS: dict[threads.Origin, str] = {
    "set_num_threads": "pynn.set_num_threads",
    "PYNN_NUM_THREADS": "PYNN_NUM_THREADS in the environment",
    "quota": "the CPU quota of the container",
    "affinity": "the cores that this process may use",
    "cores": "the cores of the machine",
}


class BuildInfo(TypedDict):
    """What `pynn.build_info` returns: a dict, of strings but for `threads`."""

    version: str
    """Of pynn: "1.2.3"."""
    instruction_set: str
    """Whose code of pynn's own runs here: "x86-64-v4" (AVX-512), "x86-64-v3" (AVX2), "x86-64-v2"
    (SSE4.2), "x86-64", "aarch64" or "portable"."""
    blas: str
    """What pynn was built with: "accelerate", "openblas", "scipy-openblas" or "reference"."""
    blas_kernel: str
    """For which processor that BLAS calculates, in its own word: "SkylakeX"; "" if it says none."""
    blas_config: str
    """What that BLAS says of itself; "" if it says nothing."""
    blas_library: str | None
    """The file of that BLAS; None where it is not known."""
    threads: int
    """How many threads calculate."""
    threads_from: threads.Origin
    """What that number comes from: "set_num_threads", "PYNN_NUM_THREADS" (the environment),
    "quota" (of a container), "affinity" (of this process) or "cores" (of the machine)."""
    package: str
    """The folder of the Python package."""
    extension: str
    """The file of its compiled part."""


def build_info() -> BuildInfo:
    """What this pynn was built as, and what runs on this machine.

    `python -m pynn info` prints it, and more.

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
    """All that `python -m pynn info` knows, by name, ready for JSON."""
    import platform

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
    """The same as lines for people to read."""
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
    """The file that BLAS was loaded from, as Linux tells; NumPy's own may be loaded as well."""
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
    """Where `pynn.datasets.mnist` puts what it downloads; None if there is no home folder."""
    from pynn.datasets._mnist import _cache

    try:
        return str(_cache())
    except RuntimeError:
        return None


def _processor() -> str:
    """The processor's model, as Linux on x86-64 tells; elsewhere its kind."""
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
    """The version of an installed package, which is not imported; None if it is not installed."""
    from importlib import metadata

    try:
        # What pip left of a package that it could not remove has no version.
        return metadata.version(package) or None
    except (metadata.PackageNotFoundError, KeyError, ValueError, OSError):
        return None
