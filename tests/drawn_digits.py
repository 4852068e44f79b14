"""Pictures of MNIST's digits for the tests of scripts/predict.py, and how to compare digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

import pynn
import pynn._pictures.digit as _digit

ROOT = Path(__file__).parent.parent

Floats = npt.NDArray[np.floating[Any]]


def mnist_test_images() -> npt.NDArray[np.uint8]:
    """MNIST's test images."""
    return pynn.datasets.load(ROOT / "data" / "mnist")[1].images


def enlarged(image: npt.NDArray[np.uint8], *, bold: int = 0, turn: float = 0.0) -> Floats:
    """One of MNIST's images four times as large, as ink from 0 to 1."""
    large = Image.fromarray(image).resize((112, 112), Image.Resampling.BICUBIC)
    large = large.rotate(turn, Image.Resampling.BICUBIC)
    if bold:
        large = large.filter(ImageFilter.MaxFilter(2 * bold + 1))
    return np.asarray(large, np.float64) / 255


def to_image(pixels: Floats) -> Image.Image:
    """Pixels from 0 to 1 as a grey picture."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8))


def written(ink: Floats) -> Floats:
    """Dark ink on light paper."""
    return 0.9 - 0.75 * ink


def read(image: Image.Image, folder: Path, suffix: str = "png", **options: Any) -> _digit.Reading:
    image.save(folder / f"image.{suffix}", **options)
    return _digit.read(folder / f"image.{suffix}")


def apart(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Mean difference of the pixels of two digits, in grey levels, over those that hold ink.

    Either may lie a pixel beside the other: both are rounded to whole ones.
    """
    shifts = [np.roll(b, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return min(float(np.abs(a.astype(float) - b)[(a > 0) | (b > 0)].mean()) for b in shifts)


def flat(x: Floats, y: Floats) -> Floats:
    return np.ones_like(x)


def strong_vignette(x: Floats, y: Floats) -> Floats:
    return 1 - 0.38 * (x**2 + y**2)


Light = Callable[[Floats, Floats], Floats]


def lit(pixels: Floats, light: Light) -> Floats:
    y, x = np.mgrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    return pixels * light(x, y)


def cropped(ink: Floats) -> Floats:
    solid = ink > 0.25
    rows, columns = solid.any(axis=1).nonzero()[0], solid.any(axis=0).nonzero()[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
