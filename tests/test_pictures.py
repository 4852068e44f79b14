"""Pictures as cameras make them: uneven light, few bits, rows of digits, and what is no digit."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter

import pynn

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import _digit  # noqa: E402
import _parts  # noqa: E402

Floats = npt.NDArray[np.floating[Any]]


@pytest.fixture(scope="module")
def mnist() -> npt.NDArray[np.uint8]:
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


# ------------------------------------------------------------ depth


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


# ------------------------------------------------------------ light


def flat(x: Floats, y: Floats) -> Floats:
    return np.ones_like(x)


def from_one_side(x: Floats, y: Floats) -> Floats:
    return 1 - 0.3 * (x + 1)


def from_a_corner(x: Floats, y: Floats) -> Floats:
    return 1 - 0.2 * (x + 1) - 0.15 * (y + 1)


def vignette(x: Floats, y: Floats) -> Floats:
    return 1 - 0.2 * (x**2 + y**2)


def strong_vignette(x: Floats, y: Floats) -> Floats:
    return 1 - 0.38 * (x**2 + y**2)


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
Light = Callable[[Floats, Floats], Floats]


def lit(pixels: Floats, light: Light) -> Floats:
    y, x = np.mgrid[-1 : 1 : pixels.shape[0] * 1j, -1 : 1 : pixels.shape[1] * 1j]
    return pixels * light(x, y)


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
    """However uneven it is."""
    pixels = lit(np.full((150, 200), 0.9), light) + rng.normal(0, noise, (150, 200))
    with pytest.raises(_digit.PictureError, match="blank"):
        _digit.from_image(to_image(pixels))


# ------------------------------------------------------------ one clean digit


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


# ------------------------------------------------------------ several digits


def cropped(ink: Floats) -> Floats:
    solid = ink > 0.25
    rows, columns = solid.any(axis=1).nonzero()[0], solid.any(axis=0).nonzero()[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


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
    assert reading.warnings == [f"{count} digits side by side: each is answered by itself"]
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
    """They are told apart by what hangs together, not by columns alone."""
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
    """It says what was seen."""
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
    """Be it ink with a rim of other colours, or a digit that covers little of its paper."""
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
    """Its decoders raise errors of many kinds."""
    path = tmp_path / f"image.{suffix}"
    to_image(written(np.eye(40))).convert("P" if suffix == "blp" else "L").save(path)
    contents = path.read_bytes()
    assert old in contents
    path.write_bytes(contents.replace(old, new))
    with pytest.raises((_digit.PictureError, OSError)):
        _digit.read(path)


# ------------------------------------------------------------ what hangs together


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
    """As filling them finds them, but for the numbers."""
    mask = rng.random(shape) < share
    labels, expected = _parts.label(mask), flooded(mask)
    assert ((labels > 0) == mask).all()
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(expected)) == len(np.unique(labels))


def test_a_spiral_is_one_part() -> None:
    """However long the way from its one end to the other."""
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
