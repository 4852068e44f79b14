"""Made-up results of benchmarks, for the tests of their arithmetic."""

from pathlib import Path

import harness
import pytest
import run

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def case_of(**seconds):
    """A case from the seconds of each contender, one a round; "__" stands for "@", "_" for ":"."""
    named = {k.replace("__", "@").replace("_", ":"): v for k, v in seconds.items()}
    count = len(next(iter(named.values())))
    rounds = [{"turns": {n: {"seconds": s[i]} for n, s in named.items()}} for i in range(count)]
    return {"contenders": {name: {} for name in named}, "rounds": rounds}


def epoch_case():
    """Half as fast as torch, twice as fast as jax; between the bounds."""
    return case_of(
        pynn__1=[6.0, 6.0],
        pynn__2=[4.0, 4.0],
        torch__1=[9.0, 9.0],
        torch__2=[8.0, 8.0],
        jax__2=[2.0, 2.0],
        gemm__1_serial=[6.0, 6.0],
        gemm__2_blas=[7.0, 7.0],
        gemm__2_halves=[5.0, 5.0],
        gemm__2_independent=[8.0, 8.0],
    )


def nothing_measured(monkeypatch):
    """Ends a run that would begin to measure."""
    monkeypatch.setattr(run, "_run_part", lambda *_: pytest.fail("it measures"))


def pretended_machine(monkeypatch, measures_nothing):
    """A function that makes it a machine with some levels, the best first."""
    # Set and taken back, so that it is as it was after the test.
    monkeypatch.setenv(harness.FORCE, "")
    monkeypatch.delenv(harness.FORCE)

    def has(*levels):
        def level_in_use():
            wish = harness.os.environ.get(harness.FORCE)
            return wish if wish in levels else levels[0]

        monkeypatch.setattr(run, "level_in_use", level_in_use)

    return has


def cells_of(text):
    """The rows of a table, without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n")][2:]
