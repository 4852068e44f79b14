"""How train.py trains a network: the recipes, and the options that change them."""

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
    """What makes a training, beside the data, the widths and the seed."""

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
    """Epochs that the learning rate takes to reach the schedule's first."""
    dropout: float = 0.0
    """Behind each activation."""
    label_smoothing: float = 0.0
    nesterov: bool = False
    max_gradient_norm: float | None = None

    def __str__(self) -> str:
        """In words: what is always so, and what is not as usual."""
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
    """The options that change settings; without them these are the recipe's."""
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
        "--momentum", type=number(least=0.0, below=1.0), metavar="SHARE", help="of sgd (default: 0)"
    )
    group.add_argument("--nesterov", action="store_true", default=None, help="that of Nesterov")
    group.add_argument(
        "--max-gradient-norm",
        type=number(above=0.0),
        metavar="NORM",
        help="longer gradients are made as short (default: none are)",
    )
    group.add_argument(
        "--weight-decay",
        type=number(least=0.0),
        metavar="RATE",
        help="of weights (default: 0, best 0.1)",
    )
    group.add_argument(
        "--schedule",
        choices=get_args(Schedule),
        help="of the learning rate; step: a tenth after each third of the epochs "
        "(default: constant, best one-cycle)",
    )
    group.add_argument(
        "--warm-up",
        type=number(least=0.0),
        metavar="EPOCHS",
        help="before the schedule (default: 0)",
    )
    group.add_argument(
        "--dropout",
        type=number(least=0.0, below=1.0),
        metavar="SHARE",
        help="behind each activation (default: 0, best 0.1)",
    )
    group.add_argument(
        "--label-smoothing",
        type=number(least=0.0, below=1.0),
        metavar="SHARE",
        help="default: 0, best 0.1",
    )


def choose(options: argparse.Namespace) -> dict[str, Settings]:
    """The networks to train, by name: the recipe's, with what the options change."""
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
            raise ValueError(f"argument --momentum: is of sgd, not of {its.optimizer}")
        if its.nesterov and not its.momentum:
            raise ValueError("argument --nesterov: needs a --momentum")
    return settings


def build(settings: Settings, sizes: tuple[int, ...], seed: int) -> pynn.Model:
    """The network of some widths."""
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
    """The optimizer for epochs of so many steps."""
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
    """The schedule over all epochs, or the number where it is constant."""
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
    """A parser of numbers in a range."""
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
