"""The engine of a model: its network, parameters and state, and the locks they are used under.

A model's methods check their arguments and ask the engine; a trainer works on the engine itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from pynn._base import arrays
from pynn._base.arrays import Floats
from pynn._base.errors import ClosedError, PynnError
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.network import Network
from pynn._native.state import State
from pynn._native.workspace import ROWS_AT_A_TIME, RunningSums, Sums
from pynn._network.snapshot import Snapshot
from pynn._network.spec import Spec
from pynn._training import faults, forks
from pynn._training.history import Evaluation
from pynn._training.optimizers import Optimizer
from pynn._training.workspaces import Workspaces

if TYPE_CHECKING:
    from pynn._training.run import Run

Copied = TypeVar("Copied")


class Engine:
    """A network with its parameters, and what goes from one step of training to the next.

    Args:
        spec: The chain of layers.
        network: The same, as the C library has it.
        parameters: Shape (parameter_count,); from now on the engine's.
        seed: It decides the order of examples, and dropout.
        epochs_trained: Epochs that the parameters were trained for before.
        steps_trained: Steps, likewise.
    """

    def __init__(
        self,
        spec: Spec,
        network: Network,
        parameters: Floats,
        seed: int,
        epochs_trained: int = 0,
        steps_trained: int = 0,
    ) -> None:
        self.spec = spec
        self.workspaces: Workspaces | None = Workspaces(network)  # None once it is closed
        self.parameters = parameters
        self.seed = seed
        self.epochs_trained = epochs_trained
        self.state = State(seed, steps_trained)
        self.lock = threading.RLock()  # held for one call of C at a time
        self.fit_lock = threading.RLock()  # held by the one call that trains
        self.training_call = "fit"  # which one that is, where the lock is held
        self.resumed: tuple[Run, str] | None = None  # what the next `fit` goes on with
        forks.register(self)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Engine:
        """The engine of what a file holds, without the run of a checkpoint."""
        spec, parameters, seed, epochs_trained, steps_trained = snapshot[:5]
        return cls(spec, Network(spec), parameters, seed, epochs_trained, steps_trained)

    def forget_threads(self) -> None:
        """After a fork: what other threads held when it happened, nobody will give back.

        What this thread holds it gives back itself: it forked in the middle of a call.
        """
        if not _is_held(self.lock):
            self.lock = threading.RLock()
        if not _is_held(self.fit_lock):
            self.fit_lock = threading.RLock()

    def open(self) -> Workspaces:
        """The network and its workspaces; a call keeps them while it uses them.

        Raises:
            ClosedError: The model is closed.
        """
        workspaces = self.workspaces  # once: a signal handler may close the model at any time
        if workspaces is None:
            raise ClosedError("the model is closed; build it or load it anew")
        return workspaces

    def close(self) -> None:
        """Free the network and its workspace now; see `Model.close`."""
        with self.lock:
            workspaces, self.workspaces = self.workspaces, None
            if workspaces is not None:
                workspaces.close()

    def at_one_moment(self, copy: Callable[[], Copied]) -> Copied:
        """What a function copies of the model, all of it between the same two steps of training.

        Other threads train before or after, because of the lock. A signal handler of this thread
        may train in the middle: then the copy is made again.
        """
        with self.lock:
            while True:
                state = self.state
                before = state.step, self.epochs_trained
                copied = copy()
                if self.state is state and (state.step, self.epochs_trained) == before:
                    return copied

    def snapshot(self, run: Run | None = None) -> Snapshot:
        """A copy of the model as it is now, and of where its run stands; it may be in training.

        Raises:
            ClosedError: The model is closed.
        """

        def copy() -> Snapshot:
            self.open()
            state = self.state
            snapshot = Snapshot(
                self.spec, self.parameters.copy(), self.seed, self.epochs_trained, state.step
            )
            if run is None:
                return snapshot
            entry, arrays = run.keep(state)
            return snapshot._replace(epochs_trained=run.epochs_trained, run=entry, arrays=arrays)

        return self.at_one_moment(copy)

    def set_parameters(self, parameters: Floats) -> None:
        """Take the values of an array of the same shape."""
        with self.lock:
            self.parameters[...] = parameters

    # ------------------------------------------------------------ train

    def lock_of_only_fit(self, call: str) -> threading.RLock:
        """The lock that a call which trains has to hold; the call itself takes it.

        For between the instructions of a context manager in Python an exception of a signal handler
        could leave it locked, but not between those of the lock's own.

        Raises:
            PynnError: This thread trains the model already.
        """
        if _is_held(self.fit_lock):
            raise PynnError(
                f"{call} was called from a callback of the same model's {self.training_call}, or"
                " from a signal handler that interrupted it; call it when that has ended"
            )
        return self.fit_lock

    def reserve(self, batch: int) -> None:
        """Have a workspace for so many rows.

        Raises:
            OutOfMemoryError: There is no memory for it.
            ClosedError: The model is closed.
        """
        with self.lock:
            workspaces = self.open()
            workspaces.give_back(workspaces.take(batch))

    def train(
        self,
        data: Data,
        order: npt.NDArray[np.uint32] | None,
        batch_size: int,
        first: int,
        last: int,
        optimizer: Optimizer,
        sums: RunningSums,
    ) -> None:
        """Steps first <= s < last of an epoch, of the rows in `order` or of all as they are.

        Raises:
            NotFinite: A loss, a feature, a parameter or a moment is not finite.
            OutOfMemoryError: There is no memory for a batch of this size.
            ClosedError: The model is closed.
        """
        before = self.state.step
        update = optimizer._update(before, before + last - first)
        with self.lock:
            workspaces = self.open()
            workspace = workspaces.take(batch_size)
            parameters, state = self.parameters, self.state
            try:
                workspace.train(
                    data, order, batch_size, first, last, update, state, parameters, sums
                )
            finally:
                workspaces.give_back(workspace)

    # ------------------------------------------------------------ use

    def evaluate(self, data: Data) -> Evaluation:
        """Mean loss and accuracy over examples.

        Raises:
            NotFinite: The loss is not finite.
            ClosedError: The model is closed.
        """
        sums = Sums()
        for first, last in paced(0, data.rows, ROWS_AT_A_TIME):
            with self.lock:
                workspaces = self.open()
                workspace = workspaces.take(min(data.rows, ROWS_AT_A_TIME))
                try:
                    sums = workspace.evaluate(data, first, last, self.parameters, sums)
                finally:
                    workspaces.give_back(workspace)
        return Evaluation(*sums.mean(self.spec.decisions))

    def predict(self, features: object, *, probabilities: bool) -> Floats:
        """The outputs for some examples, or their probabilities; errors are those of `Model`."""
        # open() is called where there is an error alone: it would show where there is one row.
        workspaces = self.workspaces or self.open()
        network = workspaces.network
        data = Data(arrays.features("features", features, network.inputs))
        out = np.empty((data.rows, network.outputs), np.float32)
        try:
            for first, last in paced(0, data.rows, ROWS_AT_A_TIME):
                with self.lock:
                    if self.workspaces is None:
                        self.open()
                    workspace = workspaces.take(min(data.rows, ROWS_AT_A_TIME))
                    try:
                        workspace.predict(
                            data,
                            first,
                            last,
                            self.parameters,
                            out[first:last],
                            probabilities=probabilities,
                        )
                    finally:
                        workspaces.give_back(workspace)
        except NotFinite:
            raise faults.explain_use("an output", data) from None
        return out


def _is_held(lock: threading.RLock) -> bool:
    """Whether this thread holds the lock, which a mark of ours would only say a bit too late."""
    held: bool = lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition asks
    return held


def paced(
    first: int, total: int, grain: int = 1, seconds: float = 0.05
) -> Iterator[tuple[int, int]]:
    """Cut range(first, total) into runs (first, last) that take about `seconds` each.

    Between runs Python sees Ctrl-C and lets other threads in. All runs but the last are multiples
    of `grain` long; with that, where the cuts are changes no result.
    """
    if 0 < total - first <= grain:  # a few rows, the common case: no clock
        yield first, total
        return
    count = grain
    while first < total:
        last = min(first + count, total)
        began = time.perf_counter()
        yield first, last
        elapsed = max(time.perf_counter() - began, 1e-6)
        wish = min(int((last - first) * seconds / elapsed), 8 * count)
        count = max(grain, wish - wish % grain)
        first = last
