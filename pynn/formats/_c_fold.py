"""The layers of exported C: without those that do nothing in use, and with batch_norm folded.

In use a batch_norm is y = scale x + shift for each channel. Behind a product, which is a dense or a
conv2d layer, both become part of the product's weights and bias. Elsewhere it is a layer that takes
the scale and the shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pynn._base.arrays import Floats
from pynn._network.spec import PlacedLayer, Spec


class CLayer(NamedTuple):
    """A layer of the exported file."""

    placed: PlacedLayer
    folded: tuple[PlacedLayer, ...] = ()
    """Layers behind it that its parameters contain."""

    @property
    def constants(self) -> list[str]:
        """The names of the arrays that the layer's function takes."""
        names = self.placed.layer.c_constants(self.placed.input_shape)
        return [f"{self.placed.name}_{name}" for name in names]


def layers_of(spec: Spec) -> list[CLayer]:
    """The layers that the exported file has."""
    found: list[CLayer] = []
    for placed in spec.placed_layers:
        if not placed.layer.in_use:
            continue
        if placed.layer.is_scale and found and found[-1].placed.layer.takes_scale:
            last = found.pop()
            found.append(last._replace(folded=(*last.folded, placed)))
        else:
            found.append(CLayer(placed))
    return [layer for layer in found if not layer.placed.layer.is_view]


def arrays_of(layers: Sequence[CLayer], named: Mapping[str, Floats]) -> dict[str, Floats]:
    """The arrays that the functions of the layers take, by name."""
    found: dict[str, Floats] = {}
    for layer in layers:
        arrays = layer.placed.layer.c_arrays(_own(layer.placed, named))
        for norm in layer.folded:
            scale, shift = norm.layer.scale_and_shift(_own(norm, named))
            arrays = layer.placed.layer.scaled(arrays, scale, shift)
        found |= {
            name: array.astype(np.float32)
            for name, array in zip(layer.constants, arrays.values(), strict=True)
        }
    return found


def _own(placed: PlacedLayer, named: Mapping[str, Floats]) -> dict[str, Floats]:
    """The parameters of a layer, by their own names."""
    return {own.name: named[f"{placed.name}.{own.name}"] for own in placed.parameters}
