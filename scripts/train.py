#!/usr/bin/env python3
"""Train networks on MNIST, or on any data set in its layout, and save them. See --help."""

import argparse
import math
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

try:
    import pynn
except ModuleNotFoundError as error:
    if error.name not in ("numpy", "pynn"):
        raise
    sys.exit(f"train.py: error: {error.name} is not installed: pip install '.[scripts]'")
except ValueError as error:
    if type(error).__module__ != "pynn":  # pynn raises one for a wrong environment variable
        raise
    sys.exit(f"train.py: error: {error}")

from _program import MODELS, ROOT, Failure, Parser, near, printable, run, say, shown
from _recipes import BOTH, PLAIN, SINGLE, Settings
from _report import Report
from _result import Trained, as_json, as_table
from _settings import (
    add_options,
    build,
    choose,
    image_shape,
    integer,
    make_augmentation,
    make_optimizer,
    number,
    widths,
)

DATA = Path(ROOT, "data", "mnist")

DESCRIPTION = """\
Train a ReLU and a sigmoid network on MNIST and save them for predict.py.

The networks are 784-256-64-10 with softmax and cross-entropy. What suits each
of them is the default. Other recipes train one network, of the recipe's name:

    --recipe plain       relu      --init he      --learning-rate 0.05
                         sigmoid   --init xavier  --learning-rate 0.2
    --recipe best        784-256-64-10, as good as it gets: docs/learning.md
    --recipe conv        a convolutional network: docs/images.md
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

EPILOG = """\
examples:
  train.py                                    both networks, 15 epochs
  train.py --network relu --epochs 3          a quick look
  train.py --hidden 512,256,128 --seed 1      a larger network
  train.py --hidden none                      softmax regression
  train.py --data fashion --output fashion    Fashion-MNIST, or any data set in
                                              MNIST's four files, plain or .gz
  train.py --recipe best                      the most accurate dense network
  train.py --recipe conv --model mine.safetensors
                                              a convolutional one, saved there
  train.py --optimizer adam --learning-rate 0.002 --dropout 0.1
  train.py --resume                           go on after Ctrl-C, or a crash
  train.py --discard                          start anew instead
  train.py --json --quiet > result.json       for programs

exit status: 0 done, 1 the run failed, 2 wrong call, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    return run("train.py", lambda: train(_options(argv)))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the options."""
    parser = _parser()
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


def _parser() -> Parser:
    parser = Parser("train.py", DESCRIPTION, EPILOG)
    network = parser.add_argument_group("network")
    network.add_argument(
        "--recipe",
        choices=["plain", *SINGLE],
        default="plain",
        help="what is trained, and how (default: %(default)s)",
    )
    network.add_argument(
        "--network",
        choices=[*PLAIN, "both"],
        help="which network of the plain recipe, by its activation (default: both, which is "
        f"{' and '.join(BOTH)})",
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
    places = parser.add_argument_group("input and output")
    places.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="the data set (default: data/mnist of the repository, or else where "
        "pynn.datasets.mnist looks)",
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
        default=Path(MODELS),
        metavar="DIR",
        help="where to save NAME.safetensors of each network, replacing those that are "
        "there (default: models of the repository, where predict.py looks)",
    )
    saved.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="where to save the network, if it is only one; predict.py --model reads it",
    )
    places.add_argument("--quiet", action="store_true", help="no progress, only the result")
    places.add_argument(
        "--json", action="store_true", help="the result as JSON; progress goes to stderr"
    )
    return parser


def train(options: argparse.Namespace) -> int:
    """Train and save what the options ask for, and print the result."""
    training, validation, source = _data(options.data, options.prefix)
    report = Report(sys.stderr if options.json else sys.stdout, quiet=options.quiet)
    held_out = round(len(training.labels) * (options.validation or 0.0))
    report.line(
        f"{printable(source)}: {len(training.labels) - held_out:,} examples to train on, "
        f"{held_out or len(validation.labels):,} to validate with"
    )
    runs = [Run(name, its, *_places(options, name)) for name, its in options.settings.items()]
    checkpoints = [what.checkpoint for what in runs]
    _look_for_unfinished(options, checkpoints)
    try:
        done = [_train(options, what, training, validation, report) for what in runs]
    except KeyboardInterrupt:
        kept = _existing(checkpoints)
        if not kept:
            raise
        raise KeyboardInterrupt(f"kept in {kept}; the same command with --resume goes on") from None
    for path in checkpoints:
        path.unlink(missing_ok=True)
    report.line("")
    if options.json or sys.stdout is not None:  # if it is closed, saving the networks is enough
        say(as_json(options.seed, source, done) if options.json else as_table(done))
    return 0


class Run(NamedTuple):
    """A network to train."""

    name: str
    settings: Settings
    path: Path
    checkpoint: Path


def _places(options: argparse.Namespace, name: str) -> tuple[Path, Path]:
    """The file of a network and that of its checkpoint; a bad one should fail before training."""
    path: Path = options.model or options.output / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise Failure(f"{shown(path)}: is a folder; name a file in it")
    return path, path.with_name(f"{path.name.removesuffix('.safetensors')}.checkpoint")


def _look_for_unfinished(options: argparse.Namespace, checkpoints: Collection[Path]) -> None:
    """Check that --resume has a checkpoint to resume; otherwise, that no run is unfinished."""
    kept = _existing(checkpoints)
    if options.resume and not kept:
        looked = " and ".join(map(shown, checkpoints))
        raise Failure(f"nothing to resume: there is no {looked}; leave out --resume")
    if options.discard:
        for path in checkpoints:
            path.unlink(missing_ok=True)
    elif kept and not options.resume:
        raise Failure(
            f"an unfinished run is kept in {kept}: --resume goes on with it, --discard starts anew"
        )


def _existing(paths: Collection[Path]) -> str:
    """The names, for a message, of those files that exist."""
    return " and ".join(shown(path) for path in paths if path.exists())


def _train(
    options: argparse.Namespace,
    what: Run,
    training: pynn.datasets.Dataset,
    validation: pynn.datasets.Dataset,
    report: Report,
) -> Trained:
    """Train one network, or resume its training, and save it."""
    name, settings, path, checkpoint = what
    report.start(name)
    model, sizes = _build(options, settings, training, validation)
    which = "-".join(map(str, sizes))
    if settings.layers is not None:
        which = f"layers for images, {model.parameter_count:,} parameters"
    report.line(f"{name}: {which}, {settings}")
    if options.resume and checkpoint.exists():
        model = _resume(checkpoint, model)
    rows = len(training.labels) - round(len(training.labels) * (options.validation or 0.0))
    stopping = options.early_stopping
    with model, report:
        try:
            history = model.fit(
                *training,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                optimizer=make_optimizer(settings, -(-rows // settings.batch_size)),
                validation=options.validation or validation,
                early_stopping=pynn.EarlyStopping(stopping) if stopping else None,
                class_weight=options.class_weight,
                shuffle=not options.no_shuffle,
                augmentation=make_augmentation(settings),
                on_epoch=report.epoch,
                on_progress=report.progress,
                checkpoint=checkpoint,
            )
        except pynn.DivergenceError as error:
            raise _diverged(name, error, checkpoint) from None
        model.save(path)
        test = model.evaluate(*validation) if options.validation else None
        chain = repr(model)
    return Trained(name, sizes, chain, settings, history, path, test)


def _build(
    options: argparse.Namespace,
    settings: Settings,
    training: pynn.datasets.Dataset,
    validation: pynn.datasets.Dataset,
) -> tuple[pynn.Model, tuple[int, ...]]:
    """Build the network that the data and the options need; return it, and its `Trained.sizes`."""
    shape = training.images.shape[1:]
    if settings.layers is not None:
        shape = image_shape(shape)
    classes = int(max(training.labels.max(), validation.labels.max())) + 1
    hidden = options.hidden
    if hidden is None:
        hidden = () if settings.layers else (256, 64)
    model = build(settings, shape, hidden, classes, options.seed)
    return model, (math.prod(shape), *hidden, classes)


def _diverged(name: str, error: pynn.DivergenceError, checkpoint: Path) -> Failure:
    """What to say of a network whose loss is no longer a finite number."""
    where = str(error).split(":")[0]
    return Failure(
        f"{name}: {where}: the loss is no longer a finite number; "
        "try a smaller --learning-rate with --discard, as this run cannot go on with "
        f"another. How far it came is kept in {shown(checkpoint)}, for pynn.load"
    )


def _data(
    root: Path | None, prefix: str
) -> tuple[pynn.datasets.Dataset, pynn.datasets.Dataset, str]:
    """The training set, the validation set, and a name for the two."""
    if root is None and not prefix and not DATA.is_dir():
        return *pynn.datasets.mnist(), "MNIST"
    root = root or DATA
    training, validation = pynn.datasets.load(root, prefix=prefix)
    for part, (images, _) in (("train", training), ("t10k", validation)):
        if not images.size:
            raise Failure(f"{shown(root)}: the {part} files hold no examples")
    return training, validation, near(root / prefix if prefix else root)


def _resume(path: Path, like: pynn.Model) -> pynn.Model:
    """The network of a checkpoint; raise a Failure if the options describe another one."""
    model = pynn.Model.resume(path)
    if repr(model) != repr(like) or model.seed != like.seed:
        raise Failure(
            f"{shown(path)} belongs to another run: {model!r} with seed {model.seed}; the options"
            f" describe {like!r} with seed {like.seed}"
        )
    return model


if __name__ == "__main__":
    sys.exit(main())
