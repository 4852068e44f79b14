"""The C library gets no memory: each of its requests is refused, one after the other, in all uses.

All its memory comes through one allocator, and here that is a ledger which refuses what it is told
to. What NumPy and Python take for themselves (parameters, copies, results) does not pass through it
and is not refused here.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import itertools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boundary import make_network

import pynn
from pynn._native import library, threads
from pynn._native.library import ffi, lib
from pynn._native.state import State
from pynn._native.workspace import Workspace

# 100 rows in batches of 40: several tasks a step, for the team's threads; a smaller one at the end.
X = np.random.default_rng(5).integers(0, 256, (100, 20), np.uint8)
Y = X[:, 0].astype(np.int32) % 3

REFUSALS = {"once": 1, "from then on": 10**9}


class Ledger:
    """An allocator for the C library that counts requests, refuses some, and knows what is held."""

    def __init__(self) -> None:
        self.held: dict[int, Any] = {}
        self.wrong_releases: list[int | None] = []
        self.refuse(range(0))
        # Kept here, as ctypes does not.
        self._functions = (
            ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(self._allocate),
            ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(self._release),
        )
        allocate, release = (
            ctypes.cast(function, ctypes.c_void_p).value for function in self._functions
        )
        self.pointer = ffi.new(
            "pynn_allocator *",
            (
                ffi.cast("void *(*)(void *, size_t)", allocate),
                ffi.cast("void (*)(void *, void *)", release),
                ffi.NULL,
            ),
        )

    def refuse(self, numbers: range) -> None:
        """Refuse the requests with these numbers, counted from now."""
        self.requests = 0
        self.refused = numbers

    def _allocate(self, context: int | None, nbytes: int) -> int | None:
        request = self.requests
        self.requests += 1
        if request in self.refused:
            return None
        memory = ctypes.create_string_buffer(nbytes)
        address = ctypes.addressof(memory)
        self.held[address] = memory
        return address

    def _release(self, context: int | None, address: int | None) -> None:
        if address in self.held:
            del self.held[address]
        else:
            self.wrong_releases.append(address)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Takes the place of malloc(), also for a team of threads that is this test's own."""
    ledger = Ledger()
    monkeypatch.setattr(library, "allocator", ledger.pointer)
    team = threads.create_team(1)
    monkeypatch.setattr(threads, "team", team)
    yield ledger
    gc.collect()
    lib.pynn_team_destroy(team)
    assert not ledger.held, "some memory was not released"
    assert not ledger.wrong_releases


def new_model() -> pynn.Model:
    """The same model each time."""
    chain = pynn.Builder().input(20).dense(33).tanh().dense(3)
    return chain.softmax_cross_entropy().build(seed=3)


def flat(model: pynn.Model) -> bytes:
    """All parameters, bit for bit."""
    return b"".join(view.tobytes() for view in model.parameters.values())


def fitted(model: pynn.Model, **options: Any) -> bytes:
    """The parameters after two epochs."""
    model.fit(X, Y, epochs=2, batch_size=40, **options)
    return flat(model)


def explained(model: pynn.Model) -> bytes:
    """The values and gradients of a step, and the parameters after it was applied."""
    step = model.explain(X[:40], Y[:40], optimizer=pynn.Adam())
    values = [array for block in step.forward.values() for array in block.values()]
    step.apply()
    return b"".join(a.tobytes() for a in (*values, *step.gradients.values())) + flat(model)


USES: dict[str, Callable[[pynn.Model, Path], bytes]] = {
    "build": lambda model, path: flat(new_model()),
    "fit": lambda model, path: fitted(model),
    "predict": lambda model, path: model.predict(X).tobytes(),
    "predict_proba": lambda model, path: model.predict_proba(X).tobytes(),
    "call": lambda model, path: model(X).tobytes(),
    "evaluate": lambda model, path: repr(tuple(model.evaluate(X, Y))).encode(),
    "load": lambda model, path: flat(pynn.load(path)),
    "resume": lambda model, path: flat(pynn.Model.resume(path)),
    "resume and fit": lambda model, path: fitted(pynn.Model.resume(path)),
    "explain and apply": lambda model, path: explained(model),
    "deepcopy": lambda model, path: flat(copy.deepcopy(model)),
    "pickle": lambda model, path: flat(pickle.loads(pickle.dumps(model))),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, kept when it was interrupted after a step."""
    path = tmp_path_factory.mktemp("faults") / "checkpoint"

    def stop(progress: pynn.Progress) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted(new_model(), checkpoint=path, on_progress=stop)
    return path


@pytest.mark.parametrize("refusals", REFUSALS)
@pytest.mark.parametrize("use", USES)
def test_refused_request(ledger: Ledger, checkpoint: Path, use: str, refusals: str) -> None:
    """Whichever is refused, the call raises or is right; then it is right; and nothing leaks."""
    expected = USES[use](new_model(), checkpoint)
    expected_of_one = new_model()(X[:1])
    failures = 0
    for first in itertools.count():
        pynn.set_num_threads(3)  # new threads, the memory for which can be refused, too
        model = new_model()
        model(X[:1])  # leaves a small workspace, which has to be replaced
        ledger.refuse(range(first, first + REFUSALS[refusals]))
        try:
            assert USES[use](model, checkpoint) == expected
        except pynn.OutOfMemoryError:
            failures += 1
            ledger.refuse(range(0))
            assert (model(X[:1]) == expected_of_one).all()  # for which the old one was enough
            assert USES[use](model, checkpoint) == expected
            reached = True
        else:
            reached = ledger.requests > first
            ledger.refuse(range(0))
        del model
        gc.collect()
        pynn.set_num_threads(1)
        assert len(ledger.held) == 1, f"request {first}: more is held than the team itself"
        if not reached:
            break
    assert failures > 0


def new_convolutional() -> pynn.Model:
    """One whose layers have scratch memory for each row and each block of rows."""
    images: Any = pynn.Builder().input((1, 5, 4)).conv2d(3, 3).batch_norm().relu().max_pool2d(2)
    return images.avg_pool2d(2).conv2d(2, 1).dense(3).softmax_cross_entropy().build(seed=3)


@pytest.mark.parametrize("refusals", REFUSALS)
@pytest.mark.parametrize("use", ["fit", "predict", "evaluate", "deepcopy"])
def test_refused_request_of_images(ledger: Ledger, use: str, refusals: str) -> None:
    """As above: it raises or is right; the next call is right; and nothing leaks."""
    expected = USES[use](new_convolutional(), Path())
    for first in itertools.count():
        pynn.set_num_threads(3)
        model = new_convolutional()
        ledger.refuse(range(first, first + REFUSALS[refusals]))
        reached = True
        try:
            assert USES[use](model, Path()) == expected
            reached = ledger.requests > first
        except pynn.OutOfMemoryError:
            ledger.refuse(range(0))
            assert USES[use](model, Path()) == expected
        ledger.refuse(range(0))
        del model
        gc.collect()
        pynn.set_num_threads(1)
        assert len(ledger.held) == 1, f"request {first}: more is held than the team itself"
        if not reached:
            break
    assert first > 0


@pytest.mark.parametrize("refusals", REFUSALS)
def test_refused_request_during_fit_with_checkpoint(
    ledger: Ledger, tmp_path: Path, refusals: str
) -> None:
    """Resumed from its checkpoint it ends with the bits of a run that got all its memory."""
    options: dict[str, Any] = {"validation": (X, Y), "checkpoint": tmp_path / "checkpoint"}
    expected = fitted(new_model(), **options)
    failures = 0
    for first in itertools.count():
        pynn.set_num_threads(3)
        model = new_model()
        ledger.refuse(range(first, first + REFUSALS[refusals]))
        try:
            assert fitted(model, **options) == expected
            reached = ledger.requests > first
        except pynn.OutOfMemoryError:
            failures += 1
            ledger.refuse(range(0))
            assert fitted(pynn.Model.resume(options["checkpoint"]), **options) == expected
            assert np.isfinite(model.predict_proba(X)).all()
            reached = True
        ledger.refuse(range(0))
        pynn.set_num_threads(1)
        if not reached:
            break
    assert failures > 0


def test_workspace_says_what_it_holds(ledger: Ledger) -> None:
    """Its bytes are those that it asked for, but for what alignment takes of its two blocks."""
    network = make_network(5, [3])
    before = set(ledger.held)
    workspace = Workspace(network, 50)
    asked = sum(len(ledger.held[address]) for address in ledger.held.keys() - before)
    assert asked - 2 * 128 <= workspace.nbytes <= asked
    workspace.close()
    assert ledger.held.keys() == before


def test_workspace_is_complete_before_training(ledger: Ledger) -> None:
    """What validation needs is asked for at the start, and the error names the batch."""
    model = pynn.Builder().input(20).dense(3).softmax_cross_entropy().build()
    seen: list[int] = []
    ledger.refuse(range(1))
    with pytest.raises(pynn.OutOfMemoryError, match=r"^out of memory for a batch of 100$"):
        model.fit(X, Y, epochs=1, batch_size=40, validation=(X, Y))
    ledger.refuse(range(0))
    model.fit(
        X,
        Y,
        epochs=2,
        batch_size=40,
        validation=(X, Y),
        on_progress=lambda _: seen.append(ledger.requests),
    )
    assert len(set(seen)) == 1


def test_no_memory_for_moments() -> None:
    """It is an error of ours, and the state is as it was."""
    state = State(0, 5)
    with pytest.raises(pynn.OutOfMemoryError, match="for the optimizer's"):
        state.prepare("adam", 3, 2**60)
    assert (state.step, state.kind, state.moments) == (5, None, [])


def test_refused_team(ledger: Ledger) -> None:
    """A team that there is no memory for is a MemoryError, too."""
    ledger.refuse(range(1))
    with pytest.raises(MemoryError, match="out of memory"):
        threads.create_team(2)
    assert len(ledger.held) == 1
