"""Optimizers: what a step does with the gradient."""

from __future__ import annotations

from dataclasses import dataclass

from pynn import _checks


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Plain stochastic gradient descent: parameters -= learning_rate * gradient.

    Args:
        learning_rate: Finite and greater than 0.

    Raises:
        ArgumentTypeError: The learning rate is no number.
        ArgumentError: It is not finite, or not greater than 0.

    Examples:
        >>> import pynn
        >>> pynn.SGD(learning_rate=0.05)
        SGD(learning_rate=0.05)
    """

    learning_rate: float = 0.05

    def __post_init__(self) -> None:
        rate = _checks.real("learning_rate", self.learning_rate, above=0.0)
        object.__setattr__(self, "learning_rate", rate)
