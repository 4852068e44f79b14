"""Threads that meet wherever they can: they must lose nothing and see no half-done step.

With Python's global lock, threads change places only between two instructions of Python, and as
often as `sys.setswitchinterval` lets them. A free-threaded Python runs these tests, too; there they
find more.
"""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from threaded_models import MINUTE, X, Y, build, flat

import pynn
from pynn._base import forks

pytestmark = pytest.mark.usefixtures("threads_as_before", "impatient")

FEW, LABELS = X[:60], Y[:60]
SGD = pynn.SGD(learning_rate=0.01)
TIMES = 6


@pytest.fixture
def impatient() -> Iterator[None]:
    """Let threads change places as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_all(works: list[Callable[[], Any]]) -> list[Any]:
    """The results of functions, each in a thread of its own, all begun before any goes on."""
    line = threading.Barrier(len(works), timeout=MINUTE)
    futures: list[Future[Any]] = [Future() for _ in works]

    def run(work: Callable[[], Any], future: Future[Any]) -> None:
        try:
            line.wait()
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    for each in zip(works, futures, strict=True):
        # No thread that waits for ever keeps the tests from ending.
        threading.Thread(target=run, args=each, daemon=True).start()
    return [future.result(MINUTE) for future in futures]


# ------------------------------------------------------------ one model


def train(model: pynn.Model) -> None:
    """Two steps, and an epoch."""
    model.fit(FEW, LABELS, epochs=1, batch_size=30, optimizer=SGD)


def path_of_training(calls: int) -> dict[int, tuple[bytes, bytes]]:
    """The parameters and the outputs of a model after each of its steps, by their number."""
    model, path = build(300), {}
    path[0] = flat(model), model(FEW).tobytes()

    def note(_: pynn.Progress) -> None:
        path[model.steps_trained] = flat(model), model(FEW).tobytes()

    for _ in range(calls):
        model.fit(FEW, LABELS, epochs=1, batch_size=30, optimizer=SGD, on_progress=note)
    return path


def test_uses_see_whole_steps(tmp_path: Path) -> None:
    """One thread trains; what three others copy, save, explain or predict is that of some step."""
    model = build(300)
    path = path_of_training(16 * TIMES)
    outputs = {both[1] for both in path.values()}
    trained = threading.Event()

    def teach() -> list[str]:
        try:
            for _ in range(16 * TIMES):
                train(model)
        finally:
            trained.set()
        return []

    def look(what: Callable[[], list[str]]) -> Callable[[], list[str]]:
        def until_trained() -> list[str]:
            wrong = []
            while not trained.is_set():
                wrong += what()
            return wrong + what()

        return until_trained

    def copied() -> list[str]:
        copies = [model.copy(), pickle.loads(pickle.dumps(model))]
        file = tmp_path / "model.safetensors"
        model.save(file)
        copies.append(pynn.load(file))
        return [
            f"{number}: step {it.steps_trained}"
            for number, it in enumerate(copies)
            if flat(it) != path[it.steps_trained][0]
            or it.steps_trained - 2 * it.epochs_trained not in (0, 1, 2)
        ]

    def explained() -> list[str]:
        step = model.explain(FEW, LABELS, optimizer=SGD)
        before = b"".join(it.before.tobytes() for it in step.updates.values())
        return [] if before in {both[0] for both in path.values()} else ["explained"]

    def predicted() -> list[str]:
        pynn.set_num_threads(1 + model.steps_trained % 3)
        return [] if model(FEW).tobytes() in outputs else ["predicted"]

    assert run_all([teach, look(copied), look(predicted), look(explained)]) == [[]] * 4
    assert flat(model) == path[32 * TIMES][0]


def test_no_step_and_no_epoch_is_lost() -> None:
    """Four threads train one model, in any order; it has done all, as one thread would have."""
    alone, model = build(20), build(20)
    for _ in range(4 * TIMES):
        train(alone)
    run_all([lambda: [train(model) for _ in range(TIMES)]] * 4)
    assert (model.epochs_trained, model.steps_trained) == (4 * TIMES, 8 * TIMES)
    assert flat(model) == flat(alone)


def test_no_frozen_layer_is_lost() -> None:
    """Each of four threads freezes a layer of its own, and leaves it frozen."""
    model = build(3, 3, 3)

    def freeze(layer: str) -> None:
        for _ in range(4 * TIMES):
            model.unfreeze(layer)
            model.freeze(layer)

    layers = ("dense1", "dense2", "dense3", "dense4")
    run_all([lambda layer=layer: freeze(layer) for layer in layers])
    assert model.frozen == layers


def test_names_of_classes_are_not_mixed() -> None:
    """Two threads train on labels of other names: one of them is refused, the other trains."""
    for _ in range(TIMES):
        model = build(3)
        names = [[f"{kind}{label}" for label in LABELS] for kind in "ab"]

        def train_on(labels: list[str], model: pynn.Model = model) -> bool:
            try:
                model.partial_fit(FEW, labels)
            except pynn.ArgumentError:
                return False
            return True

        done = run_all([lambda it=it: train_on(it) for it in names])
        assert sum(done) == 1
        assert model.classes == tuple(sorted(set(names[done.index(True)])))


def test_every_use_ends_when_the_model_closes(tmp_path: Path) -> None:
    """A call gives its result or a ClosedError, whatever the model is used for."""

    def until_closed(use: Callable[[], Any]) -> bool:
        try:
            while True:
                use()
        except pynn.ClosedError:
            return True

    for round_ in range(TIMES):
        model = build(20)
        file = tmp_path / f"{round_}.safetensors"
        uses: list[Callable[[], Any]] = [
            lambda model=model: train(model),
            lambda model=model: model.predict(FEW),
            lambda model=model: model.evaluate(FEW, LABELS),
            lambda model=model, file=file: model.save(file),
            lambda model=model: model.explain(FEW, LABELS),
            lambda model=model: model.copy().close(),
        ]
        loops = [lambda use=use: until_closed(use) for use in uses]
        closes = [lambda model=model: model.close() or True] * 2
        assert run_all([*loops, *closes]) == [True] * 8


# ------------------------------------------------------------ many models


def test_models_share_what_describes_them() -> None:
    """Threads build models of one chain, and train them by one optimizer with one schedule."""
    chain = pynn.Builder().input(100).dense(9).relu().dropout(0.2).dense(5).softmax_cross_entropy()
    adam = pynn.Adam(learning_rate=pynn.schedules.Cosine(0.01, steps=10))
    early = pynn.EarlyStopping(patience=9, restore_best=True)

    def made(seed: int) -> bytes:
        model = chain.build(seed=seed)
        model.fit(X, Y, epochs=2, optimizer=adam, validation=0.2, early_stopping=early)
        return flat(model)

    alone = [made(seed) for seed in range(4)]
    for _ in range(2):
        assert run_all([lambda seed=seed: made(seed) for seed in range(4)]) == alone


def test_models_come_and_go_in_all_threads() -> None:
    """The list of those that a fork waits for has them while they live, and no longer."""
    gc.collect()
    before = len(forks._living())

    def come_and_go() -> int:
        listed = 0
        for _ in range(5 * TIMES):
            model = build()
            listed += model._engine in forks._living()
        return listed

    assert run_all([come_and_go] * 4) == [5 * TIMES] * 4
    gc.collect()
    assert len(forks._living()) == before


def test_no_model_is_built_during_a_fork() -> None:
    """A fork has the locks of all models, so another thread must not add one before it is over."""
    build()  # so that nothing is left to import, which waits, too
    begun, built = threading.Event(), threading.Event()

    def make() -> None:
        begun.set()
        build()
        built.set()

    other = threading.Thread(target=make)
    forks._before()
    try:
        other.start()
        assert begun.wait(MINUTE)
        assert not built.wait(0.05)
    finally:
        forks._after_in_parent()
    assert built.wait(MINUTE)
    other.join(MINUTE)


# ------------------------------------------------------------ imports


def test_names_of_modules_need_no_lock() -> None:
    """Python asks for them while it imports a module that has them, whatever other threads do."""
    import pynn.plots

    assert pynn.plots._drawing
    found: list[bool] = []
    other = threading.Thread(target=lambda: found.append(hasattr(pynn, "_no_such_module")))
    with pynn._importing.lock:  # as a third thread has that imports pynn.plots at its first use
        other.start()
        other.join(MINUTE)
        answered = found.copy()
    other.join(MINUTE)
    assert answered == [False]


FIRST_USES = """
import importlib, sys, threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import pynn
sys.setswitchinterval(1e-6)
line = threading.Barrier(4)
x, y = np.eye(6, dtype=np.float32), np.arange(6)

def first(number):
    line.wait(60)
    if number % 2:
        importlib.import_module("pynn.plots")
        pynn.formats.onnx.save
    else:
        pynn.plots, pynn.formats.pytorch.save, pynn.History
    model = pynn.Builder().input(6).dense(6).softmax_cross_entropy().build(seed=1)
    model.fit(x, y, epochs=3)
    model.explain(x, y).check()
    return model.predict_proba(x).tobytes()

with ThreadPoolExecutor(4) as pool:
    results = list(pool.map(first, range(4)))
assert len(set(results)) == 1
"""


def test_first_uses_in_all_threads_at_once(tmp_path: Path) -> None:
    """Four threads use what pynn imports late, before any has; all get the same model."""
    command = [sys.executable, "-W", "error", "-c", FIRST_USES]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, timeout=3 * MINUTE)
    assert (done.returncode, done.stderr.decode()) == (0, "")
