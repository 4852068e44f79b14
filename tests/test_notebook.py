"""What a notebook shows of models and their results: HTML that is whole, safe and right."""

from __future__ import annotations

import math
import pickle
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import pynn
from pynn._base import notebook

RNG = np.random.default_rng(2)
X = RNG.normal(size=(60, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 60)


class Reader(HTMLParser):
    """Reads HTML: checks that each tag is closed, and collects the cells of tables and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("path", "circle", "polyline")

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def read(html: str) -> Reader:
    assert not re.search("<script|https?://(?!www.w3.org/2000/svg)|src=", html)
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def classifier() -> pynn.Model:
    chain = pynn.Builder().input(4).dense(5).relu().dense(3)
    return chain.softmax_cross_entropy().build(seed=1)


def regressor() -> pynn.Model:
    return pynn.Builder().input(4).dense(1).mean_squared_error().build(seed=1)


def test_a_model_is_a_table_of_its_layers() -> None:
    """Those of the summary, with what is frozen."""
    model = classifier()
    model.freeze("dense1")
    for shown in (model, model.summary()):
        found = read(shown._repr_html_())
        assert found.rows == [
            ["", "layer", "output", "parameters"],
            ["", "input", "(n, 4)", "0"],
            ["1", "dense(5, he), frozen", "(n, 5)", "25"],
            ["2", "relu", "(n, 5)", "0"],
            ["3", "dense(3, he)", "(n, 3)", "18"],
            ["", "loss: softmax_cross_entropy", "", "43"],
        ]
    assert read(model._repr_html_()).text.startswith("Model: 43 parameters, 25 frozen")
    model.close()
    assert "closed" in model._repr_html_()


def test_a_summary_is_a_str() -> None:
    """It can be used as one, and the interpreter shows it as it is printed."""
    summary = classifier().summary()
    assert isinstance(summary, str)
    assert repr(summary) == str(summary) == summary + ""
    assert summary.splitlines()[1] == "input                    (n, 4)              0"
    again = pickle.loads(pickle.dumps(summary))
    assert again == summary
    assert again._repr_html_() == summary._repr_html_()


def test_the_parameters_of_a_loss_are_counted() -> None:
    """Mean and scale of standardized targets belong to no layer."""
    chain = pynn.Builder().input(3).dense(2)
    model = chain.mean_squared_error(standardize=True).build()
    assert str(model.summary()).endswith(f"{model.parameter_count:>10}")
    assert read(model._repr_html_()).rows[-1][-1] == str(model.parameter_count) == "12"


def test_a_history_has_curves_and_a_table() -> None:
    """Each epoch has its metrics; the curves have a point for each epoch."""
    history = classifier().fit(X, LABELS, epochs=4, validation=0.25)
    html = history._repr_html_()
    found = read(html)
    head, *rows = found.rows
    assert head == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert [row[1] for row in rows] == [f"{loss:.4f}" for loss in history.loss]
    assert [row[4] for row in rows] == [f"{it:.4f}" for it in history.val_accuracy]
    pictures = [ElementTree.fromstring(it) for it in re.findall("<svg.*?</svg>", html)]
    assert [it.get("aria-label") for it in pictures] == ["loss", "accuracy"]
    curves = [line for it in pictures for line in it.findall("{*}polyline")]
    lines = [line.get("points", "").split() for line in curves]
    assert [len(line) for line in lines] == [4, 4, 4, 4]


def test_a_curve_goes_from_its_largest_to_its_least_number() -> None:
    """The places are right: the left and the right end, the top and the bottom."""
    html = notebook.curves("loss", {"loss": [3.0, 2.0, 1.0]})
    left, right = notebook.LEFT, notebook.WIDTH - notebook.RIGHT
    top, bottom = notebook.TOP, notebook.HEIGHT - notebook.BOTTOM
    middle = f"{(left + right) / 2:.1f},{(top + bottom) / 2:.1f}"
    assert f'points="{left:.1f},{top:.1f} {middle} {right:.1f},{bottom:.1f}"' in html
    assert {"3.0000", "1.0000", "epoch 1", "3", "loss"} <= {
        it.text for it in ElementTree.fromstring(html).iter() if it.text
    }


@pytest.mark.parametrize(
    ("values", "points", "dots"),
    [
        ([0.5], 0, 1),
        ([2.0, 2.0], 2, 0),
        ([math.nan, 1.0, 2.0, math.inf, 3.0], 3, 0),
        ([1e308, -1e308, 0.0], 3, 0),
        ([math.nan], 0, 0),
        ([], 0, 0),
    ],
    ids=str,
)
def test_curves_of_unusual_numbers(values: list[float], points: int, dots: int) -> None:
    """One epoch is a dot; what is not finite is left out; huge numbers do not overflow."""
    html = notebook.curves("r2", {"r2": values})
    assert not re.search("nan|inf", html)
    assert len(re.findall(r"\d,\d", html)) == points
    assert html.count('r="3"') == dots
    assert bool(html) == bool(points or dots)


def test_of_many_epochs_some_are_in_the_table() -> None:
    """The first and the last ones; the curve has all."""
    history = pynn.History(loss=[1 / k for k in range(1, 101)])
    html = history._repr_html_()
    rows = read(html).rows[1:]
    assert [row[0] for row in rows] == [*"12345", "…", "96", "97", "98", "99", "100"]
    assert len(re.findall(r"\d,\d", html.partition("<figure>")[2])) == 100


def test_a_history_of_nothing_is_words() -> None:
    """Without epochs there is nothing to draw."""
    assert read(pynn.History()._repr_html_()).text == "History(0 epochs)"


def test_regression_is_shown_with_its_own_metrics() -> None:
    """R2 and the mean absolute error, in histories and evaluations."""
    model = regressor()
    history = model.fit(X, X[:, 0], epochs=2)
    head = read(history._repr_html_()).rows[0]
    assert head == ["epoch", "loss", "r2", "mean_absolute_error", "seconds"]
    evaluation = model.evaluate(X, X[:, 0])
    names, figures = read(evaluation._repr_html_()).rows
    assert names == ["loss", "r2", "mean_absolute_error"]
    assert figures[0] == f"{evaluation.loss:.4f}"


def test_an_evaluation_of_classes_has_a_row_for_each() -> None:
    """And the confusion matrix, if there are few."""
    model = classifier()
    evaluation = model.evaluate(X, LABELS, per_class=True)
    rows = read(evaluation._repr_html_()).rows
    assert rows[0] == ["class", "precision", "recall", "f1", "support"]
    assert [row[4] for row in rows[1:4]] == [str(count) for count in evaluation.support]
    assert [list(map(int, row[1:])) for row in rows[5:]] == evaluation.confusion.tolist()
    many = evaluation._replace(support=np.ones(21, int), precision=np.ones(21), f1=np.ones(21))
    many = many._replace(recall=np.ones(21))
    assert len(read(many._repr_html_()).rows) == 22
    names, _ = read(model.evaluate(X, LABELS)._repr_html_()).rows
    assert names == ["loss", "accuracy"]


def test_all_text_is_escaped() -> None:
    """Whatever it is."""
    bad = "<b>&\"'</b>"
    table, curves = notebook.table([bad], [[bad]], [bad]), notebook.curves(bad, {bad: [1]})
    html = notebook.page(bad, table, curves)
    assert "<b>" not in html
    found = read(html)
    assert found.rows == [[bad]] * 3
    assert found.text.count(bad) == 5  # with the name of the curve


def test_explained_steps_and_figures_show_themselves() -> None:
    """A step as HTML, a figure as a picture."""
    step = classifier().explain(X[:3], LABELS[:3])
    assert step._repr_html_().count("<style>") == 1
    history = pynn.History(loss=[0.5, 0.25])
    figure = history.plot()
    assert figure._repr_png_().startswith(b"\x89PNG\r\n")  # type: ignore[attr-defined]
    assert type(pickle.loads(pickle.dumps(figure))) is type(figure)
