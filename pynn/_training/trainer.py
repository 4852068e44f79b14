"""The training loop: the steps of a call of `fit`, its checkpoints, and its early end.

C does whole steps, so whenever Python runs, no step is half done. The module `run` says why the
run's position is then right, too.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from pynn._base import statistics
from pynn._base.arrays import Doubles
from pynn._base.errors import ArgumentError, DivergenceError, FileFormatError
from pynn._native import library
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.workspace import ROWS_AT_A_TIME, RunningSums, Sums
from pynn._training import checkpoints, scaling
from pynn._training.engine import Engine, paced
from pynn._training.evaluation import Evaluation
from pynn._training.examples import Examples
from pynn._training.faults import (
    CORRECT,
    PARAMETERS,
    Fault,
    after,
    diagnose,
    explain,
    not_finite,
)
from pynn._training.fit_arguments import Call
from pynn._training.full_batch import FullBatch
from pynn._training.history import EpochResult, History, Progress
from pynn._training.lbfgs import ENDS
from pynn._training.optimizers import Optimizer
from pynn._training.run import Position, Run

SHUFFLE_STREAMS = 1 << 32
"""The random stream for the order of the first epoch; layers use those below it (see pynn.h)."""


def fit(engine: Engine, call: Call) -> History:
    """Train as a call of `fit` asks; or do the rest of the run, if the model was resumed.

    The lock must be released even if a signal handler raises an exception at the end. Python runs
    handlers right after a call. In `return Trainer(...).train()`, this would be after the `with`
    statement has begun to exit, and an exception there would leave the lock locked. So the result
    is first assigned to a variable, still inside the `with` statement.

    Raises:
        PynnError: This thread is already training the model.
        ArgumentError: The arguments differ from those of the run to resume; or a feature is not
            finite.
        DivergenceError: A loss or a parameter stopped being finite.
    """
    with engine.lock_of_only_fit("fit"):
        engine.training_call = "fit"
        run = _start(engine, call)
        held_out = call.examples.held_out
        most = 0 if held_out is None else held_out.rows
        # Allocate the memory for the whole run now, so that no finished epoch is lost to a lack of
        # memory at its validation.
        engine.reserve(max(call.plan.largest_batch, min(most, ROWS_AT_A_TIME)))
        before = engine.classes, engine.state.step
        engine.keep_classes(call.examples.classes)
        try:
            scaling.fit(engine, call.examples.data, call.examples.rows)
            history = Trainer(engine, run, call).train()
        except BaseException:
            engine.forget_classes(before)
            raise
        return history


def _start(engine: Engine, call: Call) -> Run:
    """Start a new run, or continue the one that the model was resumed for."""
    if engine.resumed is None:
        return Run(call.plan, engine.epochs_trained, sums=Sums.zero(engine.spec.errors))
    run, path = engine.resumed
    run.continues(call.plan, path, validated=call.examples.held_out is not None)
    return run


def partial_fit(
    engine: Engine, examples: Examples, batch_size: int, optimizer: Optimizer
) -> Evaluation:
    """Train once on examples, in their order; errors are those of `Model.partial_fit`."""
    data = examples.data
    sums, steps = RunningSums(Sums.zero(engine.spec.errors)), -(-data.rows // batch_size)
    with engine.lock_of_only_fit("partial_fit"):
        engine.training_call = "partial_fit"
        engine.resumed = None
        scaling.fit(engine, data)
        before = engine.classes, engine.state.step
        engine.keep_classes(examples.classes)
        try:
            for first, last in paced(0, steps):
                engine.train(data, None, batch_size, first, last, optimizer, sums)
        except NotFinite:
            fault = diagnose(engine, sums.read(), batch_size, steps)
            rows = np.arange(*fault.rows.indices(data.rows))
            engine.forget_classes(before)
            raise explain(fault, data, rows, optimizer) from None
    return engine.evaluation(sums, data)


class Trainer:
    """Does the epochs and steps of a run.

    Args:
        engine: The engine of the model; the caller holds its `fit_lock`.
        run: The run.
        call: The arguments of the call of `fit`.
    """

    def __init__(self, engine: Engine, run: Run, call: Call) -> None:
        self.engine = engine
        self.run = run
        self.call = call
        self.seconds = 0.0
        self.order = np.empty(0, np.uint32)
        self.failed = False
        self.stopped = False  # whether a callback has ended the training
        self.is_kept = False  # whether this run has written its checkpoint
        self.full: FullBatch | None = None  # of an optimizer whose steps take all examples

    def train(self) -> History:
        """Do the rest of the run.

        Raises:
            DivergenceError: A loss or a parameter stopped being finite.
            ArgumentError: A loss stopped being finite because of a feature that is not.
        """
        run = self.run
        self._save()
        self.engine.resumed = None  # only now: a call that failed before can be made again
        try:
            while not run.is_over and not self.stopped:
                if run.plan.optimizer._is_full_batch:
                    self._full_step()
                else:
                    self._steps()
                if run.step > 0:
                    self._end_epoch()
            self._restore_best()
        except BaseException as why:  # Ctrl-C, or an exception of a callback
            if not self.failed:
                if self.full is not None:
                    self.full.finish()
                self.engine.epochs_trained = run.epochs_trained
                try:
                    self._save()
                except Exception:  # such as a full disk: raise the first exception, not this one
                    raise why  # noqa: B904
                self._restore_best()
            raise
        return History.of(run.position.results, ENDS.get(run.position.ended or "", ""))

    def _restore_best(self) -> None:
        """Give the model the parameters of the best epoch, if the run is over and asks for it."""
        best = self.run.position.best
        if best is not None and (self.run.is_over or self.stopped):
            self.engine.set_parameters(best)

    def _steps(self) -> None:
        """Do the remaining steps of the epoch; save the checkpoint and report progress."""
        run, plan, data = self.run, self.run.plan, self.call.examples.data
        self.order = self._order_of_epoch()
        data.begin_epoch(run.epochs_trained)
        every = 0 if self.call.checkpoint is None else self.call.checkpoint.every
        before = run.epoch * plan.steps  # the run's steps in earlier epochs
        sums = run.position.sums
        try:
            for first, last in paced(run.step, plan.steps):
                while first < last:
                    stop = min(last, first + every - (before + first) % every) if every else last
                    began = time.perf_counter()
                    self.engine.train(
                        data, self.order, plan.batch_size, first, stop, plan.optimizer, sums
                    )
                    self.seconds += time.perf_counter() - began
                    if every and (before + stop) % every == 0:
                        self._save()
                    first = stop
                self._report(last, plan.steps)
        except NotFinite:
            self._fail(diagnose(self.engine, sums.read(), plan.batch_size, plan.steps))

    def _report(self, step: int, steps: int) -> None:
        """Report the progress of the epoch: how many of its steps are done."""
        if self.call.callbacks.on_progress:
            now, epoch = self._figures(), self.run.epoch + 1
            place = epoch, self.run.plan.epochs, step, steps
            progress = Progress(*place, *now, now.r2, now.mean_absolute_error)
            for callback in self.call.callbacks.on_progress:
                callback(progress)

    def _full_step(self) -> None:
        """Do the step of an epoch that takes all examples, unless it is done or nothing is left."""
        run = self.run
        if run.step > 0:
            return  # it was done when the run was interrupted
        began = time.perf_counter()
        if self.full is None:
            self.order = np.arange(run.plan.rows, dtype=np.uint32)
            if self.call.examples.rows is not None:
                self.order = self.call.examples.rows
            self.full = FullBatch(self.engine, run, self.call.examples.data, self.order)
        place = self.full.here()
        if place is None:
            what = not_finite(self.engine) or "the loss or its gradient is not finite"
            self._fail(Fault("in its step", what, slice(None)))
        self.full.step(place)
        self.seconds += time.perf_counter() - began
        if run.step > 0:
            self._report(1, 1)
        else:
            self._save()  # now it says that the run has ended

    def _order_of_epoch(self) -> npt.NDArray[np.uint32]:
        """Return the rows of the data in the order in which the epoch takes them."""
        plan, rows = self.run.plan, self.call.examples.rows
        order = np.arange(plan.rows, dtype=np.uint32)
        if plan.shuffle:
            stream = SHUFFLE_STREAMS + self.run.epochs_trained
            order = library.permutation(self.engine.seed, stream, plan.rows)
        return order if rows is None else rows[order]

    def _end_epoch(self) -> None:
        """Validate, and go on to the next epoch."""
        run, plan = self.run, self.run.plan
        self._check_model(after(plan.steps, plan.steps))
        held_out = self.call.examples.held_out
        tested = None if held_out is None else self._validate(held_out)
        result = self._result(tested)
        results = (*run.position.results, result)
        best, stopping = run.position.best, plan.early_stopping
        is_best = stopping is not None and stopping._best_epoch(results) == result.epoch
        if stopping is not None and stopping.restore_best and is_best:
            best = self.engine.parameters.copy()
            if not np.isfinite(best).all():  # another thread wrote into the parameters meanwhile
                self._fail(Fault(after(plan.steps, plan.steps), PARAMETERS))
        run.position = Position(
            results, RunningSums(Sums.zero(self.engine.spec.errors)), best, run.position.ended
        )
        self.engine.epochs_trained = run.epochs_trained
        if self.call.checkpoint is not None and (self.call.checkpoint.every == 0 or run.is_over):
            self._save()
        self._call_back(result)

    def _call_back(self, result: EpochResult) -> None:
        """Call the callbacks of an epoch; save again what the next epoch needs of their doing."""
        spec = self.engine.spec
        for callback in self.call.callbacks.on_epoch:
            returned = callback(result)
            self.stopped |= isinstance(returned, (bool, np.bool_)) and bool(returned)
        if self.call.callbacks.on_epoch:
            self._check_model("after its callbacks", result.epoch, trained=False)
        froze = self.engine.spec is not spec  # a resumed run does not call them again
        kept = self.call.checkpoint
        if froze or (self.stopped and kept is not None and kept.every > 0):
            self._save()

    def _figures(self) -> Evaluation:
        """The metrics over the examples of this epoch so far."""
        spec, variances = self.engine.spec, self._variances if self.engine.spec.errors else None
        return Evaluation.of(self.run.position.sums.read(), spec.decisions, variances)

    @cached_property
    def _variances(self) -> Doubles:
        """The variance of the targets that are trained on."""
        data, rows = self.call.examples.data, self.call.examples.rows
        assert data.targets is not None
        return statistics.variances(data.targets, rows)

    def _result(self, tested: Evaluation | None) -> EpochResult:
        """The result of the epoch that has ended, with what its validation gave."""
        run, now = self.run, self._figures()
        seconds, self.seconds = self.seconds, 0.0
        return EpochResult(
            epoch=run.epoch + 1,
            epochs=run.plan.epochs,
            loss=now.loss,
            accuracy=now.accuracy,
            val_loss=tested and tested.loss,
            val_accuracy=tested and tested.accuracy,
            seconds=seconds,
            r2=now.r2,
            mean_absolute_error=now.mean_absolute_error,
            val_r2=tested and tested.r2,
            val_mean_absolute_error=tested and tested.mean_absolute_error,
        )

    def _validate(self, held_out: Data) -> Evaluation:
        """Evaluate the validation data, and explain a loss that is not finite.

        The parameters were just checked to be finite, and the error leaves them as they are.
        """
        try:
            return self.engine.evaluate(held_out)
        except NotFinite:
            place = f"epoch {self.run.epoch + 1}, after its last step: "
            left = "the model is as the epoch's steps left it"
            held = self.call.examples.held
            bad, whose = held_out.find_not_finite(), "validation "
            if held is not None:  # held_out is a copy: name the row of the caller's features
                bad, whose = self.call.examples.data.find_not_finite(held), ""
            if bad is not None:
                raise ArgumentError(f"{place}{whose}{bad[1]}: {CORRECT}; {left}") from None
            raise DivergenceError(
                f"{place}the loss over the validation data is not finite: try features scaled to"
                f" about 1, or a smaller learning rate; {left}"
            ) from None

    # ------------------------------------------------------------ checkpoints

    def _save(self) -> None:
        """Write the checkpoint, if one is asked for and the model is finite."""
        if self.call.checkpoint is None:
            return
        self._check_model(f"after step {self.run.step}")
        checkpoints.save(self.engine, self.call.checkpoint.path, self.run)
        self.is_kept = True

    def _check_model(self, place: str, epoch: int | None = None, *, trained: bool = True) -> None:
        """Fail if the model is not finite: a step, a callback or a thread may be the cause."""
        if (what := not_finite(self.engine)) is not None:
            self._fail(Fault(place, what, trained=trained), epoch)

    def _fail(self, fault: Fault, epoch: int | None = None) -> NoReturn:
        """Go back to the last checkpoint, and raise an error that explains the fault.

        To find the cause may take a while, and Ctrl-C may come meanwhile. So the model goes back
        first.
        """
        self.failed = True
        run = self.run
        back, why = self._go_back()
        named = f"epoch {run.epoch + 1 if epoch is None else epoch}, {fault.place}"
        rows = self.order[fault.rows]
        fault = fault._replace(place=named)
        raise explain(fault, self.call.examples.data, rows, run.plan.optimizer, back, why) from None

    def _go_back(self) -> tuple[str | None, str]:
        """Go back to the last checkpoint, if there is one and this run has written it.

        Returns:
            The new state of the model in words and ""; or None and why it could not go back, which
            is "" if the run has no checkpoint.
        """
        if self.call.checkpoint is None or not self.is_kept:
            return None, ""
        try:
            place = checkpoints.go_back_to(self.engine, self.call.checkpoint.path, self.run.id)
        except (OSError, FileFormatError, MemoryError) as error:
            return None, f", as its checkpoint cannot be used ({error})"
        return f"the model is back at its last checkpoint, {place}", ""
