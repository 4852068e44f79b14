"""The architecture of a network: as plain data, and as the dict that files hold."""

from __future__ import annotations

import contextlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._network import poisson, squared_error
from pynn._network.columns import Columns
from pynn._network.layers import MAX_WIDTH, Layer, Shape, import_kinds, kind_named
from pynn._network.losses import Loss

import_kinds()
OTHER_LOSSES = poisson, squared_error
"""Modules of losses: importing them registers their classes, since a file may name any loss."""

MAX_LAYERS = 4096
"""The most layers of a chain. A file may claim any number, and the time to build a chain grows with
the square of its length."""

MAX_PARAMETERS = (2 * sys.maxsize + 1) // 4
"""The most floats whose bytes can be addressed."""

NO_PRODUCT = "a network needs at least one dense or conv2d layer; add .dense(...) before the loss"


class PlacedLayer:
    """A layer of a chain, with its place, its name, its sizes and its parameters.

    Attributes:
        number: The layer's place in the chain, from 1, as error messages name it.
        name: The layer's kind and its number among the layers of that kind: "dense1", "relu1",
            "dense2".
        frozen: Whether it has parameters that training leaves as they are.
        layer: The layer itself; a batch_norm that is frozen is a FrozenBatchNorm.
        input_shape: The shape of its inputs: (values,), or of images (channels, height, width).
        output_shape: The shape of its outputs.
        inputs: The number of its inputs.
        outputs: The number of its outputs.
        parameters: Its parameters, in the order in which they are stored.
    """

    def __init__(
        self, number: int, name: str, layer: Layer, shape: Shape, *, frozen: bool = False
    ) -> None:
        self.number = number
        self.name = name
        self.frozen = frozen
        self.layer = layer.as_frozen() if frozen else layer
        self.input_shape = shape
        self.output_shape = layer.shape_after(shape)
        self.inputs = math.prod(shape)
        self.outputs = math.prod(self.output_shape)
        self.parameters = layer.parameters(shape)


class Spec(NamedTuple):
    """A chain of layers from its input to its loss."""

    input_shape: Shape
    layers: tuple[Layer, ...]
    loss: Loss
    frozen: frozenset[int] = frozenset()
    """The numbers of the layers, from 1, that training leaves as they are; all have parameters."""

    @property
    def inputs(self) -> int:
        """The number of values of an example."""
        return math.prod(self.input_shape)

    @property
    def outputs(self) -> int:
        """The width at the end of the chain."""
        return math.prod(shape_after(self.input_shape, self.layers))

    @property
    def decisions(self) -> int:
        """How many decisions that are right or wrong the network makes for an example."""
        return self.loss.decisions(self.outputs)

    @property
    def errors(self) -> int:
        """Of how many outputs the errors are measured: all for regression, else none."""
        return self.outputs if self.loss.has_errors else 0

    @property
    def columns(self) -> Columns | None:
        """The columns of the table that is the input; None if it is none."""
        return getattr(self.layers[0], "columns", None)

    @property
    def encoder(self) -> Callable[[str, object], Floats] | None:
        """What makes an array of the features that a caller gives; None if they are one."""
        return self.layers[0].encoder

    @property
    def takes_missing(self) -> bool:
        """Whether NaN may stand for a missing feature."""
        return self.layers[0].takes_missing

    @property
    def placed_layers(self) -> list[PlacedLayer]:
        """The layers in order, each with its name and sizes."""
        placed: list[PlacedLayer] = []
        counts: Counter[str] = Counter()
        shape = self.input_shape
        for number, layer in enumerate(self.layers, start=1):
            counts[layer.kind] += 1
            name = f"{layer.kind}{counts[layer.kind]}"
            placed.append(PlacedLayer(number, name, layer, shape, frozen=number in self.frozen))
            shape = placed[-1].output_shape
        return placed

    def __str__(self) -> str:
        return " -> ".join(
            ["x".join(map(str, self.input_shape)), *map(str, self.layers), str(self.loss)]
        )

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
        shape = self.input_shape
        begin = shape[0] if len(shape) == 1 else list(shape)
        chain = {"input": begin, "layers": layers, **self.loss.to_dict()}
        if self.frozen:  # an older pynn can read a file without this entry
            chain["frozen"] = [placed.name for placed in self.placed_layers if placed.frozen]
        return chain

    @classmethod
    def from_dict(cls, chain: Mapping[str, Any]) -> Spec:
        """Make a chain from what to_dict() returned, and check each value.

        Raises:
            ValueError: A value is wrong, or an entry is unknown. (ArgumentError is a ValueError.)
            TypeError: A value has the wrong type.
            LookupError: An entry is missing.
        """
        shape = after = checked_shape(chain["input"])
        layers: tuple[Layer, ...] = ()
        for entry in chain["layers"]:
            options = dict(entry)
            kind = kind_named(options.pop("kind"))
            layers, after = append(after, layers, kind, options)
            checks.no_others(f"layer {kind.kind}", options, kind.options)
        loss = Loss.from_dict(chain)
        if not has_product(layers):
            raise ValueError(NO_PRODUCT)
        checks.no_others("the model", chain, ("input", "layers", "loss", "frozen", *loss.options))
        return cls(shape, layers, loss)._with_frozen(chain.get("frozen", []))

    def _with_frozen(self, names: Any) -> Spec:
        """The chain with frozen layers, whose names come from a file."""
        if not isinstance(names, list):
            raise ValueError(f"frozen must be a list, got {checks.describe(names)}")
        if not names:
            return self
        numbers = {placed.name: placed.number for placed in self.placed_layers if placed.parameters}
        frozen = [numbers[checks.known("frozen layer", name, numbers)] for name in names]
        return self._replace(frozen=frozenset(frozen))

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


def checked_shape(value: object) -> Shape:
    """Check the shape of the examples: a number of values, or (channels, height, width).

    Raises:
        ArgumentTypeError: It is neither an integer nor a sequence of integers.
        ArgumentError: A number is out of range, or there are not three.
    """
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return (checks.integer("input", value, least=1, most=MAX_WIDTH),)
    if len(value) != 3:
        got = "(" + ", ".join(map(str, value[:4])) + (", ...)" if len(value) > 4 else ")")
        hint = f"; grey images are (1, {value[0]}, {value[1]})" if len(value) == 2 else ""
        raise ArgumentError(
            f"input must be a number of values, or (channels, height, width), got {got}{hint}"
        )
    shape = tuple(checks.integer("input", length, least=1, most=MAX_WIDTH) for length in value)
    if math.prod(shape) > MAX_WIDTH:
        raise ArgumentError(
            f"input {shape} has {math.prod(shape):,} values, and an example has at most"
            f" {MAX_WIDTH:,}"
        )
    return shape


def shape_after(shape: Shape, layers: tuple[Layer, ...]) -> Shape:
    """The shape of an example behind these layers."""
    for layer in layers:
        shape = layer.shape_after(shape)
    return shape


def append(
    shape: Shape, layers: tuple[Layer, ...], kind: type[Layer], options: dict[str, Any]
) -> tuple[tuple[Layer, ...], Shape]:
    """Add a layer with these options to the layers; its errors begin with its number.

    Args:
        shape: The shape of an example behind these layers.
        layers: The layers before it.
        kind: The kind of layer to add.
        options: Its options.

    Returns:
        The layers with the new one, and the shape of an example behind it.

    Raises:
        ArgumentTypeError: An option has the wrong type.
        ArgumentError: An option has the wrong value, or there are too many layers.
    """
    number = len(layers) + 1
    with errors_of(f"layer {number}"):
        layer = kind.from_dict(options)
        if kind.reads_features and layers:
            raise ArgumentError(f"{kind.kind} must be the first layer, directly behind the input")
        if number > MAX_LAYERS:
            raise ArgumentError(f"{kind.kind}: a network has at most {MAX_LAYERS} layers")
        after = layer.shape_after(shape)
        if math.prod(after) > MAX_WIDTH:
            raise ArgumentError(
                f"{kind.kind}: outputs {after} are {math.prod(after):,} values, and a layer has at"
                f" most {MAX_WIDTH:,}"
            )
    return (*layers, layer), after


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
