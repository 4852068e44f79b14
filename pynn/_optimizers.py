"""Optimizers: what a step does with the gradient."""

from __future__ import annotations

from typing import Any

from pynn import _checks


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

    __slots__ = ("_learning_rate",)

    def __init__(self, *, learning_rate: float = 0.05) -> None:
        self._learning_rate = _checks.real("learning_rate", learning_rate, above=0.0)

    @property
    def learning_rate(self) -> float:
        """What the gradient is multiplied by."""
        return self._learning_rate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SGD) and self.learning_rate == other.learning_rate

    def __hash__(self) -> int:
        return hash((SGD, self.learning_rate))

    def __repr__(self) -> str:
        return f"SGD(learning_rate={self.learning_rate})"


def to_dict(optimizer: SGD) -> dict[str, Any]:
    """What a checkpoint keeps of an optimizer."""
    return {"kind": "sgd", "learning_rate": optimizer.learning_rate}


def from_dict(entry: dict[str, Any]) -> SGD:
    """The optimizer that to_dict() gave; ValueError, TypeError or LookupError if it is damaged."""
    if entry["kind"] != "sgd":
        raise ValueError(f"unknown optimizer {_checks.describe(entry['kind'])}")
    return SGD(learning_rate=entry["learning_rate"])
