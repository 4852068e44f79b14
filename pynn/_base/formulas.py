"""Numbers and sums as text, to be read as a formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def factor(value: float) -> str:
    """A number with four digits, in parentheses if it is negative."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def total(values: Iterable[float]) -> str:
    """A sum, such as "-0.2 + (-0.1)"."""
    found = [float(value) for value in values]
    return sum_of([factor(v) if place else number(v) for place, v in enumerate(found)], found)


def total_of_products(left: Iterable[float], right: Iterable[float]) -> str:
    """A sum of products, such as "0.2*0.5 + 0.1*(-2)"."""
    pairs = [(float(a), float(b)) for a, b in zip(left, right, strict=True)]
    return sum_of([f"{factor(a)}*{factor(b)}" for a, b in pairs], [a * b for a, b in pairs])


def sum_of(terms: Sequence[str], values: Sequence[float]) -> str:
    """The sum of terms that have these values.

    If it is long, only the largest terms are written out: "0.9*0.5 + 0.8*0.5 + 0.1 (7 more)".
    """
    if len(terms) <= MOST_TERMS:
        return " + ".join(terms)
    order = sorted(range(len(terms)), key=lambda place: -abs(values[place]))
    shown, others = sorted(order[:LARGEST_TERMS]), order[LARGEST_TERMS:]
    rest = f"{factor(sum(values[place] for place in others))} ({len(others):,} more)"
    return " + ".join([*(terms[place] for place in shown), rest])
