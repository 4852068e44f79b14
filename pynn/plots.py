"""Pictures of training runs, models and mistakes. Needs matplotlib: pip install 'pynn-blas[plots]'.

history                 loss and accuracy, or R2, over the epochs
confusion_matrix        how many examples of each class were predicted as each class
predicted_against_true  of a regression, a point for each example
residuals               the errors of a regression over its predictions
weights                 the weights of a layer's units or filters, as images
feature_maps            what the layers make of an image: their channels, as images
worst_mistakes          the misclassified examples with the greatest loss

Each function returns the figure. If it is given a path, it also writes the figure to that file. It
opens no window. It does not use pyplot, which would keep every figure in memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn import _drawing
from pynn._base import arrays, checks, words
from pynn._base.errors import ArgumentError, ArgumentTypeError, DivergenceError
from pynn._model import Model
from pynn._native.data import Data
from pynn._network.class_names import numbered
from pynn._plots_regression import history, predicted_against_true, residuals
from pynn._training.history import ClassEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "confusion_matrix",
    "feature_maps",
    "history",
    "predicted_against_true",
    "residuals",
    "weights",
    "worst_mistakes",
]

_Path = str | os.PathLike[str]

_MOST_TOGETHER = 16
"""Filters of at most so many channels are drawn with all channels side by side."""


@words.corrected
def confusion_matrix(
    matrix: npt.NDArray[Any] | ClassEvaluation,
    path: _Path | None = None,
    *,
    labels: Sequence[object] | None = None,
) -> Figure:
    """Draw how many examples of each class were predicted as each class.

    A row is a true class, a column a predicted one; the diagonal holds the correct predictions. The
    colour of a cell shows its share of the row. A cell without examples has no number, so that
    mistakes stand out.

    Args:
        matrix: Shape (classes, classes), integers: the number of examples, [true, predicted]; or
            the `ClassEvaluation` that has it, as from `evaluate(per_class=True)`.
        path: A file to write the picture to, in the format that its name ends in.
        labels: A name for each class; without it the names that the evaluation has, or 0, 1, ...

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type or dtype.
        ArgumentError: The matrix is not square or has negative numbers, there are not as many
            labels as classes, or matplotlib does not write such files.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    if isinstance(matrix, ClassEvaluation):
        labels = matrix.classes if labels is None else labels
        matrix = matrix.confusion
    counts = _counts(matrix)
    figure = _drawing.draw_confusion(counts, _names(labels, len(counts)))
    return _drawing.finish(figure, path)


@words.corrected
def weights(
    model: Model,
    path: _Path | None = None,
    *,
    layer: str | None = None,
    shape: tuple[int, int] = (28, 28),
    count: int = 64,
) -> Figure:
    """Draw the weights of a layer: an image for each unit, or for each channel of each filter.

    Red weights are positive, blue ones negative, white is 0. All images have the same colour scale.
    It covers the smaller 99.5 % of the absolute weights, so that a few large weights do not make
    all others pale. The channels of a filter stand side by side.

    Args:
        model: A model that takes images.
        path: A file to write the picture to, in the format that its name ends in.
        layer: The name of a dense or conv2d layer, such as "conv2d2"; without it the first one.
        shape: (height, width) of an image, if the layer is dense; their product is the number of
            its inputs. Filters of a convolution have a shape of their own.
        count: The most images to draw, at least 1; the first ones are drawn.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: There is no such layer, the shape does not fit its inputs, or matplotlib does
            not write such files.
        DivergenceError: A weight is not finite.
        ClosedError: The model is closed.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    _check_model(model)
    count = checks.integer("count", count, least=1)
    names = [placed.name for placed in model._spec.placed_layers if placed.layer.is_product]
    name = names[0] if layer is None else _layer(layer, names, "dense and conv2d layers")
    array = model.parameters[f"{name}.weight"].copy()
    if not np.isfinite(array).all():
        raise DivergenceError(
            f"{name}.weight has values that are not finite, and these cannot be drawn; build or"
            " load the model anew"
        )
    together, what = 1, "weights of {} units"
    if array.ndim == 2:
        images = array.T.reshape(-1, *_shape(shape, name, len(array)))
    else:
        images = array.reshape(-1, *array.shape[2:])
        channels = array.shape[1]
        together = channels if channels <= _MOST_TOGETHER else 1
        many = f"{{}} images of {len(array)} filters of {channels} channels each"
        what = many if channels > 1 else "{} filters"
    some = f"{count} of {len(images)}" if count < len(images) else f"all {len(images)}"
    title = f"{name}: {what.format(some)}"
    return _drawing.finish(_drawing.draw_weights(images[:count], title, together), path)


@words.corrected
def feature_maps(
    model: Model,
    image: npt.NDArray[Any],
    path: _Path | None = None,
    *,
    layer: str | None = None,
    count: int = 64,
) -> Figure:
    """Draw what the layers make of an image: a picture of each channel of their outputs.

    The values are those of a prediction. The image itself stands above. Red values are positive,
    blue ones negative, white is 0. Each layer has a colour scale of its own, which covers the
    smaller 99.5 % of its absolute values.

    Args:
        model: A model whose chain begins with `.input((channels, height, width))`.
        image: One image as `predict` takes them, without their first axis: shape (channels, height,
            width), or (height, width) for one channel, or flat.
        path: A file to write the picture to, in the format that its name ends in.
        layer: The name of a layer, such as "conv2d1" or "relu2"; without it all layers are drawn
            whose outputs are images.
        count: The most channels of a layer to draw, at least 1; the first ones are drawn.

    Returns:
        The figure.

    Raises:
        ArgumentTypeError: An argument has the wrong type or dtype.
        ArgumentError: The image has the wrong shape or holds NaN or infinity, there is no such
            layer, or matplotlib does not write such files.
        DivergenceError: An output is not finite, because the parameters are not.
        ClosedError: The model is closed.
        ImportError: matplotlib is not installed.
        OSError: The file cannot be written.
    """
    from pynn._explain.capture import outputs_in_prediction  # here, because few programs explain

    _check_model(model)
    count = checks.integer("count", count, least=1)
    names = [it.name for it in model._spec.placed_layers if len(it.output_shape) == 3]
    if not names:
        raise ArgumentError(
            "model must have layers whose outputs are images, and it has none; begin the chain with"
            " .input((channels, height, width))"
        )
    chosen = names if layer is None else [_layer(layer, names, "layers whose outputs are images")]
    batch = _batch_of(image, model._spec.input_shape)
    outputs = outputs_in_prediction(model._engine, Data(batch))
    layers = []
    for name in chosen:
        maps = outputs[name][0]
        if not np.isfinite(maps).all():
            raise DivergenceError(f"outputs of {name} are not finite, and cannot be drawn")
        some = f"{count} of {len(maps)}" if count < len(maps) else f"all {len(maps)}"
        size = f"{maps.shape[1]} x {maps.shape[2]}"
        layers.append((f"{name}: {some} channels, {size}", maps[:count]))
    pixels = batch.reshape(model._spec.input_shape) / np.float32(
        255 if batch.dtype == np.uint8 else 1
    )
    return _drawing.finish(_drawing.draw_feature_maps(pixels, layers), path)


@words.corrected
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
        labels: Shape (n,), integers or names: the true classes.
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
    _check_model(model)
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
    names = model.classes or tuple(map(str, range(model.outputs)))
    numbers, _ = numbered("labels", labels, model._spec, model.classes, learning=False)
    truth = arrays.labels("labels", numbers, len(images), model.outputs)
    mistakes = _mistakes(model(images), truth)
    drawn = mistakes[:count]
    few = f"the {len(drawn)} worst of " if len(drawn) < len(mistakes) else ""
    title = f"{few}{len(mistakes):,} mistakes in {len(images):,}"
    if drawn:
        captions = [
            f"{names[truth[m.row]]} → {names[m.predicted]}  {m.probability:.0%}" for m in drawn
        ]
        figure = _drawing.draw_captioned(images[[m.row for m in drawn]], captions)
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


def _check_model(model: object) -> None:
    """Check that an argument is a model."""
    if not isinstance(model, Model):
        raise ArgumentTypeError(f"model must be a pynn.Model, got {checks.describe(model)}")


def _layer(layer: object, names: list[str], what: str) -> str:
    """Check the name of a layer, which must be among some of the model's."""
    for name in names:
        if isinstance(layer, str) and layer == name:
            return name
    got = repr(layer[:60]) if isinstance(layer, str) else checks.describe(layer)
    error = ArgumentError if isinstance(layer, str) else ArgumentTypeError
    raise error(
        f"layer must be the name of one of the model's {what}, {', '.join(names)}; got {got}"
    )


def _batch_of(image: object, shape: tuple[int, ...]) -> arrays.Features:
    """Check one image, and return it as a batch."""
    array = arrays.plain_array("image", image)
    fitting = [shape, *([shape[1:]] if shape[0] == 1 else []), (math.prod(shape),)]
    if array.shape not in fitting:
        hint = ""
        if array.ndim > 0 and array.shape[1:] in fitting:
            hint = "; one of several images is image[0]"
        elif array.shape == (*shape[1:], shape[0]):
            hint = "; channels come first: image.transpose(2, 0, 1)"
        raise ArgumentError(
            f"image must have shape {' or '.join(map(str, fitting))}, got {array.shape}{hint}"
        )
    batch = arrays.features("image", array[None], shape)
    if not np.isfinite(batch).all():
        raise ArgumentError("image must have finite values, and it holds NaN or infinity")
    return batch


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


def _shape(shape: object, layer: str, inputs: int) -> tuple[int, int]:
    """Check the height and width of an image, whose pixels must be as many as a layer's inputs."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise ArgumentTypeError(f"shape must be (height, width), got {checks.describe(shape)}")
    height, width = (checks.integer("shape", side, least=1) for side in shape)
    if height * width != inputs:
        raise ArgumentError(
            f"shape must be (height, width) of an image of {inputs} pixels, since {layer} has"
            f" {inputs} inputs; got {height} x {width}"
        )
    return height, width


if not TYPE_CHECKING:  # a type checker finds wrong names only without it
    __getattr__ = words.of_module("plots", __all__)
