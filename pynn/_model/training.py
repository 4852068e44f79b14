"""The methods of a model that train it, or explain a step of training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from pynn._base import checks, words
from pynn._base.columns import Table
from pynn._model.base import ModelBase
from pynn._training import batches, callbacks, doubts, fit_arguments, trainer
from pynn._training.augmentation import Augmentation
from pynn._training.callbacks import OnEpoch, OnProgress
from pynn._training.evaluation import Evaluation
from pynn._training.history import History
from pynn._training.optimizers import Optimizer
from pynn._training.progress_bar import ProgressBar
from pynn._training.stopping import EarlyStopping

if TYPE_CHECKING:
    from pynn._explain.step import Step

Batches = Iterable[Any] | Callable[[], Iterable[Any]]
"""Pairs (features, labels), or with weights as a third; or a function that returns them."""


@words.corrected
class TrainedModel(ModelBase):
    """A model as something that learns."""

    def fit(
        self,
        features: Table | Batches,
        labels: npt.ArrayLike | None = None,
        *,
        epochs: int,
        batch_size: int | None = None,
        optimizer: Optimizer | None = None,
        validation: tuple[Table, npt.ArrayLike] | float | None = None,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[int, float] | Mapping[str, float] | Literal["balanced"] | None = None,
        shuffle: bool = True,
        augmentation: Augmentation | None = None,
        early_stopping: EarlyStopping | None = None,
        on_epoch: OnEpoch | Sequence[OnEpoch] | None = None,
        on_progress: OnProgress | Sequence[OnProgress] | None = None,
        progress: bool | ProgressBar = False,
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

        Without labels, `features` are batches: pairs (features, labels), or (features, labels,
        sample_weight), each of which is a step like a call of `partial_fit`. They are passed
        through once for each epoch, in their order. batch_size, sample_weight, class_weight,
        augmentation, checkpoint, every, LBFGS and a fraction to validate with make no sense with
        batches, and are refused.

        Args:
            features: With `Columns` a table, see there. Else shape (n, inputs), or (n, ...) with
                `inputs` values in each row. A model of images takes (n, channels, height, width),
                (n, height, width) for one channel, or
                (n, inputs). An array, or whatever `np.asarray` makes an array of numbers of: lists,
                frames of pandas and polars, tensors. A uint8 value is read as value / 255; all
                other numbers, integers and bools too, are used as they are, as float32. An array of
                uint8 or float32 that is contiguous in C's order is used without a copy, anything
                else is copied. (If it is mapped from a file, no program may make the file shorter
                meanwhile.) Or batches: an iterable of pairs, which is iterated anew in each epoch,
                or a function that returns one. A generator gives one epoch.
            labels: With softmax_cross_entropy the class labels: shape (n,) or (n, 1), integers of
                any width or bools, each in [0, classes). With other losses the target values: shape
                (n, outputs), or (n,) for one output; with binary_cross_entropy each in [0, 1], with
                poisson at least 0. Lists, series and frames as for `features`. Classes may have
                names: labels that are str, one name for each output. The model keeps the names in
                `classes`, sorted, and `predict` returns them.
            epochs: The number of passes through the examples, at least 1.
            batch_size: The number of examples in a step, 1 to n; the default is 128, or n if that
                is less. With LBFGS it must be left out.
            optimizer: The optimizer, which changes the parameters in each step; the default is
                SGD(). With LBFGS a step takes all examples, so an epoch is one step, and the
                training ends when it has converged.
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
            on_progress: A function, or several, called with a `Progress` every few steps, about 20
                times a second.
            progress: Whether to show how far the training is, on standard error: a bar in terminals
                and notebooks, else a line for each epoch; or what `pynn.progress` has returned.
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

        Warns:
            TrainingWarning: All labels are equal, a column of a table is constant, a class is only
                in the examples to train on or only in those to validate with, the input looks like
                images with their channels last; or the training has ended no better than guessing.
                There is none for batches, of which nobody has all examples.
        """
        options = {
            "epochs": epochs,
            "batch_size": batch_size,
            "optimizer": optimizer,
            "validation": validation,
            "sample_weight": sample_weight,
            "class_weight": class_weight,
            "shuffle": shuffle,
            "augmentation": augmentation,
            "early_stopping": early_stopping,
            "called": callbacks.check(on_epoch, on_progress, progress),
        }
        return self._fit(features, labels, options, checkpoint, every)

    def _fit(
        self,
        features: object,
        labels: object,
        options: dict[str, Any],
        checkpoint: str | os.PathLike[str] | None,
        every: int | None,
    ) -> History:
        """Check the arguments of `fit`, for arrays or for batches, and train."""
        engine = self._engine
        if labels is None:
            given = batches.Batches(features)
            call = batches.check(engine, given, **options, checkpoint=checkpoint, every=every)
            fit_arguments.check_trained(self._spec, "fit")
            with call.callbacks.around():
                return batches.fit(engine, call, given)
        kept = fit_arguments.check_checkpoint(checkpoint, every)
        call = fit_arguments.check(engine, features, labels, **options, checkpoint=kept)
        fit_arguments.check_trained(self._spec, "fit")
        with call.callbacks.around():
            return doubts.fit(engine, call, features)

    def partial_fit(
        self,
        features: Table,
        labels: npt.ArrayLike,
        *,
        batch_size: int | None = None,
        optimizer: Optimizer | None = None,
        sample_weight: npt.ArrayLike | None = None,
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
            Mean loss, and accuracy or the errors of a regression; those of each batch are measured
            before its update.

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
        examples = self._examples(features, labels, sample_weight, learning=True)
        fit_arguments.check_trained(self._spec, "partial_fit")
        size = fit_arguments.DEFAULT_BATCH_SIZE
        if batch_size is not None:
            size = checks.integer("batch_size", batch_size, least=1)
        used = fit_arguments.check_step_optimizer(optimizer, "partial_fit")
        return trainer.partial_fit(self._engine, examples, min(size, examples.size), used)

    def explain(
        self,
        features: Table,
        labels: npt.ArrayLike,
        *,
        optimizer: Optimizer | None = None,
        sample_weight: npt.ArrayLike | None = None,
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

        examples = self._examples(features, labels, sample_weight, learning=True)
        fit_arguments.check_trained(self._spec, "explain")
        used = fit_arguments.check_step_optimizer(optimizer, "explain")
        captured = capture.capture(self._engine, examples.data, used)
        return step.Step(self._engine, captured._replace(classes=examples.classes))
