"""The names of classes: text that callers give as labels, and numbers that a network learns.

A model that was trained on names keeps them, in the order of its outputs. The names that it finds
by itself are sorted; those that a caller sets are in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import checks, frames, tables
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._network.spec import Spec

Names = tuple[str, ...]

_MOST_SHOWN = 5


def numbered(
    name: str, labels: object, spec: Spec, known: Names | None, *, learning: bool
) -> tuple[object, Names | None]:
    """Replace labels that are names by the numbers of their classes.

    Args:
        name: What errors call the argument.
        labels: The labels that the caller gave.
        spec: The network.
        known: The names of its classes, if it has some.
        learning: Whether a network without names takes them from the labels.

    Returns:
        The numbers, of the shape of the labels, and the names; or the labels as they are, and the
        known names, if they are no names, or the loss has no classes.

    Raises:
        ArgumentTypeError: Some labels are names, and some are not.
        ArgumentError: A name is unknown, or there are more or fewer names than outputs.
    """
    if not spec.loss.has_classes or (type(labels) is np.ndarray and labels.dtype.kind in "biuf"):
        return labels, known
    text = _text(name, frames.only_column(labels))
    if text is None:
        return labels, known
    names = _learned(name, text, spec, learning=learning) if known is None else known
    order = np.argsort(np.array(names))
    places = np.searchsorted(np.array(names)[order], text).clip(max=len(names) - 1)
    numbers = order[places]
    wrong = np.flatnonzero(np.array(names)[numbers] != text)
    if len(wrong) > 0:
        index = np.unravel_index(wrong[0], text.shape)
        others = sorted(set(text.ravel()[wrong].tolist()))
        raise ArgumentError(
            f"{name} must be among the model's classes, {shown(names)}; got {shown(others)},"
            f" first at index {index[0]}"
        )
    return numbers, names


def checked(what: str, names: Sequence[Any], spec: Spec) -> Names:
    """Check names for all classes of a network, in the order of its outputs.

    Raises:
        ArgumentTypeError: A name is not a str.
        ArgumentError: There are not as many names as outputs, a name occurs twice, or cannot be
            written to a file; or the loss has no classes.
    """
    if not spec.loss.has_classes:
        raise ArgumentError(f"{what} needs softmax_cross_entropy: {spec.loss.kind} has no classes")
    for one in names:
        if not isinstance(one, str):
            raise ArgumentTypeError(f"{what} must be str, got {checks.describe(one)}")
        if "\0" in one or any("\ud800" <= letter <= "\udfff" for letter in one):
            raise ArgumentError(
                f"{what} must be text that UTF-8 can hold, without NUL, got {checks.describe(one)}"
            )
    own = tuple(map(str, names))
    if len(own) != spec.outputs:
        raise ArgumentError(
            f"{what} must be {spec.outputs} names, one for each output, got {len(own)}:"
            f" {shown(own)}"
        )
    if len(set(own)) < len(own):
        twice = next(one for one in own if own.count(one) > 1)
        raise ArgumentError(f"{what} must differ, got {checks.describe(twice)} twice")
    return own


def shown(names: Sequence[str]) -> str:
    """Some names for an error: the first ones, and how many more there are."""
    some = ", ".join(repr(checks.printable(one, 30)) for one in names[:_MOST_SHOWN])
    return some + (f" and {len(names) - _MOST_SHOWN:,} more" if len(names) > _MOST_SHOWN else "")


def _learned(name: str, text: npt.NDArray[Any], spec: Spec, *, learning: bool) -> Names:
    """The names that labels have, sorted: there must be one for each output."""
    if not learning:
        raise ArgumentError(
            f"{name} must be integers in [0, {spec.outputs}), because this model knows no names of"
            " classes: train it on names, or set its classes, as in model.classes = names"
        )
    found: list[str] = np.unique(text).tolist()
    if len(found) == spec.outputs:
        return checked(name, found, spec)
    advice = f"build it with {len(found)} outputs"
    if len(found) == 1:  # a network of one class has nothing to learn
        raise ArgumentError(
            f"{name} must have at least two classes, and all are {shown(found)}: there is nothing"
            " to tell apart. If these are a part of the examples, name all classes before, as in"
            f" model.classes = [{found[0]!r}, ...]"
        )
    if len(found) < spec.outputs:
        advice += ", or name all its classes before, as in model.classes = [...]"
    raise ArgumentError(
        f"{name} must have as many classes as the network has outputs, {spec.outputs}; got"
        f" {len(found):,}: {shown(found)}; {advice}"
    )


def _text(name: str, labels: object) -> npt.NDArray[Any] | None:
    """Labels as an array of text, or None if no label is text."""
    array = tables.any_array(name, labels)
    if array.dtype.kind in "UT":
        return array.astype(str)
    if array.dtype.kind != "O":
        return None
    values = array.ravel().tolist()
    others = [index for index, value in enumerate(values) if not isinstance(value, str)]
    if not others:
        return array.astype(str)
    if len(others) == len(values):
        return None
    index = np.unravel_index(others[0], array.shape)
    raise ArgumentTypeError(
        f"{name} must all be names of classes, or all be integers; the one at index {index[0]} is"
        f" {checks.describe(values[others[0]])}, which is no name: leave out examples without a"
        " label"
    )
