"""What all optimizers have in common. Their formulas are in pynn.h."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.formulas import factor, number
from pynn._native.state import Update
from pynn._training import schedules

if TYPE_CHECKING:
    from pynn._network.spec import Spec

LearningRate = float | Callable[[int], float]


class OneUpdate(NamedTuple):
    """The numbers of one parameter in a step."""

    before: float
    gradient: float
    after: float
    moments_before: tuple[float, ...]
    moments_after: tuple[float, ...]
    rate: float
    t: int
    decays: bool
    """Whether weight decay makes the parameter smaller."""
    clip: float
    """What the whole gradient is multiplied by, so that it is not too long."""


class Optimizer(Arguments):
    """The base of SGD, Adam, AdamW and LBFGS."""

    _kind: ClassVar[str]
    """The name in files; "sgd" stands for PYNN_SGD in C."""
    _tensors: ClassVar[tuple[str, ...]]
    """The tensors in checkpoints of the arrays that the optimizer may keep between steps."""
    _moment_names: ClassVar[tuple[str, ...]]
    """What the formulas call these arrays."""
    _option_names: ClassVar[tuple[str, ...]]
    """The arguments that are options of this kind in pynn.h."""
    _letter_names: ClassVar[tuple[str, ...]]
    """The arguments that are in the equations."""
    _is_full_batch: ClassVar[bool] = False
    """Whether each step takes all examples."""
    learning_rate: LearningRate
    """A number, or a function of the step, such as the schedules of `pynn.schedules`."""
    weight_decay: float
    """The factor by which weights decay; see each optimizer."""
    max_gradient_norm: float | None
    """The norm that longer gradients are scaled down to; None for no limit."""

    def __init__(
        self, learning_rate: object, weight_decay: object, max_norm: object, **rest: Any
    ) -> None:
        rate = learning_rate
        if callable(rate):
            rate = schedules.check_rate("learning_rate", rate)
        else:
            rate = checks.real("learning_rate", rate, above=0.0)
        super().__init__(
            learning_rate=rate,
            **rest,
            weight_decay=checks.real("weight_decay", weight_decay, least=0.0),
            max_gradient_norm=None
            if max_norm is None
            else checks.real("max_gradient_norm", max_norm, above=0.0),
        )

    def _marks(self) -> tuple[str, ...]:
        """The names of the equations of an update, in csrc/optimizer.c; none if it is fused."""
        return ("adam.m", "adam.v", "adam.p")

    @property
    def _is_fused(self) -> bool:
        """Whether a layer does the step where it computes the gradient, which is never stored."""
        return False

    def _letters(self, t: int) -> list[str]:
        """What the letters of the equations are in update number t, beside the rate's r."""
        names = [f"{name} = {vars(self)[name]!r}" for name in self._letter_names]
        if not self.weight_decay:
            return [*names, "g = the gradient"]
        return [*names, f"g = the gradient + {self.weight_decay!r} weight (weight_decay)"]

    def _written_out(self, it: OneUpdate) -> list[str]:
        """How an update is calculated, with all its numbers: g, the moments, and p."""
        return []

    def _clip(self, norm: float) -> float:
        """What a gradient of this norm is multiplied by."""
        most = self.max_gradient_norm
        return min(1.0, most / (norm + 1e-6)) if most else 1.0

    def _remarks(self, norm: float) -> list[str]:
        """What a step teaches whose gradient has this norm, in sentences; mostly nothing."""
        clip, most = self._clip(norm), self.max_gradient_norm
        if most is None or clip == 1.0:
            return []
        why = f"its norm {number(norm)} is above max_gradient_norm={number(most)}"
        return [f"the whole gradient is multiplied by {number(clip)}: {why}"]

    def _gradient_written_out(self, it: OneUpdate, decay: float) -> tuple[list[str], str]:
        """The line of g if it is more than the gradient, and g as a factor of other formulas."""
        decay = decay if it.decays else 0.0
        if it.clip == 1.0 and decay == 0.0:
            return [], factor(it.gradient)
        g = it.clip * it.gradient + decay * it.before
        text = factor(it.gradient) if it.clip == 1.0 else f"{it.clip:.4g}*{factor(it.gradient)}"
        text += f" + {number(decay)}*{factor(it.before)}" if decay else ""
        return [f"g = {text} = {number(g)}"], factor(g)

    def _rates(self, first: int, last: int) -> npt.NDArray[np.float64]:
        """Return the learning rates of steps first <= s < last, shape (last - first,)."""
        if not callable(self.learning_rate):
            return np.full(last - first, self.learning_rate)
        rates = np.empty(last - first)
        for step in range(first, last):
            name = f"learning_rate: its value for step {step}"
            rates[step - first] = schedules.check_value(name, self.learning_rate(step))
        return rates

    def _remedy(self) -> str:
        """What to try when numbers stop being finite, for an error."""
        rate = self.learning_rate
        shown = "that of the schedule" if callable(rate) else checks.shown(rate)
        return (
            f"try a smaller learning rate than {shown}, features scaled to about 1, or another init"
        )

    def _check_network(self, spec: Spec) -> None:
        """Raise an ArgumentError if a network cannot be trained by this optimizer."""

    def _update(self, first: int, last: int) -> Update:
        """Describe steps first <= s < last for the C library."""
        norm = self.max_gradient_norm or 0.0
        return Update(
            self._kind, self._rates(first, last), self.weight_decay, norm, self._options()
        )

    def _options(self) -> dict[str, float]:
        """Return the options of this kind, by their names in pynn.h."""
        return {name: vars(self)[name] for name in self._option_names}
