"""Named tensors of a state_dict, wherever it is: described first, read when they are asked for."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn import _checks, _files, _reading
from pynn._errors import ArgumentError, ArgumentTypeError, FileFormatError, PynnError
from pynn._reading import refuse
from pynn._safetensors import Reader

# What safetensors calls the types that a weight may have.
_DTYPES = {"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16"}

# The pickle of a number by which old files of torch.save are known, 0x1950a86a20f9469cfc6c.
_OLD_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9"


class Tensor(NamedTuple):
    """What a source says of a tensor, and how to read it as float16, float32 or float64."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], npt.NDArray[Any]]


class Source(NamedTuple):
    """Named tensors; the words that an error of theirs begins with, and its class."""

    label: str
    error: type[PynnError]
    tensors: dict[str, Tensor]


@contextmanager
def opened(source: object) -> Iterator[Source]:
    """The tensors of a file, for as long as it is open, or of a mapping.

    Raises:
        ArgumentTypeError: It is neither a path nor a mapping of tensors by name.
        OSError: The file is not there or cannot be read.
        FileFormatError: It is no state_dict, or damaged.
        ImportError: It is a file of torch.save, and PyTorch is not installed.
    """
    if isinstance(source, Mapping):
        yield Source("state_dict: ", ArgumentError, _of_mapping(source))
        return
    if not isinstance(source, (str, os.PathLike)):
        got = _checks.describe(source)
        if callable(getattr(source, "state_dict", None)):
            got = f"{type(source).__name__}; pass its .state_dict()"
        raise ArgumentTypeError(f"state_dict must be a path or a mapping of tensors, got {got}")
    name = os.fspath(source)
    with _reading.opened(source) as file:
        if is_of_torch(file.read(9)):
            try:
                tensors = _of_mapping(_load_with_torch(name, file))
            except ArgumentTypeError as error:
                refuse(name, str(error))
        else:
            tensors = _of_safetensors(Reader(name, file))
        yield Source(f"{name}: ", FileFormatError, tensors)


def is_safetensors(start: bytes) -> bool:
    """Whether nine bytes begin a safetensors file: a length below 4 GB, and JSON."""
    return start[4:9] == b"\0\0\0\0{"


def is_of_torch(start: bytes) -> bool:
    """Whether nine bytes begin a file of torch.save: a zip file, or of PyTorch before 1.6."""
    return start.startswith(b"PK\3\4") or start == _OLD_TORCH


# ------------------------------------------------------------ safetensors


def _of_safetensors(file: Reader) -> dict[str, Tensor]:
    if file.metadata.get("format") == _files.FORMAT:
        raise FileFormatError(
            f"{file.name}: a model of pynn's own, whose weights are (inputs, outputs); use"
            " pynn.load"
        )
    return {
        key: Tensor(
            _DTYPES.get(entry.dtype, entry.dtype), entry.shape, functools.partial(file.read, key)
        )
        for key, entry in file.tensors.items()
    }


# ------------------------------------------------------------ torch


def _load_with_torch(name: str, file: BinaryIO) -> Mapping[Any, Any]:
    """What torch.save wrote, which must be a mapping; nothing in the file is executed."""
    try:
        import torch
    except ImportError:
        raise ImportError(
            f"{name}: only PyTorch reads what torch.save wrote: pip install 'pynn-blas[pytorch]';"
            " or, where PyTorch is, write a safetensors file, which pynn reads without:"
            " safetensors.torch.save_file(module.state_dict(), 'model.safetensors')"
        ) from None
    if tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) < (2, 10):
        raise ImportError(
            f"{name}: the loader of PyTorch {torch.__version__} may run what a file holds: take"
            " 2.10 or later, pip install 'pynn-blas[pytorch]'"
        )
    try:
        file.seek(0)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of a damaged file it raises errors of many kinds
        first = (str(error).splitlines() or [type(error).__name__])[0]
        refuse(name, f"torch.load refuses it: {first}")
    if not isinstance(content, Mapping):
        raise FileFormatError(
            f"{name}: holds no state_dict: {type(content).__name__}; save module.state_dict()"
        )
    return content


def _of_mapping(mapping: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors or arrays of a mapping by name."""
    tensors = {}
    for key, value in mapping.items():
        if not isinstance(key, str):
            raise ArgumentTypeError(f"names of tensors must be str, got {_checks.describe(key)}")
        if isinstance(value, Mapping):
            raise ArgumentTypeError(
                f"{key!r} holds no tensor but a {type(value).__name__}; if that is the state_dict,"
                f" pass it alone: torch.load(path, weights_only=True)[{key!r}]"
            )
        if isinstance(value, np.ndarray):
            array = _checks.plain_array(key, value)
            tensors[key] = Tensor(array.dtype.name, array.shape, functools.partial(_same, array))
        elif callable(getattr(value, "detach", None)):
            dtype = str(value.dtype).removeprefix("torch.")
            read = functools.partial(_to_array, key, value)
            tensors[key] = Tensor(dtype, tuple(value.shape), read)
        else:
            raise ArgumentTypeError(
                f"{key!r} must be a tensor or a NumPy array, got {_checks.describe(value)}"
            )
    return tensors


def _same(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array


def _to_array(key: str, tensor: Any) -> npt.NDArray[Any]:
    """A tensor of PyTorch as an array; NumPy does not have bfloat16."""
    try:
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        array: npt.NDArray[Any] = tensor.numpy()
    except (TypeError, RuntimeError) as error:  # it is sparse, or on the meta device
        raise ArgumentTypeError(f"{key!r} cannot be read as an array: {error}") from None
    return array
