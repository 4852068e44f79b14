"""PyTorch, eager, or with torch.compile in mode "compile".

Tensors in memory, batches by index_select from a permutation, no DataLoader. float32 or uint8 data,
and the optimizer's three implementations, are tried on a few steps and the fastest pair is used;
mode "plain" has float32 alone, so that trying costs no memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import Any

import torch
from torch import nn

from peers import common

STEPS_TO_TRY = 24
IMPLEMENTATIONS = {
    "loop": {"foreach": False, "fused": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


class Peer(common.Peer):
    def __init__(self, threads: int, mode: str) -> None:
        super().__init__(threads, mode)
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)

    def load(self, data: str, rows: int) -> None:
        examples = common.load(data, rows)
        self.features = {"float32": torch.from_numpy(common.scaled(examples.features))}
        self.bytes = None
        if examples.features.dtype == "uint8" and self.mode != "plain":
            self.bytes = examples.features
        self.y = torch.from_numpy(examples.labels.astype("int64"))

    def build(self, widths: Sequence[int], batch: int, learning_rate: float) -> None:
        self.batch = batch
        if self.bytes is not None:
            self.features["uint8"] = torch.from_numpy(self.bytes.copy())
        layers: list[nn.Module] = []
        self.linears = []
        for inputs, outputs in pairwise(widths):
            self.linears.append(nn.Linear(inputs, outputs))
            layers += [self.linears[-1], nn.ReLU()]
        self.net = nn.Sequential(*layers[:-1])
        self.forward = self._loss
        if self.mode == "compile":
            began = time.perf_counter()
            self.forward = torch.compile(self._loss, dynamic=False)
            for size in {batch, len(self.y) % batch or batch}:  # once for each shape
                self.forward(self.features["float32"][:size], self.y[:size]).backward()
            # A second build finds it compiled: what counts is the first.
            before = self.notes.get("compile_seconds", 0.0)
            self.notes["compile_seconds"] = max(before, time.perf_counter() - began)

        optimizers = {
            name: torch.optim.SGD(self.net.parameters(), lr=learning_rate, **chosen)
            for name, chosen in IMPLEMENTATIONS.items()
        }
        variants = {
            f"{features}, {name}": (lambda f=features, o=optimizer: self._try(f, o))
            for features in self.features
            for name, optimizer in optimizers.items()
        }
        best, self.notes["seconds tried"] = common.fastest(variants)
        features, name = best.split(", ")
        self.x, self.optimizer = self.features[features], optimizers[name]
        self.features = {"float32": self.features["float32"]}
        self.notes["variant"] = best
        with torch.no_grad():
            for linear, weights in zip(self.linears, common.initial_weights(widths), strict=True):
                linear.weight.copy_(torch.from_numpy(weights).T)
                linear.bias.zero_()

    def _loss(self, values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(self.net(values), labels)

    def _try(self, features: str, optimizer: torch.optim.Optimizer) -> float:
        self.x, self.optimizer = self.features[features], optimizer
        began = time.perf_counter()
        for _ in islice(self._steps(), STEPS_TO_TRY):
            pass
        return time.perf_counter() - began

    def _steps(self) -> Any:
        """Train on all rows; yields each step's loss, a tensor, and its number of rows."""
        for rows in torch.randperm(len(self.y)).split(self.batch):
            values = self.x.index_select(0, rows)
            if values.dtype == torch.uint8:
                values = values.float().mul_(1 / 255)
            loss = self.forward(values, self.y.index_select(0, rows))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            yield loss.detach(), len(rows)

    def epoch(self) -> float:
        losses, counts = zip(*self._steps(), strict=True)
        return float(torch.stack(losses) @ torch.tensor(counts, dtype=torch.float32)) / len(self.y)

    def predictor(self, batch: int) -> Callable[[int], Any]:
        batches = [torch.from_numpy(common.scaled(x)) for x in common.test_batches(batch)]

        @torch.inference_mode()
        def probabilities(i: int) -> torch.Tensor:
            return self.net(batches[i % len(batches)]).softmax(1)

        return probabilities

    def save(self, path: str) -> None:
        torch.save(self.net.state_dict(), path)
