"""Optimizers: the rules by which a step changes the parameters. Their formulas are in pynn.h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._base.formulas import factor, number
from pynn._files.model_file import MOMENT_TENSORS
from pynn._training import schedules
from pynn._training.lbfgs import LBFGS
from pynn._training.optimizer import LearningRate as LearningRate
from pynn._training.optimizer import OneUpdate as OneUpdate
from pynn._training.optimizer import Optimizer as Optimizer


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
    _tensors: ClassVar[tuple[str, ...]] = MOMENT_TENSORS[:1]
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
    _tensors: ClassVar[tuple[str, ...]] = MOMENT_TENSORS
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


KINDS: dict[str, type[Optimizer]] = {kind._kind: kind for kind in (SGD, Adam, AdamW, LBFGS)}
"""All optimizers, by their names in files."""


def of_kind(kind: object) -> type[Optimizer]:
    """Return the optimizer's class with this name in files; raise a ValueError if there is none."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown optimizer {checks.describe(kind)}")
    return KINDS[kind]


def to_dict(optimizer: Optimizer) -> dict[str, Any]:
    """Convert an optimizer to plain values for a checkpoint."""
    arguments = dict(vars(optimizer))
    if "learning_rate" in arguments:
        arguments["learning_rate"] = schedules.to_dict(optimizer.learning_rate)
    return {"kind": optimizer._kind, **arguments}


def from_dict(entry: dict[str, Any]) -> Optimizer:
    """Make the optimizer that to_dict() converted.

    Raises:
        ValueError, TypeError or LookupError: The entry is damaged.
    """
    kind = of_kind(entry["kind"])
    arguments = {name: value for name, value in entry.items() if name != "kind"}
    if not kind._is_full_batch:
        arguments["learning_rate"] = schedules.from_dict(entry["learning_rate"])
    make: Callable[..., Optimizer] = kind
    return make(**arguments)
