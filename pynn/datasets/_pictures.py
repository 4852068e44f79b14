"""Decoding an image file into bytes of one size. Pillow does the work."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pynn._base import checks, reading
from pynn._base.errors import FileFormatError

if TYPE_CHECKING:
    from PIL import Image

Resize = Literal["stretch", "crop", "pad"]

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is read, whatever the file's name says. Others may run programs, as PostScript does."""

MOST_PIXELS = 100_000_000
"""A small file can claim any size; a phone's photo has up to 50 million."""


class How(NamedTuple):
    """What is made of an image."""

    size: tuple[int, int] | None
    """(height, width); None: that of the image."""
    grey: bool
    resize: Resize


class BadPicture(Exception):
    """An image that cannot be used; the message says why."""


def pillow_version() -> str:
    """Return the version of Pillow, whose decoders decide each pixel.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import PIL
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise ImportError(
            "images need Pillow, which is not installed: pip install 'pynn-blas[images]'"
        ) from None
    return PIL.__version__


def decode(path: str, how: How) -> npt.NDArray[np.uint8]:
    """Read an image; return uint8 of shape (1 or 3, height, width).

    Raises:
        BadPicture: The file cannot be read, or is no image, or one that cannot be used.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about odd files and large images
            # An open file, not its name: Pillow maps some formats, if it gets a name. If another
            # program then made the file shorter, the system would end this process.
            with reading.opened(path) as file, Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadPicture(f"{image.width} x {image.height} pixels are too many")
                return _pixels(image, how)
    except UnidentifiedImageError:
        raise BadPicture(f"not an image in a format that is read ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise BadPicture("too many pixels") from None
    except FileFormatError:  # from reading.opened(), with the file's name
        raise BadPicture("another program changed it while it was read") from None
    except (BadPicture, MemoryError):
        raise
    except OSError as error:
        raise BadPicture(error.strerror or _undecoded(error)) from None
    except Exception as error:  # bad data makes Pillow's decoders raise errors of many classes
        raise BadPicture(_undecoded(error)) from None


def _undecoded(error: Exception) -> str:
    return f"cannot be decoded ({checks.printable(str(error), 100)})"


def _pixels(image: Image.Image, how: How) -> npt.NDArray[np.uint8]:
    from PIL import ImageOps

    if how.size is not None:
        # A large JPEG is decoded at a fraction of its size, at least twice of what is needed. (Its
        # two lengths may change places, if it lies on its side.)
        longest = 2 * max(how.size)
        image.draft(None, (longest, longest))
    image = _opaque(_eight_bits(ImageOps.exif_transpose(image)))
    image = _resized(image.convert("L" if how.grey else "RGB"), how)
    array = np.asarray(image)
    return array[None] if how.grey else array.transpose(2, 0, 1)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale images of 16 bits to 8: Pillow would cut off what is above 255."""
    from PIL import Image

    if image.mode == "F":
        raise BadPicture("its pixels are floats, of which nobody knows what is white; save 8 bits")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadPicture("its pixels have 32 bits, and not 16 or 8; save it with 8")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """Put white behind what is transparent. Files may hold any colour there."""
    from PIL import Image

    if image.getbands()[-1] not in ("A", "a") and "transparency" not in image.info:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _resized(image: Image.Image, how: How) -> Image.Image:
    from PIL import Image, ImageOps

    if how.size is None or image.size == how.size[::-1]:
        return image
    size = how.size[::-1]  # as Pillow has it: (width, height)
    smooth = Image.Resampling.BILINEAR
    if how.resize == "crop":
        return ImageOps.fit(image, size, smooth)
    if how.resize == "pad":
        return ImageOps.pad(image, size, smooth)
    return image.resize(size, smooth)
