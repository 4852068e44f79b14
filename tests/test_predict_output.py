"""scripts/predict.py as a program: what it prints, in text and in JSON, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import predict
import pytest
from PIL import Image
from predicted import DIGITS, ROOT, mnist_parts, picture_of_a_seven, small_model, small_model_path

import pynn._pictures.digit as _digit

mnist = pytest.fixture(scope="module")(mnist_parts)
model_path = pytest.fixture(scope="module")(small_model_path)
model = pytest.fixture(scope="module")(small_model)
seven = pytest.fixture(picture_of_a_seven)

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
    assert predict.predict._draw(digit, blocks=True)[0][:4] == " ▄▀█"
    assert predict.predict._draw(digit, blocks=False)[0][:4] == " ,'#"


def test_no_blank_lines_stand_below_a_digit():
    """The digit ends above the bottom of its square, and there are few bars."""
    digit = np.zeros((28, 28), np.uint8)
    digit[4:8, 4:8] = 255
    answer = predict.predict.Prediction("small.safetensors", 1, [0.25, 0.75])
    lines = predict.predict._digit_lines(predict.predict.Predicted(digit, [answer]), blocks=True)
    assert len(lines) == 4
    assert lines[0].endswith("small: 1")
    assert lines[-1].endswith("75.0%")


def test_names_of_classes_stand_for_their_numbers(model, tmp_path, capsys):
    """The bars of long names are shorter; JSON has the number, too."""
    names = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "and nine more",
    ]
    named = model.copy()
    named.classes = names
    named.save(tmp_path / "named.safetensors")
    call = ["--model", str(tmp_path / "named.safetensors"), str(DIGITS / "seven.png")]
    assert predict.main(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("named: seven") for line in lines)
    bars = [line[-21:] for line in lines if line.endswith("%")]
    assert [bar[:8].strip() for bar in bars] == [name[:8] for name in names]
    assert predict.main(["--json", *call]) == 0
    (said,) = json.loads(capsys.readouterr().out)[0]["predictions"]
    assert (said["digit"], said["class"]) == (7, "seven")


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
    """The number that they make stands above them; a warning says that there are several."""
    assert predict.main(["--model", str(model_path), row]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:2] == [row, "small: 7 7"]
    assert [line for line in lines if line.startswith("digit")] == ["digit 1 of 2", "digit 2 of 2"]
    assert [line.strip() for line in lines].count("small: 7") == 2
    warning = "2 digits side by side: each is classified by itself"
    assert err == f"predict.py: warning: {row}: {warning}\n"


def test_json_lists_the_digits_of_a_row(model_path, row, capsys):
    """From left to right; a single one has no list, and both have the warnings."""
    assert predict.main(["--json", "--model", str(model_path), row, str(DIGITS / "two.png")]) == 0
    several, single = json.loads(capsys.readouterr().out)
    assert several.keys() == {"image", "digits", "warnings"}
    assert [[p["digit"] for p in digit["predictions"]] for digit in several["digits"]] == [[7], [7]]
    assert several["warnings"] == ["2 digits side by side: each is classified by itself"]
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
    why = b"images need Pillow, which is not installed: pip install 'pynn-blas[images]'"
    expected = b"predict.py: error: " + why + b"\n"
    assert done.stderr == expected


def test_start_is_light():
    """Nothing is imported that only train.py needs."""
    code = "import sys, predict; print([m for m in ('tqdm', 'scipy', 'pooch') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT / "scripts", check=True
    )
    assert done.stdout == b"[]\n"


def test_wrong_call_exits_with_2(capsys):
    """The exit status is that of argparse."""
    with pytest.raises(SystemExit) as exit:
        predict.main(["--modle", "x"])
    assert exit.value.code == 2
    assert (
        "predict.py: error: there is no --modle; did you mean --model?" in capsys.readouterr().err
    )


def test_help_fits_a_terminal(capsys, monkeypatch):
    """80 columns, with examples."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit:
        predict.main(["--help"])
    out = capsys.readouterr().out
    assert exit.value.code == 0
    assert "examples:" in out
    assert all(len(line) <= 80 for line in out.splitlines())
