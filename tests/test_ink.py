"""The page's web/ink.c makes of a drawing what pynn/_pictures makes of a picture of it."""

from __future__ import annotations

import ctypes
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from drawn_digits import cropped, enlarged, mnist_test_images

from pynn._pictures.digit import normalize

ROOT = Path(__file__).parent.parent
SIDE = 224  # INK_SIDE of web/ink.h

Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def ink(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """web/ink.c, compiled for this machine."""
    library = tmp_path_factory.mktemp("ink") / "ink.so"
    compiler = shutil.which("cc")
    assert compiler is not None, "the tests need a C compiler"
    command = [compiler, "-std=c11", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", library, ROOT / "web" / "ink.c", "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.ink_to_digit.restype = ctypes.c_bool
    loaded.ink_stroke.argtypes = [ctypes.c_char_p, *[ctypes.c_float] * 4]
    loaded.ink_stroke.restype = None
    return loaded


def to_digit(ink: ctypes.CDLL, picture: Bytes) -> Bytes:
    """What ink.c makes of a picture (height, width) of ink."""
    digit = ctypes.create_string_buffer(28 * 28)
    height, width = picture.shape
    assert ink.ink_to_digit(picture.tobytes(), width, height, digit)
    return np.frombuffer(digit.raw, np.uint8).reshape(28, 28)


def drawing(ink: ctypes.CDLL, points: npt.NDArray[np.floating]) -> Bytes:
    """A drawing of one stroke through points (n, 2)."""
    paper = ctypes.create_string_buffer(SIDE * SIDE)
    for begin, end in itertools.pairwise(points):
        ink.ink_stroke(paper, *map(float, (*begin, *end)))
    return np.frombuffer(paper.raw, np.uint8).reshape(SIDE, SIDE)


def check(ink: ctypes.CDLL, picture: Bytes) -> None:
    """Compare the digits that both make of a picture of ink.

    Pillow scales with weights that it has rounded to integers, and ink.c with floats. So a pixel
    may be one level off after each of at most two scalings, and these levels are then multiplied by
    255 over the brightest.
    """
    theirs = normalize((cropped(picture / 255)).astype(np.float32)).astype(int)
    assert np.abs(to_digit(ink, picture) - theirs).max() <= 2


@pytest.mark.parametrize("seed", range(20))
def test_a_drawn_stroke(ink: ctypes.CDLL, seed: int) -> None:
    """Of a random size at a random place, also one that leaves the paper."""
    rng = np.random.default_rng([70, seed])
    size = rng.uniform(20, 260)
    points = rng.uniform(-size / 2, size / 2, (6, 2)) + rng.uniform(60, 164, 2)
    check(ink, drawing(ink, points))


@pytest.mark.parametrize("number", range(0, 40, 2))
def test_a_digit_of_mnist(ink: ctypes.CDLL, number: int) -> None:
    """Four times as large, with strokes as wide as a pen makes them, or thinner."""
    picture = enlarged(mnist_test_images()[number], bold=number % 3)
    check(ink, np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (224, 1), (1, 224), (3, 200), (224, 224)])
def test_a_bar(ink: ctypes.CDLL, width: int, height: int) -> None:
    """A picture that is ink all over, of any shape; hairlines are thickened."""
    check(ink, np.full((height, width), 255, np.uint8))


def test_nothing_drawn(ink: ctypes.CDLL) -> None:
    """Ink that is too faint counts as none, and the digit is empty."""
    digit = ctypes.create_string_buffer(b"x" * 28 * 28)
    faint = np.full((224, 224), 63, np.uint8)
    assert not ink.ink_to_digit(faint.tobytes(), 224, 224, digit)
    assert not any(digit.raw[: 28 * 28])


def test_the_pen_is_round(ink: ctypes.CDLL) -> None:
    """A point is a disc of the pen's radius, 9 pixels, with a soft edge."""
    dot = drawing(ink, np.array([[100.5, 50.5], [100.5, 50.5]]))
    y, x = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(x - 100, y - 50)
    assert (dot[away < 8] == 255).all() and (dot[away > 10] == 0).all()
