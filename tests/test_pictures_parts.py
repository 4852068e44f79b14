"""The connected parts of a picture's ink."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import pynn._pictures.parts as _parts


def flooded(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The parts of a mask, by filling one after the other."""
    labels = np.zeros(mask.shape, np.int64)
    for start in zip(*mask.nonzero(), strict=True):
        todo, number = [start], int(labels.max()) + 1
        while todo:
            y, x = todo.pop()
            inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
            if inside and mask[y, x] and not labels[y, x]:
                labels[y, x] = number
                todo += [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return labels


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (25, 40)])
def test_parts_are_numbered(share: float, shape: tuple[int, int], rng: np.random.Generator) -> None:
    """They are the parts that flood filling finds, up to their numbers."""
    mask = rng.random(shape) < share
    labels, expected = _parts.label(mask), flooded(mask)
    assert ((labels > 0) == mask).all()
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(expected)) == len(np.unique(labels))


def test_a_spiral_is_one_part() -> None:
    """It is one part, however long the way from one end to the other."""
    mask = np.zeros((41, 41), bool)
    x, y, direction, length = 20, 20, (1, 0), 2
    while length < 40:
        for _ in range(2):
            for _ in range(length):
                mask[y, x] = True
                x, y = x + direction[0], y + direction[1]
            direction = (-direction[1], direction[0])
        length += 2
    assert len(np.unique(_parts.label(mask))) == 2
