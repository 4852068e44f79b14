"""A network with all that is random in training, examples for it, and every optimizer."""

from __future__ import annotations

import hashlib

import numpy as np

import pynn

rng = np.random.default_rng(4)
X = rng.normal(size=(210, 6)).astype(np.float32)
Y = (X[:, 0] + 0.5 * rng.normal(size=210) > 0.3).astype(np.int64) + (X[:, 1] > 1.2)

OPTIMIZERS: dict[str, pynn.SGD | pynn.Adam] = {
    "sgd": pynn.SGD(learning_rate=0.1),
    "momentum": pynn.SGD(learning_rate=0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": pynn.SGD(learning_rate=0.05, momentum=0.9, nesterov=True),
    "adam": pynn.Adam(learning_rate=pynn.schedules.Cosine(0.02, steps=60)),
    "adamw": pynn.AdamW(
        learning_rate=pynn.schedules.WarmUp(pynn.schedules.OneCycle(0.02, steps=60), steps=5),
        max_gradient_norm=0.5,
    ),
    "callable": pynn.Adam(learning_rate=lambda step: 0.01 / (1 + step)),
}


def build(seed: int = 2) -> pynn.Model:
    """A network with all that is random in training."""
    chain = pynn.Builder().input(6).dense(20).leaky_relu(0.1).dropout(0.2).dense(3)
    return chain.softmax_cross_entropy(label_smoothing=0.05).build(seed=seed)


def digest(model: pynn.Model) -> str:
    """The parameters in short."""
    return hashlib.sha256(model._engine.parameters.tobytes()).hexdigest()


class Stop(Exception):
    """What a callback raises."""
