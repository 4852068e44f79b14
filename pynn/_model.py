"""The model: a network, its parameters, and what one does with them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, checks
from pynn._base.arrays import Floats
from pynn._base.errors import (
    ArgumentError,
    ChainError,
    ClosedError,
    DivergenceError,
    PynnError,
)
from pynn._base.reading import refuse
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.network import Network
from pynn._native.state import State
from pynn._native.workspace import ROWS_AT_A_TIME, RunningSums, Sums
from pynn._network.spec import Spec
from pynn._training import fit_arguments, forks
from pynn._training.examples import MOST_ROWS, make_data, make_examples
from pynn._training.history import ClassEvaluation, Evaluation, History
from pynn._training.optimizers import Optimizer
from pynn._training.run import Plan, Run, check_finite, fingerprint
from pynn._training.stopping import EarlyStopping
from pynn._training.trainer import OnEpoch, OnProgress, Trainer, diagnose, explain, paced
from pynn._training.workspaces import Workspaces

if TYPE_CHECKING:
    from pynn._network.snapshot import Snapshot
    from pynn.formats.c import Footprint

Copied = TypeVar("Copied")


class Model:
    """A network with its parameters. Made by `Builder...build()` or `pynn.load`.

    A model may be used from several threads: it locks. A signal handler may use the model that it
    interrupts a call of, but not train it during its training. It is a context manager that closes
    itself.

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
        self,
        spec: Spec,
        network: Network,
        parameters: Floats,
        seed: int,
        epochs_trained: int = 0,
        steps_trained: int = 0,
    ) -> None:
        self._spec = spec
        self._workspaces: Workspaces | None = Workspaces(network)  # None once it is closed
        self._parameter_array = parameters
        self._seed = seed
        self._epochs_trained = epochs_trained
        self._state = State(seed, steps_trained)
        self._lock = threading.RLock()  # held for one call of C at a time
        self._fit_lock = threading.RLock()  # held by the one call that trains
        self._training_call = "fit"  # which one that is, where the lock is held
        self._resumed: tuple[Run, str] | None = None  # what the next `fit` goes on with
        forks.register(self)

    def _forget_threads(self) -> None:
        """After a fork: what other threads held when it happened, nobody will give back.

        What this thread holds it gives back itself: it forked in the middle of a call.
        """
        if not _is_held(self._lock):
            self._lock = threading.RLock()
        if not _is_held(self._fit_lock):
            self._fit_lock = threading.RLock()

    @classmethod
    def _create(cls, spec: Spec, seed: int) -> Model:
        """A model with weights drawn from the seed."""
        network = Network(spec)
        return cls(spec, network, network.initialize(seed), seed)

    @classmethod
    def _of(cls, snapshot: Snapshot) -> Model:
        """The model that a file holds, without the run of a checkpoint."""
        spec, parameters, seed, epochs_trained, steps_trained = snapshot[:5]
        return cls(spec, Network(spec), parameters, seed, epochs_trained, steps_trained)

    # ------------------------------------------------------------ train

    def fit(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        epochs: int,
        batch_size: int | None = None,
        optimizer: Optimizer | None = None,
        validation: tuple[npt.NDArray[Any], npt.NDArray[Any]] | float | None = None,
        sample_weight: npt.NDArray[Any] | None = None,
        class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
        shuffle: bool = True,
        early_stopping: EarlyStopping | None = None,
        on_epoch: OnEpoch | Sequence[OnEpoch] | None = None,
        on_progress: OnProgress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | None = None,
    ) -> History:
        """Train on examples, in an order shuffled anew for each epoch.

        The last batch of an epoch holds what is left and is trained on, too. A second call goes on
        with the parameters, the optimizer's moments, the count of steps that schedules go by, and
        new shuffles: two calls are the same as one of as many epochs. An exception from a callback,
        or Ctrl-C, ends the training between two steps and leaves a usable model, and a checkpoint
        where one is asked for; `Model.resume` goes on with it.

        Args:
            features: Shape (n, inputs), or (n, ...) with as many values a row. uint8 is read as
                value / 255, float32 taken as it is, float64 converted to a float32 copy. Arrays
                that are contiguous in C's order are used where they are, without a copy. (If
                that is in a mapped file, nobody may make the file shorter meanwhile.)
            labels: For softmax_cross_entropy shape (n,), any integer dtype, each in [0, classes).
                For the other losses targets, shape (n, outputs), or (n,) for one output: numbers,
                with binary_cross_entropy in [0, 1].
            epochs: Passes through the data, at least 1.
            batch_size: Examples a step, 1 to n; without, 128 or n, whichever is less.
            optimizer: What a step does; SGD() without.
            validation: (features, labels) to evaluate after each epoch; or a fraction of the
                examples in (0, 1), which are then not trained on: drawn by the model's seed, about
                the same fraction of each class.
            sample_weight: Shape (n,), at least 0: what each example's loss is multiplied by, after
                division by the mean of all weights.
            class_weight: The same for each class: a dict (1 for those that it does not have), or
                "balanced" for weights that make all classes count alike.
            shuffle: Whether to; if not, the order is that of the examples.
            early_stopping: When to end before all epochs are done.
            on_epoch: Called with an `EpochResult` after each epoch; one callable or several. One
                that returns True ends the training; a checkpoint does not know of it, so a run that
                is resumed goes on.
            on_progress: Called with a `Progress` every few steps, some 20 times a second.
            checkpoint: A file to keep the run in: at its start, after each epoch, and when it is
                interrupted. Replaced atomically each time, also at the start of a new run, where it
                is a checkpoint of an older one; a file that is none is refused. `load` reads it,
                too.
            every: Keep it after so many steps instead, counted over all epochs.

        Returns:
            The figures of each epoch of this call.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape.
            DivergenceError: A loss, a parameter or a moment of the optimizer stopped being finite.
                The message names the epoch and step; the model goes back to its checkpoint, if
                there is one and no other run has replaced it.
            OSError: The checkpoint cannot be written.
            OutOfMemoryError: There is no memory for a batch of this size.
            ClosedError: The model is closed.
            PynnError: This thread is training the model already: the call comes from a callback, or
                from a signal handler.
        """
        data = self._data("", features, labels, most=MOST_ROWS)
        examples = make_examples(
            self._spec, self._seed, data, validation, sample_weight, class_weight
        )
        kept = fit_arguments.checkpoint(checkpoint, every)
        may_be_resumed = kept is not None or self._resumed is not None
        plan = Plan(
            epochs=checks.integer("epochs", epochs, least=1),
            batch_size=fit_arguments.batch_size(batch_size, examples.size),
            optimizer=fit_arguments.optimizer(optimizer),
            rows=examples.size,
            shuffle=fit_arguments.shuffle(shuffle),
            fraction=examples.fraction,
            early_stopping=fit_arguments.early_stopping(
                early_stopping,
                has_validation=examples.held_out is not None,
                has_accuracy=self._spec.answers > 0,
            ),
            fingerprint=fingerprint(examples.data) if may_be_resumed else 0,
        )
        callbacks = fit_arguments.on_epoch(on_epoch)
        if on_progress is not None:
            fit_arguments.check_callable("on_progress", on_progress)
        with self._lock_of_only_fit("fit"):
            self._training_call = "fit"
            run = self._start(plan, validated=examples.held_out is not None)
            most = 0 if examples.held_out is None else examples.held_out.rows
            with self._lock:  # now, for all of it: no epoch is lost to a lack of memory
                workspaces = self._open()
                batch = max(plan.batch_size, min(most, ROWS_AT_A_TIME))
                workspaces.give_back(workspaces.take(batch))
            # Kept before it is returned: right behind a call a signal may be handled, and the way
            # out of the statement must not have begun there.
            history = Trainer(self, run, examples, callbacks, on_progress, kept).train()
            return history

    def partial_fit(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        batch_size: int | None = None,
        optimizer: Optimizer | None = None,
        sample_weight: npt.NDArray[Any] | None = None,
    ) -> Evaluation:
        """Train once on some examples, in their order: for data that come in a stream.

        It goes on with the optimizer's moments and the count of steps, as a second `fit` does, and
        is no epoch: `epochs_trained` stays. What `Model.resume` was to go on with is given up.

        Args:
            features: As for `fit`.
            labels: As for `fit`.
            batch_size: Examples a step, at least 1; 128 without. Fewer examples are one step.
            optimizer: As for `fit`; the same in each call, for its moments to make sense.
            sample_weight: As for `fit`; the mean is that of this call's.

        Returns:
            Mean loss and accuracy, of each batch as they were before its update.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape; or a feature is not finite,
                and the model is as the step before left it.
            DivergenceError: The loss, a parameter or a moment of the optimizer stopped being
                finite, and the parameters are lost.
            OutOfMemoryError: There is no memory for a batch of this size.
            ClosedError: The model is closed.
            PynnError: As for `fit`.
        """
        data = self._data("", features, labels)
        data = make_examples(self._spec, self._seed, data, None, sample_weight, None).data
        size = fit_arguments.DEFAULT_BATCH_SIZE
        if batch_size is not None:
            size = checks.integer("batch_size", batch_size, least=1)
        size = min(size, data.rows)
        used = fit_arguments.optimizer(optimizer)
        sums, steps = RunningSums(Sums()), -(-data.rows // size)
        with self._lock_of_only_fit("partial_fit"):
            self._training_call = "partial_fit"
            self._resumed = None
            try:
                for first, last in paced(0, steps):
                    self._train(data, None, size, first, last, used, sums)
            except NotFinite:
                fault = diagnose(self, sums.read(), size, steps)
                rows = np.arange(*fault.rows.indices(data.rows))
                raise explain(fault, data, rows, used) from None
        return Evaluation(*sums.read().mean(self._spec.answers))

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
        from pynn._files import model_file

        checks.path("path", path)
        saved = model_file.load(path)
        name = os.fspath(path)
        model = cls._of(saved)
        run, model._state = _run_of(saved, name)
        model._resumed = run, name
        return model

    # ------------------------------------------------------------ use

    @overload
    def evaluate(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        sample_weight: npt.NDArray[Any] | None = ...,
        per_class: Literal[False] = ...,
    ) -> Evaluation: ...

    @overload
    def evaluate(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        sample_weight: npt.NDArray[Any] | None = ...,
        per_class: Literal[True],
    ) -> ClassEvaluation: ...

    def evaluate(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        sample_weight: npt.NDArray[Any] | None = None,
        per_class: bool = False,
    ) -> Evaluation | ClassEvaluation:
        """Mean loss and accuracy over examples.

        Args:
            features: As for `fit`.
            labels: As for `fit`.
            sample_weight: As for `fit`; it weighs the loss, not the accuracy.
            per_class: Whether to give the confusion matrix and each class's figures, too; with
                softmax_cross_entropy only.

        Returns:
            An `Evaluation`, or a `ClassEvaluation`.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape, or holds NaN or infinity.
            DivergenceError: The loss is not finite, because the parameters are not.
            OutOfMemoryError: There is no memory for the confusion matrix.
            ClosedError: The model is closed.
        """
        data = self._data("", features, labels)
        data = make_examples(self._spec, self._seed, data, None, sample_weight, None).data
        if per_class and not self._spec.loss.has_classes:
            raise ArgumentError(f"per_class needs classes, and {self._spec.loss.kind} has none")
        try:
            evaluation = self._evaluate(data)
        except NotFinite:
            raise _not_finite("the loss", data) from None
        if not per_class:
            return evaluation
        assert data.answers is not None
        answers = self._predict(features, probabilities=False).argmax(axis=1)
        return ClassEvaluation.of(evaluation, data.answers, answers, self.outputs)

    def _evaluate(self, data: Data) -> Evaluation:
        sums = Sums()
        for first, last in paced(0, data.rows, ROWS_AT_A_TIME):
            with self._lock:
                workspaces = self._open()
                workspace = workspaces.take(min(data.rows, ROWS_AT_A_TIME))
                try:
                    sums = workspace.evaluate(data, first, last, self._parameter_array, sums)
                finally:
                    workspaces.give_back(workspace)
        return Evaluation(*sums.mean(self._spec.answers))

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The answer for each example: its class, its values, or a yes or no for each output.

        Args:
            features: Shape (n, inputs) or (n, ...), as for `fit`; n may be 0.

        Returns:
            With softmax_cross_entropy shape (n,): the index of the largest output, the first of
            equals. With mean_squared_error float32, with binary_cross_entropy bool (a probability
            above one half): shape (n, outputs), or (n,) for one output.

        Raises:
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not.
            ClosedError: The model is closed.
        """
        return self._spec.loss.predictions(self(features))

    def predict_proba(self, features: npt.NDArray[Any]) -> Floats:
        """The probability of each class for each example: the softmax of the outputs.

        With binary_cross_entropy that of a yes for each output: their sigmoid.

        Args:
            features: As for `predict`.

        Returns:
            Shape (n, outputs), float32; with softmax_cross_entropy each row sums to 1.

        Raises:
            ChainError: The loss is mean_squared_error, which knows no probabilities.
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not.
            ClosedError: The model is closed.
        """
        if not self._spec.loss.has_probabilities:
            raise ChainError(
                f"predict_proba needs probabilities, and a network with {self._spec.loss.kind}"
                " gives values: use predict"
            )
        return self._predict(features, probabilities=True)

    def __call__(self, features: npt.NDArray[Any]) -> Floats:
        """The outputs of the last layer before the loss: the logits, shape (n, classes), float32.

        Arguments and errors are those of `predict_proba`.
        """
        return self._predict(features, probabilities=False)

    def _predict(self, features: npt.NDArray[Any], *, probabilities: bool) -> Floats:
        workspaces = self._open()
        network = workspaces.network
        data = Data(arrays.features("features", features, network.inputs))
        out = np.empty((data.rows, network.outputs), np.float32)
        try:
            for first, last in paced(0, data.rows, ROWS_AT_A_TIME):
                with self._lock:
                    if self._workspaces is None:  # a call would show where there is one row
                        self._open()
                    workspace = workspaces.take(min(data.rows, ROWS_AT_A_TIME))
                    try:
                        workspace.predict(
                            data,
                            first,
                            last,
                            self._parameter_array,
                            out[first:last],
                            probabilities=probabilities,
                        )
                    finally:
                        workspaces.give_back(workspace)
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
        from pynn._network import parameters

        self._open()
        return parameters.named(parameters.views(self._spec), self._parameter_array)

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
        """The number of classes, or of values."""
        return self._spec.outputs

    @property
    def epochs_trained(self) -> int:
        """The epochs that the model has been trained for, over all calls of `fit`."""
        return self._epochs_trained

    @property
    def steps_trained(self) -> int:
        """The steps that the model has been trained for: where schedules stand."""
        return self._state.step

    @property
    def seed(self) -> int:
        """What `build` was given: it decides first weights, the order of examples, and dropout."""
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
        for placed in self._spec.placed_layers:
            label, shape = f"{placed.number:<3}{placed.layer}", f"(n, {placed.outputs})"
            count = sum(parameter.size for parameter in placed.parameters)
            lines.append(f"{label:<25}{shape:<11}{count:>10,}")
        lines.append(f"{f'loss: {self._spec.loss}':<36}{self.parameter_count:>10,}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        closed = "" if self._workspaces is not None else "; closed"
        return f"Model({self._spec}; {self.parameter_count:,} parameters{closed})"

    # ------------------------------------------------------------ keep

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, for `pynn.load` and for everybody else.

        A crash leaves the old file or the new one. A symbolic link is followed; where the old file
        has other names (hard links), those keep the old contents.

        Args:
            path: The file; by custom its name ends in ".safetensors".

        Raises:
            ArgumentTypeError: It is not a path.
            OSError: The file cannot be written.
            ClosedError: The model is closed.
        """
        self._save(checks.path("path", path), None)

    def _save(self, path: str | os.PathLike[str], run: Run | None) -> None:
        """Write the model, and where its run stands, if that is what the file is for."""
        from pynn._files import model_file

        model_file.save(path, self._snapshot(run))  # no lock while the disk works: forks wait

    def _snapshot(self, run: Run | None = None) -> Snapshot:
        """A copy of the model as it is now, and of where its run stands; it may be in training.

        Raises:
            ClosedError: The model is closed.
        """
        from pynn._network.snapshot import Snapshot

        def copy() -> Snapshot:
            self._open()
            snapshot = Snapshot(
                self._spec,
                self._parameter_array.copy(),
                self._seed,
                self._epochs_trained,
                self._state.step,
            )
            if run is None:
                return snapshot
            entry, arrays = run.keep(self._state)
            return snapshot._replace(epochs_trained=run.epochs_trained, run=entry, arrays=arrays)

        return self._at_one_moment(copy)

    def _go_back_to(self, path: str | os.PathLike[str], run_id: str) -> str:
        """Take parameters and epochs from a checkpoint; where that stands, in words.

        Raises:
            OSError: The file cannot be read.
            FileFormatError: It is damaged, or of another call of `fit` than the one with this id.
        """
        from pynn._files import model_file

        saved, name = model_file.load(path), os.fspath(path)
        run, state = _run_of(saved, name)
        if run.id != run_id:
            refuse(name, "no longer of this run: another call of fit has written it")
        with self._lock:
            self._parameter_array[...] = saved.parameters
            self._epochs_trained = saved.epochs_trained
            self._state = state
        return f"epoch {run.epoch + 1}, step {run.step}"

    def __getstate__(self) -> dict[str, Any]:
        """For pickle, copy and whatever else keeps objects: plain values and arrays, copied."""
        self._open()

        def copy() -> dict[str, Any]:
            step, updates, kind, moments = self._state.copy()
            resumed = None
            if (kept := self._resumed) is not None:
                run, path = kept
                resumed = {"run": run.to_dict(), "best": run.position.best, "path": path}
            return {
                "spec": self._spec.to_dict(),
                "parameters": self._parameter_array.copy(),
                "seed": self._seed,
                "epochs_trained": self._epochs_trained,
                "optimizer": {"step": step, "updates": updates, "kind": kind, "moments": moments},
                "resumed": resumed,
            }

        return self._at_one_moment(copy)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be a model of its own with the same parameters."""
        spec = Spec.from_pickle(state["spec"])
        network = Network(spec)
        own = network.new_parameters()
        own[...] = _array_like(own, state["parameters"])
        Model.__init__(self, spec, network, own, state["seed"], state["epochs_trained"])
        kept = state["optimizer"]
        moments = [_array_like(own, moment) for moment in kept["moments"]]
        self._state.restore(kept["step"], kept["updates"], kept["kind"], moments)
        if (resumed := state["resumed"]) is not None:
            has_accuracy = spec.answers > 0
            run = Run.from_dict(resumed["run"], resumed["best"], has_accuracy=has_accuracy)
            self._resumed = run, resumed["path"]

    def close(self) -> None:
        """Free the network and its workspace now. A second call does nothing.

        A call that is under way in another thread ends its piece of work before. A call that a
        signal handler closes the model of keeps what it uses to its end, and then frees it.
        """
        with self._lock:
            workspaces, self._workspaces = self._workspaces, None
            if workspaces is not None:
                workspaces.close()

    def __enter__(self) -> Model:
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def export_onnx(self, path: str | os.PathLike[str], *, probabilities: bool = False) -> None:
        """Write the model to an ONNX file, for onnxruntime and others; needs 'pynn-blas[onnx]'.

        The file's input is "input", float32 (batch, inputs) with any number of rows; divide uint8
        by 255 before. Its output is "output", float32 (batch, outputs): those of the last layer.
        Initializers have the names and shapes of `parameters`. A crash leaves the old file or the
        new one, and the same model gives the same bytes.

        Args:
            path: The file; by custom its name ends in ".onnx".
            probabilities: Whether the output is what `predict_proba` gives instead, named
                "probabilities".

        Raises:
            ArgumentTypeError: The path is not a path.
            ArgumentError: The outputs are no logits, to make probabilities of; or the model is too
                large for the format, which is a matter of 2 GiB.
            DivergenceError: A parameter is not finite.
            ImportError: The package onnx is not installed.
            OSError: The file cannot be written.
            ClosedError: The model is closed.
        """
        from pynn.formats import onnx

        onnx.save(self, path, probabilities=probabilities)

    def export_c(
        self, path: str | os.PathLike[str], *, name: str | None = None, libc: bool = True
    ) -> Footprint:
        """Write the model as C99: a source file, and a header beside it that says how to use it.

        The source has `NAME_predict` for floats and `NAME_predict_bytes` for uint8, which is read
        as value / 255, `NAME_self_test`, and for classification `NAME_class` and
        `NAME_probabilities`. It allocates nothing and may be called from many threads. Each of the
        two files is replaced atomically.

        Args:
            path: The source file, whose name ends in ".c"; the header's ends in ".h". It must not
                be the name of a header of the system, and no header of others is replaced.
            name: What the functions' names begin with, a C identifier; that of the file without.
            libc: Whether it may call libc's expf, tanhf and erfcf; if not, it has its own, and
                needs no library at all.

        Returns:
            The bytes and multiply-adds that it takes.

        Raises:
            ArgumentTypeError: The path is not a path, or the name no str.
            ArgumentError: The path does not end in ".c", its header would take the place of
                another, or the name is no identifier.
            DivergenceError: A parameter is not finite.
            OSError: A file cannot be written.
            ClosedError: The model is closed.

        Examples:
            >>> import pynn
            >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
            >>> chain.softmax_cross_entropy().build().export_c("digits.c")
            Footprint(203,560 bytes of weights, 256 bytes of stack, 50,816 multiply-adds)
        """
        from pynn.formats import c

        return c.save(self, path, name=name, libc=libc)

    # ------------------------------------------------------------ inside

    def _open(self) -> Workspaces:
        """The network and its workspaces; a call keeps them while it uses them."""
        workspaces = self._workspaces  # once: a signal handler may close the model at any time
        if workspaces is None:
            raise ClosedError("the model is closed; build it or load it anew")
        return workspaces

    def _at_one_moment(self, copy: Callable[[], Copied]) -> Copied:
        """What a function copies of the model, all of it between the same two steps of training.

        Other threads train before or after, because of the lock. A signal handler of this thread
        may train in the middle: then the copy is made again.
        """
        with self._lock:
            while True:
                state = self._state
                before = state.step, self._epochs_trained
                copied = copy()
                if self._state is state and (state.step, self._epochs_trained) == before:
                    return copied

    def _train(
        self,
        data: Data,
        order: npt.NDArray[np.uint32] | None,
        batch_size: int,
        first: int,
        last: int,
        optimizer: Optimizer,
        sums: RunningSums,
    ) -> None:
        """Steps first <= s < last of an epoch, of the rows in `order` or of all as they are."""
        before = self._state.step
        update = optimizer._update(before, before + last - first)
        with self._lock:
            workspaces = self._open()
            workspace = workspaces.take(batch_size)
            parameters, state = self._parameter_array, self._state
            try:
                workspace.train(
                    data, order, batch_size, first, last, update, state, parameters, sums
                )
            finally:
                workspaces.give_back(workspace)

    def _set_parameters(self, parameters: Floats) -> None:
        with self._lock:
            self._parameter_array[...] = parameters

    def _data(self, prefix: str, features: object, labels: object, most: int | None = None) -> Data:
        """Checked examples; errors put the prefix before the names of the arguments."""
        self._open()
        return make_data(self._spec, prefix, features, labels, most)

    def _lock_of_only_fit(self, call: str) -> threading.RLock:
        """The lock that a call which trains has to hold; the call itself takes it.

        For between the instructions of a context manager in Python an exception of a signal handler
        could leave it locked, but not between those of the lock's own.

        Raises:
            PynnError: This thread trains the model already.
        """
        if _is_held(self._fit_lock):
            raise PynnError(
                f"{call} was called from a callback of the same model's {self._training_call}, or"
                " from a signal handler that interrupted it; call it when that has ended"
            )
        return self._fit_lock


def _is_held(lock: threading.RLock) -> bool:
    """Whether this thread holds the lock, which a mark of ours would only say a bit too late."""
    held: bool = lock._is_owned()  # type: ignore[attr-defined]  # as threading.Condition asks
    return held


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
    from pynn._files import model_file

    checks.path("path", path)
    saved = model_file.load(path)
    if saved.run is not None:
        _run_of(saved, os.fspath(path))  # no damage to it goes unnoticed
    return Model._of(saved)


def _run_of(saved: Snapshot, name: str) -> tuple[Run, State]:
    """The run of a checkpoint, and what went from step to step; its name is for an error.

    Raises:
        FileFormatError: It is no checkpoint, or what it says of its run is damaged.
    """
    if saved.run is None:
        refuse(name, "a model, but no checkpoint of a run; use pynn.load")
    has_accuracy = saved.spec.answers > 0
    state = State(saved.seed, saved.steps_trained)
    try:
        run = Run.from_dict(saved.run, saved.arrays.get("best"), has_accuracy=has_accuracy)
        run.restore(state, saved.run, saved.arrays)
        check_finite("parameters", saved.parameters)
        if run.epochs_trained != saved.epochs_trained:
            raise ValueError(
                f"it ends after {run.epochs_trained} epochs, the model after {saved.epochs_trained}"
            )
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        why = f"it has no entry {error}" if isinstance(error, KeyError) else str(error)
        refuse(name, f"what it says of its run is damaged: {why}")
    return run, state


def _array_like(own: Floats, kept: npt.ArrayLike) -> Floats:
    """A copy of parameters or moments that were kept, which must be as many: else ValueError."""
    return np.array(kept, np.float32).reshape(own.shape)


def _not_finite(what: str, data: Data) -> PynnError:
    """The error for a number that is not finite: the features' fault, or the parameters'."""
    bad = data.find_not_finite()
    if bad is not None:
        return ArgumentError(f"{bad[1]}: features must be finite; see np.nan_to_num")
    return DivergenceError(
        f"{what} is not finite, though the features are: they are too large, or the model has"
        " diverged, or its parameters were set so"
    )
