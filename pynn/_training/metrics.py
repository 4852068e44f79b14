"""The metrics of a run in a checkpoint: to plain values for JSON, and back with every check."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from pynn._base import checks
from pynn._base.arrays import Doubles
from pynn._network.spec import Spec
from pynn._training.history import EpochResult

_OF_ALL = 7
"""The fields of an `EpochResult` that any version keeps; those behind them are of regression."""


def to_json(result: EpochResult) -> list[float | None]:
    """Convert the metrics of an epoch; nan becomes None, because JSON has no nan.

    Those that only regression has are left out of others, as older versions left them out.
    """
    has_errors = not math.isnan(result.mean_absolute_error)
    return _without_nan(result if has_errors else result[:_OF_ALL])


def errors_to_json(errors: Doubles) -> list[list[float | None]]:
    """Convert the sums of errors, shape (2, outputs)."""
    return [_without_nan(part) for part in errors.tolist()]


def _without_nan(values: Sequence[Any]) -> list[Any]:
    return [None if isinstance(x, float) and math.isnan(x) else x for x in values]


def result(entry: Any) -> EpochResult:
    """Check the result of an epoch, read from a file."""
    epoch, epochs, loss, accuracy, val_loss, val_accuracy, seconds, *others = entry
    r2, error, val_r2, val_error = others or (None,) * (len(EpochResult._fields) - _OF_ALL)
    return EpochResult(
        checks.integer("epoch", epoch, least=1),
        checks.integer("epochs", epochs, least=1),
        number(loss),
        _or_nan(accuracy),
        None if val_loss is None else number(val_loss),
        _of_validation(val_loss, val_accuracy),
        number(seconds),
        _or_nan(r2),
        _or_nan(error),
        _of_validation(val_loss, val_r2),
        _of_validation(val_loss, val_error),
    )


def check(results: Sequence[EpochResult], spec: Spec) -> None:
    """Check that each epoch has the metrics of the loss, and that all or none were validated.

    A regression may lack its errors, as epochs of older versions do.
    """
    has_accuracy = spec.decisions > 0
    for result in results:
        validated = results[0].val_loss is not None
        has = [result.val_loss is not None]
        for tested in (result.accuracy, result.val_accuracy):
            has.append(tested is not None and not math.isnan(tested))
        others = (result.r2, result.mean_absolute_error, result.val_r2)
        has_others = any(value is not None and not math.isnan(value) for value in others)
        needed = [validated, has_accuracy, validated and has_accuracy]
        tested_twice = result.val_r2 is not None and not validated
        if has != needed or tested_twice or (has_others and not spec.errors):
            raise ValueError(
                f"the metrics of epoch {result.epoch} are not those that its loss and validation"
                " give"
            )


def _or_nan(value: Any) -> float:
    """Check a metric read from a file, where null means nan: there is no such metric."""
    return math.nan if value is None else number(value)


def _of_validation(val_loss: Any, value: Any) -> float | None:
    """Check a metric of validation read from a file, where null has two meanings.

    Without validation it means None; with validation it means nan, as for accuracy in regression.
    """
    return None if val_loss is None and value is None else _or_nan(value)


def errors(entry: Any, rows: int, spec: Spec) -> Doubles | None:
    """Check the sums of errors read from a file.

    An older version has not summed them, and the sums of an epoch that it has begun are not known:
    they are nan.
    """
    if not spec.errors:
        if entry is not None:
            raise ValueError("it has the entry errors, which only regression has")
        return None
    if entry is None:
        return np.full((2, spec.errors), math.nan if rows else 0.0)
    absolute, squares = entry
    if not len(absolute) == len(squares) == spec.errors:
        raise ValueError(f"errors must have two lists of {spec.errors} numbers")
    return np.array([[_or_nan(value) for value in values] for values in (absolute, squares)])


def number(value: Any) -> float:
    """Check a number read from a file: it must be finite."""
    if type(value) not in (int, float) or not -sys.float_info.max <= value <= sys.float_info.max:
        raise ValueError(f"a number must be finite, got {checks.describe(value)}")
    return float(value)
