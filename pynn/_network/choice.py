"""The layers that a user names: by name such as "dense1", by number from 1, or "all"."""

from __future__ import annotations

from collections.abc import Sequence

from pynn._base import checks
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._network.spec import PlacedLayer

ALL = "all"


def chosen(what: str, layers: Sequence[object], among: Sequence[PlacedLayer]) -> set[int]:
    """Find the numbers of the layers that a user names.

    Args:
        what: What the errors call the argument.
        layers: Names, numbers, or "all".
        among: The layers of the network.

    Raises:
        ArgumentTypeError: One is neither a str nor an integer.
        ArgumentError: There is no such layer, or none is named.
    """
    if not layers:
        raise ArgumentError(f'{what} needs a layer, as in {what}("{among[0].name}"), or "all"')
    if ALL in layers:
        return {placed.number for placed in among}
    return {one(what, layer, among).number for layer in layers}


def one(what: str, layer: object, among: Sequence[PlacedLayer]) -> PlacedLayer:
    """Find one layer by its name or its number; the errors are those of chosen()."""
    if not isinstance(layer, str):
        try:
            number = checks.integer(what, layer, least=1, most=len(among))
        except ArgumentTypeError:
            raise ArgumentTypeError(
                f'{what} must be the name of a layer such as "{among[0].name}", or its number in'
                f" model.summary(), got {checks.describe(layer)}"
            ) from None
        return among[number - 1]
    for placed in among:
        if placed.name == layer:
            return placed
    names = [placed.name for placed in among]
    raise ArgumentError(f"{what}: there is no layer {layer!r}; the layers are {_listed(names)}")


def _listed(names: list[str]) -> str:
    """The names, or the first and the last ones of many."""
    few = names if len(names) <= 12 else [*names[:5], "...", *names[-5:]]
    return ", ".join(few)
