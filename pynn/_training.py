"""One call of `fit`: where it stands, its steps, its checkpoints, and how it ends early.

A run is at a boundary between two steps whenever Python can look. Its position is read from the
sums that the C library counts up while it steps, and what an epoch's end changes is one assignment
of a `Position`: so whenever Ctrl-C comes, parameters and position belong together.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from pynn import _boundary, _checks
from pynn._boundary import Data, NotFinite, RunningSums, Sums
from pynn._errors import ArgumentError, DivergenceError
from pynn._history import EpochResult, History, Progress
from pynn._optimizers import SGD, from_dict, to_dict

if TYPE_CHECKING:
    from pynn._model import Model

SHUFFLE_STREAMS = 1 << 32
"""Random stream of the first epoch's order; those below are the layers' (see pynn.h)."""

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

    def continues(self, plan: Plan, path: str) -> None:
        """Take on the epochs of a call of `fit` that resumes this run.

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
                    f"{name} must be {ours}, as in the run that {path} resumes, got {theirs};"
                    " to start anew from its parameters, use pynn.load"
                )
        if plan.fingerprint != self.plan.fingerprint:
            raise ArgumentError(
                f"features and labels must be those of the run that {path} resumes; they have"
                " changed. To start anew from its parameters, use pynn.load"
            )
        if plan.epochs < self.epoch:
            raise ArgumentError(
                f"epochs must be at least {self.epoch}, as many are done in {path}, got"
                f" {plan.epochs}"
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
        whole = {
            name: _checks.integer(name, run[name], least=least, most=2**62)
            for name, least in (("epochs", 1), ("batch_size", 1), ("rows", 1), ("first_epoch", 0))
        }
        first_epoch = whole.pop("first_epoch")
        fingerprint = _checks.integer("fingerprint", run["fingerprint"], least=0, most=2**32 - 1)
        plan = Plan(optimizer=from_dict(run["optimizer"]), fingerprint=fingerprint, **whole)
        results = tuple(EpochResult(*_figures(result)) for result in run["results"])
        loss, correct, rows = run["sums"]
        correct = _checks.integer("sums", correct, least=0, most=2**62)
        rows = _checks.integer("sums", rows, least=0, most=plan.rows)
        if rows % plan.batch_size and rows != plan.rows:
            raise ValueError(f"{rows} examples are no whole steps of {plan.batch_size}")
        if len(results) > plan.epochs or (len(results) == plan.epochs and rows):
            raise ValueError(f"more is done than {plan.epochs} epochs")
        return cls(plan, first_epoch, results, Sums(float(loss), correct, rows))


def _figures(result: Any) -> list[Any]:
    if not isinstance(result, list) or not all(
        figure is None or (isinstance(figure, (int, float)) and not isinstance(figure, bool))
        for figure in result
    ):
        raise ValueError(f"an epoch's result must be a list of numbers, is {result!r}")
    return result


def fingerprint(data: Data) -> int:
    """A checksum of all labels and of up to 64 rows: to notice examples that are not the same."""
    assert data.labels is not None
    some = data.features[:: -(-data.rows // 64)]
    kind = f"{data.features.shape[1:]} {data.features.dtype}"
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
        self.is_kept = False  # the checkpoint's file is of this run
        self.failed = False

    def train(self) -> History:
        """All that is left of the run.

        Raises:
            DivergenceError: A loss or the parameters stopped being finite.
            ArgumentError: Because of a feature that is not.
        """
        run = self.run
        self._save()
        try:
            while run.epoch < run.plan.epochs:
                self._steps()
                self._end_epoch()
        except BaseException:  # Ctrl-C, or a callback's own
            if not self.failed:
                self._save()
            raise
        return History.of(run.position.results)

    def _steps(self) -> None:
        """Those that are left of the epoch."""
        run, plan = self.run, self.run.plan
        stream = SHUFFLE_STREAMS + run.epochs_trained
        order = _boundary.permutation(self.model.seed, stream, plan.rows)
        every = 0 if self.checkpoint is None else self.checkpoint.every
        before = run.epoch * plan.steps  # of the run, in earlier epochs
        for first, last in paced(run.step, plan.steps):
            while first < last:
                stop = min(last, first + every - (before + first) % every) if every else last
                self._run_steps(order, first, stop)
                if every and (before + stop) % every == 0:
                    self._save()
                first = stop
            if self.on_progress is not None:
                means = run.position.sums.read().mean()
                epoch = run.epoch + 1
                self.on_progress(Progress(epoch, plan.epochs, last, plan.steps, *means))

    def _run_steps(self, order: npt.NDArray[np.uint32], first: int, last: int) -> None:
        plan = self.run.plan
        began = time.perf_counter()
        try:
            self.model._train(
                self.examples,
                order,
                plan.batch_size,
                first,
                last,
                plan.optimizer.learning_rate,
                self.run.position.sums,
            )
        except NotFinite:
            step = self.run.step
            rows = order[(step - 1) * plan.batch_size : step * plan.batch_size]
            place = f"epoch {self.run.epoch + 1}, step {step} of {plan.steps}: "
            self._fail(place, self.examples, rows, "the loss is not finite any more")
        self.seconds += time.perf_counter() - began

    def _end_epoch(self) -> None:
        """Validate, and go on to the next epoch."""
        run, plan = self.run, self.run.plan
        place = f"epoch {run.epoch + 1}, after its last step: "
        self._check_parameters(place)
        tested = None
        if self.held_out is not None:
            try:
                tested = self.model._evaluate(self.held_out)
            except NotFinite:
                what = "the loss over the validation data is not finite"
                self._fail(place + "validation ", self.held_out, None, what)
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

    # ------------------------------------------------------------ checkpoints

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        self._check_parameters(f"epoch {self.run.epoch + 1}, after step {self.run.step}: ")
        self.model._save(self.checkpoint.path, self.run)
        self.is_kept = True

    def _check_parameters(self, place: str) -> None:
        if not np.isfinite(self.model._parameter_array).all():
            self._fail(place, None, None, "some parameters are not finite any more")

    def _fail(
        self, place: str, data: Data | None, rows: npt.NDArray[np.uint32] | None, what: str
    ) -> NoReturn:
        """Go back to the last checkpoint, and say what is wrong and what to try."""
        self.failed = True
        if self.checkpoint is None or not self.is_kept:
            back = "the model's parameters are lost: build it or load it anew"
        else:
            place_kept = self.model._go_back_to(self.checkpoint.path)
            back = f"the model is back at its last checkpoint, {place_kept}"
        bad = None if data is None else data.find_not_finite(rows)
        if bad is not None:
            raise ArgumentError(
                f"{place}{bad}: correct or remove such examples, for instance with np.nan_to_num;"
                f" {back}"
            ) from None
        raise DivergenceError(
            f"{place.removesuffix('validation ')}{what}: try a smaller learning rate than"
            f" {self.run.plan.optimizer.learning_rate:g}, features scaled to about 1, or another"
            f" init; {back}"
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
