"""The steps of one call of `fit`, its checkpoints, and how it ends early.

A run is at a boundary between two steps whenever Python can look: see `_run` for where it stands.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from pynn import _boundary
from pynn._boundary import Data, NotFinite, RunningSums, Sums
from pynn._errors import ArgumentError, DivergenceError, FileFormatError
from pynn._examples import Examples
from pynn._history import EpochResult, Evaluation, History, Progress
from pynn._run import Position, Run

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
            self.order = _boundary.permutation(self.model.seed, stream, plan.rows)
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
            place = f"step {self.run.step} of {plan.steps}"
            self._fail(place, "the loss is not finite any more")
        self.seconds += time.perf_counter() - began

    def _end_epoch(self) -> None:
        """Validate, and go on to the next epoch."""
        run, plan = self.run, self.run.plan
        self._check_parameters("after its last step")
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
        run.position = Position(results, RunningSums(Sums()), best)
        self.model._epochs_trained = run.epochs_trained
        if self.checkpoint is not None and (self.checkpoint.every == 0 or run.is_over):
            self._save()
        for callback in self.on_epoch:
            answer = callback(result)
            self.stopped |= isinstance(answer, (bool, np.bool_)) and bool(answer)
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
        self._check_parameters(f"after step {self.run.step}")
        self.model._save(self.checkpoint.path, self.run)
        self.is_kept = True

    def _check_parameters(self, place: str) -> None:
        if not np.isfinite(self.model._parameter_array).all():
            self._fail(place, "some parameters are not finite any more")

    def _fail(self, place: str, what: str) -> NoReturn:
        """Go back to the last checkpoint, and say what is wrong and what to try.

        A feature that is infinite may show a step after its own, where an activation saturates: so
        all that the epoch has seen are looked at.
        """
        self.failed = True
        run, plan = self.run, self.run.plan
        epoch = f"epoch {run.epoch + 1}"
        back = self._go_back()  # at once: to look may be interrupted
        bad = self.examples.data.find_not_finite(self.order[: run.position.sums.read().rows])
        if bad is not None:
            step = f"step {bad[0] // plan.batch_size + 1} of {plan.steps}"
            raise ArgumentError(f"{epoch}, {step}: {bad[1]}: {CORRECT}; {back}") from None
        rate = plan.optimizer.learning_rate
        than = "that of the schedule" if callable(rate) else f"{rate:g}"
        raise DivergenceError(
            f"{epoch}, {place}: {what}: try a smaller learning rate than {than}, features scaled to"
            f" about 1, or another init; {back}"
        ) from None

    def _go_back(self) -> str:
        """Go back to the last checkpoint, if it is there and of this run; what came of it."""
        why = ""
        if self.checkpoint is not None and self.is_kept:
            try:
                place = self.model._go_back_to(self.checkpoint.path, self.run.id)
                return f"the model is back at its last checkpoint, {place}"
            except (OSError, FileFormatError, MemoryError) as error:
                why = f", as its checkpoint cannot be used ({error})"
        return f"the model's parameters are lost{why}: build it or load it anew"


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
