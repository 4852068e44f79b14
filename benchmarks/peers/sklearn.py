"""scikit-learn: MLPClassifier with plain SGD. An epoch is one partial_fit, its leanest call."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from peers import common


class Peer(common.Peer):
    def load(self, data: str, rows: int) -> None:
        examples = common.load(data, rows)
        self.x = common.scaled(examples.features)
        self.y = examples.labels

    def build(self, widths: Sequence[int], batch: int, learning_rate: float) -> None:
        self.net = MLPClassifier(
            widths[1:-1],
            activation="relu",
            solver="sgd",
            alpha=0.0,
            batch_size=batch,
            learning_rate_init=learning_rate,
            momentum=0.0,
            nesterovs_momentum=False,
            random_state=0,
        )
        # Its arrays exist only after a first step.
        self.net.partial_fit(self.x[:batch], self.y[:batch], classes=np.arange(widths[-1]))
        for own, weights in zip(self.net.coefs_, common.initial_weights(widths), strict=True):
            own[...] = weights
        for bias in self.net.intercepts_:
            bias[...] = 0

    def epoch(self) -> float:
        self.net.partial_fit(self.x, self.y)
        return float(self.net.loss_)

    def predictor(self, batch: int) -> Callable[[int], Any]:
        batches = [common.scaled(images) for images in common.test_batches(batch)]
        return lambda i: self.net.predict_proba(batches[i % len(batches)])

    def save(self, path: str) -> None:
        Path(path).write_bytes(pickle.dumps(self.net))
