"""The estimators' networks: scikit-learn's first weights, and a forward pass in float64."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn._builder import Builder
from pynn._model import Model
from pynn.sklearn._activations import ACTIVATIONS
from pynn.sklearn._losses import LOSSES


def build(
    widths: Sequence[int], activation: str, dropout: float, out_activation: str, seed: int
) -> Model:
    """Build a model with these widths, from input to output. The caller then sets its weights."""
    chain = Builder().input(widths[0])
    for width in widths[1:-1]:
        chain = ACTIVATIONS[activation].add(chain.dense(width, init="xavier"))
        if dropout > 0:
            chain = chain.dropout(dropout)
    chain = chain.dense(widths[-1], init="xavier")
    return LOSSES[out_activation].finish(chain).build(seed=seed)


def first_parameters(
    widths: Sequence[int], activation: str, random: np.random.RandomState
) -> list[npt.NDArray[np.float64]]:
    """Draw the weights and the bias of each layer, in turn, just as scikit-learn does.

    Both are uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010); with the logistic
    activation in +-sqrt(2 / (inputs + outputs)).
    """
    drawn = []
    for inputs, outputs in pairwise(widths):
        bound = np.sqrt(ACTIVATIONS[activation].factor / (inputs + outputs))
        drawn.append(random.uniform(-bound, bound, (inputs, outputs)))
        drawn.append(random.uniform(-bound, bound, outputs))
    return drawn


def set_parameters(views: Sequence[Floats], arrays: Sequence[Any], name: str) -> None:
    """Copy arrays into a model's parameters of the same shapes.

    Raises:
        ArgumentError: The shapes differ; then nothing is copied. `name` is what the message calls
            the arrays.
    """
    shapes = [np.shape(array) for array in arrays]
    if shapes != [view.shape for view in views]:
        needed = ", ".join(str(view.shape) for view in views)
        got = ", ".join(map(str, shapes))
        raise ArgumentError(f"{name} must have the shapes {needed}, got {got}")
    for view, array in zip(views, arrays, strict=True):
        view[...] = array


class Views(list[Floats]):
    """Views of a model's parameters. Assigning an array to an element copies it into the model."""

    def __setitem__(self, index: Any, array: Any) -> None:
        if isinstance(index, slice):
            set_parameters(self[index], list(array), "the arrays")
        else:
            set_parameters([self[index]], [array], "the array")


def forward(
    coefs: Sequence[Floats],
    intercepts: Sequence[Floats],
    activation: str,
    features: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Compute the outputs before the last activation, (n, outputs), in float64."""
    layers = list(zip(coefs, intercepts, strict=True))
    x = features
    for number, (weights, bias) in enumerate(layers, start=1):
        x = x @ weights.astype(np.float64) + bias
        if number < len(layers):
            x = np.asarray(ACTIVATIONS[activation].apply(x), np.float64)
    return x
