"""Processes that share a model: forks while it is used, and models sent to other processes.

What forks runs in a process of its own: fork_scenarios.py, with a scenario's name.
"""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fork_scenarios import SCENARIOS
from threaded_models import MINUTE, build, flat

import pynn
from pynn._base import forks

SCENARIO_PROGRAM = Path(__file__).with_name("fork_scenarios.py")

pytestmark = pytest.mark.usefixtures("threads_as_before")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")


def run_scenario(name: str, folder: Path) -> None:
    """Run a scenario in a process of its own; it must come to its end, with nothing on stderr."""
    # From 3.12 on Python warns of forking beside the threads that C has started.
    command = [
        sys.executable,
        "-W",
        "ignore::DeprecationWarning",
        str(SCENARIO_PROGRAM),
        name,
        str(folder),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=10 * MINUTE)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


@needs_fork
@pytest.mark.parametrize("name", SCENARIOS)
def test_model_survives_a_fork(name: str, tmp_path: Path) -> None:
    """In the child every use of the parent's model works, and never hangs."""
    run_scenario(name, tmp_path)


def test_fork_takes_the_locks_that_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread has the first model's lock; the fork takes the second's, and gives it back."""
    monkeypatch.setattr(forks, "PATIENCE", 0.01)
    models = build(5), build(5)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with models[0]._engine.lock:
            held.set()
            assert go_on.wait(MINUTE)

    def free(model: pynn.Model) -> bool:
        """Whether a thread that has nothing else gets the lock."""
        got = model._engine.lock.acquire(blocking=False)
        if got:
            model._engine.lock.release()
        return got

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(hold)
        try:
            assert held.wait(MINUTE)
            forks._before()
            assert [pool.submit(free, model).result(MINUTE) for model in models] == [False, False]
            forks._after_in_parent()
            assert [pool.submit(free, model).result(MINUTE) for model in models] == [False, True]
        finally:
            forks._after_in_parent()
            go_on.set()
        holding.result(MINUTE)
        assert [pool.submit(free, model).result(MINUTE) for model in models] == [True, True]


def test_model_is_sent_to_spawned_processes(tmp_path: Path) -> None:
    """Processes that begin anew get it by pickle."""
    run_scenario("spawn", tmp_path)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copied_parameters_are_an_ordinary_dict(copied: Callable[[Any], Any]) -> None:
    """It holds the same values, and names in it can be given to other arrays."""
    model = build(5)
    named = copied(model.parameters)
    assert type(named) is dict
    assert flat(model) == b"".join(array.tobytes() for array in named.values())
    named["dense1.bias"] = np.ones(5, np.float32)
    assert not model.parameters["dense1.bias"].any()
