"""The pictures of a regression, and of a run in the caller's axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotted import FULL, overlaps

import pynn
from pynn import _plots_regression, plots

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.abs(X @ np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]]))
DRAWS = [plots.predicted_against_true, plots.residuals]


def build(outputs: int = 1, kind: str = "mean_squared_error") -> pynn.Model:
    """A small regression, untrained."""
    model: pynn.Model = getattr(pynn.Builder().input(3).dense(outputs), kind)().build(seed=0)
    return model


def points(axes: Any) -> list[Any]:
    """The points of each output."""
    return [np.asarray(collection.get_offsets()) for collection in axes.collections]


@pytest.mark.parametrize("kind", ["mean_squared_error", "poisson"])
def test_predicted_against_true(kind: str) -> None:
    """A point for each example, the diagonal, and one scale for both axes."""
    model = build(2, kind)
    figure = plots.predicted_against_true(model, X, Y)
    [axes] = figure.axes
    predicted = model.predict(X)
    for output, drawn in enumerate(points(axes)):
        np.testing.assert_allclose(drawn, np.stack([Y[:, output], predicted[:, output]], 1), 1e-6)
    assert axes.get_xlim() == axes.get_ylim() and axes.get_aspect() == 1.0
    [line] = axes.get_lines()
    assert list(line.get_xdata()) == list(line.get_ydata()) == list(axes.get_xlim())
    assert axes.get_title() == f"predicted against true (R2 {model.evaluate(X, Y).r2:.4f})"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["output 0", "output 1"]
    assert overlaps(figure) == []


def test_residuals() -> None:
    """The true number minus the predicted one, over the predicted one; one output has no legend."""
    model = build()
    figure = plots.residuals(model, X, Y[:, 0])
    [axes] = figure.axes
    [drawn] = points(axes)
    predicted = model.predict(X)
    np.testing.assert_allclose(
        drawn, np.stack([predicted, Y[:, 0] - predicted], axis=1), 1e-5, 1e-6
    )
    assert [line.get_ydata() for line in axes.get_lines()] == [[0.0, 0.0]]
    assert axes.get_legend() is None and overlaps(figure) == []


@pytest.mark.parametrize("draw", DRAWS)
def test_many_examples_are_drawn_in_part(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly spaced ones, and R2 is of all."""
    monkeypatch.setattr(_plots_regression, "_MOST_POINTS", 25)
    [axes] = draw(build(8), X, np.tile(Y, 4)).axes
    assert [len(drawn) for drawn in points(axes)] == [20] * 8
    assert axes.get_legend() is None  # there are more outputs than colours


@pytest.mark.parametrize("draw", DRAWS)
def test_files_and_axes(draw: Any, tmp_path: Path) -> None:
    """The picture is written where asked for, and drawn into the caller's axes."""
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw(build(), X, Y[:, 0], tmp_path / "picture.png", ax=right) is figure
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"
    assert len(right.collections) == 1 and not left.collections


@pytest.mark.parametrize("draw", DRAWS)
def test_equal_numbers_can_be_drawn(draw: Any) -> None:
    """One example that is predicted exactly has a range of its own."""
    model = build()
    model._engine.parameters[...] = 0.0
    assert len(points(draw(model, X[:1], np.zeros(1)).axes[0])) == 1


@pytest.mark.parametrize("draw", DRAWS)
def test_wrong_arguments(draw: Any) -> None:
    """What is no model, no regression and no axes is refused."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"model must be a pynn\.Model, got int 3"):
        draw(3, X, Y)
    classes = pynn.Builder().input(3).dense(2).softmax_cross_entropy().build(seed=0)
    with pytest.raises(pynn.ArgumentError, match=r"must be a regression.*confusion_matrix"):
        draw(classes, X, np.zeros(60, int))
    with pytest.raises(pynn.ArgumentTypeError, match="ax must be Axes of matplotlib, got Figure"):
        draw(build(), X, Y[:, 0], ax=Figure())


def test_history_in_given_axes(tmp_path: Path) -> None:
    """One for the loss, or two; the caller's figure is returned, and written if asked for."""
    figure = Figure()
    several = figure.subplots(1, 3)
    assert FULL.plot(tmp_path / "run.png", ax=several[2]) is figure
    assert [axes.get_title() for axes in several] == ["", "", "loss"]
    assert FULL.plot(ax=several[:2]) is figure
    assert [axes.get_title() for axes in several] == ["loss", "accuracy", "loss"]
    assert (tmp_path / "run.png").exists()
    with pytest.raises(pynn.ArgumentError, match="at most 2 of them, for loss and accuracy; got 3"):
        FULL.plot(ax=several)
    with pytest.raises(pynn.ArgumentError, match="got 0"):
        FULL.plot(ax=[])
    with pytest.raises(pynn.ArgumentTypeError, match="ax must be Axes of matplotlib, got int 1"):
        FULL.plot(ax=[several[0], 1])  # type: ignore[list-item]


@pytest.mark.parametrize(("r2", "bottom"), [([-9.0, 0.5], -1.0), ([-9.0, -2.0], None)])
def test_r2_of_the_first_epochs_hides_nothing(r2: list[float], bottom: float | None) -> None:
    """What is far below 0 is left out, unless there is nothing else."""
    figure = pynn.History([2.0, 1.0], r2=r2, mean_absolute_error=[1.0, 1.0]).plot()
    axes = figure.axes[1]
    assert axes.get_title() == "R2" and list(axes.get_lines()[0].get_ydata()) == r2
    assert axes.get_ylim()[0] == bottom if bottom else axes.get_ylim()[0] < -9.0
