"""scripts/predict.py: whatever the picture, its digit becomes one like MNIST's."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from predicted import DIGITS, mnist_parts, picture_of_a_seven, small_model, small_model_path

import pynn._pictures.digit as _digit

mnist = pytest.fixture(scope="module")(mnist_parts)
model_path = pytest.fixture(scope="module")(small_model_path)
model = pytest.fixture(scope="module")(small_model)
seven = pytest.fixture(picture_of_a_seven)

NUMBERS = {"two": 2, "three": 3, "five": 5, "seven": 7}


def distance(a, b):
    """Mean difference of the pixels of two digits, in grey levels, over those that hold ink."""
    either = (a > 0) | (b > 0)
    return np.abs(a.astype(float) - b)[either].mean()


def saved(image, path, **options):
    image.save(path, **options)
    return _digit.load(path)


# ---------------------------------------------------------------- the same digit in many pictures


def inverse(image):
    return Image.eval(image, lambda value: 255 - value)


def threefold(image):
    return image.resize((360, 480), Image.Resampling.BICUBIC)


def tenfold(image):
    return image.resize((1200, 1600), Image.Resampling.BICUBIC)


def shifted(image):
    page = Image.new("L", (400, 300), image.getpixel((0, 0)))
    page.paste(image, (270, 9))
    return page


def red_on_blue(image):
    """Two colours of one brightness: in grey there would be nothing to see."""
    ink = (238 - np.asarray(image, float)) / 205
    red, blue = np.array([200, 40, 40]), np.array([20, 88, 210])
    pixels = blue + (red - blue) * ink[:, :, None].clip(0, 1)
    return Image.fromarray(pixels.round().astype(np.uint8))


def faint(image):
    return Image.eval(image, lambda value: 150 + value // 8)


def black_on_nothing(image):
    page = Image.new("RGBA", image.size)
    page.putalpha(Image.eval(image, lambda value: max(0, 238 - value)))
    return page


def white_on_nothing(image):
    page = Image.new("RGBA", image.size, (255, 255, 255, 0))
    page.putalpha(Image.eval(image, lambda value: max(0, 238 - value)))
    return page


def grey_with_alpha(image):
    return black_on_nothing(image).convert("LA")


def sticker(image):
    """Opaque paper with the digit on it, in the middle of nothing."""
    page = Image.new("RGBA", (300, 300))
    page.paste(image.convert("RGBA"), (90, 60))
    return page


def palette(image):
    return image.quantize(16)


def sixteen_bits(image):
    return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)


def floats(image):
    return Image.fromarray(np.asarray(image).astype(np.float32) / 255)


def cmyk(image):
    return image.convert("CMYK")


def one_bit(image):
    return image.point(lambda value: 255 * (value > 128), mode="1")


def noisy(image):
    pixels = np.asarray(image) + np.random.default_rng(40).normal(0, 12, (160, 120))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def in_shade(image):
    """Light falls off by more than half of the ink's contrast, from one corner to the other."""
    y, x = np.mgrid[0:160, 0:120]
    pixels = np.asarray(image) * (1 - 0.3 * x / 120 - 0.3 * y / 160)
    return Image.fromarray(pixels.astype(np.uint8))


def dusty(image):
    image = image.copy()
    rng = np.random.default_rng(41)
    for x, y in zip(rng.integers(0, 119, 9), rng.choice([5, 12, 145, 155], 9), strict=True):
        ImageDraw.Draw(image).rectangle([x, y, x + 1, y + 1], fill=30)
    return image


@pytest.mark.parametrize(
    ("change", "suffix", "tolerance"),
    [
        (inverse, "png", 1),
        (threefold, "png", 12),
        (tenfold, "png", 12),
        (shifted, "png", 1),
        (red_on_blue, "png", 3),
        (faint, "png", 10),
        (black_on_nothing, "png", 6),
        (white_on_nothing, "png", 6),
        (grey_with_alpha, "png", 6),
        (sticker, "png", 6),
        (palette, "png", 6),
        (palette, "gif", 6),
        (sixteen_bits, "png", 1),
        (floats, "tiff", 1),
        (cmyk, "jpg", 10),
        (one_bit, "png", 20),
        (noisy, "png", 12),
        (in_shade, "png", 12),
        (dusty, "png", 1),
    ],
)
def test_same_digit_in_another_picture_is_nearly_the_same(
    seven, tmp_path, change, suffix, tolerance
):
    """Polarity, size, place, colour, transparency, depth, noise and light hardly matter."""
    plain = _digit.from_image(seven)
    assert distance(saved(change(seven), tmp_path / f"image.{suffix}"), plain) <= tolerance


def test_orientation_in_exif_is_followed(seven, tmp_path):
    """A phone stores a turned picture and says how it was held."""
    turned = seven.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    right = saved(turned, tmp_path / "right.jpg", quality=95, exif=exif)
    plain = _digit.from_image(seven)
    assert distance(right, plain) < 10
    assert distance(saved(turned, tmp_path / "wrong.jpg", quality=95), plain) > 80


def test_large_pictures_are_worked_on_at_a_bounded_size(seven, tmp_path):
    """Time and memory do not grow with a photo; a JPEG is not even decoded in full."""
    for suffix in ("jpg", "png"):
        seven.resize((2400, 3200)).save(tmp_path / f"large.{suffix}")
        with Image.open(tmp_path / f"large.{suffix}") as image:
            pixels = _digit._pixels(image)
            assert image.size == ((1200, 1600) if suffix == "jpg" else (2400, 3200))
        assert 512 <= max(pixels.shape) <= 1024


# ---------------------------------------------------------------- as MNIST was made


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("scale", [0.2, 1, 3.3])
def test_digit_lies_as_in_mnist(name, scale):
    """20 pixels on the longer side, white on black, centre of mass within 0.5 of (14, 14)."""
    with Image.open(DIGITS / f"{name}.png") as image:
        size = (round(image.width * scale), round(image.height * scale))
        digit = _digit.from_image(image.resize(size))
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8
    assert digit.max() == 255
    rows, columns = digit.any(axis=1).nonzero()[0], digit.any(axis=0).nonzero()[0]
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)  # an edge may round to zero
    at = np.arange(28)
    for axis in (0, 1):
        assert abs((digit.sum(axis=axis) @ at) / digit.sum() - 14) <= 0.51


def test_mnists_own_digits_come_out_as_they_were(mnist):
    """Cropping, scaling and centring again what MNIST already did changes next to nothing."""
    images = mnist[1].images[:200]
    again = np.stack([_digit.from_image(Image.fromarray(image)) for image in images])
    assert np.abs(again.astype(float) - images).mean() < 4  # of 255; a shift by a pixel makes 20


@pytest.mark.parametrize("factor", [1, 4, 10])
def test_mnists_digits_keep_their_class(mnist, model, factor):
    """Enlarged, inverted and moved, they are read nearly as well as the originals."""
    images, labels = (part[:200] for part in mnist[1])
    seen = []
    for image in images:
        large = inverse(Image.fromarray(image)).resize((28 * factor,) * 2, Image.Resampling.BICUBIC)
        page = Image.new("L", (40 * factor, 33 * factor), 255)
        page.paste(large, (9 * factor, 2 * factor))
        seen.append(_digit.from_image(page))
    right = np.mean(model.predict(np.stack(seen)) == labels)
    assert right >= model.evaluate(images, labels).accuracy - 0.02
    assert right > 0.93


def test_hairlines_are_thickened():
    """A stroke of 2 pixels in 600 would be a fifteenth of a pixel wide; MNIST's are about 2.5."""
    page = Image.new("L", (700, 700), 255)
    ImageDraw.Draw(page).line([(150, 50), (450, 50), (250, 650)], fill=0, width=2)
    digit = _digit.from_image(page)
    below_the_bar = (digit > 127).sum(axis=1)[12:24]
    assert set(below_the_bar.tolist()) <= {2, 3}


@pytest.mark.parametrize("name", NUMBERS)
def test_repositorys_images_are_read(model, name):
    """Dark on light, thin on uneven paper, in colour, on nothing: all are read."""
    digit = _digit.load(DIGITS / f"{name}.png")
    assert model.predict(digit[None]).tolist() == [NUMBERS[name]]


# ---------------------------------------------------------------- raw


def test_raw_takes_pixels_as_they_are(mnist, tmp_path):
    """--raw changes nothing."""
    image = mnist[1].images[0]
    Image.fromarray(image).save(tmp_path / "raw.png")
    np.testing.assert_array_equal(_digit.load(tmp_path / "raw.png", raw=True), image)
