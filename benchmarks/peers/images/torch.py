"""PyTorch, eager, with its fused Adam.

Tensors in memory, batches by index_select from a permutation, no DataLoader. Both layouts of
memory, with float32 and with uint8 data, are tried on a few steps, and the fastest pair is used;
mode "plain" has bytes in the usual layout alone, so that trying costs no memory. For predictions
both layouts, and a network that is traced and frozen, are tried.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import nn

from peers import common
from peers.torch import Peer as TorchPeer

STEPS_TO_TRY = 24
CALLS_TO_TRY = 200
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def lenet() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, common.CLASSES)),
    )


def small_cnn() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, common.CLASSES)),
    )


NETWORKS: dict[str, Callable[[], nn.Sequential]] = {"lenet": lenet, "small_cnn": small_cnn}


class Peer(TorchPeer):
    def load(self, data: str, rows: int) -> None:
        examples = common.load(data, rows)
        images = examples.features.reshape(-1, 1, 28, 28)
        self.features = {"uint8": torch.from_numpy(images.copy())}
        if self.mode != "plain":
            self.features["float32"] = torch.from_numpy(common.scaled(images))
        self.y = torch.from_numpy(examples.labels.astype("int64"))

    def build(self, network: str, batch: int, learning_rate: float) -> None:  # type: ignore[override]
        self.batch, self.forward = batch, self._loss
        settings = [(f, layout) for f in self.features for layout in LAYOUTS]
        if self.mode == "plain":
            settings = settings[:1]
        start = lambda f, layout: self._start(network, learning_rate, f, layout)  # noqa: E731
        seconds = {
            ", ".join(one): min(self._try_steps(start, one) for _ in range(2)) for one in settings
        }
        best = min(seconds, key=lambda name: seconds[name])
        self.notes.update({"variant": best, "seconds tried": seconds})
        start(*best.split(", "))

    def _start(self, network: str, learning_rate: float, features: str, layout: str) -> None:
        self.x, self.layout = self.features[features], layout
        self.net = NETWORKS[network]().to(memory_format=LAYOUTS[layout])
        for layer in self.net:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)

    def _loss(self, values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        values = values.contiguous(memory_format=LAYOUTS[self.layout])
        return nn.functional.cross_entropy(self.net(values), labels)

    def _try_steps(self, start: Callable[..., None], setting: tuple[str, str]) -> float:
        start(*setting)
        began = time.perf_counter()
        for _ in islice(self._steps(), STEPS_TO_TRY):
            pass
        return time.perf_counter() - began

    def predictor(self, batch: int) -> Callable[[int], Any]:
        batches = [
            torch.from_numpy(common.scaled(x)).reshape(-1, 1, 28, 28)
            for x in common.test_batches(batch)
        ]
        nets = self._ways_to_predict(batches[0])

        def function(net: Any) -> Callable[[int], torch.Tensor]:
            @torch.inference_mode()
            def probabilities(i: int) -> torch.Tensor:
                return net(batches[i % len(batches)]).softmax(1)

            return probabilities

        functions = {name: function(net) for name, net in nets.items()}
        variants = {name: (lambda f=f: self._try_calls(f)) for name, f in functions.items()}
        best, self.notes["seconds tried"] = common.fastest(variants)
        self.notes["variant"] = best
        return functions[best]

    def _ways_to_predict(self, example: torch.Tensor) -> dict[str, Any]:
        nets: dict[str, Any] = {
            name: copy.deepcopy(self.net).eval().to(memory_format=layout)
            for name, layout in LAYOUTS.items()
        }
        with torch.inference_mode():
            traced = torch.jit.trace(nets["contiguous"], example)
            nets["traced, frozen"] = torch.jit.freeze(traced)
        return nets

    def _try_calls(self, function: Callable[[int], Any]) -> float:
        began = time.perf_counter()
        for i in range(CALLS_TO_TRY):
            function(i)
        return time.perf_counter() - began
