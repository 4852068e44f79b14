"""Clean pictures of one digit, and of several side by side, are read without doubt."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from drawn_digits import (
    ROOT,
    Floats,
    Light,
    apart,
    cropped,
    enlarged,
    flat,
    lit,
    mnist_test_images,
    read,
    strong_vignette,
    to_image,
    written,
)
from PIL import Image, ImageDraw

import pynn._pictures.digit as _digit

mnist = pytest.fixture(scope="module")(mnist_test_images)


def small(ink: Floats) -> tuple[Image.Image, str]:
    return to_image(written(ink)).resize((56, 56), Image.Resampling.LANCZOS), "png"


def jpeg(ink: Floats) -> tuple[Image.Image, str]:
    stored = io.BytesIO()
    to_image(written(ink)).save(stored, "jpeg", quality=20)
    return Image.open(stored), "png"


def transparent(ink: Floats) -> tuple[Image.Image, str]:
    image = Image.new("RGBA", ink.shape[::-1], (30, 60, 160, 0))
    image.putalpha(to_image(ink))
    return image, "png"


def of_sixteen_colours(ink: Floats) -> tuple[Image.Image, str]:
    return to_image(written(ink)).convert("RGB").quantize(16), "png"


def for_print(ink: Floats) -> tuple[Image.Image, str]:
    return to_image(written(ink)).convert("CMYK"), "tiff"


def of_one_bit(ink: Floats) -> tuple[Image.Image, str]:
    return to_image(written(ink)).convert("1", dither=Image.Dither.NONE), "png"


def grainy(ink: Floats) -> tuple[Image.Image, str]:
    noise = np.random.default_rng(60).normal(0, 0.05, ink.shape)
    return to_image(0.85 - 0.7 * ink + noise), "png"


@pytest.mark.parametrize(
    "make", [small, jpeg, transparent, of_sixteen_colours, for_print, of_one_bit, grainy]
)
@pytest.mark.parametrize(("bold", "turn"), [(0, 0), (0, -15), (3, 0), (3, 15)])
def test_a_digit_is_read_without_doubt(
    mnist: npt.NDArray[np.uint8],
    make: Callable[[Floats], tuple[Image.Image, str]],
    bold: int,
    turn: float,
    tmp_path: Path,
) -> None:
    """Turned, thick and thin, however it is stored: the same digit, and no warning."""
    for image in mnist[11:13]:
        ink = np.pad(enlarged(image, bold=bold, turn=turn), 20)
        plain = read(to_image(written(ink)), tmp_path)
        reading = read(*(lambda made: (made[0], tmp_path, made[1]))(make(ink)))
        assert [len(plain.digits), len(reading.digits)] == [1, 1]
        assert apart(reading.digits[0], plain.digits[0]) < 50
        assert plain.warnings == reading.warnings == []


def test_mnists_digits_on_larger_paper_are_read_without_doubt(
    mnist: npt.NDArray[np.uint8], rng: np.random.Generator
) -> None:
    """Their strokes are broken here and there; they are still one digit each."""
    doubts = []
    for image in mnist[:300]:
        page = np.zeros(rng.integers(30, 70, 2), np.uint8)
        top, left = (int(rng.integers(0, side - 27)) for side in page.shape)
        page[top : top + 28, left : left + 28] = image
        reading = _digit._find(np.float32(255 - page)[:, :, None] / 255)
        doubts += reading.warnings
    assert doubts == []


@pytest.mark.parametrize("name", ["two", "three", "five", "seven"])
def test_repositorys_images_are_read_without_doubt(name: str) -> None:
    """They are what a digit should look like."""
    reading = _digit.read(ROOT / "data" / "digits" / f"{name}.png")
    assert len(reading.digits) == 1
    assert reading.warnings == []


def in_a_row(digits: list[Floats], gap: int, rng: np.random.Generator) -> Floats:
    """Digits side by side, some a little higher than others, with paper around."""
    height = max(len(ink) for ink in digits) + 16
    columns = []
    for ink in digits:
        top = int(rng.integers(0, height - len(ink) + 1))
        columns.append(np.pad(ink, [(top, height - len(ink) - top), (0, gap)]))
    return np.pad(np.concatenate(columns, axis=1), 30)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("gap", [6, 20, 90])
@pytest.mark.parametrize("light", [flat, strong_vignette])
def test_digits_side_by_side_are_read_one_by_one(
    mnist: npt.NDArray[np.uint8],
    count: int,
    gap: int,
    light: Light,
    rng: np.random.Generator,
    tmp_path: Path,
) -> None:
    """From left to right, each as if it were alone; a warning says how many there are."""
    digits = [cropped(enlarged(image)) for image in mnist[20 : 20 + count]]
    pixels = lit(written(in_a_row(digits, gap, rng)), light)
    reading = read(to_image(pixels), tmp_path)
    assert reading.warnings == [f"{count} digits side by side: each is classified by itself"]
    alone = [_digit.from_image(to_image(written(np.pad(ink, 30)))) for ink in digits]
    for digit, expected in zip(reading.digits, alone, strict=True):
        assert apart(digit, expected) < 50


def strokes(*lines: list[tuple[int, int]], size: tuple[int, int] = (300, 200)) -> Floats:
    """Polygonal lines of ink, 12 pixels wide."""
    page = Image.new("L", size)
    for line in lines:
        ImageDraw.Draw(page).line(line, fill=255, width=12)
    return np.asarray(page, np.float64) / 255


def test_digits_that_lean_share_columns(tmp_path: Path) -> None:
    """Digits are separated by connected ink, not by columns alone."""
    slash = [(130, 40), (70, 160)]
    beside = [(x + 60, y) for x, y in slash]
    reading = read(to_image(written(strokes(slash, beside))), tmp_path)
    assert len(reading.digits) == 2
    assert apart(*reading.digits) < 5


def test_a_stroke_above_is_no_digit_beside(tmp_path: Path) -> None:
    """A five whose bar is apart is one digit."""
    five = strokes([(120, 40), (180, 40)], [(115, 60), (118, 90), (170, 110), (160, 160)])
    reading = read(to_image(written(five)), tmp_path)
    assert len(reading.digits) == 1
    assert reading.warnings == []


def test_a_blot_beside_is_no_large_part(tmp_path: Path) -> None:
    """It belongs to the digit, as the pieces of a broken stroke do."""
    page = strokes([(60, 40), (120, 40), (80, 160)])
    page[150:164, 190:204] = 1
    reading = read(to_image(written(page)), tmp_path)
    assert len(reading.digits) == 1
    assert reading.warnings == []
