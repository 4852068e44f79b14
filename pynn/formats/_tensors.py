"""The tensors of a state_dict, by name, from a file or from memory.

All tensors are described first; each is read only when it is asked for.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, checks, reading
from pynn._base.errors import ArgumentError, ArgumentTypeError, FileFormatError, PynnError
from pynn._base.reading import refuse
from pynn._files import model_file
from pynn._files.safetensors import Reader
from pynn.formats import _nested

# The dtypes that a weight may have: safetensors' names, and NumPy's and PyTorch's.
_DTYPES = {"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16"}

# The Python code that gives a user the content of a file of torch.save.
_LOAD = "torch.load(path, weights_only=True)"

# Files of torch.save before PyTorch 1.6 begin with a pickle of this number: 0x1950a86a20f9469cfc6c.
_OLD_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9"


# In a message of PyTorch: the object that it refuses to load, and codes that colour the words.
_FORBIDDEN = re.compile(r"Unsupported (?:global|class|operand): (?:GLOBAL )?(\S+)")
_TERMINAL_CODE = re.compile("\x1b\\[[0-9;]*[A-Za-z]")

# The most names that a message lists.
_SHOWN = 6


class Tensor(NamedTuple):
    """A tensor's dtype and shape, and a function that reads it as float16, float32 or float64."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], npt.NDArray[Any]]


class Source(NamedTuple):
    """The tensors of a state_dict, by name, and how to report an error in them."""

    label: str
    """The words that an error message begins with: the file's name or "state_dict: "."""
    error: type[PynnError]
    """The class of error to raise: FileFormatError for a file, ArgumentError otherwise."""
    tensors: dict[str, Tensor]
    in_order_made: bool
    """Whether the tensors are in the order in which their modules were made."""


@contextmanager
def opened(source: object) -> Iterator[Source]:
    """Open a file, for the time of a with statement, or take a mapping; yield its tensors.

    Raises:
        ArgumentTypeError: The source is neither a path nor a mapping of tensors by name.
        OSError: The file does not exist or cannot be read.
        FileFormatError: The file holds no state_dict, or is damaged.
        ImportError: The file was written by torch.save, and PyTorch is not installed.
    """
    if isinstance(source, Mapping):
        yield Source("state_dict: ", ArgumentError, _of_mapping(source, "state_dict"), True)
        return
    if not isinstance(source, (str, os.PathLike)):
        got = checks.describe(source)
        if callable(getattr(source, "state_dict", None)):
            got = f"{type(source).__name__}; pass its .state_dict()"
        raise ArgumentTypeError(f"state_dict must be a path or a mapping of tensors, got {got}")
    checks.path("state_dict", source)
    name = reading.shown(source)
    with reading.opened(source) as file:
        from_torch = is_of_torch(file.read(9))
        if from_torch:
            try:
                tensors = _of_mapping(_load_with_torch(name, file), _LOAD)
            except ArgumentTypeError as error:
                raise FileFormatError(f"{name}: {checks.printable(str(error), 1000)}") from None
        else:
            tensors = _of_safetensors(Reader(name, file))
        # safetensors sorts the tensors when it writes a file, so their order says nothing.
        yield Source(f"{name}: ", FileFormatError, tensors, in_order_made=from_torch)


def is_safetensors(start: bytes) -> bool:
    """Whether a file's first nine bytes are those of safetensors: a length below 4 GB, and "{"."""
    return start[4:9] == b"\0\0\0\0{"


def is_of_torch(start: bytes) -> bool:
    """Whether a file's first nine bytes are those of torch.save: zip, or PyTorch before 1.6."""
    return start.startswith(b"PK\3\4") or start == _OLD_TORCH


# ------------------------------------------------------------ safetensors


def _of_safetensors(file: Reader) -> dict[str, Tensor]:
    if file.metadata.get("format") == model_file.FORMAT:
        raise FileFormatError(
            f"{file.name}: a model in pynn's own format, whose weights are (inputs, outputs); use"
            " pynn.load"
        )
    tensors = {
        key: Tensor(
            _DTYPES.get(entry.dtype, entry.dtype), entry.shape, functools.partial(file.read, key)
        )
        for key, entry in file.tensors.items()
    }
    _add_aliases(file.name, tensors, file.metadata)
    return tensors


def _add_aliases(name: str, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Add the tensors that the file stores under another name.

    Where several tensors share their memory, safetensors.torch.save_model stores only one of them.
    The metadata then name that one for each of the others, as in {"fc2.weight": "fc1.weight"}. The
    metadata may hold anything else, too. A name may lead to another alias, and so on.

    Raises:
        FileFormatError: A name leads to no tensor, or names lead to each other in a circle.
    """
    aliases = {
        key: other
        for key, other in metadata.items()
        if key not in tensors
        and _nested.names_parameter(key)
        and (other in tensors or _nested.names_parameter(other))
    }
    for alias in sorted(aliases):  # so that the same file gives the same error
        passed: dict[str, None] = {}  # the aliases on the way: a set that keeps their order
        end = alias
        while end not in tensors:
            passed[end] = None
            other = aliases.get(end)
            if other is None or other in passed:
                steps = list(passed) if other is None else [*passed, other]
                words = " is ".join(checks.printable(key, 60) for key in steps[:_SHOWN])
                missing = "there is no such tensor" if other is None else "that is a circle"
                refuse(name, f"its metadata say that {words}, and {missing}")
            end = other
        for key in passed:  # these are resolved now, so no later alias goes this way again
            tensors[key] = tensors[end]


# ------------------------------------------------------------ torch


def _load_with_torch(name: str, file: BinaryIO) -> Mapping[Any, Any]:
    """Read what torch.save wrote, which must be a mapping. No code in the file is executed."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(
            f"{name}: to read what torch.save wrote, pynn needs PyTorch:"
            " pip install 'pynn-blas[pytorch]'; or, on a machine that has PyTorch, write a"
            " safetensors file, which pynn reads without it:"
            " safetensors.torch.save_file(module.state_dict(), 'model.safetensors')"
        ) from None
    if tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) < (2, 10):
        raise ImportError(
            f"{name}: the loader of PyTorch {torch.__version__} may execute code in a file: install"
            " 2.10 or later, pip install 'pynn-blas[pytorch]'"
        )
    try:
        file.seek(0)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes it raise errors of many classes
        raise FileFormatError(f"{name}: torch.load refuses it: {_why_refused(error)}") from None
    if not isinstance(content, Mapping):
        hint = _nested.hint(content, _LOAD) or "; save module.state_dict()"
        raise FileFormatError(f"{name}: holds no state_dict but a {type(content).__name__}{hint}")
    return content


def _why_refused(error: Exception) -> str:
    """Say in one line why torch.load refuses a file, and what the user can do.

    PyTorch's own message about an object that it may not load is a page long, and coloured.
    """
    text = str(error)
    if "TorchScript" in text:
        return "it is an archive of TorchScript: pass torch.jit.load(path).state_dict()"
    if "Weights only load failed" not in text:
        first = (text.splitlines() or [type(error).__name__])[0]
        return checks.printable(_TERMINAL_CODE.sub("", first), 300)
    found = _FORBIDDEN.search(text)
    kind = "objects that are no tensors" if found is None else checks.printable(found[1], 100)
    return (
        f"it holds more than tensors and plain values: {kind}. Loading that could execute any code"
        " in the file. In the program that has the module, save"
        " torch.save(module.state_dict(), path). Or, if you trust the file,"
        " content = torch.load(path, weights_only=False), and pass the state_dict in it:"
        " content['model_state_dict'] or content['state_dict'] of a checkpoint, or"
        " content.state_dict() of a whole module"
    )


def _of_mapping(mapping: Mapping[Any, Any], expression: str) -> dict[str, Tensor]:
    """Describe the tensors or arrays of a mapping; `expression` is Python code for the mapping."""
    tensors = {}
    for key, value in mapping.items():
        if not isinstance(key, str) or not _nested.is_tensor(value):
            raise ArgumentTypeError(
                f"{_what_is_wrong(key, value)}{_nested.hint(mapping, expression)}"
            )
        if isinstance(value, np.ndarray):
            array = arrays.plain_array(key, value)
            tensors[key] = Tensor(array.dtype.name, array.shape, functools.partial(_same, array))
        else:
            dtype = str(value.dtype).removeprefix("torch.")
            read = functools.partial(_to_array, key, value)
            tensors[key] = Tensor(dtype, tuple(value.shape), read)
    return tensors


def _what_is_wrong(key: object, value: object) -> str:
    """Say what is wrong with an entry that is not a name with a tensor."""
    if not isinstance(key, str):
        return f"names of tensors must be str, got {checks.describe(key)}"
    name = checks.printable(repr(key), 100)
    if isinstance(value, Mapping):
        return f"{name} holds no tensor but a {type(value).__name__}"
    return f"{name} must be a tensor or a NumPy array, got {checks.describe(value)}"


def _same(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array


def _to_array(key: str, tensor: Any) -> npt.NDArray[Any]:
    """Convert a tensor of PyTorch to an array; bfloat16, which NumPy lacks, becomes float32."""
    try:
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        array: npt.NDArray[Any] = tensor.numpy()
    except (TypeError, RuntimeError) as error:  # it is sparse, or on the meta device
        raise ArgumentTypeError(f"{key!r} cannot be read as an array: {error}") from None
    return array
