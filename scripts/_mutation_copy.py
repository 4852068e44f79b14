"""A copy of the repository with a build, in which scripts/mutate puts its breaks."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from _mutants import Mutant

# A pointer of the wrong type must be an error, not a warning: such a mutant is not viable.
REFUSED = "-Werror=incompatible-pointer-types -Werror=int-conversion"
OBJECTS = "csrc/libpynn.a.p"
MEMORY_SHARE = 0.5  # of the machine's memory for each process: a mutant may allocate any amount


class BuildError(Exception):
    """The copy cannot be built; the message is the tools' output."""


class Copy:
    """A folder with the files of the repository and a virtual environment with an editable pynn.

    It is used again from run to run. For a mutant only what depends on its file is built again.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self.folder = folder
        self.sources = folder / "sources"
        self.build = folder / "build"
        self.python = folder / "venv/bin/python"
        self._seconds = itertools.count(int(time.time()) - 100_000)
        self.tests: dict[str, list[str]] = {}
        """The programs of the C tests, with their arguments, by name."""

    # ------------------------------------------------------------ making it

    def prepare(self) -> None:
        """Make the copy, or bring it up to date."""
        self._sync()
        (self.folder / "temporary").mkdir(exist_ok=True)
        if not (self.build / "build.ninja").exists():
            self._install()
        self.ninja("all")
        listed = self._tool("meson", "introspect", "--tests", str(self.build))
        self.tests = {test["name"]: test["cmd"] for test in json.loads(listed)}
        self.originals = self.objects()

    def _sync(self) -> None:
        """Copy the files of the working tree that git tracks or would track; delete all others."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self._root, capture_output=True, check=True, text=True,
        )  # fmt: skip
        files = {name for name in listed.stdout.split("\0") if (self._root / name).is_file()}
        for path in sorted(self.sources.rglob("*"), reverse=True):
            name = path.relative_to(self.sources).as_posix()
            if path.is_file() and name not in files and "__pycache__" not in name:
                path.unlink()
        for name in files:
            source, copy = self._root / name, self.sources / name
            if not copy.exists() or source.read_bytes() != copy.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)

    def _install(self) -> None:
        """Make a virtual environment with pynn and with the packages of the present environment."""
        shutil.rmtree(self.folder / "venv", ignore_errors=True)
        self._tool(sys.executable, "-m", "venv", "--without-pip", str(self.folder / "venv"))
        asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = Path(self._tool(str(self.python), "-c", asked).strip())
        # As lines of a .pth file the folders are searched, but their own .pth files are not read:
        # of these one may import the pynn that is not to be touched.
        folders = [entry for entry in sys.path if Path(entry).name.endswith("-packages")]
        (packages / "tools.pth").write_text("\n".join(folders) + "\n")
        self._tool(
            sys.executable, "-m", "pip", "--disable-pip-version-check",
            "--python", str(self.python), "install", "--no-deps", "--no-build-isolation",
            "--no-index", "--ignore-installed",
            f"-Cbuild-dir={self.build}", f"-Csetup-args=-Dc_args={REFUSED}", "-e", ".",
        )  # fmt: skip

    def _tool(self, *command: str) -> str:
        cwd = self.sources if self.sources.exists() else self._root
        done = subprocess.run(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode != 0:
            raise BuildError(done.stdout)
        return done.stdout

    # ------------------------------------------------------------ breaking and building

    def text_of(self, mutant: Mutant) -> str:
        """The text of a mutant's file, without the mutation.

        Raises:
            BuildError: The file has changed since the mutant was made.
        """
        text = (self.sources / mutant.file).read_text(encoding="utf-8")
        start = text.rfind("\n", 0, mutant.edit.start) + 1
        if text[start : start + len(mutant.before)] != mutant.before:
            raise BuildError(f"{mutant.file} has changed while this ran; start again")
        return text

    @contextlib.contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Apply a mutant to the copy for the time of a with statement."""
        path, text = self.sources / mutant.file, self.text_of(mutant)
        try:
            self._write(path, mutant.apply(text))
            yield
        finally:
            self._write(path, text)

    def _write(self, path: Path, text: str) -> None:
        """Write a file, with a time in another second, so that Python sees that it has changed."""
        path.write_text(text, encoding="utf-8")
        if path.suffix == ".py":
            second = next(self._seconds)
            os.utime(path, (second, second))

    def ninja(self, *targets: str) -> None:
        """Build.

        Raises:
            BuildError: It cannot be.
        """
        self._tool("ninja", "-C", str(self.build), *targets)

    def objects(self) -> dict[str, bytes]:
        """The compiled files of the library."""
        return {path.name: path.read_bytes() for path in (self.build / OBJECTS).glob("*.o")}

    def program(self, test: str) -> str:
        """The target that builds a C test."""
        return str(Path(self.tests[test][0]).relative_to(self.build))

    # ------------------------------------------------------------ running

    def run(self, command: Sequence[str], timeout: float, **variables: str) -> int | None:
        """Run a command; return its status, or None if it took too long and was killed."""
        temporary = self.folder / "temporary"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        most = int(MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) // 1024
        environment: dict[str, Any] = {
            **os.environ,
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(temporary),
            "HOME": str(self.folder / "home"),
            "PYTHONHASHSEED": "0",
            **variables,
        }
        (self.folder / "home").mkdir(exist_ok=True)
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(
                ["sh", "-c", f'ulimit -v {most}; ulimit -c 0; exec "$@"', "sh", *command],
                cwd=self.sources, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                return process.wait(timeout)
            except subprocess.TimeoutExpired:
                return None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self) -> str:
        """The output of the last command."""
        return (self.folder / "log").read_text(errors="replace")
