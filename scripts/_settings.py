"""The recipes by which train.py trains a network, and the options that change them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import pynn

Activation = Literal["relu", "leaky_relu", "gelu", "sigmoid", "tanh"]
Init = Literal["he", "xavier"]
Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]


class Settings(NamedTuple):
    """The settings of a training, apart from the data, the widths and the seed."""

    activation: Activation
    init: Init
    learning_rate: float
    epochs: int = 15
    batch_size: int = 128
    optimizer: Optimizer = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warm_up: float = 0.0
    """The number of epochs in which the learning rate rises to the schedule's first value."""
    dropout: float = 0.0
    """The rate of dropout behind each activation."""
    label_smoothing: float = 0.0
    nesterov: bool = False
    max_gradient_norm: float | None = None

    def __str__(self) -> str:
        """The main settings, and all others that differ from their defaults."""
        words = [f"{self.init}, learning rate {self.learning_rate:g}"]
        if self.optimizer != "sgd":
            words.append(self.optimizer)
        if self.schedule != "constant":
            words.append(self.schedule)
        for name in (*NUMBERS, "max_gradient_norm"):
            if value := getattr(self, name):
                words.append(f"{name.replace('_', ' ')} {value:g}")
        if self.nesterov:
            words.append("nesterov")
        return ", ".join([*words, f"batch size {self.batch_size}"])


NUMBERS = ("momentum", "weight_decay", "warm_up", "dropout", "label_smoothing")

BOTH = ("relu", "sigmoid")
PLAIN = {
    "relu": Settings("relu", "he", 0.05),
    "leaky_relu": Settings("leaky_relu", "he", 0.05),
    "gelu": Settings("gelu", "he", 0.05),
    "sigmoid": Settings("sigmoid", "xavier", 0.2),
    "tanh": Settings("tanh", "xavier", 0.1),
}
BEST = Settings(
    "gelu",
    "he",
    0.003,
    epochs=20,
    batch_size=64,
    optimizer="adamw",
    weight_decay=0.1,
    schedule="one-cycle",
    dropout=0.1,
    label_smoothing=0.1,
)


def add_options(parser: argparse.ArgumentParser, integer: Callable[[int, int], Any]) -> None:
    """Add the options that change the recipe's settings."""
    group = parser.add_argument_group("training", "the defaults are those of the recipe")
    count = integer(1, 2**31 - 1)
    group.add_argument("--epochs", type=count, metavar="N", help="default: 15, best 20")
    group.add_argument("--batch-size", type=count, metavar="N", help="default: 128, best 64")
    group.add_argument(
        "--learning-rate",
        type=number(above=0.0),
        metavar="RATE",
        help="default: see above; best 0.003",
    )
    group.add_argument(
        "--init", choices=get_args(Init), help="how weights are drawn (default: see above)"
    )
    group.add_argument("--optimizer", choices=get_args(Optimizer), help="default: sgd, best adamw")
    group.add_argument(
        "--momentum",
        type=number(least=0.0, below=1.0),
        metavar="SHARE",
        help="for sgd (default: 0)",
    )
    group.add_argument(
        "--nesterov", action="store_true", default=None, help="use Nesterov's momentum"
    )
    group.add_argument(
        "--max-gradient-norm",
        type=number(above=0.0),
        metavar="NORM",
        help="scale a longer gradient down to this norm (default: no limit)",
    )
    group.add_argument(
        "--weight-decay",
        type=number(least=0.0),
        metavar="RATE",
        help="the strength of weight decay (default: 0, best 0.1)",
    )
    group.add_argument(
        "--schedule",
        choices=get_args(Schedule),
        help="how the learning rate changes; step: divided by 10 after each third of the epochs "
        "(default: constant, best one-cycle)",
    )
    group.add_argument(
        "--warm-up",
        type=number(least=0.0),
        metavar="EPOCHS",
        help="epochs of rising learning rate before the schedule (default: 0)",
    )
    group.add_argument(
        "--dropout",
        type=number(least=0.0, below=1.0),
        metavar="SHARE",
        help="the rate of dropout behind each activation (default: 0, best 0.1)",
    )
    group.add_argument(
        "--label-smoothing",
        type=number(least=0.0, below=1.0),
        metavar="SHARE",
        help="default: 0, best 0.1",
    )


def choose(options: argparse.Namespace) -> dict[str, Settings]:
    """The settings of the networks to train, by name: the recipe's, changed by the options.

    Raises:
        ValueError: Two options do not fit together.
    """
    names = BOTH if options.network in (None, "both") else (options.network,)
    settings = {name: PLAIN[name] for name in names}
    if options.recipe == "best":
        settings = {"best": BEST}
    changes = {
        name: value
        for name in Settings._fields
        if (value := getattr(options, name, None)) is not None
    }
    settings = {name: recipe._replace(**changes) for name, recipe in settings.items()}
    for its in settings.values():
        if its.momentum and its.optimizer != "sgd":
            raise ValueError(f"argument --momentum: sgd has it, {its.optimizer} has not")
        if its.nesterov and not its.momentum:
            raise ValueError("argument --nesterov: needs a --momentum")
    return settings


def build(settings: Settings, sizes: tuple[int, ...], seed: int) -> pynn.Model:
    """Build a network with these widths, from input to output."""
    chain: Any = pynn.Builder().input(sizes[0])
    for width in sizes[1:-1]:
        chain = getattr(chain.dense(width, init=settings.init), settings.activation)()
        if settings.dropout:
            chain = chain.dropout(settings.dropout)
    chain = chain.dense(sizes[-1], init=settings.init)
    model: pynn.Model = chain.softmax_cross_entropy(label_smoothing=settings.label_smoothing).build(
        seed=seed
    )
    return model


def make_optimizer(settings: Settings, steps: int) -> pynn.SGD | pynn.Adam:
    """Make the optimizer; `steps` is the number of steps in an epoch."""
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
