"""A class for each kind of layer: all that pynn's Python knows of that kind.

This module has the base class, whose attributes and methods are what a kind can say about itself.
csrc/layers computes each kind. The builder imports all the classes, because it has a method for
each; where no builder is imported, `import_kinds` imports them.

A new kind is a class in a module of this folder, a method of the builder (pynn/_builder.py), and a
table in csrc/layers; csrc/pynn.h has its name.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.arrays import AnyFloats, Doubles, Floats
from pynn._base.batches import flat, place_of, value_name
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number
from pynn._network.first_layer import FirstLayer
from pynn._network.graph import OnnxGraph as OnnxGraph

MAX_WIDTH = 2**31 - 1
"""The largest number of inputs or outputs of a layer: BLAS counts in int."""

VANISHING = 0.1
"""A gradient vanishes in a layer that passes on less than this share of its norm."""


Shape = tuple[int, ...]
"""The shape of an example: (values,), or of an image (channels, height, width)."""


def image_shape(kind: str, shape: Shape) -> Shape:
    """Check that the shape is that of an image, as a kind of layer needs it."""
    if len(shape) != 3:
        raise ArgumentError(
            f"{kind} needs images, and here are rows of {math.prod(shape):,} values; begin the"
            " chain with .input((channels, height, width))"
        )
    return shape


class Parameter(NamedTuple):
    """One array of parameters of a layer, such as its weight or its bias."""

    name: str
    """The name that PyTorch's module has for it, such as "weight"."""
    shape: tuple[int, ...]
    decays: bool = False
    """Whether weight decay makes it smaller."""
    trained: bool = True
    """Whether a step of the optimizer changes it."""
    transposed: bool = False
    """Whether PyTorch stores the transpose."""
    torch_shape: tuple[int, ...] = ()
    """The shape that it has in PyTorch, with the values in the same order; () for the same shape,
    or that of the transpose."""

    @property
    def size(self) -> int:
        """The number of its values."""
        return math.prod(self.shape)

    @property
    def shape_in_torch(self) -> tuple[int, ...]:
        """The shape that it has in PyTorch."""
        return self.torch_shape or (self.shape[::-1] if self.transposed else self.shape)


class Layer(FirstLayer, Arguments):
    """One layer of a chain: its kind, and its options as attributes.

    Each subclass describes one kind. It sets `kind` and `options` and overrides what differs from
    this class. Its constructor takes the options in the order of `options`, and checks them. The
    constructor's errors do not say which layer of the chain is wrong: `append` in spec.py adds
    that.

    Two layers are equal if they have the same kind and the same options. A layer object never
    changes.
    """

    kinds: ClassVar[dict[str, type[Layer]]] = {}
    """All kinds, by name."""

    kind: ClassVar[str]
    """The kind's name: of the builder's method, and in files. In C it is PYNN_ and this name in
    capitals."""
    options: ClassVar[tuple[str, ...]] = ()
    """The names of the options, in the builder's method and in files."""
    positional: ClassVar[int] = 1
    """How many options the builder's method takes by position, in a chain's repr."""
    hidden: ClassVar[dict[str, Any]] = {}
    """Options that a chain's repr leaves out where they have these values, their defaults."""
    symbols: ClassVar[dict[str, str]] = {}
    """What the equations call a parameter, where that is not its name."""
    is_product: ClassVar[bool] = False
    """Whether the layer is a matrix product with weights; a network needs at least one."""
    is_scalar: ClassVar[bool] = False
    """Whether each value of Y depends on one value of X only."""
    in_use: ClassVar[bool] = True
    """Whether the layer does anything in prediction; if not, it works in training only."""
    in_place: ClassVar[bool] = True
    """Whether the layer may write its outputs over its inputs; if not, it needs another array."""
    is_view: ClassVar[bool] = False
    """Whether Y has the same values as X in the same order, in another shape."""
    is_scale: ClassVar[bool] = False
    """Whether in prediction y = scale x + shift, with numbers for each channel."""
    takes_scale: ClassVar[bool] = False
    """Whether the parameters can contain such a scale and shift of Y."""
    needs_images: ClassVar[bool] = False
    """Whether the inputs must be images."""
    reads_features: ClassVar[bool] = False
    """Whether it can only be the first layer, directly behind the input."""
    onnx_operator: ClassVar[str] = ""
    """The ONNX operator that computes the same; empty if there is none."""
    torch_module: ClassVar[str]
    """The class in torch.nn that computes the same; "" if there is none."""
    torch_counters: ClassVar[tuple[str, ...]] = ()
    """Integers in the state_dict of that class which pynn has no parameter for: how often it was
    trained."""

    def __init_subclass__(cls) -> None:
        """Register the kind; a class without a kind of its own is the base of others."""
        if "kind" in vars(cls):
            cls.kinds[cls.kind] = cls

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> Layer:
        """Make a layer of this kind from what arguments() returned, and check the options."""
        return cls(**{name: options[name] for name in cls.options})

    def arguments(self) -> dict[str, Any]:
        """The options by name, in the order of the builder's arguments."""
        return dict(vars(self))

    def shown_arguments(self) -> dict[str, Any]:
        """The arguments that a chain's repr shows: all but those of `hidden`."""
        return {
            name: value
            for name, value in self.arguments().items()
            if name not in self.hidden or value != self.hidden[name]
        }

    @property
    def full_batch_refusal(self) -> str:
        """Why an optimizer whose steps take all examples cannot train it; "" if it can."""
        return ""

    def __str__(self) -> str:
        options = ", ".join(map(str, vars(self).values()))
        return f"{self.kind}({options})" if options else self.kind

    @property
    def takes_missing(self) -> bool:
        """Whether NaN may stand for a missing value, if it is the first layer."""
        return False

    # ------------------------------------------------------------ shapes

    def shape_after(self, shape: Shape) -> Shape:
        """The shape of the layer's outputs if its inputs have this shape.

        Raises:
            ArgumentError: The layer cannot have inputs of this shape.
        """
        return shape

    def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
        """The layer's parameters if its inputs have this shape, in the order of storage."""
        return ()

    def as_frozen(self) -> Layer:
        """The layer as it works in training if it is frozen; mostly no other."""
        return self

    def multiply_adds(self, shape: Shape) -> int:
        """The number of multiply-adds in the layer's matrix products, for one example."""
        return 0

    def c_struct(self, shape: Shape) -> dict[str, Any]:
        """The fields of the kind's options in csrc/pynn.h, for inputs of this shape."""
        return dict(vars(self))

    def torch_name(self, shape: Shape) -> str:
        """The class in torch.nn that computes the same for inputs of this shape."""
        return self.torch_module

    # ------------------------------------------------------------ explain

    def forward_marks(self, *, sparse: bool) -> tuple[str, ...]:
        """The names of the equations of Y, in the order in which C computes them.

        csrc/layers has the equations; `sparse` is whether the layer's inputs are sparse rows.
        """
        return (f"{self.kind}.Y",)

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        """The name of the equation of each array of the backward pass, by the array's symbol."""
        return {"dX": f"{self.kind}.dX"}

    def fused_marks(self, *, sparse: bool) -> dict[str, str]:
        """The name of the equation of each parameter's step, by the parameter's name.

        It is for plain SGD, where what computes a gradient does the step, too.
        """
        return {}

    def formula(self, x: float) -> str:
        """How a scalar function's value at x is calculated, with numbers; "" for other kinds."""
        return ""

    def derivative(self, x: float, y: float) -> str:
        """What dy is multiplied by to give dx, with numbers; "" if that cannot be said."""
        return ""

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        """How one value of Y is calculated, with all its numbers; "" if that is too long.

        Args:
            arrays: X, the parameters and Y, by their symbols.
            row: The number of the example, from 0.
            output: The number of the output, from 0, over all channels and places of an image.
        """
        x, y = float(flat(arrays["X"])[row, output]), float(flat(arrays["Y"])[row, output])
        formula = self.scalar_formula(x, y) if self.is_scalar else ""
        name = value_name("y", place_of(arrays["Y"], output))
        return f"{name} = {formula} = {number(y)}" if formula else ""

    def scalar_formula(self, x: float, y: float) -> str:
        """How a scalar function's value y at x is calculated; "" if that cannot be said."""
        return self.formula(x)

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        """How one value of a gradient is calculated, with all its numbers; "" if too long.

        Args:
            name: The symbol of the array of gradients.
            at: The indices of the value in it; of "dX" the example and the input.
            forward: X, the parameters and Y, by their symbols.
            backward: The gradients with respect to these.
        """
        if not self.is_scalar:
            return ""
        slope = self.derivative(float(forward["X"][at]), float(forward["Y"][at]))
        dy, dx = backward["dY"][at], backward["dX"][at]
        return f"{value_name('dx', at[1:])} = {factor(dy)}*{slope} = {number(dx)}" if slope else ""

    def update_mark(self, name: str) -> str:
        """The equation that changes a parameter after a step, if the optimizer does not."""
        return ""

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        """What X and Y of a step teach, in sentences; mostly nothing."""
        return []

    def unit_remarks(self, y: Floats) -> list[str]:
        """What the outputs of a step teach of the units of the product below; mostly nothing."""
        return []

    def gradient_remarks(self, backward: Mapping[str, Floats]) -> list[str]:
        """What dY and dX of a step teach, in sentences: that they vanish in this layer."""
        above, below = (float(np.linalg.norm(backward[name])) for name in ("dY", "dX"))
        if below >= VANISHING * above:
            return []
        why = f"the norm of dX is {number(below)}, and that of dY {number(above)}"
        return [f"the gradient vanishes here: {why}"]

    # ------------------------------------------------------------ export

    def add_to_onnx(
        self,
        graph: OnnxGraph,
        x: str,
        parameters: Sequence[str],
        name: str,
        output: str,
        shape: Shape,
    ) -> None:
        """Add operators that compute the value `output` from the value `x`.

        Args:
            graph: The graph to add to.
            x: The name of the layer's input.
            parameters: The names of the layer's parameters in the graph.
            name: The layer's name; names of values between the operators begin with it.
            output: The name that the layer's output must have.
            shape: The shape of an example of the input.

        Raises:
            ArgumentError: This kind cannot be exported to ONNX.
        """
        if not self.onnx_operator:
            self._refuse("ONNX")
        graph.add(self.onnx_operator, [x, *parameters], output, **self.onnx_attributes(shape))

    def onnx_attributes(self, shape: Shape) -> dict[str, Any]:
        """The attributes that `onnx_operator` gets."""
        return {}

    def c_function(self) -> str:
        """The C function that computes the layer in exported C. Its name is KIND_layer.

        Its arguments are those of c_sizes(); the values of c_options(); x; the arrays of
        c_constants(); and y. It may call expf, tanhf, and the functions of c_helper().

        Raises:
            ArgumentError: This kind cannot be exported to C.
        """
        self._refuse("C")

    def c_bytes_function(self) -> str:
        """The C function KIND_layer_bytes: the same layer for x in bytes; empty if there is none.

        A network's input may be bytes. Without this function these become floats in an array of
        their own.
        """
        return ""

    def c_helper(self, *, libc: bool) -> str:
        """C functions and types that c_function() needs; empty if it needs none.

        If `libc` is false, it must not call any function of libc except expf and tanhf: an exported
        file without libc has functions of its own for these two.
        """
        return ""

    def c_options(self) -> tuple[float, ...]:
        """The values of the options that the C function takes as arguments."""
        return ()

    def c_sizes(self, shape: Shape, after: Shape) -> tuple[str, ...]:
        """The first arguments of the C function: the sizes for inputs and outputs of these shapes.

        They are the number of inputs, and if the layer does not work in place that of outputs.
        """
        inputs, outputs = (str(math.prod(lengths)) for lengths in (shape, after))
        return (inputs,) if self.in_place else (inputs, outputs)

    def c_constants(self, shape: Shape) -> tuple[str, ...]:
        """The names of the arrays that the C function takes: those of the parameters."""
        return tuple(parameter.name for parameter in self.parameters(shape))

    def c_arrays(self, parameters: Mapping[str, Floats]) -> Mapping[str, AnyFloats]:
        """The arrays that the C function takes, from the parameters by their own names."""
        return parameters

    def scale_and_shift(self, parameters: Mapping[str, Floats]) -> tuple[Doubles, Doubles]:
        """Of a kind that is a scale: what each channel is multiplied by, and what is added."""
        raise NotImplementedError

    def scaled(
        self, arrays: Mapping[str, AnyFloats], scale: Doubles, shift: Doubles
    ) -> Mapping[str, AnyFloats]:
        """Of a kind that takes a scale: the arrays with which Y becomes scale Y + shift."""
        raise NotImplementedError

    def _refuse(self, language: str) -> NoReturn:
        raise ArgumentError(f"{self.kind} layers cannot be exported to {language}")


def import_kinds() -> None:
    """Import all modules of this folder, which registers their classes: a file may name any kind.

    So no list of the modules has to be kept.
    """
    try:
        names = [name[:-3] for name in os.listdir(__path__[0]) if name.endswith(".py")]
    except OSError:  # not in a folder, but in a zip file, say
        import pkgutil  # here, as it takes a millisecond

        names = [module.name for module in pkgutil.iter_modules(__path__)]
    for name in sorted(names):
        if name != "__init__":
            importlib.import_module(f"{__name__}.{name}")


def kind_named(name: object) -> type[Layer]:
    """Return the class of a kind of layer; raise a ValueError if there is no such kind."""
    return Layer.kinds[checks.known("layer kind", name, Layer.kinds)]
