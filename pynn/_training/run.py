"""What a run of `fit` is of, where it stands, and how a checkpoint says that.

What an epoch's end changes is one assignment of a `Position`, whose sums the C library counts up
while it steps: so whenever Ctrl-C comes, parameters and position belong together.
"""

from __future__ import annotations

import math
import os
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pynn._base import checks, reading
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn._files.model_file import MOMENTS
from pynn._native.data import Data
from pynn._native.state import State
from pynn._native.workspace import RunningSums, Sums
from pynn._training import optimizers, stopping
from pynn._training.history import EpochResult
from pynn._training.optimizers import Optimizer
from pynn._training.stopping import EarlyStopping


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

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            **self._asdict(),
            "optimizer": optimizers.to_dict(self.optimizer),
            "early_stopping": stopping.to_dict(self.early_stopping),
        }

    @classmethod
    def from_dict(cls, run: dict[str, Any]) -> Plan:
        """The plan among the entries of a run; errors as `Run.from_dict`."""
        whole = {
            name: checks.integer(name, run[name], least=1, most=2**62)
            for name in ("epochs", "batch_size", "rows")
        }
        fingerprint = checks.integer("fingerprint", run["fingerprint"], least=0, most=2**32 - 1)
        if not isinstance(run["shuffle"], bool):
            raise ValueError(f"shuffle must be a bool, got {checks.describe(run['shuffle'])}")
        return cls(
            optimizer=optimizers.from_dict(run["optimizer"]),
            shuffle=run["shuffle"],
            fraction=_finite(run["fraction"]),
            early_stopping=stopping.from_dict(run["early_stopping"]),
            fingerprint=fingerprint,
            **whole,
        )


class Position(NamedTuple):
    """Where a run stands: the epochs that are done, and what the steps since then have summed."""

    results: tuple[EpochResult, ...]
    sums: RunningSums
    best: Floats | None = None
    """The parameters after the best epoch, where early stopping restores them."""


class Run:
    """A call of `fit` and how far it is.

    Args:
        plan: What it is of.
        first_epoch: Epochs that the model was trained for before.
        results: Those of the epochs that are done.
        sums: Those of the steps that are done since.
        best: The parameters after the best epoch.

    Its `id` is drawn anew for each call of `fit`, also one that resumes a run. By it the call knows
    a checkpoint that it has written itself from one that another call, perhaps in another process,
    has put in its place.
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
        self.id = _new_id()

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
        early = plan.early_stopping
        stopped = early is not None and len(results) > 0 and early._is_over(results)
        return len(results) >= plan.epochs or stopped

    def continues(self, plan: Plan, path: str, *, validated: bool) -> None:
        """Take on the epochs of a call of `fit` that resumes this run, with validation or without.

        Raises:
            ArgumentError: The call is of something else.
        """
        file = reading.shown(path)
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
                same = optimizers.to_dict(ours) == optimizers.to_dict(
                    theirs
                )  # a callable of the caller's is any
            if not same:
                raise ArgumentError(
                    f"{name} must be {ours}, as in the run that {file} keeps, got {theirs};"
                    " to start anew from its parameters, use pynn.load"
                )
        if plan.fingerprint != self.plan.fingerprint:
            raise ArgumentError(
                f"features, labels and weights must be those of the run that {file} keeps; they"
                " have changed. To start anew from its parameters, use pynn.load"
            )
        results = self.position.results
        if results and (results[0].val_loss is not None) != validated:
            needs, got = ("None", "data") if validated else ("given", "None")
            raise ArgumentError(
                f"validation must be {needs}, as in the run that {file} keeps, got {got}; to start"
                " anew from its parameters, use pynn.load"
            )
        begun = self.epoch + (self.step > 0)
        if plan.epochs < begun:
            raise ArgumentError(
                f"epochs must be at least {begun}, as many are begun in {file}, got {plan.epochs}"
            )
        self.plan = plan
        self.id = _new_id()

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        results, sums, _ = self.position
        return {
            **self.plan.to_dict(),
            "id": self.id,
            "first_epoch": self.first_epoch,
            "results": [[_kept(figure) for figure in result] for result in results],
            "sums": list(sums.read()),
        }

    @classmethod
    def from_dict(
        cls, run: dict[str, Any], best: Floats | None = None, *, has_accuracy: bool
    ) -> Run:
        """The run that to_dict() gave; ValueError, TypeError or LookupError if it is damaged.

        has_accuracy: whether the model's loss has one.
        """
        checks.no_others("the run", run, _ENTRIES)
        plan = Plan.from_dict(run)
        first_epoch = checks.integer("first_epoch", run["first_epoch"], least=0, most=2**62)
        results = tuple(map(_result, run["results"]))
        _check_figures(results, has_accuracy=has_accuracy)
        loss, correct, rows = run["sums"]
        correct = checks.integer("sums", correct, least=0, most=2**62)
        rows = checks.integer("sums", rows, least=0, most=plan.rows)
        if rows % plan.batch_size and rows != plan.rows:
            raise ValueError(f"{rows} examples are no whole steps of {plan.batch_size}")
        if len(results) > plan.epochs or (len(results) == plan.epochs and rows):
            raise ValueError(f"more is done than {plan.epochs} epochs")
        _check_best(best, plan.early_stopping, results)
        found = cls(plan, first_epoch, results, Sums(_finite(loss), correct, rows), best)
        found.id = _id(run.get("id", found.id))  # the first files had none
        return found

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
        if not isinstance(kept, dict):
            raise ValueError(f"state must be an object, got {checks.describe(kept)}")
        checks.no_others("state", kept, ("kind", "updates", "moments"))
        kind = kept["kind"]
        updates = checks.integer("updates", kept["updates"], least=0, most=2**62)
        most = 0 if kind is None else len(optimizers.of_kind(kind)._moments)
        count = checks.integer("moments", kept["moments"], least=0, most=most)
        if extra := [name for name in MOMENTS[count:] if name in arrays]:
            raise ValueError(f"its optimizer has no {extra[0]}, which is among the tensors")
        moments = [arrays[name].copy() for name in MOMENTS[:count]]
        for name, moment in zip(MOMENTS, moments, strict=False):
            check_finite(name, moment)
        state.restore(state.step, updates, kind, moments)


_ENTRIES = (*Plan._fields, "id", "first_epoch", "results", "sums", "state")


def _new_id() -> str:
    """32 digits, which no other call of `fit` draws."""
    return os.urandom(16).hex()


def _id(entry: Any) -> str:
    """What _new_id() gave; as `Run.from_dict` if it is damaged."""
    if not isinstance(entry, str) or not re.fullmatch("[0-9a-f]{32}", entry):
        raise ValueError(f"id must be 32 hexadecimal digits, got {checks.describe(entry)}")
    return entry


def _result(entry: Any) -> EpochResult:
    """The figures of an epoch that to_dict() gave; as `Run.from_dict` if they are damaged."""
    epoch, epochs, loss, accuracy, val_loss, val_accuracy, seconds = entry
    return EpochResult(
        checks.integer("epoch", epoch, least=1),
        checks.integer("epochs", epochs, least=1),
        _finite(loss),
        math.nan if accuracy is None else _finite(accuracy),
        None if val_loss is None else _finite(val_loss),
        _val_accuracy(val_loss, val_accuracy),
        _finite(seconds),
    )


def _check_figures(results: Sequence[EpochResult], *, has_accuracy: bool) -> None:
    """That all epochs have the figures of their loss, and validation or none: else ValueError."""
    for result in results:
        validated = results[0].val_loss is not None
        tested = result.val_accuracy
        has_tested = tested is not None and not math.isnan(tested)
        has = (not math.isnan(result.accuracy), result.val_loss is not None, has_tested)
        if has != (has_accuracy, validated, validated and has_accuracy):
            raise ValueError(f"the figures of epoch {result.epoch} are not those of its loss")


def _check_best(
    best: Floats | None, early: EarlyStopping | None, results: Sequence[EpochResult]
) -> None:
    """That a run has the parameters of its best epoch, if it is to restore some, and no others."""
    restores = early is not None and early.restore_best and early._best_epoch(results) > 0
    if restores and best is None:
        raise KeyError("best")
    if best is not None:
        check_finite("best", best)
    if best is not None and not restores:
        raise ValueError("it has the tensor best, and no best epoch to restore")


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
        raise ValueError(f"a figure must be a finite number, got {checks.describe(figure)}")
    return float(figure)


def check_finite(name: str, array: Floats) -> None:
    """That an array of a checkpoint is as one that `fit` writes; as `Run.from_dict` if not."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: a value is not finite")


def fingerprint(data: Data) -> int:
    """A checksum of all answers and weights, and of up to 64 rows: to notice other examples."""
    assert data.targets is not None
    some = data.features[:: -(-data.rows // 64)]
    kind = f"{math.prod(data.features.shape[1:])} {data.features.dtype}"
    checksum = zlib.crc32(data.targets.data, zlib.crc32(kind.encode()))
    if data.weights is not None:
        checksum = zlib.crc32(data.weights.data, checksum)
    return zlib.crc32(np.ascontiguousarray(some).data, checksum)
