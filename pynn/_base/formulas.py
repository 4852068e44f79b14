"""Numbers and sums as text, to be read as a formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

MOST_TERMS = 8
"""Of a sum with more terms, only the LARGEST_TERMS largest are written out."""
LARGEST_TERMS = 3

_digits: ContextVar[int] = ContextVar("digits", default=4)


@contextmanager
def digits(count: int) -> Iterator[None]:
    """Within this context numbers have so many digits instead of four."""
    token = _digits.set(count)
    try:
        yield
    finally:
        _digits.reset(token)


def number(value: float) -> str:
    """A number with four digits."""
    return f"{float(value) + 0.0:.{_digits.get()}g}"  # the sum makes 0 of -0


def figure(value: float) -> str:
    """A loss or another metric with four decimals, or like "1.08e+44" if it is large or small."""
    is_plain = value == 0.0 or 5e-5 <= abs(value) < 1e7 or not math.isfinite(value)
    return f"{value:.4f}" if is_plain else f"{value:.2e}"


def factor(value: float) -> str:
    """A number with four digits, in parentheses if it is negative."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def total(values: Iterable[float]) -> str:
    """A sum, such as "-0.2 + (-0.1)"."""
    found = [float(value) for value in values]
    return _sum_of(lambda place: factor(found[place]) if place else number(found[place]), found)


def total_of_products(left: Iterable[float], right: Iterable[float]) -> str:
    """A sum of products, such as "0.2*0.5 + 0.1*(-2)"."""
    pairs = [(float(a), float(b)) for a, b in zip(left, right, strict=True)]
    return _sum_of(
        lambda place: f"{factor(pairs[place][0])}*{factor(pairs[place][1])}",
        [a * b for a, b in pairs],
    )


def sum_of(terms: Sequence[str], values: Sequence[float]) -> str:
    """The sum of terms that have these values.

    If it is long, only the largest terms are written out: "0.9*0.5 + 0.8*0.5 + 0.1 (7 more)".
    """
    return _sum_of(terms.__getitem__, values)


def _sum_of(term: Callable[[int], str], values: Sequence[float]) -> str:
    """The same, with a function that writes a term: of a long sum only few are written."""
    if len(values) <= MOST_TERMS:
        return " + ".join(map(term, range(len(values))))
    order = sorted(range(len(values)), key=lambda place: -abs(values[place]))
    shown, others = sorted(order[:LARGEST_TERMS]), order[LARGEST_TERMS:]
    rest = f"{factor(sum(values[place] for place in others))} ({len(others):,} more)"
    return " + ".join([*map(term, shown), rest])
