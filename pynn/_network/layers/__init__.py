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
from typing import Any, ClassVar, NamedTuple, NoReturn, Protocol

import numpy as np

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.arrays import Floats
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number

MAX_WIDTH = 2**31 - 1
"""The largest number of inputs or outputs of a layer: BLAS counts in int."""

VANISHING = 0.1
"""A gradient vanishes in a layer that passes on less than this share of its norm."""


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

    @property
    def size(self) -> int:
        """The number of its values."""
        return math.prod(self.shape)


class OnnxGraph(Protocol):
    """An ONNX graph, to which layers and losses add their operators."""

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operator that makes the value called `output`; return that name."""

    def constant(self, name: str, value: float) -> str:
        """Add a number that operators can take as an input; return its name."""


class Layer(Arguments):
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
    onnx_operator: ClassVar[str] = ""
    """The ONNX operator that computes the same; empty if there is none."""
    torch_module: ClassVar[str]
    """The class in torch.nn that computes the same."""

    def __init_subclass__(cls) -> None:
        """Register the kind."""
        cls.kinds[cls.kind] = cls

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> Layer:
        """Make a layer of this kind from what arguments() returned, and check the options."""
        return cls(**{name: options[name] for name in cls.options})

    def arguments(self) -> dict[str, Any]:
        """The options by name, in the order of the builder's arguments."""
        return dict(vars(self))

    def __str__(self) -> str:
        options = ", ".join(map(str, vars(self).values()))
        return f"{self.kind}({options})" if options else self.kind

    # ------------------------------------------------------------ shapes

    def width_after(self, inputs: int) -> int:
        """The number of outputs of the layer if it has this many inputs."""
        return inputs

    def parameters(self, inputs: int) -> tuple[Parameter, ...]:
        """The layer's parameters if it has this many inputs, in the order of storage."""
        return ()

    def multiply_adds(self, inputs: int) -> int:
        """The number of multiply-adds in the layer's matrix products, for one example."""
        return 0

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
            output: The number of the output, from 0.
        """
        y = arrays["Y"][row, output]
        formula = self.formula(float(arrays["X"][row, output])) if self.is_scalar else ""
        return f"y{output} = {formula} = {number(y)}" if formula else ""

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
        return f"dx{at[1]} = {factor(dy)}*{slope} = {number(dx)}" if slope else ""

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
        self, graph: OnnxGraph, x: str, parameters: Sequence[str], name: str, output: str
    ) -> None:
        """Add operators that compute the value `output` from the value `x`.

        Args:
            graph: The graph to add to.
            x: The name of the layer's input.
            parameters: The names of the layer's parameters in the graph.
            name: The layer's name; names of values between the operators begin with it.
            output: The name that the layer's output must have.

        Raises:
            ArgumentError: This kind cannot be exported to ONNX.
        """
        if not self.onnx_operator:
            self._refuse("ONNX")
        graph.add(self.onnx_operator, [x, *parameters], output, **self.onnx_attributes())

    def onnx_attributes(self) -> dict[str, Any]:
        """The attributes that `onnx_operator` gets."""
        return {}

    def c_function(self) -> str:
        """The C function that computes the layer in exported C. Its name is KIND_layer.

        Its arguments are the number of inputs; the number of outputs, if the layer does not work in
        place; the values of c_options(); x; the parameters; and y. It may call expf, tanhf, and the
        function of c_helper().

        Raises:
            ArgumentError: This kind cannot be exported to C.
        """
        self._refuse("C")

    def c_bytes_function(self) -> str:
        """The C function KIND_layer_bytes: the same layer for x in bytes; empty if there is none.

        A kind that does not work in place must have it, because a network's input may be bytes.
        """
        return ""

    def c_helper(self, *, libc: bool) -> str:
        """A C function that c_function() calls; empty if it needs none.

        If `libc` is false, it must not call any function of libc except expf and tanhf: an exported
        file without libc has functions of its own for these two.
        """
        return ""

    def c_options(self) -> tuple[float, ...]:
        """The values of the options that the C function takes as arguments."""
        return ()

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
