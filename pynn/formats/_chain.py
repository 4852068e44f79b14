"""What an export needs of a model: a copy of its parameters, and the layers with their widths."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pynn._base.arrays import Floats
from pynn._base.errors import DivergenceError
from pynn._native.network import Layer
from pynn._spec import Spec

if TYPE_CHECKING:
    from pynn._model import Model


class Step(NamedTuple):
    """One layer of a chain that does something in use, as dropout does not."""

    name: str
    """Its kind and how many of that kind there are up to here: "dense1", "relu1", "dense2"."""
    layer: Layer
    inputs: int
    outputs: int


class Snapshot(NamedTuple):
    """A model at one moment."""

    spec: Spec
    steps: list[Step]
    parameters: dict[str, Floats]
    """Copies, by the names of `Model.parameters`; all finite."""


def snapshot(model: Model) -> Snapshot:
    """Copy what the model is now; it may be in training.

    Raises:
        DivergenceError: A parameter is not finite.
        ClosedError: The model is closed.
    """
    parameters = model._at_one_moment(
        lambda: {name: view.copy() for name, view in model.parameters.items()}
    )
    for name, array in parameters.items():
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong) > 0:
            place = tuple(map(int, wrong[0]))
            raise DivergenceError(
                f"parameters[{name!r}][{', '.join(map(str, place))}] is {array[place]}: a model"
                " that has diverged gives no answers to export; build or load it anew"
            )
    return Snapshot(model._spec, steps(model._spec), parameters)


def steps(spec: Spec) -> list[Step]:
    """The layers in order, without dropout."""
    found: list[Step] = []
    counts: Counter[str] = Counter()
    width = spec.inputs
    for layer in spec.layers:
        if layer.kind == "dropout":
            continue
        counts[layer.kind] += 1
        outputs = layer.outputs if layer.kind == "dense" else width
        found.append(Step(f"{layer.kind}{counts[layer.kind]}", layer, width, outputs))
        width = outputs
    return found
