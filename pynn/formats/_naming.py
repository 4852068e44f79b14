"""Match the modules of a PyTorch state_dict to the layers of a chain, by their names.

A module here is a group of tensors with one name before their last dot: "fc1" for "fc1.weight" and
"fc1.bias".
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._network.spec import PlacedLayer, Spec
from pynn.formats._tensors import Source

Shape = tuple[int, ...]
_SHOWN = 6  # the most names that a message lists


def modules_of(spec: Spec) -> list[PlacedLayer]:
    """The layers of a chain that have parameters: only these have a module in a state_dict.

    Raises:
        ArgumentError: PyTorch has no module for one of them.
    """
    modules = [placed for placed in spec.placed_layers if placed.parameters]
    if spec.loss.parameters(spec.outputs):
        raise ArgumentError(
            f"a state_dict has no place for the scale of {spec.loss.kind}(standardize=True);"
            " Model.export_onnx writes a file with it, or scale the targets before the model"
        )
    for placed in modules:
        if not placed.layer.torch_module:
            raise ArgumentError(
                f"PyTorch has no module for a {placed.layer.kind} layer, so no state_dict holds it;"
                " Model.export_onnx writes a file with it, or scale the features before the model"
            )
    return modules


def key_of(name: str, parameter: str) -> str:
    """The name of a module's tensor.

    The state_dict of a single module, `nn.Linear(4, 2).state_dict()`, has no name before the dot.
    """
    return f"{name}.{parameter}" if name else parameter


def checked(names: object, modules: Sequence[PlacedLayer]) -> list[str]:
    """Check the caller's names: one for each layer with parameters."""
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError(
            f"names must be a list of str, one for each {_kinds(modules)} layer, as in"
            f" ['fc1', 'fc2'], got {checks.describe(names)}"
        )
    if len(names) != len(modules):
        raise ArgumentError(
            f"names must have one name for each of the {len(modules)} {_kinds(modules)} layers, got"
            f" {len(names)}: {listed(names)}"
        )
    if len(set(names)) != len(names):
        raise ArgumentError(f"names must differ from each other, got {listed(names)}")
    return list(names)


def _kinds(modules: Sequence[PlacedLayer]) -> str:
    """The kinds of some layers, each once, for an error message."""
    return " or ".join(dict.fromkeys(placed.layer.kind for placed in modules))


def in_sequential(modules: Sequence[PlacedLayer]) -> list[str]:
    """The names that the modules have in an nn.Sequential of the same layers: their places."""
    return [str(placed.number - 1) for placed in modules]


def counters_of(placed: PlacedLayer, name: str) -> list[str]:
    """The names of the tensors of such a module that pynn has no parameter for."""
    return [key_of(name, counter) for counter in placed.layer.torch_counters]


def keys_of(placed: PlacedLayer, name: str) -> list[str]:
    """The names of the tensors that hold a layer's parameters, in a module of this name."""
    return [key_of(name, parameter.name) for parameter in placed.parameters]


def as_in(source: Source, modules: Sequence[PlacedLayer], names: list[str]) -> list[str]:
    """Put the prefix before the caller's names that all names of the source begin with, if any.

    DataParallel puts "module." before all names, Lightning "model.", torch.compile "_orig_mod.".
    The caller may leave such a prefix out.
    """
    prefix = ""
    for word in min(source.tensors, default="").split("."):
        longer = [prefix + name for name in names]
        keys = [keys_of(placed, name)[0] for placed, name in zip(modules, longer, strict=True)]
        if all(key in source.tensors for key in keys):
            return longer
        prefix += f"{word}."
        if not all(key.startswith(prefix) for key in source.tensors):
            break
    return names


def check_complete(source: Source, modules: Sequence[PlacedLayer], names: Sequence[str]) -> None:
    """Check that every tensor of a source belongs to a module that the caller names."""
    pairs = zip(modules, names, strict=True)
    taken = {
        key
        for placed, name in pairs
        for key in [*keys_of(placed, name), *counters_of(placed, name)]
    }
    if extra := [key for key in source.tensors if key not in taken]:
        raise source.error(
            f"{source.label}has tensors of modules that are not in names:"
            f" {listed(in_order(extra))}; remove these tensors"
        )


def order(source: Source, spec: Spec) -> list[str]:
    """The names of a source's modules, in the order of the chain's layers with parameters.

    Raises:
        ArgumentError, or FileFormatError if the source is a file: The modules do not fit the chain,
            or their names leave open which module is which layer.
    """
    modules = modules_of(spec)
    source = _without_counters(source, modules)
    label, error, tensors, _ = source
    known = list(dict.fromkeys(p.name for placed in modules for p in placed.parameters))
    torch_names = " or ".join(dict.fromkeys(map(_torch_name, modules)))
    if odd := [key for key in tensors if key.rpartition(".")[2] not in known]:
        raise error(
            f"{label}has tensors that are neither {' nor '.join(known)} of a {torch_names}:"
            f" {listed(in_order(odd))}; the chain has no other layers with tensors than"
            f" {_kinds(modules)}"
        )
    names = in_order({key.rpartition(".")[0] for key in tensors})
    if len(names) != len(modules):
        raise error(
            f"{label}has {len(names)} {torch_names} modules ({listed(names)}), and the chain {spec}"
            f" has {len(modules)} {_kinds(modules)} layers"
        )
    names = _by_form(source, modules, names)
    _check_order(source, modules, names)
    return names


def _torch_name(placed: PlacedLayer) -> str:
    return placed.layer.torch_name(placed.input_shape)


def _without_counters(source: Source, modules: Sequence[PlacedLayer]) -> Source:
    """The tensors of a source but for those that count how often a module was trained."""
    counters = {counter for placed in modules for counter in placed.layer.torch_counters}
    kept = {
        key: tensor
        for key, tensor in source.tensors.items()
        if key.rpartition(".")[2] not in counters
    }
    return source._replace(tensors=kept)


def _by_form(source: Source, modules: Sequence[PlacedLayer], names: list[str]) -> list[str]:
    """Sort the names so that each module has the form of its layer; within a form they keep order.

    The form of a module is the names of its tensors and their numbers of dimensions: Linear and
    LayerNorm, for instance, differ in it. If the source's forms are not those of the chain, the
    order stays as it is; the check of the shapes then finds what does not fit.
    """
    wanted = [
        frozenset((p.name, len(p.shape_in_torch)) for p in placed.parameters) for placed in modules
    ]
    tensors: dict[str, list[tuple[str, int]]] = {name: [] for name in names}
    for key, tensor in source.tensors.items():
        name, _, parameter = key.rpartition(".")
        tensors[name].append((parameter, len(tensor.shape)))
    waiting: dict[frozenset[tuple[str, int]], list[str]] = {}
    for name in names:
        waiting.setdefault(frozenset(tensors[name]), []).append(name)
    if Counter(wanted) != {form: len(found) for form, found in waiting.items()}:
        return names
    following = {form: iter(found) for form, found in waiting.items()}
    return [next(following[form]) for form in wanted]


def _check_order(source: Source, modules: Sequence[PlacedLayer], names: Sequence[str]) -> None:
    """Check that the names of modules with the same shape say which of these comes first."""
    label, error, tensors, in_order_made = source
    first_places = dict.fromkeys(key.rpartition(".")[0] for key in tensors)  # each once
    places = {name: place for place, name in enumerate(first_places)}
    before: dict[Shape, str] = {}  # the last name of each shape
    for placed, name in zip(modules, names, strict=True):
        shape = placed.parameters[0].shape
        first = before.get(shape, name)
        numbered = first == name or _differ_by_number(first, name)
        turned = numbered and in_order_made and places[first] > places[name]
        if turned or not numbered:
            but = f" By their numbers {shown(first)}, but {shown(name)} stands first." * turned
            raise error(
                f"{label}which comes first, {shown(first)} or {shown(name)}?{but} Both layers"
                f" have {placed.parameters[0].name}s {shape}; say the order of {listed(names)} with"
                " names=[...]"
            )
        before[shape] = name


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names as a reader expects: text alphabetically, numbers within names by value."""
    return sorted(names, key=_natural)


def shown(name: str) -> str:
    """A name for a message: as it is if it is short and printable, otherwise as its repr."""
    if name and name.isprintable() and len(name) <= 60:
        return name
    return repr(name if len(name) <= 60 else f"{name[:57]}...")


def listed(names: Sequence[str]) -> str:
    """Names for a message: the first few, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(shown, names[:_SHOWN])) + more or "none"


def _pieces(name: str) -> list[tuple[bool, str]]:
    """Cut a name into text, number, text, ...; each piece with whether it is a number."""
    return list(zip(itertools.cycle([False, True]), re.split("([0-9]+)", name), strict=False))


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A sort key for a name. It compares numbers as strings: they may be too long for int()."""
    key = []
    for is_number, piece in _pieces(name):
        digits = piece.lstrip("0")
        key.append((len(digits), digits) if is_number else (0, piece))
    return key, name


def _differ_by_number(one: str, other: str) -> bool:
    """Whether the first pieces in which two names differ are two numbers of different value."""
    for (is_number, a), (_, b) in zip(_pieces(one), _pieces(other), strict=False):
        if a != b:
            return is_number and a.lstrip("0") != b.lstrip("0")
    return False
