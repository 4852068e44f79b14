"""What the steps of a training do with the gradient, and what goes from step to step."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Floats
from pynn._base.errors import OutOfMemoryError
from pynn._native.library import ffi, floats, lib

OptimizerKind = Literal["sgd", "adam", "adamw"]

_OPTIMIZERS: dict[str, int] = {
    "sgd": lib.PYNN_SGD,
    "adam": lib.PYNN_ADAM,
    "adamw": lib.PYNN_ADAMW,
}


class Update(NamedTuple):
    """What the steps of a call do with the gradient; see pynn_optimizer in pynn.h."""

    kind: OptimizerKind
    learning_rates: npt.NDArray[np.float64]
    """Shape (steps,): one for each step of the call."""
    weight_decay: float = 0.0
    max_norm: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    keeps_speed: bool = False
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0

    def to_c(self, steps: int) -> tuple[Any, Any]:
        """The C library's description for so many steps, and what has to live as long."""
        rates = self.learning_rates
        assert rates.dtype == np.float64 and rates.shape == (steps,) and rates.flags.c_contiguous
        kept = ffi.from_buffer("double[]", rates)
        fields = (_OPTIMIZERS[self.kind], 0.0, kept, self.weight_decay, self.max_norm)
        optimizer = ffi.new("pynn_optimizer *", fields)
        options = getattr(optimizer, self.kind)
        for name in dir(options):
            setattr(options, name, getattr(self, name))
        return optimizer, kept


class _Kept(NamedTuple):
    """All of a state, so that one assignment replaces it whenever Ctrl-C comes."""

    handle: Any
    kind: OptimizerKind | None
    moments: list[Floats]


class State:
    """What goes from step to step beside the parameters.

    Args:
        seed: Of dropout.
        step: Steps done.
    """

    def __init__(self, seed: int, step: int = 0) -> None:
        self._seed = seed
        self._gradients: Floats | None = None
        self.restore(step, 0, None, [])

    @property
    def handle(self) -> Any:
        """The C library's."""
        return self._kept.handle

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._kept.handle.step)

    @property
    def updates(self) -> int:
        """Steps done since the moments were zeros."""
        return int(self._kept.handle.updates)

    @property
    def kind(self) -> OptimizerKind | None:
        """The optimizer that the moments are of."""
        return self._kept.kind

    @property
    def moments(self) -> list[Floats]:
        """As many arrays (parameter_count,) as the optimizer needs, 0 to 2."""
        return self._kept.moments

    def copy(self) -> tuple[int, int, OptimizerKind | None, list[Floats]]:
        """What restore() takes, with moments of its own."""
        return self.step, self.updates, self.kind, [moment.copy() for moment in self.moments]

    def restore(
        self, step: int, updates: int, kind: OptimizerKind | None, moments: list[Floats]
    ) -> None:
        """Be as another state was that had these."""
        fields = {"seed": self._seed, "step": step, "updates": updates}
        self._kept = _Kept(ffi.new("pynn_state *", fields), kind, moments)

    def prepare(self, kind: OptimizerKind, needs: int, count: int) -> None:
        """Have `needs` arrays for an optimizer; another kind of it starts with moments of zeros.

        Raises:
            OutOfMemoryError: There is no memory for them.
        """
        same = kind == self.kind
        moments = list(self.moments) if same else []
        try:
            if needs >= 1 and self._gradients is None:
                self._gradients = np.empty(count, np.float32)
            while len(moments) < needs - 1:
                moments.append(np.zeros(count, np.float32))
        except MemoryError:
            raise OutOfMemoryError(f"out of memory for the optimizer's {count:,} moments") from None
        if not same or len(moments) > len(self.moments):
            self.restore(self.step, self.updates if same else 0, kind, moments)
        arrays = [self._gradients, *moments, None, None][:3]
        self._lent = [
            ffi.NULL if array is None else floats(array, count, writable=True) for array in arrays
        ]
        self.handle.gradients, self.handle.first, self.handle.second = self._lent
