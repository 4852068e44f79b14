"""The results of training and evaluation as HTML, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynn._base.formulas import figure
from pynn._base.notebook import curves, page, table

if TYPE_CHECKING:
    from pynn._training.evaluation import ClassEvaluation, Evaluation
    from pynn._training.history import History

MOST_EPOCHS = 10
"""Of more epochs the first and the last ones are shown."""
MOST_CLASSES = 20
"""Of more classes the confusion matrix is not shown."""


def history(it: History) -> str:
    """Curves of the metrics, and a table of the epochs."""
    measured = it.to_dict()
    pictures = [
        curves(name, {key: measured[key] for key in (name, f"val_{name}") if key in measured})
        for name in ("loss", "accuracy", "r2")
        if name in measured
    ]
    seconds = measured.pop("seconds", [])
    columns = [*measured, *(["seconds"] if seconds else [])]
    rows = []
    for place in range(it.epochs):
        cells = [figure(measured[name][place]) for name in list(measured)[1:]]
        cells += [f"{seconds[place]:.2f}"] if seconds else []
        rows.append([str(place + 1), *cells])
    if len(rows) > MOST_EPOCHS:
        half = MOST_EPOCHS // 2
        rows = [*rows[:half], ["…"] * len(columns), *rows[-half:]]
    return page(repr(it), *pictures, table(columns, rows) if rows else "")


def evaluation(it: Evaluation) -> str:
    """A table of the metrics."""
    figures = it._asdict()
    return page("Evaluation", table(list(figures), [[figure(value) for value in figures.values()]]))


def classes(it: ClassEvaluation) -> str:
    """A table of the metrics of each class, and the confusion matrix of a few classes."""
    names = it._shown_names()
    rows = [
        [names[k], *(f"{array[k]:.4f}" for array in (it.precision, it.recall, it.f1)), f"{n:,}"]
        for k, n in enumerate(it.support)
    ]
    parts = [table(("class", "precision", "recall", "f1", "support"), rows)]
    if len(names) <= MOST_CLASSES:
        counts = [[names[k], *map("{:,}".format, row)] for k, row in enumerate(it.confusion)]
        matrix = table(["true \\ predicted", *names], counts)
        parts.append(f"<details><summary>Confusion matrix</summary>{matrix}</details>")
    return page(f"Evaluation: loss {figure(it.loss)}, accuracy {it.accuracy:.4f}", *parts)
