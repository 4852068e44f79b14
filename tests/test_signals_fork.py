"""Signal handlers that come while the process forks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from signal_handlers import MINUTE, Instructions, Stop, build, check_free, stop

from pynn._base import forks

pytestmark = pytest.mark.usefixtures("threads_as_before", "unflushed")


def give_back() -> None:
    """What happens after a fork: the functions are called twice."""
    for _ in range(2):
        with contextlib.suppress(Stop):
            forks._after_in_parent()


@pytest.mark.parametrize("part", ["_before", "_after_in_parent"])
def test_exception_within_a_fork_leaves_no_lock_held(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler raises before each instruction of the functions that a fork calls."""
    models = build(), build()
    engines = [model._engine for model in models]
    monkeypatch.setattr(forks, "_living", lambda: engines)

    def both(number: int, place: str) -> int:
        counts = {}
        for name, function in (("_before", forks._before), ("_after_in_parent", give_back)):
            instructions = Instructions(stop, number if name == place else 0)
            with instructions, contextlib.suppress(Stop):
                function()
            counts[name] = instructions.count
        return counts[place]

    count = both(0, part)
    assert count > 20
    for number in range(1, count + 1):
        both(number, part)
        check_free(*models)


@pytest.mark.parametrize("name", ["_before", "_after_in_parent"])
def test_a_handler_may_fork_within_a_fork(name: str) -> None:
    """A handler forks before each instruction of a function that a fork calls."""
    models = [build() for _ in range(3)]

    def fork() -> None:
        forks._before()
        forks._after_in_parent()

    number = 0
    while True:
        number += 1
        if name == "_after_in_parent":
            forks._before()
        with Instructions(fork, number) as instructions:
            getattr(forks, name)()
        forks._after_in_parent()
        check_free(*models)
        if instructions.count < number:
            break
    assert number > 20


def test_a_model_may_be_made_during_a_fork() -> None:
    """A handler makes a model before each instruction while the fork goes through the models."""
    made = [build()]
    with Instructions(lambda: made.append(build())):
        forks._before()
    forks._after_in_parent()
    check_free(*made)
    assert len(made) > 20


INTERRUPTED_FORK = """if True:
    import _thread, os, signal, sys, threading, warnings

    # A C function, so the handler runs at the first instruction of the Python function after it.
    send = _thread.interrupt_main
    os.register_at_fork(after_in_parent=send, after_in_child=send)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raised = []
    sys.unraisablehook = lambda hook: raised.append((hook.exc_type, hook.object.__module__))
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are

    import numpy as np, pynn
    chain = pynn.Builder().input(8).dense(3).softmax_cross_entropy()
    model, held = chain.build(), chain.build()

    def take():
        free.append(model._engine.lock.acquire(blocking=False))
        free.append(child != 0 or held._engine.lock.acquire(blocking=False))

    go_on, ready, free = threading.Event(), threading.Event(), []

    def hold():
        with held._engine.lock:
            ready.set()
            go_on.wait(60)

    pynn._base.forks.PATIENCE = 0.05
    threading.Thread(target=hold, daemon=True).start()
    ready.wait(60)
    child = os.fork()
    signal.alarm(30)
    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    seen = free, raised
    right = seen == ([True, True], [(KeyboardInterrupt, "pynn._base.forks")])
    if child == 0:
        os._exit(0 if right else 1)
    print(right or seen, os.waitpid(child, 0)[1])
    go_on.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_exception_at_a_fork_leaves_no_lock_held(tmp_path: Path) -> None:
    """Ctrl-C during the system call: parent and child have the models' locks all the same."""
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_FORK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=MINUTE,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "True 0\n", "")
