"""The callbacks of a call of `fit`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from pynn._base import checks
from pynn._base.errors import ArgumentTypeError
from pynn._training.history import EpochResult, Progress
from pynn._training.progress_bar import ProgressBar

OnEpoch = Callable[[EpochResult], object]  # if it returns True, the training ends
OnProgress = Callable[[Progress], object]


class Callbacks(NamedTuple):
    """What is called in a training, in this order."""

    on_epoch: tuple[OnEpoch, ...]
    on_progress: tuple[OnProgress, ...]
    bar: ProgressBar | None
    """It is one of both, if there is one, and ends with the training."""

    def around(self) -> AbstractContextManager[object]:
        """What the training has to be done within: the bar, if there is one."""
        return self.bar or nullcontext()


def check(on_epoch: object, on_progress: object, progress: object) -> Callbacks:
    """Check these arguments of `fit`.

    The bar comes first, so that what the other callbacks print comes below its line.

    Raises:
        ArgumentTypeError: One of them is of the wrong type.
    """
    if not isinstance(progress, (bool, ProgressBar)):
        raise ArgumentTypeError(
            "progress must be True, False or what pynn.progress() returns, got"
            f" {checks.describe(progress)}"
        )
    bar = ProgressBar() if progress is True else progress or None
    bars = () if bar is None else (bar,)
    of_epochs, of_steps = _listed("on_epoch", on_epoch), _listed("on_progress", on_progress)
    return Callbacks((*bars, *of_epochs), (*bars, *of_steps), bar)


def _listed(name: str, value: object) -> tuple[Callable[[Any], object], ...]:
    """Check a callback or several; return them in a tuple."""
    callbacks = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
    for callback in callbacks:
        if not callable(callback):
            raise ArgumentTypeError(f"{name} must be callable, got {checks.describe(callback)}")
    return tuple(callbacks)
