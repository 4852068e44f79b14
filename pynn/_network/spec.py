"""The architecture of a network as plain data, and as the dict that files keep it in."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._network.layers import MAX_WIDTH, Layer, import_kinds, kind_named
from pynn._network.losses import Loss

import_kinds()

MAX_LAYERS = 4096
"""The most layers of a chain, whose cost grows with their square: a file may claim any number."""

MAX_PARAMETERS = (2 * sys.maxsize + 1) // 4
"""More floats than these have more bytes than can be addressed."""

NO_PRODUCT = "a network needs at least one dense layer; add .dense(...) before the loss"


class PlacedLayer:
    """A layer with what follows from its place in the chain.

    Attributes:
        number: Its place, from 1, as error messages have it.
        name: Its kind, and how many of that kind there are up to here: "dense1", "relu1", "dense2".
        layer: The layer.
        inputs: The width before it.
        outputs: The width after it.
        parameters: Its parameters, in the order in which they are stored.
    """

    def __init__(self, number: int, name: str, layer: Layer, inputs: int) -> None:
        self.number = number
        self.name = name
        self.layer = layer
        self.inputs = inputs
        self.outputs = layer.width_after(inputs)
        self.parameters = layer.parameters(inputs)


class Spec(NamedTuple):
    """A chain of layers from its input to its loss."""

    inputs: int
    layers: tuple[Layer, ...]
    loss: Loss

    @property
    def outputs(self) -> int:
        """The width at the end of the chain."""
        width = self.inputs
        for layer in self.layers:
            width = layer.width_after(width)
        return width

    @property
    def decisions(self) -> int:
        """How many decisions that are right or wrong the network makes for an example."""
        return self.loss.decisions(self.outputs)

    @property
    def placed_layers(self) -> list[PlacedLayer]:
        """The layers in order, each with its name and sizes."""
        placed: list[PlacedLayer] = []
        counts: Counter[str] = Counter()
        width = self.inputs
        for number, layer in enumerate(self.layers, start=1):
            counts[layer.kind] += 1
            name = f"{layer.kind}{counts[layer.kind]}"
            placed.append(PlacedLayer(number, name, layer, width))
            width = placed[-1].outputs
        return placed

    def __str__(self) -> str:
        return " -> ".join([str(self.inputs), *map(str, self.layers), str(self.loss)])

    def check_size(self) -> None:
        """Raise an ArgumentError that names the layer with which the parameters are too many."""
        count = 0
        for placed in self.placed_layers:
            count += sum(parameter.size for parameter in placed.parameters)
            if count > MAX_PARAMETERS:
                raise ArgumentError(
                    f"layer {placed.number}: {placed.layer.kind}: the network has {count:,}"
                    f" parameters up to here, and must have at most {MAX_PARAMETERS:,}"
                )

    def to_dict(self) -> dict[str, Any]:
        """The chain for JSON: {"input": 784, "layers": [{"kind": "relu"}, ...], "loss": ...}."""
        layers = [{"kind": layer.kind, **layer.arguments()} for layer in self.layers]
        return {"input": self.inputs, "layers": layers, **self.loss.to_dict()}

    @classmethod
    def from_dict(cls, chain: Mapping[str, Any]) -> Spec:
        """The chain that to_dict() gave, each value of it checked.

        Raises:
            ValueError: A value is wrong, or an entry unknown. (ArgumentError is a ValueError.)
            TypeError: A value has the wrong type.
            LookupError: An entry is missing.
        """
        inputs = checks.integer("input", chain["input"], least=1, most=MAX_WIDTH)
        layers: tuple[Layer, ...] = ()
        for entry in chain["layers"]:
            options = dict(entry)
            kind = kind_named(options.pop("kind"))
            layers = append(layers, kind, options)
            checks.no_others(f"layer {kind.kind}", options, kind.options)
        loss = Loss.from_dict(chain)
        if not has_product(layers):
            raise ValueError(NO_PRODUCT)
        checks.no_others("the model", chain, ("input", "layers", "loss", *loss.options))
        return cls(inputs, layers, loss)

    @classmethod
    def from_pickle(cls, kept: Any) -> Spec:
        """The chain in a pickled model, where it is what to_dict() gave.

        Models that were pickled before that was so have [inputs, layers, loss, label_smoothing],
        with a list [kind, outputs, init, slope, rate] for each layer, whatever its kind.
        """
        if not isinstance(kept, list):
            return cls.from_dict(kept)
        inputs, layers, loss, *smoothing = kept
        names = ("kind", "outputs", "init", "slope", "rate")
        entries = [_own_entries(dict(zip(names, layer, strict=False))) for layer in layers]
        chain: dict[str, Any] = {"input": inputs, "layers": entries}
        if any(smoothing):
            chain["label_smoothing"] = smoothing[0]
        return cls.from_dict({**chain, "loss": loss})


def _own_entries(entry: dict[str, Any]) -> dict[str, Any]:
    """The entries that a layer of this kind has."""
    own = ("kind", *kind_named(entry["kind"]).options)
    return {name: value for name, value in entry.items() if name in own}


def append(
    layers: tuple[Layer, ...], kind: type[Layer], options: dict[str, Any]
) -> tuple[Layer, ...]:
    """The layers and one more, with its options by name; errors begin with the layer's number.

    Raises:
        ArgumentTypeError: An option has the wrong type.
        ArgumentError: An option has the wrong value, or there are too many layers.
    """
    number = len(layers) + 1
    with errors_of(f"layer {number}"):
        layer = kind.from_dict(options)
        if number > MAX_LAYERS:
            raise ArgumentError(f"{kind.kind}: a network has at most {MAX_LAYERS} layers")
    return (*layers, layer)


def has_product(layers: tuple[Layer, ...]) -> bool:
    """Whether any layer is a matrix product, which the C library asks for, too."""
    return any(layer.is_product for layer in layers)


@contextlib.contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Put a name before the message of an ArgumentError or ArgumentTypeError that is raised."""
    try:
        yield
    except (ArgumentError, ArgumentTypeError) as error:
        raise type(error)(f"{name}: {error}") from None
