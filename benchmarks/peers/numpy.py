"""NumPy: the recipe written out, in float32, with every array of a step allocated once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from peers import common
from peers.common import Floats


class Peer(common.Peer):
    def load(self, data: str, rows: int) -> None:
        examples = common.load(data, rows)
        self.x = common.scaled(examples.features)
        self.y = examples.labels.astype(np.intp)
        self.rng = np.random.default_rng(0)

    def build(self, widths: Sequence[int], batch: int, learning_rate: float) -> None:
        self.batch, self.learning_rate = batch, np.float32(learning_rate)
        self.weights = common.initial_weights(widths)
        self.biases = [np.zeros(width, np.float32) for width in widths[1:]]
        self.dweights = [np.empty_like(weights) for weights in self.weights]
        # values[k] goes into layer k; dvalues[k] is the gradient of what comes out of it.
        self.values = [np.empty((batch, width), np.float32) for width in widths]
        self.dvalues = [np.empty((batch, width), np.float32) for width in widths[1:]]
        self.positive = [np.empty((batch, width), np.bool_) for width in widths[1:]]

    def epoch(self) -> float:
        order = self.rng.permutation(len(self.x))
        loss = 0.0
        for start in range(0, len(order), self.batch):
            loss += self._step(order[start : start + self.batch])
        return loss / len(order)

    def _step(self, rows: Any) -> float:
        """One step of gradient descent; the sum of the losses before it."""
        n = len(rows)
        last = len(self.weights) - 1
        values = [v[:n] for v in self.values]
        dvalues = [v[:n] for v in self.dvalues]
        labels = self.y[rows]
        np.take(self.x, rows, axis=0, out=values[0], mode="clip")  # other modes copy once more
        for k in range(last + 1):
            np.dot(values[k], self.weights[k], out=values[k + 1])
            values[k + 1] += self.biases[k]
            if k < last:
                np.maximum(values[k + 1], 0, out=values[k + 1])

        logits, dlogits = values[-1], dvalues[-1]
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=dlogits)
        sums = dlogits.sum(axis=1, keepdims=True)
        at_labels = (np.arange(n), labels)
        loss = float((np.log(sums[:, 0]) - logits[at_labels]).sum())
        dlogits /= sums
        dlogits[at_labels] -= 1
        dlogits *= self.learning_rate / n  # here, where it is smallest, rather than at the weights

        for k in range(last, -1, -1):
            np.dot(values[k].T, dvalues[k], out=self.dweights[k])
            if k:
                positive = self.positive[k - 1][:n]
                np.dot(dvalues[k], self.weights[k].T, out=dvalues[k - 1])
                np.greater(values[k], 0, out=positive)
                dvalues[k - 1] *= positive
            self.weights[k] -= self.dweights[k]
            self.biases[k] -= dvalues[k].sum(axis=0)
        return loss

    def predictor(self, batch: int) -> Callable[[int], Any]:
        batches = [common.scaled(images) for images in common.test_batches(batch)]
        return lambda i: self._probabilities(batches[i % len(batches)])

    def _probabilities(self, values: Floats) -> Floats:
        for k, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weights
            values += bias
            if k < len(self.weights) - 1:
                np.maximum(values, 0, out=values)
        values -= values.max(axis=1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(axis=1, keepdims=True)
        return values

    def save(self, path: str) -> None:
        np.savez(path, *self.weights, *self.biases)
