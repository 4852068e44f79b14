"""What the steps of a training do with the gradient, and what goes from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Floats
from pynn._base.errors import OutOfMemoryError
from pynn._native.library import ffi, floats, lib

MOMENTS = ("first", "second")
"""The arrays of pynn_state that an optimizer may keep from step to step, in their order."""


class Update(NamedTuple):
    """What the steps of a call do with the gradient; see pynn_optimizer in pynn.h."""

    kind: str
    """"sgd" for PYNN_SGD, whose options are pynn_optimizer.sgd; and so on."""
    learning_rates: npt.NDArray[np.float64]
    """Shape (steps,): one for each step of the call."""
    weight_decay: float = 0.0
    max_norm: float = 0.0
    options: Mapping[str, float] = MappingProxyType({})
    """Those of the kind, by C's names; what is missing is 0."""

    def to_c(self, steps: int) -> tuple[Any, Any]:
        """The C library's description for so many steps, and what has to live as long."""
        rates = self.learning_rates
        assert rates.dtype == np.float64 and rates.shape == (steps,) and rates.flags.c_contiguous
        kept = ffi.from_buffer("double[]", rates)
        fields = {
            "kind": getattr(lib, f"PYNN_{self.kind.upper()}"),
            "learning_rates": kept,
            "weight_decay": self.weight_decay,
            "max_norm": self.max_norm,
            self.kind: dict(self.options),
        }
        return ffi.new("pynn_optimizer *", fields), kept


class _Kept(NamedTuple):
    """All of a state, so that one assignment replaces it whenever Ctrl-C comes."""

    handle: Any
    kind: str | None
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
    def kind(self) -> str | None:
        """The optimizer that the moments are of."""
        return self._kept.kind

    @property
    def moments(self) -> list[Floats]:
        """As many arrays (parameter_count,) as the optimizer needs; C has them as `MOMENTS`."""
        return self._kept.moments

    def to_dict(self) -> dict[str, Any]:
        """What restore() takes, with moments of its own."""
        moments = [moment.copy() for moment in self.moments]
        return {"step": self.step, "updates": self.updates, "kind": self.kind, "moments": moments}

    def restore(self, step: int, updates: int, kind: str | None, moments: list[Floats]) -> None:
        """Be as another state was that had these."""
        fields = {"seed": self._seed, "step": step, "updates": updates}
        self._kept = _Kept(ffi.new("pynn_state *", fields), kind, moments)

    def prepare(self, kind: str, needs: int, count: int) -> None:
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
        arrays = dict(zip(MOMENTS, moments, strict=False)) | {"gradients": self._gradients}
        self._lent = {
            name: floats(array, count, writable=True)
            for name, array in arrays.items()
            if array is not None
        }
        for name in ("gradients", *MOMENTS):
            setattr(self.handle, name, self._lent.get(name, ffi.NULL))
