"""Changing images a little, at random, while a network trains on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.arrays import Features
from pynn._base.errors import ArgumentError, ArgumentTypeError
from pynn._network.layers import Shape
from pynn._network.spec import Spec

MOST_LENGTH = 512
"""The largest height and width of an image that can be changed; csrc/augment.c has it."""


_CHANGES = ("shift", "rotate", "scale", "shear", "elastic", "fill")


def _up_to(most: float, name: str, value: object) -> float:
    """Check a number from 0 to `most`."""
    number = checks.real(f"augmentation {name}", value, least=0.0)
    if number > most:
        raise ArgumentError(f"augmentation {name} must be at most {most:g}, got {number:g}")
    return number


class Augmentation(Arguments):
    """How `Model.fit` changes each image, anew in each epoch: moved, turned, stretched, bent.

    The network then learns that a digit stays the same digit. All changes are drawn at random, up
    to the numbers given here, and depend on the model's seed, the epoch and the row alone: the same
    call gives the same images, also where a run is resumed. Values between pixels are interpolated
    (bilinear). The images themselves stay as they are, and bytes stay bytes.

    Args:
        shift: Pixels by which an image is moved, down or up, and right or left.
        rotate: Degrees by which it is turned, at most 180.
        scale: Height and width are multiplied, each by 1 / (1 + scale) to 1 + scale.
        shear: Degrees by which it is slanted, below 90.
        elastic: Pixels by which the points of a grid over the image are moved, with a smooth curve
            between them (after Simard, Steinkraus and Platt 2003). The points are 8 pixels apart,
            or 16 in images of more than 256 pixels.
        fill: The value outside of an image, as the network reads it: bytes are divided by 255.
        epochs: The number of epochs, from the first one on, in which images are changed; None means
            all. Where the last ones are left out, a network ends with images such as it will see.

    Raises:
        ArgumentTypeError: An argument is not a number, or `epochs` is not an integer.
        ArgumentError: A number is out of range.

    Examples:
        >>> import pynn
        >>> pynn.Augmentation(shift=2, rotate=10)
        Augmentation(shift=2.0, rotate=10.0)
    """

    _optional: ClassVar[dict[str, Any]] = {**dict.fromkeys(_CHANGES, 0.0), "epochs": None}

    shift: float
    rotate: float
    scale: float
    shear: float
    elastic: float
    fill: float
    epochs: int | None

    def __init__(
        self,
        *,
        shift: float = 0.0,
        rotate: float = 0.0,
        scale: float = 0.0,
        shear: float = 0.0,
        elastic: float = 0.0,
        fill: float = 0.0,
        epochs: int | None = None,
    ) -> None:
        name = "augmentation epochs"
        super().__init__(
            shift=_up_to(float(MOST_LENGTH), "shift", shift),
            rotate=_up_to(180.0, "rotate", rotate),
            scale=_up_to(float(MOST_LENGTH), "scale", scale),
            shear=checks.real("augmentation shear", shear, least=0.0, below=90.0),
            elastic=_up_to(float(MOST_LENGTH), "elastic", elastic),
            fill=checks.real("augmentation fill", fill, least=-checks.MAX_FLOAT32),
            epochs=None if epochs is None else checks.integer(name, epochs, least=1),
        )

    def options(self) -> dict[str, float]:
        """The numbers that C needs, by their names there."""
        return {name: getattr(self, name) for name in _CHANGES}


def check(value: object, spec: Spec, features: Features) -> Augmentation | None:
    """Check the argument of `fit`, and that the examples are images."""
    if value is None:
        return None
    if not isinstance(value, Augmentation):
        raise ArgumentTypeError(
            "augmentation must be a pynn.Augmentation, as in pynn.Augmentation(shift=2), got"
            f" {checks.describe(value)}"
        )
    _, height, width = images_of(spec, features)
    if max(height, width) > MOST_LENGTH:
        raise ArgumentError(
            f"augmentation: images must be at most {MOST_LENGTH} x {MOST_LENGTH}, got"
            f" {height} x {width}"
        )
    return value


def images_of(spec: Spec, features: Features) -> Shape:
    """The shape of the images: that of the chain's input, or else of the features."""
    if len(spec.input_shape) == 3:
        return spec.input_shape
    shape = features.shape[1:]
    if len(shape) not in (2, 3):
        raise ArgumentError(
            "augmentation needs images: features of shape (n, height, width) or (n, channels,"
            f" height, width), got {features.shape}"
        )
    return shape if len(shape) == 3 else (1, *shape)


def to_dict(augmentation: Augmentation | None) -> dict[str, Any] | None:
    """Convert to plain values for JSON.

    `epochs` is there only if it is a number, so that older versions can read the others.
    """
    if augmentation is None:
        return None
    values = dict(vars(augmentation))
    if augmentation.epochs is None:
        del values["epochs"]
    return values


def from_dict(kept: Any) -> Augmentation | None:
    """Make what to_dict() returned; errors are those of `Run.from_dict`."""
    if kept is None:
        return None
    if not isinstance(kept, Mapping):
        raise ValueError(f"augmentation must be an object, got {checks.describe(kept)}")
    checks.no_others("augmentation", kept, tuple(Augmentation._optional))
    changes = {name: kept[name] for name in _CHANGES}
    return Augmentation(**changes, epochs=kept.get("epochs"))
