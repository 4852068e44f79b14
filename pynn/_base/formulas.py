"""Numbers and sums as text, to be read as a formula."""

from __future__ import annotations

from collections.abc import Iterable

MOST_TERMS = 8
"""A sum with more terms is not written out."""


def number(value: float) -> str:
    """A number with four digits."""
    return f"{float(value) + 0.0:.4g}"  # the sum makes 0 of -0


def factor(value: float) -> str:
    """A number with four digits, in parentheses if it is negative."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def total(values: Iterable[float]) -> str:
    """A sum, such as "-0.2 + (-0.1)"."""
    return " + ".join(factor(v) if place else number(v) for place, v in enumerate(values))


def total_of_products(left: Iterable[float], right: Iterable[float]) -> str:
    """A sum of products, such as "0.2*0.5 + 0.1*(-2)"."""
    return " + ".join(f"{factor(a)}*{factor(b)}" for a, b in zip(left, right, strict=True))
