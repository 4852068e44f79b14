"""pynn below its public API, where the way through the first layer can be chosen."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import pynn
from peers import common
from pynn._native import library
from pynn._native.data import Data
from pynn._native.library import lib
from pynn._native.network import Network
from pynn._native.state import State, Update
from pynn._native.workspace import Workspace

ROWS = 16_384
WAYS = {
    "auto": lib.PYNN_PATH_AUTO,
    "dense": lib.PYNN_PATH_DENSE,
    "sparse": lib.PYNN_PATH_SPARSE,
}
LEARNING_RATE = 1e-3  # the labels are random: there is nothing to learn, and nothing may diverge


class Peer(common.Peer):
    def __init__(self, threads: int, mode: str) -> None:
        super().__init__(threads, mode)
        pynn.set_num_threads(threads)
        self.density: float | None = None

    def prepare(self, density: float, width: int, batch: int, wish: float) -> dict[str, Any]:
        """Make data and a network; how many steps of each way take about `wish` seconds."""
        if density != self.density:
            self._make_data(density)
        chain = pynn.Builder().input(common.INPUTS).dense(width).relu().dense(common.CLASSES)
        network = Network(chain.softmax_cross_entropy()._spec)
        self.workspace = Workspace(network, batch)
        self.parameters = network.initialize(1)
        self.state = State(seed=0)
        self.batch, self.step = batch, 0
        return {"steps": {way: self._steps_within(way, wish) for way in WAYS}}

    def _steps_within(self, way: str, wish: float) -> int:
        count = 1
        self.steps(way, count)  # warms up
        while (seconds := count * self.steps(way, count)["seconds"]) < wish / 2:
            count *= 2
        return max(1, round(count * wish / seconds))

    def _make_data(self, density: float) -> None:
        rng = np.random.default_rng(5)
        features = rng.integers(1, 256, (ROWS, common.INPUTS), np.uint8)
        features[rng.random(features.shape, np.float32) >= density] = 0
        labels = rng.integers(0, common.CLASSES, ROWS).astype(np.int32)
        self.data = Data(features, labels)
        self.order = library.permutation(0, 0, ROWS)
        self.density = density

    def steps(self, way: str, count: int) -> dict[str, float]:
        """Seconds of a step, of `count` that go on where the last ended."""
        self.data.handle.path = WAYS[way]
        epoch = ROWS // self.batch
        began = time.perf_counter()
        left = count
        while left:
            last = min(epoch, self.step + left)
            update = Update("sgd", np.full(last - self.step, LEARNING_RATE))
            self.workspace.train(
                *(self.data, self.order, self.batch, self.step, last),
                *(update, self.state, self.parameters),
            )
            left -= last - self.step
            self.step = last % epoch
        return {"seconds": (time.perf_counter() - began) / count}
