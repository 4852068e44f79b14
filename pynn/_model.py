"""The model: a network, its parameters, and what one does with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy.typing as npt

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError, ChainError
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.network import Network
from pynn._network import parameters as _parameters
from pynn._network.spec import Spec
from pynn._training import checkpoints, fit_arguments, trainer
from pynn._training.engine import Engine
from pynn._training.examples import make_data, make_examples
from pynn._training.faults import explain_use
from pynn._training.fit_arguments import OnEpoch, OnProgress
from pynn._training.history import ClassEvaluation, Evaluation, History
from pynn._training.optimizers import Optimizer
from pynn._training.stopping import EarlyStopping

if TYPE_CHECKING:
    from pynn.formats.c import Footprint


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

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def _spec(self) -> Spec:
        """The chain of layers."""
        return self._engine.spec

    @classmethod
    def _create(cls, spec: Spec, seed: int) -> Model:
        """A model with weights drawn from the seed."""
        network = Network(spec)
        return cls(Engine(spec, network, network.initialize(seed), seed))

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
        call = fit_arguments.check(
            self._engine,
            features,
            labels,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            validation=validation,
            sample_weight=sample_weight,
            class_weight=class_weight,
            shuffle=shuffle,
            early_stopping=early_stopping,
            on_epoch=on_epoch,
            on_progress=on_progress,
            checkpoint=checkpoint,
            every=every,
        )
        return trainer.fit(self._engine, call)

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
        data = self._data(features, labels, sample_weight)
        size = fit_arguments.DEFAULT_BATCH_SIZE
        if batch_size is not None:
            size = checks.integer("batch_size", batch_size, least=1)
        used = fit_arguments.check_optimizer(optimizer)
        return trainer.partial_fit(self._engine, data, min(size, data.rows), used)

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
        return cls(checkpoints.resume(checks.path("path", path)))

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
        data = self._data(features, labels, sample_weight)
        if per_class and not self._spec.loss.has_classes:
            raise ArgumentError(f"per_class needs classes, and {self._spec.loss.kind} has none")
        try:
            evaluation = self._engine.evaluate(data)
        except NotFinite:
            raise explain_use("the loss", data) from None
        if not per_class:
            return evaluation
        assert data.targets is not None
        answers = self._engine.predict(features, probabilities=False).argmax(axis=1)
        return ClassEvaluation.of(evaluation, data.targets, answers, self.outputs)

    def _data(self, features: object, labels: object, sample_weight: object) -> Data:
        """The examples of a call of `partial_fit` or `evaluate`, checked."""
        self._engine.open()
        data = make_data(self._spec, "", features, labels)
        return make_examples(self._spec, self.seed, data, None, sample_weight, None).data

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
        engine = self._engine
        return engine.spec.loss.predictions(engine.predict(features, probabilities=False))

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
        engine = self._engine
        if not engine.spec.loss.has_probabilities:
            raise ChainError(
                f"predict_proba needs probabilities, and a network with {engine.spec.loss.kind}"
                " gives values: use predict"
            )
        return engine.predict(features, probabilities=True)

    def __call__(self, features: npt.NDArray[Any]) -> Floats:
        """The outputs of the last layer before the loss: the logits, shape (n, classes), float32.

        Arguments and errors are those of `predict_proba`.
        """
        return self._engine.predict(features, probabilities=False)

    # ------------------------------------------------------------ look at

    @property
    def parameters(self) -> dict[str, Floats]:
        """The parameters by name, as views: to write into one is to change the model.

        "dense1.weight" has shape (inputs, outputs), "dense1.bias" (outputs,), and so on. The views
        stay valid after the model is closed or gone.

        Raises:
            ClosedError: The model is closed.
        """
        self._engine.open()
        return _parameters.named(_parameters.views(self._spec), self._engine.parameters)

    @property
    def parameter_count(self) -> int:
        """The number of parameters."""
        return self._engine.parameters.size

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
        return self._engine.epochs_trained

    @property
    def steps_trained(self) -> int:
        """The steps that the model has been trained for: where schedules stand."""
        return self._engine.state.step

    @property
    def seed(self) -> int:
        """What `build` was given: it decides first weights, the order of examples, and dropout."""
        return self._engine.seed

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
        closed = "" if self._engine.workspaces is not None else "; closed"
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
        checkpoints.save(self._engine, checks.path("path", path))

    def __getstate__(self) -> dict[str, Any]:
        """For pickle, copy and whatever else keeps objects: plain values and arrays, copied."""
        return checkpoints.to_dict(self._engine)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Be a model of its own with the same parameters."""
        Model.__init__(self, checkpoints.from_dict(state))

    def close(self) -> None:
        """Free the network and its workspace now. A second call does nothing.

        A call that is under way in another thread ends its piece of work before. A call that a
        signal handler closes the model of keeps what it uses to its end, and then frees it.
        """
        self._engine.close()

    def __enter__(self) -> Model:
        self._engine.open()
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
            libc: Whether it may call libc's expf and the like; if not, it has its own, and
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
    return Model(checkpoints.load(checks.path("path", path)))
