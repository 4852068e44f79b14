"""Do a step on copies, and keep all of its values.

The C library computes everything here: the gradient by `pynn_gradient` on a workspace that keeps
the values of each layer, the update by `pynn_train` on copies of the parameters and moments. So the
numbers are those of `fit`, bit for bit, and the model stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from pynn._base.arrays import Floats, Targets
from pynn._base.errors import OutOfMemoryError
from pynn._explain.values import ParameterUpdate, Values, read_only
from pynn._native.data import Data
from pynn._native.library import NotFinite
from pynn._native.network import Network
from pynn._native.state import State
from pynn._native.workspace import Sums, Workspace
from pynn._network.class_names import Names
from pynn._network.layers import Shape
from pynn._network.parameters import ParameterView, first_trained, views
from pynn._network.spec import PlacedLayer, Spec
from pynn._training import faults
from pynn._training.engine import Engine
from pynn._training.optimizers import Optimizer


class Captured(NamedTuple):
    """The values of a step: what the C library has computed."""

    spec: Spec
    data: Data
    optimizer: Optimizer
    learning_rate: float
    is_sparse: bool
    """Whether the first layer read its inputs as sparse rows."""
    sums: Sums
    losses: Floats
    """Of each example, shape (n,)."""
    probabilities: Floats | None
    forward: Mapping[str, Values]
    backward: Mapping[str, Values]
    parameters: Floats
    """Before the step, as the flat array."""
    gradients: Floats
    after: Floats
    """The parameters after the step."""
    before: State
    """The optimizer's state before the step."""
    state: State
    """And after it."""
    classes: Names | None = None
    """The names of the classes, in the order of the outputs, if they have names."""

    def gradients_by_name(self) -> Mapping[str, Floats]:
        """The gradient of each parameter that is not frozen, by the names of `Model.parameters`."""
        return MappingProxyType({it.name: it.of(self.gradients) for it in self.changing()})

    def target_scale(self) -> tuple[Floats, Floats] | None:
        """The mean and the scale of the targets, (outputs,) each, if the loss standardizes them."""
        found = [view.of(self.parameters) for view in views(self.spec)[-2:]]
        has_scale = self.spec.loss.parameters(self.spec.outputs)
        return (found[0], found[1]) if has_scale else None

    def targets(self) -> Targets:
        """The labels or targets of the batch, as the loss sees them."""
        assert self.data.targets is not None
        if (scaled := self.target_scale()) is None:
            return self.data.targets
        mean, scale = scaled
        standardized: Floats = (self.data.targets - mean) / scale
        return standardized

    def changing(self) -> list[ParameterView]:
        """The parameters that the step may change: those of layers that are not frozen."""
        return [view for view in views(self.spec) if not view.frozen]

    def example(self, index: int) -> Captured:
        """The values of one example alone: each array of the batch has one row."""

        def row(values: Mapping[str, Values], names: tuple[str, ...]) -> Mapping[str, Values]:
            of_batch = ("X", "Y", "dX", "dY")
            return _by_name(
                Values(
                    layer,
                    {
                        name: array[index : index + 1] if name in of_batch else array
                        for name, array in arrays.items()
                        if name in of_batch or name in names
                    },
                )
                for layer, arrays in values.items()
            )

        parameters = tuple(name for arrays in self.forward.values() for name in arrays)
        every = self.probabilities
        return self._replace(
            sums=Sums(float(self.losses[index]), 0, 1),
            losses=self.losses[index : index + 1],
            probabilities=None if every is None else every[index : index + 1],
            forward=row(self.forward, parameters),
            backward=row(self.backward, ()),  # the gradients of parameters belong to the batch
        )

    def updates(self) -> Mapping[str, ParameterUpdate]:
        """What the step does to each parameter that is not frozen, by name."""
        arrays = {"before": self.parameters, "gradient": self.gradients, "after": self.after}
        names = self.optimizer._moment_names
        arrays |= dict(zip(names, self.state.moments, strict=False))
        return MappingProxyType(
            {
                view.name: ParameterUpdate(
                    {name: read_only(view.of(array)) for name, array in arrays.items()},
                    self.learning_rate,
                    self.state.updates,
                )
                for view in self.changing()
            }
        )


def copy_of(state: State, seed: int) -> State:
    """Copy the state of an optimizer."""
    copied = State(seed)
    copied.restore(**state.to_dict())
    return copied


def capture(engine: Engine, data: Data, optimizer: Optimizer) -> Captured:
    """Do a step on copies, and keep its values; the model does not change.

    Raises:
        ArgumentError: A feature is not finite.
        DivergenceError: A loss or a parameter is not finite.
        OutOfMemoryError: There is no memory for the values.
        ClosedError: The model is closed.
    """

    def copy() -> tuple[Network, Spec, Floats, State]:
        state = copy_of(engine.state, engine.seed)
        return engine.open().network, engine.spec, engine.parameters.copy(), state

    network, spec, parameters, before = engine.at_one_moment(copy)
    rows = data.rows
    update = optimizer._update(before.step, before.step + 1)
    after, state = parameters.copy(), copy_of(before, engine.seed)
    workspace = _workspace(network, rows)
    try:
        with engine.lock:  # so that no other thread forks meanwhile
            workspace.train(data, None, rows, 0, 1, update, state, after)
            gradients, sums = workspace.gradient(data, None, rows, parameters, state=before)
    except NotFinite:
        what = "the loss of the step, or a parameter after it,"
        raise faults.explain_use(what, data) from None
    for moment in state.moments:
        read_only(moment)
    layers, has_probabilities = spec.placed_layers, spec.loss.has_probabilities
    return Captured(
        spec=spec,
        data=data,
        optimizer=optimizer,
        learning_rate=float(update.learning_rates[0]),
        is_sparse=workspace.is_sparse,
        sums=sums,
        losses=read_only(workspace.read("losses", 0)),
        probabilities=read_only(workspace.read("probabilities", 0, spec.outputs))
        if has_probabilities
        else None,
        forward=_by_name(_forward(workspace, it, spec, parameters) for it in layers),
        backward=_by_name(_backward(workspace, it, spec, gradients) for it in layers),
        parameters=read_only(parameters),
        gradients=read_only(gradients),
        after=read_only(after),
        before=before,
        state=state,
    )


def outputs_in_prediction(engine: Engine, data: Data) -> dict[str, Floats]:
    """The outputs of each layer for a few examples, by its name, as the model predicts.

    Nothing is dropped, and a batch_norm has its running mean and variance.

    Raises:
        ArgumentError: A feature is not finite.
        DivergenceError: An output is not finite.
        OutOfMemoryError: There is no memory for the values.
        ClosedError: The model is closed.
    """
    network, spec, rows = engine.open().network, engine.spec, data.rows
    parameters = engine.at_one_moment(lambda: engine.parameters.copy())
    workspace, out = _workspace(network, rows), np.empty((rows, spec.outputs), np.float32)
    try:
        workspace.predict(data, 0, rows, parameters, out, probabilities=False)
    except NotFinite:
        raise faults.explain_use("an output", data) from None
    return {
        it.name: _read(workspace, "outputs", it.number - 1, it.output_shape)
        for it in spec.placed_layers
    }


def _workspace(network: Network, rows: int) -> Workspace:
    """A workspace that keeps the values of a batch of so many rows."""
    try:
        return Workspace(network, rows, keeping=True)
    except OutOfMemoryError:
        raise OutOfMemoryError(f"out of memory for the values of a batch of {rows:,}") from None


def _by_name(groups: Iterable[Values]) -> Mapping[str, Values]:
    """The groups of arrays by the names of their layers."""
    return MappingProxyType({group._layer: group for group in groups})


def _parameters(placed: PlacedLayer, spec: Spec, array: Floats, prefix: str) -> dict[str, Floats]:
    """The parts of a flat array that belong to a layer, by the symbols of its equations."""
    found = {}
    for view in views(spec):
        if view.layer == placed.number - 1 and (view.trained or not prefix):
            name = view.name.partition(".")[2]
            symbol = prefix + placed.layer.symbols.get(name, name)
            found[symbol] = read_only(view.of(array).copy())
    return found


def _read(workspace: Workspace, value: str, place: int, shape: Shape) -> Floats:
    """An array of the batch, (n, values) or (n, channels, height, width)."""
    array = read_only(workspace.read(value, place, math.prod(shape)))
    return array.reshape(len(array), *shape)


def _forward(workspace: Workspace, placed: PlacedLayer, spec: Spec, parameters: Floats) -> Values:
    """X, the parameters, and Y of a layer."""
    place = placed.number - 1
    arrays = {"X": _read(workspace, "inputs", place, placed.input_shape)}
    arrays |= _parameters(placed, spec, parameters, "")
    arrays["Y"] = _read(workspace, "outputs", place, placed.output_shape)
    return Values(placed.name, arrays)


def _backward(workspace: Workspace, placed: PlacedLayer, spec: Spec, gradients: Floats) -> Values:
    """dY, the gradients of the parameters, and dX of a layer, as far as they are computed.

    Gradients are computed down to the first layer that is trained, whose dX nobody needs.
    """
    place, first = placed.number - 1, first_trained(spec)
    arrays = {}
    if place >= first:
        arrays["dY"] = _read(workspace, "output_gradients", place, placed.output_shape)
    arrays |= _parameters(placed, spec, gradients, "d")
    if place > first:
        arrays["dX"] = _read(workspace, "input_gradients", place, placed.input_shape)
    return Values(placed.name, arrays)
