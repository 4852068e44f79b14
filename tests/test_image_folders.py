"""pynn.datasets.images: what is found, how each kind of image is read, and what is refused."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import pynn
from pynn.datasets import images

Pixels = npt.NDArray[np.uint8]

RED, GREEN, WHITE = (255, 0, 0), (0, 128, 0), (255, 255, 255)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pynn" / "images"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for a data set, with a folder for a class."""
    (tmp_path / "set" / "a").mkdir(parents=True)
    return tmp_path / "set"


def save(path: Path, picture: Image.Image | Pixels | None = None, **options: Any) -> Path:
    """Write an image, red if none is given; make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if picture is None:
        picture = Image.new("RGB", (4, 3), RED)
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(path, **options)
    return path


def one(root: Path, **options: Any) -> Pixels:
    """The only image of a data set: (channels, height, width)."""
    (image,) = images(root, cache=False, **options).images
    return image


def gradient(height: int = 6, width: int = 4) -> Pixels:
    """An image of three colours in which every pixel is another."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 40, x * 60, 255 - y * 10 - x], axis=2).astype(np.uint8)


# ------------------------------------------------------------ what is found


def test_folders_are_classes_and_files_are_in_order(root: Path) -> None:
    """Classes and files are sorted by their names, also in the folders below."""
    for name in ("b/2.png", "b/10.PNG", "a/x/1.png", "a/y.png", "a/w.png", "Ü ber/é.png"):
        save(root / name)
    found = images(str(root))
    assert found.classes == ("a", "b", "Ü ber")
    assert found.files == ("a/w.png", "a/x/1.png", "a/y.png", "b/10.PNG", "b/2.png", "Ü ber/é.png")
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 2] and found.labels.dtype == np.int64
    assert found.images.shape == (6, 3, 3, 4) and found.images.dtype == np.uint8
    pair: tuple[Any, Any] = found
    assert pair[0] is found.images and len(pair) == 2
    shown = "ImageDataset(images=uint8 (6, 3, 3, 4), labels=int64 (6,), 3 classes)"
    assert repr(found) == shown


@pytest.mark.parametrize("duplicate", [copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_keep_the_names(root: Path, duplicate: Callable[[Any], Any]) -> None:
    """A data set is a pair, but also knows its classes and files."""
    save(root / "a" / "1.png")
    found = images(root)
    other = duplicate(found)
    assert type(other) is pynn.datasets.ImageDataset
    assert (other.classes, other.files) == (("a",), ("a/1.png",))
    np.testing.assert_array_equal(other.images, found.images)
    assert other.labels.tolist() == [0]


def test_what_is_no_image_is_passed_over(root: Path) -> None:
    """Hidden files and folders, what macOS leaves, and files with other names."""
    save(root / "a" / "1.png")
    for name in (".hidden.png", "a/._1.png", "a/.x/1.png", "a/notes.txt", "a/noend", "x.csv"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"no image")
    (root / ".git").mkdir()
    (root / "__MACOSX").mkdir()
    assert images(root).files == ("a/1.png",)


def test_links_are_followed(root: Path, tmp_path: Path) -> None:
    """Links to files, and to folders."""
    save(tmp_path / "elsewhere" / "1.png")
    (root / "a" / "2.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    assert images(root).files == ("a/2.png", "b/1.png")


@pytest.mark.skipif(sys.platform != "linux", reason="names there are Unicode")
def test_names_that_are_no_text(root: Path, tmp_path: Path) -> None:
    """A name of any bytes is read, kept, and shown with escapes where it is refused."""
    odd = os.fsdecode(b"\xff\x1b[2J.png")
    save(tmp_path / "1.png").rename(root / "a" / odd)
    for _ in range(2):
        assert images(root).files == (f"a/{odd}",)
    (root / "a" / odd).write_bytes(b"")
    with pytest.raises(pynn.FileFormatError, match=r"\\udcff\\x1b\[2J\.png: not an image"):
        images(root)


def test_classes_decide_the_labels(root: Path) -> None:
    """Those of the training set fit a test set that lacks one of them."""
    for name in ("a/1.png", "c/1.png"):
        save(root / name)
    found = images(root, classes=("c", "b", "a"))
    assert found.classes == ("c", "b", "a") and found.labels.tolist() == [0, 2]
    (root / "b").mkdir()
    assert images(root, classes=["a", "b", "c"]).labels.tolist() == [0, 2]


def test_a_class_may_be_called_train(root: Path) -> None:
    """If there are other classes, or it is named."""
    for name in ("train/1.png", "a/1.png"):
        save(root / name)
    assert images(root).classes == ("a", "train")
    (root / "a" / "1.png").unlink()
    (root / "a").rmdir()
    assert images(root, classes=("train",)).labels.tolist() == [0]


# ------------------------------------------------------------ how an image is read


def test_pixels_are_the_files(root: Path) -> None:
    """Without a size, and with the one they have, nothing is changed; channels come first."""
    save(root / "a" / "1.png", gradient())
    expected = gradient().transpose(2, 0, 1)
    np.testing.assert_array_equal(one(root), expected)
    np.testing.assert_array_equal(one(root, size=(6, 4)), expected)
    grey = one(root, grey=True)
    assert grey.shape == (1, 6, 4)
    luma = gradient() @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(grey[0], luma, atol=0.6)


def test_other_proportions(root: Path) -> None:
    """8 x 4 made 4 x 4: stretched, or cut left and right, or with black above and below."""
    save(
        root / "a" / "1.png",
        np.repeat(np.array([[100, 10, 250, 100]], np.uint8), 2, 1).repeat(4, 0),
    )
    crop = one(root, size=4, grey=True, resize="crop")[0]
    np.testing.assert_array_equal(crop, [[10, 10, 250, 250]] * 4)
    stretch = one(root, size=4, grey=True)[0]
    assert (stretch[:, [0, 3]] > 60).all() and (stretch == stretch[0]).all()
    pad = one(root, size=4, grey=True, resize="pad")[0]
    np.testing.assert_array_equal(pad, [0 * stretch[0], stretch[0], stretch[0], 0 * stretch[0]])


def test_size_is_height_and_width(root: Path) -> None:
    """In this order, as everywhere in pynn."""
    save(root / "a" / "1.png", gradient(60, 60))
    assert one(root, size=(5, 7)).shape == (3, 5, 7)
    assert one(root, size=np.int64(5)).shape == (3, 5, 5)


def test_a_large_photo_is_its_mean(root: Path) -> None:
    """A JPEG that is decoded at a fraction of its size, and on its side, is the same picture."""
    y, x = np.mgrid[:600, :800]
    picture = np.stack([y * 255 // 600, x * 255 // 800, 0 * x], axis=2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    save(root / "a" / "1.jpg", picture, quality=95, exif=exif)
    image = one(root, size=(16, 12))
    expected = np.asarray(Image.fromarray(np.rot90(picture, -1)).resize((12, 16)))
    np.testing.assert_allclose(image, expected.transpose(2, 0, 1).astype(float), atol=4)


def test_a_photo_keeps_its_details(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JPEG is decoded at a fraction of its size, for the time, but at no smaller one."""
    board = np.kron(np.indices((32, 64)).sum(axis=0) % 2 * 255, np.ones((8, 8))).astype(np.uint8)
    save(root / "a" / "1.jpg", board, quality=95)
    sizes = []
    convert = Image.Image.convert

    def note(self: Image.Image, mode: str) -> Image.Image:
        sizes.append(self.size)
        return convert(self, mode)

    monkeypatch.setattr(Image.Image, "convert", note)
    image = one(root, size=(32, 64), grey=True)[0]
    assert sizes == [(256, 128)]  # of 512 x 256
    np.testing.assert_allclose(image, board[::8, ::8].astype(int), atol=100)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_camera_was(root: Path, orientation: int) -> None:
    """The eight values of EXIF's orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(root / "a" / "1.png", gradient(), exif=exif)
    upright = [
        lambda a: a,
        lambda a: a[:, ::-1],
        lambda a: a[::-1, ::-1],
        lambda a: a[::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: np.rot90(a, -1),
        lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        lambda a: np.rot90(a),
    ][orientation - 1](gradient())
    np.testing.assert_array_equal(one(root), upright.transpose(2, 0, 1))


def transparent(mode: str) -> Image.Image:
    """Green in the first column; the second is transparent, with black below."""
    image = Image.new("RGBA", (2, 1), (*GREEN, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    if mode == "P":
        image = image.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
        black = image.getpixel((1, 0))
        image.info["transparency"] = black
    return image if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_white_is_behind_what_is_transparent(root: Path, mode: str) -> None:
    """Whatever colour the file has there; in a palette, too."""
    save(root / "a" / "1.png", transparent(mode))
    image = one(root)
    assert image[:, 0, 1].tolist() == [255, 255, 255]
    assert image[1, 0, 0] == (75 if mode == "LA" else 128)


def test_a_colour_may_be_transparent(root: Path) -> None:
    """As PNG has it for images without an alpha channel."""
    save(root / "a" / "1.png", Image.new("RGB", (1, 1), GREEN), transparency=GREEN)
    save(root / "a" / "2.png", Image.new("L", (1, 1), 7), transparency=7)
    assert (images(root).images == 255).all()


def test_sixteen_bits_become_eight(root: Path) -> None:
    """65535 is white, and nothing is cut off."""
    values = np.array([[0, 128, 129, 257, 32768, 65534, 65535]], np.uint16)
    save(root / "a" / "1.png", Image.fromarray(values))
    save(root / "a" / "2.tif", Image.fromarray(values))
    save(root / "a" / "3.tif", Image.fromarray(values.astype(np.int32)))
    (root / "a" / "4.pgm").write_bytes(b"P5 7 1 65535\n" + values.astype(">u2").tobytes())
    for image in images(root, grey=True).images:
        assert image[0, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]


@pytest.mark.parametrize(
    ("mode", "name", "color", "expected"),
    [
        ("1", "1.png", 1, [255, 255, 255]),
        ("L", "1.bmp", 7, [7, 7, 7]),
        ("P", "1.gif", RED, [255, 0, 0]),
        ("RGB", "1.ppm", RED, [255, 0, 0]),
        ("RGB", "1.webp", WHITE, [255, 255, 255]),
        ("CMYK", "1.jpg", (0, 255, 255, 0), [255, 0, 0]),
        ("CMYK", "1.tiff", (0, 255, 255, 0), [255, 0, 0]),
        ("YCbCr", "1.jpeg", (76, 85, 255), [255, 0, 0]),
    ],
)
def test_kinds_of_images(root: Path, mode: str, name: str, color: Any, expected: list[int]) -> None:
    """Bits, palettes, and the colours of printing and of television."""
    save(root / "a" / name, Image.new(mode, (9, 9), color))
    np.testing.assert_allclose(one(root)[:, 4, 4].astype(int), expected, atol=2)


@pytest.mark.parametrize("name", ["1.gif", "1.png", "1.webp", "1.tif"])
def test_of_several_frames_the_first_is_read(root: Path, name: str) -> None:
    """Of an animation, and of several pages."""
    frames = [Image.new("RGB", (3, 3), color) for color in (RED, GREEN)]
    frames[0].save(root / "a" / name, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(one(root)[:, 1, 1].astype(int), RED, atol=3)


def test_the_content_decides_the_format(root: Path) -> None:
    """Many a .jpg is a PNG."""
    save(root / "a" / "1.png").rename(root / "a" / "1.jpg")
    assert one(root)[0, 0, 0] == 255


def test_odd_files_give_no_warnings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as Pillow's of images that are large."""
    save(root / "a" / "1.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(root / "a" / "1.png").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert one(root).shape == (3, 3, 4)


# ------------------------------------------------------------ what is refused


def a_text(path: Path) -> None:
    path.write_text("no image")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    save(path, np.random.default_rng(3).integers(0, 256, (40, 40, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:900])


def with_other_bytes(path: Path) -> None:
    save(path, np.random.default_rng(3).integers(0, 256, (40, 40, 3), np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes(500) + content[2500:])


def a_bomb(path: Path) -> None:
    save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def a_large_one(path: Path) -> None:
    save(path, Image.new("1", (10_001, 10_000)))


def postscript(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


def floats(path: Path) -> None:
    Image.fromarray(np.ones((2, 2), np.float32)).save(path, format="TIFF")


def thirty_two_bits(path: Path) -> None:
    Image.fromarray(np.full((2, 2), 65536, np.int32)).save(path, format="TIFF")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (a_text, "not an image in a format that is read (BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP)"),
        (nothing, "not an image in a format that is read"),
        (cut_short, "cannot be decoded (image file is truncated"),
        (with_other_bytes, "cannot be decoded ("),
        (a_bomb, "too many pixels"),
        (a_large_one, "10001 x 10000 pixels are too many"),
        (postscript, "not an image in a format that is read"),
        (floats, "its pixels are floats"),
        (thirty_two_bits, "its pixels have 32 bits"),
        (a_pipe, "it is a pipe, not a file"),
    ],
)
def test_a_bad_file_is_named(
    root: Path, own_cache: Path, make: Callable[[Path], None], says: str, cache: bool
) -> None:
    """The error says what is wrong and what to do; nothing is kept."""
    save(root / "a" / "1.png", gradient())
    make(root / "a" / "2.png")
    with pytest.raises(pynn.FileFormatError) as caught:
        images(root, size=2, cache=cache)
    message = str(caught.value)
    assert message.startswith(f"{root}/a/2.png: ") and says in message
    assert message.endswith("; replace or remove it") and "\n" not in message
    assert not list(own_cache.glob("*")) and not list(own_cache.glob(".*"))


@pytest.mark.parametrize("kind", [ValueError, struct.error, SyntaxError, IndexError])
def test_whatever_a_decoder_raises(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    """Bad data makes Pillow raise errors of many classes; the message is made printable."""
    path = save(root / "a" / "1.png")

    def fail(*_: object) -> None:
        raise kind("bad \x1b[2J")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(pynn.FileFormatError) as caught:
        images(root)
    words = rf"{path}: cannot be decoded (bad \x1b[2J); replace or remove it"
    assert str(caught.value) == words


def test_a_file_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one of the bad files: the error names it and says why."""
    path = save(root / "a" / "1.png")

    def fail(name: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", name)

    monkeypatch.setattr(pynn.datasets._pictures.reading, "opened", fail)
    with pytest.raises(pynn.FileFormatError) as caught:
        images(root)
    assert str(caught.value) == f"{path}: Permission denied; replace or remove it"


def test_all_bad_files_are_counted(root: Path) -> None:
    """Three are named, so that one need not call again for each."""
    for number in range(5):
        a_text(root / "a" / f"{number}.png")
    with pytest.raises(
        pynn.FileFormatError, match="; and 2 more; replace or remove them"
    ) as caught:
        images(root)
    assert [f"{number}.png: not" in str(caught.value) for number in range(5)] == [1, 1, 1, 0, 0]


def test_a_file_that_changes_while_it_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read may be half of the one and half of the other."""
    path = save(root / "a" / "1.png")
    load = Image.Image.convert

    def convert(self: Image.Image, mode: str) -> Image.Image:
        path.write_bytes(path.read_bytes() + b"more")
        return load(self, mode)

    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(pynn.FileFormatError, match=r"1\.png: another program changed it"):
        images(root)


def test_a_link_without_end(root: Path) -> None:
    """A link to a folder above it is refused; two links to one folder are not."""
    save(root / "a" / "1.png")
    (root / "b").symlink_to(root / "a")
    assert len(images(root).images) == 2
    (root / "a" / "again").symlink_to(root / "a")
    with pytest.raises(pynn.FileFormatError, match="a/again: is a link to a folder above it"):
        images(root)


def test_a_link_to_nothing(root: Path) -> None:
    """It would be an image less."""
    (root / "a" / "1.png").symlink_to(root / "gone.png")
    with pytest.raises(pynn.DataNotFoundError, match=r"a/1\.png: a link to a file that is not"):
        images(root)


def test_no_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what takes less."""
    save(root / "a" / "1.png")

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pynn.datasets._images, "decode", fail)
    with pytest.raises(pynn.OutOfMemoryError, match="no memory for 1 images; give a smaller size"):
        images(root)


def test_without_pillow(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'pynn-blas\[images\]'"):
        images(root)


# ------------------------------------------------------------ use


def test_a_network_learns_from_a_folder(root: Path) -> None:
    """From the file that is mapped, with a share of the images to validate with."""
    rng = np.random.default_rng(7)
    patterns = rng.integers(0, 256, (2, 8, 8, 3))
    for index in range(40):
        noisy = np.clip(patterns[index % 2] + rng.normal(0, 30, (8, 8, 3)), 0, 255)
        save(root / "ab"[index % 2] / f"{index}.png", noisy.astype(np.uint8))
    train = images(root)
    chain = pynn.Builder().input(train.images.shape[1:]).conv2d(4, 3).relu().dense(2)
    model = chain.softmax_cross_entropy().build(seed=1)
    changes = pynn.Augmentation(shift=1)
    history = model.fit(
        *train, epochs=20, batch_size=8, validation=0.2, augmentation=changes,
        optimizer=pynn.Adam(learning_rate=0.01),
    )  # fmt: skip
    assert history.val_accuracy[-1] == 1.0
    assert train.classes[model.predict(train.images)[0]] == "a"
