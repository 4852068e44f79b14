"""scripts/predict.py: a picture or a model that cannot be used is one line of error."""

import mmap
import os

import numpy as np
import predict
import pytest
from PIL import Image
from predicted import DIGITS, mnist_parts, picture_of_a_seven, small_model_path

import pynn
import pynn._pictures.digit as _digit

mnist = pytest.fixture(scope="module")(mnist_parts)
model_path = pytest.fixture(scope="module")(small_model_path)
seven = pytest.fixture(picture_of_a_seven)


def blank(path):
    Image.new("L", (90, 60), 200).save(path)


def only_paper(path):
    pixels = np.random.default_rng(42).normal(200, 4, (120, 90))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def only_noise(path):
    Image.fromarray(np.random.default_rng(43).integers(0, 256, (90, 90), np.uint8)).save(path)


def one_pixel(path):
    Image.new("L", (1, 1)).save(path)


def transparent(path):
    Image.new("RGBA", (9, 9)).save(path)


def no_image(path):
    path.write_text("7\n")


def empty(path):
    path.write_bytes(b"")


def cut_short(path):
    path.write_bytes((DIGITS / "seven.png").read_bytes()[:900])


def no_numbers(path):
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(path, format="TIFF")


def huge(path):
    Image.new("1", (12000, 12000)).save(path)


def larger(path):
    """Beyond what Pillow itself lets pass."""
    Image.new("1", (20000, 20000)).save(path)


def nothing(path):
    pass


def a_pipe(path):
    os.mkfifo(path)


def a_device(path):
    path.symlink_to("/dev/zero")


def a_folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (blank, "blank: no digit stands out from the paper"),
        (only_paper, "blank: no digit stands out from the paper"),
        (only_noise, "blank: no digit stands out from the paper"),
        (one_pixel, "blank: no digit stands out from the paper"),
        (transparent, "fully transparent: there is no digit to see"),
        (no_image, "not an image in a format that Pillow reads"),
        (empty, "not an image in a format that Pillow reads"),
        (cut_short, "image file is truncated"),
        (no_numbers, "pixels that are negative or not finite"),
        (huge, "12000 x 12000 pixels are too many (at most 100 million): scale it down"),
        (larger, "too many pixels: scale it down"),
        (nothing, "No such file or directory"),
        (a_folder, "Is a directory"),
        (a_pipe, "a pipe, a socket or a device, not a file: write it to a file first"),
        (a_device, "a pipe, a socket or a device, not a file: write it to a file first"),
    ],
)
def test_unusable_image_is_one_line_and_1(make, says, model_path, tmp_path, capsys):
    """The line names the image and what is wrong; the other images are done."""
    path = tmp_path / "image.png"
    make(path)
    arguments = ["--model", str(model_path), str(path), str(DIGITS / "seven.png")]
    assert predict.main(arguments) == 1
    out, err = capsys.readouterr()
    assert err == f"predict.py: error: {path}: {says}\n"
    assert "small: 7" in out


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".tif"])
def test_pictures_are_not_mapped(seven, tmp_path, monkeypatch, suffix):
    """Pillow maps such files where it can, and a file that is cut short would then end us."""
    path = tmp_path / f"image{suffix}"
    seven.save(path)

    def fail(*_, **__):
        raise AssertionError("it is mapped")

    monkeypatch.setattr(mmap, "mmap", fail)
    assert _digit.load(path).shape == (28, 28)


def test_raw_refuses_another_size(model_path, capsys):
    """It says what it got, what it takes and what to do."""
    assert predict.main(["--raw", "--model", str(model_path), str(DIGITS / "two.png")]) == 1
    err = capsys.readouterr().err
    assert "two.png: 240 x 200 pixels; --raw takes 28 x 28, white on black (without --raw" in err


def no_models(folder):
    return None, "no networks in"


def no_file(folder):
    return folder / "gone.safetensors", "gone.safetensors: No such file or directory"


def no_model(folder):
    path = folder / "text.safetensors"
    path.write_text("no model")
    return path, "text.safetensors: is text, not a model of pynn"


def other_inputs(folder):
    path = folder / "other.safetensors"
    pynn.Builder().input(100).dense(10).softmax_cross_entropy().build().save(path)
    return path, "other.safetensors: takes 100 values, and an image has 784"


def not_finite(folder):
    path = folder / "broken.safetensors"
    model = pynn.Builder().input(784).dense(10).softmax_cross_entropy().build()
    model.parameters["dense1.bias"][:] = np.nan
    model.save(path)
    return path, "broken.safetensors: gives no finite probabilities: train it anew"


@pytest.mark.parametrize("make", [no_models, no_file, no_model, other_inputs, not_finite])
def test_unusable_model_is_one_line_and_1(make, tmp_path, monkeypatch, capsys):
    """No model, no answer."""
    monkeypatch.setattr(predict, "MODELS", tmp_path)
    path, says = make(tmp_path)
    assert predict.main([] if path is None else ["--model", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("predict.py: error: ")
    assert says in err
    assert err.count("\n") == 1
