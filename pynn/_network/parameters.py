"""The parameters of a network: their names, their shapes, and where they lie in the flat array.

All parameters of a network are one array of floats. It holds the layers in their order, and each
layer's parameters in their order, without gaps. The C library computes the same offsets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentTypeError
from pynn._network.spec import Spec

TARGETS = "targets"
"""The names of the loss's parameters begin with it, as those of others with that of their layer."""

_Float = TypeVar("_Float", np.float32, np.float64)


class ParameterView(NamedTuple):
    """Where a parameter of a layer lies in the flat array, and what it is."""

    layer: int
    """The layer's place in the chain, from 0; that behind the last one for the loss."""
    name: str
    """The layer's kind, its number among the layers of that kind, a dot, and the parameter's own
    name: "dense1.weight"."""
    shape: tuple[int, ...]
    offset: int
    """In floats."""
    decays: bool
    """Whether weight decay makes it smaller."""
    trained: bool
    """Whether a step of the optimizer changes it; not if its layer is frozen."""
    transposed: bool
    """Whether PyTorch stores the transpose."""
    frozen: bool = False
    """Whether its layer is frozen; then it is not trained, and does not follow the data either."""

    @property
    def end(self) -> int:
        """The offset at which the next parameter begins, in floats."""
        return self.offset + math.prod(self.shape)

    def of(self, array: npt.NDArray[_Float]) -> npt.NDArray[_Float]:
        """The parameter as a view of a flat array: nothing is copied."""
        return array[self.offset : self.end].reshape(self.shape)


def views(spec: Spec) -> list[ParameterView]:
    """The views of all parameters of a network, in the order of the flat array."""
    found: list[ParameterView] = []
    offset = 0
    for placed in spec.placed_layers:
        for own in placed.parameters:
            view = ParameterView(
                placed.number - 1,
                f"{placed.name}.{own.name}",
                own.shape,
                offset,
                own.decays,
                own.trained and not placed.frozen,
                own.transposed,
                placed.frozen,
            )
            found.append(view)
            offset = view.end
    for own in spec.loss.parameters(spec.outputs):
        flags = own.decays, own.trained, own.transposed
        view = ParameterView(len(spec.layers), f"{TARGETS}.{own.name}", own.shape, offset, *flags)
        found.append(view)
        offset = view.end
    return found


def scales(spec: Spec) -> list[tuple[ParameterView, ParameterView]]:
    """The mean and the scale of features and of targets that a model has, as pairs of views.

    They are found in the examples of the first training; until then the scale is 0.
    """
    means = [view for view in views(spec) if view.name.endswith(".mean")]
    by_name = {view.name: view for view in views(spec)}
    return [(mean, by_name[f"{mean.name.removesuffix('mean')}scale"]) for mean in means]


def first_trained(spec: Spec) -> int:
    """The place, from 0, of the first layer with parameters that training changes."""
    return next(view.layer for view in views(spec) if view.trained)


class Parameters(dict[str, Floats]):
    """Views of a model's parameters, by name.

    An array that took the place of a view would not change the model, so assigning one is an error.
    """

    def __setitem__(self, name: str, array: Floats) -> None:
        if self.get(name) is not array:  # parameters[name] += x assigns the same view: allowed
            raise ArgumentTypeError(
                f"parameters cannot be replaced; write into it: parameters[{name!r}][...] = array"
            )

    def __missing__(self, name: object) -> Floats:
        """Raise the error for a name that there is not."""
        some = ", ".join(list(self)[:8]) + ", ..." * (len(self) > 8)
        raise KeyError(f"{checks.printable(repr(name), 60)}: the parameters are {some}")

    if not TYPE_CHECKING:

        def __call__(self, *given: object, **named: object) -> NoReturn:
            """Raise the error for a call: in other libraries `parameters` is a method."""
            raise ArgumentTypeError(
                "parameters is no method but a dict of arrays by name, written without (): "
                "model.parameters, as in model.parameters['dense1.weight']"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a copy or a pickle be an ordinary dict of arrays that belong to no model."""
        return dict, (dict(self),)


def named(parameters: Sequence[ParameterView], array: Floats) -> Parameters:
    """The views by name: "dense1.weight" (inputs, outputs), "dense1.bias" (outputs,), ..."""
    return Parameters({view.name: view.of(array) for view in parameters})
