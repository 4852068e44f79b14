"""state_dicts of PyTorch, read and written.

PyTorch keeps the weights of `torch.nn.Linear` as (outputs, inputs), pynn as (inputs, outputs), so
they are transposed. Each dense layer of a chain takes the tensors NAME.weight and NAME.bias of one
Linear. Which one is dense1, dense2 and so on follows from the names: in the order that a reader
expects of them, numbers by value, so that "fc2" comes before "fc10". (A safetensors file does not
keep the order that its tensors were saved in.) Where two layers have the same shape and their names
differ in more than a number, or their numbers are against the order of the modules, the order is
open: that is an error, and `names` has to say it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._builder import FinishedBuilder
from pynn._model import Model
from pynn._network.layers import Parameter
from pynn._network.spec import PlacedLayer
from pynn.formats import _naming, _tensors
from pynn.formats._models import checked
from pynn.formats._naming import in_order, keys_of, listed, modules_of, shown
from pynn.formats._tensors import Source

__all__ = ["load", "save", "state_dict"]

_DTYPES = ("float32", "float64", "float16", "bfloat16")


def load(
    state_dict: str | os.PathLike[str] | Mapping[str, Any],
    chain: FinishedBuilder,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> Model:
    """Build a chain with the weights that PyTorch trained for the same chain.

    float32 is taken as it is, also where it is not finite; float16 and bfloat16 are widened without
    loss; float64 is rounded. Other types are refused.

    Args:
        state_dict: A safetensors file; a file of torch.save, which needs PyTorch, and of which
            nothing is executed; or what `module.state_dict()` gives, of tensors or NumPy arrays.
        chain: The chain, up to its loss and not yet built. It has a dense layer for each Linear;
            the other layers have no weights, so they cannot be compared.
        names: The Linear modules in the order of the chain's dense layers, as "fc1" for fc1.weight
            and fc1.bias; without, the order follows from the names in `state_dict`. What all names
            there begin with, such as "module.", may be left out.
        seed: In [0, 2**64): the model's, which decides the order of examples in training.

    Returns:
        The model, with 0 epochs trained.

    Raises:
        ArgumentTypeError: An argument, or a tensor of a mapping, has the wrong type.
        ArgumentError: The names, or the tensors of a mapping, do not fit the chain, or leave open
            which is which.
        OSError: The file is not there or cannot be read.
        FileFormatError: It is no state_dict or damaged, or does not fit the chain.
        ImportError: It is a file of torch.save, and PyTorch is not installed.
        OutOfMemoryError: There is no memory for the parameters.

    Examples:
        >>> import numpy as np, pynn
        >>> from pynn.formats import pytorch
        >>> chain = pynn.Builder().input(2).dense(3).relu().dense(1).softmax_cross_entropy()
        >>> trained = {
        ...     "fc1.weight": np.ones((3, 2), np.float32), "fc1.bias": np.zeros(3, np.float32),
        ...     "fc2.weight": np.ones((1, 3), np.float32), "fc2.bias": np.zeros(1, np.float32),
        ... }
        >>> pytorch.load(trained, chain)(np.array([[2, 3]], np.float32)).item()
        15.0
    """
    if not isinstance(chain, FinishedBuilder):
        raise ArgumentTypeError(
            "chain must end in its loss and not be built, as"
            " pynn.Builder().input(784).dense(10).softmax_cross_entropy() does, got"
            f" {checks.describe(chain)}"
        )
    spec = chain._spec
    modules = modules_of(spec)
    order = None if names is None else _naming.checked(names, modules)
    with _tensors.opened(state_dict) as source:
        model = chain.build(seed=seed)
        if order is None:
            order = _naming.order(source, spec)
        else:
            order = _naming.as_in(source, modules, order)
            _naming.check_complete(source, modules, order)
        for match in _matches(modules, order):
            _check(source, match, modules, order)
        parameters = model.parameters
        for match in _matches(modules, order):
            array = _read(source, match.theirs)
            parameters[match.ours][...] = array.T if match.parameter.transposed else array
    return model


def save(model: Model, path: str | os.PathLike[str], *, names: Sequence[str] | None = None) -> None:
    """Write the weights as a state_dict of PyTorch, in a safetensors file.

    `module.load_state_dict(safetensors.torch.load_file(path))` takes it. To write it needs no
    PyTorch. A crash leaves the old file or the new one.

    Args:
        model: The model.
        path: The file; by custom its name ends in ".safetensors".
        names: What each dense layer is called there, as for `load`; without, its place in an
            nn.Sequential of the same layers: "0", "2", ...

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: There are too few or too many names, or the path is that of a file of
            torch.save.
        OSError: The file cannot be written.
        ClosedError: The model is closed.
    """
    from safetensors.numpy import save as to_bytes

    arrays = _arrays(model, names)
    suffix = os.path.splitext(os.fspath(checks.path("path", path)))[1]
    if suffix in (".pt", ".pth"):
        raise ArgumentError(
            f"path must not end in {suffix}, since what is written is not what torch.save writes;"
            " use .safetensors, or torch.save(pynn.formats.pytorch.state_dict(model), path)"
        )
    write_atomically(path, to_bytes(arrays))


def state_dict(model: Model, *, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The weights as `module.load_state_dict` takes them; needs PyTorch.

    Args:
        model: The model.
        names: As for `save`.

    Returns:
        Copies, as tensors by name: "0.weight" (outputs, inputs), "0.bias" (outputs,), ...

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: There are too few or too many names.
        ClosedError: The model is closed.
        ImportError: PyTorch is not installed.
    """
    arrays = _arrays(model, names)
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            "tensors need PyTorch: pip install 'pynn-blas[pytorch]'; without,"
            " pynn.formats.pytorch.save writes a file for it"
        ) from None
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _arrays(model: Model, names: object) -> dict[str, npt.NDArray[np.float32]]:
    """Copies of the parameters in PyTorch's form, contiguous as safetensors needs them."""
    modules = modules_of(checked(model)._spec)
    order = _naming.in_sequential(modules) if names is None else _naming.checked(names, modules)
    parameters = model._engine.snapshot().named
    return {
        match.theirs: _to_torch(parameters[match.ours], match.parameter)
        for match in _matches(modules, order)
    }


def _to_torch(array: npt.NDArray[np.float32], parameter: Parameter) -> npt.NDArray[np.float32]:
    """An array in PyTorch's form, contiguous as safetensors needs it."""
    return np.ascontiguousarray(array.T) if parameter.transposed else array


class _Match(NamedTuple):
    """A parameter of a layer, and the name of the tensor that it is in a state_dict."""

    placed: PlacedLayer
    parameter: Parameter
    theirs: str

    @property
    def ours(self) -> str:
        """Its name in `Model.parameters`."""
        return f"{self.placed.name}.{self.parameter.name}"


def _matches(modules: Sequence[PlacedLayer], order: Sequence[str]) -> list[_Match]:
    """All parameters, with modules that have these names."""
    return [
        _Match(placed, parameter, key)
        for placed, name in zip(modules, order, strict=True)
        for parameter, key in zip(placed.parameters, keys_of(placed, name), strict=True)
    ]


def _check(
    source: Source, match: _Match, modules: Sequence[PlacedLayer], order: Sequence[str]
) -> None:
    """Check that a tensor is there, and of the shape and type that its parameter needs."""
    label, error, tensors, _ = source
    name, layer = shown(match.theirs), match.placed.layer
    if match.theirs not in tensors:
        way_out = ""
        if match.parameter.name == "bias":
            way_out = (
                f"; pynn's {layer.kind} layers have one: for {layer.torch_module}(...,"
                " bias=False) add zeros"
            )
        raise error(f"{label}has no tensor {name}{way_out}; it has {listed(in_order(tensors))}")
    tensor, needed = tensors[match.theirs], match.parameter.shape
    if match.parameter.transposed:
        needed = needed[::-1]
    if tensor.shape != needed:
        pairs = zip(modules, order, strict=True)
        taken = listed([f"{placed.name} from {shown(theirs)}" for placed, theirs in pairs])
        outputs_first = ", outputs before inputs as in PyTorch" * match.parameter.transposed
        raise error(
            f"{label}{name} has shape {tensor.shape}, and {match.ours} needs {needed}"
            f"{outputs_first}. Taken were {taken}; say another order with names=[...]"
        )
    if tensor.dtype not in _DTYPES:
        raise (ArgumentTypeError if error is ArgumentError else error)(
            f"{label}{name} must be {', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}, is {tensor.dtype}"
        )


def _read(source: Source, name: str) -> npt.NDArray[np.float32]:
    """A tensor as float32."""
    try:
        array = source.tensors[name].read()
    except ArgumentTypeError as error:
        if source.error is ArgumentError:
            raise
        raise source.error(f"{source.label}{error}") from None  # of a file that holds it
    with np.errstate(over="raise", under="ignore"):
        try:
            return array.astype(np.float32)
        except FloatingPointError:
            raise source.error(
                f"{source.label}{shown(name)} holds values beyond float32, which goes up to"
                f" {checks.MAX_FLOAT32:.2g}"
            ) from None
