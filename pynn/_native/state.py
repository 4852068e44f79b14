"""The optimizer's options for a call of C, and the state that it keeps between steps."""

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
"""The arrays of pynn_state that an optimizer may keep between steps, in their order."""


class Update(NamedTuple):
    """The optimizer and its options for the steps of one call; see pynn_optimizer in pynn.h."""

    kind: str
    """"sgd" stands for PYNN_SGD, which has its options in pynn_optimizer.sgd; and so on."""
    learning_rates: npt.NDArray[np.float64]
    """The learning rate of each step of the call, shape (steps,)."""
    weight_decay: float = 0.0
    max_norm: float = 0.0
    options: Mapping[str, float] = MappingProxyType({})
    """The options of this kind, by their names in C; a missing one is 0."""

    def to_c(self, steps: int) -> tuple[Any, Any]:
        """Make the C library's pynn_optimizer for so many steps.

        Returns:
            The pynn_optimizer, and an object that must live as long, because it owns the pointer
            to the learning rates.
        """
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
    """The contents of a State.

    They are one tuple, so that one assignment replaces all of them. If Ctrl-C comes before or after
    the assignment, handle, kind and moments still belong together.
    """

    handle: Any
    kind: str | None
    moments: list[Floats]


class State:
    """What is kept between steps beside the parameters: counts and the optimizer's moments.

    Args:
        seed: The seed of dropout.
        step: The number of steps done before.
    """

    def __init__(self, seed: int, step: int = 0) -> None:
        self._seed = seed
        self._gradients: Floats | None = None
        self.restore(step, 0, None, [])

    @property
    def handle(self) -> Any:
        """The C library's pynn_state."""
        return self._kept.handle

    @property
    def step(self) -> int:
        """The number of steps done."""
        return int(self._kept.handle.step)

    @property
    def updates(self) -> int:
        """The number of steps done since the moments were zeros."""
        return int(self._kept.handle.updates)

    @property
    def kind(self) -> str | None:
        """The kind of optimizer that the moments belong to; None before the first step."""
        return self._kept.kind

    @property
    def moments(self) -> list[Floats]:
        """The optimizer's moments, each of shape (parameter_count,), in the order of `MOMENTS`."""
        return self._kept.moments

    def dropout_factors(self, layer: int, rate: float, shape: tuple[int, ...]) -> Floats:
        """What dropout multiplies its inputs by in the next step: 0, or 1 / (1 - rate).

        Args:
            layer: The layer's place in the chain, from 0.
            rate: The share of values that are dropped.
            shape: That of the layer's inputs, whose first number is the rows of the batch.
        """
        factors = np.empty(shape, np.float32)
        handle, pointer = self.handle, floats(factors, factors.size, writable=True)
        lib.pynn_dropout_mask(handle.seed, handle.step, layer, rate, 0, factors.size, pointer)
        return factors

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments of restore(); the moments are copies."""
        moments = [moment.copy() for moment in self.moments]
        return {"step": self.step, "updates": self.updates, "kind": self.kind, "moments": moments}

    def restore(self, step: int, updates: int, kind: str | None, moments: list[Floats]) -> None:
        """Replace all contents, as to_dict() gave them; the moments are used without a copy."""
        fields = {"seed": self._seed, "step": step, "updates": updates}
        self._kept = _Kept(ffi.new("pynn_state *", fields), kind, moments)

    def prepare(self, kind: str, needs: int, count: int) -> None:
        """Allocate what the next steps need, and set C's pointers to it.

        A state that was used with another kind of optimizer gets new moments, which are zeros.

        Args:
            kind: The kind of optimizer.
            needs: How many arrays it needs; the first are gradients, the others moments.
            count: The number of parameters.

        Raises:
            OutOfMemoryError: There is no memory for the arrays.
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
