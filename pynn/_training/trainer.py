"""The steps of one call of `fit`, its checkpoints, and how it ends early.

A run is at a boundary between two steps whenever Python can look: see `run` for where it stands.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from pynn._base.errors import ArgumentError, DivergenceError, FileFormatError, PynnError
from pynn._native import library
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.workspace import RunningSums, Sums
from pynn._training.examples import Examples
from pynn._training.history import EpochResult, Evaluation, History, Progress
from pynn._training.optimizers import Optimizer
from pynn._training.run import Position, Run

if TYPE_CHECKING:
    from pynn._model import Model

SHUFFLE_STREAMS = 1 << 32
"""Random stream of the first epoch's order; those below are the layers' (see pynn.h)."""

CORRECT = "correct or remove such examples, for instance with np.nan_to_num"

OnEpoch = Callable[[EpochResult], object]  # True ends the training
OnProgress = Callable[[Progress], object]


class Checkpoint(NamedTuple):
    """Where to keep a run, and after how many steps each time; 0 is after each epoch."""

    path: str | os.PathLike[str]
    every: int


class Trainer:
    """Carries out a run on a model.

    Args:
        model: The model; its `fit` holds the lock that lets only one run.
        run: The run.
        examples: What it trains on, and what each epoch is validated on.
        on_epoch: See `Model.fit`.
        on_progress: See `Model.fit`.
        checkpoint: Where to keep the run, if anywhere.
    """

    def __init__(
        self,
        model: Model,
        run: Run,
        examples: Examples,
        on_epoch: Sequence[OnEpoch],
        on_progress: OnProgress | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.model = model
        self.run = run
        self.examples = examples
        self.on_epoch = on_epoch
        self.on_progress = on_progress
        self.checkpoint = checkpoint
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
        self.model._resumed = None  # not before: a call that fails early can be made again
        try:
            while not run.is_over and not self.stopped:
                self._steps()
                self._end_epoch()
            self._restore_best()
        except BaseException as why:  # Ctrl-C, or a callback's own
            if not self.failed:
                self.model._epochs_trained = run.epochs_trained
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
            self.model._set_parameters(best)

    def _steps(self) -> None:
        """Those that are left of the epoch."""
        run, plan = self.run, self.run.plan
        rows = self.examples.rows
        self.order = np.arange(plan.rows, dtype=np.uint32)
        if plan.shuffle:
            stream = SHUFFLE_STREAMS + run.epochs_trained
            self.order = library.permutation(self.model.seed, stream, plan.rows)
        if rows is not None:
            self.order = rows[self.order]
        every = 0 if self.checkpoint is None else self.checkpoint.every
        before = run.epoch * plan.steps  # of the run, in earlier epochs
        for first, last in paced(run.step, plan.steps):
            while first < last:
                stop = min(last, first + every - (before + first) % every) if every else last
                self._run_steps(first, stop)
                if every and (before + stop) % every == 0:
                    self._save()
                first = stop
            if self.on_progress is not None:
                means = run.position.sums.read().mean(self.model._spec.answers)
                epoch = run.epoch + 1
                self.on_progress(Progress(epoch, plan.epochs, last, plan.steps, *means))

    def _run_steps(self, first: int, last: int) -> None:
        plan = self.run.plan
        began = time.perf_counter()
        try:
            self.model._train(
                self.examples.data,
                self.order,
                plan.batch_size,
                first,
                last,
                plan.optimizer,
                self.run.position.sums,
            )
        except NotFinite:
            sums = self.run.position.sums.read()
            self._fail(diagnose(self.model, sums, plan.batch_size, plan.steps))
        self.seconds += time.perf_counter() - began

    def _end_epoch(self) -> None:
        """Validate, and go on to the next epoch."""
        run, plan = self.run, self.run.plan
        self._check_model(after(plan.steps, plan.steps))
        held_out = self.examples.held_out
        tested = None if held_out is None else self._validate(held_out)
        loss, accuracy = run.position.sums.read().mean(self.model._spec.answers)
        val_loss, val_accuracy = (None, None) if tested is None else tested
        seconds, self.seconds = self.seconds, 0.0
        result = EpochResult(
            run.epoch + 1, plan.epochs, loss, accuracy, val_loss, val_accuracy, seconds
        )
        results = (*run.position.results, result)
        best, stopping = run.position.best, plan.early_stopping
        is_best = stopping is not None and stopping._best_epoch(results) == result.epoch
        if stopping is not None and stopping.restore_best and is_best:
            best = self.model._parameter_array.copy()
            if not np.isfinite(best).all():  # another thread wrote into them meanwhile
                self._fail(Fault(after(plan.steps, plan.steps), PARAMETERS))
        run.position = Position(results, RunningSums(Sums()), best)
        self.model._epochs_trained = run.epochs_trained
        if self.checkpoint is not None and (self.checkpoint.every == 0 or run.is_over):
            self._save()
        for callback in self.on_epoch:
            answer = callback(result)
            self.stopped |= isinstance(answer, (bool, np.bool_)) and bool(answer)
        if self.on_epoch:
            self._check_model("after its callbacks", result.epoch, trained=False)
        if self.stopped and self.checkpoint is not None and self.checkpoint.every > 0:
            self._save()

    def _validate(self, held_out: Data) -> Evaluation:
        """The parameters are finite, as is known, and stay: the error costs no training."""
        try:
            return self.model._evaluate(held_out)
        except NotFinite:
            place = f"epoch {self.run.epoch + 1}, after its last step: "
            left = "the model is as the epoch's steps left it"
            held = self.examples.held
            bad, whose = held_out.find_not_finite(), "validation "
            if held is not None:  # by the number of the caller's row
                bad, whose = self.examples.data.find_not_finite(held), ""
            if bad is not None:
                raise ArgumentError(f"{place}{whose}{bad[1]}: {CORRECT}; {left}") from None
            raise DivergenceError(
                f"{place}the loss over the validation data is not finite: try features scaled to"
                f" about 1, or a smaller learning rate; {left}"
            ) from None

    # ------------------------------------------------------------ checkpoints

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        self._check_model(f"after step {self.run.step}")
        self.model._save(self.checkpoint.path, self.run)
        self.is_kept = True

    def _check_model(self, place: str, epoch: int | None = None, *, trained: bool = True) -> None:
        """Whoever wrote into the model: a step, a callback, or another thread."""
        if (what := not_finite(self.model)) is not None:
            self._fail(Fault(place, what, trained=trained), epoch)

    def _fail(self, fault: Fault, epoch: int | None = None) -> NoReturn:
        """Go back to the last checkpoint, and say what is wrong and what to try."""
        self.failed = True
        run = self.run
        back, why = self._go_back()  # at once: to look may be interrupted
        named = f"epoch {run.epoch + 1 if epoch is None else epoch}, {fault.place}"
        rows = self.order[fault.rows]
        fault = fault._replace(place=named)
        raise explain(fault, self.examples.data, rows, run.plan.optimizer, back, why) from None

    def _go_back(self) -> tuple[str | None, str]:
        """Go back to the last checkpoint, if it is there and of this run.

        Returns:
            Where the model is now; or None, and why it could not go back, if it was to.
        """
        if self.checkpoint is None or not self.is_kept:
            return None, ""
        try:
            place = self.model._go_back_to(self.checkpoint.path, self.run.id)
        except (OSError, FileFormatError, MemoryError) as error:
            return None, f", as its checkpoint cannot be used ({error})"
        return f"the model is back at its last checkpoint, {place}", ""


NO_ROWS = slice(0)
PARAMETERS = "some parameters are not finite any more"


class Fault(NamedTuple):
    """Where a training went wrong, and what is not finite, in words."""

    place: str
    what: str
    rows: slice = NO_ROWS
    """Of the order: those of the step that failed, where it may be for their features."""
    trained: bool = True
    """Whether steps may be to blame, and not a callback alone."""


def after(step: int, steps: int) -> str:
    """Where an epoch, or a call of `partial_fit`, stands after one of its steps."""
    return "after its last step" if step == steps else f"after step {step}"


def not_finite(model: Model) -> str | None:
    """What of a model is not finite, in words; None if all is."""
    if not np.isfinite(model._parameter_array).all():
        return PARAMETERS
    if not all(np.isfinite(moment).all() for moment in model._state.moments):
        return "some of the optimizer's moments are not finite any more"
    return None


def diagnose(model: Model, sums: Sums, batch_size: int, steps: int) -> Fault:
    """What the C library stopped for, in a step or after the last of a call.

    A step with a loss or a feature that is not finite makes no update. So parameters that are not
    finite then are the work of the step before: which step is named does not depend on how steps
    were cut into calls.
    """
    step = -(-sums.rows // batch_size)
    what = not_finite(model)
    if what is not None:
        return Fault(after(step if math.isfinite(sums.loss) else step - 1, steps), what)
    rows = slice((step - 1) * batch_size, sums.rows)
    return Fault(f"step {step} of {steps}", "the loss is not finite any more", rows)


def explain(
    fault: Fault,
    data: Data,
    rows: npt.NDArray[Any],
    optimizer: Optimizer,
    back: str | None = None,
    why: str = "",
) -> PynnError:
    """The error for a fault: what is wrong and what to try.

    Args:
        fault: The fault.
        data: What was trained on.
        rows: Which rows of it may have been the cause.
        optimizer: What made the steps.
        back: Where the model is now, if it went back.
        why: What to say of it if it could not.
    """
    bad = data.find_not_finite(rows)
    if bad is not None:
        left = back or f"the model is as the step before left it{why}"
        return ArgumentError(f"{fault.place}: {bad[1]}: {CORRECT}; {left}")
    advice = (
        f": try a smaller learning rate than {optimizer._rate_in_words()}, features scaled to about"
        " 1, or another init"
    )
    left = back or f"the model's parameters are lost{why}: build it or load it anew"
    return DivergenceError(f"{fault.place}: {fault.what}{advice if fault.trained else ''}; {left}")


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
