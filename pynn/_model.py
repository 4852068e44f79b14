"""The model: a network, its parameters, and what one does with them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn import _boundary, _checks
from pynn._boundary import ROWS_AT_A_TIME, Data, Floats, Network, Sums, Workspace
from pynn._errors import ArgumentError, ArgumentTypeError, ClosedError, PynnError
from pynn._history import EpochResult, Evaluation, History, Progress
from pynn._optimizers import SGD
from pynn._spec import Spec

DEFAULT_BATCH_SIZE = 128

_SHUFFLE_STREAMS = 1 << 32
"""Random stream of the first epoch's order; those below are the layers' (see pynn.h)."""

OnEpoch = Callable[[EpochResult], object]
OnProgress = Callable[[Progress], object]


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
    ) -> History:
        """Train on examples, in an order shuffled anew for each epoch.

        The last batch of an epoch holds what is left and is trained on, too. A second call goes on
        with the parameters and with new shuffles. An exception from a callback, or Ctrl-C, ends the
        training between two steps and leaves a usable model.

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

        Returns:
            The figures of each epoch of this call.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape.
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
                f"optimizer must be a pynn.SGD, got {_checks.describe(optimizer)}"
            )
        held_out = None
        if validation is not None:
            held_out = self._data("validation ", *_checks.pair("validation", validation))
        for name, callback in (("on_epoch", on_epoch), ("on_progress", on_progress)):
            if callback is not None and not callable(callback):
                raise ArgumentTypeError(
                    f"{name} must be callable, got {_checks.describe(callback)}"
                )

        history = History()
        with self._only_fit():
            for epoch in range(1, epochs + 1):
                began = time.perf_counter()
                trained = self._run_epoch(data, batch_size, optimizer, epoch, epochs, on_progress)
                seconds = time.perf_counter() - began
                tested = None if held_out is None else self._evaluate(held_out)
                val_loss, val_accuracy = (None, None) if tested is None else tested
                result = EpochResult(epoch, epochs, *trained, val_loss, val_accuracy, seconds)
                history.append(result)
                if on_epoch is not None:
                    on_epoch(result)
        return history

    def _run_epoch(
        self,
        data: Data,
        batch_size: int,
        optimizer: SGD,
        epoch: int,
        epochs: int,
        on_progress: OnProgress | None,
    ) -> Evaluation:
        """One pass through the data; the means of loss and correct answers over it."""
        stream = _SHUFFLE_STREAMS + self._epochs_trained
        order = _boundary.permutation(self._seed, stream, data.rows)
        steps = -(-data.rows // batch_size)
        sums = Sums()
        for first, last in _paced(steps):
            with self._lock:
                workspace = self._open_workspace(batch_size)
                sums = workspace.train(
                    data,
                    order,
                    batch_size,
                    first,
                    last,
                    optimizer.learning_rate,
                    self._parameter_array,
                    sums,
                )
            if on_progress is not None:
                on_progress(Progress(epoch, epochs, last, steps, *sums.mean()))
        self._epochs_trained += 1
        return Evaluation(*sums.mean())

    # ------------------------------------------------------------ use

    def evaluate(self, features: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Evaluation:
        """Mean loss and accuracy over examples; arguments and errors are those of `fit`."""
        return self._evaluate(self._data("", features, labels))

    def _evaluate(self, data: Data) -> Evaluation:
        sums = Sums()
        for first, last in _paced(data.rows, ROWS_AT_A_TIME):
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
            ArgumentError: They have the wrong shape.
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
            ArgumentError: They have the wrong shape.
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
        for first, last in _paced(data.rows, ROWS_AT_A_TIME):
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
            label: str = layer.kind
            count = 0
            if layer.kind == "dense":
                label, count = f"dense({layer.outputs}, {layer.init})", (width + 1) * layer.outputs
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
        from pynn import _files

        _checks.path("path", path)
        with self._lock:
            network = self._open_network()
            saved = _files.Saved(
                self._spec, network, self._parameter_array, self._seed, self._epochs_trained
            )
            _files.save(path, saved)

    def close(self) -> None:
        """Free the network and its workspace now. A second call does nothing."""
        with self._lock:
            if self._workspace is not None:
                self._workspace.close()
            self._workspace = None
            self._network = None

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
            if self._workspace is not None:
                self._workspace.close()
            self._workspace = None
            self._workspace = Workspace(network, batch)
        return self._workspace

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
        if self._fitting_thread == threading.get_ident():
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
    return Model(*_files.load(path))


def _paced(total: int, grain: int = 1, seconds: float = 0.05) -> Iterator[tuple[int, int]]:
    """Cut range(total) into runs (first, last) that take about `seconds` each.

    Between runs Python sees Ctrl-C and lets other threads in. All runs but the last are multiples
    of `grain` long; with that, where the cuts are changes no result.
    """
    if 0 < total <= grain:  # a few rows, the common case: no clock
        yield 0, total
        return
    first, count = 0, grain
    while first < total:
        last = min(first + count, total)
        began = time.perf_counter()
        yield first, last
        elapsed = max(time.perf_counter() - began, 1e-6)
        wish = min(int((last - first) * seconds / elapsed), 8 * count)
        count = max(grain, wish - wish % grain)
        first = last
