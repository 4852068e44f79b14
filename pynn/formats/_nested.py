"""Where in a checkpoint the state_dict is: for an error, whose reader is to pass that alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pynn._base import checks

_MOST_SHOWN = 4
_MOST_CONTAINERS = 10_000  # looked into, of a file that may hold any number
_ENDINGS = ("weight", "bias")


def is_tensor(value: object) -> bool:
    """Whether it is an array, or a tensor of PyTorch."""
    return isinstance(value, np.ndarray) or callable(getattr(value, "detach", None))


def names_parameter(name: object) -> bool:
    """Whether a name is that of a weight or a bias, as in "fc1.weight"."""
    return isinstance(name, str) and name.rpartition(".")[2] in _ENDINGS


def way_out(content: object, expression: str) -> str:
    """What to pass in the place of something that is no state_dict: words after an error, or none.

    Args:
        content: It, of any kind; mappings, lists and tuples are looked into.
        expression: Python for it.
    """
    found = list(_state_dicts(content))
    if len(found) == 1:
        return f"; the state_dict is in it, pass it alone: {expression}{found[0]}"
    if found:
        more = ", ..." if len(found) > _MOST_SHOWN else ""
        paths = ", ".join(f"{expression}{path}" for path in found[:_MOST_SHOWN])
        return f"; it holds {len(found)} state_dicts, pass one alone: {paths}{more}"
    if not isinstance(content, Mapping):
        return ""
    if _has_parameters(content):
        return "; leave out what is no tensor"
    for key, value in content.items():
        if isinstance(value, Mapping):
            return f"; if that is the state_dict, pass it alone: {expression}{_index(key)}"
    return ""


def _state_dicts(content: object) -> Iterator[str]:
    """Python for each state_dict in nested containers, but for the outermost: "['model'][0]"."""
    waiting = deque([("", content)])
    seen = {id(content)}
    while waiting and len(seen) <= _MOST_CONTAINERS:
        path, container = waiting.popleft()
        for key, value in _entries(container):
            if id(value) in seen:
                continue
            place = path + _index(key)
            if _is_module(value):
                yield f"{place}.state_dict()"
            elif isinstance(value, Mapping) and _has_parameters(value):
                yield place
            elif isinstance(value, (Mapping, list, tuple)):
                waiting.append((place, value))
            else:
                continue
            seen.add(id(value))


def _index(key: object) -> str:
    return f"[{checks.printable(repr(key), 100)}]"


def _entries(container: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(container, Mapping):
        return container.items()
    return enumerate(container) if isinstance(container, (list, tuple)) else ()


def _has_parameters(mapping: Mapping[Any, Any]) -> bool:
    return any(names_parameter(key) and is_tensor(value) for key, value in mapping.items())


def _is_module(value: object) -> bool:
    """Whether it is a torch.nn.Module; optimizers have a state_dict, too, but no parameters."""
    return all(callable(getattr(value, name, None)) for name in ("state_dict", "named_parameters"))
