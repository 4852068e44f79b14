"""The public class Model, which checks arguments and calls the engine; and load()."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy.typing as npt

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError, ArgumentTypeError, ChainError
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.network import Network
from pynn._network import parameters as _parameters
from pynn._network.spec import Spec
from pynn._training import checkpoints, fit_arguments, trainer
from pynn._training.augmentation import Augmentation
from pynn._training.engine import Engine
from pynn._training.examples import make_data, make_examples
from pynn._training.faults import explain_use
from pynn._training.fit_arguments import OnEpoch, OnProgress
from pynn._training.history import ClassEvaluation, Evaluation, History
from pynn._training.optimizers import Optimizer
from pynn._training.stopping import EarlyStopping

if TYPE_CHECKING:
    from pynn._explain.step import Step
    from pynn.formats.c import Footprint


class Model:
    """A network with its parameters. `Builder...build()` and `pynn.load` make one.

    Several threads may use a model at the same time: it locks itself. A signal handler may use a
    model in the middle of another call of it, but must not train it while it is being trained. A
    model is a context manager: at the end of a `with` statement it is closed.

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
        if not isinstance(engine, Engine):
            raise ArgumentTypeError(
                "a Model is made by Builder()...build() or pynn.load(path), not from"
                f" {checks.describe(engine)}"
            )
        self._engine = engine

    @property
    def _spec(self) -> Spec:
        """The chain of layers and its loss."""
        return self._engine.spec

    @classmethod
    def _create(cls, spec: Spec, seed: int) -> Model:
        """Make a model with initial weights drawn from the seed."""
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
        augmentation: Augmentation | None = None,
        early_stopping: EarlyStopping | None = None,
        on_epoch: OnEpoch | Sequence[OnEpoch] | None = None,
        on_progress: OnProgress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | None = None,
    ) -> History:
        """Train on examples, in a new random order for each epoch.

        The last batch of an epoch may be smaller than the others; it is trained on, too. A second
        call continues with the parameters, the optimizer's moments, the count of steps that
        schedules use, and the next random orders: two calls give the same result as one call with
        the sum of their epochs. If a callback raises an exception, or Ctrl-C is pressed, the
        training ends between two steps. The model is then usable, and the checkpoint, if one was
        asked for, is written; `Model.resume` can continue from it.

        Args:
            features: Shape (n, inputs), or (n, ...) with `inputs` values in each row. A model of
                images takes (n, channels, height, width), (n, height, width) for one channel, or
                (n, inputs). A uint8 value is read as value / 255; float32 is used as it is; float64
                is converted to a float32 copy. An array that is contiguous in C's order is used
                without a copy. (If it is mapped from a file, no program may make the file shorter
                meanwhile.)
            labels: With softmax_cross_entropy the class labels: shape (n,), any integer dtype, each
                in [0, classes). With other losses the target values: shape (n, outputs), or (n,)
                for one output; with binary_cross_entropy each in [0, 1].
            epochs: The number of passes through the examples, at least 1.
            batch_size: The number of examples in a step, 1 to n; the default is 128, or n if that
                is less.
            optimizer: The optimizer, which changes the parameters in each step; the default is
                SGD().
            validation: A pair (features, labels) to evaluate after each epoch; or a fraction in
                (0, 1) of the examples to hold out and evaluate instead. The seed of the model
                decides which ones, and about the same fraction of each class is held out.
            sample_weight: The weights of the examples, shape (n,), at least 0. The loss of each
                example is multiplied by its weight, divided by the mean of all weights.
            class_weight: Weights of the classes, used in the same way: a dict from class to weight,
                1 for missing classes; or "balanced" for weights that give all classes the same
                total.
            shuffle: Whether to shuffle; otherwise examples are taken in their order.
            augmentation: Changes each image a little at random, anew in each epoch; validation
                data stay as they are. None: not at all.
            early_stopping: Ends the training before all epochs are done.
            on_epoch: A function, or several, called with an `EpochResult` after each epoch. If one
                returns True, the training ends. The checkpoint does not keep this, so a run that is
                resumed continues.
            on_progress: A function called with a `Progress` every few steps, about 20 times a
                second.
            checkpoint: A file to keep the run in. It is written at the start, after each epoch, and
                when the run is interrupted, each time atomically. It may replace a checkpoint of an
                older run, but a file of any other kind is refused. `load` can read it, too.
            every: Write the checkpoint after so many steps instead of after each epoch; the steps
                are counted over all epochs.

        Returns:
            The metrics of each epoch of this call; after `Model.resume`, of the whole run.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape, or a feature is not finite.
            DivergenceError: A loss, a parameter or a moment of the optimizer stopped being finite.
                The message names the epoch and step. The model goes back to its checkpoint, if
                there is one and no other run has replaced it.
            OSError: The checkpoint cannot be written.
            OutOfMemoryError: There is no memory for a batch of this size.
            ClosedError: The model is closed.
            PynnError: This thread is already training the model: the call comes from a callback or
                a signal handler.
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
            augmentation=augmentation,
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
        """Train once on some examples, in their order: for data that arrive in a stream.

        Like a second `fit`, it continues with the optimizer's moments and the count of steps. It
        does not count as an epoch: `epochs_trained` does not change. If the model came from
        `Model.resume`, its run is given up.

        Args:
            features: As for `fit`.
            labels: As for `fit`.
            batch_size: The number of examples in a step, at least 1; the default is 128. Fewer
                examples make one step.
            optimizer: As for `fit`. Pass the same in each call, because its moments are kept.
            sample_weight: As for `fit`; the mean is over the weights of this call.

        Returns:
            Mean loss and accuracy; those of each batch are measured before its update.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape; or a feature is not finite,
                then the model is as the step before left it.
            DivergenceError: The loss, a parameter or a moment of the optimizer stopped being
                finite. The parameters are lost.
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

    def explain(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[Any],
        *,
        optimizer: Optimizer | None = None,
        sample_weight: npt.NDArray[Any] | None = None,
    ) -> Step:
        """Explain one step of training on a batch of examples; the model does not change.

        The step is the one that `fit` would do now on these examples as one batch, in this order:
        the same numbers, bit for bit. `Step.apply` does it. It takes about three times as long as a
        step of `fit`, and the memory for all values, gradients and moments of the batch.

        Args:
            features: As for `fit`.
            labels: As for `fit`.
            optimizer: As for `fit`.
            sample_weight: As for `fit`; the mean is over the weights of this call.

        Returns:
            The step: every value and gradient, and what becomes of the parameters. `print` shows
            it.

        Raises:
            ArgumentTypeError: An argument has the wrong type or dtype.
            ArgumentError: An argument has the wrong value or shape, or a feature is not finite.
            DivergenceError: The loss, or a parameter after the step, is not finite.
            OutOfMemoryError: There is no memory for the values of a batch of this size.
            ClosedError: The model is closed.

        Examples:
            >>> import numpy as np
            >>> import pynn
            >>> model = pynn.Builder().input(2).dense(1).mean_squared_error().build(seed=0)
            >>> x, y = np.array([[1.0, 2.0]], np.float32), np.array([3.0], np.float32)
            >>> step = model.explain(x, y, optimizer=pynn.SGD(learning_rate=0.1))
            >>> step.forward["dense1"]
            Values(dense1: X (1, 2), W (2, 1), b (1,), Y (1, 1))
        """
        from pynn._explain import capture, step  # here, because few programs explain

        data = self._data(features, labels, sample_weight)
        used = fit_arguments.check_optimizer(optimizer)
        return step.Step(self._engine, capture.capture(self._engine, data, used))

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Model:
        """Read a checkpoint of `fit`, so that the same call of `fit` can continue the run.

        The model is as it was at the checkpoint, and its next `fit` continues the run from there.
        It must have the same examples, batch size and optimizer. It ends with the same parameters,
        to the bit, as a run that was never interrupted, and returns the metrics of all epochs. (To
        use the parameters for something else, `load` the file.)

        Args:
            path: The file that `fit` was given as `checkpoint`.

        Returns:
            The model.

        Raises:
            ArgumentTypeError: `path` is not a path.
            OSError: The file does not exist or cannot be read.
            FileFormatError: It is not a checkpoint, has an unknown version, or is damaged.

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
        """Calculate mean loss and accuracy over examples.

        Args:
            features: As for `fit`.
            labels: As for `fit`.
            sample_weight: As for `fit`; the weights apply to the loss, not to the accuracy.
            per_class: Whether to return the confusion matrix and metrics of each class as well;
                only with softmax_cross_entropy.

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
        predicted = self._engine.predict(features, probabilities=False).argmax(axis=1)
        return ClassEvaluation.of(evaluation, data.targets, predicted, self.outputs)

    def _data(self, features: object, labels: object, sample_weight: object) -> Data:
        """Check and prepare the examples of a call of `partial_fit` or `evaluate`."""
        self._engine.open()
        data = make_data(self._spec, "", features, labels)
        return make_examples(self._spec, self.seed, data, None, sample_weight, None).data

    def predict(self, features: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Predict for each example its class, its values, or True or False for each output.

        Args:
            features: Shape (n, inputs) or (n, ...), as for `fit`; n may be 0.

        Returns:
            With softmax_cross_entropy the class, shape (n,): the index of the largest output, the
            first one if several are equal. With mean_squared_error the outputs, float32. With
            binary_cross_entropy whether the probability is above one half, bool. The shape of the
            last two is (n, outputs), or (n,) for one output.

        Raises:
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not.
            ClosedError: The model is closed.
        """
        engine = self._engine
        return engine.spec.loss.predictions(engine.predict(features, probabilities=False))

    def predict_proba(self, features: npt.NDArray[Any]) -> Floats:
        """Predict the probability of each class, by the softmax of the outputs.

        With binary_cross_entropy, predict for each output the probability that its target is 1, by
        the sigmoid.

        Args:
            features: As for `predict`.

        Returns:
            The probabilities, shape (n, outputs), float32; with softmax_cross_entropy each row sums
            to 1.

        Raises:
            ChainError: The loss is mean_squared_error, which has no probabilities.
            ArgumentTypeError: The features have the wrong type or dtype.
            ArgumentError: They have the wrong shape, or hold NaN or infinity.
            DivergenceError: The outputs are not finite, because the parameters are not.
            ClosedError: The model is closed.
        """
        engine = self._engine
        if not engine.spec.loss.has_probabilities:
            raise ChainError(
                f"predict_proba needs probabilities, but a network with {engine.spec.loss.kind}"
                " gives values: use predict"
            )
        return engine.predict(features, probabilities=True)

    def __call__(self, features: npt.NDArray[Any]) -> Floats:
        """Calculate the outputs of the last layer, such as logits: shape (n, outputs), float32.

        Arguments and errors are those of `predict`.
        """
        return self._engine.predict(features, probabilities=False)

    # ------------------------------------------------------------ look at

    @property
    def parameters(self) -> dict[str, Floats]:
        """The parameters by name, as views: writing into one changes the model.

        "dense1.weight" has shape (inputs, outputs), "dense1.bias" has shape (outputs,), and so on.
        The views stay valid when the model is closed or deleted.

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
        """The number of epochs that the model was trained for, over all calls of `fit`."""
        return self._engine.epochs_trained

    @property
    def steps_trained(self) -> int:
        """The number of steps that the model was trained for; schedules depend on it."""
        return self._engine.state.step

    @property
    def seed(self) -> int:
        """The seed given to `build`, for initial weights, the order of examples, and dropout."""
        return self._engine.seed

    def summary(self) -> str:
        """Make a table of the layers, with their output shapes and numbers of parameters.

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
        rows = [("input", _batch(self._spec.input_shape), "0")]
        for placed in self._spec.placed_layers:
            count = sum(parameter.size for parameter in placed.parameters)
            label = f"{placed.number:<3}{placed.layer}"
            rows.append((label, _batch(placed.output_shape), f"{count:,}"))
        first = max(25, *(len(label) + 2 for label, _, _ in rows))
        loss = f"loss: {self._spec.loss}"
        second = max(11, len(loss) + 2 - first, *(len(shape) + 2 for _, shape, _ in rows))
        rows.insert(0, ("layer", "output", "parameters"))
        lines = [f"{label:<{first}}{shape:<{second}}{count:>10}" for label, shape, count in rows]
        return "\n".join([*lines, f"{loss:<{first + second}}{self.parameter_count:>10,}"])

    def __repr__(self) -> str:
        closed = "" if self._engine.workspaces is not None else "; closed"
        return f"Model({self._spec}; {self.parameter_count:,} parameters{closed})"

    # ------------------------------------------------------------ keep

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a safetensors file, which `pynn.load` and other programs can read.

        A crash leaves the old file or the new one. A symbolic link is followed. If the old file has
        other names (hard links), these keep the old contents.

        Args:
            path: The file to write; by custom its name ends in ".safetensors".

        Raises:
            ArgumentTypeError: `path` is not a path.
            OSError: The file cannot be written.
            ClosedError: The model is closed.
        """
        checkpoints.save(self._engine, checks.path("path", path))

    def __getstate__(self) -> dict[str, Any]:
        """Copy the model into plain values and arrays, for pickle, copy and the like."""
        return checkpoints.to_dict(self._engine)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become an independent model with the same parameters and state."""
        Model.__init__(self, checkpoints.from_dict(state))

    def close(self) -> None:
        """Free the network and its workspace at once. A second call does nothing.

        If another thread is in a call of the model, close() waits until this call has finished its
        present piece of work; unless this was the last one, the call then raises a ClosedError. If
        a signal handler closes the model in the middle of a call of the same thread, the memory
        that this call uses is freed when it ends.
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

        The input of the file is "input", float32, shape (batch, inputs), or of images (batch,
        channels, height, width), with any number of rows; divide uint8 values by 255 first. The
        output is "output", float32, shape (batch, outputs): the outputs of the last layer.
        Initializers have the names and shapes of `parameters`. A crash leaves the old file or the
        new one, and the same model always gives the same bytes.

        Args:
            path: The file to write; by custom its name ends in ".onnx".
            probabilities: Whether to give the probabilities of `predict_proba` instead; the output
                is then named "probabilities".

        Raises:
            ArgumentTypeError: `path` is not a path.
            ArgumentError: Probabilities are asked for, but the model's loss has none; or the model
                is too large for the format, which allows about 2 GiB.
            DivergenceError: A parameter is not finite.
            ImportError: The package onnx is not installed.
            OSError: The file cannot be written.
            ClosedError: The model is closed.
        """
        from pynn.formats import onnx  # here, because pynn.formats imports this module

        onnx.save(self, path, probabilities=probabilities)

    def export_c(
        self, path: str | os.PathLike[str], *, name: str | None = None, libc: bool = True
    ) -> Footprint:
        """Write the model as C99: a source file, and a header beside it that explains its use.

        The source has `NAME_predict` for floats, `NAME_predict_bytes` for uint8 values, which are
        read as value / 255, and `NAME_self_test`; for classification also `NAME_class` and
        `NAME_probabilities`. It allocates no memory, and many threads may call it at the same time.
        Each of the two files is replaced atomically.

        Args:
            path: The source file to write; its name must end in ".c". The header has the same name
                with ".h" at the end; it must not be the name of a system header, and must not
                replace a header that pynn has not written.
            name: The start of the functions' names, a C identifier; the default is the file's name.
            libc: Whether the source may call functions of libc such as expf; otherwise it has its
                own, and needs no library at all.

        Returns:
            The bytes of memory and the multiply-adds that the source needs.

        Raises:
            ArgumentTypeError: `path` is not a path, or `name` is not a str.
            ArgumentError: The path does not end in ".c", its header would replace another one, or
                the name is not a C identifier.
            DivergenceError: A parameter is not finite.
            OSError: A file cannot be written.
            ClosedError: The model is closed.

        Examples:
            >>> import pynn
            >>> chain = pynn.Builder().input(784).dense(64).relu().dense(10)
            >>> chain.softmax_cross_entropy().build().export_c("digits.c")
            Footprint(203,560 bytes of weights, 256 bytes of stack, 50,816 multiply-adds)
        """
        from pynn.formats import c  # here, for the same reason as in export_onnx()

        return c.save(self, path, name=name, libc=libc)


def _batch(shape: Sequence[int]) -> str:
    """The shape of n examples."""
    return f"(n, {', '.join(map(str, shape))})"


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model that `Model.save` wrote.

    Args:
        path: The file.

    Returns:
        The model. It predicts as the saved one did, and can be trained further.

    Raises:
        ArgumentTypeError: `path` is not a path.
        OSError: The file does not exist or cannot be read.
        FileFormatError: It is not a model of pynn, has an unknown version, or is damaged.
    """
    return Model(checkpoints.load(checks.path("path", path)))
