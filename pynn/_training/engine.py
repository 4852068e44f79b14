"""The engine of a model: its network, its parameters and state, and the locks that protect them.

The methods of a model check their arguments and call the engine. The trainer also works on the
engine, not on the model.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, forks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError, ClosedError, PynnError
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.network import Network
from pynn._native.state import State
from pynn._native.workspace import ROWS_AT_A_TIME, RunningSums, Sums
from pynn._network import class_names
from pynn._network.class_names import Names
from pynn._network.snapshot import Snapshot
from pynn._network.spec import Spec
from pynn._training import faults
from pynn._training.evaluation import Evaluation
from pynn._training.optimizers import Optimizer
from pynn._training.workspaces import Workspaces

if TYPE_CHECKING:
    from pynn._training.run import Run

Copied = TypeVar("Copied")


class Engine:
    """A network with its parameters, and the state that is kept between steps of training.

    Args:
        spec: The chain of layers and its loss.
        network: The C library's network of this chain.
        parameters: Shape (parameter_count,); the engine uses this array, without a copy.
        seed: The seed for the order of examples and for dropout.
        epochs_trained: The epochs that the parameters were trained for before.
        steps_trained: The steps that the parameters were trained for before.
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
        self.encoder = spec.encoder
        self.workspaces: Workspaces | None = Workspaces(network)  # None after close()
        self.parameters = parameters
        self.seed = seed
        self.epochs_trained = epochs_trained
        self.state = State(seed, steps_trained)
        self.lock = threading.RLock()  # held during each call of C
        self.fit_lock = threading.RLock()  # held during a whole call of `fit` or `partial_fit`
        self.training_call = "fit"  # the name of the call that holds fit_lock
        self.resumed: tuple[Run, str] | None = None  # the run that the next `fit` continues
        self.classes: Names | None = None  # the names of the classes, in the order of the outputs
        forks.register(self)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Engine:
        """Make an engine from the contents of a file, without the run of a checkpoint."""
        spec, parameters, seed, epochs_trained, steps_trained = snapshot[:5]
        engine = cls(spec, Network(spec), parameters, seed, epochs_trained, steps_trained)
        engine.classes = snapshot.classes
        return engine

    def forget_threads(self) -> None:
        """Replace the locks that other threads held; for the child of a fork.

        The child has only the thread that forked. A lock that another thread held at the fork would
        never be released in the child. A lock that this thread holds is kept: the fork happened
        inside a call that will release it.
        """
        if not forks.is_held(self.lock):
            self.lock = threading.RLock()
        if not forks.is_held(self.fit_lock):
            self.fit_lock = threading.RLock()

    def open(self) -> Workspaces:
        """Return the workspaces, or raise an error if the model is closed.

        A signal handler may close the model between any two instructions. So the attribute is read
        only once, and a call keeps the returned object while it uses it.

        Raises:
            ClosedError: The model is closed.
        """
        workspaces = self.workspaces
        if workspaces is None:
            raise ClosedError("the model is closed; build it or load it anew")
        return workspaces

    def close(self) -> None:
        """Free the network and its workspace at once; see `Model.close`."""
        with self.lock:
            workspaces, self.workspaces = self.workspaces, None
            if workspaces is not None:
                workspaces.close()

    def at_one_moment(self, copy: Callable[[], Copied]) -> Copied:
        """Call a function that copies the model, and return what it copied.

        If a step of training came in the middle, the copy would mix values from before and after
        it. The lock keeps other threads from training meanwhile. It does not keep a signal handler
        of this thread from training; so if a step was done or the state was replaced while the
        function ran, the copy is made again.
        """
        with self.lock:
            while True:
                state = self.state
                before = state.step, self.epochs_trained
                copied = copy()
                if self.state is state and (state.step, self.epochs_trained) == before:
                    return copied

    def snapshot(self, run: Run | None = None) -> Snapshot:
        """Copy the model as it is now, also during training; with `run`, also the run's position.

        Raises:
            ClosedError: The model is closed.
        """

        def copy() -> Snapshot:
            self.open()
            state = self.state
            snapshot = Snapshot(
                self.spec, self.parameters.copy(), self.seed, self.epochs_trained, state.step
            )._replace(classes=self.classes)
            if run is None:
                return snapshot
            entry, arrays = run.keep(state)
            return snapshot._replace(epochs_trained=run.epochs_trained, run=entry, arrays=arrays)

        return self.at_one_moment(copy)

    def keep_classes(self, classes: Names | None) -> None:
        """Keep the names by which the labels of a call were numbered, before it trains.

        Raises:
            ArgumentError: The model has got other names since then, by another thread.
        """
        with self.lock:
            if classes is None or classes == self.classes:
                return
            if self.classes is not None:
                raise ArgumentError(
                    f"labels were numbered by the classes {class_names.shown(classes)}, and"
                    f" meanwhile the model's have become {class_names.shown(self.classes)}; call it"
                    " again"
                )
            self.classes = classes

    def forget_classes(self, before: tuple[Names | None, int]) -> None:
        """Take back the names that a call kept, if it has not done a step.

        `before` are the names and the count of steps before that call.
        """
        if self.state.step == before[1]:
            self.classes = before[0]

    def set_parameters(self, parameters: Floats) -> None:
        """Copy the values of an array of the same shape into the parameters."""
        with self.lock:
            self.parameters[...] = parameters

    def freeze(self, frozen: frozenset[int]) -> None:
        """Let training leave the layers with these numbers as they are, from its next steps on.

        C's network is a description that never changes, so the engine gets another one. A call that
        uses the old one meanwhile ends with it.

        Raises:
            OutOfMemoryError: There is no memory for the network.
            ClosedError: The model is closed.
        """
        with self.lock:
            spec = self.spec._replace(frozen=frozen)
            workspaces = Workspaces(Network(spec))
            old = self.open()
            self.spec, self.workspaces = spec, workspaces
            old.close()

    def reset(self, seed: int) -> None:
        """Become as a new engine: initial weights, counts of 0, no moments, no names.

        The array of the parameters stays, because views of it may be in use.

        Raises:
            ClosedError: The model is closed.
        """
        self.freeze(frozenset())
        with self.lock:
            self.parameters[...] = self.open().network.initialize(seed)
            self.seed, self.epochs_trained, self.resumed, self.classes = seed, 0, None, None
            self.state = State(seed)

    # ------------------------------------------------------------ train

    def lock_of_only_fit(self, call: str) -> threading.RLock:
        """Return the lock that a call of this name must hold while it trains.

        Other threads wait for the lock. But it is reentrant: a callback or a signal handler of the
        thread that trains would get it, and its training would mix with the one it interrupted. So
        that is refused here.

        The caller takes the lock with its own `with` statement. A context manager written in Python
        would take it here, and if a signal handler raised an exception between two instructions of
        that context manager, the lock would stay locked. The lock's own context manager is written
        in C, and has no such gap.

        Raises:
            PynnError: This thread is already training the model.
        """
        if forks.is_held(self.fit_lock):
            raise PynnError(
                f"{call} was called from a callback of the same model's {self.training_call}, or"
                " from a signal handler that interrupted it; call it when that has ended"
            )
        return self.fit_lock

    def reserve(self, batch: int) -> None:
        """Allocate a workspace for batches of so many rows, to be used by later calls.

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
        """Do steps first <= s < last of an epoch.

        Args:
            data: The examples.
            order: The rows of the epoch in their order, uint32; None for all rows in theirs.
            batch_size: Rows of a step.
            first: The first step to do, from 0.
            last: The step to end before.
            optimizer: The optimizer.
            sums: Sums of losses and correct decisions, which each step adds to.

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
        """Calculate mean loss, and accuracy or errors, over examples.

        Raises:
            NotFinite: The loss is not finite.
            ClosedError: The model is closed.
        """
        sums = RunningSums(Sums.zero(self.spec.errors))
        for first, last in paced(0, data.rows, ROWS_AT_A_TIME):
            with self.lock:
                workspaces = self.open()
                workspace = workspaces.take(min(data.rows, ROWS_AT_A_TIME))
                try:
                    workspace.evaluate(data, first, last, self.parameters, sums)
                finally:
                    workspaces.give_back(workspace)
        return self.evaluation(sums, data)

    def evaluation(self, sums: RunningSums, data: Data) -> Evaluation:
        """Calculate the metrics from the sums over all of some examples."""
        variances = data.variances if self.spec.errors else None
        return Evaluation.of(sums.read(), self.spec.decisions, variances)

    def predict(self, features: object, *, probabilities: bool) -> Floats:
        """Calculate the outputs, or probabilities, shape (rows, outputs); errors as in `Model`."""
        # open() is only called to raise its error: in a prediction of one row, the time of two
        # more calls can be measured.
        workspaces = self.workspaces or self.open()
        network = workspaces.network
        if self.encoder is not None:
            features = self.encoder("features", features)
        data = Data(arrays.features("features", features, network.input_shape))
        out = np.empty((data.rows, network.outputs), np.float32)
        try:
            few = 0 < data.rows <= ROWS_AT_A_TIME  # one piece, without the cost of a generator
            for first, last in ((0, data.rows),) if few else paced(0, data.rows, ROWS_AT_A_TIME):
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
            data.takes_missing = self.spec.takes_missing
            raise faults.explain_use("an output", data) from None
        return out


def paced(
    first: int, total: int, grain: int = 1, seconds: float = 0.05
) -> Iterator[tuple[int, int]]:
    """Cut range(first, total) into pieces (first, last) that take about `seconds` each.

    Between two pieces, Python handles Ctrl-C and other threads can use the model. The length of
    every piece but the last is a multiple of `grain`. C works in such multiples anyway, so the
    places of the cuts do not change any result, although they depend on the clock.
    """
    if 0 < total - first <= grain:  # a few rows, the common case: no clock needed
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
