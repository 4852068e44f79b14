"""The checks of what `fit` is called with.

All raise ArgumentTypeError for a value of the wrong type, and ArgumentError for another wrong one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pynn._base import checks
from pynn._base.atomic import absolute
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._files import model_file
from pynn._network.spec import Spec
from pynn._training.examples import MOST_ROWS, Examples, make_data, make_examples
from pynn._training.history import EpochResult, Progress
from pynn._training.optimizers import SGD, Optimizer
from pynn._training.run import Plan, fingerprint
from pynn._training.stopping import EarlyStopping

if TYPE_CHECKING:
    from pynn._training.engine import Engine

DEFAULT_BATCH_SIZE = 128

OnEpoch = Callable[[EpochResult], object]  # True ends the training
OnProgress = Callable[[Progress], object]


class Checkpoint(NamedTuple):
    """Where to keep a run, and after how many steps each time; 0 is after each epoch."""

    path: str | os.PathLike[str]
    every: int


class Call(NamedTuple):
    """A call of `fit`, whose arguments are right."""

    plan: Plan
    examples: Examples
    on_epoch: Sequence[OnEpoch]
    on_progress: OnProgress | None
    checkpoint: Checkpoint | None


def check(
    engine: Engine,
    features: object,
    labels: object,
    *,
    epochs: object,
    batch_size: object,
    optimizer: object,
    validation: object,
    sample_weight: object,
    class_weight: object,
    shuffle: object,
    early_stopping: object,
    on_epoch: object,
    on_progress: OnProgress | None,
    checkpoint: str | os.PathLike[str] | None,
    every: int | None,
) -> Call:
    """All arguments of `Model.fit`, checked."""
    engine.open()
    data = make_data(engine.spec, "", features, labels, most=MOST_ROWS)
    examples = make_examples(
        engine.spec, engine.seed, data, validation, sample_weight, class_weight
    )
    kept = _check_checkpoint(checkpoint, every)
    may_be_resumed = kept is not None or engine.resumed is not None
    plan = Plan(
        epochs=checks.integer("epochs", epochs, least=1),
        batch_size=_check_batch_size(batch_size, examples.size),
        optimizer=check_optimizer(optimizer),
        rows=examples.size,
        shuffle=_check_shuffle(shuffle),
        fraction=examples.fraction,
        early_stopping=_check_stopping(early_stopping, examples, engine.spec),
        fingerprint=fingerprint(examples.data) if may_be_resumed else 0,
    )
    callbacks = _check_on_epoch(on_epoch)
    if on_progress is not None:
        _check_callable("on_progress", on_progress)
    return Call(plan, examples, callbacks, on_progress, kept)


def _check_batch_size(value: object, count: int) -> int:
    """Examples a step, of `count`."""
    if value is None:
        return min(DEFAULT_BATCH_SIZE, count)
    size = checks.integer("batch_size", value, least=1)
    if size > count:
        raise ArgumentError(
            f"batch_size must be at most the number of examples, {count}, got {size}"
        )
    return size


def check_optimizer(value: object) -> Optimizer:
    """What a step does."""
    if value is None:
        return SGD()
    if not isinstance(value, Optimizer):
        raise ArgumentTypeError(
            "optimizer must be a pynn.SGD, pynn.Adam or pynn.AdamW, as in"
            f" pynn.SGD(learning_rate=0.1), got {checks.describe(value)}"
        )
    return value


def _check_shuffle(value: object) -> bool:
    """Whether to shuffle."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"shuffle must be True or False, got {checks.describe(value)}")
    return value


def _check_stopping(value: object, examples: Examples, spec: Spec) -> EarlyStopping | None:
    """When to end early, by figures that the run has."""
    if value is None:
        return None
    if not isinstance(value, EarlyStopping):
        raise ArgumentTypeError(
            "early_stopping must be a pynn.EarlyStopping, as in pynn.EarlyStopping(patience=5),"
            f" got {checks.describe(value)}"
        )
    has_validation = examples.held_out is not None
    value._check(has_validation=has_validation, has_accuracy=spec.decisions > 0)
    return value


def _check_on_epoch(value: object) -> Sequence[OnEpoch]:
    """The callbacks of an epoch."""
    if value is None:
        return ()
    callbacks = value if isinstance(value, (list, tuple)) else (value,)
    for callback in callbacks:
        _check_callable("on_epoch", callback)
    return tuple(callbacks)


def _check_callable(name: str, value: object) -> None:
    """That it can be called."""
    if not callable(value):
        raise ArgumentTypeError(f"{name} must be callable, got {checks.describe(value)}")


def _check_checkpoint(path: str | os.PathLike[str] | None, every: int | None) -> Checkpoint | None:
    """Where and when to keep the run; nothing else than a checkpoint is replaced by it."""
    if path is None:
        if every is not None:
            raise ArgumentError(
                f"every needs a checkpoint, the file to keep the run in; got every={every} and"
                " checkpoint=None"
            )
        return None
    steps = 0 if every is None else checks.integer("every", every, least=1)
    # Of now: a callback may change the current folder.
    whole = absolute(checks.path("checkpoint", path))
    model_file.check_replaceable(whole)
    return Checkpoint(whole, steps)
