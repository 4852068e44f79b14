"""Arrays as pictures: each value is a pixel, red above 0, blue below, transparent at 0 and at NaN.

Because 0 is transparent, the pictures fit a light page and a dark one.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

RED, BLUE = (239, 68, 68), (59, 130, 246)
LEVELS = 15
"""How many depths of each colour there are; with more, the files would be larger."""
MOST_PIXELS = 256
"""The most rows and columns of a heat map; of a larger array pixels are means of values."""
MOST_PICTURES = 64
"""The most pictures side by side."""

Bytes = npt.NDArray[np.uint8]


class HeatMap(NamedTuple):
    """A picture of an array."""

    png: bytes
    width: int
    height: int
    remark: str
    """What a pixel or a part of it is, where it is not one value of the array."""


def heat_map(values: npt.NDArray[Any]) -> HeatMap:
    """Draw a matrix, or a vector as one row."""
    matrix = np.atleast_2d(values).astype(np.float64)
    steps = [-(-size // MOST_PIXELS) for size in matrix.shape]
    remark = ""
    if steps != [1, 1]:
        for axis, step in enumerate(steps):
            begins = np.arange(0, matrix.shape[axis], step)
            counts = np.diff([*begins, matrix.shape[axis]])
            sums = np.add.reduceat(matrix, begins, axis=axis)
            matrix = sums / (counts[:, None] if axis == 0 else counts)
        remark = f"each pixel is the mean of {steps[0]} x {steps[1]} values"
    height, width = matrix.shape
    return HeatMap(_png(_levels(matrix)), width, height, remark)


def pictures(values: npt.NDArray[Any], axis: int) -> HeatMap:
    """Draw an array whose given axis goes over the pixels of a square: one picture for each other.

    The pictures lie in rows, from left to right.
    """
    pixels = np.moveaxis(values, axis, -1)
    side = math.isqrt(pixels.shape[-1])
    return planes(pixels.reshape(-1, side, side))


def planes(values: npt.NDArray[Any]) -> HeatMap:
    """Draw an array whose last two axes are the rows and columns of pictures, side by side."""
    height, width = values.shape[-2:]
    every = values.reshape(-1, height, width)
    shown = every[:MOST_PICTURES].astype(np.float64)
    columns = min(len(shown), 16)
    rows = -(-len(shown) // columns)
    levels = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), LEVELS, np.uint8)
    for place, picture in enumerate(_levels(shown)):
        top, left = place // columns * (height + 1), place % columns * (width + 1)
        levels[top : top + height, left : left + width] = picture
    first = f"the first {len(shown)} of {len(every)}, " if len(shown) < len(every) else ""
    remark = f"{first}each as a picture of {height} x {width}" if len(every) > 1 else ""
    return HeatMap(_png(levels), levels.shape[1], levels.shape[0], remark)


def largest(values: npt.NDArray[Any]) -> float:
    """The magnitude that gets the full colour; a few values beyond it get the same colour."""
    there = abs(values[~np.isnan(values)])
    if there.size == 0:
        return 1.0
    return float(np.quantile(there, 0.995)) or float(there.max()) or 1.0


def _levels(values: npt.NDArray[np.float64]) -> Bytes:
    """The colours of the values as places in the palette; that of NaN is that of 0."""
    shares = np.nan_to_num(np.clip(values / largest(values), -1.0, 1.0), nan=0.0)
    levels: Bytes = np.rint(shares * LEVELS + LEVELS).astype(np.uint8)
    return levels


def _png(levels: Bytes) -> bytes:
    """A PNG file with a palette, as the PNG specification says (W3C 2003)."""
    height, width = levels.shape
    depths = range(-LEVELS, LEVELS + 1)
    palette = b"".join(bytes(BLUE if depth < 0 else RED) for depth in depths)
    opacity = bytes(255 * abs(depth) // LEVELS for depth in depths)
    # Each row begins with the number of its filter: 0 is none.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"tRNS", opacity)]
    chunks += [(b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk: length, kind, data, checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
