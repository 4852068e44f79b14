"""A step in words and numbers: its blocks as text, at most 100 characters wide."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._explain.equations import Equation
from pynn._explain.items import Array, Block, Item, Note, Sentence, shape_of, summary

MOST_NUMBERS = 10
"""Arrays of at most so many rows and columns are printed in full."""
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
    lines = _numbers(item.values).splitlines()
    if len(lines) == 1 and len(head) + 3 + len(lines[0]) <= WIDTH:
        return f"{head}:  {lines[0]}"
    return "\n".join([f"{head}:", *(f"        {line}" for line in lines)])


def _numbers(values: npt.NDArray[Any]) -> str:
    """All numbers of a small array; of a large one its least, mean and largest."""
    if all(size <= MOST_NUMBERS for size in values.shape):
        return np.array2string(values + values.dtype.type(0), precision=4, max_line_width=WIDTH - 8)
    return summary(values)


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
