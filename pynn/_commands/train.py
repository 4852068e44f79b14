"""Train networks on MNIST, or on any data set in its layout, and save them."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import pynn
from pynn._commands.program import Failure, near, printable, run, say, shown
from pynn._commands.recipes import Settings
from pynn._commands.report import Report
from pynn._commands.result import Trained, as_json, as_table
from pynn._commands.settings import build, image_shape, make_augmentation, make_optimizer
from pynn._commands.train_options import parse


def main(
    argv: Sequence[str] | None = None,
    *,
    program: str = "pynn train",
    models: str = "models",
    data: str = "",
) -> int:
    """Run the command and return its exit status.

    Args:
        argv: The options; None for those of this process.
        program: What the user calls the command.
        models: The folder where networks are saved, unless an option names another.
        data: A folder that may have MNIST; "" if only `pynn.datasets.mnist` is to look for it.
    """
    return run(program, lambda: train(parse(argv, program, models, data), program, data))


def train(options: argparse.Namespace, program: str, data: str) -> int:
    """Train and save what the options ask for, and print the result."""
    training, validation, source = _data(options.data, options.prefix, data)
    report = Report(program, sys.stderr if options.json else sys.stdout, quiet=options.quiet)
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
        say(
            as_json(options.seed, source, done) if options.json else as_table(done),
            fold=not options.json,
        )
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
    rows = len(training.labels) - round(len(training.labels) * (options.validation or 0.0))
    if options.batch_size is None:  # the recipe's may be more than there are
        settings = settings._replace(batch_size=max(min(settings.batch_size, rows), 1))
    report.start(name)
    model, sizes = _build(options, settings, training, validation)
    report.line(f"{name}: {_which(model, sizes, settings)}, {settings}")
    if options.resume and checkpoint.exists():
        model = _resume(checkpoint, model)
    stopping = options.early_stopping
    with model, report:
        try:
            history = model.fit(
                *training,
                epochs=settings.epochs,
                batch_size=None if settings.optimizer == "lbfgs" else settings.batch_size,
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


def _which(model: pynn.Model, sizes: Sequence[int], settings: Settings) -> str:
    """A network in a few words."""
    if settings.layers is not None:
        return f"layers for images, {model.parameter_count:,} parameters"
    return "-".join(map(str, sizes))


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
    root: Path | None, prefix: str, usual: str
) -> tuple[pynn.datasets.Dataset, pynn.datasets.Dataset, str]:
    """The training set, the validation set, and a name for the two."""
    if root is None:
        if not usual or not (prefix or os.path.isdir(usual)):
            try:
                return *pynn.datasets.mnist(), "MNIST"
            except pynn.DataNotFoundError as error:
                raise Failure(str(error).replace("mnist(root)", "--data DIR")) from None
        root = Path(usual)
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
