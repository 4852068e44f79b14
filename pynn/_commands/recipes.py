"""The recipes by which the command `train` trains a network: its layers, and how it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Activation = Literal["relu", "leaky_relu", "gelu", "sigmoid", "tanh"]
Init = Literal["he", "xavier"]
Optimizer = Literal["sgd", "adam", "adamw", "lbfgs"]
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
    plain_epochs: int = 0
    """The number of epochs at the end in which images are not changed."""
    layers: Convolutions | None = None
    """The layers for images, up to the last one, which is dense; None: dense layers only."""

    def __str__(self) -> str:
        """The main settings, and all others that differ from their defaults."""
        lbfgs = self.optimizer == "lbfgs"  # it has no learning rate, and takes all examples
        words: list[str] = (
            [self.init] if lbfgs else [f"{self.init}, learning rate {self.learning_rate:g}"]
        )
        if self.optimizer != "sgd":
            words.append(self.optimizer)
        if self.schedule != "constant":
            words.append(self.schedule)
        for name in (*NUMBERS, "max_gradient_norm", *CHANGES, "plain_epochs"):
            if value := getattr(self, name):
                words.append(f"{name.replace('_', ' ')} {value:g}")
        if self.nesterov:
            words.append("nesterov")
        return ", ".join([*words, *([] if lbfgs else [f"batch size {self.batch_size}"])])


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


class Convolutions(NamedTuple):
    """LeNet up to its dense layers, with batch normalization, and a third convolution."""

    first: int
    """The filters of 5 x 5 of the first convolution; then those of the second."""
    second: int
    third: int
    """The filters of 3 x 3."""

    def __call__(self, chain: Any, its: Settings, shape: Sequence[int]) -> Any:
        """Add the layers to a chain of images of that shape, (channels, height, width).

        The chain's methods are found by name, which no type describes.

        Images of less than 16 x 16 get zeros around them, or nothing would be left of them.
        """
        padding = "valid" if min(shape[1:]) >= 16 else "same"
        chain = self._convolve(chain, its, self.first, 5, padding).max_pool2d(2)
        chain = self._convolve(chain, its, self.second, 5, padding).max_pool2d(2)
        return self._convolve(chain, its, self.third, 3, "same")

    def _convolve(self, chain: Any, its: Settings, filters: int, size: int, padding: str) -> Any:
        chain = chain.conv2d(filters, size, padding=padding, init=its.init).batch_norm()
        return getattr(chain, its.activation)()


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
        epochs=12,
        batch_size=64,
        optimizer="adamw",
        weight_decay=0.1,
        schedule="one-cycle",
        label_smoothing=0.05,
        shift=1.5,
        rotate=10.0,
        scale=0.1,
        shear=8.0,
        elastic=1.0,
        plain_epochs=1,
        layers=Convolutions(16, 32, 64),
    ),
    "conv-small": Settings(
        "relu",
        "he",
        0.01,
        epochs=38,
        batch_size=64,
        optimizer="adam",
        schedule="one-cycle",
        shift=1.5,
        rotate=8.0,
        scale=0.08,
        plain_epochs=6,
        layers=Convolutions(8, 12, 24),
    ),
    "conv-fast": Settings(
        "relu",
        "he",
        0.01,
        epochs=3,
        batch_size=64,
        optimizer="adam",
        schedule="one-cycle",
        label_smoothing=0.05,
        layers=Convolutions(8, 16, 32),
    ),
}
"""The recipes that train one network, which is saved under the recipe's name."""
