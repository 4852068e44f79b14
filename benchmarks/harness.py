"""Run contenders as processes that stay alive, and let them take turns in rounds.

This module uses only the standard library, so that its process does not disturb the measurement.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent

# In the pause the threads of the contender before stop spinning: OpenBLAS's spin for 30 ms or more.
PAUSE_SECONDS = 0.15

# Instruction sets that PYNN_INSTRUCTION_SET can name, the best first. A processor that has one also
# has those after it in its line.
LEVELS = (("x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"), ("aarch64",), ("portable",))
NATIVE = "native"
FORCE = "PYNN_INSTRUCTION_SET"

Answer = dict[str, Any]
Turn = Callable[[], Answer]


class Failure(Exception):
    """A contender that cannot run; its text says why."""


class Contender(NamedTuple):
    """One library with one setting; its name is like "torch@2" or "gemm@2:halves"."""

    peer: str
    threads: int
    mode: str = ""

    @property
    def name(self) -> str:
        return f"{self.peer}@{self.threads}" + (f":{self.mode}" if self.mode else "")


def thread_settings(threads: int) -> dict[str, str]:
    """Environment variables that tell every library here how many threads to use."""
    names = ("OMP", "OPENBLAS", "MKL", "PYNN")
    settings = {f"{name}_NUM_THREADS": str(threads) for name in names}
    settings["NPROC"] = str(threads)  # XLA's
    if threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return settings


class Worker:
    """A contender's process (worker.py). A context manager: it ends with the block."""

    def __init__(self, contender: Contender) -> None:
        command = [sys.executable, str(HERE / "worker.py"), contender.peer, str(contender.threads)]
        if contender.mode:
            command.append(contender.mode)
        self.contender = contender
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | thread_settings(contender.threads),
        )

    def ask(self, do: str, **request: Any) -> Answer:
        """Send a request and wait for the reply; raise a Failure if the worker fails."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Failure(f"{self.contender.name} ended with status {self.process.wait()}")
        answer: Answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"{self.contender.name}: {answer['error']}")
        return answer

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Workers:
    """Workers that are started when they are first needed and kept for the next case."""

    def __init__(self) -> None:
        self._workers: dict[Contender, Worker] = {}
        self.broken: dict[str, str] = {}

    def get(self, contender: Contender) -> Worker:
        if contender not in self._workers:
            self._workers[contender] = Worker(contender)
        return self._workers[contender]

    def give_up(self, contender: Contender, why: object) -> None:
        """End a contender that failed. It may be tried again in another case."""
        self._workers.pop(contender).close()
        self.broken[contender.name] = str(why)
        print(f"  left out: {why}", file=sys.stderr)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()


def take_turns(
    turns: Mapping[str, Turn], rounds: int, *, pause: float = PAUSE_SECONDS
) -> list[Any]:
    """Run rounds in which every contender has one turn; each round starts with the next contender.

    A round records the replies and what else the machine did meanwhile: the seconds that the host
    gave to other machines (steal, over all cores), the seconds of all cores, and the load average.
    """
    names = list(turns)
    done = []
    for number in range(rounds):
        first = number % len(names)
        stolen, began = _stolen_seconds(), time.perf_counter()
        answers = {}
        for name in names[first:] + names[:first]:
            time.sleep(pause)
            answers[name] = {k: _rounded(v) for k, v in turns[name]().items()}
        done.append(
            {
                "turns": {name: answers[name] for name in names},
                "stolen_seconds": round(_stolen_seconds() - stolen, 2),
                "core_seconds": round((time.perf_counter() - began) * (os.cpu_count() or 1), 2),
                "load": round(os.getloadavg()[0], 2),
            }
        )
    return done


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _stolen_seconds() -> float:
    """Seconds, over all cores, that this virtual machine was ready to run but did not."""
    try:
        ticks = Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]
    except OSError:
        return 0.0
    return int(ticks) / os.sysconf("SC_CLK_TCK")


PACKAGES = ("pynn-blas", "numpy", "torch", "jax", "jaxlib", "scikit-learn", "scipy", "pillow")


def environment(level: str, *, forced: bool = False) -> dict[str, Any]:
    """Describe the machine and the versions, without which a figure means nothing.

    Args:
        level: The instruction set of pynn's own code.
        forced: Whether it was asked for, rather than found to be the processor's best.
    """
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "instruction_set": level,
        "forced": forced,
        "cores": len(usable_cores()),
        "memory_nbytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
    }


def usable_cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def processor() -> str:
    """The processor's name, as it gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def slug(name: str) -> str:
    """A processor's name as that of a folder: "intel-xeon-processor-2.50ghz"."""
    plain = re.sub(r"\((r|tm|c)\)", "", name.lower())
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.") or "unknown"


def results_folder(results: Path, wish: str) -> Path:
    """Where the results of this processor are kept; those of a level that is forced, in there."""
    folder = results / slug(processor())
    return folder if wish == NATIVE else folder / wish


def force(wish: str) -> None:
    """Make pynn use a level, or its best, in all processes that start from now on."""
    os.environ.pop(FORCE, None)
    if wish != NATIVE:
        os.environ[FORCE] = wish


def level_in_use() -> str:
    """The instruction set that pynn's own code runs in a process that is started now."""
    program = "import pynn; print(pynn.build_info()['instruction_set'])"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    if done.returncode:
        raise Failure(f"pynn cannot be imported: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def lower_levels(level: str) -> list[str]:
    """The levels below one, which its processor has, too."""
    line = next((line for line in LEVELS if level in line), (level,))
    return list(line[line.index(level) + 1 :])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit, with a + where the library's files differ from it."""
    git = ["git", "-C", str(ROOT)]
    changed = [*git, "status", "--porcelain", "--", "csrc", "pynn", "meson.build", "pyproject.toml"]
    try:
        commit, plus = (
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
            for command in ([*git, "rev-parse", "--short", "HEAD"], changed)
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if plus else "")
