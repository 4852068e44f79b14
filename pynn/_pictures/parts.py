"""Divide the ink of a picture into digits, without specks, and warn where that is doubtful."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._pictures.ink import Floats

SOLID = 0.25  # the least ink that counts as solid; fainter ink is an edge
SPECK = 0.03  # of the heaviest part's ink; a part with less is erased as a speck

# With these limits, of MNIST's 70,000 digits 22 are cut in two, 69 are called scattered, 56 wide.
TALL = 0.5  # of the tallest part's height; a part of at least this height may be a digit
OVERLAP = 0.25  # of the narrower part's width; two digits that lean share at most so many columns
HEAVY = 0.2  # of the heaviest part's ink; a part with less is a piece of a broken stroke
GAP = 0.2  # of the larger part's longer side; strokes of one digit are at most so far apart.
# Between two parts that are as tall as digits it is half of that.
FLAT = 0.2  # of its width; a stroke of at most this height may be a line on the paper
LONG = 1.25  # times the width of the other parts; a stroke wider than this is a line
WIDE = 1.75  # times its height; no digit is wider
FULL = 0.5  # of the picture; no digit covers more

Labels = npt.NDArray[np.int64]


class Part(NamedTuple):
    """A connected piece of ink: its label, the amount of ink, and the box around it."""

    label: int
    weight: float
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def separate(ink: Floats) -> tuple[list[Floats], list[str]]:
    """Return the ink of each digit, cropped, from left to right, and warnings."""
    cleaned = _without_specks(ink)
    warnings = []
    if np.mean(cleaned > 0.5) > FULL:
        warnings.append("ink fills more than half of the picture, as no digit does")
    edges = np.concatenate([cleaned[0], cleaned[-1], cleaned[:, 0], cleaned[:, -1]])
    if edges.max() > SOLID:
        warnings.append(
            "ink touches the border of the picture: a shadow or a line, or a digit that is cut off"
        )
    digits = _side_by_side(_crop(cleaned))
    if len(digits) > 1:
        warnings.append(f"{len(digits)} digits side by side: each is classified by itself")
    for digit in digits:
        height, width = digit.shape
        pieces = _count_scattered(digit)
        which = "ink" if len(digits) == 1 else "ink of one of them"
        if pieces > 1:
            warnings.append(f"{which} in {pieces} large parts: taken for one digit")
        elif _has_line(digit):
            warnings.append(f"{which} has a line above or below: taken for a part of the digit")
        elif width > WIDE * height:
            warnings.append(f"{which} is wider than a digit: several that touch are taken for one")
    return digits, warnings


def _without_specks(ink: Floats) -> Floats:
    """Erase parts that have little ink beside the heaviest; strokes that nearly meet are one."""
    cell = -(-max(ink.shape) // 128)
    cells = _cells(ink, cell)
    labels = label(cells.max(axis=(1, 3)) > SOLID)
    weights = np.bincount(labels.ravel(), cells.sum(axis=(1, 3)).ravel())
    weights[0] = 0
    keep = weights >= SPECK * weights.max()
    keep[0] = False
    mask = np.kron(keep[labels], np.ones((cell, cell), bool))[: ink.shape[0], : ink.shape[1]]
    return np.where(mask, ink, np.float32(0))


def _crop(ink: Floats) -> Floats:
    """Cut out the box around the solid ink."""
    solid = ink > SOLID
    top, bottom = np.flatnonzero(solid.any(axis=1))[[0, -1]]
    left, right = np.flatnonzero(solid.any(axis=0))[[0, -1]]
    return ink[top : bottom + 1, left : right + 1]


def _side_by_side(ink: Floats) -> list[Floats]:
    """Cut cropped ink into the digits of a row, if there is a row.

    Digits are tall parts that share few columns. Smaller parts, and faint ink, go to the digit
    whose columns are nearest.
    """
    labels = label(ink > SOLID)
    parts = _parts(labels, ink)
    tallest = max(part.height for part in parts)
    row: list[list[Part]] = []
    for part in sorted((p for p in parts if p.height >= TALL * tallest), key=lambda p: p.left):
        if row and _share_columns(row[-1], part):
            row[-1].append(part)
        else:
            row.append([part])
    if len(row) == 1:
        return [ink]
    ends = [max(part.right for part in digit) for digit in row[:-1]]
    middles = [(end + digit[0].left) / 2 for end, digit in zip(ends, row[1:], strict=True)]
    by_column = np.searchsorted(middles, np.arange(ink.shape[1]))
    whose = np.zeros(labels.max() + 1, np.int64)
    for part in parts:
        whose[part.label] = by_column[(part.left + part.right) // 2]
    for number, digit in enumerate(row):
        whose[[part.label for part in digit]] = number
    owner = np.where(labels > 0, whose[labels], by_column)
    return [_crop(np.where(owner == number, ink, np.float32(0))) for number in range(len(row))]


def _share_columns(digit: list[Part], part: Part) -> bool:
    """Whether a part stands above or below the parts of a digit, rather than beside them."""
    left = min(other.left for other in digit)
    right = max(other.right for other in digit)
    shared = min(right, part.right) - max(left, part.left)
    return shared > OVERLAP * min(right - left, part.width)


def _count_scattered(ink: Floats) -> int:
    """Count the groups of heavy parts in one digit; parts of a group are near each other."""
    cell = -(-max(ink.shape) // 64)
    cells = _cells(ink, cell)
    labels = label(cells.max(axis=(1, 3)) > SOLID)
    parts = _parts(labels, cells.sum(axis=(1, 3)))
    heaviest = max(part.weight for part in parts)
    groups: list[list[Part]] = []
    for part in parts:
        if part.weight >= HEAVY * heaviest:
            near = [g for g in groups if any(_are_near(labels, part, other) for other in g)]
            groups = [g for g in groups if g not in near] + [sum(near, [part])]
    return len(groups)


def _has_line(ink: Floats) -> bool:
    """Whether a flat part is wider than all others together, and stands above or below them."""
    cell = -(-max(ink.shape) // 64)
    cells = _cells(ink, cell)
    parts = _parts(label(cells.max(axis=(1, 3)) > SOLID), cells.sum(axis=(1, 3)))
    for line in parts:
        rest = [part for part in parts if part is not line]
        if rest and line.height < FLAT * line.width:
            width = max(part.right for part in rest) - min(part.left for part in rest)
            below = line.top >= max(part.bottom for part in rest)
            above = line.bottom <= min(part.top for part in rest)
            if line.width > LONG * width and (below or above):
                return True
    return False


def _are_near(labels: Labels, one: Part, other: Part) -> bool:
    """Whether two parts may be strokes of one digit: near, and neither frames the other."""
    if _is_within(one, other) or _is_within(other, one):
        return False
    a, b = np.argwhere(labels == one.label), np.argwhere(labels == other.label)
    nearest = np.sqrt(((a[:, None] - b) ** 2).sum(axis=2).min())
    heights = sorted([one.height, other.height])
    are_digits = heights[0] >= TALL * heights[1]
    size = max(heights[1], one.width, other.width)
    return bool(nearest - 1 < (GAP / 2 if are_digits else GAP) * size)


def _is_within(one: Part, other: Part) -> bool:
    below = other.top < one.top and one.bottom < other.bottom
    return below and other.left < one.left and one.right < other.right


def _cells(ink: Floats, cell: int) -> Floats:
    """Divide ink into squares of pixels, (rows, cell, columns, cell), padded with 0."""
    padded = np.pad(ink, [(0, -side % cell) for side in ink.shape])
    return padded.reshape(padded.shape[0] // cell, cell, padded.shape[1] // cell, cell)


def _parts(labels: Labels, ink: Floats) -> list[Part]:
    """The parts that have more ink than a speck."""
    weights = np.bincount(labels.ravel(), ink.ravel())
    weights[0] = 0
    found = []
    for number in np.flatnonzero(weights >= SPECK * weights.max()).tolist():
        mask = labels == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
        found.append(Part(number, float(weights[number]), *map(int, box)))
    return found


def label(mask: npt.NDArray[np.bool_]) -> Labels:
    """Number the parts of a mask that touch, also at corners; 0 is outside.

    The algorithm works on runs, the stretches of a row in the mask. It finds the pairs of runs in
    neighbouring rows that touch. Then each run takes the least number of the runs that it touches,
    and that run's own least number, until nothing changes.
    """
    width = mask.shape[1] + 2  # a gap on each side, so that no run goes on in the next row
    flat = np.pad(mask, [(0, 0), (1, 1)]).ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, ends = changes[0::2], changes[1::2]
    first = np.searchsorted(ends, starts + width)
    touched = np.searchsorted(starts, ends + width, side="right") - first
    above = np.repeat(np.arange(len(starts)), touched)
    below = np.arange(len(above)) + np.repeat(first - np.cumsum(touched) + touched, touched)
    least = np.arange(len(starts))
    while (least[above] != least[below]).any():
        either = np.minimum(least[above], least[below])
        np.minimum.at(least, least[above], either)
        np.minimum.at(least, least[below], either)
        while (least[least] != least).any():
            least = least[least]
    labels = np.zeros(flat.shape, np.int64)
    labels[flat] = np.repeat(least + 1, ends - starts)
    return labels.reshape(-1, width)[:, 1:-1]
