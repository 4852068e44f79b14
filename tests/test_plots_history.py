"""The picture of a training history: every figure that there is, in texts that can be read."""

from __future__ import annotations

import pytest
from plotted import FULL, overlaps

import pynn
from pynn import plots

pytest.importorskip("matplotlib")

LONG = pynn.History(*([value / 100 for value in range(1, 101)] for _ in range(5)))


def test_overlaps_are_found() -> None:
    """The tool of the tests below sees a text over another, and one that is cut off."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    figure.text(0.5, 0.5, "one")
    figure.text(0.1, 0.9, "alone")
    figure.text(0.1, 0.9, "not seen", visible=False)
    assert overlaps(figure) == []
    figure.text(0.52, 0.5, "two")
    figure.text(0.95, 0.1, "too far to the right")
    assert overlaps(figure) == [("one", "two"), ("too far to the right", "edge")]


def test_history_draws_its_figures() -> None:
    """Loss and accuracy, each of training and of validation, over epochs from 1."""
    figure = FULL.plot()
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    for axes, training, validation in zip(
        figure.axes, (FULL.loss, FULL.accuracy), (FULL.val_loss, FULL.val_accuracy), strict=True
    ):
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == ["training", "validation"]
        assert [list(line.get_xdata()) for line in lines] == [[1, 2, 3]] * 2
        assert [list(line.get_ydata()) for line in lines] == [training, validation]
        assert axes.get_xlabel() == "epoch" and axes.get_legend() is not None
    assert all("%" in t.get_text() for t in figure.axes[1].get_yticklabels())


def test_history_draws_what_there_is() -> None:
    """Without validation there is one curve, without accuracy one picture."""
    figure = pynn.History(loss=[3.0, 2.0]).plot()
    [axes] = figure.axes
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[3, 2]]


@pytest.mark.parametrize(
    "history", [FULL, LONG, pynn.History([1e-9], [1.0]), pynn.History([12345.0, 2e5])]
)
def test_history_can_be_read(history: pynn.History) -> None:
    """Epochs are whole numbers, and no text lies over another."""
    figure = history.plot()
    assert overlaps(figure) == []
    for axes in figure.axes:
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_history_needs_an_epoch() -> None:
    """A history without epochs, and what is no history, are refused."""
    with pytest.raises(pynn.ArgumentError, match="history must have at least one epoch"):
        pynn.History().plot()
    with pytest.raises(pynn.ArgumentTypeError, match=r"must be a pynn\.History, got list \[1\]"):
        plots.history([1])  # type: ignore[arg-type]
