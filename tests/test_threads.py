"""Threads: the number of C's changes no bit, and Python's may share a model."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pynn
from pynn._native import cores
from pynn._native.threads import set_default_num_threads

MINUTE = 60  # no test waits longer for what should come at once

pytestmark = pytest.mark.usefixtures("threads_as_before")


def build(activation: str, widths: tuple[int, ...], seed: int = 1) -> pynn.Model:
    """A network with the activation after each dense layer but the last."""
    chain = pynn.Builder().input(widths[0])
    for width in widths[1:-1]:
        chain = getattr(chain.dense(width), activation)()
    return chain.dense(widths[-1]).softmax_cross_entropy().build(seed=seed)


def flat(model: pynn.Model) -> npt.NDArray[np.float32]:
    """A copy of all parameters of a model."""
    return np.concatenate([array.ravel() for array in model.parameters.values()])


# ------------------------------------------------------------ threads of C

# Widths, a batch size, and the share of zeros in the data, which are skipped where there are many.
# Work is cut by shape: these make one task and many, with whole and with odd pieces at the end.
SHAPES = {
    "tiny": ((3, 2), 1, 0.0),
    "odd": ((33, 65, 7), 31, 0.0),
    "one row more than a block": ((50, 129, 17, 10), 33, 0.0),
    "many tiles": ((785, 257, 63, 10), 127, 0.0),
    "powers of two": ((512, 256, 16), 128, 0.0),
    "one large batch": ((65, 130, 3), 601, 0.0),
    "mostly zeros": ((785, 129, 10), 127, 0.8),
    "mostly zeros, a large batch": ((785, 65, 10), 601, 0.9),
    "mostly zeros, tiny": ((9, 3), 5, 0.9),
}


def trained(threads: int, activation: str, shape: str) -> tuple[Any, ...]:
    """All that can be seen of a training with so many threads; == compares it bit for bit."""
    pynn.set_num_threads(threads)
    assert pynn.get_num_threads() == threads
    widths, batch_size, zeros = SHAPES[shape]
    rng = np.random.default_rng(9)
    x = rng.integers(0, 256, (601, widths[0]), np.uint8)
    x[rng.random(x.shape) < zeros] = 0
    y = rng.integers(0, widths[-1], 601)
    model = build(activation, widths)
    history = model.fit(x, y, epochs=2, batch_size=batch_size, validation=(x, y))
    figures = (history.loss, history.accuracy, history.val_loss, history.val_accuracy)
    assert np.isfinite(flat(model)).all()
    return figures, flat(model).tobytes(), model.predict_proba(x).tobytes(), model(x).tobytes()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_number_of_threads_changes_no_bit(activation: str, shape: str) -> None:
    """Parameters, losses and outputs are the same with 1, 2, 3, 4 and 9 threads."""
    expected = trained(1, activation, shape)
    for threads in (2, 3, 4, 9):
        assert trained(threads, activation, shape) == expected, threads


def test_number_of_threads_may_change_during_training() -> None:
    """A callback that sets another number changes no bit either."""
    x = np.random.default_rng(9).integers(0, 256, (600, 300), np.uint8)
    y = x[:, 0] % 3
    models = [build("relu", (300, 200, 3)) for _ in range(2)]
    models[0].fit(x, y, epochs=4, batch_size=100)
    models[1].fit(
        x, y, epochs=4, batch_size=100, on_progress=lambda p: pynn.set_num_threads(p.step % 4 + 1)
    )
    assert flat(models[0]).tobytes() == flat(models[1]).tobytes()


@pytest.mark.parametrize(
    ("threads", "error"),
    [
        (0, pynn.ArgumentError),
        (-1, pynn.ArgumentError),
        (1025, pynn.ArgumentError),
        (2.0, pynn.ArgumentTypeError),
        (True, pynn.ArgumentTypeError),
        ("2", pynn.ArgumentTypeError),
        (None, pynn.ArgumentTypeError),
    ],
)
def test_wrong_number_of_threads_is_refused(threads: Any, error: type[Exception]) -> None:
    """The error says what was given, and the number stays."""
    before = pynn.get_num_threads()
    with pytest.raises(error, match="threads must be"):
        pynn.set_num_threads(threads)
    assert pynn.get_num_threads() == before


@pytest.mark.parametrize("threads", [1, 1024, np.int32(3)])
def test_number_of_threads_can_be_set(threads: Any) -> None:
    """From one to the most that there may be."""
    pynn.set_num_threads(threads)
    assert pynn.get_num_threads() == threads


def run_python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own, away from the sources."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYNN_NUM_THREADS"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=MINUTE,
    )


@pytest.mark.parametrize(("value", "threads"), [("3", "3"), (" 1\n", "1"), ("1024", "1024")])
def test_environment_sets_the_number(value: str, threads: str, tmp_path: Path) -> None:
    """PYNN_NUM_THREADS counts where it is set."""
    code = "import pynn; print(pynn.get_num_threads())"
    result = run_python(code, tmp_path, PYNN_NUM_THREADS=value)
    assert (result.stdout.strip(), result.stderr) == (threads, "")


@pytest.mark.parametrize("value", ["0", "1025", "1.5", "all"])
def test_wrong_environment_is_an_error(value: str, tmp_path: Path) -> None:
    """A PYNN_NUM_THREADS that is no number of threads stops the import, and says so."""
    result = run_python("import pynn", tmp_path, PYNN_NUM_THREADS=value)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith(
        "the environment variable PYNN_NUM_THREADS must be a number from 1 to 1024,"
        f" but is {value!r}; correct it or unset it"
    )


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="cannot be told which cores to use"
)
@pytest.mark.parametrize("environment", [{}, {"PYNN_NUM_THREADS": ""}])
def test_default_is_the_cores_that_may_be_used(environment: dict[str, str], tmp_path: Path) -> None:
    """Not those that the machine has: a container may have been given fewer."""
    code = """if True:
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import pynn
        print(pynn.get_num_threads())
    """
    assert run_python(code, tmp_path, **environment).stdout == "1\n"


@pytest.mark.parametrize(("counted", "threads"), [(7, 7), (None, 1), (5000, 1024)])
def test_default_is_all_cores_where_nobody_says_which_may_be_used(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, threads: int
) -> None:
    """As on macOS; one where the cores cannot be counted either, and never more than can be set."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("PYNN_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    monkeypatch.setattr(cores, "quota", lambda root: None)
    set_default_num_threads()
    assert pynn.get_num_threads() == threads


# ------------------------------------------------------------ threads of Python


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """The results of functions that begin at the same time, each in a thread of its own."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        start.wait(MINUTE)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(MINUTE) for future in [pool.submit(run, work) for work in works]]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_may_share_a_model(threads: int) -> None:
    """Four threads that predict with one model, each on its own data, each get their answers."""
    pynn.set_num_threads(threads)
    model = build("relu", (60, 90, 5))
    rng = np.random.default_rng(4)
    sets = [rng.normal(size=(n, 60)).astype(np.float32) for n in (1, 100, 257, 700)]
    expected = [model(x) for x in sets]

    def ask(k: int) -> Callable[[], int]:
        return lambda: sum(np.array_equal(model(sets[k]), expected[k]) for _ in range(50))

    model = build("relu", (60, 90, 5))  # without a workspace yet
    assert in_threads(*map(ask, range(4))) == [50] * 4


def test_threads_may_train_models_of_their_own() -> None:
    """Models that train at the same time share the threads of C, and not their results."""
    pynn.set_num_threads(3)
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 256, (400, 200), np.uint8), rng.integers(0, 5, 400)

    def train(seed: int) -> bytes:
        model = build("tanh", (200, 150, 5), seed)
        model.fit(x, y, epochs=5, batch_size=100)
        return flat(model).tobytes()

    expected = [train(seed) for seed in range(3)]
    assert in_threads(*(lambda seed=seed: train(seed) for seed in range(3))) == expected


def test_two_fits_of_one_model_take_turns() -> None:
    """The second waits for the first; together they are one long fit."""
    x = np.random.default_rng(4).integers(0, 256, (300, 20), np.uint8)
    y = x[:, 0] % 3
    model, other = build("relu", (20, 30, 3)), build("relu", (20, 30, 3))
    runs: list[int] = []

    def on_epoch(_: object) -> None:
        runs.append(threading.get_ident())
        time.sleep(0.002)  # the other would go on here, if it could

    def train() -> None:
        model.fit(x, y, epochs=5, batch_size=10, on_epoch=on_epoch)

    in_threads(train, train)
    other.fit(x, y, epochs=10, batch_size=10)
    assert flat(model).tobytes() == flat(other).tobytes()
    assert len(set(runs[:5])) == len(set(runs[5:])) == 1
    assert runs[0] != runs[5]


def test_model_may_be_used_while_it_trains() -> None:
    """Another thread predicts between the steps, and disturbs nothing."""
    x = np.random.default_rng(4).integers(0, 256, (300, 20), np.uint8)
    y = x[:, 0] % 3
    model, other = build("relu", (20, 30, 3)), build("relu", (20, 30, 3))
    trained = threading.Event()

    def train() -> None:
        try:
            model.fit(x, y, epochs=30, batch_size=10)
        finally:
            trained.set()

    def ask() -> int:
        count = 0
        while not trained.is_set():
            assert np.isfinite(model.predict_proba(x)).all()
            count += 1
        return count

    in_threads(train, ask, ask)
    other.fit(x, y, epochs=30, batch_size=10)
    assert flat(model).tobytes() == flat(other).tobytes()


@pytest.mark.filterwarnings("ignore::pynn.TrainingWarning")
def test_closing_under_a_running_fit_ends_it() -> None:
    """close() from another thread waits for the step that runs; fit's next step raises."""
    x, y = np.zeros((300, 20), np.uint8), np.zeros(300, int)
    model = build("relu", (20, 30, 3))
    running, closed = threading.Event(), threading.Event()

    def on_progress(_: pynn.Progress) -> None:
        running.set()
        assert closed.wait(MINUTE)

    def train() -> None:
        with pytest.raises(pynn.ClosedError):
            model.fit(x, y, epochs=9, batch_size=10, on_progress=on_progress)

    def close() -> None:
        assert running.wait(MINUTE)
        model.close()
        closed.set()

    in_threads(train, close)
    assert repr(model).endswith("; closed)")


# ------------------------------------------------------------ processes

FORK = """if True:
    import os, signal, sys, threading, warnings
    import numpy as np, pynn

    warnings.simplefilter("ignore", DeprecationWarning)  # of forking where threads are

    x = np.random.default_rng(4).integers(0, 256, (400, 200), np.uint8)
    y = x[:, 0] % 5

    def train(epochs=3):
        chain = pynn.Builder().input(200).dense(150).relu().dense(5).softmax_cross_entropy()
        model = chain.build(seed=2)
        model.fit(x, y, epochs=epochs, batch_size=100)
        return model

    def check():
        assert pynn.get_num_threads() == 3
        assert train()(x).tobytes() == expected
        pynn.set_num_threads(2)
        assert train()(x).tobytes() == expected
        pynn.set_num_threads(3)

    def child(work):
        process = os.fork()
        if process == 0:
            signal.alarm(20)  # ends it if it hangs
            try:
                work()
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    pynn.set_num_threads(3)
    model = train()
    expected = model(x).tobytes()
"""


def run_fork(code: str, folder: Path) -> None:
    """Run a program that begins as FORK does and must come to its end."""
    result = run_python(FORK + "\n".join(f"    {line}" for line in code.splitlines()), folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_forked_child_works(tmp_path: Path) -> None:
    """A child has threads of its own, uses its parent's model, and leaves the parent's alone."""
    code = """
def use():
    assert model(x).tobytes() == expected
    check()
    assert child(check) == 0  # a grandchild
assert child(use) == 0
check()
print("done")
"""
    run_fork(code, tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_fork_during_training_gives_a_child_that_works(tmp_path: Path) -> None:
    """Whatever C's threads are doing for another thread, a child trains models of its own."""
    code = """
busy = threading.Thread(target=train, args=(10**9,), daemon=True)
busy.start()
for _ in range(10):
    assert child(check) == 0
print("done", flush=True)
os._exit(0)
"""
    run_fork(code, tmp_path)
