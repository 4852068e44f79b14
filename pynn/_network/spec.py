"""The architecture of a network: as plain data, and as the dict that files hold."""

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
"""The most layers of a chain. A file may claim any number, and the time to build a chain grows with
the square of its length."""

MAX_PARAMETERS = (2 * sys.maxsize + 1) // 4
"""The most floats whose bytes can be addressed."""

NO_PRODUCT = "a network needs at least one dense layer; add .dense(...) before the loss"


class PlacedLayer:
    """A layer of a chain, with its place, its name, its sizes and its parameters.

    Attributes:
        number: The layer's place in the chain, from 1, as error messages name it.
        name: The layer's kind and its number among the layers of that kind: "dense1", "relu1",
            "dense2".
        layer: The layer itself.
        inputs: The number of its inputs.
        outputs: The number of its outputs.
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
        """Raise an ArgumentError if there are too many parameters; it names the layer where."""
        count = 0
        for placed in self.placed_layers:
            count += sum(parameter.size for parameter in placed.parameters)
            if count > MAX_PARAMETERS:
                raise ArgumentError(
                    f"layer {placed.number}: {placed.layer.kind}: the network has {count:,}"
                    f" parameters up to this layer, and must have at most {MAX_PARAMETERS:,}"
                )

    def to_dict(self) -> dict[str, Any]:
        """The chain as JSON can hold it: {"input": 784, "layers": [{"kind": "relu"}, ...], ...}."""
        layers = [{"kind": layer.kind, **layer.arguments()} for layer in self.layers]
        return {"input": self.inputs, "layers": layers, **self.loss.to_dict()}

    @classmethod
    def from_dict(cls, chain: Mapping[str, Any]) -> Spec:
        """Make a chain from what to_dict() returned, and check each value.

        Raises:
            ValueError: A value is wrong, or an entry is unknown. (ArgumentError is a ValueError.)
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
        """Make the chain of a pickled model.

        Today's pickles hold what to_dict() returned. Older ones hold a list [inputs, layers, loss,
        label_smoothing], in which each layer is a list [kind, outputs, init, slope, rate], whatever
        its kind.
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
    """The kind, and those of the entries that are options of this kind."""
    own = ("kind", *kind_named(entry["kind"]).options)
    return {name: value for name, value in entry.items() if name in own}


def append(
    layers: tuple[Layer, ...], kind: type[Layer], options: dict[str, Any]
) -> tuple[Layer, ...]:
    """Add a layer with these options to the layers; its errors begin with its number.

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
    """Whether any layer is a matrix product. The C library, too, refuses a network without one."""
    return any(layer.is_product for layer in layers)


@contextlib.contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Put a name before the message of an ArgumentError or ArgumentTypeError that is raised."""
    try:
        yield
    except (ArgumentError, ArgumentTypeError) as error:
        raise type(error)(f"{name}: {error}") from None
