"""Trying a wheel for 64-bit ARM on this machine: with Debian's Python, in qemu."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from pathlib import Path

import _debian
from _commands import FailedError, run
from _wheel_build import ROOT
from _wheel_try import PROGRAM, Tried

PYTHON = "3.11"  # Debian 12's
TAGS = ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64"]
DIGITS = "1500"  # enough for nine of ten to be right, and few enough for an emulated processor

PROCESSOR = "neoverse-n1"
"""qemu 7.2's processor with everything makes OpenBLAS 0.3.34 take its kernels for SME, whose
products of some sizes were wrong there; whether by qemu or by OpenBLAS is not known."""


def can_emulate() -> bool:
    """Whether this machine is a Debian 12 that has the programs that are needed for it."""
    if not all(map(shutil.which, ("apt-get", "dpkg", "qemu-aarch64-static"))):
        return False
    return platform.freedesktop_os_release().get("VERSION_CODENAME") == "bookworm"


def try_emulated(wheel: Path, folder: Path) -> Tried:
    """Install a wheel into Debian's Python for ARM, train two epochs there, and predict.

    Args:
        wheel: The wheel, for manylinux.
        folder: An empty folder for the packages of the wheel.

    Raises:
        FailedError: apt-get, pip or the program has failed.
    """
    packages = [f"python{PYTHON}-minimal", f"libpython{PYTHON}-stdlib", "libstdc++6"]
    system = _debian.unpack("arm64", packages, ROOT / "build/wheels-arm64")
    began = time.perf_counter()
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:",
        "--disable-pip-version-check", "--target", folder, "--python-version", PYTHON,
        "--implementation", "cp", "--abi", f"cp{PYTHON.replace('.', '')}", "--abi", "abi3",
        "--abi", "none", *(word for tag in TAGS for word in ("--platform", tag)),
        wheel)  # fmt: skip
    seconds = time.perf_counter() - began
    nbytes = sum(path.stat().st_size for path in (folder / "pynn").rglob("*") if path.is_file())
    said = run("qemu-aarch64-static", "-cpu", PROCESSOR, "-L", system,
        "-E", f"PYTHONPATH={folder}", system / f"usr/bin/python{PYTHON}", "-P",
        PROGRAM, "", DIGITS)  # fmt: skip
    if not said.startswith("trained"):
        raise FailedError(said)
    return Tried(f"{PYTHON} in qemu", seconds, nbytes, said.strip().splitlines()[-1])
