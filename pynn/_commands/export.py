"""The command `pynn export`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pynn
from pynn import _inspect
from pynn._commands.parser import Parser, listed, nearest
from pynn._commands.program import run, say, shown

DESCRIPTION = """\
Write a model in the format of others. The model is a file of pynn, also a
checkpoint, or of the original Rust library.
"""


class Format(NamedTuple):
    """A format of `export`."""

    help: str
    """What it writes, for the help text: "a C99 source file"."""
    options: Mapping[str, dict[str, Any]] = {}
    """For each flag the arguments of argparse's add_argument; "dest" is an argument of save()."""


EPILOG = """\
examples:
  pynn export onnx digits.safetensors digits.onnx
  pynn export c digits.safetensors digits.c --name digits
"""

ENDINGS = {".onnx": "onnx", ".c": "c", ".h": "c", ".safetensors": "pytorch", ".pt": "pytorch"}
"""Formats by how the names of their files end."""

# The modules of pynn.formats, each of which has save(model, path, ...).
FORMATS = {
    "onnx": Format(
        "an ONNX file (needs the package onnx)",
        {
            "--probabilities": {
                "dest": "probabilities",
                "action": "store_true",
                "help": "give probabilities rather than the last layer's outputs",
            }
        },
    ),
    "c": Format(
        "a C99 source file, and a header beside it",
        {
            "--name": {
                "dest": "name",
                "help": "what the functions' names begin with (default: the file's name)",
            },
            "--no-libc": {
                "dest": "libc",
                "action": "store_false",
                "help": "call no function of libc, not even expf",
            },
        },
    ),
    "nn_rust": Format("a file of the original Rust library"),
    "pytorch": Format(
        "a state_dict of PyTorch, as safetensors",
        {
            "--names": {
                "dest": "names",
                "type": lambda text: text.split(","),
                "metavar": "NAME,NAME,...",
                "help": "what each layer with parameters is called (default: its place in an "
                "nn.Sequential, as in 0,2,4)",
            }
        },
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run("pynn", lambda: _work(argv))


def _work(argv: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] not in FORMATS:
        return _explain_use(given)
    name, form = given[0], FORMATS[given[0]]
    text = f"Write a model as {form.help}.\n"
    parser = Parser(f"pynn export {name}", text, "", "MODEL OUTPUT")
    parser.add_argument("model", metavar="MODEL", help="a file of pynn or of the Rust library")
    parser.add_argument("output", metavar="OUTPUT", help="the file to write")
    for flag, settings in form.options.items():
        parser.add_argument(flag, **settings)
    options = vars(parser.parse_args(given[1:]))
    report = export(name, options.pop("model"), options.pop("output"), options)
    if sys.stdout is not None:  # if it is closed, the file is enough
        say(report)
    return 0


def _explain_use(given: list[str]) -> int:
    """Print the help, or exit with an error."""
    parser = Parser("pynn export", DESCRIPTION, EPILOG, "FORMAT MODEL OUTPUT")
    formats = parser.add_argument_group("formats; each has a --help of its own")
    for name, form in FORMATS.items():
        formats.add_argument(name, nargs="?", help=form.help)
    if not given:
        parser.error(f"a format is missing: {listed(FORMATS)}")
    if not given[0].startswith("-"):
        near = nearest(given[0], FORMATS)
        if not near and ("." in given[0] or os.path.exists(given[0])):
            wanted = ENDINGS.get(os.path.splitext(given[-1])[1].lower(), next(iter(FORMATS)))
            near = f"; the format comes before the files: pynn export {wanted} {' '.join(given)}"
        parser.error(f"there is no format {given[0]}; there are {listed(FORMATS, 'and')}{near}")
    parser.parse_args(given[:1])
    return 0


def export(name: str, path: str, output: str, options: Mapping[str, Any]) -> str:
    """Read a model and write it in another format; return a report to print."""
    if _inspect.is_same_file(path, output):
        raise pynn.ArgumentError(
            f"{output}: is the file of the model, which would be lost; give another name"
        )
    with _inspect.read_model(path) as model:
        report = getattr(pynn.formats, name).save(model, output, **options)
    wrote = f"wrote {shown(output)}, {os.path.getsize(output):,} bytes"
    return wrote if report is None else f"{wrote}\n{report}"
