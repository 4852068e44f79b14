"""Read and write state_dicts of PyTorch.

PyTorch stores the weights of `torch.nn.Linear` as (outputs, inputs) and pynn as (inputs, outputs),
so they are transposed. Those of `torch.nn.Conv2d` are (filters, channels / groups, height, width)
in both. Each layer with parameters takes the tensors of one module, such as NAME.weight and
NAME.bias; that of a batch_norm has running_mean and running_var, too, and num_batches_tracked,
which counts steps: it is written, and not read.

Names decide which module is dense1, dense2 and so on, because a safetensors file does not keep the
order in which its tensors were saved. Names are sorted as a reader expects: numbers in them by
value, so "fc2" comes before "fc10". If two modules have the same shape, this order may be wrong:
where their names differ in more than a number, or where their numbers contradict the order in which
the modules were made. That is an error, and the caller has to give the order as `names`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks, words
from pynn._base.atomic import write_atomically
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._builder import FinishedBuilder
from pynn._files.safetensors import to_bytes
from pynn._model import Model
from pynn._network.layers import Parameter
from pynn._network.spec import PlacedLayer
from pynn.formats import _naming, _tensors
from pynn.formats._models import checked
from pynn.formats._naming import in_order, keys_of, listed, modules_of, shown
from pynn.formats._tensors import Source

__all__ = ["load", "save", "state_dict"]

_DTYPES = ("float32", "float64", "float16", "bfloat16")


@words.corrected
def load(
    state_dict: str | os.PathLike[str] | Mapping[str, Any],
    chain: FinishedBuilder,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> Model:
    """Build a model from a chain, and give it the weights of the same network in PyTorch.

    float32 is taken as it is, also where it is not finite; float16 and bfloat16 become float32
    without loss; float64 is rounded to float32. Other dtypes are refused.

    Args:
        state_dict: A safetensors file; a file of torch.save, which needs PyTorch, and in which no
            code is executed; or what `module.state_dict()` returns, with tensors or NumPy arrays.
        chain: The chain, with its loss but not yet built. It has a dense layer for each Linear, a
            conv2d for each Conv2d, a batch_norm for each BatchNorm1d or BatchNorm2d, and a
            layer_norm for each LayerNorm. Layers without weights, such as activations and pools,
            are not in a state_dict, nor are strides and paddings, so pynn cannot check that they
            are the same.
        names: The modules' names in the order of the chain's layers, such as "fc1" for fc1.weight
            and fc1.bias. Without it the order follows from the names in `state_dict`. A prefix that
            all names there have, such as "module.", may be left out.
        seed: The model's seed, in [0, 2**64). It decides the order of examples in training.

    Returns:
        The model, with 0 epochs trained.

    Raises:
        ArgumentTypeError: An argument, or a tensor of a mapping, has the wrong type.
        ArgumentError: The names, or the tensors of a mapping, do not fit the chain, or leave open
            which module is which layer.
        OSError: The file does not exist or cannot be read.
        FileFormatError: The file holds no state_dict, is damaged, or does not fit the chain.
        ImportError: The file was written by torch.save, and PyTorch is not installed.
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
            "chain must be a chain with its loss, not yet built, such as"
            " pynn.Builder().input(784).dense(10).softmax_cross_entropy(), got"
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
            parameters[match.ours][...] = _from_torch(array, match.parameter)
    return model


@words.corrected
def save(model: Model, path: str | os.PathLike[str], *, names: Sequence[str] | None = None) -> None:
    """Write the weights as a state_dict of PyTorch, in a safetensors file.

    `module.load_state_dict(safetensors.torch.load_file(path))` reads it. Writing does not need
    PyTorch. A crash leaves the old file or the new one.

    Args:
        model: The model.
        path: The file; by custom its name ends in ".safetensors".
        names: The module's name for each layer with weights, as for `load`. Without it a name is
            the layer's place in an nn.Sequential of the same layers: "0", "2", ...

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: There are too few or too many names, or the path ends in .pt or .pth, as
            files of torch.save do.
        OSError: The file cannot be written.
        ClosedError: The model is closed.
    """
    arrays = _arrays(model, names)
    suffix = os.path.splitext(os.fspath(checks.path("path", path)))[1]
    if suffix in (".pt", ".pth"):
        raise ArgumentError(
            f"path must not end in {suffix}, because the file is not in torch.save's format; use"
            " .safetensors, or torch.save(pynn.formats.pytorch.state_dict(model), path)"
        )
    write_atomically(path, to_bytes(arrays))


@words.corrected
def state_dict(model: Model, *, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the weights as `module.load_state_dict` takes them; needs PyTorch.

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
            "tensors need PyTorch: pip install 'pynn-blas[pytorch]'; without PyTorch,"
            " pynn.formats.pytorch.save writes a file that PyTorch can read"
        ) from None
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _arrays(model: Model, names: object) -> dict[str, npt.NDArray[Any]]:
    """Copies of the parameters, by the tensors' names, in PyTorch's layout."""
    modules = modules_of(checked(model)._spec)
    order = _naming.in_sequential(modules) if names is None else _naming.checked(names, modules)
    snapshot = model._engine.snapshot()
    parameters = snapshot.named
    arrays: dict[str, npt.NDArray[Any]] = {
        match.theirs: _to_torch(parameters[match.ours], match.parameter)
        for match in _matches(modules, order)
    }
    steps = np.array(snapshot.steps_trained, np.int64)
    for placed, name in zip(modules, order, strict=True):
        arrays |= {counter: steps for counter in _naming.counters_of(placed, name)}
    return arrays


def _to_torch(array: npt.NDArray[np.float32], parameter: Parameter) -> npt.NDArray[np.float32]:
    """A parameter in PyTorch's layout, and contiguous, as safetensors needs it."""
    if parameter.transposed:
        return np.ascontiguousarray(array.T)
    return array.reshape(parameter.shape_in_torch)


def _from_torch(array: npt.NDArray[np.float32], parameter: Parameter) -> npt.NDArray[np.float32]:
    """The same way back."""
    return array.T if parameter.transposed else array.reshape(parameter.shape)


class _Match(NamedTuple):
    """A parameter of a layer, and the name of its tensor in a state_dict."""

    placed: PlacedLayer
    parameter: Parameter
    theirs: str

    @property
    def ours(self) -> str:
        """The parameter's name in `Model.parameters`."""
        return f"{self.placed.name}.{self.parameter.name}"


def _matches(modules: Sequence[PlacedLayer], order: Sequence[str]) -> list[_Match]:
    """Match all parameters with tensors, where the modules have these names."""
    return [
        _Match(placed, parameter, key)
        for placed, name in zip(modules, order, strict=True)
        for parameter, key in zip(placed.parameters, keys_of(placed, name), strict=True)
    ]


def _check(
    source: Source, match: _Match, modules: Sequence[PlacedLayer], order: Sequence[str]
) -> None:
    """Check that the tensor of a parameter exists, and has the shape and a dtype that fit it."""
    label, error, tensors, _ = source
    name, placed = shown(match.theirs), match.placed
    if match.theirs not in tensors:
        hint = ""
        if match.parameter.name == "bias":
            hint = (
                f"; pynn's {placed.layer.kind} layers have a bias: for"
                f" {placed.layer.torch_name(placed.input_shape)}(...,"
                " bias=False) add a tensor of zeros"
            )
        raise error(f"{label}has no tensor {name}{hint}; it has {listed(in_order(tensors))}")
    tensor, needed = tensors[match.theirs], match.parameter.shape_in_torch
    if tensor.shape != needed:
        pairs = zip(modules, order, strict=True)
        taken = listed([f"{placed.name} from {shown(theirs)}" for placed, theirs in pairs])
        outputs_first = ", outputs before inputs as in PyTorch" * match.parameter.transposed
        raise error(
            f"{label}{name} has shape {tensor.shape}, and {match.ours} needs {needed}"
            f"{outputs_first}. pynn took {taken}; give another order with names=[...]"
        )
    if tensor.dtype not in _DTYPES:
        raise (ArgumentTypeError if error is ArgumentError else error)(
            f"{label}{name} must be {', '.join(_DTYPES[:-1])} or {_DTYPES[-1]}, is {tensor.dtype}"
        )


def _read(source: Source, name: str) -> npt.NDArray[np.float32]:
    """Read a tensor, and convert it to float32."""
    try:
        array = source.tensors[name].read()
    except ArgumentTypeError as error:
        if source.error is ArgumentError:
            raise
        raise source.error(f"{source.label}{error}") from None  # name the file that holds it
    with np.errstate(over="raise", under="ignore"):
        try:
            return array.astype(np.float32)
        except FloatingPointError:
            raise source.error(
                f"{source.label}{shown(name)} holds values beyond float32, which goes up to"
                f" {checks.MAX_FLOAT32:.2g}"
            ) from None
