"""The network of a step in NumPy float64: the layers and the loss of `reference` in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles, Floats
from pynn._explain.capture import Captured
from pynn._explain.reference import images, layers, losses
from pynn._explain.reference.losses import Sized, Targets64
from pynn._network.layers import Shape
from pynn._network.layers.pool2d import AvgPool2d, Flatten, GlobalAvgPool, MaxPool2d
from pynn._network.parameters import ParameterView, first_trained
from pynn._network.spec import PlacedLayer

ByLayer = list[dict[str, Doubles]]
"""Arrays of each layer, by their symbols."""

ROUNDING = 2.0**-24
"""The most by which float32 rounds a number, as a share of it."""
NEAR = 1e-5
"""How near a kink rounding may take a number to the other side, as a share of the number's size.

It is 170 times what one rounding can do, because the errors of the layers below are in it, too.
"""


def double(array: Floats) -> Doubles:
    """A copy in float64; every float32 is exact in it."""
    return array.astype(np.float64)


OF_SIZES = (AvgPool2d, Flatten, GlobalAvgPool, MaxPool2d)
"""Layers that make sizes of their outputs from sizes of their inputs as they do it with values."""


class Network64:
    """The network of a step.

    Attributes:
        layers: The layers, in order.
        arrays: For each layer its parameters, by their symbols, and which values dropout dropped in
            C. They may be changed.
        x: The inputs as C read them, in float32, shape (N, inputs) or that of images.
    """

    def __init__(self, step: Captured) -> None:
        self.layers: list[PlacedLayer] = step.spec.placed_layers
        self.arrays: ByLayer = []
        for place, placed in enumerate(self.layers):
            values = step.forward[placed.name]
            arrays = {name: double(values[name]) for name in values if name not in ("X", "Y")}
            shape = (step.data.rows, *placed.input_shape)

            def factors(rate: float, place: int = place, shape: Shape = shape) -> Doubles:
                return double(step.before.dropout_factors(place, rate, shape))

            self.arrays.append(arrays | layers.draws(placed.layer, factors))
        self.x = double(step.forward[self.layers[0].name]["X"])
        self._loss = step.spec.loss
        assert step.data.targets is not None
        self._targets: Targets64 = step.data.targets.astype(np.float64)
        if scaled := step.target_scale():
            mean, scale = map(double, scaled)
            self._targets = (self._targets - mean) / scale
        if self._loss.has_classes:
            self._targets = step.data.targets.astype(np.int64)
        weights = step.data.weights
        self._weights = np.ones(len(self.x)) if weights is None else double(weights)
        self._first_trained = first_trained(step.spec)

    def symbol(self, view: ParameterView) -> str:
        """What the equations call a parameter: "W"."""
        name = view.name.partition(".")[2]
        return self.layers[view.layer].layer.symbols.get(name, name)

    def has_kink(self, place: int) -> bool:
        """Whether a layer is a function with a kink at 0."""
        return isinstance(self.layers[place].layer, layers.WITH_KINK)

    def value(self, place: int, x: Doubles) -> Doubles:
        """Y of a layer."""
        return layers.value(self.layers[place].layer, x, self.arrays[place])

    def gradients(self, place: int, x: Doubles, dy: Doubles) -> dict[str, Doubles]:
        """The gradients of a layer, dX and those of its parameters, by their symbols."""
        return layers.gradients(self.layers[place].layer, x, dy, self.arrays[place])

    def sizes(self, place: int, x: Doubles, dy: Doubles) -> dict[str, Doubles]:
        """The sizes of Y and of what gradients() returns."""
        return layers.sizes(self.layers[place].layer, x, dy, self.arrays[place])

    def forward(self, first: int, x: Doubles) -> list[Doubles]:
        """The inputs of the layers from number `first` on, from 0, and the outputs of the last."""
        values = [x]
        for place in range(first, len(self.layers)):
            values.append(self.value(place, values[-1]))
        return values

    def sides(self, first: int, values: Sequence[Doubles]) -> list[npt.NDArray[Any]]:
        """On which side of a kink each input is, from what forward(first, ...) returned.

        Of max_pool2d, which has a kink where two values of a window are equal, it is the place of
        the largest one.
        """
        found: list[npt.NDArray[Any]] = []
        for place, x in zip(range(first, len(self.layers)), values[:-1], strict=True):
            layer = self.layers[place].layer
            if self.has_kink(place):
                found.append(x > 0)
            if isinstance(layer, MaxPool2d):
                found.append(images.places_of_largest(layer, x))
        return found

    def losses(self, z: Doubles) -> Sized:
        """The loss of each example times its weight, (N,), from the network's outputs; sizes."""
        right, sizes = losses.losses(self._loss, z.reshape(len(z), -1), self._targets)
        return self._weights * right, self._weights * sizes

    def output_gradient(self, z: Doubles) -> Sized:
        """The gradient of the mean loss by the network's outputs, with their shape; its sizes."""
        right, sizes = losses.gradient(self._loss, z.reshape(len(z), -1), self._targets)
        share = self._weights[:, None] / len(z)
        return (right * share).reshape(z.shape), (sizes * share).reshape(z.shape)

    def probabilities(self, z: Doubles) -> Sized:
        """The probabilities, (N, outputs), if the loss has them; and their sizes."""
        return losses.probabilities(self._loss, z.reshape(len(z), -1))

    def backward(self, values: Sequence[Doubles]) -> ByLayer:
        """Backpropagation: the gradients of each layer, from what forward(0, x) returned.

        It goes down to the first layer that is trained, as in C; layers below have none.
        """
        found: ByLayer = [{} for _ in self.layers]
        dy = self.output_gradient(values[-1])[0]
        for place in reversed(range(self._first_trained, len(self.layers))):
            found[place] = self.gradients(place, values[place], dy)
            dy = found[place]["dX"]
        return found

    def near(self, values: Sequence[Doubles], other: Sequence[Doubles]) -> list[Doubles]:
        """Take the inputs of functions with a kink from elsewhere where they are near the kink.

        Rounding may take a number over a kink, where the derivative jumps. Numbers further from it
        than rounding can take them are left as they are, so that no wrong number is hidden.

        Args:
            values: What forward(0, x) returned.
            other: The same, rounded otherwise.
        """
        found = list(values)
        size = np.abs(self.x)
        for place in range(1, len(self.layers)):
            below, x, y = self.layers[place - 1].layer, values[place], other[place]
            own = self.sizes(place - 1, values[place - 1], np.zeros_like(x))["Y"]
            if isinstance(below, OF_SIZES):
                size = layers.value(below, size, {})  # the values have the roundings from below
            else:
                size = np.maximum(own, size) if below.is_scalar else own  # it may make 0 of much
            layer = self.layers[place].layer
            if self.has_kink(place):
                found[place] = np.where(np.maximum(np.abs(x), np.abs(y)) <= NEAR * size, y, x)
            if isinstance(layer, MaxPool2d):
                near = images.nearly_equal(layer, x, 2 * NEAR * size)
                near |= images.nearly_equal(layer, y, 2 * NEAR * size)
                found[place] = np.where(near, y, x)
        return found

    def sizes_of_gradients(self, values: Sequence[Doubles], found: ByLayer) -> ByLayer:
        """The sizes of what backward(values) found, in each layer for itself."""
        sizes: ByLayer = [{} for _ in self.layers]
        dy = self.output_gradient(values[-1])[0]
        for place in reversed(range(self._first_trained, len(self.layers))):
            sizes[place] = self.sizes(place, values[place], dy)
            dy = found[place]["dX"]
        return sizes


class RoundedNetwork(Network64):
    """The same network where each number is changed at random, by up to a rounding of float32.

    What this does to the gradients tells how far the rounding of all layers may take them: a
    network can make much of a little, as a layer_norm does of a row with a small variance.

    Args:
        step: The step.
        values: What forward(0, x) returned without a change. Inputs of a function with a kink stay
            on the side that they are on there, and the largest value of a window at its place.
        rng: Draws the changes.
    """

    def __init__(self, step: Captured, values: Sequence[Doubles], rng: np.random.Generator) -> None:
        super().__init__(step)
        self._values = values
        self._rng = rng

    def _changed(self, array: Doubles, sizes: Doubles) -> Doubles:
        return array + ROUNDING * sizes * self._rng.uniform(-1.0, 1.0, array.shape)

    def _on_same_side(self, place: int, x: Doubles) -> Doubles:
        kept = self._values[place]
        return np.where((x > 0) == (kept > 0), x, kept) if self.has_kink(place) else x

    def value(self, place: int, x: Doubles) -> Doubles:
        x, layer = self._on_same_side(place, x), self.layers[place].layer
        if isinstance(layer, MaxPool2d):
            where = images.places_of_largest(layer, self._values[place])
            return images.values_at(layer, x, where)  # values are chosen, not rounded
        no_gradient = np.zeros_like(self._values[place + 1])
        return self._changed(super().value(place, x), self.sizes(place, x, no_gradient)["Y"])

    def gradients(self, place: int, x: Doubles, dy: Doubles) -> dict[str, Doubles]:
        is_max = isinstance(self.layers[place].layer, MaxPool2d)
        x = self._values[place] if is_max else self._on_same_side(place, x)
        found, sizes = super().gradients(place, x, dy), self.sizes(place, x, dy)
        return {name: self._changed(array, sizes[name]) for name, array in found.items()}

    def output_gradient(self, z: Doubles) -> Sized:
        found, sizes = super().output_gradient(z)
        return self._changed(found, sizes), sizes
