"""pynn, by its public API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pynn
from peers import common

KEPT = ("version", "instruction_set", "blas", "blas_kernel", "blas_config")  # of build_info()


class Peer(common.Peer):
    def __init__(self, threads: int, mode: str) -> None:
        super().__init__(threads, mode)
        pynn.set_num_threads(threads)
        known = dict(pynn.build_info())
        self.notes = {name: known[name] for name in KEPT}

    def load(self, data: str, rows: int) -> None:
        if data == "mnist":  # as a user of pynn has it: never a second copy
            images, labels = pynn.datasets.load(common.MNIST)[0]
            self.examples = common.Examples(images[:rows], labels[:rows])
        else:
            self.examples = common.load(data, rows)

    def build(self, widths: Sequence[int], batch: int, learning_rate: float) -> None:
        chain = pynn.Builder().input(widths[0])
        for width in widths[1:-1]:
            chain = chain.dense(width).relu()
        self.model = chain.dense(widths[-1]).softmax_cross_entropy().build(seed=0)
        views = [v for name, v in self.model.parameters.items() if name.endswith("weight")]
        for view, weights in zip(views, common.initial_weights(widths), strict=True):
            view[...] = weights
        self.batch = batch
        self.optimizer = pynn.SGD(learning_rate=learning_rate)

    def epoch(self) -> float:
        history = self.model.fit(
            *self.examples, epochs=1, batch_size=self.batch, optimizer=self.optimizer
        )
        return history.loss[-1]

    def predictor(self, batch: int) -> Callable[[int], Any]:
        batches = common.test_batches(batch)
        return lambda i: self.model.predict_proba(batches[i % len(batches)])

    def save(self, path: str) -> None:
        self.model.save(path)
