"""The picture of a confusion matrix: shares as colours, and counts that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotted import MATRIX, overlaps

import pynn
from pynn import plots

colors = pytest.importorskip("matplotlib.colors")


def test_confusion_matrix_draws_shares_and_counts() -> None:
    """Colours are shares of a row; each count that is not 0 stands in its cell."""
    figure = plots.confusion_matrix(MATRIX)
    axes = figure.axes[0]
    [image] = axes.get_images()
    np.testing.assert_allclose(image.get_array(), MATRIX / MATRIX.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(image.norm([0, 0.04, 0.25, 1]), [0, 0.2, 0.5, 1])
    written = {(t.get_position()[1], t.get_position()[0]): int(t.get_text()) for t in axes.texts}
    assert written == {(r, c): MATRIX[r, c] for r in range(3) for c in range(3) if MATRIX[r, c]}
    assert axes.get_title() == "87 of 790 right (11.01%)"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize("percent", [1, 10, 20, 50, 80, 90, 99])
def test_counts_are_seen_on_their_cells(percent: int) -> None:
    """Each count has a contrast of 4 with its cell by WCAG's formula, where 3 is enough."""

    def luminance(color: Any) -> float:
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in colors.to_rgb(color)
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    axes = plots.confusion_matrix(np.array([[percent, 100 - percent], [0, 1]])).axes[0]
    [image] = axes.get_images()
    for text in axes.texts:
        column, row = text.get_position()
        cell = image.to_rgba(image.get_array())[row, column]
        light, dark = sorted([luminance(text.get_color()), luminance(cell[:3])], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4


def test_confusion_matrix_names_its_classes() -> None:
    """Rows and columns, in order; long names lie beside each other all the same."""
    names = [f"a class called {k}" for k in range(10)]
    figure = plots.confusion_matrix(np.eye(10, dtype=int), labels=names)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == names
    assert [t.get_text() for t in axes.get_yticklabels()] == names
    assert overlaps(figure) == []


def test_names_are_no_formulas(tmp_path: Path) -> None:
    """Names that matplotlib would take for TeX, and refuse, are drawn as they are."""
    figure = plots.confusion_matrix(
        np.eye(2, dtype=int), tmp_path / "matrix.png", labels=["$5_", r"$\nothing$"]
    )
    axes = figure.axes[0]
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        assert not label.get_parse_math()


@pytest.mark.parametrize("classes", [1, 2, 10, 24, 25, 100])
def test_confusion_matrix_of_any_size(classes: int) -> None:
    """Counts of five digits can be read, or are left out where there are too many classes."""
    matrix = np.full((classes, classes), 12345, np.uint16)
    figure = plots.confusion_matrix(matrix)
    assert overlaps(figure) == []
    assert len(figure.axes[0].texts) == (classes**2 if classes <= 24 else 0)


def test_confusion_matrix_of_nothing() -> None:
    """No examples are no share of anything."""
    figure = plots.confusion_matrix(np.zeros((2, 2), np.int64))
    assert figure.axes[0].get_title() == "0 of 0 right"


@pytest.mark.parametrize(
    ("matrix", "labels", "error", "words"),
    [
        ([[1]], None, pynn.ArgumentTypeError, "matrix must be a NumPy array, got list"),
        (MATRIX / 2, None, pynn.ArgumentTypeError, "matrix must be of integers, got dtype float"),
        (MATRIX[:2], None, pynn.ArgumentError, r"shape \(classes, classes\), got \(2, 3\)"),
        (MATRIX[:0, :0], None, pynn.ArgumentError, r"got \(0, 0\)"),
        (-MATRIX, None, pynn.ArgumentError, "matrix must have no negative numbers, got -700"),
        (MATRIX, ["a"], pynn.ArgumentError, "labels must have 3 names, one for each class, got 1"),
        (MATRIX, 3, pynn.ArgumentTypeError, "labels must be a list of names, got int 3"),
    ],
)
def test_confusion_matrix_refuses(
    matrix: Any, labels: Any, error: type[Exception], words: str
) -> None:
    """What is no confusion matrix, or has another number of names, is refused."""
    with pytest.raises(error, match=words):
        plots.confusion_matrix(matrix, labels=labels)
