"""Models, data and threads for the tests of threads and of processes."""

from __future__ import annotations

from typing import Any

import numpy as np

import pynn

MINUTE = 60  # no test waits longer for what should come at once
X = np.random.default_rng(4).integers(0, 256, (301, 100), np.uint8)
Y = X[:, 0] % 5


def build(*widths: int, seed: int = 2) -> pynn.Model:
    """A network from 100 inputs over hidden layers of these widths to 5 classes."""
    chain: Any = pynn.Builder().input(100)
    for width in widths:
        chain = chain.dense(width).relu()
    model: pynn.Model = chain.dense(5).softmax_cross_entropy().build(seed=seed)
    return model


def fit(model: pynn.Model, epochs: int = 2, **options: Any) -> pynn.History:
    """Train gently: however long it goes on, nothing diverges."""
    sgd = pynn.SGD(learning_rate=0.01)
    return model.fit(X, Y, epochs=epochs, batch_size=100, optimizer=sgd, **options)


def flat(model: pynn.Model) -> bytes:
    """All parameters of a model."""
    return b"".join(array.tobytes() for array in model.parameters.values())
