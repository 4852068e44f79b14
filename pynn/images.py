"""Photos, scans and drawings of digits, turned into images as MNIST has them.

Needs Pillow: pip install 'pynn-blas[images]'. Whole folders of images of any kind are read by
`pynn.datasets.images`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading, words
from pynn._base.errors import FileFormatError

__all__ = ["Digits", "digits"]


class Digits(NamedTuple):
    """The digits in a picture."""

    images: npt.NDArray[np.uint8]
    """Shape (n, 28, 28), from left to right: white on black, as MNIST's are."""
    warnings: tuple[str, ...]
    """Why they may be something else than digits, in sentences."""


@words.corrected
def digits(path: str | os.PathLike[str], *, raw: bool = False) -> Digits:
    """Read the digits in a picture, for a model that was trained on MNIST.

    The picture may be of any size, dark on light or light on dark, grey or in colour, with one
    digit in it, or several side by side. Each is cut out, scaled into 20 x 20 and centred in
    28 x 28 by its mass, as MNIST's digits were.

    Args:
        path: The picture, in a format that Pillow reads.
        raw: Whether the picture is 28 x 28 already, white on black, and its pixels are to be taken
            as they are.

    Returns:
        The images, shape (n, 28, 28), uint8, and warnings.

    Raises:
        ArgumentTypeError: `path` is not a path.
        ImportError: Pillow is not installed.
        OSError: The file cannot be read.
        FileFormatError: It is not a picture, or there is no digit in it.

    Examples:
        >>> import pynn
        >>> pynn.images.digits("data/digits/seven.png").images.shape
        (1, 28, 28)
    """
    checks.path("path", path)
    try:
        from pynn._pictures import digit, ink
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise ImportError(
            "pictures need Pillow, which is not installed: pip install 'pynn-blas[images]'"
        ) from None
    try:
        found = digit.read(path, raw=raw)
    except ink.PictureError as error:
        raise FileFormatError(f"{reading.shown(path)}: {error}") from None
    except OSError as error:
        if error.filename is None:  # Pillow's own errors name no file
            raise FileFormatError(f"{reading.shown(path)}: damaged image: {error}") from None
        raise
    return Digits(np.stack(found.digits), tuple(found.warnings))


if not TYPE_CHECKING:  # a type checker finds wrong names only without it
    __getattr__ = words.of_module("images", __all__)
