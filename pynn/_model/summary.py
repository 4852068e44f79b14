"""The table of a model's layers: a str, which a notebook shows as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pynn._base.notebook import page, table
from pynn._network.parameters import views
from pynn._network.spec import Spec

MOST = 20
"""At most so many parts of a layer are shown."""
HEAD = ("layer", "output", "parameters")


class Row(NamedTuple):
    """A layer in words."""

    number: str
    """"" for the input."""
    layer: str
    output: str
    parameters: str


class Summary(str):
    """What `Model.summary` returns: text to print, and in a notebook a table.

    The interpreter shows it as it is printed.
    """

    _spec: Spec

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        return html("Model", self._spec)


def summary(spec: Spec) -> Summary:
    """Make the table of a chain."""
    rows = [(f"{row.number:<3}" * bool(row.number) + row.layer, *row[2:]) for row in _rows(spec)]
    first = max(25, *(len(label) + 2 for label, _, _ in rows))
    loss, total = f"loss: {spec.loss}", f"{_count(spec):,}"
    second = max(11, len(loss) + 2 - first, *(len(shape) + 2 for _, shape, _ in rows))
    lines = [
        f"{label:<{first}}{shape:<{second}}{count:>10}" for label, shape, count in [HEAD, *rows]
    ]
    made = Summary("\n".join([*lines, f"{loss:<{first + second}}{total:>10}"]))
    made._spec = spec
    return made


def html(title: str, spec: Spec) -> str:
    """The same table for a notebook, below a line of text."""
    foot = ("", f"loss: {spec.loss}", "", f"{_count(spec):,}")
    return page(title, table(("", *HEAD), _rows(spec), foot, left=3))


def _rows(spec: Spec) -> list[Row]:
    rows = [Row("", "input", _batch(spec.input_shape), "0")]
    for placed in spec.placed_layers:
        count = sum(parameter.size for parameter in placed.parameters)
        label = f"{placed.layer}{', frozen' if placed.frozen else ''}"
        rows.append(Row(str(placed.number), label, _batch(placed.output_shape), f"{count:,}"))
        parts = placed.layer.details()
        rows += [Row("", f"     {it}", _batch(own), f"{size:,}") for it, own, size in parts[:MOST]]
        if len(parts) > MOST:
            rows.append(Row("", f"     and {len(parts) - MOST:,} more", "", ""))
    return rows


def _count(spec: Spec) -> int:
    """The number of parameters, those of the loss with them."""
    return views(spec)[-1].end


def _batch(shape: Sequence[int]) -> str:
    """The shape of n examples."""
    return f"(n, {', '.join(map(str, shape))})"
