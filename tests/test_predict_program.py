"""scripts/predict.py: a picture becomes an MNIST digit, and the answer is readable."""

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pynn

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "data" / "digits"
sys.path.insert(0, str(ROOT / "scripts"))

import _digit  # noqa: E402
import predict  # noqa: E402

NUMBERS = {"two": 2, "three": 3, "five": 5, "seven": 7}


@pytest.fixture(scope="session")
def mnist():
    """MNIST, as it is in the repository."""
    return pynn.datasets.load(ROOT / "data" / "mnist")


@pytest.fixture(scope="session")
def model_path(mnist, tmp_path_factory):
    """A small network that has seen a part of MNIST."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    chain = pynn.Builder().input(784).dense(64).relu().dense(10).softmax_cross_entropy()
    images, labels = mnist[0]
    with chain.build(seed=3) as model:
        model.fit(
            images[:20000],
            labels[:20000],
            epochs=4,
            batch_size=32,
            optimizer=pynn.SGD(learning_rate=0.1),
        )
        model.save(path)
    return path


@pytest.fixture(scope="session")
def model(model_path):
    return pynn.load(model_path)


@pytest.fixture
def seven():
    """Dark ink on light paper, 120 x 160, grey."""
    with Image.open(DIGITS / "seven.png") as image:
        return image.copy()


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


# ---------------------------------------------------------------- what cannot be used


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


# ---------------------------------------------------------------- the program

SEVEN = """



      ▄▄████████████
       ▀▀        ██▀
                ██▀
               ███
              ███
             ▄██
             ██
            ██▀
            ██
            █"""


def test_output_shows_digit_class_and_bars(model_path, model, monkeypatch, capsys):
    """Without arguments: the repository's image by all saved networks, in 80 columns."""
    monkeypatch.setattr(predict, "MODELS", model_path.parent)
    monkeypatch.chdir(ROOT)
    assert predict.main([]) == 0
    out = capsys.readouterr().out
    name, *lines = out.splitlines()
    assert name == str(Path("data", "digits", "seven.png"))
    drawing = [line[:28].rstrip() for line in lines]
    assert "\n".join(drawing) == SEVEN
    assert lines[0][31:] == "small: 7"
    probabilities = model.predict_proba(_digit.load(DIGITS / "seven.png")[None])[0]
    for label, probability in enumerate(probabilities):
        row = lines[2 + label][31:]
        assert row.startswith(f"{label} ")
        assert row.endswith(f" {probability:6.1%}")
        assert row.count("█") == int(round(float(probability) * 96) / 8)
    assert probabilities[7] > 0.9
    assert all(len(line) <= 80 for line in lines)


def test_two_pixels_make_a_character():
    """Upper and lower half of a block; so in ASCII."""
    digit = np.zeros((28, 28), np.uint8)
    digit[:2, :4] = [[0, 0, 255, 255], [0, 255, 0, 255]]
    assert predict._draw(digit, blocks=True)[0][:4] == " ▄▀█"
    assert predict._draw(digit, blocks=False)[0][:4] == " ,'#"


@pytest.mark.parametrize("count", [2, 3])
def test_models_stand_side_by_side(model_path, capsys, count):
    """Two to a row, as many rows as it takes, never wider than 80 columns."""
    assert predict.main(["--model", str(model_path)] * count + [str(DIGITS / "seven.png")]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    headings = [line.count("small: 7") for line in lines if "small" in line]
    assert headings == [2, 1][: count - 1]
    assert sum("▄▄████████████" in line for line in lines) == 1
    assert all(len(line) <= 80 for line in lines)


def test_json_is_what_the_model_says(model_path, model, tmp_path, capsys):
    """One object an image, in order; an image that cannot be used has an error in its place."""
    seven, gone = str(DIGITS / "seven.png"), str(tmp_path / "gone.png")
    assert predict.main(["--json", "--model", str(model_path), gone, seven]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first == {"image": gone, "error": "No such file or directory"}
    (prediction,) = second["predictions"]
    assert prediction["model"] == str(model_path)
    assert prediction["digit"] == 7
    expected = model.predict_proba(_digit.load(DIGITS / "seven.png")[None])[0]
    np.testing.assert_array_equal(np.float32(prediction["probabilities"]), expected)


@pytest.fixture
def row(tmp_path):
    """The repository's 7 and, beside it, the same again, higher up."""
    with Image.open(DIGITS / "seven.png") as seven:
        page = Image.new("L", (260, 170), seven.getpixel((0, 0)))
        page.paste(seven, (10, 10))
        page.paste(seven, (130, 0))
    page.save(tmp_path / "row.png")
    return str(tmp_path / "row.png")


def test_digits_in_a_row_are_answered_one_by_one(model_path, row, capsys):
    """Above them stands the number that they make; a warning says that there are several."""
    assert predict.main(["--model", str(model_path), row]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:2] == [row, "small: 7 7"]
    assert [line for line in lines if line.startswith("digit")] == ["digit 1 of 2", "digit 2 of 2"]
    assert [line.strip() for line in lines].count("small: 7") == 2
    warning = "2 digits side by side: each is answered by itself"
    assert err == f"predict.py: warning: {row}: {warning}\n"


def test_json_lists_the_digits_of_a_row(model_path, row, capsys):
    """From left to right; a single one has no list, and both have the warnings."""
    assert predict.main(["--json", "--model", str(model_path), row, str(DIGITS / "two.png")]) == 0
    several, single = json.loads(capsys.readouterr().out)
    assert several.keys() == {"image", "digits", "warnings"}
    assert [[p["digit"] for p in digit["predictions"]] for digit in several["digits"]] == [[7], [7]]
    assert several["warnings"] == ["2 digits side by side: each is answered by itself"]
    assert single.keys() == {"image", "predictions", "warnings"}
    assert single["warnings"] == []


def test_a_doubtful_image_is_answered_with_a_warning(model_path, seven, tmp_path, capsys):
    """The exit status is 0: a warning may be wrong."""
    pixels = np.asarray(seven).copy()
    pixels[:, 100:] //= 3  # a shadow
    Image.fromarray(pixels).save(tmp_path / "shadow.png")
    arguments = ["--json", "--model", str(model_path), str(tmp_path / "shadow.png")]
    assert predict.main(arguments) == 0
    out, err = capsys.readouterr()
    (answer,) = json.loads(out)
    warning = (
        "ink touches the border of the picture: a shadow or a line, or a digit that is cut off"
    )
    assert warning in answer["warnings"]
    assert f"predict.py: warning: {tmp_path / 'shadow.png'}: {warning}\n" in err


def no_models(folder):
    return None, "no networks in"


def no_file(folder):
    return folder / "gone.safetensors", "gone.safetensors: No such file or directory"


def no_model(folder):
    path = folder / "text.safetensors"
    path.write_text("no model")
    return path, "text.safetensors: not a safetensors file"


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


def run(arguments, **environment):
    """The program as a process of its own."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "predict.py", *arguments],
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_ascii_where_blocks_cannot_be_printed(model_path, tmp_path):
    """Neither the digit nor the bars nor the name of the file stop it."""
    image = tmp_path / "sieben-\u00fc.png"
    image.write_bytes((DIGITS / "seven.png").read_bytes())
    done = run(["--model", model_path, image], PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode("ascii")
    assert r"sieben-\xfc.png" in out
    assert ",,############" in out
    assert "7 ##########" in out


def test_missing_pillow_is_one_line(tmp_path):
    """It says what to install."""
    (tmp_path / "PIL.py").write_text("raise ModuleNotFoundError('no PIL', name='PIL')\n")
    done = run([], PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    expected = b"predict.py: error: Pillow is not installed: pip install '.[scripts]'\n"
    assert done.stderr == expected


def test_start_is_light():
    """Nothing is imported that only train.py needs."""
    code = "import sys, predict; print([m for m in ('tqdm', 'scipy', 'pooch') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT / "scripts", check=True
    )
    assert done.stdout == b"[]\n"


def test_wrong_call_exits_with_2(capsys):
    """As argparse has it."""
    with pytest.raises(SystemExit) as exit:
        predict.main(["--modle", "x"])
    assert exit.value.code == 2
    assert "predict.py: error: unrecognized arguments: --modle" in capsys.readouterr().err


def test_help_fits_a_terminal(capsys, monkeypatch):
    """80 columns, with examples."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit:
        predict.main(["--help"])
    out = capsys.readouterr().out
    assert exit.value.code == 0
    assert "examples:" in out
    assert all(len(line) <= 80 for line in out.splitlines())
