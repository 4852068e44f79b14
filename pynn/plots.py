"""Pictures of training runs, models and mistakes. Needs matplotlib: pip install 'pynn-blas[plots]'.

history           loss and accuracy over the epochs
confusion_matrix  how many examples of each class were predicted as each class
weights           the weights of the first layer's units or filters, as images
worst_mistakes    the misclassified examples with the greatest loss

Each function returns the figure. If it is given a path, it also writes the figure to that file. It
opens no window. It does not use pyplot, which would keep every figure in memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn import _drawing
from pynn._base import arrays, checks
from pynn._base.errors import ArgumentError, ArgumentTypeError, DivergenceError
from pynn._model import Model
from pynn._training.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["confusion_matrix", "history", "weights", "worst_mistakes"]

_Path = str | os.PathLike[str]


def history(history: History, path: _Path | None = None) -> Figure:
    """Draw loss and accuracy over the epochs.

    Args:
        history: What `fit` returned.
        path: A file to write the picture to, in the format that its name ends in.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: There are no epochs, or matplotlib does not write such files.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    if not isinstance(history, History):
        raise ArgumentTypeError(f"history must be a pynn.History, got {checks.describe(history)}")
    if history.epochs == 0:
        raise ArgumentError("history must have at least one epoch, got History(0 epochs)")
    parts = [("loss", history.loss, history.val_loss)]
    if history.accuracy:
        parts.append(("accuracy", history.accuracy, history.val_accuracy))
    return _drawing.finish(_drawing.draw_curves(parts), path)


def confusion_matrix(
    matrix: npt.NDArray[Any],
    path: _Path | None = None,
    *,
    labels: Sequence[object] | None = None,
) -> Figure:
    """Draw how many examples of each class were predicted as each class.

    A row is a true class, a column a predicted one; the diagonal holds the correct predictions. The
    colour of a cell shows its share of the row. A cell without examples has no number, so that
    mistakes stand out.

    Args:
        matrix: Shape (classes, classes), integers: the number of examples, [true, predicted].
        path: A file to write the picture to, in the format that its name ends in.
        labels: A name for each class; without it the names are 0, 1, ...

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type or dtype.
        ArgumentError: The matrix is not square or has negative numbers, there are not as many
            labels as classes, or matplotlib does not write such files.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    counts = _counts(matrix)
    figure = _drawing.draw_confusion(counts, _names(labels, len(counts)))
    return _drawing.finish(figure, path)


def weights(
    model: Model,
    path: _Path | None = None,
    *,
    shape: tuple[int, int] = (28, 28),
    count: int = 64,
) -> Figure:
    """Draw the weights of the first layer: an image for each unit, or each channel of a filter.

    Red weights are positive, blue ones negative, white is 0. All images have the same colour scale.
    It covers the smaller 99.5 % of the absolute weights, so that a few large weights do not make
    all others pale.

    Args:
        model: A model that takes images.
        path: A file to write the picture to, in the format that its name ends in.
        shape: (height, width) of an image, if the first layer is dense; their product is the number
            of inputs. Filters of a convolution have a shape of their own.
        count: The most images to draw, at least 1; the first ones are drawn.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: The shape does not fit the inputs, or matplotlib does not write such files.
        DivergenceError: A weight is not finite.
        ClosedError: The model is closed.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    if not isinstance(model, Model):
        raise ArgumentTypeError(f"model must be a pynn.Model, got {checks.describe(model)}")
    count = checks.integer("count", count, least=1)
    layer = next(placed.name for placed in model._spec.placed_layers if placed.layer.is_product)
    array = model.parameters[f"{layer}.weight"].copy()
    if not np.isfinite(array).all():
        raise DivergenceError(
            f"{layer}.weight has values that are not finite, and these cannot be drawn; build or"
            " load the model anew"
        )
    if array.ndim == 2:
        images = array.T.reshape(-1, *_shape(shape, len(array)))
        what = "weights of {} units"
    else:
        images = array.reshape(-1, *array.shape[2:])
        of = f" of {array.shape[1]} channels each" if array.shape[1] > 1 else ""
        what = f"{{}} images of {len(array)} filters{of}" if of else "{} filters"
    some = f"{count} of {len(images)}" if count < len(images) else f"all {len(images)}"
    figure = _drawing.draw_weights(images[:count], f"{layer}: {what.format(some)}")
    return _drawing.finish(figure, path)


def worst_mistakes(
    model: Model,
    images: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    path: _Path | None = None,
    *,
    count: int = 25,
) -> Figure:
    """Draw the misclassified examples with the greatest loss, -log of the true class's probability.

    Above each image stand its true class, its predicted class, and the predicted class's
    probability.

    Args:
        model: A model with softmax_cross_entropy.
        images: Shape (n, height, width), or (n, channels, height, width) with one channel or with
            red, green and blue, as `predict` takes them.
        labels: Shape (n,), integers: the true classes.
        path: A file to write the picture to, in the format that its name ends in.
        count: The most examples to draw, from 1 to 400.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type or dtype.
        ArgumentError: An argument has the wrong shape or value, the model has another loss, or
            matplotlib does not write such files.
        DivergenceError: The outputs are not finite, because the parameters are not.
        ClosedError: The model is closed.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    if not isinstance(model, Model):
        raise ArgumentTypeError(f"model must be a pynn.Model, got {checks.describe(model)}")
    count = checks.integer("count", count, least=1, most=400)
    loss = model._spec.loss
    if not loss.has_classes:
        raise ArgumentError(
            f"model must have softmax_cross_entropy, which predicts classes; it has {loss.kind}"
        )
    images = arrays.plain_array("images", images)
    if images.ndim != 3 and not (images.ndim == 4 and images.shape[1] in (1, 3)):
        raise ArgumentError(
            "images must have shape (n, height, width), or (n, channels, height, width) with 1 or 3"
            f" channels, got {images.shape}; with images of 28 x 28 that is"
            " images.reshape(-1, 28, 28)"
        )
    truth = arrays.labels("labels", labels, len(images), model.outputs)
    mistakes = _mistakes(model(images), truth)
    drawn = mistakes[:count]
    few = f"the {len(drawn)} worst of " if len(drawn) < len(mistakes) else ""
    title = f"{few}{len(mistakes):,} mistakes in {len(images):,}"
    if drawn:
        words = [f"{truth[m.row]} → {m.predicted}  {m.probability:.0%}" for m in drawn]
        figure = _drawing.draw_captioned(images[[m.row for m in drawn]], words)
        title += "\ntrue → predicted class, with probability"
    else:
        figure = _drawing.new_figure(4, 1)
    figure.suptitle(title)
    return _drawing.finish(figure, path)


# ------------------------------------------------------------ checks and figures


class _Mistake(NamedTuple):
    """A misclassified example: its row, its predicted class, and the probability of that class."""

    row: int
    predicted: int
    probability: float


def _mistakes(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.int32]) -> list[_Mistake]:
    """All misclassified examples, the greatest loss first."""
    predicted = logits.argmax(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    values = logits[wrong] - np.logaddexp.reduce(logits[wrong], axis=1, keepdims=True)  # log p
    each = np.arange(len(wrong))
    own, chosen = values[each, truth[wrong]], np.exp(values[each, predicted[wrong]])
    return [
        _Mistake(int(wrong[k]), int(predicted[wrong[k]]), float(chosen[k]))
        for k in np.argsort(own, kind="stable")
    ]


def _counts(matrix: object) -> npt.NDArray[np.int64]:
    """Check a confusion matrix."""
    array = arrays.plain_array("matrix", matrix)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"matrix must be of integers, got dtype {array.dtype}")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.size == 0:
        raise ArgumentError(f"matrix must have shape (classes, classes), got {array.shape}")
    if array.min() < 0:
        raise ArgumentError(f"matrix must have no negative numbers, got {array.min()}")
    return array.astype(np.int64)


def _names(labels: object, classes: int) -> list[str]:
    """Check the names of classes; without any they are "0", "1", ..."""
    if labels is None:
        return [str(k) for k in range(classes)]
    if not isinstance(labels, (list, tuple, np.ndarray)):
        raise ArgumentTypeError(f"labels must be a list of names, got {checks.describe(labels)}")
    if len(labels) != classes:
        raise ArgumentError(
            f"labels must have {classes} names, one for each class, got {len(labels)}"
        )
    return [str(label) for label in labels]


def _shape(shape: object, inputs: int) -> tuple[int, int]:
    """Check the height and width of an image, whose pixels must be as many as the inputs."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise ArgumentTypeError(f"shape must be (height, width), got {checks.describe(shape)}")
    height, width = (checks.integer("shape", side, least=1) for side in shape)
    if height * width != inputs:
        raise ArgumentError(
            f"shape must be (height, width) of an image of {inputs} pixels, since the model has"
            f" {inputs} inputs; got {height} x {width}"
        )
    return height, width
