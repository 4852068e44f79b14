"""The options of the command `train` that change a recipe, and what is built from its settings."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, get_args

import pynn
from pynn._commands.parser import listed
from pynn._commands.program import Failure
from pynn._commands.recipes import BOTH, CHANGES, PLAIN, SINGLE, Init, Optimizer, Schedule, Settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that change the recipe's settings."""
    group = parser.add_argument_group("training", "the defaults are those of the recipe")

    def add(option: str, words: str = "", **how: Any) -> None:
        name = option[2:].replace("-", "_")
        default = f"default: {_defaults(name)}"
        if "choices" in how:
            words = f"{listed(how['choices'])}{': ' * bool(words)}{words}"
            how["metavar"] = "NAME"
        group.add_argument(option, help=f"{words} ({default})" if words else default, **how)

    share = number(least=0.0, below=1.0)
    add("--epochs", type=integer(1, 2**31 - 1), metavar="N")
    add("--batch-size", type=integer(1, 2**31 - 1), metavar="N")
    add("--learning-rate", type=number(above=0.0), metavar="RATE")
    add("--init", "how weights are drawn", choices=get_args(Init))
    add("--optimizer", choices=get_args(Optimizer))
    add("--momentum", "for sgd", type=share, metavar="SHARE")
    group.add_argument(
        "--nesterov", action="store_true", default=None, help="use Nesterov's momentum"
    )
    add(
        "--max-gradient-norm",
        "scale a longer gradient down to this norm",
        type=number(above=0.0),
        metavar="NORM",
    )
    add(
        "--weight-decay",
        "the strength of weight decay",
        type=number(least=0.0),
        metavar="RATE",
    )
    add(
        "--schedule",
        "how the learning rate changes; step: divided by 10 after each third of the epochs",
        choices=get_args(Schedule),
    )
    add(
        "--warm-up",
        "epochs of rising learning rate before the schedule",
        type=number(least=0.0),
        metavar="EPOCHS",
    )
    add(
        "--dropout",
        "the rate of dropout behind each hidden dense layer, and before the last layer of conv",
        type=share,
        metavar="SHARE",
    )
    add("--label-smoothing", type=share, metavar="SHARE")
    images = parser.add_argument_group(
        "augmentation", "how images are changed at random, see pynn.Augmentation"
    )
    units = {"shift": "PIXELS", "elastic": "PIXELS", "scale": "SHARE"}
    for name in CHANGES:
        images.add_argument(
            f"--{name}",
            type=number(least=0.0),
            metavar=units.get(name, "DEGREES"),
            help=f"default: {_defaults(name)}",
        )
    images.add_argument(
        "--plain-epochs",
        type=integer(0, 2**31 - 1),
        metavar="EPOCHS",
        help="how many epochs at the end do not change images; the first always does "
        f"(default: {_defaults('plain_epochs')})",
    )


def _defaults(name: str) -> str:
    """The default of a setting in each recipe, for the help."""
    plain = Settings._field_defaults.get(name)
    of_plain = "see above" if name not in Settings._field_defaults else _shown(plain)
    others = [
        f"{recipe} {_shown(getattr(its, name))}"
        for recipe, its in SINGLE.items()
        if getattr(its, name) != plain
    ]
    return "; ".join([of_plain, *others])


def _shown(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def choose(options: argparse.Namespace) -> dict[str, Settings]:
    """The settings of the networks to train, by name: the recipe's, changed by the options.

    Raises:
        ValueError: Two options do not fit together, or one is too large.
    """
    names = BOTH if options.network in (None, "both") else (options.network,)
    settings = {name: PLAIN[name] for name in names}
    if options.recipe in SINGLE:
        settings = {options.recipe: SINGLE[options.recipe]}
    changes = {
        name: value
        for name in Settings._fields
        if (value := getattr(options, name, None)) is not None
    }
    settings = {name: recipe._replace(**changes) for name, recipe in settings.items()}
    for its in settings.values():
        if its.momentum and its.optimizer != "sgd":
            raise ValueError(f"argument --momentum: sgd has it, {its.optimizer} has not")
        if its.optimizer == "lbfgs":
            _check_lbfgs(its, changes)
        if its.nesterov and not its.momentum:
            raise ValueError("argument --nesterov: needs a --momentum")
        make_augmentation(its)
    return settings


NOT_LBFGS = ("batch_size", "learning_rate", "max_gradient_norm", "schedule", "warm_up")


def _check_lbfgs(its: Settings, changes: Collection[str]) -> None:
    """Check that nothing is asked of L-BFGS that it has no use for.

    Raises:
        ValueError: An option is one of other optimizers, or the recipe changes images at random.
    """
    for name in NOT_LBFGS:
        if name in changes:
            raise ValueError(
                f"argument --{name.replace('_', '-')}: lbfgs has none: a step takes all examples,"
                " and a line search finds how far to go"
            )
    if its.dropout or make_augmentation(its) is not None:
        raise ValueError(
            "argument --optimizer: lbfgs needs the same loss at each step, without dropout and"
            " changed images"
        )


def build(
    settings: Settings, shape: Sequence[int], hidden: Sequence[int], classes: int, seed: int
) -> pynn.Model:
    """Build a network: the recipe's layers for images, if it has any, and then dense ones.

    `shape` is that of an image, (channels, height, width), if the recipe has layers for images;
    otherwise any, as images become rows of values.
    """
    chain: Any
    if settings.layers is None:
        chain = pynn.Builder().input(math.prod(shape))
    else:
        chain = settings.layers(pynn.Builder().input(shape), settings, shape)
        if settings.dropout:
            chain = chain.dropout(settings.dropout)
    for width in hidden:
        chain = getattr(chain.dense(width, init=settings.init), settings.activation)()
        if settings.dropout:
            chain = chain.dropout(settings.dropout)
    chain = chain.dense(classes, init=settings.init)
    model: pynn.Model = chain.softmax_cross_entropy(label_smoothing=settings.label_smoothing).build(
        seed=seed
    )
    return model


def image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """The (channels, height, width) of images whose array has such rows; grey ones have 1 channel.

    Raises:
        Failure: They are no images, or their channels come last, as in (32, 32, 3).
    """
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    if len(shape) != 3:
        raise Failure(
            f"the images have the shape {tuple(shape)}, and layers for images need (height, width)"
            " or (channels, height, width); --recipe best takes any"
        )
    if shape[2] in (1, 3, 4) and shape[0] > 4:
        raise Failure(
            f"the images have the shape {tuple(shape)}, with the channels last; write them as"
            f" {(shape[2], *shape[:2])}: images.transpose(0, 3, 1, 2)"
        )
    return shape[0], shape[1], shape[2]


def make_augmentation(settings: Settings) -> pynn.Augmentation | None:
    """Make the changes of images, or None if there are none."""
    changes = {name: getattr(settings, name) for name in CHANGES}
    if not any(changes.values()):
        return None
    plain = settings.plain_epochs
    # Without plain epochs a run may be resumed for more of them, so no number is kept.
    return pynn.Augmentation(**changes, epochs=max(settings.epochs - plain, 1) if plain else None)


def make_optimizer(settings: Settings, steps: int) -> pynn.SGD | pynn.Adam | pynn.LBFGS:
    """Make the optimizer; `steps` is the number of steps in an epoch."""
    if settings.optimizer == "lbfgs":
        return pynn.LBFGS(weight_decay=settings.weight_decay)
    rate = _make_rate(settings, steps)
    common: dict[str, Any] = {
        "learning_rate": rate,
        "weight_decay": settings.weight_decay,
        "max_gradient_norm": settings.max_gradient_norm,
    }
    if settings.optimizer == "adam":
        return pynn.Adam(**common)
    if settings.optimizer == "adamw":
        return pynn.AdamW(**common)
    return pynn.SGD(**common, momentum=settings.momentum, nesterov=settings.nesterov)


def _make_rate(settings: Settings, steps: int) -> Any:
    """Make the learning rate: a schedule over all epochs, or a number if it is constant."""
    rate: Any = settings.learning_rate
    warm_up = round(settings.warm_up * steps)
    left = max(settings.epochs * steps - warm_up, 2)
    if settings.schedule == "step":
        rate = pynn.schedules.StepDecay(rate, every=-(-left // 3))
    elif settings.schedule == "cosine":
        rate = pynn.schedules.Cosine(rate, steps=left)
    elif settings.schedule == "one-cycle":
        rate = pynn.schedules.OneCycle(rate, steps=left)
    return pynn.schedules.WarmUp(rate, steps=warm_up) if warm_up else rate


def number(
    *, above: float | None = None, least: float | None = None, below: float = math.inf
) -> Callable[[str], float]:
    """Make a function that parses a number in a range."""
    limit = f"greater than {above:g}" if above is not None else f"at least {least:g}"
    upper = "" if below == math.inf else f" and less than {below:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        low = value > above if above is not None else least is not None and value >= least
        is_float32 = value == 0.0 or 2.0**-149 <= value < 2.0**128
        if not (low and value < below and is_float32):
            raise argparse.ArgumentTypeError(f"must be a number {limit}{upper}, got {text!r}")
        return value

    return parse


def integer(least: int, most: int) -> Callable[[str], int]:
    """Make a function that parses an integer in a range."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most}, got {text}")
        return value

    return parse


def widths(text: str) -> tuple[int, ...]:
    """Parse the widths of hidden layers."""
    if text == "none":
        return ()
    width = integer(1, 2**31 - 1)
    try:
        return tuple(width(part) for part in text.split(","))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"must be widths like 256,64, or none, got {text!r}"
        ) from None
