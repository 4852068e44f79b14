"""Make random calls of the Python API, for scripts/fuzz.

tests/api_machine.py and tests/estimator_machine.py say which. The exit status is 1 if a call
misbehaved, memory grew, or an object of pynn's was left over.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import pynn
from pynn._native.data import Data
from pynn._native.network import Network
from pynn._native.workspace import Workspace

CALLS = 30  # a sequence
SEQUENCES = 20  # a round, after which memory is looked at
HANGS = 300.0  # seconds for a round, which takes some seconds
GROWTH = 16.0  # megabytes that memory may differ by between the middle and the end
LEFT_OVER = (pynn.Model, Network, Workspace, Data)


def megabytes() -> float:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_round(number: int, *, shrink: bool) -> None:
    """Run some sequences of calls: of models and of estimators by turns, set by the number."""
    from api_machine import ApiMachine
    from estimator_machine import EstimatorMachine

    kind: type[RuleBasedStateMachine] = (ApiMachine, EstimatorMachine)[number % 2]
    machine = type(kind.__name__, (kind,), {})  # its own, as hypothesis keeps the seed with it
    chosen = settings(
        database=None,
        deadline=None,
        max_examples=SEQUENCES,
        stateful_step_count=CALLS,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        print_blob=False,
    )
    faulthandler.dump_traceback_later(HANGS * (10 if shrink else 1), exit=True)
    run_state_machine_as_test(seed(number)(machine), settings=chosen)
    faulthandler.cancel_dump_traceback_later()


def left_over() -> list[str]:
    """The types of pynn's objects that still exist; there should be none."""
    gc.collect()
    return [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, LEFT_OVER)]


def has_grown(memory: Sequence[float]) -> bool:
    """Whether the last quarter of a run takes more memory than the second."""
    quarter = len(memory) // 4
    if quarter < 2:
        return False
    second, last = memory[quarter : 2 * quarter], memory[-quarter:]
    return statistics.median(last) - statistics.median(second) > GROWTH


def main(arguments: Sequence[str]) -> int:
    """Run rounds until the time is over."""
    parser = argparse.ArgumentParser("scripts/fuzz api")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0, help="the first round's number")
    parser.add_argument("--shrink", action="store_true", help="look for a shorter sequence")
    parser.add_argument("--sanitized", action="store_true", help="memory is kept by a sanitizer")
    options = parser.parse_args(arguments)
    faulthandler.enable()
    warnings.simplefilter("error")
    end, number, memory = time.monotonic() + options.seconds, options.seed, list[float]()
    while number == options.seed or time.monotonic() < end:
        try:
            run_round(number, shrink=options.shrink)
        except Exception:
            print(f"api: round {number} failed; to make it shorter:")
            print(f"    python scripts/_fuzz_api.py 1 --shrink --seed {number}", flush=True)
            raise
        left = left_over()
        if left:
            print(f"api: after round {number} there is left: {', '.join(left)}")
            return 1
        memory.append(megabytes())
        number += 1
    rounds = number - options.seed
    print(f"api: {rounds * SEQUENCES:,} sequences of up to {CALLS} calls, nothing found")
    print(f"api: {memory[len(memory) // 4]:.0f} MB after a quarter, {memory[-1]:.0f} MB at the end")
    if has_grown(memory) and not options.sanitized:
        print("api: memory grows")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
