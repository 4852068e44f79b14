"""A run of `fit`: its plan, its position, and their form in a checkpoint.

When Ctrl-C comes, the checkpoint that is then written must have the position of exactly the steps
that the parameters were trained for. Within an epoch, C itself counts the rows of each step that it
has done, together with the update of the parameters, so no exception can come between the two. The
end of an epoch changes results, sums and best parameters by one assignment, of a new `Position`; so
an exception comes either before all of these changes or after them.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pynn._base import checks, reading
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn._native.data import Data
from pynn._native.state import State
from pynn._native.workspace import RunningSums, Sums
from pynn._network.spec import Spec
from pynn._training import augmentation, metrics, optimizers, stopping
from pynn._training.augmentation import Augmentation
from pynn._training.history import EpochResult
from pynn._training.lbfgs import BLOCK, ENDS, LBFGS
from pynn._training.optimizers import Optimizer
from pynn._training.stopping import EarlyStopping


class Plan(NamedTuple):
    """The arguments of a run. A call that resumes it must have the same ones, except `epochs`."""

    epochs: int
    batch_size: int
    optimizer: Optimizer
    rows: int
    """The number of examples to train on."""
    shuffle: bool
    fraction: float
    """The fraction of the examples that is held out for validation; 0 if none is."""
    early_stopping: EarlyStopping | None
    augmentation: Augmentation | None
    fingerprint: int
    """A checksum of the examples; see fingerprint()."""

    @property
    def steps(self) -> int:
        """The number of steps in an epoch."""
        return -(-self.rows // self.batch_size)

    @property
    def largest_batch(self) -> int:
        """The most examples that one call of C takes."""
        return min(self.batch_size, BLOCK) if self.optimizer._is_full_batch else self.batch_size

    def to_dict(self) -> dict[str, Any]:
        """Convert the plan to plain values for JSON, as older versions did if they can read it."""
        plan = {
            **self._asdict(),
            "optimizer": optimizers.to_dict(self.optimizer),
            "early_stopping": stopping.to_dict(self.early_stopping),
            "augmentation": augmentation.to_dict(self.augmentation),
        }
        if self.augmentation is None:
            del plan["augmentation"]
        return plan

    @classmethod
    def from_dict(cls, run: dict[str, Any]) -> Plan:
        """Make a plan from the entries of a run; errors are those of `Run.from_dict`."""
        whole = {
            name: checks.integer(name, run[name], least=1, most=2**62)
            for name in ("epochs", "batch_size", "rows")
        }
        fingerprint = checks.integer("fingerprint", run["fingerprint"], least=0, most=2**32 - 1)
        if not isinstance(run["shuffle"], bool):
            raise ValueError(f"shuffle must be a bool, got {checks.describe(run['shuffle'])}")
        optimizer = optimizers.from_dict(run["optimizer"])
        if optimizer._is_full_batch and whole["batch_size"] != whole["rows"]:
            raise ValueError(f"batch_size must be rows with {optimizer!r}, got {whole}")
        return cls(
            optimizer=optimizer,
            shuffle=run["shuffle"],
            fraction=metrics.number(run["fraction"]),
            early_stopping=stopping.from_dict(run["early_stopping"]),
            augmentation=augmentation.from_dict(run.get("augmentation")),
            fingerprint=fingerprint,
            **whole,
        )


class Position(NamedTuple):
    """The position of a run."""

    results: tuple[EpochResult, ...]
    """The results of the epochs that are done."""
    sums: RunningSums
    """The sums over the steps that are done since then."""
    best: Floats | None = None
    """The parameters after the best epoch, if early stopping is to restore them."""
    ended: str | None = None
    """Why the run ends before its epochs are done, one of ENDS; None if it goes on."""


class Run:
    """The run of a call of `fit`, and its position.

    Args:
        plan: The arguments of the run.
        first_epoch: The epochs that the model was trained for before the run.
        results: The results of the epochs that are done.
        sums: The sums over the steps that are done since then.
        best: The parameters after the best epoch.

    Each call of `fit`, also one that resumes a run, draws a new `id`. When a call goes back to its
    checkpoint, the id tells whether the file is still its own: another call, perhaps in another
    process, may have written its checkpoint to the same path meanwhile.
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
        """The number of epochs done."""
        return len(self.position.results)

    @property
    def step(self) -> int:
        """The number of steps done since the last epoch that is done."""
        return -(-self.position.sums.read().rows // self.plan.batch_size)

    @property
    def epochs_trained(self) -> int:
        """The epochs that the model was trained for, including those before the run."""
        return self.first_epoch + self.epoch

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        plan, results = self.plan, self.position.results
        early = plan.early_stopping
        stopped = early is not None and len(results) > 0 and early._is_over(results)
        ended = self.position.ended is not None and self.step == 0
        return len(results) >= plan.epochs or stopped or ended

    def continues(self, plan: Plan, path: str, *, validated: bool) -> None:
        """Check that a call of `fit` may resume this run, and take its number of epochs.

        Args:
            plan: The arguments of the call.
            path: The file of the checkpoint, for errors.
            validated: Whether the call has validation data.

        Raises:
            ArgumentError: An argument differs from the run's.
        """
        file = reading.shown(path)
        self._compare(plan, file)
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
                f"epochs must be at least {begun}, because the run that {file} keeps has begun"
                f" epoch {begun}, got {plan.epochs}"
            )
        self.plan = plan
        self.id = _new_id()

    def _compare(self, plan: Plan, file: str) -> None:
        """Check that a plan has the arguments of this run, which the file keeps."""
        full_batch = [it.optimizer._is_full_batch for it in (self.plan, plan)]
        pairs = [
            ("batch_size", self.plan.batch_size, plan.batch_size),
            ("shuffle", self.plan.shuffle, plan.shuffle),
            ("validation, as a fraction,", self.plan.fraction, plan.fraction),
            ("the number of examples", self.plan.rows, plan.rows),
            ("early_stopping", self.plan.early_stopping, plan.early_stopping),
            ("augmentation", self.plan.augmentation, plan.augmentation),
            ("optimizer", self.plan.optimizer, plan.optimizer),
        ]
        if full_batch[0] != full_batch[1]:  # then batch_size differs only for that reason
            pairs.sort(key=lambda it: it[0] != "optimizer")
        for name, ours, theirs in pairs:
            same = ours == theirs
            if isinstance(ours, Optimizer) and isinstance(theirs, Optimizer):
                # A file cannot keep the caller's own function for the rate, so any one fits it.
                same = optimizers.to_dict(ours) == optimizers.to_dict(theirs)
            if not same:
                raise ArgumentError(
                    f"{name} must be {ours}, as in the run that {file} keeps, got {theirs};"
                    " to start anew from its parameters, use pynn.load"
                )

    def to_dict(self) -> dict[str, Any]:
        """Convert the run, without its arrays, to plain values for JSON."""
        results, sums, _, ended = self.position
        loss, correct, rows, errors = sums.read()
        of_regression = {} if errors is None else {"errors": metrics.errors_to_json(errors)}
        return {
            **self.plan.to_dict(),
            **({} if ended is None else {"ended": ended}),
            "id": self.id,
            "first_epoch": self.first_epoch,
            "results": [metrics.to_json(result) for result in results],
            "sums": [loss, correct, rows],
            **of_regression,
        }

    @classmethod
    def from_dict(cls, run: dict[str, Any], best: Floats | None = None, *, spec: Spec) -> Run:
        """Make the run that to_dict() converted.

        Args:
            run: The entries, from a file that may be damaged.
            best: The parameters after the best epoch, if the file has them.
            spec: The model's chain.

        Raises:
            ValueError, TypeError or LookupError: The entries are damaged.
        """
        checks.no_others("the run", run, _ENTRIES)
        plan = Plan.from_dict(run)
        first_epoch = checks.integer("first_epoch", run["first_epoch"], least=0, most=2**62)
        results = tuple(map(metrics.result, run["results"]))
        metrics.check(results, spec)
        loss, correct, rows = run["sums"]
        correct = checks.integer("sums", correct, least=0, most=2**62)
        rows = checks.integer("sums", rows, least=0, most=plan.rows)
        if rows % plan.batch_size and rows != plan.rows:
            raise ValueError(f"{rows} examples are not whole steps of {plan.batch_size}")
        if len(results) > plan.epochs or (len(results) == plan.epochs and rows):
            raise ValueError(f"it has done more than its {plan.epochs} epochs")
        _check_best(best, plan.early_stopping, results)
        errors = metrics.errors(run.get("errors"), rows, spec)
        found = cls(
            plan, first_epoch, results, Sums(metrics.number(loss), correct, rows, errors), best
        )
        if "ended" in run:
            ended = checks.known("end", run["ended"], ENDS if plan.optimizer._is_full_batch else ())
            found.position = found.position._replace(ended=ended)
        found.id = _id(run.get("id", found.id))  # the first checkpoints had no id
        return found

    def keep(self, state: State) -> tuple[dict[str, Any], dict[str, Floats]]:
        """Convert the run and its state for a checkpoint: entries for JSON, and arrays by name."""
        moments = [moment.copy() for moment in state.moments]
        names = () if state.kind is None else optimizers.of_kind(state.kind)._tensors
        arrays = dict(zip(names, moments, strict=False))
        if self.position.best is not None:
            arrays["best"] = self.position.best
        kept = {"kind": state.kind, "updates": state.updates, "moments": len(moments)}
        return {**self.to_dict(), "state": kept}, arrays

    def restore(self, state: State, entry: dict[str, Any], arrays: Mapping[str, Floats]) -> None:
        """Restore a state from what keep() converted; errors are those of from_dict()."""
        kept = entry["state"]
        if not isinstance(kept, dict):
            raise ValueError(f"state must be an object, got {checks.describe(kept)}")
        checks.no_others("state", kept, ("kind", "updates", "moments"))
        kind = kept["kind"]
        updates = checks.integer("updates", kept["updates"], least=0, most=2**62)
        used = () if kind is None else optimizers.of_kind(kind)._tensors
        count = checks.integer("moments", kept["moments"], least=0, most=len(used))
        if kind == LBFGS._kind and count % 2:
            raise ValueError(f"moments must be pairs, got {count}")
        if extra := [name for name in arrays if name not in (*used[:count], "best")]:
            raise ValueError(f"it has the tensor {extra[0]}, which its optimizer does not use")
        moments = [arrays[name].copy() for name in used[:count]]
        for name, moment in zip(used, moments, strict=False):
            check_finite(name, moment)
        state.restore(state.step, updates, kind, moments)


_ENTRIES = (*Plan._fields, "id", "first_epoch", "results", "sums", "errors", "state", "ended")


def _new_id() -> str:
    """Draw an id of 32 hexadecimal digits, which no other call of `fit` will draw."""
    return os.urandom(16).hex()


def _id(entry: Any) -> str:
    """Check an id read from a file."""
    if not isinstance(entry, str) or not re.fullmatch("[0-9a-f]{32}", entry):
        raise ValueError(f"id must be 32 hexadecimal digits, got {checks.describe(entry)}")
    return entry


def _check_best(
    best: Floats | None, early: EarlyStopping | None, results: Sequence[EpochResult]
) -> None:
    """Check that a run has the parameters of its best epoch exactly if it may restore them."""
    restores = early is not None and early.restore_best and early._best_epoch(results) > 0
    if restores and best is None:
        raise KeyError("best")
    if best is not None:
        check_finite("best", best)
    if best is not None and not restores:
        raise ValueError("it has the tensor best, but no best epoch to restore")


def check_finite(name: str, array: Floats) -> None:
    """Raise a ValueError if an array of a checkpoint has a value that is not finite."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: a value is not finite")


def fingerprint(data: Data) -> int:
    """Calculate a checksum of examples: of all targets and weights, and of up to 64 rows.

    A call that resumes a run with other examples is noticed by it.
    """
    assert data.targets is not None
    some = data.features[:: -(-data.rows // 64)]
    kind = f"{math.prod(data.features.shape[1:])} {data.features.dtype}"
    checksum = zlib.crc32(kind.encode())
    for array in (data.targets, data.weights, some):
        if array is not None:  # little-endian on any machine, since checkpoints may change machines
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            checksum = zlib.crc32(little.data, checksum)
    return checksum
