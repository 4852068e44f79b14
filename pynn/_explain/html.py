"""A step as HTML: its blocks, which fold, with the arrays as heat maps.

It needs nothing from elsewhere, and no script.
"""

from __future__ import annotations

import base64
from html import escape
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._explain.equations import Equation
from pynn._explain.heat_map import HeatMap, heat_map, largest, pictures, planes
from pynn._explain.items import Array, Block, Formula, Item, Note, Sentence, shape_of, summary

MOST_CELLS = 12
"""An array of at most so many rows and columns is a table of its numbers."""

PARTS = {
    "forward": "Forward: from the inputs to the outputs",
    "loss": "Loss: how wrong the outputs are",
    "backward": "Backward: the gradient of the loss, from the last layer to the first",
    "update": "Update: what the step does to the parameters",
}

STYLE = """
.pynn-step{color-scheme:light dark;--paper:#fff;--ink:#1d1f23;--pale:#5f6672;--line:#d9dce2;
--card:#f6f7f9;--note:#fff4cf;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif;padding:1rem;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){.pynn-step{--paper:#14161a;--ink:#e6e8ec;--pale:#9aa3b2;
--line:#343943;--card:#1c1f25;--note:#3a3114}}
.pynn-step *{box-sizing:border-box}
.pynn-step>*{max-width:68rem;margin-inline:auto}
.pynn-step h1{font-size:1.5rem;margin-block:.2rem}
.pynn-step h2{font-size:1.1rem;margin-block:1.6rem .5rem}
.pynn-step p{margin-block:.3rem}
.pynn-step code{font:13px/1.5 ui-monospace,monospace;color:inherit;background:none}
.pynn-step details{border:1px solid var(--line);border-radius:8px;margin-block:.5rem;
background:var(--card)}
.pynn-step summary{cursor:pointer;padding:.45rem .8rem;font-weight:600}
.pynn-step details>div{padding:0 .8rem .7rem}
.pynn-step .equation{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1.5rem;
border-top:1px solid var(--line);padding-top:.45rem;margin-top:.6rem;font-weight:600}
.pynn-step .equation code+code{color:var(--pale);font-weight:400}
.pynn-step .note{background:var(--note);border-radius:6px;padding:.3rem .6rem}
.pynn-step figure{display:inline-block;vertical-align:top;margin:.5rem 1.2rem .3rem 0;
max-width:100%}
.pynn-step figcaption,.pynn-step .key{color:var(--pale);font-size:13px}
.pynn-step figcaption b{color:var(--ink)}
.pynn-step .scroll{overflow-x:auto;max-width:100%}
.pynn-step img{display:block;max-width:none;image-rendering:pixelated;
border:1px solid var(--line);background:var(--paper)}
.pynn-step table{border-collapse:collapse;background:var(--paper);margin:0}
.pynn-step td{border:1px solid var(--line);padding:.1rem .4rem;text-align:right;color:var(--ink);
font:12px/1.5 ui-monospace,monospace;white-space:nowrap}
@media(hover:none){.pynn-step .hover{display:none}}
.pynn-step .gap{height:.5rem}
.pynn-step .p{background:rgb(239 68 68/calc(var(--a)*1%))}
.pynn-step .n{background:rgb(59 130 246/calc(var(--a)*1%))}
"""


def page(heading: str, blocks: list[Block]) -> str:
    """A whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>A step of training</title>\n"
        "<style>body{margin:0}@media(prefers-color-scheme:dark){body{background:#14161a}}</style>\n"
        f"</head>\n<body>\n{fragment(heading, blocks)}</body>\n</html>\n"
    )


def fragment(heading: str, blocks: list[Block]) -> str:
    """The same for a place in another page, such as a notebook."""
    lines = [
        f"<style>{STYLE}</style>",
        '<div class="pynn-step">',
        "<h1>A step of training</h1>",
        f"<p>{escape(heading)}</p>",
        '<p class="key">Red is above 0, blue below; the deeper, the farther from 0. Each array has'
        " a scale of its own, and the deepest colour is for all values beyond 99.5 % of its"
        ' magnitudes. <span class="hover">Point at a cell of a table to see all digits. </span>'
        "Beside or below an equation is the line of C that computed it.</p>",
    ]
    for part, group in groupby(blocks, lambda block: block.part):
        lines.append(f"<h2>{escape(PARTS[part])}</h2>")
        lines += map(_block, group)
    return "\n".join([*lines, "</div>\n"])


def _block(block: Block) -> str:
    """What folds: a title, and the items."""
    items = "\n".join(map(_item, block.items))
    start = "<details>" if block.part == "update" else "<details open>"
    return f"{start}<summary>{escape(block.title)}</summary><div>\n{items}\n</div></details>"


def _item(item: Item) -> str:
    match item:
        case Equation():
            return (
                f'<div class="equation"><code>{escape(item.text)}</code>'
                f"<code>{escape(item.place)}</code></div>"
            )
        case Array():
            return _array(item)
        case Formula() | Sentence():
            return f"<p><code>{escape(item.text)}</code></p>"
        case Note():
            return f'<p class="note">{escape(item.text)}</p>'


def _array(item: Array) -> str:
    """A table of a small array, a picture of a large one, and what it is."""
    shape = shape_of(item.values)
    meaning = f" ({escape(item.meaning)})" if item.meaning else ""
    name = f"<b>{escape(item.name)}</b>{meaning} {shape}".rstrip()
    if item.same_as:
        return f'<p class="key">{name} = {escape(item.same_as)}</p>'
    remarks = []
    if item.pictures is not None:
        drawn = pictures(item.values, item.pictures)
        shown = _scrolling(_image(item.name, drawn, scale=2))
        remarks = [drawn.remark, summary(item.values)]
    elif all(size <= MOST_CELLS for size in item.values.shape) and (
        item.values.ndim <= 2 or item.values.size <= MOST_CELLS**2
    ):
        shown = _scrolling(_table(item))
    else:
        drawn = heat_map(item.values) if item.values.ndim <= 2 else planes(item.values)
        side = max(drawn.width, drawn.height)
        shown = _scrolling(_image(item.name, drawn, scale=max(2, min(10, 480 // side))))
        remarks = [drawn.remark, summary(item.values)]
    caption = "; ".join([name, *map(escape, filter(None, remarks))])
    return f"<figure><figcaption>{caption}</figcaption>{shown}</figure>"


def _scrolling(shown: str) -> str:
    """What may be wider than a phone: scaled down, a picture would lose rows of pixels."""
    return f'<div class="scroll">{shown}</div>'


def _image(name: str, drawn: HeatMap, scale: int) -> str:
    """A picture within the page; `scale` is the side of its pixels. A single row is made higher."""
    data = base64.b64encode(drawn.png).decode()
    height = "height:16px;" if drawn.height == 1 else ""
    size = f"width:{drawn.width * scale}px;{height}"
    alt = escape(f"{name} as a heat map")
    return f'<img src="data:image/png;base64,{data}" style="{size}" alt="{alt}">'


def _table(item: Array) -> str:
    """A table of numbers, whose cells have colours and the value with all its digits as title."""
    matrix = np.atleast_2d(item.values)
    matrix = matrix.reshape(-1, matrix.shape[-1])
    full = largest(matrix)
    rows = []
    for place, row in enumerate(matrix):
        if item.values.ndim > 2 and place and place % item.values.shape[-2] == 0:
            rows.append('<tr class="gap"></tr>')  # between the pictures
        cells = [
            _cell(_name(item, place, column), value, full if item.is_magnitude else 0.0)
            for column, value in enumerate(row)
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _name(item: Array, row: int, column: int) -> str:
    """What NumPy calls a value of an array."""
    if item.values.ndim > 2:
        at = np.unravel_index(row, item.values.shape[:-1])
        return f"{item.name}[{','.join(map(str, (*at, column)))}]"
    indices = [str(row), str(column)][2 - item.values.ndim :]
    return f"{item.name}[{','.join(indices)}]" if indices else item.name


def _cell(name: str, value: npt.NDArray[Any], full: float) -> str:
    """A cell; `full` is the magnitude that gets the full colour, 0 if there are no colours."""
    if not full:
        return f'<td title="{name} = {value}">{value}</td>'
    share = min(1.0, abs(float(value)) / full)
    kind = "p" if value > 0 else "n" if value < 0 else "z"
    text = f"{float(value):.3g}"
    return f'<td class="{kind}" style="--a:{70 * share:.0f}" title="{name} = {value}">{text}</td>'
