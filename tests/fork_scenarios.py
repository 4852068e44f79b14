"""Forks while a model is used: python fork_scenarios.py SCENARIO FOLDER, for test_processes.py."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from threaded_models import MINUTE, X, Y, build, fit, flat

import pynn
from pynn._base import forks
from pynn._native.workspace import Workspace

# What a child does with its parent's model; the model need not be the same afterwards.
USES: dict[str, Callable[[pynn.Model, Path], Any]] = {
    "predict": lambda model, _: model.predict(X),
    "evaluate": lambda model, _: model.evaluate(X, Y),
    "fit": lambda model, _: fit(model, 1),
    "save": lambda model, folder: model.save(folder / "child"),
    "load": lambda _, folder: pynn.load(folder / "saved").predict(X),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)).predict(X),
    "deepcopy": lambda model, _: copy.deepcopy(model).predict(X),
    "parameters": lambda model, _: flat(model),
    "repr": lambda model, _: repr(model),
    "close": lambda model, _: model.close(),
    "threads": lambda model, _: (pynn.set_num_threads(2), model.predict(X)),
}


def in_child(work: Callable[[], object]) -> int:
    """The exit status of a forked child that does some work: 0 if it ends well, -14 if it hangs."""
    process = os.fork()
    if process == 0:
        signal.alarm(30)
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def check_uses(model: pynn.Model, folder: Path) -> None:
    """Each use of the model works in a child."""
    for name, use in USES.items():
        assert in_child(lambda use=use: use(model, folder)) == 0, name


def trained(folder: Path) -> pynn.Model:
    """A model that has used C's threads, and its file."""
    pynn.set_num_threads(3)
    model = build(90)
    fit(model)
    model.save(folder / "saved")
    return model


def fork_when_idle(folder: Path) -> None:
    """Nobody uses the model during the fork. Its predictions are the same in the child."""
    model = trained(folder)
    expected = model(X).tobytes()

    def compare() -> None:
        assert model(X).tobytes() == expected

    assert in_child(compare) == 0
    check_uses(model, folder)
    compare()


def fork_while_it_trains(folder: Path) -> None:
    """Another thread is in the middle of a step, with the model's locks."""
    model = trained(folder)
    running = threading.Event()
    training = threading.Thread(
        target=fit,
        args=(model, 10**9),
        kwargs={"on_progress": lambda _: running.set()},
        daemon=True,
    )
    training.start()
    assert running.wait(MINUTE)
    for _ in range(3):
        check_uses(model, folder)
    assert training.is_alive()


def check_free(*models: pynn.Model) -> None:
    """Another thread can use them at once: the fork has given back what it took."""
    for model in models:
        user = threading.Thread(target=model.predict, args=(X,), daemon=True)
        user.start()
        user.join(MINUTE)
        assert not user.is_alive()


def others_can_take(lock: Any) -> bool:
    """Whether another thread gets a lock; it keeps it."""
    with ThreadPoolExecutor(1) as pool:
        return bool(pool.submit(lock.acquire, blocking=False).result(MINUTE))


def fork_in_the_middle_of_a_call(folder: Path) -> None:
    """The fork waits until C is done: in BLAS a thread has locks that no child could give back.

    The call lasts so long that a fork that does not wait comes in the middle of it.
    """
    model, working, begun = trained(folder), [], threading.Event()
    predict = Workspace.predict

    def slow(self: Any, *args: Any, **options: Any) -> None:
        working.append(self)
        begun.set()
        time.sleep(0.2)
        predict(self, *args, **options)
        working.clear()

    def look() -> None:
        assert not working
        model.evaluate(X, Y)

    Workspace.predict = slow  # type: ignore[method-assign]
    other = threading.Thread(target=model.predict, args=(X,))
    other.start()
    assert begun.wait(MINUTE)
    assert in_child(look) == 0
    other.join(MINUTE)
    Workspace.predict = predict  # type: ignore[method-assign]
    check_free(model)


def fork_while_a_lock_is_held(folder: Path) -> None:
    """A fork does not wait for ever, and in the child the lock is a new one."""
    model, other = trained(folder), build(5)
    forks.PATIENCE = 0.05
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with model._engine.lock:
            held.set()
            assert go_on.wait(10 * MINUTE)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert held.wait(MINUTE)
    check_uses(model, folder)
    check_free(other)
    go_on.set()
    holder.join(MINUTE)
    check_free(model, other)


def fork_within_a_call(folder: Path) -> None:
    """A handler of a signal forks behind a call of C, where its own thread holds the lock.

    It holds it in the child as well, where the call goes on.
    """
    model = trained(folder)

    def check() -> None:
        assert not others_can_take(model._engine.lock)

    evaluate = Workspace.evaluate

    def forking(self: Any, *args: Any) -> Any:
        sums = evaluate(self, *args)
        Workspace.evaluate = evaluate  # type: ignore[method-assign]
        check_uses(model, folder)
        assert in_child(check) == 0
        return sums

    expected = model.evaluate(X, Y)
    Workspace.evaluate = forking  # type: ignore[method-assign]
    assert model.evaluate(X, Y) == expected
    check_free(model)


def fork_while_it_is_saved(folder: Path) -> None:
    """Another thread waits for the disk, for as long as the children live; nobody waits for it."""
    model = trained(folder)
    flushing, go_on = threading.Event(), threading.Event()
    flush = os.fsync

    def wait(_: int) -> None:
        flushing.set()
        assert go_on.wait(10 * MINUTE)

    os.fsync = wait
    saving = threading.Thread(target=model.save, args=(folder / "slow",), daemon=True)
    saving.start()
    assert flushing.wait(MINUTE)
    os.fsync = flush
    check_free(model)
    check_uses(model, folder)
    go_on.set()
    saving.join(MINUTE)
    assert (folder / "slow").read_bytes() == (folder / "saved").read_bytes()


def fork_while_a_callback_runs(folder: Path) -> None:
    """Another thread holds the lock that lets one fit run, for as long as the children live."""
    model = trained(folder)
    called, go_on = threading.Event(), threading.Event()

    def wait(_: object) -> None:
        called.set()
        assert go_on.wait(10 * MINUTE)

    training = threading.Thread(target=fit, args=(model, 1), kwargs={"on_epoch": wait}, daemon=True)
    training.start()
    assert called.wait(MINUTE)
    check_uses(model, folder)
    go_on.set()
    training.join(MINUTE)
    assert model.epochs_trained == 3


def fork_in_a_callback(folder: Path) -> None:
    """The thread that trains forks: parent and child both finish the fit, with the same bytes."""
    model = trained(folder)
    expected = copy.deepcopy(model)
    fit(expected, 4)
    processes: list[int] = []

    def on_epoch(result: pynn.EpochResult) -> None:
        if not processes:
            processes.append(os.fork())
            if processes == [0]:
                signal.alarm(30)

    status = 1
    try:
        fit(model, 4, on_epoch=on_epoch)
        assert flat(model) == flat(expected)
        fit(model, 1)
        status = 0
    finally:
        if processes == [0]:
            os._exit(status)
    assert os.waitpid(processes[0], 0)[1] == 0


def fork_in_a_callback_and_train_there(folder: Path) -> None:
    """The fit is under way in the child as well: nobody else trains the model before its end."""
    model = trained(folder)
    statuses: list[int] = []

    def check() -> None:
        with pytest.raises(pynn.PynnError, match="called from a callback of the same model's fit"):
            fit(model, 1)
        assert not others_can_take(model._engine.fit_lock)

    def on_epoch(_: pynn.EpochResult) -> None:
        statuses.append(in_child(check))
        check()

    fit(model, 2, on_epoch=on_epoch)
    assert statuses == [0, 0]
    fit(model, 1)


def fork_beneath_a_wait(folder: Path) -> None:
    """A signal handler forks while its thread waits for a model: the child gets it, too."""
    model = trained(folder)
    expected = model(X).tobytes()
    held, handled = threading.Event(), threading.Event()
    children: list[int] = []

    def hold() -> None:
        with model._engine.lock:
            held.set()
            time.sleep(0.05)  # so that the other thread waits; else this shows nothing
            os.kill(os.getpid(), signal.SIGUSR1)
            assert handled.wait(MINUTE)
            time.sleep(0.05)

    def handle(*_: object) -> None:
        handled.set()
        children.append(os.fork())
        if children == [0]:
            signal.alarm(30)

    signal.signal(signal.SIGUSR1, handle)
    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(MINUTE)
    answer = model(X).tobytes()
    if children == [0]:
        os._exit(int(answer != expected))
    holder.join(MINUTE)
    assert answer == expected
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    check_free(model)


class SlowModels(weakref.WeakValueDictionary[int, Any]):
    """Holds the thread with the name "slow" while it adds a model."""

    adding, go_on = threading.Event(), threading.Event()

    def __setitem__(self, key: int, model: Any) -> None:
        if threading.current_thread().name == "slow":
            self.adding.set()
            assert self.go_on.wait(10 * MINUTE)
        super().__setitem__(key, model)


def fork_while_a_model_is_made(folder: Path) -> None:
    """Another thread is about to tell forks of its model: in the child models can be made."""
    model = trained(folder)
    forks.PATIENCE = 0.05
    forks._owners = SlowModels(forks._owners)
    making = threading.Thread(target=build, args=(5,), name="slow", daemon=True)
    making.start()
    assert SlowModels.adding.wait(MINUTE)
    check_uses(model, folder)
    assert in_child(lambda: fit(build(5))) == 0
    SlowModels.go_on.set()
    making.join(MINUTE)
    check_free(model)


def train_and_predict(model: pynn.Model) -> tuple[bytes, bytes]:
    """Parameters and probabilities after an epoch more: a task for another process."""
    fit(model, 1)
    return flat(model), model.predict_proba(X).tobytes()


def send(method: str, folder: Path) -> None:
    """Worker processes get a model of the parent's, and come to what the parent comes to."""
    model = trained(folder)
    before = flat(model)
    with multiprocessing.get_context(method).Pool(2) as pool:
        answers = pool.map(train_and_predict, [model] * 4)
    assert flat(model) == before
    assert answers == [train_and_predict(model)] * 4


INHERITED: list[pynn.Model] = []


def train_inherited(_: int) -> tuple[bytes, bytes]:
    """The same with the model that the worker was forked with."""
    return train_and_predict(copy.deepcopy(INHERITED[0]))


def inherit(folder: Path) -> None:
    """Workers that are forked use the parent's model without its being sent."""
    INHERITED.append(trained(folder))
    expected = train_inherited(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(train_inherited, range(4)) == [expected] * 4
    assert train_inherited(0) == expected


SCENARIOS: dict[str, Callable[[Path], None]] = {
    "fork when idle": fork_when_idle,
    "fork while it trains": fork_while_it_trains,
    "fork in the middle of a call": fork_in_the_middle_of_a_call,
    "fork while a lock is held": fork_while_a_lock_is_held,
    "fork within a call": fork_within_a_call,
    "fork while it is saved": fork_while_it_is_saved,
    "fork while a callback runs": fork_while_a_callback_runs,
    "fork in a callback": fork_in_a_callback,
    "fork in a callback, and train there": fork_in_a_callback_and_train_there,
    "fork beneath a wait": fork_beneath_a_wait,
    "fork while a model is made": fork_while_a_model_is_made,
    "inherit": inherit,
    "send by fork": lambda folder: send("fork", folder),
}

if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2])
    if name == "spawn":
        send(name, folder)
    else:
        SCENARIOS[name](folder)
    print("done", flush=True)
    os._exit(0)  # a thread may be training
