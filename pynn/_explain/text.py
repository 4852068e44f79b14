"""A step in words and numbers: its blocks as text, at most 100 characters wide."""

from __future__ import annotations

import math
import textwrap
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pynn._explain.equations import Equation
from pynn._explain.items import Array, Block, Formula, Item, Note, Sentence, shape_of, summary

MOST_NUMBERS = 10
"""Arrays of at most so many rows and columns are printed in full."""
MOST_OF_IMAGES = 72
"""Of images and filters at most so many numbers are printed."""
WIDTH = 100


def text(heading: str, blocks: list[Block]) -> str:
    """A heading and all blocks."""
    return "\n\n".join([_wrapped(heading, "", "    "), *map(_block, blocks)])


def _block(block: Block) -> str:
    """A title, and below it the items."""
    title = f"{block.title}, {block.part}" if block.part != "loss" else f"loss, {block.title}"
    return "\n".join([title, *map(_item, block.items)])


def _item(item: Item) -> str:
    """One or several lines."""
    match item:
        case Equation():
            return _equation(item)
        case Array():
            return _array(item)
        case Formula():
            return _formula(item.text)
        case Sentence():
            return _wrapped(item.text, "    ", "        ")
        case Note():
            return _wrapped(f"note: {item.text}", "    ", "        ")


def _equation(item: Equation) -> str:
    """An equation, and on the right the line of C that computes it."""
    left = f"    {item.text}"
    if len(left) + 2 + len(item.place) <= WIDTH:
        return left + item.place.rjust(WIDTH - len(left))
    return f"{left}\n{item.place:>{WIDTH}}"


def _array(item: Array) -> str:
    """An array: its name and shape, and its numbers, on the same line if they are one row."""
    meaning = f" ({item.meaning})" if item.meaning else ""
    head = f"    {item.name}{meaning}  {shape_of(item.values)}".rstrip()
    if item.same_as:
        return f"{head}  = {item.same_as}"
    scale, lines = _numbers(item.values)
    head += scale
    if len(lines) == 1 and len(head) + 3 + len(lines[0]) <= WIDTH:
        return f"{head}:  {lines[0]}"
    return "\n".join([f"{head}:", *(f"        {line}" for line in lines)])


def _numbers(values: npt.NDArray[Any]) -> tuple[str, list[str]]:
    """The rows of a small array, and the power of 10 that they are to be multiplied by.

    Of a large one it is the least, the mean and the largest number. The power is "" or such as
    ", times 1e-4": it keeps small and large numbers short, so that each row is a line.
    """
    many = values.ndim > 2 and values.size > MOST_OF_IMAGES
    if many or any(size > MOST_NUMBERS for size in values.shape):
        return "", [summary(values)]
    shown = values[0] if values.ndim == 2 and len(values) == 1 else values
    rows = math.prod(shown.shape[:-1])
    lines = _printed(shown + shown.dtype.type(0), "maxprec").splitlines()  # the sum makes 0 of -0
    lines = [line for line in lines if line]  # NumPy puts empty ones between images
    if len(lines) == rows and "e" not in lines[0]:
        return "", lines
    power = math.floor(math.log10(float(np.nanmax(abs(shown)))))
    power = 0 if -1 <= power <= 1 else power
    lines = _printed(shown / 10.0**power + 0.0, "fixed").splitlines()
    lines = [line for line in lines if line]
    return f", times 1e{power}" if power else "", lines


def _printed(values: npt.NDArray[Any], mode: Literal["maxprec", "fixed"]) -> str:
    """An array as NumPy prints it, whatever the user has set with np.set_printoptions."""
    with np.printoptions(
        precision=4,
        floatmode=mode,
        suppress=mode == "fixed",
        linewidth=WIDTH - 8,
        threshold=MOST_NUMBERS**2,
        sign="-",
        formatter=None,
        legacy=False,
    ):
        return np.array2string(values)


def _formula(line: str) -> str:
    """A formula, broken where it is too wide: before an operator, outside parentheses if it can."""
    for depth in range(3):
        lines = _broken(line, depth)
        if max(map(len, lines)) <= WIDTH:
            return "\n".join(lines)
    return _wrapped(line, "    ", "        ")


def _broken(line: str, most: int) -> list[str]:
    """The lines of a formula that is broken within at most so many pairs of parentheses."""
    pieces, depth = [""], 0
    for word in line.split(" "):
        if word in ("+", "-", "/", "=") and depth <= most:
            pieces.append(word)
        else:
            pieces[-1] += f" {word}"
        depth += word.count("(") - word.count(")")
    lines = [f"   {pieces[0]}"]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(f"        {piece}")
    return lines


def _wrapped(line: str, first: str, others: str) -> str:
    """A line, broken at blanks where it is too wide."""
    return textwrap.fill(
        line,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
