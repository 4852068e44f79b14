"""Dropout."""

from __future__ import annotations

from pynn._base import checks
from pynn._network.layers import Layer


class Dropout(Layer):
    """y = m x in training; y = x in prediction (Srivastava et al. 2014).

    For each value m is drawn anew: it is 0 with probability rate, and otherwise 1 / (1 - rate).
    """

    kind = "dropout"
    options = ("rate",)
    in_use = False
    torch_module = "Dropout"

    rate: float

    def __init__(self, rate: float) -> None:
        below = checks.BELOW_ONE
        super().__init__(rate=checks.real("dropout rate", rate, least=0.0, below=below))
