"""The steps of one call of `fit`, its checkpoints, and how it ends early.

A run is at a boundary between two steps whenever Python can look: see `run` for where it stands.
"""

from __future__ import annotations

import time
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from pynn._base.errors import ArgumentError, DivergenceError, FileFormatError
from pynn._native import library
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.workspace import ROWS_AT_A_TIME, RunningSums, Sums
from pynn._training import checkpoints
from pynn._training.engine import Engine, paced
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
from pynn._training.history import EpochResult, Evaluation, History, Progress
from pynn._training.optimizers import Optimizer
from pynn._training.run import Position, Run

SHUFFLE_STREAMS = 1 << 32
"""Random stream of the first epoch's order; those below are the layers' (see pynn.h)."""


def fit(engine: Engine, call: Call) -> History:
    """Carry out a call of `fit`, or what is left of the run that the model was resumed for.

    Raises:
        PynnError: This thread trains the model already.
        ArgumentError: The call is of something else than the run that it resumes; or an example is
            not finite.
        DivergenceError: A loss or the parameters stopped being finite.
    """
    with engine.lock_of_only_fit("fit"):
        engine.training_call = "fit"
        run = _start(engine, call)
        held_out = call.examples.held_out
        most = 0 if held_out is None else held_out.rows
        # Now, for all of it: no epoch is lost to a lack of memory.
        engine.reserve(max(call.plan.batch_size, min(most, ROWS_AT_A_TIME)))
        # Kept before it is returned: right behind a call a signal may be handled, and the way out
        # of the statement must not have begun there.
        history = Trainer(engine, run, call).train()
        return history


def _start(engine: Engine, call: Call) -> Run:
    """A new run, or the one that the model was resumed for."""
    if engine.resumed is None:
        return Run(call.plan, engine.epochs_trained)
    run, path = engine.resumed
    run.continues(call.plan, path, validated=call.examples.held_out is not None)
    return run


def partial_fit(engine: Engine, data: Data, batch_size: int, optimizer: Optimizer) -> Evaluation:
    """Train once on some examples, in their order; errors are those of `Model.partial_fit`."""
    sums, steps = RunningSums(Sums()), -(-data.rows // batch_size)
    with engine.lock_of_only_fit("partial_fit"):
        engine.training_call = "partial_fit"
        engine.resumed = None
        try:
            for first, last in paced(0, steps):
                engine.train(data, None, batch_size, first, last, optimizer, sums)
        except NotFinite:
            fault = diagnose(engine, sums.read(), batch_size, steps)
            rows = np.arange(*fault.rows.indices(data.rows))
            raise explain(fault, data, rows, optimizer) from None
    return Evaluation(*sums.read().mean(engine.spec.decisions))


class Trainer:
    """Carries out a run.

    Args:
        engine: The model's; the lock that lets only one call train is held.
        run: The run.
        call: The call of `fit` that it is of.
    """

    def __init__(self, engine: Engine, run: Run, call: Call) -> None:
        self.engine = engine
        self.run = run
        self.call = call
        self.seconds = 0.0
        self.order = np.empty(0, np.uint32)
        self.failed = False
        self.stopped = False  # by a callback
        self.is_kept = False  # the checkpoint's file is of this run

    def train(self) -> History:
        """All that is left of the run.

        Raises:
            DivergenceError: A loss or the parameters stopped being finite.
            ArgumentError: Because of a feature that is not.
        """
        run = self.run
        self._save()
        self.engine.resumed = None  # not before: a call that fails early can be made again
        try:
            while not run.is_over and not self.stopped:
                self._steps()
                self._end_epoch()
            self._restore_best()
        except BaseException as why:  # Ctrl-C, or a callback's own
            if not self.failed:
                self.engine.epochs_trained = run.epochs_trained
                try:
                    self._save()
                except Exception:  # a full disk: the context of what came first, not in its place
                    raise why  # noqa: B904
                self._restore_best()
            raise
        return History.of(run.position.results)

    def _restore_best(self) -> None:
        """Give the model the parameters of the best epoch, where that is asked for."""
        best = self.run.position.best
        if best is not None and (self.run.is_over or self.stopped):
            self.engine.set_parameters(best)

    def _steps(self) -> None:
        """Those that are left of the epoch."""
        run, plan, data = self.run, self.run.plan, self.call.examples.data
        self.order = self._order_of_epoch()
        every = 0 if self.call.checkpoint is None else self.call.checkpoint.every
        before = run.epoch * plan.steps  # of the run, in earlier epochs
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
                if self.call.on_progress is not None:
                    means = sums.read().mean(self.engine.spec.decisions)
                    epoch = run.epoch + 1
                    self.call.on_progress(Progress(epoch, plan.epochs, last, plan.steps, *means))
        except NotFinite:
            self._fail(diagnose(self.engine, sums.read(), plan.batch_size, plan.steps))

    def _order_of_epoch(self) -> npt.NDArray[np.uint32]:
        """The rows of the data in the order that the epoch takes them."""
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
        loss, accuracy = run.position.sums.read().mean(self.engine.spec.decisions)
        val_loss, val_accuracy = (None, None) if tested is None else tested
        seconds, self.seconds = self.seconds, 0.0
        result = EpochResult(
            run.epoch + 1, plan.epochs, loss, accuracy, val_loss, val_accuracy, seconds
        )
        results = (*run.position.results, result)
        best, stopping = run.position.best, plan.early_stopping
        is_best = stopping is not None and stopping._best_epoch(results) == result.epoch
        if stopping is not None and stopping.restore_best and is_best:
            best = self.engine.parameters.copy()
            if not np.isfinite(best).all():  # another thread wrote into them meanwhile
                self._fail(Fault(after(plan.steps, plan.steps), PARAMETERS))
        run.position = Position(results, RunningSums(Sums()), best)
        self.engine.epochs_trained = run.epochs_trained
        if self.call.checkpoint is not None and (self.call.checkpoint.every == 0 or run.is_over):
            self._save()
        for callback in self.call.on_epoch:
            answer = callback(result)
            self.stopped |= isinstance(answer, (bool, np.bool_)) and bool(answer)
        if self.call.on_epoch:
            self._check_model("after its callbacks", result.epoch, trained=False)
        if self.stopped and self.call.checkpoint is not None and self.call.checkpoint.every > 0:
            self._save()

    def _validate(self, held_out: Data) -> Evaluation:
        """The parameters are finite, as is known, and stay: the error costs no training."""
        try:
            return self.engine.evaluate(held_out)
        except NotFinite:
            place = f"epoch {self.run.epoch + 1}, after its last step: "
            left = "the model is as the epoch's steps left it"
            held = self.call.examples.held
            bad, whose = held_out.find_not_finite(), "validation "
            if held is not None:  # by the number of the caller's row
                bad, whose = self.call.examples.data.find_not_finite(held), ""
            if bad is not None:
                raise ArgumentError(f"{place}{whose}{bad[1]}: {CORRECT}; {left}") from None
            raise DivergenceError(
                f"{place}the loss over the validation data is not finite: try features scaled to"
                f" about 1, or a smaller learning rate; {left}"
            ) from None

    # ------------------------------------------------------------ checkpoints

    def _save(self) -> None:
        if self.call.checkpoint is None:
            return
        self._check_model(f"after step {self.run.step}")
        checkpoints.save(self.engine, self.call.checkpoint.path, self.run)
        self.is_kept = True

    def _check_model(self, place: str, epoch: int | None = None, *, trained: bool = True) -> None:
        """Whoever wrote into the model: a step, a callback, or another thread."""
        if (what := not_finite(self.engine)) is not None:
            self._fail(Fault(place, what, trained=trained), epoch)

    def _fail(self, fault: Fault, epoch: int | None = None) -> NoReturn:
        """Go back to the last checkpoint, and say what is wrong and what to try."""
        self.failed = True
        run = self.run
        back, why = self._go_back()  # at once: to look may be interrupted
        named = f"epoch {run.epoch + 1 if epoch is None else epoch}, {fault.place}"
        rows = self.order[fault.rows]
        fault = fault._replace(place=named)
        raise explain(fault, self.call.examples.data, rows, run.plan.optimizer, back, why) from None

    def _go_back(self) -> tuple[str | None, str]:
        """Go back to the last checkpoint, if it is there and of this run.

        Returns:
            Where the model is now; or None, and why it could not go back, if it was to.
        """
        if self.call.checkpoint is None or not self.is_kept:
            return None, ""
        try:
            place = checkpoints.go_back_to(self.engine, self.call.checkpoint.path, self.run.id)
        except (OSError, FileFormatError, MemoryError) as error:
            return None, f", as its checkpoint cannot be used ({error})"
        return f"the model is back at its last checkpoint, {place}", ""
