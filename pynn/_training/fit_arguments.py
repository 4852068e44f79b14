"""The checks of what `fit` is called with, beside its examples.

All raise ArgumentTypeError for a value of the wrong type, and ArgumentError for another wrong one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from pynn._base import checks
from pynn._base.atomic import absolute
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._training.optimizers import SGD, Optimizer
from pynn._training.stopping import EarlyStopping
from pynn._training.trainer import Checkpoint, OnEpoch

DEFAULT_BATCH_SIZE = 128


def batch_size(value: object, count: int) -> int:
    """Examples a step, of `count`."""
    if value is None:
        return min(DEFAULT_BATCH_SIZE, count)
    size = checks.integer("batch_size", value, least=1)
    if size > count:
        raise ArgumentError(
            f"batch_size must be at most the number of examples, {count}, got {size}"
        )
    return size


def optimizer(value: object) -> Optimizer:
    """What a step does."""
    if value is None:
        return SGD()
    if not isinstance(value, Optimizer):
        raise ArgumentTypeError(
            "optimizer must be a pynn.SGD, pynn.Adam or pynn.AdamW, as in"
            f" pynn.SGD(learning_rate=0.1), got {checks.describe(value)}"
        )
    return value


def shuffle(value: object) -> bool:
    """Whether to shuffle."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"shuffle must be True or False, got {checks.describe(value)}")
    return value


def early_stopping(
    value: object, *, has_validation: bool, has_accuracy: bool
) -> EarlyStopping | None:
    """When to end early, by figures that the run has."""
    if value is None:
        return None
    if not isinstance(value, EarlyStopping):
        raise ArgumentTypeError(
            "early_stopping must be a pynn.EarlyStopping, as in pynn.EarlyStopping(patience=5),"
            f" got {checks.describe(value)}"
        )
    value._check(has_validation=has_validation, has_accuracy=has_accuracy)
    return value


def on_epoch(value: object) -> Sequence[OnEpoch]:
    """The callbacks of an epoch."""
    if value is None:
        return ()
    callbacks = value if isinstance(value, (list, tuple)) else (value,)
    for callback in callbacks:
        check_callable("on_epoch", callback)
    return tuple(callbacks)


def check_callable(name: str, value: object) -> None:
    """That it can be called."""
    if not callable(value):
        raise ArgumentTypeError(f"{name} must be callable, got {checks.describe(value)}")


def checkpoint(path: str | os.PathLike[str] | None, every: int | None) -> Checkpoint | None:
    """Where and when to keep the run; nothing else than a checkpoint is replaced by it."""
    if path is None:
        if every is not None:
            raise ArgumentError(
                f"every needs a checkpoint, the file to keep the run in; got every={every} and"
                " checkpoint=None"
            )
        return None
    steps = 0 if every is None else checks.integer("every", every, least=1)
    from pynn._files import model_file

    # Of now: a callback may change the current folder.
    whole = absolute(checks.path("checkpoint", path))
    model_file.check_replaceable(whole)
    return Checkpoint(whole, steps)
