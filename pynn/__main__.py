"""The command line, `python -m pynn`: describe files, explain steps, export models, and so on."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TextIO

import pynn
from pynn import _explain_image, _info, _inspect, _play
from pynn._base import checks

DESCRIPTION = """\
Look at the files of pynn, explain a step of training, export models to other
formats, show the page that trains in the browser, say what runs here.
"""

EPILOG = """\
examples:
  python -m pynn inspect digits.safetensors
  python -m pynn inspect train-images-idx3-ubyte.gz
  python -m pynn explain digits.safetensors --image seven.png --html step.html
  python -m pynn export onnx digits.safetensors digits.onnx
  python -m pynn export c --help
  python -m pynn play
  python -m pynn info

exit status: 0 done, 1 it failed, 2 wrong call, 130 interrupted
"""

INSPECT = """\
Say what a file holds: a model or a checkpoint of pynn, an IDX file (also
compressed with gzip), or a model of the original Rust library. What it is
shows in its content, not its name.

Of a model it prints the chain, the number of parameters, the seed and the
epochs, of a checkpoint also where its run stands; of each tensor the type,
the shape, and the least, mean and greatest of its finite numbers.
"""

EXPLAIN = """\
Show what a step of training on a picture of a digit would do to a model: the
values of each layer, the gradients, the new parameters, each with its equation
and the line of C that computes it. The model does not change.

The picture may be of any size, with one digit in it, dark on light or light on
dark. It becomes 28 x 28 as MNIST's digits are. The model takes 784 values.
"""

EXPORT = """\
Write a model in the format of others. The model is a file of pynn, also a
checkpoint, or of the original Rust library.
"""

PLAY = """\
Show the page on which one draws digits, sees each layer read them, and trains
networks: the same C code, in the web browser. It is served to this machine
alone, and nothing leaves the machine. Ctrl-C ends it.
"""

INFO = """\
Say what runs here: the version, the instruction set of pynn's own code, the
BLAS and whose kernels it has chosen, the threads and what their number comes
from, the processor, where the files are, and which packages that pynn can use
are installed. A report of a fault should have it.
"""

INTERRUPTED = 130  # the exit status that a shell reports for a program ended by SIGINT
BROKEN_PIPE = 141  # and by SIGPIPE
LONGEST = 2000  # the most characters of a message, which may quote a file


class Format(NamedTuple):
    """A format of `export`."""

    help: str
    """What it writes, for the help text: "a C99 source file"."""
    options: Mapping[str, dict[str, Any]] = {}
    """For each flag the arguments of argparse's add_argument; "dest" is an argument of save()."""


# For each flag of explain the arguments of argparse's add_argument.
EXPLAIN_OPTIONS: Mapping[str, dict[str, Any]] = {
    "--image": {"metavar": "FILE", "required": True, "help": "the picture"},
    "--label": {
        "type": int,
        "metavar": "N",
        "help": "the digit (default: what the model predicts)",
    },
    "--learning-rate": {"type": float, "metavar": "R", "help": "of plain SGD (default: 0.05)"},
    "--raw": {"action": "store_true", "help": "use the picture as it is: 28 x 28, white on black"},
    "--html": {"metavar": "FILE", "help": "write a page with heat maps, and print its size only"},
    "--check": {"action": "store_true", "help": "compare all numbers with others, in float64"},
}

# The same for play.
PLAY_OPTIONS: Mapping[str, dict[str, Any]] = {
    "--port": {"type": int, "default": 0, "metavar": "N", "help": "(default: one that is free)"},
    "--no-browser": {
        "action": "store_true",
        "help": "print the address, and open no web browser",
    },
}

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
    """Run the program and return its exit status; an error is one line on standard error."""
    try:
        options = make_parser().parse_args(argv)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # for streams that are not UTF-8
        text = options.work(options)
        if text is not None:
            _say(text)
        return 0
    except BrokenPipeError:
        return BROKEN_PIPE
    except KeyboardInterrupt:
        _complain("pynn: interrupted")
        return INTERRUPTED
    except (pynn.PynnError, OSError, MemoryError, ImportError) as error:
        _complain(f"pynn: error: {reason(error)}")
        return 1


class _Parser(argparse.ArgumentParser):
    """An argument parser that prints by the functions of this module, which handle closed pipes."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and an error on standard error, and exit with status 2."""
        _complain(self.format_usage().rstrip("\n"))
        _complain(f"{self.prog}: error: {checks.printable(message, LONGEST)}")
        sys.exit(2)

    def _print_message(self, message: str, file: object = None) -> None:
        """Print help or the version; argparse prints nothing else by this method."""
        _say(message.rstrip("\n"))


def _say(text: str) -> None:
    """Print text on standard output and flush it; raise an OSError if that fails."""
    try:
        print(text, flush=True)
    except OSError as error:
        _give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise OSError(error.errno, error.strerror, "standard output") from None


def _complain(text: str) -> None:
    """Print a line on standard error; if that fails, only the exit status tells of the error."""
    if sys.stderr is not None:
        try:
            print(text, file=sys.stderr, flush=True)
        except OSError:
            _give_up(sys.stderr)


def _give_up(stream: TextIO) -> None:
    """Redirect a stream that failed to the null device.

    Python flushes the streams again when it exits. Without this it would fail again, and print a
    traceback.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _layout(prog: str) -> argparse.HelpFormatter:
    """Format help texts as they are written here."""
    return argparse.RawDescriptionHelpFormatter(prog, width=78)


def _add_command(
    to: argparse._SubParsersAction[_Parser], name: str, help: str, text: str
) -> _Parser:
    """Add a command; `help` is its line in the list of commands, `text` its own help."""
    return to.add_parser(
        name, help=help, description=text, formatter_class=_layout, allow_abbrev=False
    )


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = _Parser(
        prog="python -m pynn",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=_layout,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pynn {pynn.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = _add_command(commands, "inspect", "say what a file holds", INSPECT)
    command.add_argument("file", metavar="FILE")
    command.set_defaults(work=lambda options: _inspect.inspect(options.file))

    command = _add_command(commands, "explain", "show a step of training on a picture", EXPLAIN)
    command.add_argument("model", metavar="MODEL", help="a file of pynn or of the Rust library")
    for flag, settings in EXPLAIN_OPTIONS.items():
        command.add_argument(flag, **settings)
    command.set_defaults(work=explain)

    command = _add_command(commands, "play", "show the page that trains in the browser", PLAY)
    for flag, settings in PLAY_OPTIONS.items():
        command.add_argument(flag, **settings)
    command.set_defaults(work=play)

    command = _add_command(commands, "info", "say what runs here", INFO)
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.set_defaults(work=info)

    command = _add_command(commands, "export", "write a model in another format", EXPORT)
    formats = command.add_subparsers(metavar="FORMAT", required=True)
    for name, form in FORMATS.items():
        one = _add_command(formats, name, form.help, f"Write a model as {form.help}.\n")
        one.add_argument("model", metavar="MODEL", help="a file of pynn or of the Rust library")
        one.add_argument("output", metavar="OUTPUT", help="the file to write")
        for flag, settings in form.options.items():
            one.add_argument(flag, **settings)
        one.set_defaults(work=export, format=name)
    return parser


def info(options: argparse.Namespace) -> str:
    """Describe what is installed, for people or as JSON for programs."""
    return json.dumps(_info.collect(), indent=2) if options.json else _info.describe()


def explain(options: argparse.Namespace) -> str:
    """Explain a step of training on a picture."""
    names = ("label", "learning_rate", "raw", "html", "check")
    keywords = {name: getattr(options, name) for name in names}
    return _explain_image.explain(options.model, options.image, **keywords)


def play(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C."""
    with _play.Server(options.port) as server:
        _say(f"{server.url}  (Ctrl-C ends it)")
        server.run(browser=not options.no_browser)


def export(options: argparse.Namespace) -> str:
    """Read a model and write it in another format; return a report to print."""
    names = [settings["dest"] for settings in FORMATS[options.format].options.values()]
    keywords = {name: getattr(options, name) for name in names}
    if _inspect.is_same_file(options.model, options.output):
        raise pynn.ArgumentError(
            f"{options.output}: is the file of the model, which would be lost; give another name"
        )
    with _inspect.read_model(options.model) as model:
        report = getattr(pynn.formats, options.format).save(model, options.output, **keywords)
    output = checks.printable(options.output, LONGEST)
    wrote = f"wrote {output}, {os.path.getsize(options.output):,} bytes"
    return wrote if report is None else f"{wrote}\n{report}"


def reason(error: BaseException) -> str:
    """Format an error as one line, without errno, and safe to print on a terminal."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None:
            text = f"{os.fsdecode(error.filename)}: {text}"
    return checks.printable(text.strip() or type(error).__name__, LONGEST)


if __name__ == "__main__":
    sys.exit(main())
