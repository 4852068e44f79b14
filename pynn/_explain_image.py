"""Explaining a step of training on a picture of a digit, for `python -m pynn explain`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from pynn import _inspect
from pynn._base import checks, reading
from pynn._base.errors import ArgumentError
from pynn._training.optimizers import SGD
from pynn.images import Digits, digits

if TYPE_CHECKING:
    from pynn._model import Model

PIXELS = 28 * 28


def explain(
    path: str,
    image: str,
    *,
    label: int | None = None,
    learning_rate: float | None = None,
    raw: bool = False,
    html: str | None = None,
    check: bool = False,
) -> str:
    """Explain the step of plain SGD that a picture makes; no file changes but `html`.

    Args:
        path: The file of a model that takes 784 values, and has classes.
        image: A picture with a digit, in a format that Pillow reads.
        label: The digit; None for what the model takes it for.
        learning_rate: That of the step; None for SGD's own.
        raw: Whether the picture is 28 x 28, white on black, and is to be used as it is.
        html: The file for the page; None to return the step as text.
        check: Whether to add what `Step.check` finds.

    Returns:
        What to print.

    Raises:
        OSError: A file cannot be read or written.
        FileFormatError: A file is damaged, or is no model or no picture of a digit.
        ArgumentError: The model takes no pictures, or an argument is out of range.
        ImportError: Pillow is not installed.
    """
    _check_paths(path, image, html)
    with _inspect.read_model(path) as model:
        _check(model, path)
        found = digits(image, raw=raw)
        digit = found.images[0].reshape(1, -1)
        optimizer = SGD() if learning_rate is None else SGD(learning_rate=learning_rate)
        notes = _notes(reading.shown(image), found)
        if label is None:
            label = int(model(digit).argmax())
            name = f" ({checks.printable(model.classes[label], 30)!r})" if model.classes else ""
            notes.append(f"label {label}{name}, which the model predicts; --label N gives another")
        label = checks.integer("--label", label, least=0, most=model.outputs - 1)
        step = model.explain(digit, np.array([label]), optimizer=optimizer)
        checked = ["", str(step.check())] if check else []
        if html is None:
            return "\n".join([*notes, *([""] if notes else []), str(step), *checked])
        step.to_html(html)
    wrote = f"wrote {reading.shown(html)}, {os.path.getsize(html):,} bytes"
    return "\n".join([*notes, wrote, *checked])


def _check_paths(path: str, image: str, html: str | None) -> None:
    """Raise an ArgumentError for an empty path, or for a page in place of a file to read."""
    for name, given in (("MODEL", path), ("--image", image), ("--html", html)):
        if given == "":
            raise ArgumentError(f"{name} must be a path, got ''")
    for other in (path, image):
        if html is not None and _inspect.is_same_file(html, other):
            raise ArgumentError(
                f"{html}: is a file to read, which would be lost; give another name"
            )


def _notes(image: str, found: Digits) -> list[str]:
    """The warnings of a picture; of several digits it is said which one is explained."""
    count = len(found.images)
    warnings = [it for it in found.warnings if count == 1 or "side by side" not in it]
    if count > 1:
        warnings.append(f"{count} digits side by side: the first from the left is explained")
    return [f"{image}: {warning}" for warning in warnings]


def _check(model: Model, path: str) -> None:
    """Raise an ArgumentError if the model cannot be shown a digit and told its label."""
    if model.inputs != PIXELS:
        raise ArgumentError(
            f"{reading.shown(path)}: takes {model.inputs:,} values, and a picture of a digit has"
            f" {PIXELS}; in Python model.explain takes any"
        )
    loss = model._spec.loss
    if not loss.has_classes:
        raise ArgumentError(
            f"{reading.shown(path)}: its {loss.kind} takes targets, and a picture has a label;"
            " in Python model.explain takes both"
        )
