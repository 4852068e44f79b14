"""Record what PyTorch's losses are in the first steps, for test_parity.py to hold pynn against.

    pip install torch==2.13.0 numpy
    python tests/parity/record_pytorch.py

writes pytorch.json beside this file. The initial state and the batches are made here from NumPy
alone, so the test makes the very same ones without PyTorch.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MNIST = Path(__file__).parents[2] / "data" / "mnist"
RECORDED = Path(__file__).with_name("pytorch.json")
WIDTHS = (784, 256, 64, 10)
STEPS = 10
BATCH_SIZE = 128


class Recipe(NamedTuple):
    """What is trained: an activation after all dense layers but the last, and a learning rate."""

    activation: str
    learning_rate: float


RECIPES = {
    "relu": Recipe("relu", 0.05),
    "sigmoid": Recipe("sigmoid", 0.2),
    "tanh": Recipe("tanh", 0.1),
}


def initial_parameters() -> list[npt.NDArray[np.float32]]:
    """W (I, O) and b (O,) of every dense layer.

    Uniform, of the variance 2 / I that suits ReLU. RandomState's numbers are frozen for good; those
    of NumPy's newer generators may change with its version.
    """
    random = np.random.RandomState(20)
    tensors = []
    for inputs, outputs in itertools.pairwise(WIDTHS):
        limit = math.sqrt(6.0 / inputs)
        tensors.append(random.uniform(-limit, limit, (inputs, outputs)).astype(np.float32))
        tensors.append(random.uniform(-0.1, 0.1, outputs).astype(np.float32))
    return tensors


def examples() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """The first STEPS * BATCH_SIZE training images, (n, 784), and their labels, (n,)."""
    count = STEPS * BATCH_SIZE
    with gzip.open(MNIST / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(16 + 784 * count), np.uint8, offset=16)
    with gzip.open(MNIST / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    return images.reshape(count, 784), labels.astype(np.int32)


def train_with_pytorch(recipe: Recipe) -> dict[str, Any]:
    """Each step's mean loss before its update; norms of the parameters after the last."""
    import torch

    linears = []
    weights_and_biases = iter(initial_parameters())
    for inputs, outputs in itertools.pairwise(WIDTHS):
        linear = torch.nn.Linear(inputs, outputs)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(next(weights_and_biases)).T)
            linear.bias.copy_(torch.from_numpy(next(weights_and_biases)))
        linears.append(linear)
    parameters = [p for linear in linears for p in (linear.weight, linear.bias)]
    optimizer = torch.optim.SGD(parameters, lr=recipe.learning_rate)
    activation = getattr(torch, recipe.activation)

    images, labels = examples()
    x = torch.from_numpy(images.copy()).float() / 255
    y = torch.from_numpy(labels).long()
    losses = []
    for start in range(0, len(x), BATCH_SIZE):
        values = x[start : start + BATCH_SIZE]
        for linear in linears[:-1]:
            values = activation(linear(values))
        logits = linears[-1](values)
        loss = torch.nn.functional.cross_entropy(logits, y[start : start + BATCH_SIZE])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(round(loss.item(), 8))
    norms = [round(p.detach().double().norm().item(), 8) for p in parameters]
    return {"losses": losses, "norms": norms}


def main() -> None:
    """Run every recipe and write the figures."""
    import torch

    figures = {name: train_with_pytorch(recipe) for name, recipe in RECIPES.items()}
    text = json.dumps({"torch": torch.__version__, **figures}, indent=1)
    RECORDED.write_text(text + "\n")


if __name__ == "__main__":
    main()
