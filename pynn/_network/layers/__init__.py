"""A class for each kind of layer: all that pynn's Python knows of the kind.

Here is the base class, which says what a kind may tell of itself. The computation of each kind is
in csrc/layers. The builder imports the classes that it has methods for, which are all;
`import_kinds` imports them where there is no builder.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn, Protocol

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.errors import ArgumentError

MAX_WIDTH = 2**31 - 1
"""The widest that a layer may be: BLAS counts in int."""


class Parameter(NamedTuple):
    """An array of a layer's that training may change."""

    name: str
    """As PyTorch's module calls it, such as "weight"."""
    shape: tuple[int, ...]
    decays: bool = False
    """Whether weight decay makes it smaller."""
    trained: bool = True
    """Whether a step of the optimizer changes it."""
    transposed: bool = False
    """Whether PyTorch keeps the transpose."""

    @property
    def size(self) -> int:
        """The number of its values."""
        return math.prod(self.shape)


class OnnxGraph(Protocol):
    """A graph of ONNX that layers and losses add themselves to."""

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operator that makes the value called `output`; gives that name back."""

    def constant(self, name: str, value: float) -> str:
        """Add a number that operators can take; gives its name back."""


class Layer(Arguments):
    """One layer of a chain: its kind, and its options as attributes.

    A class that derives from it describes a kind. It says `kind`, `options`, and what differs from
    here; its constructor takes the options in the order of `options` and checks them. An error of
    the constructor does not say which layer of the chain it is: `append` in spec.py adds that.

    Two layers are equal if they are of the same kind with the same options. A layer never changes.
    """

    kinds: ClassVar[dict[str, type[Layer]]] = {}
    """All kinds, by name."""

    kind: ClassVar[str]
    """The kind's name: that of the builder's method, in files, and in C as PYNN_ and capitals."""
    options: ClassVar[tuple[str, ...]] = ()
    """The names of the options, as the builder's method and files have them."""
    is_product: ClassVar[bool] = False
    """Whether it is a matrix product with weights; a network needs one."""
    in_use: ClassVar[bool] = True
    """Whether it does anything when a model is used; else it works in training only."""
    in_place: ClassVar[bool] = True
    """Whether an output may be written over the input. If not, the layer needs another array."""
    onnx_operator: ClassVar[str] = ""
    """The operator of ONNX that does the same, if there is one."""
    torch_module: ClassVar[str]
    """The class in torch.nn that does the same."""

    def __init_subclass__(cls) -> None:
        """Register the kind."""
        cls.kinds[cls.kind] = cls

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> Layer:
        """A layer of this kind with the options that arguments() gave, checked."""
        return cls(**{name: options[name] for name in cls.options})

    def arguments(self) -> dict[str, Any]:
        """The options by name, in the order of the builder's method."""
        return dict(vars(self))

    def __str__(self) -> str:
        options = ", ".join(map(str, vars(self).values()))
        return f"{self.kind}({options})" if options else self.kind

    # ------------------------------------------------------------ shapes

    def width_after(self, inputs: int) -> int:
        """The number of outputs for so many inputs."""
        return inputs

    def parameters(self, inputs: int) -> tuple[Parameter, ...]:
        """The layer's parameters for so many inputs, in the order in which they are stored."""
        return ()

    def multiply_adds(self, inputs: int) -> int:
        """The multiply-adds of matrix products, for one example."""
        return 0

    # ------------------------------------------------------------ export

    def add_to_onnx(
        self, graph: OnnxGraph, x: str, parameters: Sequence[str], name: str, output: str
    ) -> None:
        """Add operators that make the value `output` of the value `x`.

        Args:
            graph: The graph.
            x: The name of the input's value.
            parameters: The names of the parameters' values.
            name: The layer's, for the names of values between the operators.
            output: The name that the layer's output must have.
        """
        if not self.onnx_operator:
            self._refuse("ONNX")
        graph.add(self.onnx_operator, [x, *parameters], output, **self.onnx_attributes())

    def onnx_attributes(self) -> dict[str, Any]:
        """The attributes of `onnx_operator`."""
        return {}

    def c_function(self) -> str:
        """The function of exported C, KIND_layer.

        It takes the number of inputs; where the layer is not in place, that of outputs; then
        c_options(), x, the parameters, and y. It may call expf, tanhf, and its c_helper().
        """
        self._refuse("C")

    def c_bytes_function(self) -> str:
        """The same, KIND_layer_bytes, for x in bytes; empty if the kind has none.

        A kind that does not work in place must have one, as a first layer's input may be bytes.
        """
        return ""

    def c_helper(self, *, libc: bool) -> str:
        """A function that c_function() calls, or empty.

        Without libc it must not call libc's functions but expf and tanhf, for which a file without
        libc has others.
        """
        return ""

    def c_options(self) -> tuple[float, ...]:
        """The options that the function of exported C takes."""
        return ()

    def _refuse(self, language: str) -> NoReturn:
        raise ArgumentError(f"there is no export of {self.kind} to {language}")


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
    """The class of a kind; ValueError if there is none."""
    return Layer.kinds[checks.known("layer kind", name, Layer.kinds)]
