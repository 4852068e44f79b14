"""The model: a network, its parameters, and what one does with them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn import _checks, _forks
from pynn._boundary import (
    ROWS_AT_A_TIME,
    Data,
    Floats,
    Network,
    NotFinite,
    RunningSums,
    Sums,
    Workspace,
)
from pynn._errors import (
    ArgumentError,
    ArgumentTypeError,
    ClosedError,
    DivergenceError,
    OutOfMemoryError,
    PynnError,
)
from pynn._history import Evaluation, History
from pynn._optimizers import SGD
from pynn._spec import Spec
from pynn._training import Checkpoint, OnEpoch, OnProgress, Plan, Run, Trainer, fingerprint, paced

DEFAULT_BATCH_SIZE = 128


class Model:
    """A network with its parameters. Made by `Builder...build()` or `pynn.load`.

    A model may be used from several threads: it locks. It is a context manager that closes itself.

    Examples:
        >>> import numpy as np, pynn
        >>> chain = pynn.Builder().input(2).dense(16).relu().dense(2)
        >>> model = chain.softmax_cross_entropy().build(seed=1)
        >>> x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
        >>> y = (x[:, 0] * x[:, 1] > 0).astype(np.uint8)  # which quadrants?
        >>> sgd = pynn.SGD(learning_rate=0.3)
        >>> history = model.fit(x, y, epochs=40, batch_size=10, optimizer=sgd)
        >>> model.evaluate(x, y).accuracy > 0.97
        True
        >>> model.predict(np.array([[1, 1], [1, -1]], dtype=np.float32)).tolist()
        [1, 0]
    """

    def __init__(
        self, spec: Spec, network: Network, parameters: Floats, seed: int, epochs_trained: int
    ) -> None:
        self._spec = spec
        self._network: Network | None = network
        self._parameter_array = parameters
        self._seed = seed
        self._epochs_trained = epochs_trained
        self._workspace: Workspace | None = None
        self._lock = threading.RLock()  # held for one call of C at a time
        self._fit_lock = threading.Lock()  # held by the one `fit` that runs
        self._fitting_thread: int | None = None
        self._resumed: tuple[Run, str] | None = None  # what the next `fit` goes on with
        _forks.register(self)

    def _forget_threads(self) -> None:
        """After a fork: what other threads held when it happened, nobody will give back."""
        self._lock = threading.RLock()
        self._fit_lock = threading.Lock()
        if self._fitting_thread != threading.get_ident():
            self._fitting_thread = None

    @classmethod
    def _create(cls, spec: Spec, seed: int) -> Model:
        """A model with weights drawn from the seed."""
        network = Network(*spec)
        return cls(spec, network, network.initialize(seed), seed, 0)

    # ------------------------------------------------------------ train

    def fit(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        epochs: int,
        batch_size: int | None = None,
        optimizer: SGD | None = None,
        validation: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
        on_epoch: OnEpoch | None = None,
        on_progress: OnProgress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | None = None,
    ) -> History:
        """Train on examples, in an order shuffled anew for each epoch.

        The last batch of an epoch holds what is left and is trained on, too. A second call goes on
        with the parameters and with new shuffles. An exception from a callback, or Ctrl-C, ends the
        training between two steps and leaves a usable model, and a checkpoint where one is asked
        for; `Model.resume` goes on with it.

        Args:
            features: Shape (n, inputs), or (n, ...) with as many values a row. uint8 is read as
                value / 255, float32 taken as it is, float64 converted to a float32 copy. Arrays
                that are contiguous in C's order are used where they are, without a copy.
            labels: Shape (n,), any integer dtype, each in [0, classes).
            epochs: Passes through the data, at least 1.
            batch_size: Examples a step, 1 to n; without, 128 or n, whichever is less.
            optimizer: What a step does; SGD() without.
            validation: (features, labels) to evaluate after each epoch.
            on_epoch: Called with an `EpochResult` after each epoch.
            on_progress: Called with a `Progress` every few steps, some 20 times a second.
            checkpoint: A file to keep the run in: at its start, after each epoch, and when it is
                interrupted. Replaced atomically each time, also at the start of a new run; `load`
                reads it, too.
            every: Keep it after so many steps instead, counted over all epochs.

        Returns:
            The figures of each epoch of this call.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape.
            DivergenceError: A loss or the parameters stopped being finite. The message names the
                epoch and step; the model goes back to its checkpoint, if there is one.
            OSError: The checkpoint cannot be written.
            OutOfMemoryError: There is no memory for a batch of this size.
            ClosedError: The model is closed.
        """
        epochs = _checks.integer("epochs", epochs, least=1)
        data = self._data("", features, labels)
        if batch_size is None:
            batch_size = min(DEFAULT_BATCH_SIZE, data.rows)
        batch_size = _checks.integer("batch_size", batch_size, least=1)
        if batch_size > data.rows:
            raise ArgumentError(
                f"batch_size must be at most the number of examples, {data.rows}, got {batch_size}"
            )
        optimizer = SGD() if optimizer is None else optimizer
        if not isinstance(optimizer, SGD):
            raise ArgumentTypeError(
                "optimizer must be a pynn.SGD, as in pynn.SGD(learning_rate=0.1), got"
                f" {_checks.describe(optimizer)}"
            )
        held_out = None
        if validation is not None:
            held_out = self._data("validation ", *_checks.pair("validation", validation))
        for name, callback in (("on_epoch", on_epoch), ("on_progress", on_progress)):
            if callback is not None and not callable(callback):
                raise ArgumentTypeError(
                    f"{name} must be callable, got {_checks.describe(callback)}"
                )

        kept = _checkpoint(checkpoint, every)
        checksum = 0
        if kept is not None or self._resumed is not None:
            checksum = fingerprint(data)
        plan = Plan(epochs, batch_size, optimizer, data.rows, checksum)
        with self._only_fit():
            run = self._start(plan, validated=held_out is not None)
            most = 0 if held_out is None else min(held_out.rows, ROWS_AT_A_TIME)
            with self._lock:  # now, for all of it: no epoch is lost to a lack of memory
                self._open_workspace(max(batch_size, most))
            trainer = Trainer(self, run, data, held_out, on_epoch, on_progress, kept)
            return trainer.train()

    def _start(self, plan: Plan, *, validated: bool) -> Run:
        """A new run, or the one that the model was resumed for."""
        if self._resumed is None:
            return Run(plan, self._epochs_trained)
        run, path = self._resumed
        run.continues(plan, path, validated=validated)
        return run

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Model:
        """Read a checkpoint of `fit`, for the same call of `fit` to go on with.

        The model is as it was at the checkpoint, and its next `fit` takes that run up where it
        stood: with the same examples, batch size and optimizer it ends with the same bytes as a
        run that was never interrupted, and returns the figures of all epochs. (To use the
        parameters for something else, `load` the file.)

        Args:
            path: The file that `fit` was given as checkpoint.

        Returns:
            The model.

        Raises:
            ArgumentTypeError: It is not a path.
            OSError: The file is not there or cannot be read.
            FileFormatError: It is no checkpoint, of an unknown version, or damaged.

        Examples:
            >>> import numpy as np, pynn
            >>> x = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
            >>> y = (x[:, 0] > x[:, 1]).astype(np.uint8)
            >>> model = pynn.Builder().input(2).dense(2).softmax_cross_entropy().build(seed=1)
            >>> history = model.fit(x, y, epochs=3, checkpoint="run.checkpoint")
            >>> again = pynn.Model.resume("run.checkpoint")
            >>> again.fit(x, y, epochs=5, checkpoint="run.checkpoint").epochs
            5
        """
        from pynn import _files

        _checks.path("path", path)
        saved = _files.load(path)
        name = os.fspath(path)
        if saved.run is None:
            _files.refuse(name, "a model, but no checkpoint of a run; use pynn.load")
        try:
            run = Run.from_dict(saved.run)
            if run.epochs_trained != saved.epochs_trained:
                raise ValueError(
                    f"it ends after {run.epochs_trained} epochs, the model after"
                    f" {saved.epochs_trained}"
                )
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            why = f"it has no entry {error}" if isinstance(error, KeyError) else error
            _files.refuse(name, f"what it says of its run is damaged: {why}")
        model = cls(*saved[:5])
        model._resumed = run, name
        return model

    # ------------------------------------------------------------ use

    def evaluate(self, features: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Evaluation:
        """Mean loss and accuracy over examples; arguments and errors are those of `fit`."""
        data = self._data("", features, labels)
        try:
            return self._evaluate(data)
        except NotFinite:
            raise _not_finite("the loss", data) from None

    def _evaluate(self, data: Data) -> Evaluation:
        sums = Sums()
        for first, last in paced(0, data.rows, ROWS_AT_A_TIME):
            with self._lock:
                workspace = self._open_workspace(min(data.rows, ROWS_AT_A_TIME))
                sums = workspace.evaluate(data, first, last, self._parameter_array, sums)
        return Evaluation(*sums.mean())

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """The class of each example.

        Args:
            features: Shape (n, inputs) or (n, ...), as for `fit`; n may be 0.

        Returns:
            Shape (n,): the index of the largest output, the first of equals.

        Raises:
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not.
            ClosedError: The model is closed.
        """
        classes: npt.NDArray[np.intp] = self(features).argmax(axis=1)
        return classes

    def predict_proba(self, features: npt.NDArray[Any]) -> Floats:
        """The probability of each class for each example: the softmax of the outputs.

        Args:
            features: As for `predict`.

        Returns:
            Shape (n, classes), float32; each row sums to 1.

        Raises:
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not.
            ClosedError: The model is closed.
        """
        return self._predict(features, probabilities=True)

    def __call__(self, features: npt.NDArray[Any]) -> Floats:
        """The outputs of the last layer before the loss: the logits, shape (n, classes), float32.

        Arguments and errors are those of `predict_proba`.
        """
        return self._predict(features, probabilities=False)

    def _predict(self, features: npt.NDArray[Any], *, probabilities: bool) -> Floats:
        network = self._open_network()
        data = Data(_checks.features("features", features, network.inputs))
        out = np.empty((data.rows, network.outputs), np.float32)
        try:
            for first, last in paced(0, data.rows, ROWS_AT_A_TIME):
                with self._lock:
                    workspace = self._open_workspace(min(data.rows, ROWS_AT_A_TIME))
                    workspace.predict(
                        data,
                        first,
                        last,
                        self._parameter_array,
                        out[first:last],
                        probabilities=probabilities,
                    )
        except NotFinite:
            raise _not_finite("an output", data) from None
        return out

    # ------------------------------------------------------------ look at

    @property
    def parameters(self) -> dict[str, Floats]:
        """The parameters by name, as views: to write into one is to change the model.

        "dense1.weight" has shape (inputs, outputs), "dense1.bias" (outputs,), and so on. The views
        stay valid after the model is closed or gone.

        Raises:
            ClosedError: The model is closed.
        """
        from pynn._files import name_parameters

        return name_parameters(self._open_network().dense_views, self._parameter_array)

    @property
    def parameter_count(self) -> int:
        """The number of parameters."""
        return self._parameter_array.size

    @property
    def inputs(self) -> int:
        """The number of values of an example."""
        return self._spec.inputs

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return [layer.outputs for layer in self._spec.layers if layer.kind == "dense"][-1]

    @property
    def epochs_trained(self) -> int:
        """The epochs that the model has been trained for, over all calls of `fit`."""
        return self._epochs_trained

    @property
    def seed(self) -> int:
        """What `build` was given: it decides the first weights and the order of examples."""
        return self._seed

    def summary(self) -> str:
        """A table of the layers: output shapes and parameters.

        Examples:
            >>> import pynn
            >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
            >>> print(chain.softmax_cross_entropy().build().summary())
            layer                    output     parameters
            input                    (n, 784)            0
            1  dense(64, he)         (n, 64)        50,240
            2  relu                  (n, 64)             0
            3  dense(10, he)         (n, 10)           650
            loss: softmax_cross_entropy             50,890
        """
        lines = [f"{'layer':<25}{'output':<11}parameters"]
        lines.append(f"{'input':<25}{f'(n, {self._spec.inputs})':<11}{0:>10}")
        width = self._spec.inputs
        for number, layer in enumerate(self._spec.layers, start=1):
            label, count = str(layer), 0
            if layer.kind == "dense":
                count = (width + 1) * layer.outputs
                width = layer.outputs
            lines.append(f"{f'{number:<3}{label}':<25}{f'(n, {width})':<11}{count:>10,}")
        lines.append(f"{f'loss: {self._spec.loss}':<36}{self.parameter_count:>10,}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        closed = "" if self._network is not None else "; closed"
        return f"Model({self._spec}; {self.parameter_count:,} parameters{closed})"

    # ------------------------------------------------------------ keep

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, for `pynn.load` and for everybody else.

        A crash leaves the old file or the new one.

        Args:
            path: The file; by custom its name ends in ".safetensors".

        Raises:
            ArgumentTypeError: It is not a path.
            OSError: The file cannot be written.
            ClosedError: The model is closed.
        """
        self._save(_checks.path("path", path), None)

    def _save(self, path: str | os.PathLike[str], run: Run | None) -> None:
        """Write the model, and where its run stands, if that is what the file is for."""
        from pynn import _files

        with self._lock:  # not while the disk works: forks wait for it
            network, parameters = self._open_network(), self._parameter_array.copy()
            epochs_trained = self._epochs_trained if run is None else run.epochs_trained
            progress = None if run is None else run.to_dict()
        _files.save(
            path,
            _files.Saved(self._spec, network, parameters, self._seed, epochs_trained, progress),
        )

    def _go_back_to(self, path: str | os.PathLike[str]) -> str:
        """Take parameters and epochs from a checkpoint; where that stands, in words."""
        from pynn import _files

        saved = _files.load(path)
        run = Run.from_dict(saved.run or {})
        with self._lock:
            self._parameter_array[...] = saved.parameters
            self._epochs_trained = saved.epochs_trained
        return f"epoch {run.epoch + 1}, step {run.step}"

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: a model of its own, with the same parameters."""
        self._open_network()
        with self._lock:
            parameters = self._parameter_array.copy()
        return _restore, (self._spec, parameters, self._seed, self._epochs_trained)

    def close(self) -> None:
        """Free the network and its workspace now. A second call does nothing."""
        with self._lock:
            self._network = None
            self._close_workspace()

    def _close_workspace(self) -> None:
        """Forget it first: Ctrl-C may come as soon as it is free."""
        old, self._workspace = self._workspace, None
        if old is not None:
            old.close()

    def __enter__(self) -> Model:
        self._open_network()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------ inside

    def _open_network(self) -> Network:
        if self._network is None:
            raise ClosedError("the model is closed; build it or load it anew")
        return self._network

    def _open_workspace(self, batch: int) -> Workspace:
        """The workspace, replaced by a larger one where need be. The caller holds the lock."""
        network = self._open_network()
        if self._workspace is None or self._workspace.max_batch < batch:
            self._close_workspace()
            try:
                self._workspace = Workspace(network, batch)
            except OutOfMemoryError:
                raise OutOfMemoryError(f"out of memory for a batch of {batch:,}") from None
        return self._workspace

    def _train(
        self,
        data: Data,
        order: npt.NDArray[np.uint32],
        batch_size: int,
        first: int,
        last: int,
        learning_rate: float,
        sums: RunningSums,
    ) -> None:
        """Steps first <= s < last of an epoch."""
        with self._lock:
            workspace = self._open_workspace(batch_size)
            workspace.train(
                data, order, batch_size, first, last, learning_rate, self._parameter_array, sums
            )

    def _data(self, prefix: str, features: object, labels: object) -> Data:
        """Checked examples with their labels; errors put the prefix before the names."""
        network = self._open_network()
        x = _checks.features(f"{prefix}features", features, network.inputs)
        if len(x) == 0:
            raise ArgumentError(f"{prefix}features must have at least one example, got {x.shape}")
        return Data(x, _checks.labels(f"{prefix}labels", labels, len(x), network.outputs))

    @contextmanager
    def _only_fit(self) -> Iterator[None]:
        """Hold the fit lock; a callback that calls `fit` again gets an error, not a deadlock."""
        # The lock, too, as Ctrl-C may come just before the thread is forgotten.
        if self._fit_lock.locked() and self._fitting_thread == threading.get_ident():
            raise PynnError("fit was called from a callback of the same model's fit")
        with self._fit_lock:
            self._fitting_thread = threading.get_ident()
            try:
                yield
            finally:
                self._fitting_thread = None


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `Model.save` wrote.

    Args:
        path: The file.

    Returns:
        The model, which predicts as the saved one did and can be trained on.

    Raises:
        ArgumentTypeError: It is not a path.
        OSError: The file is not there or cannot be read.
        FileFormatError: It is no model of pynn, of an unknown version, or damaged.
    """
    from pynn import _files

    _checks.path("path", path)
    return Model(*_files.load(path)[:5])


def _restore(spec: Spec, parameters: Floats, seed: int, epochs_trained: int) -> Model:
    """The model that was pickled."""
    network = Network(*spec)
    own = network.new_parameters()
    own[...] = parameters
    return Model(spec, network, own, seed, epochs_trained)


def _checkpoint(path: str | os.PathLike[str] | None, every: int | None) -> Checkpoint | None:
    if path is None:
        if every is not None:
            raise ArgumentError(
                f"every needs a checkpoint, the file to keep the run in; got every={every} and"
                " checkpoint=None"
            )
        return None
    steps = 0 if every is None else _checks.integer("every", every, least=1)
    # Of now: a callback may change the current folder.
    return Checkpoint(os.path.abspath(_checks.path("checkpoint", path)), steps)


def _not_finite(what: str, data: Data) -> PynnError:
    """The error for a number that is not finite: the features' fault, or the parameters'."""
    bad = data.find_not_finite()
    if bad is not None:
        return ArgumentError(f"{bad[1]}: features must be finite; see np.nan_to_num")
    return DivergenceError(
        f"{what} is not finite, though the features are: they are too large, or the model has"
        " diverged, or its parameters were set so"
    )
