"""Tables and curves as HTML, for notebooks: no script, and nothing from elsewhere.

Text has the colour of the page around it, and lines have colours that can be seen on white and on
black: a notebook may be light or dark, and does not say so to what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from pynn._base.formulas import figure

COLOURS = ("#3b82f6", "#e07b00")
"""Of the first curve and of the second one; colour-blind people can tell them apart."""
WIDTH, HEIGHT = 300, 150
"""The size of a picture, with its text."""
LEFT, RIGHT, TOP, BOTTOM = 58, 8, 26, 20
"""The space around the curves, for text."""

STYLE = """
.pynn{color:inherit;font:13px/1.5 system-ui,sans-serif;overflow-x:auto}
.pynn p{margin:.3em 0}
.pynn table{font:inherit;border-collapse:collapse;margin:.4em 0;color:inherit;border:0}
.pynn th,.pynn td{padding:.15em .8em;text-align:right;color:inherit;background:none;
border:0;border-bottom:1px solid rgba(128,128,128,.35);white-space:nowrap}
.pynn tr{background:none}
.pynn th{font-weight:600}
.pynn td:first-child,.pynn th:first-child{text-align:left}
.pynn tfoot td{font-weight:600;border-bottom:0}
.pynn figure{display:inline-block;margin:.3em 1em .3em 0}
.pynn svg{display:block;color:inherit}
"""


def page(title: str, *parts: str) -> str:
    """What a notebook shows: a line of text, which is escaped here, and parts, which are HTML."""
    body = "".join(parts)
    return f'<style>{STYLE}</style><div class="pynn"><p>{escape(title)}</p>{body}</div>'


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], foot: Sequence[str] = (), left: int = 1
) -> str:
    """A table of text. The first `left` columns are aligned on the left, the others on the right.

    Args:
        head: The names of the columns.
        rows: The cells of each row.
        foot: The cells of a last row, in bold; () for none.
        left: How many columns are words.
    """
    parts = [f"<thead>{_row(head, 'th', left)}</thead>"]
    parts.append(f"<tbody>{''.join(_row(row, 'td', left) for row in rows)}</tbody>")
    if foot:
        parts.append(f"<tfoot>{_row(foot, 'td', left)}</tfoot>")
    return f"<table>{''.join(parts)}</table>"


def _row(cells: Sequence[str], kind: str, left: int) -> str:
    aligned = [' style="text-align:left"' if place < left else "" for place in range(len(cells))]
    shown = zip(cells, aligned, strict=True)
    return f"<tr>{''.join(f'<{kind}{how}>{escape(text)}</{kind}>' for text, how in shown)}</tr>"


def curves(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """A picture of a metric over the epochs, as SVG: at most two series, by their names.

    Numbers that are not finite are left out.
    """
    numbers = [value for values in series.values() for value in values if math.isfinite(value)]
    epochs = max(map(len, series.values()), default=0)
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    marks = [
        _text(LEFT - 6, TOP + 4, figure(high), "end"),
        _text(LEFT, HEIGHT - 4, "epoch 1", "start"),
        _text(WIDTH - RIGHT, HEIGHT - 4, str(epochs), "end"),
    ]
    if high > low:
        marks.append(_text(LEFT - 6, HEIGHT - BOTTOM + 4, figure(low), "end"))
    drawn, at = [], LEFT
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        drawn.append(_line(values, epochs, low, high, colour))
        drawn.append(f'<circle cx="{at + 4}" cy="10" r="4" fill="{colour}"/>')
        marks.append(_text(at + 12, 14, name, "start"))
        at += 30 + 7 * len(name)
    frame = f"M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"
    axes = f'<path d="{frame}" fill="none" stroke="currentColor" stroke-opacity=".4"/>'
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    label = f'role="img" aria-label="{escape(title)}"'
    inside = "".join([axes, *drawn, *marks])
    return f'<figure><svg xmlns="http://www.w3.org/2000/svg" {size} {label}>{inside}</svg></figure>'


def _line(values: Sequence[float], epochs: int, low: float, high: float, colour: str) -> str:
    """The curve of a series, as a path; of one epoch a point."""
    points, span = [], high - low
    for place, value in enumerate(values):
        if math.isfinite(value):
            x = LEFT + (WIDTH - LEFT - RIGHT) * (place / (epochs - 1) if epochs > 1 else 0.5)
            share = (value / span - low / span) if span > 0.0 else 0.5
            points.append((x, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share))
    if len(points) == 1:
        (x, y), *_ = points
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _text(x: int, y: int, text: str, anchor: str) -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text {place} font-size="11" fill="currentColor">{escape(text)}</text>'
