"""Pictures as cameras make them: neither uneven light nor unused bits change the digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from drawn_digits import (
    Floats,
    Light,
    apart,
    enlarged,
    flat,
    lit,
    mnist_test_images,
    read,
    strong_vignette,
    to_image,
    written,
)
from PIL import Image

import pynn._pictures.digit as _digit

mnist = pytest.fixture(scope="module")(mnist_test_images)


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_wide_pixels_may_use_few_of_their_bits(
    mnist: npt.NDArray[np.uint8], bits: int, kind: type, tmp_path: Path
) -> None:
    """A camera of 10 or 12 bits fills files of 16 with them."""
    pixels = written(enlarged(mnist[0]))
    plain = read(to_image(pixels), tmp_path)
    wide = Image.fromarray((pixels * (2**bits - 1)).astype(kind))
    reading = read(wide, tmp_path, "tiff")
    assert apart(reading.digits[0], plain.digits[0]) < 3
    assert reading.warnings == []


@pytest.mark.parametrize("white", [1, 255, 1023, 4095, 65535])
def test_raw_pixels_are_scaled_by_the_bits_they_use(white: int, tmp_path: Path) -> None:
    """White is the largest number of as many bits."""
    pixels = np.zeros((28, 28), np.float32)
    pixels[4:20, 9:12] = white
    Image.fromarray(pixels).save(tmp_path / "raw.tiff")
    raw = _digit.read(tmp_path / "raw.tiff", raw=True).digits[0]
    np.testing.assert_array_equal(raw, np.uint8(255) * (pixels > 0))


def from_one_side(x: Floats, y: Floats) -> Floats:
    return 1 - 0.3 * (x + 1)


def from_a_corner(x: Floats, y: Floats) -> Floats:
    return 1 - 0.2 * (x + 1) - 0.15 * (y + 1)


def vignette(x: Floats, y: Floats) -> Floats:
    return 1 - 0.2 * (x**2 + y**2)


def of_a_lens(x: Floats, y: Floats) -> Floats:
    """The fourth power of the cosine."""
    return (1 + 0.4 * (x**2 + y**2)) ** -2


def off_the_middle(x: Floats, y: Floats) -> Floats:
    return 1 - 0.2 * ((x - 0.4) ** 2 + (y + 0.3) ** 2)


def of_a_lamp(x: Floats, y: Floats) -> Floats:
    return np.exp(-((x - 0.2) ** 2) - (y + 0.3) ** 2)


def darkest_in_the_middle(x: Floats, y: Floats) -> Floats:
    return 0.5 + 0.25 * (x**2 + y**2)


def soft_shadow(x: Floats, y: Floats) -> Floats:
    return 0.4 + 0.6 / (1 + np.exp(-4 * x))


LIGHTS = [
    flat,
    from_one_side,
    from_a_corner,
    vignette,
    strong_vignette,
    of_a_lens,
    off_the_middle,
    of_a_lamp,
    darkest_in_the_middle,
    soft_shadow,
]


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize(("paper", "ink"), [(0.9, 0.1), (0.9, 0.45), (0.2, 0.9)])
@pytest.mark.parametrize("bold", [0, 5])
def test_light_that_falls_off_smoothly_does_not_matter(
    mnist: npt.NDArray[np.uint8],
    light: Light,
    paper: float,
    ink: float,
    bold: int,
    rng: np.random.Generator,
    tmp_path: Path,
) -> None:
    """Thin and bold digits, dark and light ones, are what they are in even light."""
    for image in mnist[1:3]:
        page = np.pad(enlarged(image, bold=bold), [(40, 14), (20, 34)])
        pixels = paper + (ink - paper) * page
        even = read(to_image(pixels), tmp_path)
        noise = rng.normal(0, 0.005, pixels.shape)
        reading = read(to_image(lit(pixels, light) + noise), tmp_path)
        assert apart(reading.digits[0], even.digits[0]) < 50
        assert reading.warnings == []


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("noise", [0, 0.01])
def test_paper_without_a_digit_is_blank_in_any_light(
    light: Light, noise: float, rng: np.random.Generator
) -> None:
    """Empty paper is blank, however uneven the light."""
    pixels = lit(np.full((150, 200), 0.9), light) + rng.normal(0, noise, (150, 200))
    with pytest.raises(_digit.PictureError, match="blank"):
        _digit.from_image(to_image(pixels))
