"""Pictures of a run and of a regression: curves over the epochs, predictions beside the truth.

`pynn.plots` gives these functions their public place.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn import _drawing
from pynn._base import checks, words
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._base.formulas import figure as shown
from pynn._model import Model
from pynn._training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Path = str | os.PathLike[str]
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Those of Okabe and Ito (2008), which colour-blind people can tell apart."""
_MOST_POINTS = 10_000
"""Of more examples only some are drawn: more points would hide each other."""


@words.corrected
def history(
    history: History, path: _Path | None = None, *, ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """Draw loss and accuracy over the epochs; for regression loss and R2.

    Args:
        history: What `fit` returned.
        path: A file to write the picture to, in the format that its name ends in.
        ax: Axes of matplotlib to draw into, instead of a new figure: one for the loss, or a list of
            two, for the loss and the other metric.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: There are no epochs, there are more axes than metrics, or matplotlib does not
            write such files.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.

    Examples:
        >>> import pynn
        >>> from matplotlib.figure import Figure
        >>> axes = Figure().subplots()
        >>> figure = pynn.History(loss=[0.5, 0.25]).plot(ax=axes)
        >>> axes.get_title()
        'loss'
    """
    if not isinstance(history, History):
        raise ArgumentTypeError(f"history must be a pynn.History, got {checks.describe(history)}")
    if history.epochs == 0:
        raise ArgumentError("history must have at least one epoch, got History(0 epochs)")
    parts = [("loss", history.loss, history.val_loss)]
    if history.accuracy:
        parts.append(("accuracy", history.accuracy, history.val_accuracy))
    if history.r2:
        parts.append(("R2", history.r2, history.val_r2))
    if ax is None:
        return _drawing.finish(_drawing.draw_curves(parts), path)
    several = ax if isinstance(ax, (list, tuple, np.ndarray)) else [ax]
    if len(several) > len(parts) or len(several) == 0:
        raise ArgumentError(
            f"ax must be one of matplotlib's Axes, or a list of at most {len(parts)} of them, for"
            f" {' and '.join(name for name, *_ in parts)}; got {len(several)}"
        )
    for axes, part in zip(map(_checked, several), parts, strict=False):
        _drawing.draw_curve(axes, *part)
    return _drawing.finish(_figure_of(_checked(several[0])), path)


class _Predicted(NamedTuple):
    """The true and the predicted numbers of some examples, both (n, outputs), and their R2."""

    true: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    r2: float


@words.corrected
def predicted_against_true(
    model: Model,
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    path: _Path | None = None,
    *,
    ax: Axes | None = None,
) -> Figure:
    """Draw a point for each example: the true number to the right, the predicted one upward.

    Points on the diagonal are predicted exactly. Both axes have the same scale. Each output has a
    colour of its own. Of more than 10,000 examples, evenly spaced ones are drawn.

    Args:
        model: A model with mean_squared_error or poisson.
        features: As for `Model.evaluate`.
        labels: The true numbers, as for `Model.evaluate`.
        path: A file to write the picture to, in the format that its name ends in.
        ax: Axes of matplotlib to draw into, instead of a new figure.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument has the wrong value; or the model is not a regression.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    found = _predict(model, features, labels)
    axes = _axes(ax, 4.6, 4.4)
    least = float(min(found.true.min(), found.predicted.min()))
    largest = float(max(found.true.max(), found.predicted.max()))
    margin = 0.05 * (largest - least) or 1.0
    limits = least - margin, largest + margin
    axes.plot(limits, limits, color="0.3", linewidth=1, zorder=3)
    _draw_points(axes, found.true, found.predicted)
    axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel="true", ylabel="predicted")
    axes.set_title(f"predicted against true (R2 {shown(found.r2)})")
    return _drawing.finish(_figure_of(axes), path)


@words.corrected
def residuals(
    model: Model,
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    path: _Path | None = None,
    *,
    ax: Axes | None = None,
) -> Figure:
    """Draw a point for each example: the predicted number to the right, its residual upward.

    The residual is the true number minus the predicted one. A good model's residuals lie around 0
    without a pattern: a curve says that it has not learned the shape, and a funnel that the errors
    grow with the number. Colours and choice of examples are those of `predicted_against_true`.

    Args:
        model: A model with mean_squared_error or poisson.
        features: As for `Model.evaluate`.
        labels: The true numbers, as for `Model.evaluate`.
        path: A file to write the picture to, in the format that its name ends in.
        ax: Axes of matplotlib to draw into, instead of a new figure.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument has the wrong value; or the model is not a regression.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    found = _predict(model, features, labels)
    axes = _axes(ax, 5.6, 3.8)
    axes.axhline(0.0, color="0.3", linewidth=1, zorder=3)
    _draw_points(axes, found.predicted, found.true - found.predicted)
    axes.set(xlabel="predicted", ylabel="true - predicted", title="residuals")
    return _drawing.finish(_figure_of(axes), path)


def _predict(model: object, features: npt.ArrayLike, labels: npt.ArrayLike) -> _Predicted:
    """Check the arguments and predict, for at most _MOST_POINTS examples."""
    if not isinstance(model, Model):
        raise ArgumentTypeError(f"model must be a pynn.Model, got {checks.describe(model)}")
    if not model._spec.errors:
        raise ArgumentError(
            f"model must be a regression, with mean_squared_error or poisson, got {model!r}; see"
            " plots.confusion_matrix for classes"
        )
    r2 = model.evaluate(features, labels).r2
    data = model._examples(features, labels, None, learning=False).data
    some = slice(None, None, -(-data.rows // _MOST_POINTS))
    assert data.targets is not None
    true = data.targets[some].astype(np.float64)
    predicted = model.predict(data.features[some]).reshape(true.shape)
    return _Predicted(true, predicted.astype(np.float64), r2)


def _draw_points(axes: Axes, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> None:
    """Draw the points of each output in its colour, the fainter the more there are."""
    alpha = float(np.clip(30.0 / np.sqrt(len(x)), 0.15, 0.8))
    outputs = x.shape[1]
    for output in range(outputs):
        colour = _COLOURS[output % len(_COLOURS)]
        style: dict[str, Any] = {"s": 14, "alpha": alpha, "color": colour, "linewidths": 0}
        label = f"output {output}" if outputs > 1 else None
        axes.scatter(x[:, output], y[:, output], label=label, **style)
    axes.grid(alpha=0.3)
    if 1 < outputs <= len(_COLOURS):
        axes.legend()


def _axes(ax: object, width: float, height: float) -> Axes:
    """The caller's axes, or those of a new figure."""
    figure = _drawing.new_figure(width, height)  # first, for its error where matplotlib is absent
    return figure.add_subplot() if ax is None else _checked(ax)


def _checked(ax: object) -> Axes:
    """Check axes that a caller gives."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise ArgumentTypeError(f"ax must be Axes of matplotlib, got {checks.describe(ax)}")
    return ax


def _figure_of(axes: Axes) -> Figure:
    """The figure that has these axes."""
    figure: Any = axes.figure
    return figure  # type: ignore[no-any-return]
