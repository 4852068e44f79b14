"""Find the state_dicts inside a checkpoint, so that an error message can say what to pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pynn._base import checks

_MOST_SHOWN = 4
_MOST_CONTAINERS = 10_000  # the search ends after so many: a file may hold any number
_ENDINGS = ("weight", "bias")


def is_tensor(value: object) -> bool:
    """Whether a value is a NumPy array or a tensor of PyTorch."""
    return isinstance(value, np.ndarray) or callable(getattr(value, "detach", None))


def names_parameter(name: object) -> bool:
    """Whether a name is that of a weight or a bias, such as "fc1.weight"."""
    return isinstance(name, str) and name.rpartition(".")[2] in _ENDINGS


def hint(content: object, expression: str) -> str:
    """Say what to pass instead of something that is not a state_dict.

    Args:
        content: What was passed. Mappings, lists and tuples in it are searched.
        expression: Python code for it.

    Returns:
        Words that go at the end of an error message; empty if there is nothing to suggest.
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
    """Python code for each state_dict that nested containers hold, such as "['model'][0]"."""
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
    """Whether a value is a torch.nn.Module.

    It is known by its methods, because PyTorch may not be installed. Optimizers have state_dict(),
    too, but not named_parameters().
    """
    return all(callable(getattr(value, name, None)) for name in ("state_dict", "named_parameters"))
