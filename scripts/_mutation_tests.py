"""Choose the tests that matter for a mutant: by a table for C, by recorded lines for Python."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from _mutants import Mutant
from _mutation_copy import Copy

# The C tests that are about a file; all others run after them.
C_TESTS = {
    "base/base.h": ("memory", "team"),
    "base/cut.c": ("cut", "run", "paths"),
    "base/cut.h": ("cut", "gradient"),
    "base/denormals.h": ("denormals", "team"),
    "base/finite.c": ("not_finite", "run"),
    "base/gemm.c": ("gemm", "gradient", "paths"),
    "base/gemm_cblas.c": ("gemm", "gradient"),
    "base/gemm_kernel.h": ("gemm", "gradient", "paths"),
    "base/gemm_reference.c": ("gemm",),
    "base/instruction_set.c": ("instruction_set", "paths"),
    "base/mathematics.h": ("mathematics", "activations", "loss"),
    "base/memory.c": ("memory", "faults", "arguments"),
    "base/random.c": ("random", "network"),
    "base/sums.h": ("loss", "norm"),
    "base/team.c": ("team", "fork", "faults", "two_models"),
    "base/threads_posix.c": ("team", "fork", "faults", "notice_fork"),
    "base/vector.h": ("sparse", "paths"),
    "gather.c": ("gather", "paths", "sparse"),
    "idx.c": ("idx", "fuzz_idx"),
    "internal.h": ("gradient", "workspace"),
    "layers/activations.c": ("activations", "gradient", "paths"),
    "layers/dense.c": ("gradient", "sparse", "paths"),
    "layers/dropout.c": ("dropout", "gradient", "random", "run"),
    "layers/kinds.c": ("network", "arguments"),
    "layers/layer.h": ("network", "gradient", "dropout"),
    "layers/loss.c": ("loss", "gradient", "run"),
    "layers/norm.c": ("norm", "network"),
    "layers/sparse.c": ("sparse", "paths", "gradient"),
    "layers/sparse_sums.h": ("sparse", "paths", "gradient"),
    "network.c": ("network", "arguments", "memory"),
    "optimizer.c": ("optimizer", "arguments", "run"),
    "pass.c": ("gradient", "run", "paths", "sparse", "not_finite"),
    "run.c": ("run", "arguments", "not_finite", "paths"),
    "status.c": ("status",),
    "workspace.c": ("workspace", "memory", "arguments"),
}

# Lower instruction sets that the library is told to use (csrc/base/vector.h), and the C tests that
# depend on them.
LOWER_LEVELS = ("x86-64-v3", "x86-64-v2", "x86-64") if platform.machine() == "x86_64" else ()
TESTS_OF_LEVELS = (
    "activations", "dropout", "gather", "gemm", "gradient", "loss", "mathematics", "norm",
    "optimizer", "paths", "run", "sparse",
)  # fmt: skip

# The Python tests that could see what the C tests did not.
TESTS_OF_C = (
    "gradients", "losses", "optimizers", "dropout", "random", "parity", "model", "fit",
    "fit_interruptions", "fit_refusals", "fit_reports", "divergence", "bad_features",
    "bad_parameters", "training_goes_on", "training_resumed", "training_weights",
    "training_stopping", "class_figures", "idx", "datasets", "memory_faults", "threads",
    "processes", "shared_models", "wrong_use", "unusual_use", "folder_gone", "random_calls",
)  # fmt: skip

COMMAND_LINE = (
    "command_line", "command_line_explain", "command_line_export", "command_line_info",
    "command_line_inspect", "command_line_play",
)  # fmt: skip

# Tests that run pynn in processes of their own, where nothing is recorded; they come last.
ELSEWHERE = {
    "pynn/__init__.py": ("api", *COMMAND_LINE, "typing"),
    "pynn/__main__.py": COMMAND_LINE,
    "pynn/_base/atomic.py": ("crash",),
    "pynn/_base/checks.py": COMMAND_LINE,
    "pynn/_drawing.py": (*COMMAND_LINE, "predict_output"),
    "pynn/_base/forks.py": ("processes", "threads"),
    "pynn/_training/history.py": ("train_program",),
    "pynn/_inspect.py": COMMAND_LINE,
    "pynn/_model/prediction.py": ("processes", "threads", "train_program"),
    "pynn/_model/training.py": ("processes", "threads", "train_program"),
    "pynn/_training/engine.py": ("processes", "threads", "train_program"),
    "pynn/_native/threads.py": ("processes", "threads"),
    "pynn/_training/trainer.py": ("interrupt_kill", "interrupt_program", "train_program"),
    "pynn/datasets/_mnist.py": ("train_program", "predict_output"),
}

# The time that the first group of tests may take, and the second. If hundreds of tests run a line,
# the others are left out: they take minutes, and have less to do with the line.
GROUP_SECONDS = (5.0, 60.0)


class Group(NamedTuple):
    """Tests that pytest runs in one go."""

    tests: list[str]
    seconds: float
    """What they take on sound code."""


class Recorded:
    """Which lines each Python test runs, and how long it takes; stored in a file per test file."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._by_file: dict[str, dict[str, Any]] = {}

    def _file(self, test_file: Path) -> Path:
        """Where it is kept, under a name that changes with the tests and with pynn."""
        words = set(re.findall(r"\w+", test_file.read_text(encoding="utf-8")))
        digest = hashlib.sha256(test_file.read_bytes())
        helpers = [path for path in (self._root / "tests").glob("*.py") if path.stem in words]
        for path in sorted([*helpers, *(self._root / "pynn").rglob("*.py")]):
            digest.update(path.read_bytes())
        return self._folder / f"{test_file.stem}-{digest.hexdigest()[:16]}.json"

    def missing(self) -> list[Path]:
        """The files of tests that are not recorded as they are."""
        files = sorted((self._root / "tests").rglob("test_*.py"))
        return [path for path in files if not self._file(path).exists()]

    def record(self, test_file: Path, copy: Copy) -> None:
        """Run a file of tests, which must pass."""
        self._folder.mkdir(parents=True, exist_ok=True)
        out = self._folder / "new.json"
        name = test_file.relative_to(self._root).as_posix()
        status = copy.run(
            pytest(copy, [name], "-p", "_mutation_recorder"), 3600,
            PYTHONPATH=str(copy.sources / "scripts"), PYNN_RECORD=str(out),
        )  # fmt: skip
        if status != 0:
            sys.exit(f"scripts/mutate: {name} fails without a mutant:\n{copy.log()[-3000:]}")
        for old in self._folder.glob(f"{test_file.stem}-*.json"):
            old.unlink()
        out.rename(self._file(test_file))

    def load(self) -> None:
        """Read all of it."""
        for path in sorted((self._root / "tests").rglob("test_*.py")):
            name = path.relative_to(self._root).as_posix()
            self._by_file[name] = json.loads(self._file(path).read_text())

    # ------------------------------------------------------------ choosing

    def seconds(self, test: str) -> float:
        """How long a test takes, or a file of them, on sound code."""
        file, _, name = test.partition("::")
        times: dict[str, float] = self._by_file[file]["seconds"]
        return times.get(name, 0.0) if name else sum(times.values())

    def _breadth(self, test: str) -> int:
        """How many lines it runs: of two tests of a line the one with fewer is more about it."""
        file, _, name = test.partition("::")
        return int(self._by_file[file]["breadth"].get(name, 1_000_000))

    def groups_for(self, mutant: Mutant) -> Iterator[Group]:
        """The tests of a mutant's lines, the most telling and quickest first."""
        if mutant.file.startswith("csrc/"):
            files = [f"tests/test_{name}.py" for name in TESTS_OF_C]
            yield from self._grouped(sorted(files, key=self.seconds))
            return
        chosen = self._of_lines(mutant)
        yield from self._grouped(sorted(chosen, key=lambda test: (self._breadth(test), test)))
        more = [f"tests/test_{name}.py" for name in ELSEWHERE.get(mutant.file, ())]
        if more:
            yield Group(more, sum(map(self.seconds, more)))

    def _grouped(self, ordered: list[str]) -> Iterator[Group]:
        for limit in GROUP_SECONDS:
            taken: list[str] = []
            total, rest = 0.0, []
            for test in ordered:
                if total + self.seconds(test) <= limit:
                    total += self.seconds(test)
                    taken.append(test)
                else:
                    rest.append(test)
            if taken:
                yield Group(_merged(taken), total)
            ordered = rest

    def _of_lines(self, mutant: Mutant) -> set[str]:
        """The tests that run the mutant's lines, or what these define, or what uses that."""
        last = mutant.line + mutant.before.count("\n")
        found = self._running(mutant.file, range(mutant.line, last + 1))
        lines, wanted = self._defined(mutant.file, mutant.line)
        found |= self._running(mutant.file, lines)
        seen = set[str]()
        while wanted:
            seen |= wanted
            more = set[str]()
            for file, line in self._using(wanted):
                lines, names = self._defined(file, line)
                found |= self._running(file, [line, *lines])
                more |= names
            wanted = more - seen
        return found

    def _defined(self, file: str, line: int) -> tuple[range, set[str]]:
        return _defined_on_import((self._root / file).read_text(encoding="utf-8"), line)

    def _using(self, names: set[str]) -> Iterator[tuple[str, int]]:
        """Where in pynn some names stand."""
        for path in sorted((self._root / "pynn").rglob("*.py")):
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                if names & set(re.findall(r"\w+", line)):
                    yield path.relative_to(self._root).as_posix(), number

    def _running(self, file: str, lines: Iterable[int]) -> set[str]:
        found = set()
        for test_file, recorded in self._by_file.items():
            by_line = recorded["lines"].get(file, {})
            for line in lines:
                for name in by_line.get(str(line), ()):
                    found.add(f"{test_file}::{name}" if name else test_file)
        return found


@cache
def _defined_on_import(source: str, line: int) -> tuple[range, set[str]]:
    """What a line defines that importing runs: the lines of a function's body, or names."""
    body: list[ast.stmt] = ast.parse(source).body
    while True:
        around = [node for node in body if _first(node) <= line <= (node.end_lineno or 0)]
        if not around:
            return range(0), set()
        node = around[0]
        if isinstance(node, ast.FunctionDef):
            begins, ends = node.body[0].lineno, node.end_lineno or 0
            return range(begins, ends + 1) if line < begins else range(0), set()
        if isinstance(node, ast.ClassDef):
            body = node.body
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        names = [name for target in targets for name in ast.walk(target)]
        return range(0), {name.id for name in names if isinstance(name, ast.Name)}


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _merged(tests: list[str]) -> list[str]:
    """Without those of a file that is there itself, which pytest would leave out of the file."""
    files = {test for test in tests if "::" not in test}
    return [test for test in tests if test in files or test.split("::")[0] not in files]


def pytest(copy: Copy, tests: Iterable[str], *options: str) -> list[str]:
    """The command that runs tests, to the first that fails, the same way each time."""
    return [
        str(copy.python), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
        "--hypothesis-seed=0", *options, *tests,
    ]  # fmt: skip
