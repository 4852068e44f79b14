"""Convert a picture of a digit to what MNIST would have made of it.

MNIST's digits are white on black, scaled into 20 x 20 with their proportions kept, and placed in
28 x 28 with the centre of mass in the middle. `read` does the same to any picture in four steps:

    _pixels    decode; transparent becomes background
    find_ink   how far each pixel is from the paper, whichever of the two is darker (ink.py)
    separate   cut out the digit, without specks, or each of several (parts.py)
    normalize  thicken hairlines, scale, centre

Ink is a distance from the paper, so dark on light, light on dark and one colour on another are one
case.
"""

import math
import os
import stat
import warnings
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from pynn._pictures.ink import Floats, PictureError, find_ink, quantile
from pynn._pictures.parts import separate

SIZE = 28  # MNIST's images
BOX = 20  # the box in them that holds the digit
WORKING = 1024  # longest side on which ink is looked for; a bigger picture is reduced first
MAX_PIXELS = 100_000_000  # a small file can claim any size; a phone's photo has up to 50 million
LEAST_INK = 0.005  # the least share of ink in the painted part of a transparent picture with paper
RIM = 0.2  # the most that paper's rim may differ in colour from its middle, of 1
MIN_STROKE = BOX / 10  # in pixels; 80 % of MNIST's digits have strokes 1.9 to 3.6 pixels wide

Digit = npt.NDArray[np.uint8]


class Reading(NamedTuple):
    """The digits in a picture, from left to right, and warnings why they may be wrong."""

    digits: list[Digit]
    warnings: list[str]


def load(path: str | os.PathLike[str], *, raw: bool = False) -> Digit:
    """Return the first digit in the picture at `path`. Arguments and errors are those of `read`."""
    return read(path, raw=raw).digits[0]


def read(path: str | os.PathLike[str], *, raw: bool = False) -> Reading:
    """Return the digits in the picture at `path`, each (28, 28), white on black.

    With `raw` the picture must already be 28 x 28, white on black: it is only converted to 8-bit
    grey.

    Raises:
        OSError: The file cannot be read.
        PictureError: The file is not a picture, or the picture is too large or blank, or, with
            `raw`, not 28 x 28.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about odd files and large pictures
            with _open(path) as file, Image.open(file) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PictureError(
                        f"{image.width} x {image.height} pixels are too many (at most "
                        f"{MAX_PIXELS // 1_000_000} million): scale it down"
                    )
                if raw and image.size != (SIZE, SIZE):
                    raise PictureError(
                        f"{image.width} x {image.height} pixels; --raw takes {SIZE} x {SIZE}, "
                        "white on black (without --raw any size will do)"
                    )
                pixels = _pixels(image)
    except UnidentifiedImageError:
        raise PictureError("not an image in a format that Pillow reads") from None
    except Image.DecompressionBombError:
        raise PictureError("too many pixels: scale it down") from None
    except (PictureError, OSError, MemoryError):
        raise
    except Exception as error:  # bad data makes Pillow's decoders raise errors of many classes
        raise PictureError(f"damaged image: {error}") from None
    if raw:
        return Reading([np.asarray(np.rint(pixels.mean(axis=2) * 255), np.uint8)], [])
    return _find(pixels)


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for Pillow.

    Given only the name, Pillow would map some formats: if another program then made the file
    shorter, the system would end this process. Opening a pipe would wait for its writer.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise PictureError("a pipe, a socket or a device, not a file: write it to a file first")
    return open(path, "rb")


def from_image(image: Image.Image) -> Digit:
    """Return the first digit of an open picture; raise a PictureError if it has none."""
    return _find(_pixels(image)).digits[0]


def _find(pixels: Floats) -> Reading:
    digits, doubts = separate(find_ink(pixels))
    return Reading([normalize(digit) for digit in digits], doubts)


def _pixels(image: Image.Image) -> Floats:
    """Decode a picture into (height, width, channels), 0..1, opaque, at most WORKING on a side."""
    image.draft("RGB", (WORKING, WORKING))  # a JPEG is decoded at a fraction of its size
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits and floats, of whatever range
        image = ImageOps.exif_transpose(image).convert("F")
        pixels = np.asarray(_reduce(image), np.float32)[:, :, None]
        if not np.isfinite(pixels).all() or pixels.min() < 0:
            raise PictureError("pixels that are negative or not finite")
        return np.asarray(pixels / _white(float(pixels.max())), np.float32)
    if image.getbands()[-1] in "Aa" or "transparency" in image.info:
        image = _reduce(ImageOps.exif_transpose(image).convert("RGBA"))
        return _flatten(np.asarray(image, np.float32) / np.float32(255))
    mode = "L" if image.mode in ("1", "L") else "RGB"
    image = _reduce(ImageOps.exif_transpose(image).convert(mode))
    return np.atleast_3d(np.asarray(image, np.float32) / np.float32(255))


def _white(largest: float) -> float:
    """Guess which value is white, from the largest pixel: 1, or the largest of 8, 9, 10, ... bits.

    A camera with 10 or 12 bits uses only that many bits of a file with 16.
    """
    return 1.0 if largest <= 1 else 2.0 ** max(8, math.ceil(math.log2(largest + 1))) - 1


def _reduce(image: Image.Image) -> Image.Image:
    factor = -(-max(image.size) // WORKING)
    return image.reduce(factor) if factor > 1 else image


def _flatten(rgba: Floats) -> Floats:
    """Put paper behind a transparent picture (height, width, 4), in a colour that shows the ink.

    If the painted part is itself a digit on paper (a sticker), the paper gets the sticker's colour.
    If all of it is ink, the paper is white behind dark ink and black behind light ink.
    """
    colour, alpha = rgba[:, :, :3], rgba[:, :, 3:]
    opaque = alpha[:, :, 0] > 0.5
    painted = colour[opaque]
    if not len(painted):
        raise PictureError("fully transparent: there is no digit to see")
    paper = quantile(painted, 0.5)
    # Ink may have a rim of other colours, because edges were smoothed; paper has no such rim.
    rim = np.abs(quantile(colour[opaque & ~_inside(opaque)], 0.5) - paper).max()
    if rim > RIM or np.mean(np.abs(painted - paper).max(axis=1) > 0.5) < LEAST_INK:
        paper = np.full(3, np.float32(paper.mean() < 0.5))
    return np.asarray(colour * alpha + paper * (1 - alpha), np.float32)


def _inside(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels of a mask whose four neighbours are in the mask, too."""
    wide = np.pad(mask, 1)
    rows = wide[:-2, 1:-1] & wide[2:, 1:-1]
    return np.asarray(mask & rows & wide[1:-1, :-2] & wide[1:-1, 2:], bool)


def normalize(digit: Floats) -> Digit:
    """Scale a cropped digit (height, width), 0..1, into 20 x 20; centre it by mass in 28 x 28."""
    image = Image.fromarray(np.rint(digit * 255).astype(np.uint8))
    longest = max(image.size)
    if longest > 10 * BOX:  # this size is enough, and the filter in _thicken is slow on more
        image = _fit(image, 10 * BOX)
    image = _thicken(image)
    scaled = np.asarray(_fit(image, BOX), np.float32)
    scaled *= 255 / max(scaled.max(), 1)

    # The pixel with index 14 is MNIST's middle: its test set's centres of mass lie in 13.5 .. 14.5.
    page = np.zeros((SIZE, SIZE), np.uint8)
    height, width = scaled.shape
    mass = scaled.sum()
    y = SIZE / 2 - scaled.sum(axis=1) @ np.arange(height) / mass
    x = SIZE / 2 - scaled.sum(axis=0) @ np.arange(width) / mass
    top = min(max(round(float(y)), 0), SIZE - height)
    left = min(max(round(float(x)), 0), SIZE - width)
    page[top : top + height, left : left + width] = np.rint(scaled)
    return page


def _fit(image: Image.Image, side: int) -> Image.Image:
    """Scale an image so that its longer side is `side`."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC)


def _thicken(image: Image.Image) -> Image.Image:
    """Widen strokes that would be too thin in the 20 x 20 box and fade to grey there.

    The width of a stroke is twice its area divided by the length of its outline. That length is on
    average pi / 4 times the number of steps between ink and paper along all rows and columns
    (Cauchy-Crofton).
    """
    ink = np.pad(np.asarray(image) > 127, 1)
    steps = np.count_nonzero(ink[1:] != ink[:-1]) + np.count_nonzero(ink[:, 1:] != ink[:, :-1])
    width = 2 * np.count_nonzero(ink) / max(np.pi / 4 * steps, 1)
    grow = round((MIN_STROKE * max(image.size) / BOX - width) / 2)
    if grow < 1:
        return image
    return ImageOps.expand(image, grow).filter(ImageFilter.MaxFilter(2 * grow + 1))
