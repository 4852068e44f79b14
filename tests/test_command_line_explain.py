"""python -m pynn explain: a step on a picture as text or as a page, and one line where it fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from command_line import complaint, in_an_empty_folder, out, run, saved_model
from PIL import Image

import pynn
from pynn._pictures.digit import load

here = pytest.fixture(autouse=True)(in_an_empty_folder)

SEVEN = str(Path(__file__).parent.parent / "data" / "digits" / "seven.png")


@pytest.fixture
def model() -> pynn.Model:
    """A model of pictures, which is in digits.safetensors, too."""
    chain = pynn.Builder().input(784).dense(8).relu().dense(10)
    model = chain.softmax_cross_entropy().build(seed=4)
    model.save("digits.safetensors")
    return model


def test_the_step_is_that_of_model_explain(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """The picture as MNIST would have made it, with the label and the learning rate given."""
    arguments = ["--image", SEVEN, "--label", "7", "--learning-rate", "0.5"]
    lines = out(capsys, "explain", "digits.safetensors", *arguments)
    x, y = load(SEVEN).reshape(1, 784), np.array([7])
    step = model.explain(x, y, optimizer=pynn.SGD(learning_rate=0.5))
    assert lines == str(step).splitlines()
    assert "1 example, loss" in " ".join(lines[:3])


def test_without_a_label_it_is_the_prediction(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the first line says so; the rate is SGD's own."""
    x = load(SEVEN).reshape(1, 784)
    label = int(model.predict(x)[0])
    lines = out(capsys, "explain", "digits.safetensors", "--image", SEVEN)
    assert lines[0] == f"label {label}, which the model predicts; --label N gives another"
    assert lines[2:] == str(model.explain(x, np.array([label]))).splitlines()
    model.classes = list("ABCDEFGHIJ")
    model.save("named.safetensors")
    lines = out(capsys, "explain", "named.safetensors", "--image", SEVEN)
    assert lines[0].startswith(f"label {label} ('{'ABCDEFGHIJ'[label]}'), which the model predicts")
    [named] = [line for line in lines if "classes: " in line]
    assert named.split("classes: ")[1].startswith("0 = 'A', 1 = 'B', 2 = 'C'")
    assert "classes: " not in str(pynn.load("digits.safetensors").explain(x, [label]))


def test_a_page(model: pynn.Model, capsys: pytest.CaptureFixture[str]) -> None:
    """--html writes the page, and prints its size; the model's file stays as it is."""
    before = Path("digits.safetensors").read_bytes()
    call = ["explain", "digits.safetensors", "--image", SEVEN, "--label", "3", "--html", "s.html"]
    assert out(capsys, *call) == [f"wrote s.html, {os.path.getsize('s.html'):,} bytes"]
    assert "label[0] = 3" in Path("s.html").read_text("utf-8")
    assert Path("digits.safetensors").read_bytes() == before


@pytest.mark.parametrize("html", [[], ["--html", "s.html"]])
def test_a_check(model: pynn.Model, capsys: pytest.CaptureFixture[str], html: list[str]) -> None:
    """--check adds the largest errors below the step, or below the size of the page."""
    call = ["explain", "digits.safetensors", "--image", SEVEN, "--label", "7", *html]
    shown = out(capsys, *call)
    lines = out(capsys, *call, "--check")
    step = model.explain(load(SEVEN).reshape(1, 784), np.array([7]))
    assert lines == [*shown, "", *str(step.check()).splitlines()]


def test_a_raw_picture(model: pynn.Model, capsys: pytest.CaptureFixture[str]) -> None:
    """--raw takes the pixels as they are, and no other size."""
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save("raw.png")
    call = ["explain", "digits.safetensors", "--label", "0", "--raw", "--image"]
    step = model.explain(pixels.reshape(1, 784), np.array([0]))
    assert out(capsys, *call, "raw.png") == str(step).splitlines()
    assert "--raw takes 28 x 28" in complaint(capsys, *call, SEVEN)


def test_of_several_digits_the_first_is_explained(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line above the step says which one, and does not say that each is classified."""
    with Image.open(SEVEN) as image:
        seven = np.asarray(image.convert("L"))
    Image.fromarray(np.concatenate([seven, seven], axis=1)).save("two.png")
    lines = out(capsys, "explain", "digits.safetensors", "--image", "two.png", "--label", "7")
    assert lines[0] == "two.png: 2 digits side by side: the first from the left is explained"


def test_a_doubtful_picture_has_its_warning(
    model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """What predict.py would warn of stands above the step."""
    with Image.open(SEVEN) as image:
        Image.fromarray(np.asarray(image.convert("L"))[:, : image.width // 2]).save("cut.png")
    lines = out(capsys, "explain", "digits.safetensors", "--image", "cut.png", "--label", "7")
    assert lines[0].startswith("cut.png: ink touches the border of the picture")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no", "--image", SEVEN], "no: No such file or directory"),
        (["digits.safetensors", "--image", "no"], "no: No such file or directory"),
        (["digits.safetensors", "--image", "cut"], "cut: damaged image: "),
        (["digits.safetensors", "--image", "text"], "text: not an image in a format that Pillow"),
        (["digits.safetensors", "--image", SEVEN, "--label", "10"], "--label must be in [0, 9]"),
        (["digits.safetensors", "--image", SEVEN, "--learning-rate", "0"], "learning_rate must be"),
        (["model.safetensors", "--image", SEVEN], "model.safetensors: takes 4 values, and a pict"),
        (["mse.safetensors", "--image", SEVEN], "mse.safetensors: its mean_squared_error takes"),
        (["", "--image", SEVEN], "MODEL must be a path, got ''"),
        (["digits.safetensors", "--image", ""], "--image must be a path, got ''"),
        (["digits.safetensors", "--image", SEVEN, "--html", ""], "--html must be a path, got ''"),
        (["digits.safetensors", "--image", SEVEN, "--html", "a/b"], "a/b: No such file or direct"),
        (
            ["digits.safetensors", "--image", SEVEN, "--html", "digits.safetensors"],
            "digits.safetensors: is a file to read, which would be lost; give another name",
        ),
    ],
)
def test_what_cannot_be_explained(
    arguments: list[str], message: str, model: pynn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names the file or the argument, and status 1."""
    saved_model(Path())
    pynn.Builder().input(784).dense(1).mean_squared_error().build().save("mse.safetensors")
    Path("cut").write_bytes(Path(SEVEN).read_bytes()[:-200])
    Path("text").write_text("no picture")
    assert complaint(capsys, "explain", *arguments).startswith(message)


@pytest.mark.parametrize(
    "arguments", [[], ["a"], ["a", "--image"], ["a", "--image", "b", "--label", "c"]]
)
def test_wrong_calls(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and one line."""
    assert run("explain", *arguments) == 2
    assert capsys.readouterr().err.startswith("pynn explain: error: ")


def test_without_pillow(
    model: pynn.Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "PIL" or name.startswith("pynn._pictures"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delattr(pynn._pictures, "digit")
    said = complaint(capsys, "explain", "digits.safetensors", "--image", SEVEN)
    assert said.startswith("pictures need Pillow, which is not installed: pip install")


def test_a_pillow_that_is_broken_is_not_called_missing(
    model: pynn.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Pillow is there but lacks a module of its own, Python's error says which."""
    for name in list(sys.modules):
        if name.startswith("pynn._pictures"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(pynn._pictures, "digit", raising=False)
    monkeypatch.delattr(PIL, "ImageFilter")
    monkeypatch.setitem(sys.modules, "PIL.ImageFilter", None)
    with pytest.raises(ModuleNotFoundError, match=r"PIL\.ImageFilter"):
        pynn.images.digits(SEVEN)
