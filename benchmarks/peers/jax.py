"""JAX: an epoch is one jitted function, a lax.scan over its steps, with donated parameters.

The data lie on the device as float32. The order comes in from NumPy, which shuffles faster than
jax.random; gathering a batch in its step, or all of them before the scan, are both compiled and the
faster is used (mode "plain" has the first alone, so that trying costs no memory). Compiling is not
in an epoch's seconds; it is noted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from peers import common

Parameters = list[tuple[jax.Array, jax.Array]]


def logits(parameters: Parameters, values: jax.Array) -> jax.Array:
    for weights, bias in parameters[:-1]:
        values = jnp.maximum(values @ weights + bias, 0)
    weights, bias = parameters[-1]
    return values @ weights + bias


def mean_loss(parameters: Parameters, values: jax.Array, labels: jax.Array) -> jax.Array:
    scores = jax.nn.log_softmax(logits(parameters, values))
    return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean()


@partial(jax.jit, static_argnames=("batch", "ahead"), donate_argnums=0)
def run_epoch(
    parameters: Parameters,
    x: jax.Array,
    y: jax.Array,
    order: jax.Array,
    learning_rate: jax.Array,
    *,
    batch: int,
    ahead: bool,
) -> tuple[Parameters, jax.Array]:
    """Steps of `batch` rows, and one of what is left; parameters and mean loss."""

    def take(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        return x.at[rows].get(mode="promise_in_bounds"), y.at[rows].get(mode="promise_in_bounds")

    def step(parameters: Parameters, values: Any, labels: Any) -> tuple[Parameters, jax.Array]:
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, values, labels)
        update = jax.tree.map(lambda p, g: p - learning_rate * g, parameters, gradients)
        return update, loss * len(labels)

    steps = len(order) // batch
    rows = order[: steps * batch].reshape(steps, batch)
    if ahead:
        values, labels = take(rows.reshape(-1))
        batches = (values.reshape(steps, batch, -1), labels.reshape(steps, batch))
        parameters, losses = lax.scan(lambda p, b: step(p, *b), parameters, batches)
    else:
        parameters, losses = lax.scan(lambda p, r: step(p, *take(r)), parameters, rows)
    total = losses.sum()
    if len(order) % batch:
        parameters, loss = step(parameters, *take(order[steps * batch :]))
        total += loss
    return parameters, total / len(order)


class Peer(common.Peer):
    def load(self, data: str, rows: int) -> None:
        examples = common.load(data, rows)
        self.x = jnp.asarray(common.scaled(examples.features))
        self.y = jnp.asarray(examples.labels.astype(np.int32))
        self.rng = np.random.default_rng(0)

    def build(self, widths: Sequence[int], batch: int, learning_rate: float) -> None:
        self.batch, self.learning_rate = batch, jnp.float32(learning_rate)
        jax.clear_caches()
        variants = {"batches gathered in their step": False}
        if self.mode != "plain":
            variants["batches gathered ahead"] = True
        self._start(widths)
        # The first epoch of each compiles it.
        self.notes["compile_seconds"] = {name: self._try(a) for name, a in variants.items()}
        self.notes["variant"], self.notes["seconds tried"] = common.fastest(
            {name: (lambda a=ahead: self._try(a)) for name, ahead in variants.items()}
        )
        self.ahead = variants[self.notes["variant"]]
        self._start(widths)

    def _start(self, widths: Sequence[int]) -> None:
        self.parameters = [
            (jnp.array(weights), jnp.zeros(weights.shape[1], jnp.float32))
            for weights in common.initial_weights(widths)
        ]

    def _try(self, ahead: bool) -> float:
        self.ahead = ahead
        began = time.perf_counter()
        self.epoch()
        return time.perf_counter() - began

    def epoch(self) -> float:
        order = self.rng.permutation(len(self.y)).astype(np.int32)
        self.parameters, loss = run_epoch(
            self.parameters,
            self.x,
            self.y,
            order,
            self.learning_rate,
            batch=self.batch,
            ahead=self.ahead,
        )
        jax.block_until_ready(self.parameters)
        return float(loss)

    def predictor(self, batch: int) -> Callable[[int], Any]:
        batches = [jnp.asarray(common.scaled(x)) for x in common.test_batches(batch)]
        probabilities = jax.jit(lambda parameters, x: jax.nn.softmax(logits(parameters, x)))
        return lambda i: probabilities(
            self.parameters, batches[i % len(batches)]
        ).block_until_ready()

    def save(self, path: str) -> None:
        np.savez(path, *(np.asarray(p) for pair in self.parameters for p in pair))
