"""As many digits as a formula needs, so that its numbers, as printed, give its result.

Four digits are mostly enough. Where numbers nearly cancel they are not: "1 - 1 = 6.104e-06" would
teach nothing. There the numbers that matter get more digits: "1 - 0.999994 = 6.104e-06".
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from pynn._base.formulas import digits

TOLERANCE = 0.005
"""The share of the result by which a formula may miss it."""
LEAST = 1e-35
"""Smaller results may be 0: C takes denormal numbers as 0."""
MOST_DIGITS = 17
"""So many digits tell any two numbers of 64 bits apart."""
DIGITS_OF_A_FLOAT = 9

NUMBER = re.compile(r"(\d[\d.]*(?:e[-+]\d+)?)")
COUNT = re.compile(r" \([\d,]+ more\)")

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "max": max,
    "min": min,
    "Phi": lambda x: 0.5 * math.erfc(-x / math.sqrt(2.0)),
    "phi": lambda x: math.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi),
}


def value_of(formula: str) -> float:
    """The value of a formula, such as "2*(1 - 0.5^2)"; infinity where it has none."""
    tree = ast.parse(COUNT.sub("", formula).replace("^", "**"), mode="eval")
    try:
        return _value(tree.body)
    except (ZeroDivisionError, OverflowError, ValueError):
        return math.inf


def _value(node: Any) -> float:
    match type(node):
        case ast.Constant:
            return float(node.value)
        case ast.UnaryOp:  # a minus: formulas have no other
            return -_value(node.operand)
        case ast.BinOp:
            return OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    return FUNCTIONS[node.func.id](*map(_value, node.args))


def holds(sentence: str) -> bool:
    """Whether the numbers of "name = formula = result", as printed, give the result."""
    _, formula, result = sentence.split(" = ")
    error = abs(value_of(formula) - float(result))
    return error <= TOLERANCE * abs(float(result)) + LEAST


def enough_digits(write: Callable[[], list[str]]) -> list[str]:
    """Sentences with as many digits as they need.

    Args:
        write: Returns the sentences, "name = formula = result", or "" for none.
    """
    short = write()
    if all(not sentence or holds(sentence) for sentence in short):
        return short
    with digits(MOST_DIGITS):
        longest = write()
    with digits(DIGITS_OF_A_FLOAT):
        long = write()
    return [_shortest(*three) for three in zip(short, long, longest, strict=True)]


def _shortest(short: str, long: str, longest: str) -> str:
    """The sentence with four digits where they are enough, and otherwise with the fewest.

    If no number of digits is enough, it is that of all digits of a float: then the result is what
    the rounding of floats has left.
    """
    if not short or holds(short):
        return short
    parts, few, floats = (NUMBER.split(text) for text in (longest, short, long))
    parts[-2:] = floats[-2:] = few[-2:]  # the result
    if not holds("".join(parts)):
        return "".join(floats)
    for place in range(1, len(parts) - 2, 2):
        full = parts[place]
        if full == few[place]:
            continue
        for count in range(4, MOST_DIGITS + 1):  # the last is `full`, with which it holds
            parts[place] = f"{float(full):.{count}g}"
            if holds("".join(parts)):
                break
    return "".join(parts)
