"""From a picture of a digit to what MNIST would have made of it.

MNIST's digits are white on black, scaled into 20 x 20 with their proportions kept, and placed in
28 x 28 with the centre of mass in the middle. `load` does the same to any picture in four steps:

    _pixels    decode; transparent becomes background
    find_ink   how far each pixel is from the paper, whichever of the two is darker
    _crop      to the ink, without specks
    normalize  thicken hairlines, scale, centre

Ink is a distance from the paper, so dark on light, light on dark and one colour on another are one
case.
"""

import os
import stat
import warnings
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

SIZE = 28  # MNIST's images
BOX = 20  # the box in them that holds the digit
WORKING = 1024  # longest side on which ink is looked for; a bigger picture is reduced first
MAX_PIXELS = 100_000_000  # a small file can claim any size; a phone's photo has up to 50 million
MIN_CONTRAST = 0.08  # between ink and paper, of 1; less is a blank picture
MIN_STROKE = BOX / 10  # in the box; 80 % of MNIST's digits have strokes 1.9 to 3.6 pixels wide

Floats = npt.NDArray[np.float32]
Digit = npt.NDArray[np.uint8]


class PictureError(Exception):
    """A picture that cannot be used; the message says why."""


def load(path: str | os.PathLike[str], *, raw: bool = False) -> Digit:
    """Return the picture at `path` as a digit (28, 28), white on black.

    With `raw` the picture must be one already: it is only converted to 8-bit grey.

    Raises:
        OSError: the file cannot be read.
        PictureError: it is no picture, too large, blank, or (raw) not 28 x 28.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of a file, and sizes below MAX_PIXELS
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
    except (ValueError, SyntaxError, EOFError) as error:  # what Pillow's decoders raise on bad data
        raise PictureError(f"damaged image: {error}") from None
    if raw:
        return np.asarray(np.rint(pixels.mean(axis=2) * 255), np.uint8)
    return normalize(_crop(find_ink(pixels)))


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for Pillow, which maps some formats if it is given the name.

    A mapped file that another program makes shorter would end this one; a pipe would be waited for.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise PictureError("a pipe, a socket or a device, not a file: write it to a file first")
    return open(path, "rb")


def from_image(image: Image.Image) -> Digit:
    """Return an open picture as a digit (28, 28); PictureError if there is none in it."""
    return normalize(_crop(find_ink(_pixels(image))))


def _pixels(image: Image.Image) -> Floats:
    """Decode into (height, width, channels), 0..1, opaque, at most WORKING on a side."""
    image.draft("RGB", (WORKING, WORKING))  # a JPEG is decoded at a fraction of its size
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits and floats, of whatever range
        image = ImageOps.exif_transpose(image).convert("F")
        pixels = np.asarray(_reduce(image), np.float32)[:, :, None]
        if not np.isfinite(pixels).all() or pixels.min() < 0:
            raise PictureError("pixels that are negative or not finite")
        white = next((w for w in (1.0, 255.0, 65535.0) if pixels.max() <= w), float(pixels.max()))
        return np.asarray(pixels / white, np.float32)
    if image.getbands()[-1] in "Aa" or "transparency" in image.info:
        image = _reduce(ImageOps.exif_transpose(image).convert("RGBA"))
        return _flatten(np.asarray(image, np.float32) / np.float32(255))
    mode = "L" if image.mode in ("1", "L") else "RGB"
    image = _reduce(ImageOps.exif_transpose(image).convert(mode))
    return np.atleast_3d(np.asarray(image, np.float32) / np.float32(255))


def _reduce(image: Image.Image) -> Image.Image:
    factor = -(-max(image.size) // WORKING)
    return image.reduce(factor) if factor > 1 else image


def _flatten(rgba: Floats) -> Floats:
    """Lay a transparent picture (height, width, 4) on paper of a colour that shows what is painted.

    Where the painted part is itself a digit on paper (a sticker), that paper goes on; where all of
    it is ink, the paper is white under dark ink and black under light.
    """
    colour, alpha = rgba[:, :, :3], rgba[:, :, 3:]
    painted = colour[alpha[:, :, 0] > 0.5]
    if not len(painted):
        raise PictureError("fully transparent: there is no digit to see")
    paper = _quantile(painted, 0.5)
    if np.mean(np.abs(painted - paper).max(axis=1) > 0.5) < 0.05:
        paper = np.full(3, np.float32(paper.mean() < 0.5))
    return np.asarray(colour * alpha + paper * (1 - alpha), np.float32)


def find_ink(pixels: Floats) -> Floats:
    """Return the ink (height, width), 0..1, in each of the pixels (height, width, channels).

    The paper is a plane through the pixels of the picture's border, fitted to the better half of
    them, so light may fall off from one side to the other and the digit may touch the border here
    and there. What the border's noise reaches is paper, the typical stroke is ink, and edges lie
    between. PictureError if nothing stands out.
    """
    height, width, _ = pixels.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    plane = np.stack([np.ones_like(x), x / width, y / height], axis=2)
    on_border = np.ones((height, width), bool)
    on_border[1:-1, 1:-1] = False
    terms, border = plane[on_border], pixels[on_border]
    off = np.abs(border - _quantile(border, 0.5)).max(axis=1)
    for _ in range(3):
        near = off <= _quantile(off, 0.5)
        if np.linalg.matrix_rank(terms[near]) < 3:
            fit = np.vstack([_quantile(border[near], 0.5), np.zeros((2, border.shape[1]))])
        else:
            fit = np.linalg.lstsq(terms[near], border[near], rcond=None)[0]
        off = np.abs(border - terms @ fit).max(axis=1)
    distance = np.abs(pixels - plane @ fit.astype(np.float32)).max(axis=2)

    noise = min(4 * _quantile(off, 0.5), _quantile(off, 0.9))
    beyond = distance[distance > max(noise, MIN_CONTRAST / 2)]
    stroke = _quantile(_upper_part(beyond), 0.5) if len(beyond) else 0.0
    if stroke < max(MIN_CONTRAST, 2 * noise):
        raise PictureError("blank: no digit stands out from the paper")
    return np.asarray(np.clip((distance - noise) / (stroke - noise), 0, 1), np.float32)


def _upper_part(values: Floats) -> Floats:
    """Return the values above the cut that lies halfway between the means of both its sides.

    There is at least one value, and one in the result. Found by repetition (Ridler and Calvard
    1978), which lands near Otsu's cut without a histogram.
    """
    cut = float(values.mean())
    upper = values
    for _ in range(20):
        lower = values[values < cut]
        upper = values[values >= min(cut, values.max())]  # the mean of equal values may round up
        if not len(lower):
            break
        cut = float(lower.mean() + upper.mean()) / 2
    return upper


def _crop(ink: Floats) -> Floats:
    """Cut out the digit: the box around all ink but the specks, which are erased."""
    cell = -(-max(ink.shape) // 128)  # joins strokes that nearly meet, and keeps labelling cheap
    padded = np.pad(ink, [(0, -side % cell) for side in ink.shape])
    rows, columns = padded.shape[0] // cell, padded.shape[1] // cell
    cells = padded.reshape(rows, cell, columns, cell)
    labels = _components(cells.max(axis=(1, 3)) > 0.25)
    weights = np.bincount(labels.ravel(), cells.sum(axis=(1, 3)).ravel())
    weights[0] = 0
    keep = weights >= 0.03 * weights.max()
    keep[0] = False
    mask = np.kron(keep[labels], np.ones((cell, cell), bool))[: ink.shape[0], : ink.shape[1]]
    digit = np.where(mask, ink, np.float32(0))
    solid = digit > 0.25
    top, bottom = np.flatnonzero(solid.any(axis=1))[[0, -1]]
    left, right = np.flatnonzero(solid.any(axis=0))[[0, -1]]
    return digit[top : bottom + 1, left : right + 1]


def _quantile(values: Floats, share: float) -> Floats:
    """np.quantile along the first axis; that imports numpy.ma, which takes longer than the rest."""
    ordered = np.sort(values, axis=0)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return np.asarray(ordered[low] + (ordered[high] - ordered[low]) * (place - low), values.dtype)


def _components(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number the 8-connected parts of a mask: 0 outside, the same number all over a part."""
    around = np.pad(np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0), 1)
    labels = around[1:-1, 1:-1]
    while True:
        rows = np.maximum(np.maximum(around[:-2], around[1:-1]), around[2:])
        spread = np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]) * mask
        if (spread == labels).all():
            return labels
        labels[...] = spread


def normalize(digit: Floats) -> Digit:
    """Fit a cropped digit (height, width), 0..1, into 20 x 20; centre by mass in 28 x 28."""
    image = Image.fromarray(np.rint(digit * 255).astype(np.uint8))
    longest = max(image.size)
    if longest > 10 * BOX:  # enough for what follows, and the filter below is slow on more
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
    """Scale so that the longer side is `side`."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC)


def _thicken(image: Image.Image) -> Image.Image:
    """Widen strokes that would be hairlines in the 20 x 20 box, and so fade to grey there.

    The width of a stroke is twice its area over its outline; the outline of a shape is on average
    pi / 4 of the steps between ink and paper along all rows and columns (Cauchy-Crofton).
    """
    ink = np.pad(np.asarray(image) > 127, 1)
    steps = np.count_nonzero(ink[1:] != ink[:-1]) + np.count_nonzero(ink[:, 1:] != ink[:, :-1])
    width = 2 * np.count_nonzero(ink) / max(np.pi / 4 * steps, 1)
    grow = round((MIN_STROKE * max(image.size) / BOX - width) / 2)
    if grow < 1:
        return image
    return ImageOps.expand(image, grow).filter(ImageFilter.MaxFilter(2 * grow + 1))
