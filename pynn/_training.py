"""One call of `fit`: where it stands, its steps, its checkpoints, and how it ends early.

A run is at a boundary between two steps whenever Python can look. Its position is read from the
sums that the C library counts up while it steps, and what an epoch's end changes is one assignment
of a `Position`: so whenever Ctrl-C comes, parameters and position belong together.
"""

from __future__ import annotations

import math
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from pynn import _boundary, _checks
from pynn._boundary import Data, Floats, NotFinite, RunningSums, State, Sums
from pynn._errors import ArgumentError, DivergenceError
from pynn._examples import Examples
from pynn._history import EpochResult, Evaluation, History, Progress
from pynn._optimizers import Optimizer, from_dict, to_dict
from pynn._stopping import EarlyStopping, from_entry, to_entry

if TYPE_CHECKING:
    from pynn._model import Model

SHUFFLE_STREAMS = 1 << 32
"""Random stream of the first epoch's order; those below are the layers' (see pynn.h)."""

CORRECT = "correct or remove such examples, for instance with np.nan_to_num"

MOMENTS = ("optimizer.first", "optimizer.second")
"""The names that a checkpoint keeps an optimizer's moments by."""

OnEpoch = Callable[[EpochResult], object]  # True ends the training
OnProgress = Callable[[Progress], object]


class Plan(NamedTuple):
    """What a run is of; a run that is resumed must be of the same, but for the epochs."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    rows: int
    shuffle: bool
    fraction: float
    """Of the examples that are held out for validation."""
    early_stopping: EarlyStopping | None
    fingerprint: int
    """Of the examples: a checksum of all labels and weights and of some rows."""

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-self.rows // self.batch_size)


class Position(NamedTuple):
    """Where a run stands: the epochs that are done, and what the steps since then have summed."""

    results: tuple[EpochResult, ...]
    sums: RunningSums
    best: Floats | None = None
    """The parameters after the best epoch, where early stopping restores them."""


class Checkpoint(NamedTuple):
    """Where to keep a run, and after how many steps each time; 0 is after each epoch."""

    path: str | os.PathLike[str]
    every: int


class Run:
    """A call of `fit` and how far it is.

    Args:
        plan: What it is of.
        first_epoch: Epochs that the model was trained for before.
        results: Those of the epochs that are done.
        sums: Those of the steps that are done since.
        best: The parameters after the best epoch.
    """

    def __init__(
        self,
        plan: Plan,
        first_epoch: int,
        results: tuple[EpochResult, ...] = (),
        sums: Sums | None = None,
        best: Floats | None = None,
    ) -> None:
        self.plan = plan
        self.first_epoch = first_epoch
        self.position = Position(results, RunningSums(sums or Sums()), best)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.position.results)

    @property
    def step(self) -> int:
        """Steps done since."""
        return -(-self.position.sums.read().rows // self.plan.batch_size)

    @property
    def epochs_trained(self) -> int:
        """Epochs that the model has been trained for, with those before the run."""
        return self.first_epoch + self.epoch

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        plan, results = self.plan, self.position.results
        stopping = plan.early_stopping
        stopped = stopping is not None and len(results) > 0 and stopping._is_over(results)
        return len(results) >= plan.epochs or stopped

    def continues(self, plan: Plan, path: str, *, validated: bool) -> None:
        """Take on the epochs of a call of `fit` that resumes this run, with validation or without.

        Raises:
            ArgumentError: The call is of something else.
        """
        for name, ours, theirs in (
            ("batch_size", self.plan.batch_size, plan.batch_size),
            ("shuffle", self.plan.shuffle, plan.shuffle),
            ("validation, as a fraction,", self.plan.fraction, plan.fraction),
            ("the number of examples", self.plan.rows, plan.rows),
            ("early_stopping", self.plan.early_stopping, plan.early_stopping),
            ("optimizer", self.plan.optimizer, plan.optimizer),
        ):
            same = ours == theirs
            if isinstance(ours, Optimizer) and isinstance(theirs, Optimizer):
                same = to_dict(ours) == to_dict(theirs)  # a callable of the caller's is any
            if not same:
                raise ArgumentError(
                    f"{name} must be {ours}, as in the run that {path} keeps, got {theirs};"
                    " to start anew from its parameters, use pynn.load"
                )
        if plan.fingerprint != self.plan.fingerprint:
            raise ArgumentError(
                f"features, labels and weights must be those of the run that {path} keeps; they"
                " have changed. To start anew from its parameters, use pynn.load"
            )
        results = self.position.results
        if results and (results[0].val_loss is not None) != validated:
            needs, got = ("None", "data") if validated else ("given", "None")
            raise ArgumentError(
                f"validation must be {needs}, as in the run that {path} keeps, got {got}; to start"
                " anew from its parameters, use pynn.load"
            )
        begun = self.epoch + (self.step > 0)
        if plan.epochs < begun:
            raise ArgumentError(
                f"epochs must be at least {begun}, as many are begun in {path}, got {plan.epochs}"
            )
        self.plan = plan

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        results, sums, _ = self.position
        plan = self.plan._asdict()
        plan["optimizer"] = to_dict(self.plan.optimizer)
        plan["early_stopping"] = to_entry(self.plan.early_stopping)
        return {
            **plan,
            "first_epoch": self.first_epoch,
            "results": [[_kept(figure) for figure in result] for result in results],
            "sums": list(sums.read()),
        }

    @classmethod
    def from_dict(cls, run: dict[str, Any], best: Floats | None = None) -> Run:
        """The run that to_dict() gave; ValueError, TypeError or LookupError if it is damaged."""
        if not isinstance(run, dict):
            raise ValueError(f"it must be an object, got {_checks.describe(run)}")
        whole = {
            name: _checks.integer(name, run[name], least=least, most=2**62)
            for name, least in (("epochs", 1), ("batch_size", 1), ("rows", 1), ("first_epoch", 0))
        }
        first_epoch = whole.pop("first_epoch")
        fingerprint = _checks.integer("fingerprint", run["fingerprint"], least=0, most=2**32 - 1)
        if not isinstance(run["shuffle"], bool):
            raise ValueError(f"shuffle must be a bool, got {_checks.describe(run['shuffle'])}")
        plan = Plan(
            optimizer=from_dict(run["optimizer"]),
            shuffle=run["shuffle"],
            fraction=_finite(run["fraction"]),
            early_stopping=from_entry(run["early_stopping"]),
            fingerprint=fingerprint,
            **whole,
        )
        results = tuple(map(_result, run["results"]))
        loss, correct, rows = run["sums"]
        correct = _checks.integer("sums", correct, least=0, most=2**62)
        rows = _checks.integer("sums", rows, least=0, most=plan.rows)
        if rows % plan.batch_size and rows != plan.rows:
            raise ValueError(f"{rows} examples are no whole steps of {plan.batch_size}")
        if len(results) > plan.epochs or (len(results) == plan.epochs and rows):
            raise ValueError(f"more is done than {plan.epochs} epochs")
        stopping = plan.early_stopping
        needs_best = stopping is not None and stopping.restore_best and best is None
        if stopping is not None and needs_best and stopping._best_epoch(results) > 0:
            raise KeyError("best")
        return cls(plan, first_epoch, results, Sums(_finite(loss), correct, rows), best)

    def keep(self, state: State) -> tuple[dict[str, Any], dict[str, Floats]]:
        """What a checkpoint keeps of the run and its optimizer: an entry for JSON, and arrays."""
        moments = [moment.copy() for moment in state.moments]
        arrays = dict(zip(MOMENTS, moments, strict=False))
        if self.position.best is not None:
            arrays["best"] = self.position.best
        kept = {"kind": state.kind, "updates": state.updates, "moments": len(moments)}
        return {**self.to_dict(), "state": kept}, arrays

    def restore(self, state: State, entry: dict[str, Any], arrays: Mapping[str, Floats]) -> None:
        """Bring a state to where keep() found it; errors as from_dict()."""
        kept = entry["state"]
        kind = kept["kind"]
        updates = _checks.integer("updates", kept["updates"], least=0, most=2**62)
        if kind not in (None, "sgd", "adam", "adamw"):
            raise ValueError(f"unknown optimizer {_checks.describe(kind)}")
        count = _checks.integer("moments", kept["moments"], least=0, most=len(MOMENTS))
        moments = [arrays[name].copy() for name in MOMENTS[:count]]
        state.restore(state.step, updates, kind, moments)


def _result(entry: Any) -> EpochResult:
    """The figures of an epoch that to_dict() gave; as `Run.from_dict` if they are damaged."""
    epoch, epochs, loss, accuracy, val_loss, val_accuracy, seconds = entry
    return EpochResult(
        _checks.integer("epoch", epoch, least=1),
        _checks.integer("epochs", epochs, least=1),
        _finite(loss),
        math.nan if accuracy is None else _finite(accuracy),
        None if val_loss is None else _finite(val_loss),
        _val_accuracy(val_loss, val_accuracy),
        _finite(seconds),
    )


def _val_accuracy(val_loss: Any, val_accuracy: Any) -> float | None:
    """None without validation, nan for regression; both are null in a file."""
    if val_accuracy is None:
        return None if val_loss is None else math.nan
    return _finite(val_accuracy)


def _kept(figure: Any) -> Any:
    """JSON has no nan."""
    return None if isinstance(figure, float) and math.isnan(figure) else figure


def _finite(figure: Any) -> float:
    """A figure, as no other is ever kept; as `Run.from_dict` if it is damaged."""
    if type(figure) not in (int, float) or not -sys.float_info.max <= figure <= sys.float_info.max:
        raise ValueError(f"a figure must be a finite number, got {_checks.describe(figure)}")
    return float(figure)


def fingerprint(data: Data) -> int:
    """A checksum of all answers and weights, and of up to 64 rows: to notice other examples."""
    assert data.answers is not None
    some = data.features[:: -(-data.rows // 64)]
    kind = f"{math.prod(data.features.shape[1:])} {data.features.dtype}"
    checksum = zlib.crc32(data.answers.data, zlib.crc32(kind.encode()))
    if data.weights is not None:
        checksum = zlib.crc32(data.weights.data, checksum)
    return zlib.crc32(np.ascontiguousarray(some).data, checksum)


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
        back = "the model's parameters are lost: build it or load it anew"
        if self.checkpoint is not None and self.is_kept:  # at once: to look may be interrupted
            place_kept = self.model._go_back_to(self.checkpoint.path)
            back = f"the model is back at its last checkpoint, {place_kept}"
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
