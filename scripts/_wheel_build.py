"""Building a wheel of pynn for a platform, from the source distribution, and checking it."""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import _wheel_licences
from _commands import FailedError, run
from _wheel_platforms import OPENBLAS, Platform

ROOT = Path(__file__).resolve().parent.parent
SYSTEM_LIBRARY = "/usr/lib/libSystem.B.dylib"  # macOS: C's library, threads and mathematics
PYTHON_TAG = "cp310"  # the extension has Python 3.10's limited API: see pynn/meson.build


def tool(name: str) -> Path:
    """A program that pip has installed beside the Python that runs this."""
    return Path(sys.executable).parent / name


def committed_at() -> str:
    """The time of the last commit, in seconds: all files in the wheels get it."""
    return run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()


# The programs that build are there; OpenBLAS, which pip would install too, is not this machine's.
BUILD = ("-m", "build", "--no-isolation", "--skip-dependency-check")


def build_sdist(folder: Path) -> Path:
    """Build the source distribution of what is committed, and return its path."""
    run(sys.executable, *BUILD, "--sdist", "-o", folder, ROOT,
        PATH=f"{tool('')}:{os.environ['PATH']}")  # fmt: skip
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack the source distribution into a folder; return the folder of the source."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def build_wheel(platform: Platform, source: Path, folder: Path, epoch: str) -> Path:
    """Build the wheel of a platform.

    Args:
        platform: The platform.
        source: The source, unpacked.
        folder: An empty folder for what is made on the way.
        epoch: The time that the files in the wheel get, in seconds.

    Returns:
        The path of the wheel, in the folder.
    """
    blas = "-Dblas=portable"
    if platform.openblas:
        blas = f"-Dscipy_openblas={_download_openblas(platform, folder)}"
    built = folder / "built"
    # The paths of this machine must not get into the files, or each build would be another.
    here = f"-ffile-prefix-map={source}=. -ffile-prefix-map={folder}=."
    run(sys.executable, *BUILD, "--wheel", "-o", built,
        f"-Csetup-args=--cross-file={platform.write_machine_file(folder)}",
        f"-Csetup-args={blas}", f"-Csetup-args=-Dc_args={here}",
        f"-Cbuild-dir={folder / 'build'}", source,
        SOURCE_DATE_EPOCH=epoch, PATH=f"{tool('')}:{os.environ['PATH']}",
        _PYTHON_HOST_PLATFORM=platform.host, **platform.variables)  # fmt: skip
    (tagged,) = built.glob("*.whl")
    if platform.is_musl:
        _name_musl(tagged, platform, folder / "unpacked", epoch)
    _wheel_licences.state(tagged, OPENBLAS)
    run(sys.executable, "-m", "wheel", "tags", "--remove", "--python-tag", PYTHON_TAG,
        "--platform-tag", platform.name, tagged, SOURCE_DATE_EPOCH=epoch)  # fmt: skip
    (wheel,) = built.glob("*.whl")
    return wheel


def _name_musl(wheel: Path, platform: Platform, folder: Path, epoch: str) -> None:
    """Let the extension ask for musl by the name that systems have for it, not by zig's."""
    run(sys.executable, "-m", "wheel", "unpack", "--dest", folder, wheel)
    (contents,) = folder.iterdir()
    (extension,) = contents.glob("pynn/_pynn*.so")
    run(tool("patchelf"), "--replace-needed", "libc.so", f"libc.musl-{platform.processor}.so.1",
        extension)  # fmt: skip
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", wheel.parent, contents,
        SOURCE_DATE_EPOCH=epoch)  # fmt: skip


def _download_openblas(platform: Platform, folder: Path) -> Path:
    """Download the wheel of OpenBLAS for a platform, and return the folder of what is in it."""
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--platform", platform.openblas, "--dest", folder, OPENBLAS)  # fmt: skip
    with zipfile.ZipFile(next(folder.glob("scipy_openblas32-*.whl"))) as archive:
        archive.extractall(folder / "openblas")
    return folder / "openblas"


def check_wheel(wheel: Path, platform: Platform) -> str:
    """Check that a wheel keeps what its tags promise, and return the names of the tools.

    Raises:
        FailedError: It does not.
    """
    if platform.system == "darwin":
        check_macos(wheel)
    else:
        # In this machine's folders it would find libraries of other kinds by the same names.
        shown = run(tool("auditwheel"), "show", "--ldpaths", "/nonexistent", wheel)
        if f'"{platform.name}"' not in " ".join(shown.split()):
            raise FailedError(f"auditwheel does not find {platform.name}:\n{shown}")
    run(tool("abi3audit"), "--strict", wheel)
    run(tool("check-wheel-contents"), wheel)
    _wheel_licences.check(wheel)
    first = "macholib" if platform.system == "darwin" else "auditwheel"
    return f"{first}, abi3audit, check-wheel-contents, licences"


def check_macos(wheel: Path) -> None:
    """Check that the extension of a wheel for macOS needs no library but the system's own."""
    from macholib.MachO import MachO

    with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        headers = MachO(archive.extract(name, temporary)).headers
    libraries = {library for header in headers for _, _, library in header.walkRelocatables()}
    if libraries != {SYSTEM_LIBRARY}:
        raise FailedError(f"{wheel.name} needs {sorted(libraries)}, not {SYSTEM_LIBRARY} alone")
