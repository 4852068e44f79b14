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
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from pynn import _boundary, _checks
from pynn._boundary import Data, NotFinite, RunningSums, Sums
from pynn._errors import ArgumentError, DivergenceError
from pynn._history import EpochResult, Evaluation, History, Progress
from pynn._optimizers import SGD, from_dict, to_dict

if TYPE_CHECKING:
    from pynn._model import Model

SHUFFLE_STREAMS = 1 << 32
"""Random stream of the first epoch's order; those below are the layers' (see pynn.h)."""

CORRECT = "correct or remove such examples, for instance with np.nan_to_num"

OnEpoch = Callable[[EpochResult], object]
OnProgress = Callable[[Progress], object]


class Plan(NamedTuple):
    """What a run is of; a run that is resumed must be of the same, but for the epochs."""

    epochs: int
    batch_size: int
    optimizer: SGD
    rows: int
    fingerprint: int
    """Of the examples: a checksum of all labels and some rows."""

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-self.rows // self.batch_size)


class Position(NamedTuple):
    """Where a run stands: the epochs that are done, and what the steps since then have summed."""

    results: tuple[EpochResult, ...]
    sums: RunningSums


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
    """

    def __init__(
        self,
        plan: Plan,
        first_epoch: int,
        results: tuple[EpochResult, ...] = (),
        sums: Sums | None = None,
    ) -> None:
        self.plan = plan
        self.first_epoch = first_epoch
        self.position = Position(results, RunningSums(sums or Sums()))

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

    def continues(self, plan: Plan, path: str, *, validated: bool) -> None:
        """Take on the epochs of a call of `fit` that resumes this run, with validation or without.

        Raises:
            ArgumentError: The call is of something else.
        """
        for name, ours, theirs in (
            ("batch_size", self.plan.batch_size, plan.batch_size),
            ("optimizer", self.plan.optimizer, plan.optimizer),
            ("the number of examples", self.plan.rows, plan.rows),
        ):
            if ours != theirs:
                raise ArgumentError(
                    f"{name} must be {ours}, as in the run that {path} keeps, got {theirs};"
                    " to start anew from its parameters, use pynn.load"
                )
        if plan.fingerprint != self.plan.fingerprint:
            raise ArgumentError(
                f"features and labels must be those of the run that {path} keeps; they have"
                " changed. To start anew from its parameters, use pynn.load"
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
        results, sums = self.position
        return {
            "epochs": self.plan.epochs,
            "batch_size": self.plan.batch_size,
            "optimizer": to_dict(self.plan.optimizer),
            "rows": self.plan.rows,
            "fingerprint": self.plan.fingerprint,
            "first_epoch": self.first_epoch,
            "results": [list(result) for result in results],
            "sums": list(sums.read()),
        }

    @classmethod
    def from_dict(cls, run: dict[str, Any]) -> Run:
        """The run that to_dict() gave; ValueError, TypeError or LookupError if it is damaged."""
        if not isinstance(run, dict):
            raise ValueError(f"it must be an object, got {_checks.describe(run)}")
        whole = {
            name: _checks.integer(name, run[name], least=least, most=2**62)
            for name, least in (("epochs", 1), ("batch_size", 1), ("rows", 1), ("first_epoch", 0))
        }
        first_epoch = whole.pop("first_epoch")
        fingerprint = _checks.integer("fingerprint", run["fingerprint"], least=0, most=2**32 - 1)
        plan = Plan(optimizer=from_dict(run["optimizer"]), fingerprint=fingerprint, **whole)
        results = tuple(map(_result, run["results"]))
        loss, correct, rows = run["sums"]
        correct = _checks.integer("sums", correct, least=0, most=2**62)
        rows = _checks.integer("sums", rows, least=0, most=plan.rows)
        if rows % plan.batch_size and rows != plan.rows:
            raise ValueError(f"{rows} examples are no whole steps of {plan.batch_size}")
        if len(results) > plan.epochs or (len(results) == plan.epochs and rows):
            raise ValueError(f"more is done than {plan.epochs} epochs")
        return cls(plan, first_epoch, results, Sums(_finite(loss), correct, rows))


def _result(entry: Any) -> EpochResult:
    """The figures of an epoch that to_dict() gave; as `Run.from_dict` if they are damaged."""
    epoch, epochs, loss, accuracy, val_loss, val_accuracy, seconds = entry
    return EpochResult(
        _checks.integer("epoch", epoch, least=1),
        _checks.integer("epochs", epochs, least=1),
        _finite(loss),
        _finite(accuracy),
        None if val_loss is None else _finite(val_loss),
        None if val_accuracy is None else _finite(val_accuracy),
        _finite(seconds),
    )


def _finite(figure: Any) -> float:
    """A figure, as no other is ever kept; as `Run.from_dict` if it is damaged."""
    if type(figure) not in (int, float) or not -sys.float_info.max <= figure <= sys.float_info.max:
        raise ValueError(f"a figure must be a finite number, got {_checks.describe(figure)}")
    return float(figure)


def fingerprint(data: Data) -> int:
    """A checksum of all labels and of up to 64 rows: to notice examples that are not the same."""
    assert data.labels is not None
    some = data.features[:: -(-data.rows // 64)]
    kind = f"{math.prod(data.features.shape[1:])} {data.features.dtype}"
    checksum = zlib.crc32(data.labels.data, zlib.crc32(kind.encode()))
    return zlib.crc32(np.ascontiguousarray(some).data, checksum)


class Trainer:
    """Carries out a run on a model.

    Args:
        model: The model; its `fit` holds the lock that lets only one run.
        run: The run.
        examples: What it trains on: features and labels as they are lent to C.
        held_out: What each epoch is validated on, if anything.
        on_epoch: See `Model.fit`.
        on_progress: See `Model.fit`.
        checkpoint: Where to keep the run, if anywhere.
    """

    def __init__(
        self,
        model: Model,
        run: Run,
        examples: Data,
        held_out: Data | None,
        on_epoch: OnEpoch | None,
        on_progress: OnProgress | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.model = model
        self.run = run
        self.examples = examples
        self.held_out = held_out
        self.on_epoch = on_epoch
        self.on_progress = on_progress
        self.checkpoint = checkpoint
        self.seconds = 0.0
        self.order = np.empty(0, np.uint32)
        self.failed = False
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
            while run.epoch < run.plan.epochs:
                self._steps()
                self._end_epoch()
        except BaseException as why:  # Ctrl-C, or a callback's own
            if not self.failed:
                self.model._epochs_trained = run.epochs_trained
                try:
                    self._save()
                except Exception:  # a full disk: the context of what came first, not in its place
                    raise why  # noqa: B904
            raise
        return History.of(run.position.results)

    def _steps(self) -> None:
        """Those that are left of the epoch."""
        run, plan = self.run, self.run.plan
        stream = SHUFFLE_STREAMS + run.epochs_trained
        self.order = _boundary.permutation(self.model.seed, stream, plan.rows)
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
                means = run.position.sums.read().mean()
                epoch = run.epoch + 1
                self.on_progress(Progress(epoch, plan.epochs, last, plan.steps, *means))

    def _run_steps(self, first: int, last: int) -> None:
        plan = self.run.plan
        began = time.perf_counter()
        try:
            self.model._train(
                self.examples,
                self.order,
                plan.batch_size,
                first,
                last,
                plan.optimizer.learning_rate,
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
        tested = None if self.held_out is None else self._validate(self.held_out)
        loss, accuracy = run.position.sums.read().mean()
        val_loss, val_accuracy = (None, None) if tested is None else tested
        seconds, self.seconds = self.seconds, 0.0
        result = EpochResult(
            run.epoch + 1, plan.epochs, loss, accuracy, val_loss, val_accuracy, seconds
        )
        run.position = Position((*run.position.results, result), RunningSums(Sums()))
        self.model._epochs_trained = run.epochs_trained
        if self.checkpoint is not None and (self.checkpoint.every == 0 or run.epoch == plan.epochs):
            self._save()
        if self.on_epoch is not None:
            self.on_epoch(result)

    def _validate(self, held_out: Data) -> Evaluation:
        """The parameters are finite, as is known, and stay: the error costs no training."""
        try:
            return self.model._evaluate(held_out)
        except NotFinite:
            place = f"epoch {self.run.epoch + 1}, after its last step: "
            left = "the model is as the epoch's steps left it"
            bad = held_out.find_not_finite()
            if bad is not None:
                raise ArgumentError(f"{place}validation {bad[1]}: {CORRECT}; {left}") from None
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
        bad = self.examples.find_not_finite(self.order[: run.position.sums.read().rows])
        if bad is not None:
            step = f"step {bad[0] // plan.batch_size + 1} of {plan.steps}"
            raise ArgumentError(f"{epoch}, {step}: {bad[1]}: {CORRECT}; {back}") from None
        raise DivergenceError(
            f"{epoch}, {place}: {what}: try a smaller learning rate than"
            f" {plan.optimizer.learning_rate:g}, features scaled to about 1, or another init;"
            f" {back}"
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
