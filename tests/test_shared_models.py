"""Threads that use one model, or one model each, at the same time (see also test_threads.py)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threaded_models import MINUTE, X, Y, build, fit, flat

import pynn

pytestmark = pytest.mark.usefixtures("threads_as_before")

SLOW = pynn.build_info()["blas"] == "reference"  # and under sanitizers, probably
TIMES = 2 if SLOW else 10


def run_all(works: list[Callable[[], Any]]) -> list[Any]:
    """The results of functions, each in a thread of its own, all begun before any goes on."""
    line = threading.Barrier(len(works), timeout=MINUTE)
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(lambda work=work: (line.wait(), work())[1]) for work in works]
        return [future.result(MINUTE) for future in futures]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_eight_threads_predict_as_one(threads: int) -> None:
    """Each of eight gets one thread's bits, whatever they ask and how many threads C has."""
    uses: list[Callable[[pynn.Model], Any]] = [
        lambda model: model(X).tobytes(),
        lambda model: model.predict_proba(X).tobytes(),
        lambda model: model.predict(X[::3]).tobytes(),
        lambda model: model(X[5:6]).tobytes(),
        lambda model: model.evaluate(X, Y),
    ]
    pynn.set_num_threads(1)
    model = build(90, 40)
    fit(model)
    expected = [use(model) for use in uses]
    pynn.set_num_threads(threads)

    def ask(first: int) -> list[int]:
        """The places of the answers that are not as they should be."""
        order = [(first + k) % len(uses) for k in range(TIMES * len(uses))]
        return [k for k in order if uses[k](model) != expected[k]]

    assert run_all([lambda k=k: ask(k) for k in range(8)]) == [[]] * 8


def test_eight_threads_predict_while_the_number_of_threads_changes() -> None:
    """A ninth thread that sets one number after the other changes no bit."""
    model = build(90, 40)
    expected = model(X).tobytes()
    answered = threading.Event()

    def ask() -> int:
        try:
            return sum(model(X).tobytes() == expected for _ in range(TIMES))
        finally:
            answered.set()

    def change() -> int:
        changes = 0
        while not answered.is_set():
            pynn.set_num_threads(changes % 4 + 1)
            changes += 1
        return TIMES

    assert run_all([ask] * 8 + [change]) == [TIMES] * 9


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_two_models_train_at_once_as_in_turn(threads: int, tmp_path: Path) -> None:
    """Two unlike networks end with the same files and figures, validated as they go."""
    pynn.set_num_threads(threads)

    def train(name: str, *widths: int) -> tuple[Any, ...]:
        model = build(*widths)
        history = fit(model, 4, validation=(X[:99], Y[:99]))
        model.save(tmp_path / name)
        figures = history.loss, history.accuracy, history.val_loss, history.val_accuracy
        return (tmp_path / name).read_bytes(), figures

    works = [lambda: train("one", 120, 40), lambda: train("other", 33)]
    expected = [work() for work in works]
    for _ in range(TIMES):
        assert run_all(works) == expected


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_python_goes_on_while_c_trains() -> None:
    """Another thread takes its turns during the one call of C that a step is.

    Here Python takes its lock from nobody who does not let go of it: were it kept during that call,
    there would be a turn or two, between the calls.
    """
    rows = 60 if SLOW else 6000  # some tenths of a second
    x, y = np.ones((rows, 784), np.uint8), np.zeros(rows, np.uint8)
    model = pynn.Builder().input(784).dense(1000).dense(10).softmax_cross_entropy().build()
    turns = 0
    ended = threading.Event()

    def count() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1
            time.sleep(1e-5)

    counter = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(MINUTE)
    try:
        counter.start()
        before = turns
        model.fit(x, y, epochs=1, batch_size=rows)
        during = turns - before
    finally:
        ended.set()
        counter.join(MINUTE)
        sys.setswitchinterval(interval)
    assert during >= 20


@pytest.mark.parametrize("rows", [1, 301])
def test_closing_while_others_predict(rows: int) -> None:
    """Each of four threads gets right answers until it gets the error, and nothing else."""
    x, y = X[:rows], Y[:rows]
    uses: list[Callable[[pynn.Model], Any]] = [
        lambda model: model(x).tobytes(),
        lambda model: model.predict_proba(x).tobytes(),
        lambda model: model.evaluate(x, y),
        lambda model: flat(model),
    ]
    expected = [use(build(90)) for use in uses]

    def ask(k: int, model: pynn.Model, answered: threading.Semaphore) -> str:
        while True:
            try:
                if uses[k](model) != expected[k]:
                    return "wrong"
            except pynn.ClosedError:
                return "closed"
            finally:
                answered.release()

    def close(model: pynn.Model, answered: threading.Semaphore) -> str:
        for _ in range(8):
            assert answered.acquire(timeout=MINUTE)
        model.close()
        return "closed"

    for _ in range(2 * TIMES):
        both = build(90), threading.Semaphore(0)
        works = [lambda k=k, both=both: ask(k, *both) for k in range(4)]
        assert run_all([*works, lambda both=both: close(*both)]) == ["closed"] * 5
