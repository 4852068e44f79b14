"""Digits as strokes of a pen: ten by hand, and the ink of any picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pynn._pictures.ink import find_ink

Stroke = list[tuple[float, float]]
Mask = npt.NDArray[np.bool_]

GRID = 36  # cells of the longer side of a picture whose ink is traced
LONGEST = 170  # pixels of the longer side of the tracing, on the page's paper


def arc(x: float, y: float, width: float, height: float, begin: int, end: int) -> Stroke:
    """Part of an ellipse around (x, y), from one angle to another, in degrees."""
    angles = [math.radians(begin + (end - begin) * i / 14) for i in range(15)]
    return [(x + width * math.cos(a), y + height * math.sin(a)) for a in angles]


BY_HAND: list[list[Stroke]] = [
    [arc(0, 0, 50, 75, -90, 270)],
    [[(5, -75), (-5, 75)]],
    [[*arc(0, -35, 45, 40, -170, 40), (-50, 70), (55, 70)]],
    [arc(0, -37, 42, 38, -150, 90) + arc(0, 38, 48, 38, -90, 150)],
    [[(-20, -75), (-45, 10), (50, 10)], [(30, -70), (20, 80)]],
    [[(45, -75), (-35, -75), (-40, -10), *arc(0, 25, 45, 45, -130, 140)]],
    [[(30, -78), (-20, -30), *arc(0, 30, 42, 45, -180, 180)]],
    [[(-50, -70), (50, -70), (-10, 78)]],
    [arc(0, -37, 36, 37, 90, -270) + arc(0, 38, 44, 40, -90, 270)],
    [[*arc(0, -30, 42, 42, 0, -360), (42, -30), (20, 80)]],
]
"""A digit each, in pixels from the paper's middle; x to the right, y down."""


def trace(picture: Path) -> list[Stroke]:
    """The strokes along the middle of a picture's ink, in pixels from the paper's middle."""
    pixels = np.asarray(Image.open(picture).convert("RGBA"), np.float32) / 255
    colour, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    ink = find_ink(colour * alpha + (1 - alpha))
    side = max(ink.shape)
    small = Image.fromarray((ink * 255).astype(np.uint8)).resize(
        (round(GRID * ink.shape[1] / side), round(GRID * ink.shape[0] / side)), Image.Resampling.BOX
    )
    thin = thinned(np.pad(np.asarray(small) > 60, 1))
    cells = {(int(x), int(y)) for y, x in np.argwhere(thin)}
    strokes = follow(cells)
    box = np.array([point for stroke in strokes for point in stroke])
    low, high = box.min(axis=0), box.max(axis=0)
    middle, scale = (low + high) / 2, LONGEST / max(*(high - low), 1)
    return [[tuple((np.array(p) - middle) * scale) for p in stroke] for stroke in strokes]


def thinned(mask: Mask) -> Mask:
    """The middle lines of a mask whose border is empty (Zhang and Suen 1984)."""
    mask = mask.copy()
    while True:
        before = mask.copy()
        for first in (True, False):
            n = [np.roll(mask, shift, (0, 1)) for shift in AROUND]
            count = sum(np.asarray(one, int) for one in n)
            turns = sum(np.asarray(~n[i] & n[(i + 1) % 8], int) for i in range(8))
            north, east, south, west = n[0], n[2], n[4], n[6]
            if first:
                open_side = ~(north & east & south) & ~(east & south & west)
            else:
                open_side = ~(north & east & west) & ~(north & south & west)
            mask &= ~((count >= 2) & (count <= 6) & (turns == 1) & open_side)
        if (mask == before).all():
            return mask


AROUND = [(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)]
"""By how far a mask is rolled so that its northern neighbours, and so on clockwise, lie on it."""


def follow(cells: set[tuple[int, int]]) -> list[Stroke]:
    """Strokes through all cells, from neighbour to neighbour, beginning at ends of lines."""

    def beside(cell: tuple[int, int]) -> list[tuple[int, int]]:
        x, y = cell
        straight = [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]
        across = [(x + 1, y + 1), (x - 1, y + 1), (x + 1, y - 1), (x - 1, y - 1)]
        return [other for other in straight + across if other in cells]

    left, strokes = set(cells), []
    while left:
        here = min(left, key=lambda cell: (len(set(beside(cell)) & left), cell))
        # A line that branches off begins where it does.
        root = [other for other in beside(here) if other not in left][:1]
        stroke = [*root, here]
        left.discard(here)
        while ahead := [other for other in beside(here) if other in left]:
            here = ahead[0]
            stroke.append(here)
            left.discard(here)
        ends = [other for other in beside(here) if other not in stroke[-3:] and other not in left]
        strokes.append(stroke + ends[:1])
    return [[(float(x), float(y)) for x, y in stroke] for stroke in strokes]
