"""JAX: images as (N, H, W, C), with a jitted epoch, a lax.scan over its steps, or jitted steps.

The data lie on the device as float32. The order comes in from NumPy, which shuffles faster than
jax.random. Of these the fastest is used: a scan whose steps gather their batch, a scan over batches
that are gathered before, and a call for each step; in a scan XLA computes convolutions on one
thread and slowly. Compiling is not in an epoch's seconds; it is noted. Parameters, moments and
running means are donated. Mode "plain" has the calls alone, so that trying costs no memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from peers import common

STEPS_TO_TRY = 8
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
WAYS = ("a scan, gathers in its steps", "a scan, gathers before", "a call for each step")

Parameters = list[dict[str, jax.Array]]


def convolution(p: dict[str, jax.Array], x: jax.Array, padding: str) -> jax.Array:
    names = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, p["weight"], (1, 1), padding, dimension_numbers=names)
    return y + p["bias"]


def largest(x: jax.Array) -> jax.Array:
    """Max pooling of 2 x 2. With x.reshape(...).max() a step takes several times as long."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def lenet(parameters: Parameters, x: jax.Array) -> tuple[jax.Array, list[Any]]:
    for p in parameters[:2]:
        x = largest(jax.nn.relu(convolution(p, x, "VALID")))
    x = x.reshape(len(x), -1)
    for p in parameters[2:4]:
        x = jax.nn.relu(x @ p["weight"] + p["bias"])
    return x @ parameters[4]["weight"] + parameters[4]["bias"], []


def small_cnn(parameters: Parameters, x: jax.Array) -> tuple[jax.Array, list[Any]]:
    found = []
    for number, p in enumerate(parameters[:3]):
        x = convolution(p, x, "SAME")
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        found.append((mean, variance))
        x = (x - mean) * (p["gain"] * lax.rsqrt(variance + 1e-5)) + p["shift"]
        x = jax.nn.relu(x)
        x = largest(x) if number < 2 else x.mean((1, 2))
    return x @ parameters[3]["weight"] + parameters[3]["bias"], found


NETWORKS = {"lenet": lenet, "small_cnn": small_cnn}
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "lenet": [(5, 5, 1, 6), (5, 5, 6, 16), (256, 120), (120, 84), (84, 10)],
    "small_cnn": [(3, 3, 1, 8), (3, 3, 8, 16), (3, 3, 16, 32), (32, 10)],
}


def initial(network: str) -> Parameters:
    rng = np.random.default_rng(1)
    parameters = []
    for shape in SHAPES[network]:
        scale = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        weight = rng.standard_normal(shape, np.float32) * scale
        p = {"weight": jnp.asarray(weight), "bias": jnp.zeros(shape[-1], jnp.float32)}
        if network == "small_cnn" and len(shape) == 4:
            p.update(gain=jnp.ones(shape[-1]), shift=jnp.zeros(shape[-1]))
        parameters.append(p)
    return parameters


def start(network: str) -> Any:
    """Parameters, both moments of Adam, running means and variances, and the number of steps."""
    parameters = initial(network)
    zeros = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
    running = [
        (jnp.zeros_like(p["gain"]), jnp.ones_like(p["gain"])) for p in parameters if "gain" in p
    ]
    return parameters, *zeros, running, jnp.int32(0)


def train(network: str, rate: jax.Array, state: Any, x: jax.Array, labels: jax.Array) -> Any:
    """A step of Adam: the new state, and the loss of all rows together."""

    def loss_of(parameters: Parameters) -> Any:
        z, found = NETWORKS[network](parameters, x)
        scores = jax.nn.log_softmax(z)
        return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean(), found

    parameters, first, second, running, steps = state
    (loss, found), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters)
    steps += 1
    first = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
    rate = rate / (1 - BETA1**steps)
    scale = 1 / (1 - BETA2**steps)
    parameters = jax.tree.map(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v * scale) + EPS), parameters, first, second
    )
    running = jax.tree.map(lambda old, new: old + 0.1 * (new - old), running, found)
    return (parameters, first, second, running, steps), loss * len(labels)


def take(x: jax.Array, y: jax.Array, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    return x.at[rows].get(mode="promise_in_bounds"), y.at[rows].get(mode="promise_in_bounds")


@partial(jax.jit, static_argnames=("network", "batch", "ahead"), donate_argnums=0)
def run_scan(
    state: Any, x: Any, y: Any, order: Any, rate: Any, *, network: str, batch: int, ahead: bool
) -> tuple[Any, jax.Array]:
    """Steps of `batch` rows; the state and the sum of the losses."""
    step = partial(train, network, rate)
    rows = order.reshape(-1, batch)
    if ahead:
        values, labels = take(x, y, order)
        batches = (values.reshape(*rows.shape, *x.shape[1:]), labels.reshape(rows.shape))
        state, losses = lax.scan(lambda s, b: step(s, *b), state, batches)
    else:
        state, losses = lax.scan(lambda s, r: step(s, *take(x, y, r)), state, rows)
    return state, losses.sum()


@partial(jax.jit, static_argnames="network", donate_argnums=0)
def run_step(state: Any, x: Any, y: Any, rows: Any, rate: Any, *, network: str) -> Any:
    return train(network, rate, state, *take(x, y, rows))


class Peer(common.Peer):
    def load(self, data: str, rows: int) -> None:
        examples = common.load(data, rows)
        self.x = jnp.asarray(common.scaled(examples.features).reshape(-1, 28, 28, 1))
        self.y = jnp.asarray(examples.labels.astype(np.int32))
        self.rng = np.random.default_rng(0)

    def build(self, network: str, batch: int, learning_rate: float) -> None:  # type: ignore[override]
        self.network, self.batch, self.rate = network, batch, jnp.float32(learning_rate)
        jax.clear_caches()
        self.state = start(network)
        ways = WAYS[2:] if self.mode == "plain" else WAYS
        self.notes["compile_seconds"] = {way: self._try(way) for way in ways}
        variants = {way: (lambda way=way: self._try(way)) for way in ways}
        self.way, self.notes["seconds tried"] = common.fastest(variants, attempts=2)
        self.notes["variant"] = self.way
        self.state = start(network)

    def _try(self, way: str) -> float:
        began = time.perf_counter()
        self._train(way, self._order()[: STEPS_TO_TRY * self.batch])
        return time.perf_counter() - began

    def _order(self) -> Any:
        return self.rng.permutation(len(self.y)).astype(np.int32)

    def epoch(self) -> float:
        return self._train(self.way, self._order()) / len(self.y)

    def _train(self, way: str, order: Any) -> float:
        """Train on rows in their order; the sum of the losses."""
        data = (self.x, self.y)
        steps = len(order) // self.batch
        whole, losses = order[: steps * self.batch], []
        rest = [order[steps * self.batch :]] if len(order) % self.batch else []
        if way == WAYS[2]:
            rest = [*whole.reshape(steps, -1), *rest]
        elif steps:
            setting = {"network": self.network, "batch": self.batch, "ahead": way == WAYS[1]}
            self.state, loss = run_scan(self.state, *data, whole, self.rate, **setting)
            losses.append(loss)
        for rows in rest:
            self.state, loss = run_step(self.state, *data, rows, self.rate, network=self.network)
            losses.append(loss)
        jax.block_until_ready(self.state)
        return float(sum(float(loss) for loss in losses))

    def predictor(self, batch: int) -> Callable[[int], Any]:
        raise TypeError("only PyTorch is compared with in predictions")
