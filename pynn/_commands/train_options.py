"""The options of the command that trains."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pynn
from pynn._commands.parser import Parser, examples, listed
from pynn._commands.program import near
from pynn._commands.recipes import BOTH, PLAIN, SINGLE
from pynn._commands.settings import add_options, choose, integer, number, widths

DESCRIPTION = """\
Train a ReLU and a sigmoid network on MNIST and save them.

The networks are 784-256-64-10 with softmax and cross-entropy. What suits each
of them is the default. Other recipes train one network, of the recipe's name:

    --recipe plain       relu: --init he --learning-rate 0.05
                         sigmoid: --init xavier --learning-rate 0.2
    --recipe best        784-256-64-10, as good as it gets
    --recipe conv        a convolutional network
    --recipe conv-small  one with less than 10,000 parameters
    --recipe conv-fast   one that is trained in some seconds

On a terminal a bar shows how far an epoch is; each epoch then leaves a line.
Loss and accuracy in training are means over the epoch while it ran, those in
validation are measured after it. The same seed gives the same networks,
whatever the number of threads.

After each epoch, and when it is interrupted, a network is kept beside its file
as NAME.checkpoint. The same command with --resume goes on from there and ends
with the same network, one with --discard starts anew, and without either it is
refused. When all networks are done their checkpoints are removed.
"""

EXAMPLES = {
    "": "both networks, 15 epochs",
    "--network relu --epochs 3": "a quick look",
    "--hidden 512,256,128 --seed 1": "a larger network",
    "--hidden none": "softmax regression",
    "--data fashion --output fashion": "any data set in MNIST's four files, plain or .gz",
    "--recipe best": "the most accurate dense network",
    "--recipe conv --model mine.safetensors": "a convolutional one, saved there",
    "--optimizer adam --learning-rate 0.002": "other settings",
    "--resume": "go on after Ctrl-C, or a crash",
    "--discard": "start anew instead",
    "--json --quiet > result.json": "for programs",
}

STATUS = """\

exit status: 0 done, 1 the run failed, 2 wrong call, 130 interrupted
"""


def parse(argv: Sequence[str] | None, program: str, models: str, data: str) -> argparse.Namespace:
    """Parse and check the options; the arguments are those of `train.main`."""
    parser = _parser(program, models, data)
    options = parser.parse_args(argv)
    if options.recipe in SINGLE and options.network is not None:
        parser.error("argument --network: only --recipe plain has it")
    if (
        options.model is not None
        and options.recipe == "plain"
        and options.network in (None, "both")
    ):
        parser.error(
            "argument --model: is the file of one network, and here are two; choose one with"
            " --network or --recipe, or name a folder with --output"
        )
    if options.early_stopping is not None and options.validation is None:
        parser.error(
            "argument --early-stopping: needs --validation, because the test data must not decide "
            "when to stop"
        )
    try:
        options.settings = choose(options)
    except ValueError as error:
        parser.error(str(error))
    if options.threads is not None:
        try:
            pynn.set_num_threads(options.threads)
        except pynn.ArgumentError as error:
            parser.error(f"argument --threads: {error}")
    return options


def _parser(program: str, models: str, data: str) -> Parser:
    parser = Parser(program, DESCRIPTION, examples(program, EXAMPLES) + STATUS)
    network = parser.add_argument_group("network")
    network.add_argument(
        "--recipe",
        choices=["plain", *SINGLE],
        metavar="NAME",
        default="plain",
        help=f"{listed(['plain', *SINGLE])}: what is trained, and how (default: %(default)s)",
    )
    network.add_argument(
        "--network",
        choices=[*PLAIN, "both"],
        metavar="NAME",
        help=f"which network of the plain recipe: {listed(PLAIN)}, or both, which is"
        f" {listed(BOTH, 'and')} (default: both)",
    )
    network.add_argument(
        "--hidden",
        type=widths,
        metavar="N,N",
        help="widths of the hidden dense layers, or none (default: 256,64, and none behind the "
        "layers for images)",
    )
    add_options(parser)
    training = parser.add_argument_group("run")
    training.add_argument(
        "--validation",
        type=number(above=0.0, below=1.0),
        metavar="SHARE",
        help="hold out this share of the training data and validate with it, rather than with the "
        "test data",
    )
    training.add_argument(
        "--class-weight",
        choices=["balanced"],
        metavar="balanced",
        help="give all classes the same total weight, however many examples they have",
    )
    training.add_argument(
        "--no-shuffle", action="store_true", help="keep the order of the examples"
    )
    training.add_argument(
        "--early-stopping",
        type=integer(1, 2**31 - 1),
        metavar="EPOCHS",
        help="end, with the best network, after so many epochs without a better validation loss",
    )
    training.add_argument(
        "--seed",
        type=integer(0, 2**64 - 1),
        default=0,
        metavar="N",
        help="decides the weights and the order of examples (default: %(default)s)",
    )
    training.add_argument(
        "--threads",
        type=integer(1, 2**31 - 1),
        metavar="N",
        help="default: $PYNN_NUM_THREADS, or else one for each core of this process",
    )
    unfinished = training.add_mutually_exclusive_group()
    unfinished.add_argument(
        "--resume",
        action="store_true",
        help="go on where a run with otherwise the same options was interrupted",
    )
    unfinished.add_argument(
        "--discard",
        action="store_true",
        help="delete the checkpoints of an interrupted run, and start anew",
    )
    predict = program.replace("train", "predict")
    where = f" in {near(data)}" if data else ""
    places = parser.add_argument_group("input and output")
    places.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"the data set, in MNIST's four files (default: MNIST{where}, or else where"
        " pynn.datasets.mnist looks)",
    )
    places.add_argument(
        "--prefix",
        default="",
        metavar="TEXT",
        help="what the names of the data set's four files begin with, as emnist-letters-",
    )
    saved = places.add_mutually_exclusive_group()
    saved.add_argument(
        "--output",
        type=Path,
        default=Path(models),
        metavar="DIR",
        help="where to save NAME.safetensors of each network, replacing those that are "
        f"there (default: {near(models)}, where {predict} looks)",
    )
    saved.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help=f"where to save the network, if it is only one; {predict} --model reads it",
    )
    places.add_argument("--quiet", action="store_true", help="no progress, only the result")
    places.add_argument(
        "--json", action="store_true", help="the result as JSON; progress goes to stderr"
    )
    return parser
