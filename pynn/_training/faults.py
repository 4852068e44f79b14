"""Numbers that are not finite: whose fault that is, and what the error says of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.errors import ArgumentError, DivergenceError, PynnError
from pynn._native.data import Data
from pynn._native.workspace import Sums
from pynn._training.optimizers import Optimizer

if TYPE_CHECKING:
    from pynn._training.engine import Engine

CORRECT = "correct or remove such examples, for instance with np.nan_to_num"
NO_ROWS = slice(0)
PARAMETERS = "some parameters are not finite any more"


class Fault(NamedTuple):
    """Where a training went wrong, and what is not finite, in words."""

    place: str
    what: str
    rows: slice = NO_ROWS
    """Of the order: those of the step that failed, where it may be for their features."""
    trained: bool = True
    """Whether steps may be to blame, and not a callback alone."""


def after(step: int, steps: int) -> str:
    """Where an epoch, or a call of `partial_fit`, stands after one of its steps."""
    return "after its last step" if step == steps else f"after step {step}"


def not_finite(engine: Engine) -> str | None:
    """What of a model is not finite, in words; None if all is."""
    if not np.isfinite(engine.parameters).all():
        return PARAMETERS
    if not all(np.isfinite(moment).all() for moment in engine.state.moments):
        return "some of the optimizer's moments are not finite any more"
    return None


def diagnose(engine: Engine, sums: Sums, batch_size: int, steps: int) -> Fault:
    """What the C library stopped for, in a step or after the last of a call.

    A step with a loss or a feature that is not finite makes no update. So parameters that are not
    finite then are the work of the step before: which step is named does not depend on how steps
    were cut into calls.
    """
    step = -(-sums.rows // batch_size)
    what = not_finite(engine)
    if what is not None:
        return Fault(after(step if math.isfinite(sums.loss) else step - 1, steps), what)
    rows = slice((step - 1) * batch_size, sums.rows)
    return Fault(f"step {step} of {steps}", "the loss is not finite any more", rows)


def explain(
    fault: Fault,
    data: Data,
    rows: npt.NDArray[Any],
    optimizer: Optimizer,
    back: str | None = None,
    why: str = "",
) -> PynnError:
    """The error for a fault: what is wrong and what to try.

    Args:
        fault: The fault.
        data: What was trained on.
        rows: Which rows of it may have been the cause.
        optimizer: What made the steps.
        back: Where the model is now, if it went back.
        why: What to say of it if it could not.
    """
    bad = data.find_not_finite(rows)
    if bad is not None:
        left = back or f"the model is as the step before left it{why}"
        return ArgumentError(f"{fault.place}: {bad[1]}: {CORRECT}; {left}")
    advice = (
        f": try a smaller learning rate than {optimizer._rate_in_words()}, features scaled to about"
        " 1, or another init"
    )
    left = back or f"the model's parameters are lost{why}: build it or load it anew"
    return DivergenceError(f"{fault.place}: {fault.what}{advice if fault.trained else ''}; {left}")


def explain_use(what: str, data: Data) -> PynnError:
    """The error for a figure that is not finite: the features' fault, or the parameters'."""
    bad = data.find_not_finite()
    if bad is not None:
        return ArgumentError(f"{bad[1]}: features must be finite; see np.nan_to_num")
    return DivergenceError(
        f"{what} is not finite, though the features are: they are too large, or the model has"
        " diverged, or its parameters were set so"
    )
