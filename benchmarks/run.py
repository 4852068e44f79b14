#!/usr/bin/env python3
"""Measure pynn against its peers. See --help."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

import cases
import first_layer
import must_show
import processes
from cases import BOUNDS, COMPILED, GRID_BATCHES, HIDDEN, INDEPENDENT, PREDICTED, Shape, both
from figures import LINE_HEADERS, Case, losses_apart, outputs_apart, stolen, table
from harness import (
    FORCE,
    HERE,
    LEVELS,
    NATIVE,
    Contender,
    Failure,
    Workers,
    environment,
    force,
    level_in_use,
    lower_levels,
    processor,
    results_folder,
)
from must_show import Plan

DESCRIPTION = """\
Measure pynn against PyTorch, JAX, scikit-learn, NumPy, and the matrix products
alone. Every contender is a process that stays alive; in each round all have
one turn, and ratios are taken round by round, so that what disturbs the
machine disturbs all of them. What is measured goes to benchmarks/results, into
a folder for this processor, and from there into docs/performance.md.

parts:
  must-show  the table of limits: each line, and whether it holds; 20 batches
             and widths against PyTorch, two data sets
  recipe     an epoch of the recipe's network, all contenders, three data sets
  grid       an epoch over batch 16 to 4096 and width 64 to 2048, two data sets,
             all contenders
  inference  predictions of 1, 128 and 10000 images
  start      imports, and from a cold process to the first prediction
  memory     peak memory of a process, and installed size
  first-layer
             the choice between a sparse and a dense first layer, over density,
             width and batch: a table, and whether the worst case holds

Each part runs with the best instruction set that pynn has for this processor;
must-show also with x86-64-v3 where that is not the best, and first-layer with
each lower one. --level names others. Only pynn's own code is held to a level:
its BLAS, and its peers, run their best.

Keep the machine otherwise idle. must-show takes about an hour on two cores for
each level, first-layer about ten minutes, everything about four hours.
"""

EPILOG = """\
what it needs:
  python3 -m venv .venv && .venv/bin/pip install '.[benchmarks,scripts]'
  and a C compiler, called cc, for the products alone

A peer that is not installed is left out. exit status: 0 all contenders learn
alike and every line of the table holds, 1 not so, 2 wrong call
"""

PARTS = ("must-show", "recipe", "grid", "inference", "start", "memory", "first-layer")
PEERS = ("pynn", "torch", "jax", "sklearn", "numpy")
ROUNDS = {"grid": 3, "first-layer": first_layer.ROUNDS}  # of others 5
LOSSES_APART = 0.05  # relatively, after an epoch: each contender shuffles in its own way
OUTPUTS_APART = 1e-4  # the weights are the same


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    parts = options.only or list(PARTS)
    try:
        wishes = {part: _wishes(part, options) for part in parts}
    except Failure as failure:
        print(f"run.py: error: {failure}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        results = options.results or (Path(scratch) if options.quick else HERE / "results")
        good = True
        for part in parts:
            for wish in wishes[part]:
                good &= _run_part(part, wish, results, options)
        if not options.quick:
            subprocess.run([sys.executable, str(HERE / "report.py")], check=True)
    return 0 if good else 1


def _wishes(part: str, options: argparse.Namespace) -> list[str]:
    """The levels that a part is to be run at. Raises Failure for one that pynn does not have here.

    A level is there if a pynn that is told to use it says that it does.
    """
    native = _level_of(NATIVE)
    if options.level:
        for wish in options.level:
            if wish != NATIVE and (level := _level_of(wish)) != wish:
                raise Failure(f"--level {wish}: told to use it, pynn runs {level} here")
        wishes = [NATIVE if wish == native else wish for wish in options.level]
        return list(dict.fromkeys(wishes))
    lower = [] if options.quick else lower_levels(native)
    if part == "must-show":
        lower = [level for level in lower if level == "x86-64-v3"]
    elif part != "first-layer":
        lower = []
    return [NATIVE, *(level for level in lower if _level_of(level) == level)]


def _level_of(wish: str) -> str:
    """What pynn runs where it is told to run a level."""
    force(wish)
    return level_in_use()


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=PARTS,
        metavar="PART",
        help="this part; may be given several times",
    )
    for part in ("must-show", "grid", "first-layer"):
        parser.add_argument(
            f"--{part}", dest="only", action="append_const", const=part, help=f"--only {part}"
        )
    parser.add_argument(
        "--level",
        action="append",
        choices=(NATIVE, *dict.fromkeys(level for line in LEVELS for level in line)),
        metavar="NAME",
        help="hold pynn to this instruction set; may be given several times: %(choices)s",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="see that all of it works, on few rows; the figures mean nothing and are not kept",
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="default: 5, in grid 3, in first-layer 9"
    )
    parser.add_argument(
        "--missing", action="store_true", help="only what the results do not have yet"
    )
    parser.add_argument("--results", type=Path, metavar="DIR", help="default: benchmarks/results")
    options = parser.parse_args(argv)
    if options.rounds is not None and options.rounds < 1:
        parser.error("argument --rounds: must be at least 1")
    if FORCE in os.environ:
        parser.error(f"{FORCE} is set: unset it, and name the level with --level")
    if options.quick and options.only is None:
        options.only = ["must-show"]
    return options


def _run_part(part: str, wish: str, results: Path, options: argparse.Namespace) -> bool:
    """Run the cases of a part, keeping each as soon as it is done; whether all is well."""
    level = _level_of(wish)
    path = results_folder(results, wish) / f"{part}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = _kept(path, level)
    rounds = options.rounds or (2 if options.quick else ROUNDS.get(part, 5))
    good = True
    began = time.perf_counter()
    print(f"{part}: {processor()}, {level}", file=sys.stderr)
    with Workers() as workers:
        for name, measure in plan(part, workers, rounds, quick=options.quick):
            if options.missing and name in done:
                continue
            print(f"{part}: {name}", file=sys.stderr, flush=True)
            try:
                done[name] = measure()
            except Failure as failure:
                print(f"  failed: {failure}", file=sys.stderr)
                good = False
                continue
            if taken := stolen(done[name]):
                print(f"  the host took {taken}", file=sys.stderr)
            good &= _did_the_same(done[name])
            _keep(path, done, environment(level, forced=wish != NATIVE))
    print(f"{part}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return _judge(part, done, f"{processor()}, {level}", forced=wish != NATIVE) and good


def _judge(part: str, done: dict[str, Case], where: str, *, forced: bool) -> bool:
    """Print the table of a part that has limits; whether all of them hold."""
    if part == "must-show":
        lines = must_show.judge(done, forced=forced)
        print(f"{where}:\n\n{table(LINE_HEADERS, [line.cells() for line in lines])}\n")
        return all(line.holds for line in lines)
    if part == "first-layer" and done:
        print(f"{where}:\n\n{first_layer.full_table(done)}\n\n{first_layer.verdict(done)}\n")
        return first_layer.holds(done)
    return True


def plan(part: str, workers: Workers, rounds: int, *, quick: bool) -> Plan:
    """The cases of a part by name, to be run in order."""
    if part == "must-show":
        yield from must_show.plan(workers, rounds, quick=quick)
    elif part == "recipe":
        contenders = [*both(*PEERS), *COMPILED, *BOUNDS, INDEPENDENT]
        for data in ("mnist", "dense", "dense-float32"):
            shape = Shape(data, rows=2048 if quick else cases.ROWS)
            yield shape.name, lambda s=shape: cases.epochs(workers, s, contenders, rounds)
    elif part == "grid":
        contenders = [*both(*PEERS), *BOUNDS]
        for data in ("mnist", "dense"):
            for hidden in HIDDEN[:1] if quick else HIDDEN:
                for batch in GRID_BATCHES[:1] if quick else GRID_BATCHES:
                    shape = cases.grid_shape(data, batch, hidden)
                    rows = 2048 if quick else max(cases.GRID_ROWS[hidden], batch)
                    s = shape._replace(rows=rows)
                    yield s.name, lambda s=s: cases.epochs(workers, s, contenders, rounds, 0.5)
    elif part == "inference":
        for batch in PREDICTED:
            yield (
                f"predict {batch}",
                lambda b=batch: cases.predictions(workers, b, both(*PEERS), 2 * rounds + 1),
            )
    elif part == "start":
        with tempfile.TemporaryDirectory() as folder:
            starts = 3 if quick else 3 * rounds
            here = Path(folder)
            yield "import", lambda: processes.imports(list(processes.IMPORTS), starts, here)
            yield "first prediction", lambda: processes.first_predictions(PEERS, starts, here)
    elif part == "memory":
        shape = Shape("mnist", rows=2048 if quick else cases.ROWS)
        contenders = [
            Contender(peer, 2, "plain" if peer in ("torch", "jax") else "") for peer in PEERS
        ]
        yield "peak memory", lambda: cases.memory(contenders, shape)
        yield "installed size", processes.sizes
    elif part == "first-layer":
        yield from first_layer.plan(workers, rounds, quick=quick)


def _did_the_same(case: Case) -> bool:
    """Whether all did the same work: their first losses, or probabilities, tell."""
    good = True
    for what, apart, at_most in (
        ("loss is {:.1%}", losses_apart(case), LOSSES_APART),
        ("probabilities are {:.1g}", outputs_apart(case), OUTPUTS_APART),
    ):
        for name, by in apart.items():
            if not by <= at_most:  # nan is not, either
                print(f"  {name}: its first {what.format(by)} off pynn's", file=sys.stderr)
                good = False
    return good


def _kept(path: Path, level: str) -> dict[str, Case]:
    """The cases that were measured before, if at the same level; else they are begun anew."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text())
    cases: dict[str, Case] = kept["cases"]
    return cases if kept["environment"].get("instruction_set") == level else {}


def _keep(path: Path, done: dict[str, Case], where: dict[str, Any]) -> None:
    """Write the results: a case is a line, so that a difference shows which has changed."""
    body = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in done.items())
    head = json.dumps(where, indent=1)
    path.write_text(f'{{"environment": {head},\n"cases": {{\n{body}\n}}}}\n')


if __name__ == "__main__":
    sys.exit(main())
