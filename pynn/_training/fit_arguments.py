"""The checks of the arguments of `fit`.

Each check raises an ArgumentTypeError for a value of the wrong type, and an ArgumentError for any
other wrong value.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from pynn._base import checks, words
from pynn._base.atomic import absolute
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._files import model_file
from pynn._native.data import Data
from pynn._network.class_names import numbered
from pynn._network.spec import Spec
from pynn._training import augmentation as augmenting
from pynn._training.augmentation import Augmentation
from pynn._training.callbacks import Callbacks
from pynn._training.examples import MOST_ROWS, Examples, make_data, make_examples
from pynn._training.optimizers import KINDS, SGD, Optimizer
from pynn._training.run import Plan, fingerprint
from pynn._training.stopping import EarlyStopping

if TYPE_CHECKING:
    from pynn._training.engine import Engine

DEFAULT_BATCH_SIZE = 128


class Checkpoint(NamedTuple):
    """The checkpoint that a call of `fit` is asked to write."""

    path: str | os.PathLike[str]
    every: int
    """The number of steps after which it is written again; 0 means after each epoch."""


class Call(NamedTuple):
    """The checked arguments of a call of `fit`."""

    plan: Plan
    examples: Examples
    callbacks: Callbacks
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
    augmentation: object,
    early_stopping: object,
    called: Callbacks,
    checkpoint: Checkpoint | None,
) -> Call:
    """Check all arguments of `Model.fit`; callbacks and checkpoint are checked before."""
    engine.open()
    spec, seed = engine.spec, engine.seed
    numbers, classes = numbered("labels", labels, spec, engine.classes, learning=True)
    data = make_data(spec, "", features, numbers, most=MOST_ROWS)
    examples = make_examples(spec, seed, data, validation, sample_weight, class_weight, classes)
    used = check_optimizer(optimizer, spec)
    may_be_resumed = checkpoint is not None or engine.resumed is not None
    plan = Plan(
        epochs=checks.integer("epochs", epochs, least=1),
        batch_size=_check_batch_size(batch_size, examples.size, used),
        optimizer=used,
        rows=examples.size,
        shuffle=check_shuffle(shuffle),
        fraction=examples.fraction,
        early_stopping=check_stopping(early_stopping, examples, spec),
        augmentation=_check_augmentation(augmentation, used, spec, data),
        fingerprint=fingerprint(examples.data) if may_be_resumed else 0,
    )
    return Call(plan, _change(engine, examples, plan.augmentation), called, checkpoint)


def check_trained(spec: Spec, call: str) -> None:
    """Raise an ArgumentError if all layers are frozen: a call of this name would do nothing."""
    with_parameters = [
        placed for placed in spec.placed_layers if any(own.trained for own in placed.parameters)
    ]
    if all(placed.frozen for placed in with_parameters):
        raise ArgumentError(
            f"{call} has nothing to train, because all layers are frozen; let it train one, as in"
            f' model.unfreeze("{with_parameters[-1].name}")'
        )


def _change(engine: Engine, examples: Examples, changes: Augmentation | None) -> Examples:
    """Change the examples to train on, each time that C reads them, if that is asked for."""
    if changes is None:
        return examples
    channels, height, width = augmenting.images_of(engine.spec, examples.data.features)
    shape = channels, height, width
    data = examples.data.augmented(shape, changes.options(), engine.seed, changes.epochs)
    return examples._replace(data=data)


def _check_batch_size(value: object, count: int, optimizer: Optimizer) -> int:
    """Check the batch size for `count` examples; None means the default."""
    if optimizer._is_full_batch:
        if value is not None:
            raise ArgumentError(
                f"batch_size must be left out with {type(optimizer).__name__}, whose every step"
                f" takes all examples, got {checks.describe(value)}"
            )
        return count
    if value is None:
        return min(DEFAULT_BATCH_SIZE, count)
    size = checks.integer("batch_size", value, least=1)
    if size > count:
        raise ArgumentError(
            f"batch_size must be at most the number of examples, {count}, got {size}"
        )
    return size


def check_optimizer(value: object, spec: Spec | None = None) -> Optimizer:
    """Check an optimizer, also for a network; None means the default."""
    if value is None:
        return SGD()
    if not isinstance(value, Optimizer):
        if meant := _meant(value):
            got = f"the class {meant}" if isinstance(value, type) else repr(value)
            raise ArgumentTypeError(
                f"optimizer must be an object, got {got}: write optimizer=pynn.{meant}(), with its"
                " arguments"
            )
        raise ArgumentTypeError(
            "optimizer must be a pynn.SGD, pynn.Adam, pynn.AdamW or pynn.LBFGS, as in"
            f" pynn.SGD(learning_rate=0.1), got {checks.describe(value)}"
        )
    if spec is not None:
        value._check_network(spec)
    return value


def _meant(value: object) -> str:
    """The optimizer that is meant by its class or its name, as other libraries take it; or ""."""
    name = value.__name__ if isinstance(value, type) else value
    names = {kind.__name__: "" for kind in KINDS.values()}
    return words.find(name, names) if isinstance(name, str) else ""


def _check_augmentation(
    value: object, optimizer: Optimizer, spec: Spec, data: Data
) -> Augmentation | None:
    """Check the changes of images."""
    if value is not None and optimizer._is_full_batch:
        raise ArgumentError(
            f"augmentation must be None with {type(optimizer).__name__}, which compares the losses"
            " of the same examples: use pynn.Adam"
        )
    return augmenting.check(value, spec, data.features)


def check_step_optimizer(value: object, call: str) -> Optimizer:
    """Check the optimizer of a call that does a single step, or a few, on its examples."""
    used = check_optimizer(value)
    if used._is_full_batch:
        raise ArgumentError(
            f"optimizer must not be {type(used).__name__} in {call}, because it searches among all"
            " examples for its step, which fit does; use pynn.SGD or pynn.Adam"
        )
    return used


def check_shuffle(value: object) -> bool:
    """Check that `shuffle` is a bool."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"shuffle must be True or False, got {checks.describe(value)}")
    return value


def check_stopping(value: object, examples: Examples, spec: Spec) -> EarlyStopping | None:
    """Check early stopping, and that this call will have the metric that it watches."""
    if value is None:
        return None
    if not isinstance(value, EarlyStopping):
        raise ArgumentTypeError(
            "early_stopping must be a pynn.EarlyStopping, as in pynn.EarlyStopping(patience=5),"
            f" got {checks.describe(value)}"
        )
    has_validation = examples.held_out is not None
    value._check(
        has_validation=has_validation,
        has_accuracy=spec.decisions > 0,
        has_errors=spec.errors > 0,
    )
    return value


def check_checkpoint(path: str | os.PathLike[str] | None, every: int | None) -> Checkpoint | None:
    """Check where and when to write the checkpoint, and that it will replace no other file."""
    if path is None:
        if every is not None:
            raise ArgumentError(
                "every needs checkpoint, the file to write after so many steps; got"
                f" every={every} and checkpoint=None"
            )
        return None
    steps = 0 if every is None else checks.integer("every", every, least=1)
    # Resolve a relative path now, because a callback may change the current folder.
    whole = absolute(checks.path("checkpoint", path))
    model_file.check_replaceable(whole)
    return Checkpoint(whole, steps)
