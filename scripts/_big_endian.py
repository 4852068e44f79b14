"""Compare the files of a big-endian machine with those of this one, byte for byte.

    python scripts/_big_endian.py        what scripts/check --only big-endian runs

It builds pynn with -Dsame_bits=true for this machine and for s390x, IBM Z, which is big-endian. On
both, the second emulated by qemu, scripts/_big_endian_files.py trains the same models and writes
files, and each side reads what the other wrote. All files must be equal, but for pickles, and for
the number and the seconds of the run in a checkpoint. Python and NumPy for s390x are Debian 12's,
fetched by apt with lists of its own into build/big-endian; cffi is a wheel of PyPI.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import _debian
from _commands import FailedError, run

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build/big-endian"
SYSTEM = WORK / "system"  # where _debian.unpack puts it
LIBRARIES = SYSTEM / "usr/lib/s390x-linux-gnu"
PACKAGES = ["python3.11-minimal", "libpython3.11-stdlib", "python3-numpy", "libffi8"]
PROGRAM = ROOT / "scripts/_big_endian_files.py"
PLATFORM = "manylinux2014_s390x"


def fetch() -> None:
    """Fetch Python, NumPy and cffi for s390x, unless an earlier run has."""
    if (WORK / "fetched").exists():
        return
    _debian.unpack("s390x", PACKAGES, WORK)
    wheels = WORK / "wheels"
    run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--platform", PLATFORM, "--python-version", "3.11", "--dest", wheels,
        "cffi>=2")  # fmt: skip
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(SYSTEM / "site")
    (WORK / "fetched").touch()


def build(name: str, *options: str) -> Path:
    """Build and install pynn in build/big-endian/NAME; return the folder that has the package."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run("meson", "setup", folder, "-Dpython=enabled", "-Dblas=portable", "-Dsame_bits=true",
        *options, cwd=ROOT, PATH=path)  # fmt: skip
    run("meson", "install", "-C", folder, "--destdir", folder / "installed", PATH=path)
    (extension,) = (folder / "installed").rglob("pynn/_pynn*.so")
    return extension.parent.parent


def build_for_s390x() -> Path:
    """Build pynn for s390x, with this Python's header, whose limited API is the same there."""
    ours = WORK / "s390x-python.ini"
    ours.write_text(f"[binaries]\npython = '{sys.executable}'\n")
    cross = ROOT / "tests/c/s390x-linux.ini"
    return build("big", f"--cross-file={cross}", f"--cross-file={ours}")


def write_here(package: Path, *arguments: Path) -> None:
    """Run the program that writes the files on this machine."""
    specs = [importlib.util.find_spec(name) for name in ("numpy", "cffi")]
    folders = [package, *(Path(str(spec and spec.origin)).parent.parent for spec in specs)]
    # Without site an editable installation of pynn does not come first.
    run(sys.executable, "-PS", PROGRAM, *arguments, PYTHONPATH=":".join(map(str, folders)))


def write_on_s390x(package: Path, *arguments: Path) -> None:
    """Run the program that writes the files on s390x, emulated."""
    libraries = ":".join(map(str, (LIBRARIES, LIBRARIES / "blas", LIBRARIES / "lapack")))
    packages = ":".join(
        map(str, (package, SYSTEM / "usr/lib/python3/dist-packages", SYSTEM / "site"))
    )
    run("qemu-s390x-static", "-L", SYSTEM, "-E", f"LD_LIBRARY_PATH={libraries}",
        "-E", f"PYTHONPATH={packages}", SYSTEM / "usr/bin/python3.11", "-P", PROGRAM,
        *arguments)  # fmt: skip


def contents(path: Path) -> bytes:
    """The bytes of a file; of a checkpoint without the number and the seconds of its run."""
    data = path.read_bytes()
    if path.suffix != ".checkpoint":
        return data
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    kept = json.loads(header["__metadata__"]["run"])
    del kept["id"]
    kept["results"] = [result[:-1] for result in kept["results"]]
    header["__metadata__"]["run"] = kept
    return json.dumps(header).encode() + data[8 + length :]


def compare(ours: Path, theirs: Path) -> list[str]:
    """Compare the files of theirs with those of the same names in ours; say which differ."""
    names = [path.name for path in theirs.iterdir() if path.is_file() and path.suffix != ".pickle"]
    if len(names) < 30:
        return [f"{theirs} has only {len(names)} files"]
    return [
        f"{theirs / name} differs"
        for name in sorted(names)
        if contents(ours / name) != contents(theirs / name)
    ]


def main() -> None:
    """Build, write and compare."""
    WORK.mkdir(parents=True, exist_ok=True)
    fetch()
    little, big = build("little", "-Dc_args=-DPYNN_ONE_LEVEL"), build_for_s390x()
    first, second, third = (WORK / f"files.{name}" for name in ("little", "big", "back"))
    for folder in (first, second, third):
        shutil.rmtree(folder, ignore_errors=True)
    write_here(little, first)
    write_on_s390x(big, second, first)
    write_here(little, third, second)
    wrong = [
        *compare(first, second),
        *compare(first, second / "others"),
        *compare(first, third / "others"),
    ]
    if wrong:
        sys.exit("\n".join(wrong))
    count = sum(1 for path in second.rglob("*") if path.is_file())
    print(f"{count} files of s390x: the same bytes; each machine reads those of the other")


if __name__ == "__main__":
    try:
        main()
    except FailedError as error:
        sys.exit(
            f"{error}\nThe packages are those of Debian 12: elsewhere they may have other names."
        )
