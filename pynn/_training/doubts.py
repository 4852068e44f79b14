"""Doubts about a training that raises no error: examples that teach nothing, a loss like guessing.

A warning must be worth reading, so each rule leaves out what honest trainings do: few examples
often have equal values by chance, images have borders, and a first epoch is worse than guessing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks, statistics
from pynn._base.arrays import Targets
from pynn._base.errors import PynnError, TrainingWarning
from pynn._base.formulas import figure
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._network.columns import Column
from pynn._network.spec import Spec
from pynn._training import trainer
from pynn._training.engine import Engine
from pynn._training.examples import Examples
from pynn._training.fit_arguments import Call
from pynn._training.history import History

LEAST_ROWS = 10
"""Of fewer examples, labels or the values of a column may well be equal by chance."""
NARROW = 32
"""A table of more columns is taken for pixels or the like, some of which are 0 in all examples."""
CHANCE = 0.05
"""A class is missed if it would be absent from a random choice with less than this probability."""
MOST_VALUES = 1 << 22
"""Of more target values, only some rows are compared with guessing."""
WORSE = ((1, 1000.0), (3, 10.0), (10, 0.999))
"""From so many epochs on, a loss of so many times that of guessing is doubted."""
LARGE = 30.0
"""Standardized values are hardly ever beyond this."""

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silenced() -> Iterator[None]:
    """Within this context there are no such warnings: another library's habits have none."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def fit(engine: Engine, call: Call, features: object) -> History:
    """Train, and warn of what speaks against it: before, and when all of it is done.

    Args:
        engine: The engine of the model.
        call: The arguments of the call of `fit`.
        features: The features as the caller gave them, which may have names of columns.
    """
    if not _silent.get():
        _doubt_examples(engine.spec, call.examples, features)
    history = trainer.fit(engine, call)
    if not _silent.get():
        _doubt_result(engine, call, features, history)
    return history


def _doubt_examples(spec: Spec, examples: Examples, features: object) -> None:
    """Warn of examples that teach nothing, or that cannot be validated."""
    for doubt in (
        _channels_last(spec),
        _equal_targets(spec, examples),
        _missing_classes(spec, examples),
        _constant_columns(spec, examples, features),
    ):
        if doubt:
            _warn(doubt)


def _doubt_result(engine: Engine, call: Call, features: object, history: History) -> None:
    """Warn of a training that has ended no better than guessing."""
    spec, examples = engine.spec, call.examples
    if examples.size < LEAST_ROWS:
        return
    some = _some_rows(examples)
    guess, best = _guess(spec, examples.data, some), min(history.loss)
    factor = [times for epochs, times in WORSE if history.epochs >= epochs][-1]
    if not best >= factor * guess > 0.0 or _is_better(engine, examples.data, some):
        return
    epochs = "1 epoch" if history.epochs == 1 else f"{history.epochs} epochs"
    _warn(
        f"after {epochs} the loss is {figure(history.loss[-1])}, no better than guessing:"
        f" {spec.loss.guess} gives {figure(guess)}."
        f" {_cause(spec, examples, features) or _try_another_rate(call)}"
    )


def _warn(message: str) -> None:
    """Warn at the line outside of pynn that has called it."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == "pynn":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, TrainingWarning, stacklevel=level)


# ------------------------------------------------------------ before


def _channels_last(spec: Spec) -> str:
    """Say that the shape of images looks like that of other libraries, (height, width, channels).

    Images of 1 or 3 columns are rare. A sequence as an image of one column is not, so that must be
    square otherwise: it would have as many channels as steps.
    """
    if len(spec.input_shape) != 3 or min(spec.input_shape[:2]) < 8:
        return ""
    height, width, channels = spec.input_shape
    if not (channels == 3 or (channels == 1 and height == width)):
        return ""
    return (
        f"the input {spec.input_shape} is {height} channels of {width} x {channels} values. If"
        f" these are images of {height} x {width} with {channels}"
        f" channel{'s' * (channels > 1)}, pynn has the channels first: .input(({channels},"
        f" {height}, {width})), and features.reshape(-1, {height}, {width},"
        f" {channels}).transpose(0, 3, 1, 2)"
    )


def _targets(examples: Examples) -> Targets:
    """The labels or targets to train on."""
    assert examples.data.targets is not None
    return examples.data.targets if examples.rows is None else examples.data.targets[examples.rows]


def _equal_targets(spec: Spec, examples: Examples) -> str:
    """Say that all labels are equal, if they are."""
    if examples.size < LEAST_ROWS:
        return ""
    some = _targets(examples)
    if not (some[:: max(1, len(some) // 100)] == some[0]).all() or not (some == some[0]).all():
        return ""
    value = np.atleast_1d(some[0])
    shown = _shown(value[0]) if examples.classes is None else _class(value[0], examples)
    what = f"all {len(some):,} labels to train on are {shown}"
    if len(value) > 1:
        what = f"each of the {len(value)} outputs has the same target in all {len(some):,} examples"
    return f"{what}: the model can only learn to predict that, whatever the features are"


def _missing_classes(spec: Spec, examples: Examples) -> str:
    """Say which class is only in the examples to train on, or only in those to validate with."""
    if not spec.loss.has_classes or examples.held_out is None:
        return ""
    assert examples.held_out.targets is not None
    ours = np.bincount(_targets(examples), minlength=spec.outputs)
    theirs = np.bincount(examples.held_out.targets, minlength=spec.outputs)
    if (missing := _missed(ours, theirs)).size:
        return (
            f"the validation data have no example of {_named(missing, examples)}, but those to"
            f" train on have {ours[missing[0]]:,}: val_loss and val_accuracy say nothing of it."
            " Shuffle the examples before you divide them; or pass a fraction, as in"
            " validation=0.2, which holds out the same share of each class"
        )
    if (missing := _missed(theirs, ours)).size:
        return (
            f"there is no example of {_named(missing, examples)} to train on, but"
            f" {theirs[missing[0]]:,} to validate with: the model cannot learn it. Shuffle the"
            " examples before you divide them"
        )
    return ""


def _missed(present: npt.NDArray[np.intp], absent: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The classes that are in the first set of examples and should be in the second, but are not.

    Both arrays count the examples of each class.
    """
    shares = present / present.sum()
    probability = (1.0 - shares) ** absent.sum()  # that a random choice would not have the class
    missed: npt.NDArray[np.intp] = np.flatnonzero((absent == 0) & (probability < CHANCE))
    return missed


def _named(classes: npt.NDArray[np.intp], examples: Examples) -> str:
    """The first class, and how many others there are."""
    others = len(classes) - 1
    more = f" (and of {others} other{'s' * (others > 1)})" if others else ""
    return f"class {_class(classes[0], examples)}{more}"


def _class(number: int, examples: Examples) -> str:
    """A class by its name, if the labels are names."""
    if examples.classes is None:
        return str(number)
    return repr(checks.printable(examples.classes[number], 30))


def _constant_columns(spec: Spec, examples: Examples, features: object) -> str:
    """Say which columns of a table have the same value in all examples."""
    table = examples.data.features
    if examples.size < LEAST_ROWS or len(spec.input_shape) > 1 or table.dtype == np.uint8:
        return ""
    table = table.reshape(len(table), -1)
    rows = np.arange(len(table)) if examples.rows is None else examples.rows
    first = table[rows[0]]
    may_be = _same(table[rows[:: -(-len(rows) // 100)]], first).all(axis=0)
    if table.shape[1] > NARROW:
        may_be &= first != 0.0
    candidates = map(int, np.flatnonzero(may_be))
    found = [c for c in candidates if _same(table[rows, c], first[c]).all()]
    if not found:
        return ""
    if spec.columns is None:
        what = f"{_column(found[0], table.shape[1], features)} is {_shown(first[found[0]])}"
    else:
        what = _value_of_column(spec.columns.columns[found[0]], first[found[0]])
    more = ""
    if len(found) > 1:
        more = (
            f" (and {len(found) - 1} other column{' is' if len(found) == 2 else 's are'} constant)"
        )
    return (
        f"{what} in all {len(rows):,} examples to train on{more}: nothing can be learned from it."
        " Leave it out, or see how it came to be so"
    )


def _same(values: npt.NDArray[Any], other: Any) -> npt.NDArray[np.bool_]:
    """Where values are equal to others; a missing one is equal to a missing one."""
    same: npt.NDArray[np.bool_] = (values == other) | (np.isnan(values) & np.isnan(other))
    return same


def _value_of_column(column: Column, value: float) -> str:
    """The value that a column of a table has in all examples: a number, or a word for its code."""
    what = f"column {checks.printable(repr(column.name), 60)} is"
    if not column.size:
        return f"{what} {_shown(value)}"
    if value == 0:
        return f"{what} missing, or not in its vocabulary,"
    return f"{what} {checks.printable(repr(column.values[int(value) - 1]), 40)}"


# ------------------------------------------------------------ after


def _some_rows(examples: Examples) -> npt.NDArray[Any]:
    """The rows to train on, or some of them if they have very many targets."""
    assert examples.data.targets is not None
    rows = np.arange(examples.data.rows) if examples.rows is None else examples.rows
    values = len(rows) * (examples.data.targets.size // examples.data.rows)
    return rows[:: -(-values // MOST_VALUES)]


def _guess(spec: Spec, data: Data, rows: npt.NDArray[Any]) -> float:
    """The least mean loss that the same outputs for all examples can have."""
    assert data.targets is not None
    weights = None if data.weights is None else data.weights[rows].astype(np.float64)
    if weights is not None and not weights.any():  # there are others, but none in this part
        return 0.0
    return spec.loss.guessing(data.targets[rows], weights, spec.outputs)


def _is_better(engine: Engine, data: Data, rows: npt.NDArray[Any]) -> bool:
    """Whether the model as it is now is better than guessing, for at most 4,096 of the rows.

    The losses of the epochs do not say so if dropout or augmentation made the training harder.
    """
    rows = rows[:: -(-len(rows) // 4096)]
    assert data.targets is not None
    weights = None if data.weights is None else data.weights[rows]
    some = Data(data.features[rows], data.targets[rows], weights)
    try:
        loss = engine.evaluate(some).loss
    except (PynnError, NotFinite):  # such as a model that a callback has closed
        return True
    mean = 1.0 if weights is None else float(weights.mean())  # that of all examples is 1
    return loss < WORSE[-1][1] * mean * _guess(engine.spec, some, np.arange(some.rows))


def _cause(spec: Spec, examples: Examples, features: object) -> str:
    """What is likely to be the cause, and its remedy; "" if nothing is known of it."""
    table, rows = examples.data.features, examples.rows
    if spec.layers[0].reads_features or table.dtype == np.uint8:
        return _cause_in_targets(spec, examples)
    least, largest = statistics.ranges(table.reshape(len(table), -1), rows)
    reach = np.maximum(np.abs(least), np.abs(largest))
    worst = int(np.nanargmax(reach)) if np.isfinite(reach).any() else 0
    if not reach[worst] > LARGE:
        return _cause_in_targets(spec, examples)
    span = f"from {_shown(least[worst])} to {_shown(largest[worst])}"
    if len(spec.input_shape) > 1:
        return (
            f"The features range {span}, and networks learn from values of about 1: divide them by"
            f" {_shown(reach[worst])}"
        )
    column = _column(worst, len(reach), features)
    return (
        f"C{column[1:]} ranges {span}, and networks learn from values of about 1: scale the"
        f" columns, as pynn.Builder().input({len(reach)}).standardize() does"
    )


def _cause_in_targets(spec: Spec, examples: Examples) -> str:
    """The same for the targets of a regression, whose errors the loss squares."""
    if not spec.loss.has_errors or spec.loss.has_rates or getattr(spec.loss, "standardize", False):
        return ""
    spread = float(np.sqrt(statistics.variances(_targets(examples)).max()))
    most = float(np.abs(_targets(examples)).max())
    if spread >= 1.0 / LARGE and most <= LARGE:
        return ""
    return (
        f"The targets reach {_shown(most)} and have a standard deviation of {_shown(spread)}, and"
        " networks learn values of about 1: end the chain with"
        " mean_squared_error(standardize=True)"
    )


def _try_another_rate(call: Call) -> str:
    """What to try if nothing is known of the cause."""
    rate = getattr(call.plan.optimizer, "learning_rate", None)
    now = f" than {_shown(rate)}" if isinstance(rate, float) else ""
    return (
        f"Try learning rates ten times larger and smaller{now}, more epochs, or other layers; or"
        " the features say nothing of the labels"
    )


def _column(index: int, count: int, features: object) -> str:
    """A column of the features that the caller gave, by its name if it has one."""
    names: Any = getattr(features, "columns", None)
    is_list = isinstance(names, Sequence) or hasattr(names, "__array__")
    if is_list and len(names) == count and not isinstance(names[index], (int, np.integer)):
        return f"column {names[index]!r} (index {index})"
    return f"column {index}"


def _shown(value: float) -> str:
    """A value of the examples, such as 2,024 or 1.2e+09."""
    return "missing" if np.isnan(value) else f"{float(value):,.6g}"
