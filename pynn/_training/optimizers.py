"""Optimizers: the rules by which a step changes the parameters. Their formulas are in pynn.h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._base.formulas import factor, number
from pynn._native.state import MOMENTS, Update
from pynn._training import schedules

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
    """The base of SGD, Adam and AdamW."""

    _kind: ClassVar[str]
    """The name in files; "sgd" stands for PYNN_SGD in C."""
    _moments: ClassVar[tuple[str, ...]]
    """The arrays of pynn_state that the optimizer may keep between steps."""
    _moment_names: ClassVar[tuple[str, ...]]
    """What the formulas call these arrays."""
    _option_names: ClassVar[tuple[str, ...]]
    """The arguments that are options of this kind in pynn.h."""
    _letter_names: ClassVar[tuple[str, ...]]
    """The arguments that are in the equations."""
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

    def _rate_in_words(self) -> str:
        """Name the learning rate for an error."""
        rate = self.learning_rate
        return "that of the schedule" if callable(rate) else checks.shown(rate)

    def _update(self, first: int, last: int) -> Update:
        """Describe steps first <= s < last for the C library."""
        norm = self.max_gradient_norm or 0.0
        return Update(
            self._kind, self._rates(first, last), self.weight_decay, norm, self._options()
        )

    def _options(self) -> dict[str, float]:
        """Return the options of this kind, by their names in pynn.h."""
        return {name: vars(self)[name] for name in self._option_names}


class SGD(Optimizer):
    """Stochastic gradient descent: parameters -= learning_rate * gradient, or with momentum.

    With `momentum` greater than 0, m = momentum * m + gradient is used instead of the gradient
    (Polyak 1964). With `nesterov` as well, gradient + momentum * m is used (Sutskever et al. 2013).
    Both are as in PyTorch.

    Args:
        learning_rate: A number greater than 0, or a function of the step; see `pynn.schedules`.
        momentum: The factor of the momentum, in [0, 1).
        nesterov: Whether to use Nesterov momentum.
        weight_decay: At least 0; this factor times the weights is added to their gradient. Biases
            do not decay.
        max_gradient_norm: If the norm of the whole gradient is greater than this, the gradient is
            scaled down to this norm (Pascanu et al. 2013); None for no limit.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> import pynn
        >>> pynn.SGD(learning_rate=0.05)
        SGD(learning_rate=0.05)
    """

    _kind: ClassVar[str] = "sgd"
    _moments: ClassVar[tuple[str, ...]] = MOMENTS[:1]
    _moment_names: ClassVar[tuple[str, ...]] = ("momentum",)
    _option_names: ClassVar[tuple[str, ...]] = ("momentum", "nesterov")
    _letter_names: ClassVar[tuple[str, ...]] = ("momentum",)
    _optional: ClassVar[dict[str, Any]] = {
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "max_gradient_norm": None,
    }
    momentum: float
    nesterov: bool

    def __init__(
        self,
        *,
        learning_rate: LearningRate = 0.05,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        max_gradient_norm: float | None = None,
    ) -> None:
        momentum = checks.real("momentum", momentum, least=0.0, below=1.0)
        if not isinstance(nesterov, bool):
            raise ArgumentTypeError(
                f"nesterov must be True or False, got {checks.describe(nesterov)}"
            )
        if nesterov and momentum == 0.0:
            raise ArgumentError("nesterov needs a momentum greater than 0, got momentum=0.0")
        super().__init__(
            learning_rate, weight_decay, max_gradient_norm, momentum=momentum, nesterov=nesterov
        )

    def _marks(self) -> tuple[str, ...]:
        if self.momentum:
            return ("sgd.nesterov" if self.nesterov else "sgd.momentum",)
        return () if self._is_fused else ("sgd.plain",)

    @property
    def _is_fused(self) -> bool:
        return not (self.momentum or self.weight_decay or self.max_gradient_norm)

    def _letters(self, t: int) -> list[str]:
        if self._is_fused:
            return []
        return super()._letters(t) if self.momentum else super()._letters(t)[1:]

    def _written_out(self, it: OneUpdate) -> list[str]:
        lines, g = self._gradient_written_out(it, self.weight_decay)
        p, r, after = number(it.before), number(it.rate), number(it.after)
        if not self.momentum:
            return [*lines, f"p = {p} - {r}*{g} = {after}"]
        factor_of_m, m = f"{self.momentum!r}", factor(it.moments_after[0])
        old, new = factor(it.moments_before[0]), number(it.moments_after[0])
        lines.append(f"m = {factor_of_m}*{old} + {g} = {new}")
        change = f"({g} + {factor_of_m}*{m})" if self.nesterov else m
        return [*lines, f"p = {p} - {r}*{change} = {after}"]

    def _remarks(self, norm: float) -> list[str]:
        if not self._is_fused:
            return super()._remarks(norm)
        return ["no gradient is stored: the code that computes one does the step at once (fused)"]


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): steps of about the learning rate, whatever the gradient's size.

    Args:
        learning_rate: A number greater than 0, or a function of the step; see `pynn.schedules`.
        beta1: The decay rate of the running mean of gradients, in [0, 1).
        beta2: The decay rate of the running mean of squared gradients, in [0, 1).
        eps: At least 1.1754944e-38, added to the root of the mean of squares.
        weight_decay: At least 0; this factor times the weights is added to their gradient. Biases
            do not decay.
        max_gradient_norm: If the norm of the whole gradient is greater than this, the gradient is
            scaled down to this norm (Pascanu et al. 2013); None for no limit.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> import pynn
        >>> pynn.Adam(learning_rate=0.002)
        Adam(learning_rate=0.002)
    """

    _kind: ClassVar[str] = "adam"
    _moments: ClassVar[tuple[str, ...]] = MOMENTS
    _moment_names: ClassVar[tuple[str, ...]] = ("m", "v")
    _option_names: ClassVar[tuple[str, ...]] = ("beta1", "beta2", "eps")
    _letter_names: ClassVar[tuple[str, ...]] = _option_names
    _optional: ClassVar[dict[str, Any]] = {
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "max_gradient_norm": None,
    }
    beta1: float
    beta2: float
    eps: float

    def __init__(
        self,
        *,
        learning_rate: LearningRate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        max_gradient_norm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay,
            max_gradient_norm,
            beta1=checks.real("beta1", beta1, least=0.0, below=1.0),
            beta2=checks.real("beta2", beta2, least=0.0, below=1.0),
            eps=checks.real("eps", eps, least=checks.LEAST_NORMAL),
        )

    def _letters(self, t: int) -> list[str]:
        return [f"t = {t} (number of the update)", *super()._letters(t)]

    def _decay_within(self) -> float:
        """The weight decay that is a part of the gradient."""
        return self.weight_decay

    def _written_out(self, it: OneUpdate) -> list[str]:
        lines, g = self._gradient_written_out(it, self._decay_within())
        (old_m, old_v), (m, v) = it.moments_before, it.moments_after
        one, two, r = f"{self.beta1!r}", f"{self.beta2!r}", number(it.rate)
        apart = self.weight_decay - self._decay_within() if it.decays else 0.0
        p = number(it.before)
        p += f" - {r}*{number(apart)}*{factor(it.before)}" if apart else ""
        mean = f"({number(m)} / (1 - {one}^{it.t}))"
        root = f"(sqrt({number(v)} / (1 - {two}^{it.t})) + {number(self.eps)})"
        return [
            *lines,
            f"m = {one}*{factor(old_m)} + {number(1.0 - self.beta1)}*{g} = {number(m)}",
            f"v = {two}*{number(old_v)} + {number(1.0 - self.beta2)}*{g}^2 = {number(v)}",
            f"p = {p} - {r}*{mean} / {root} = {number(it.after)}",
        ]


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter 2019).

    Args:
        learning_rate: A number greater than 0, or a function of the step; see `pynn.schedules`.
        beta1: See `Adam`.
        beta2: See `Adam`.
        eps: See `Adam`.
        weight_decay: At least 0; a step subtracts learning_rate * weight_decay * weights from the
            weights. Biases do not decay.
        max_gradient_norm: See `Adam`.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> import pynn
        >>> pynn.AdamW(learning_rate=0.002, weight_decay=0.05)
        AdamW(learning_rate=0.002, weight_decay=0.05)
    """

    _kind: ClassVar[str] = "adamw"
    _optional: ClassVar[dict[str, Any]] = Adam._optional | {"weight_decay": 0.01}

    def __init__(
        self,
        *,
        learning_rate: LearningRate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        max_gradient_norm: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
            max_gradient_norm=max_gradient_norm,
        )

    def _marks(self) -> tuple[str, ...]:
        return ("adam.m", "adam.v", "adamw.p" if self.weight_decay else "adam.p")

    def _letters(self, t: int) -> list[str]:
        names = super()._letters(t)[:-1]
        decay = [f"d = {self.weight_decay!r} (weight_decay; 0 for biases)"]
        return [*names, *(decay if self.weight_decay else []), "g = the gradient"]

    def _decay_within(self) -> float:
        return 0.0


_KINDS: dict[str, type[SGD | Adam]] = {kind._kind: kind for kind in (SGD, Adam, AdamW)}


def of_kind(kind: object) -> type[SGD | Adam]:
    """Return the optimizer's class with this name in files; raise a ValueError if there is none."""
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"unknown optimizer {checks.describe(kind)}")
    return _KINDS[kind]


def to_dict(optimizer: Optimizer) -> dict[str, Any]:
    """Convert an optimizer to plain values for a checkpoint."""
    arguments = vars(optimizer)
    rate = schedules.to_dict(optimizer.learning_rate)
    return {"kind": optimizer._kind, **arguments, "learning_rate": rate}


def from_dict(entry: dict[str, Any]) -> Optimizer:
    """Make the optimizer that to_dict() converted.

    Raises:
        ValueError, TypeError or LookupError: The entry is damaged.
    """
    kind = of_kind(entry["kind"])
    arguments = {name: value for name, value in entry.items() if name != "kind"}
    arguments["learning_rate"] = schedules.from_dict(entry["learning_rate"])
    return kind(**arguments)
