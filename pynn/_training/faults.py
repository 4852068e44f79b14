"""Finding why a number is not finite, and making the error that explains it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.errors import ArgumentError, DivergenceError, PynnError
from pynn._native.data import Data
from pynn._native.workspace import Sums
from pynn._training.lbfgs import LBFGS
from pynn._training.optimizers import Optimizer

if TYPE_CHECKING:
    from pynn._training.engine import Engine

CORRECT = "correct or remove such examples, for instance with np.nan_to_num"
NO_ROWS = slice(0)
PARAMETERS = "some parameters are not finite any more"


class Fault(NamedTuple):
    """Where in a training a number was not finite, and which one."""

    place: str
    """The place in words: "step 3 of 10"."""
    what: str
    """The number in words: "the loss is not finite any more"."""
    rows: slice = NO_ROWS
    """The positions in the epoch's order of the rows of this step, whose features may be why."""
    trained: bool = True
    """Whether a step may be the cause; if not, a callback wrote into the model."""


def after(step: int, steps: int) -> str:
    """Name the place after a step of an epoch or of a call of `partial_fit`."""
    return "after its last step" if step == steps else f"after step {step}"


def not_finite(engine: Engine) -> str | None:
    """Say in words which numbers of a model are not finite; None if all are finite."""
    if not np.isfinite(engine.parameters).all():
        return PARAMETERS
    state = engine.state  # the pairs of LBFGS were checked when they were made, and never change
    if state.kind != LBFGS._kind and not all(np.isfinite(it).all() for it in state.moments):
        return "some of the optimizer's moments are not finite any more"
    return None


def diagnose(engine: Engine, sums: Sums, batch_size: int, steps: int) -> Fault:
    """Find out why C stopped with PYNN_NOT_FINITE, in a step or after the last step of a call.

    C checks the loss and the features in each step, before its update. It checks the parameters and
    moments only after the last step of a call; in earlier steps they are noticed one step later, by
    the loss that they give. If they are not finite when a step's loss is not, the update before has
    made them so, because the step itself made none. So the step that is named does not depend on
    how the steps were cut into calls.
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
    """Make the error for a fault: it says what is wrong and what to try.

    Args:
        fault: The fault.
        data: The examples that were trained on.
        rows: The rows of the data whose features may be the cause.
        optimizer: The optimizer, whose learning rate may be the cause.
        back: The state of the model in words, if it went back to a checkpoint.
        why: Why it could not go back, in words; "" if there was no checkpoint to go back to.
    """
    bad = data.find_not_finite(rows)
    if bad is not None:
        left = back or f"the model is as the step before left it{why}"
        return ArgumentError(f"{fault.place}: {bad[1]}: {CORRECT}; {left}")
    advice = f": {optimizer._remedy()}"
    left = back or f"the model's parameters are lost{why}: build it or load it anew"
    return DivergenceError(f"{fault.place}: {fault.what}{advice if fault.trained else ''}; {left}")


def explain_use(what: str, data: Data) -> PynnError:
    """Make the error for a loss or output that is not finite: by the features or the parameters."""
    bad = data.find_not_finite()
    if bad is not None:
        missing = (
            ", or build the model with .standardize(missing='mean')"
            if " holds nan " in bad[1]
            else ""
        )
        return ArgumentError(f"{bad[1]}: features must be finite; see np.nan_to_num{missing}")
    return DivergenceError(
        f"{what} is not finite, though the features are: they are too large, or the model has"
        " diverged, or its parameters were set to such values"
    )
