"""Which Linear module of a state_dict is which dense layer of a chain, by their names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._native.network import Layer
from pynn._spec import Spec
from pynn.formats._tensors import Source

Shape = tuple[int, ...]
KINDS = ("weight", "bias")
_SHOWN = 6  # names in a message


def key_of(name: str, kind: str) -> str:
    """The tensor of a module; a state_dict of one Linear alone has no name before the dot."""
    return f"{name}.{kind}" if name else kind


def checked(names: object, layers: Sequence[Layer]) -> list[str]:
    """The caller's names, one for each dense layer."""
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError(
            "names must be a list of str, one for each dense layer, as in ['fc1', 'fc2'], got"
            f" {checks.describe(names)}"
        )
    count = sum(layer.kind == "dense" for layer in layers)
    if len(names) != count:
        raise ArgumentError(
            f"names must have one for each of the {count} dense layers, got {len(names)}:"
            f" {listed(names)}"
        )
    if len(set(names)) != len(names):
        raise ArgumentError(f"names must differ from each other, got {listed(names)}")
    return list(names)


def in_sequential(layers: Sequence[Layer]) -> list[str]:
    """The names of the Linear modules in an nn.Sequential of the same layers: their places."""
    return [str(place) for place, layer in enumerate(layers) if layer.kind == "dense"]


def as_in(source: Source, names: list[str]) -> list[str]:
    """The caller's names as a source has them, where all of those begin with the same.

    DataParallel puts "module." before all names, Lightning "model.", torch.compile "_orig_mod.".
    """
    prefix = ""
    for word in min(source.tensors, default="").split("."):
        longer = [prefix + name for name in names]
        if all(key_of(name, "weight") in source.tensors for name in longer):
            return longer
        prefix += f"{word}."
        if not all(key.startswith(prefix) for key in source.tensors):
            break
    return names


def check_complete(source: Source, names: Sequence[str]) -> None:
    """Check that a source has no tensors but those of the modules that the caller names."""
    taken = {key_of(name, kind) for name in names for kind in KINDS}
    if extra := [key for key in source.tensors if key not in taken]:
        raise source.error(
            f"{source.label}has tensors of modules that are not in names:"
            f" {listed(in_order(extra))}; leave them out"
        )


def order(source: Source, spec: Spec, shapes: Sequence[Shape]) -> list[str]:
    """The names of a source's Linear modules in the order of the dense layers.

    Args:
        source: The tensors.
        spec: The chain, for an error.
        shapes: Those of the dense layers' weights.
    """
    label, error, tensors, in_order_made = source
    if odd := [key for key in tensors if key.rpartition(".")[2] not in KINDS]:
        raise error(
            f"{label}has tensors that are neither weight nor bias of a Linear:"
            f" {listed(in_order(odd))}; pynn has dense layers alone"
        )
    names = in_order({key.rpartition(".")[0] for key in tensors})
    if len(names) != len(shapes):
        raise error(
            f"{label}has {len(names)} Linear modules ({listed(names)}), and the chain {spec} has"
            f" {len(shapes)} dense layers"
        )
    modules = dict.fromkeys(key.rpartition(".")[0] for key in tensors)  # each once
    places = {name: place for place, name in enumerate(modules)}
    before: dict[Shape, str] = {}  # the last name of each shape
    for shape, name in zip(shapes, names, strict=True):
        first = before.get(shape, name)
        numbered = first == name or _differ_by_number(first, name)
        turned = numbered and in_order_made and places[first] > places[name]
        if turned or not numbered:
            but = f" By their numbers {shown(first)}, but {shown(name)} stands first." * turned
            raise error(
                f"{label}which comes first, {shown(first)} or {shown(name)}?{but} Both layers"
                f" have weights {shape}; say the order of {listed(names)} with names=[...]"
            )
        before[shape] = name
    return names


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted as a reader expects it: text alphabetically, the numbers in it by value."""
    return sorted(names, key=_natural)


def shown(name: str) -> str:
    """A name in a message: as it is, if it is a short word and not what a terminal would obey."""
    if name and name.isprintable() and len(name) <= 60:
        return name
    return repr(name if len(name) <= 60 else f"{name[:57]}...")


def listed(names: Sequence[str]) -> str:
    """Names in a message, which may be many, or none."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(shown, names[:_SHOWN])) + more or "none"


def _pieces(name: str) -> list[tuple[bool, str]]:
    """A name cut into text, number, text, ..., each with whether it is a number."""
    return list(zip(itertools.cycle([False, True]), re.split("([0-9]+)", name), strict=False))


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key to sort names by; the numbers in them may be too long for int()."""
    key = []
    for is_number, piece in _pieces(name):
        digits = piece.lstrip("0")
        key.append((len(digits), digits) if is_number else (0, piece))
    return key, name


def _differ_by_number(one: str, other: str) -> bool:
    """Whether the first thing in which two names differ is a number in both, of another value."""
    for (is_number, a), (_, b) in zip(_pieces(one), _pieces(other), strict=False):
        if a != b:
            return is_number and a.lstrip("0") != b.lstrip("0")
    return False
