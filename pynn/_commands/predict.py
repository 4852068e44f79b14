"""Say which digit an image shows, by networks that the command `train` saved."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import pynn
from pynn._commands.parser import Parser, examples
from pynn._commands.program import (
    Failure,
    columns,
    complain,
    near,
    printable,
    reason,
    run,
    say,
    shown,
)
from pynn._files import kinds

if TYPE_CHECKING:
    from pynn._pictures.digit import Digit, Reading

DESCRIPTION = """\
Say which digit an image shows, by networks that were trained
and saved before.

The image may be of any size, dark on light or light on dark, grey or in
colour, transparent or not, with one digit in it and paper around, or several
side by side. Each is cut out, scaled into 20 x 20 and centred in 28 x 28, as
MNIST's digits were. The program prints what the network then sees, and the
probability of each class. If an image may show something else than digits, a
warning on stderr says so.
"""

EXAMPLES = {
    "photo.jpg scan.png": "digits of your own",
    "--model models/relu.safetensors photo.jpg": "by this network",
    "--raw digit28x28.png": "pixels as they are",
    "--json *.png": "for programs",
}

STATUS = """\

exit status: 0 done, 1 the run failed or an image could not be used (the others
are done), 2 wrong call, 130 interrupted
"""

NO_PILLOW = "images need Pillow, which is not installed: pip install 'pynn-blas[images]'"
DRAWING, BARS, GAP = 28, 22, 3  # the widths of a row of output
MODELS_A_ROW = 2
BAR = 12
LONGEST_NAME = 8


class Prediction(NamedTuple):
    """One model's prediction for one digit."""

    path: str
    label: int
    probabilities: list[float]
    names: tuple[str, ...] | None = None
    """The names of the classes, if the model has some."""

    @property
    def read(self) -> str:
        """The class in words: its name, or its number."""
        return str(self.label) if self.names is None else printable(self.names[self.label])

    def to_dict(self) -> dict[str, object]:
        """The prediction for JSON; "class" is there only if the classes have names."""
        named = {} if self.names is None else {"class": self.names[self.label]}
        probabilities = {"probabilities": self.probabilities}
        return {"model": self.path, "digit": self.label, **named, **probabilities}


class Predicted(NamedTuple):
    """A digit of an image, and the models' predictions for it."""

    digit: Digit
    predictions: list[Prediction]


def main(
    argv: Sequence[str] | None = None,
    *,
    program: str = "pynn predict",
    models: str = "models",
    image: str | None = None,
) -> int:
    """Run the command and return its exit status.

    Args:
        argv: The options; None for those of this process.
        program: What the user calls the command.
        models: The folder where the command `train` saved networks.
        image: The image if none is named; None if one has to be.
    """
    return run(
        program, lambda: predict(_parser(program, models, image).parse_args(argv), program, models)
    )


def _parser(program: str, models: str, image: str | None) -> Parser:
    parser = Parser(program, DESCRIPTION, examples(program, EXAMPLES) + STATUS, "IMAGE ...")
    where = {"nargs": "+"} if image is None else {"nargs": "*", "default": [near(image)]}
    default = "" if image is None else f" (default: {near(image)})"
    parser.add_argument(
        "images", metavar="IMAGE", help=f"a photo, a scan or a drawing{default}", **where
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="FILE",
        help="a saved network; may be given several times (default: all in"
        f" {near(models)}, where {program.replace('predict', 'train')} saves)",
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="the image is 28 x 28 already, white on black: take its pixels as they are",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def predict(options: argparse.Namespace, program: str, folder: str) -> int:
    """Print each model's predictions for each image; return 1 if an image could not be used."""
    read, picture_error = _reader()
    models = _load_models(options.model, folder, program)
    blocks = _can_print_blocks()
    status = 0
    results: list[dict[str, object]] = []
    for number, name in enumerate(options.images):
        try:
            reading = read(name, raw=options.raw)
        except (picture_error, OSError) as error:
            why = reason(error, name)
            complain(f"{program}: error: {printable(f'{name}: {why}')}")
            results.append({"image": name, "error": why})
            status = 1
            continue
        for warning in reading.warnings:
            complain(f"{program}: warning: {printable(name)}: {warning}")
        found = [
            Predicted(digit, [_predict(path, model, digit) for path, model in models])
            for digit in reading.digits
        ]
        if options.json:
            results.append({"image": name, **_as_dict(found), "warnings": reading.warnings})
        else:
            say("\n" * (number > 0) + _as_text(printable(name), found, blocks=blocks))
    if options.json:
        import json  # imported here, so that other calls start faster

        say(json.dumps(results, indent=2), fold=False)
    return status


def _reader() -> tuple[Callable[..., Reading], type[Exception]]:
    """The function that reads images, and its error, from modules that need Pillow."""
    try:
        from pynn._pictures import digit, ink
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise Failure(NO_PILLOW) from None
    return digit.read, ink.PictureError


def _load_models(
    paths: list[str] | None, folder: str, program: str
) -> list[tuple[str, pynn.Model]]:
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    saved = [os.path.join(folder, name) for name in names if name.endswith(".safetensors")]
    paths = paths or [near(path) for path in saved]
    if not paths:
        raise Failure(
            f"no networks in {shown(folder)}: run {program.replace('predict', 'train')} first, or"
            " name one: --model FILE"
        )
    for path in paths:
        kinds.refuse_foreign(path)
    models = [(path, pynn.load(path)) for path in paths]
    for path, model in models:
        if model.inputs != 28 * 28:
            raise Failure(f"{path}: takes {model.inputs} values, and an image has 784")
    return models


def _predict(path: str, model: pynn.Model, digit: Digit) -> Prediction:
    try:
        probabilities = model.predict_proba(digit[None])[0]
    except pynn.DivergenceError:
        raise Failure(f"{path}: gives no finite probabilities: train it anew") from None
    except pynn.ArgumentError:  # 784 values, but in another shape
        raise Failure(f"{path}: takes other images than grey ones of 28 x 28") from None
    label = int(probabilities.argmax())
    return Prediction(path, label, probabilities.tolist(), model.classes)


def _as_dict(found: Sequence[Predicted]) -> dict[str, object]:
    """The digits of an image for JSON; a single digit is not in a list."""
    digits: list[dict[str, object]] = [
        {"predictions": [prediction.to_dict() for prediction in one.predictions]} for one in found
    ]
    return digits[0] if len(digits) == 1 else {"digits": digits}


def _can_print_blocks() -> bool:
    try:
        "▀▄█▏▎▍▌▋▊▉".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _as_text(name: str, found: Sequence[Predicted], *, blocks: bool) -> str:
    """The digits of an image, one below the other; of several, first what each model reads."""
    if len(found) == 1:
        return "\n".join([name, *_digit_lines(found[0], blocks=blocks)])
    by_model = zip(*(one.predictions for one in found), strict=True)
    words = [f"{_short(of[0].path)}: {' '.join(p.read for p in of)}" for of in by_model]
    lines = [name, "   ".join(words)]
    for number, one in enumerate(found, 1):
        lines += ["", f"digit {number} of {len(found)}", *_digit_lines(one, blocks=blocks)]
    return "\n".join(lines)


def _digit_lines(one: Predicted, *, blocks: bool) -> list[str]:
    """A drawn digit with the models' predictions beside it, or below it if there is no room."""
    lines: list[str] = []
    left = _draw(one.digit, blocks=blocks)
    room = columns() - DRAWING
    beside = room >= GAP + BARS
    if not beside:
        lines, left, room = [line.rstrip() for line in left], [], columns() + GAP
    many = min(max(room // (GAP + BARS), 1), MODELS_A_ROW)
    for first in range(0, len(one.predictions), many):
        shown_now = one.predictions[first : first + many]
        right = [_bars(prediction, blocks=blocks) for prediction in shown_now]
        for row, *bars in zip_longest(left, *right, fillvalue=""):
            cells = [f"{row:<{DRAWING}}"] if beside else []
            lines.append("   ".join([*cells, *(f"{cell:<{BARS}}" for cell in bars)]).rstrip())
        left = []
    while not lines[-1]:
        lines.pop()
    return lines


def _draw(digit: Digit, *, blocks: bool) -> list[str]:
    """Draw 28 rows as 14 lines: each character shows two pixels, one above the other."""
    marks = " ▀▄█" if blocks else " ',#"
    on = digit >= 96
    codes = on[0::2] + 2 * on[1::2]
    return ["".join(marks[code] for code in line) for line in codes.tolist()]


def _bars(prediction: Prediction, *, blocks: bool) -> list[str]:
    """A heading and a line for each class."""
    lines = [f"{_short(prediction.path)}: {prediction.read}"[:BARS], ""]
    labels = prediction.names or tuple(map(str, range(len(prediction.probabilities))))
    labels = tuple(printable(label)[:LONGEST_NAME] for label in labels)
    width = max(map(len, labels))
    longest = BAR + 1 - width  # a wide name takes the room of its bar
    for label, probability in zip(labels, prediction.probabilities, strict=True):
        eighths = round(probability * longest * 8)
        bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8] if blocks else "#" * (eighths // 8)
        lines.append(f"{label:<{width}} {bar.rstrip():<{longest}} {probability:6.1%}")
    return lines


def _short(path: str) -> str:
    """The short name of a model, above its predictions."""
    return printable(os.path.splitext(os.path.basename(path))[0])[:16]
