"""The recipes by which train.py trains a network: its layers, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Activation = Literal["relu", "leaky_relu", "gelu", "sigmoid", "tanh"]
Init = Literal["he", "xavier"]
Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]


class Settings(NamedTuple):
    """The settings of a training, apart from the data, the hidden widths and the seed."""

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
    """The rate of dropout behind each hidden dense layer, and behind the layers for images."""
    label_smoothing: float = 0.0
    nesterov: bool = False
    max_gradient_norm: float | None = None
    shift: float = 0.0
    """This and the next four are the arguments of pynn.Augmentation."""
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    layers: Layers | None = None
    """The layers for images, up to the last one, which is dense; None: dense layers only."""

    def __str__(self) -> str:
        """The main settings, and all others that differ from their defaults."""
        words = [f"{self.init}, learning rate {self.learning_rate:g}"]
        if self.optimizer != "sgd":
            words.append(self.optimizer)
        if self.schedule != "constant":
            words.append(self.schedule)
        for name in (*NUMBERS, "max_gradient_norm", *CHANGES):
            if value := getattr(self, name):
                words.append(f"{name.replace('_', ' ')} {value:g}")
        if self.nesterov:
            words.append("nesterov")
        return ", ".join([*words, f"batch size {self.batch_size}"])


Layers = Callable[[Any, Settings], Any]
"""It adds layers to a chain. (The chain's methods are found by name, which no type describes.)"""

NUMBERS = ("momentum", "weight_decay", "warm_up", "dropout", "label_smoothing")
CHANGES = ("shift", "rotate", "scale", "shear", "elastic")

BOTH = ("relu", "sigmoid")
PLAIN = {
    "relu": Settings("relu", "he", 0.05),
    "leaky_relu": Settings("leaky_relu", "he", 0.05),
    "gelu": Settings("gelu", "he", 0.05),
    "sigmoid": Settings("sigmoid", "xavier", 0.2),
    "tanh": Settings("tanh", "xavier", 0.1),
}


def _convolve(chain: Any, its: Settings, *filters: int) -> Any:
    """Add convolutions of 3 x 3, each with batch normalization and an activation."""
    for count in filters:
        chain = chain.conv2d(count, 3, init=its.init).batch_norm()
        chain = getattr(chain, its.activation)()
    return chain


def _conv(chain: Any, its: Settings) -> Any:
    chain = _convolve(chain, its, 16, 16).max_pool2d(2)
    chain = _convolve(chain, its, 32, 32).max_pool2d(2)
    return _convolve(chain, its, 48, 48).global_avg_pool()


def _conv_small(chain: Any, its: Settings) -> Any:
    chain = _convolve(chain, its, 8).max_pool2d(2)
    chain = _convolve(chain, its, 16).max_pool2d(2)
    return _convolve(chain, its, 32).global_avg_pool()


SINGLE = {
    "best": Settings(
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
    ),
    "conv": Settings(
        "relu",
        "he",
        0.01,
        epochs=10,
        batch_size=128,
        optimizer="adamw",
        weight_decay=0.05,
        schedule="one-cycle",
        shift=2.0,
        rotate=10.0,
        scale=0.1,
        layers=_conv,
    ),
    "conv-small": Settings(
        "relu",
        "he",
        0.01,
        epochs=20,
        batch_size=128,
        optimizer="adamw",
        weight_decay=0.05,
        schedule="one-cycle",
        shift=1.0,
        rotate=10.0,
        scale=0.1,
        layers=_conv_small,
    ),
}
"""The recipes that train one network, which is saved under the recipe's name."""
