"""`fit` on batches that the caller makes: each is a step, and a pass through them is an epoch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pynn._base import checks
from pynn._base.arrays import Doubles
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.workspace import ROWS_AT_A_TIME, Sums
from pynn._network.class_names import numbered
from pynn._training import scaling
from pynn._training.callbacks import Callbacks
from pynn._training.evaluation import Evaluation
from pynn._training.examples import Examples, make_data, make_examples
from pynn._training.faults import diagnose
from pynn._training.fit_arguments import Call, check_shuffle, check_step_optimizer, check_stopping
from pynn._training.history import History
from pynn._training.run import Plan, Run
from pynn._training.trainer import Trainer

if TYPE_CHECKING:
    from pynn._training.engine import Engine

SECONDS = 0.05
"""How often progress is reported."""

_PAIR = "a pair (features, labels), or (features, labels, sample_weight)"
_ELSEWHERE = {
    "batch_size": "each batch is a step",
    "sample_weight": "give weights in the batches, as (features, labels, sample_weight)",
    "class_weight": "give weights in the batches, as (features, labels, sample_weight)",
    "augmentation": "change the images in the batches",
    "checkpoint": "a file cannot keep where the batches are; save the model in on_epoch",
    "every": "a file cannot keep where the batches are; save the model in on_epoch",
}
"""The arguments of `fit` that batches do not go with, and what to do instead."""


class Batches:
    """Batches that may be passed through once for each epoch.

    Args:
        given: An iterable, or a function that returns one.

    Raises:
        ArgumentTypeError: It is neither.
    """

    def __init__(self, given: object) -> None:
        self._given = given
        is_data = hasattr(given, "__array__") or isinstance(given, (str, bytes, dict))
        if isinstance(given, tuple) and any(hasattr(part, "__array__") for part in given):
            raise ArgumentTypeError(
                f"labels must be given; the {type(given).__name__} has them, so pass its parts, as"
                " in fit(features[0], features[1], ...)"
            )
        if is_data or not (callable(given) or hasattr(given, "__iter__")):
            raise ArgumentTypeError(
                "labels must be given, unless features are batches, each of them"
                f" {_PAIR}; got labels=None and features of type {type(given).__name__}"
            )

    def check_epochs(self, epochs: int) -> None:
        """Raise an ArgumentError if there are more epochs than the batches can give."""
        if isinstance(self._given, Iterator) and epochs > 1:
            raise ArgumentError(
                f"epochs must be 1 with a {type(self._given).__name__}, because it can be passed"
                f" through once, got {epochs}; give a function that returns a new one for each"
                " epoch, or a list or the like"
            )

    @property
    def count(self) -> int | None:
        """How many there are, if they say so."""
        return len(self._given) if hasattr(self._given, "__len__") else None

    def begin(self) -> Iterator[Any]:
        """Begin an epoch."""
        found: Any = self._given
        if not hasattr(found, "__iter__"):
            found = found()
        if not isinstance(found, Iterable):
            raise ArgumentTypeError(
                "the function that gives the batches must return an iterable, got"
                f" {checks.describe(found)}"
            )
        return iter(found)


def check(
    engine: Engine,
    batches: Batches,
    *,
    epochs: object,
    optimizer: object,
    validation: object,
    shuffle: object,
    early_stopping: object,
    called: Callbacks,
    **others: object,
) -> Call:
    """Check the arguments of `Model.fit` on batches; those that make no sense must be None."""
    engine.open()
    count = checks.integer("epochs", epochs, least=1)
    batches.check_epochs(count)
    _refuse(engine, validation, others)
    check_shuffle(shuffle)
    spec = engine.spec
    nothing = Data(np.empty((0, spec.inputs), np.float32))
    examples = make_examples(spec, engine.seed, nothing, validation, None, None, engine.classes)
    # A step is a batch of any size, so the plan counts examples, in batches of one.
    plan = Plan(
        epochs=count,
        batch_size=1,
        optimizer=check_step_optimizer(optimizer, "fit on batches"),
        rows=1,
        shuffle=False,
        fraction=0.0,
        early_stopping=check_stopping(early_stopping, examples, spec),
        augmentation=None,
        fingerprint=0,
    )
    return Call(plan, examples, called, None)


def _refuse(engine: Engine, validation: object, others: Mapping[str, object]) -> None:
    """Raise an ArgumentError for what makes no sense with batches."""
    for name, instead in _ELSEWHERE.items():
        if others[name] is not None:
            raise ArgumentError(f"{name} must be left out with batches: {instead}")
    if isinstance(validation, (float, np.floating)):
        raise ArgumentError(
            "validation must be a pair (features, labels) with batches, whose examples cannot be"
            f" held out, got {checks.describe(validation)}"
        )
    if engine.resumed is not None:
        raise ArgumentError(
            "features must be arrays, as in the run that the model was resumed for; to start anew"
            " from its parameters, use pynn.load"
        )


def fit(engine: Engine, call: Call, batches: Batches) -> History:
    """Train on batches; the lock is held as in `trainer.fit`, and errors are like its."""
    with engine.lock_of_only_fit("fit"):
        engine.training_call = "fit"
        run = Run(call.plan, engine.epochs_trained, sums=Sums.zero(engine.spec.errors))
        held_out = call.examples.held_out
        engine.reserve(1 if held_out is None else min(held_out.rows, ROWS_AT_A_TIME))
        before = engine.classes, engine.state.step
        try:
            history = BatchTrainer(engine, run, call, batches).train()
        except BaseException:
            engine.forget_classes(before)
            raise
        return history


class BatchTrainer(Trainer):
    """Does the epochs of a run on batches.

    Args:
        engine: The engine of the model; the caller holds its `fit_lock`.
        run: The run.
        call: The arguments of the call of `fit`; its examples are those of the current batch.
        batches: The batches.
    """

    def __init__(self, engine: Engine, run: Run, call: Call, batches: Batches) -> None:
        super().__init__(engine, run, call)
        self.batches = batches
        self.count = batches.count
        self.spread = Spread()

    def _steps(self) -> None:
        """Do a step for each batch, and report progress."""
        self.spread = Spread()
        number, reported = 0, time.monotonic()
        for number, item in enumerate(self.batches.begin(), start=1):
            self._step(item, number)
            if time.monotonic() - reported >= SECONDS:
                self._report(number, max(self.count or 0, number))
                reported = time.monotonic()
        if number == 0:
            raise ArgumentError(
                f"epoch {self.run.epoch + 1}: there is no batch; each epoch passes through the"
                " batches anew, so they must be a list or the like, or a function that returns an"
                " iterator"
            )
        self.count = number
        self._report(number, number)

    def _step(self, item: object, number: int) -> None:
        """Do the step of a batch."""
        engine, run = self.engine, self.run
        try:
            examples = self._examples(item)
            engine.keep_classes(examples.classes)
            scaling.fit(engine, examples.data)
        except (ArgumentError, ArgumentTypeError) as error:
            raise type(error)(f"epoch {run.epoch + 1}, batch {number}: {error}") from None
        data = examples.data
        self.call = self.call._replace(examples=self.call.examples._replace(data=data))
        self.order = np.arange(data.rows, dtype=np.uint32)
        sums, before = run.position.sums, run.position.sums.read().rows
        began = time.perf_counter()
        try:
            engine.train(data, None, data.rows, 0, 1, run.plan.optimizer, sums)
        except NotFinite:
            now = sums.read()
            fault = diagnose(engine, now._replace(rows=now.rows - before), data.rows, 1)
            self._fail(fault._replace(place=f"batch {number}"))
        self.seconds += time.perf_counter() - began
        if engine.spec.errors:
            assert data.targets is not None
            self.spread.add(data.targets.astype(np.float64))

    def _examples(self, item: object) -> Examples:
        """Check a batch, as `partial_fit` checks its arguments."""
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            raise ArgumentTypeError(f"a batch must be {_PAIR}, got {checks.describe(item)}")
        if isinstance(item[0], (int, float, np.number)):  # features without their labels
            raise ArgumentTypeError(
                f"a batch must be {_PAIR}, got numbers, {checks.describe(item)}; if features are"
                " rows, labels must be given, too"
            )
        engine = self.engine
        spec, weight = engine.spec, item[2] if len(item) == 3 else None
        numbers, classes = numbered("labels", item[1], spec, engine.classes, learning=True)
        data = make_data(spec, "", item[0], numbers)
        return make_examples(spec, engine.seed, data, None, weight, None, classes)

    def _figures(self) -> Evaluation:
        """The metrics over the batches of this epoch so far."""
        spec = self.engine.spec
        variances = self.spread.variances if spec.errors else None
        return Evaluation.of(self.run.position.sums.read(), spec.decisions, variances)


class Spread:
    """The variance of each column of a table that comes in parts (Chan, Golub and LeVeque 1979)."""

    def __init__(self) -> None:
        self.rows = 0
        self.mean: Doubles = np.zeros(1)
        self.squares: Doubles = np.zeros(1)
        """The sums of squared differences from the mean."""

    def add(self, part: Doubles) -> None:
        """Add rows: (rows, columns)."""
        count, mean = len(part), part.mean(axis=0)
        total = self.rows + count
        apart = mean - self.mean
        between = apart * apart * (self.rows * count / total)
        self.squares = self.squares + ((part - mean) ** 2).sum(axis=0) + between
        self.mean = self.mean + apart * (count / total)
        self.rows = total

    @property
    def variances(self) -> Doubles:
        """The variance of each column, shape (columns,)."""
        return self.squares / self.rows
