"""Pictures that may be no digit give a warning; transparent and damaged ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from drawn_digits import (
    Floats,
    apart,
    cropped,
    enlarged,
    mnist_test_images,
    read,
    to_image,
    written,
)
from PIL import Image

import pynn._pictures.digit as _digit

mnist = pytest.fixture(scope="module")(mnist_test_images)


# ------------------------------------------------------------ doubtful pictures


def page_of(image: npt.NDArray[np.uint8]) -> Floats:
    return np.pad(enlarged(image), 40)


def a_shadows_edge(page: Floats) -> Floats:
    shade = np.where(np.arange(page.shape[1]) > 0.6 * page.shape[1], 0.35, 1)
    return written(page) * shade


def a_shadow_in_the_corner(page: Floats) -> Floats:
    y, x = np.indices(page.shape)
    return written(page) * np.where(x + y < 0.4 * len(page), 0.35, 1)


def ruled_paper(page: Floats) -> Floats:
    page = page.copy()
    page[20::45] = page[21::45] = 1
    return written(page)


def squared_paper(page: Floats) -> Floats:
    page = page.copy()
    page[20::45] = page[:, 10::45] = 0.8
    return written(page)


def cut_off_below(page: Floats) -> Floats:
    return written(page[: len(page) // 2])


def cut_off_at_the_left(page: Floats) -> Floats:
    return written(page[:, page.shape[1] // 2 :])


def in_a_frame(page: Floats) -> Floats:
    page = page.copy()
    page[20:26, 20:-20] = page[-26:-20, 20:-20] = page[20:-20, 20:26] = page[20:-20, -26:-20] = 1
    return written(page)


def one_above_the_other(page: Floats) -> Floats:
    return written(np.concatenate([page, page]))


def touching(page: Floats) -> Floats:
    """Three zeros, or so, hand in hand."""
    ink = np.pad(cropped(page), [(0, 0), (0, 6)])
    row = np.concatenate([ink, ink, ink], axis=1)
    row[row.shape[0] // 2 - 4 : row.shape[0] // 2 + 4] = 1
    return written(np.pad(row, 40))


def underlined(page: Floats) -> Floats:
    """By a line that is longer than the digit."""
    side = len(page)
    top = np.flatnonzero((page > 0.5).any(axis=1))[-1] + side // 12
    lined = page.copy()
    lined[top : top + side // 40, side // 6 : -side // 6] = 1
    return written(lined)


def overlined(page: Floats) -> Floats:
    return underlined(page[::-1])[::-1]


def a_blot(page: Floats) -> Floats:
    y, x = np.indices(page.shape) / len(page) - 0.5
    return written(1.0 * (x**2 + y**2 < 0.23))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (a_shadows_edge, "ink touches the border of the picture"),
        (a_shadow_in_the_corner, "ink touches the border of the picture"),
        (ruled_paper, "ink touches the border of the picture"),
        (squared_paper, "ink touches the border of the picture"),
        (cut_off_below, "ink touches the border of the picture"),
        (cut_off_at_the_left, "ink touches the border of the picture"),
        (in_a_frame, "ink in 2 large parts: taken for one digit"),
        (one_above_the_other, "ink in 2 large parts: taken for one digit"),
        (underlined, "ink has a line above or below: taken for a part of the digit"),
        (overlined, "ink has a line above or below: taken for a part of the digit"),
        (touching, "ink is wider than a digit"),
        (a_blot, "ink fills more than half of the picture"),
    ],
)
def test_a_doubtful_picture_gets_a_warning(
    mnist: npt.NDArray[np.uint8], change: Callable[[Floats], Floats], says: str, tmp_path: Path
) -> None:
    """The warning says what was seen."""
    for image in mnist[[3, 0, 1]]:
        reading = read(to_image(change(page_of(image))), tmp_path)
        assert any(warning.startswith(says) for warning in reading.warnings)


def sticker(ink: Floats) -> Image.Image:
    """A digit on paper, around which the picture is transparent."""
    alpha = np.zeros((280, 280))
    alpha[40:240, 40:240] = 1
    page = np.full((280, 280), 0.9)
    page[84:196, 84:196] = written(ink)
    return Image.merge("RGBA", [*[to_image(page)] * 3, to_image(alpha)])


def of_four_colours(ink: Floats) -> Image.Image:
    """A GIF's kind: paper is transparent, and the rim of the ink is lighter."""
    few = np.round(np.pad(ink, 84) * 3) / 3
    return Image.merge("RGBA", [*[to_image(written(few))] * 3, to_image(few > 0)])


@pytest.mark.parametrize("number", [0, 1, 3, 4, 8, 9])
@pytest.mark.parametrize("picture", [sticker, of_four_colours])
@pytest.mark.parametrize("inverted", [False, True])
def test_transparent_pictures_show_what_is_painted(
    picture: Callable[[Floats], Image.Image],
    number: int,
    inverted: bool,
    mnist: npt.NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    """Ink may have a rim of other colours, and a digit may cover little of its paper."""
    ink = enlarged(mnist[number])
    image = picture(ink)
    if inverted:
        *colours, alpha = image.split()
        image = Image.merge("RGBA", [*[c.point(lambda v: 255 - v) for c in colours], alpha])
    plain = read(to_image(written(np.pad(ink, 84))), tmp_path).digits[0]
    assert apart(read(image, tmp_path).digits[0], plain) < 50


# ------------------------------------------------------------ damage


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [
        ("blp", b"BLP2\1", b"BLP2\7"),  # a NotImplementedError of Pillow's
        ("png", b"IDAT", b"IDAX"),  # an OSError or a SyntaxError
    ],
)
def test_damage_is_no_picture_whatever_pillow_raises(
    suffix: str, old: bytes, new: bytes, tmp_path: Path
) -> None:
    """Pillow's decoders raise errors of many kinds; all become a PictureError or an OSError."""
    path = tmp_path / f"image.{suffix}"
    to_image(written(np.eye(40))).convert("P" if suffix == "blp" else "L").save(path)
    contents = path.read_bytes()
    assert old in contents
    path.write_bytes(contents.replace(old, new))
    with pytest.raises((_digit.PictureError, OSError)):
        _digit.read(path)
