"""Mutation testing: breaks csrc and pynn in small ways and sees whether a test notices.

Called by scripts/mutate, which says how.
"""

from __future__ import annotations

import argparse
import json
import math
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))  # python -P and -I leave it out

import _mutants
from _mutants import Mutant
from _mutation_copy import BuildError, Copy
from _mutation_tests import C_TESTS, LOWER_LEVELS, TESTS_OF_LEVELS, Recorded, pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build/mutate"
# Declarations, whose numbers everything is built with, what other builds are made of, and a program
# that is no part of the library.
LEFT_OUT = (
    "csrc/pynn.h",
    "csrc/base/gemm.h",
    "csrc/base/gemm_portable.c",
    "csrc/base/gemm_portable_kernel.h",
    "csrc/base/gemm_reference.c",
    "csrc/base/team_single.c",
    "csrc/base/threads.h",
    "csrc/base/threads_win32.c",
    "csrc/layers/loss.h",
    "csrc/plain/plain.c",
)

KILLED, SURVIVED, EQUIVALENT, UNVIABLE = "killed", "survived", "equivalent", "not viable"
MEANINGFUL = (KILLED, SURVIVED)
PATIENCE = (30.0, 5.0)  # seconds, and times what the tests take on sound code


class Outcome(NamedTuple):
    """What became of a mutant."""

    outcome: str
    by: str = ""
    """The test that noticed, or what else ended it."""


class Laboratory:
    """Copies to break, and all that is known about the tests."""

    def __init__(self, copies: Sequence[Copy], recorded: Recorded) -> None:
        self._copies: queue.Queue[Copy] = queue.Queue()
        self._recorded = recorded
        self._c_seconds: dict[str, float] = {}
        for copy in copies:
            self._copies.put(copy)

    def time_c_tests(self, copy: Copy) -> None:
        """Run the C tests once on sound code."""
        copy.ninja(*(copy.program(test) for test in copy.tests))
        for test, command in copy.tests.items():
            began = time.monotonic()
            if copy.run(command, 600) != 0:
                sys.exit(f"scripts/mutate: C test {test} fails without a mutant:\n{copy.log()}")
            self._c_seconds[test] = time.monotonic() - began

    def try_out(self, mutant: Mutant) -> Outcome:
        """Build a mutant and run its tests until one notices."""
        copy = self._copies.get()
        try:
            text = copy.text_of(mutant)
            outcome = _compiled(text, mutant) if mutant.file.endswith(".py") else None
            if outcome is not None:
                return outcome
            with copy.mutated(mutant):
                return self._try_out(mutant, copy)
        finally:
            self._copies.put(copy)

    def _try_out(self, mutant: Mutant, copy: Copy) -> Outcome:
        is_c = mutant.file.startswith("csrc/")
        try:
            copy.ninja("csrc/libpynn.a" if is_c else "all")
        except BuildError:
            return Outcome(UNVIABLE)
        if is_c and copy.objects() == copy.originals:
            return Outcome(EQUIVALENT, "the same compiled code")
        by = self._c_tests(mutant, copy) if is_c else ""
        if is_c and not by:
            copy.ninja("all")
        by = by or self._python_tests(mutant, copy)
        return Outcome(KILLED, by) if by else Outcome(SURVIVED)

    def _c_tests(self, mutant: Mutant, copy: Copy) -> str:
        """The C test that noticed; "" if none did."""
        first = C_TESTS.get(mutant.file.removeprefix("csrc/"), ())
        others = sorted(set(copy.tests) - set(first), key=lambda test: self._c_seconds[test])
        for group in (first, others):
            try:
                copy.ninja(*(copy.program(test) for test in group))
            except BuildError:
                return "the C tests cannot be built"
            for test in group:
                status = copy.run(copy.tests[test], _patience(self._c_seconds[test]))
                if status != 0:
                    return f"C test {test}{_how(status)}"
        for level in LOWER_LEVELS:
            for test in TESTS_OF_LEVELS:
                patience = 10 * _patience(self._c_seconds[test])
                status = copy.run(copy.tests[test], patience, PYNN_INSTRUCTION_SET=level)
                if status != 0:
                    return f"C test {test} at level {level}{_how(status)}"
        return ""

    def _python_tests(self, mutant: Mutant, copy: Copy) -> str:
        """The Python test that noticed; "" if none did."""
        for group in self._recorded.groups_for(mutant):
            status = copy.run(pytest(copy, group.tests), _patience(group.seconds))
            if status != 0:
                failed = [
                    line for line in copy.log().split("\n") if line[:6] in ("FAILED", "ERROR ")
                ]
                return failed[0].split(" ")[1] if failed else f"pytest{_how(status)}"
        return ""


def _compiled(text: str, mutant: Mutant) -> Outcome | None:
    """The outcome of a mutant of Python that is none, or the same once compiled."""
    try:
        changed = compile(mutant.apply(text), mutant.file, "exec", optimize=0)
    except SyntaxError:
        return Outcome(UNVIABLE)
    same = changed == compile(text, mutant.file, "exec", optimize=0)
    return Outcome(EQUIVALENT, "the same compiled code") if same else None


def _patience(seconds: float) -> float:
    return PATIENCE[0] + PATIENCE[1] * seconds


def _how(status: int | None) -> str:
    if status is None:
        return " takes too long"
    return f" ends with signal {-status}" if status < 0 else f" fails with status {status}"


class Record:
    """The outcomes so far, in a file with a line of JSON for each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._outcomes: dict[str, Outcome] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                self._outcomes[entry["key"]] = Outcome(entry["outcome"], entry["by"])

    def get(self, mutant: Mutant) -> Outcome | None:
        """What became of a mutant, if it has been tried."""
        return self._outcomes.get(mutant.key)

    def forget_survivors(self, mutants: Iterable[Mutant]) -> None:
        """Have them tried again: there may be new tests."""
        for mutant in mutants:
            if self._outcomes.get(mutant.key, Outcome("")).outcome == SURVIVED:
                del self._outcomes[mutant.key]

    def add(self, mutant: Mutant, outcome: Outcome, seconds: float) -> None:
        """Keep an outcome, and say it."""
        entry = {
            "key": mutant.key, "file": mutant.file, "line": mutant.line, "kind": mutant.kind,
            "before": mutant.before, "after": mutant.after, **outcome._asdict(),
            "seconds": round(seconds, 1),
        }  # fmt: skip
        with self._lock:
            self._outcomes[mutant.key] = outcome
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            by = f" by {outcome.by}" if outcome.outcome == KILLED else ""
            place = f"{mutant.file}:{mutant.line}"
            print(f"{place}: {mutant.kind}: {outcome.outcome}{by}, {seconds:.0f} s", flush=True)


def ordered(only: str | None, seed: int) -> list[Mutant]:
    """All mutants in the order in which they are tried: of C and of Python by turns."""
    by_part = []
    for part, pattern in (("csrc", "*.[ch]"), ("pynn", "*.py")):
        files = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / part).rglob(pattern))
        files = [file for file in files if file not in LEFT_OUT and only in (None, part, file)]
        mutants = [mutant for file in files for mutant in _mutants.of_file(ROOT, file)]
        by_part.append(_mutants.shuffled(mutants, seed))
    both = min(map(len, by_part))
    by_turns = [mutant for pair in zip(*by_part, strict=False) for mutant in pair]
    return by_turns + [mutant for part in by_part for mutant in part[both:]]


def sample(
    mutants: Sequence[Mutant],
    count: int,
    record: Record,
    laboratory: Laboratory,
    workers: int,
    end: float = math.inf,
) -> list[Mutant]:
    """The first mutants that mean something, as many as asked for, all tried out.

    From a time on, `end` of the monotonic clock, none is begun: there are those that were tried.
    """

    def try_out(mutant: Mutant) -> None:
        began = time.monotonic()
        if began > end:
            return
        record.add(mutant, laboratory.try_out(mutant), time.monotonic() - began)

    candidates = iter(mutants)
    taken: list[Mutant] = []
    while len(taken) < count:
        batch = list(_take(candidates, count - len(taken)))
        if not batch or time.monotonic() > end:
            break
        # By file, so that one is compiled as itself again only where the next mutant is of another.
        untried = sorted((m for m in batch if record.get(m) is None), key=lambda m: m.file)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(try_out, untried))
        taken += [mutant for mutant in batch if _outcome(record, mutant) in MEANINGFUL]
    return taken


def _take(mutants: Iterator[Mutant], count: int) -> Iterator[Mutant]:
    for _, mutant in zip(range(count), mutants, strict=False):
        yield mutant


def _outcome(record: Record, mutant: Mutant) -> str:
    outcome = record.get(mutant)
    return "" if outcome is None else outcome.outcome


def report(taken: Sequence[Mutant], record: Record) -> None:
    """Print the survivors and the score."""
    survivors = [mutant for mutant in taken if _outcome(record, mutant) == SURVIVED]
    for mutant in sorted(survivors, key=lambda mutant: (mutant.file, mutant.line)):
        print(f"\n{mutant.file}:{mutant.line}: {mutant.kind}")
        for sign, lines in (("-", mutant.before), ("+", mutant.after)):
            print("\n".join(f"{sign} {line}" for line in lines.split("\n")))
    total, by_part = Counter[str](), Counter[str]()
    for mutant in taken:
        total[mutant.file.split("/")[0]] += 1
        by_part[mutant.file.split("/")[0]] += mutant not in survivors
    print()
    for part in total:
        print(f"{part}: {by_part[part]} of {total[part]} mutants noticed")
    score = (len(taken) - len(survivors)) / len(taken) if taken else 0.0
    print(f"score: {score:.1%} of {len(taken)}, {len(survivors)} survived")


def main(arguments: Sequence[str]) -> int:
    """Try out a sample; the status is 0 once all of it is tried."""
    options = _parse(arguments)
    mutants = ordered(options.only, options.seed)
    if not mutants:
        print(f"scripts/mutate: nothing to break in {options.only}", file=sys.stderr)
        return 2
    end = time.monotonic() + options.seconds
    FOLDER.mkdir(parents=True, exist_ok=True)
    record = Record(FOLDER / "outcomes.jsonl")
    if options.again:
        record.forget_survivors(mutants)
    copies = [Copy(ROOT, FOLDER / f"copy-{k}") for k in range(options.workers)]
    try:
        for copy in copies:
            copy.prepare()
    except BuildError as error:
        sys.exit(f"scripts/mutate: the copy cannot be built:\n{error}")
    recorded = Recorded(ROOT, FOLDER / "recorded")
    for test_file in recorded.missing():
        if time.monotonic() > end:
            print("not all tests are recorded yet")
            return 1
        print(f"recording {test_file.name}", flush=True)
        recorded.record(test_file, copies[0])
    recorded.load()
    laboratory = Laboratory(copies, recorded)
    laboratory.time_c_tests(copies[0])
    taken = sample(mutants, options.sample, record, laboratory, options.workers, end)
    report(taken, record)
    if len(taken) < options.sample:
        print(f"that is not all of {options.sample}")
        return 1
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/mutate", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--sample", type=int, default=200, help="how many mutants (200)")
    parser.add_argument("--only", metavar="csrc|pynn|FILE", help="break this alone")
    parser.add_argument("--workers", type=int, default=1, help="at a time, each in a copy (1)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of work")
    parser.add_argument("--again", action="store_true", help="try survivors again, on new tests")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
