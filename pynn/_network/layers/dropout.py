"""Dropout."""

from __future__ import annotations

from collections.abc import Mapping

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn._base.formulas import number
from pynn._network.layers import Layer


class Dropout(Layer):
    """y = m x in training; y = x in prediction (Srivastava et al. 2014).

    For each value m is drawn anew: it is 0 with probability rate, and otherwise 1 / (1 - rate).
    """

    kind = "dropout"
    options = ("rate",)
    is_scalar = True
    in_use = False
    torch_module = "Dropout"

    rate: float

    def __init__(self, rate: float) -> None:
        below = checks.BELOW_ONE
        if isinstance(rate, int) and 1 < rate < 100:
            raise ArgumentError(
                f"dropout rate must be at least 0 and less than 1, got {rate}: it is a share, and"
                f" {rate} % are {rate / 100}"
            )
        super().__init__(rate=checks.real("dropout rate", rate, least=0.0, below=below))

    @property
    def full_batch_refusal(self) -> str:
        return "it drops other values at each look at the loss" if self.rate else ""

    def scalar_formula(self, x: float, y: float) -> str:
        m = self.derivative(x, y)
        return f"{m}*{number(x)}" if m else ""

    def derivative(self, x: float, y: float) -> str:
        if x == 0.0:
            return ""  # y is 0 whatever m is
        return number(1.0 / (1.0 - self.rate)) if y != 0.0 else "0"

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        there = arrays["X"] != 0.0
        dropped = int((there & (arrays["Y"] == 0.0)).sum())
        others = f"the others are multiplied by 1 / (1 - {number(self.rate)})"
        return [
            f"{dropped:,} of the {int(there.sum()):,} values that are not 0 are dropped; {others}"
        ]
