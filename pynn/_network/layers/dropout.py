"""Dropout."""

from __future__ import annotations

from pynn._base import checks
from pynn._network.layers import Layer


class Dropout(Layer):
    """y = m x with m 0 at random, else 1 / (1 - rate), in training; y = x in use.

    Srivastava et al. 2014.
    """

    kind = "dropout"
    options = ("rate",)
    in_use = False
    torch_module = "Dropout"

    rate: float

    def __init__(self, rate: float) -> None:
        below = checks.BELOW_ONE
        super().__init__(rate=checks.real("dropout rate", rate, least=0.0, below=below))
