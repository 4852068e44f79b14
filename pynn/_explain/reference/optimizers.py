"""The updates of the optimizers in float64; csrc/optimizer.c computes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from pynn._base.arrays import Doubles
from pynn._training.optimizers import SGD, Adam, AdamW, Optimizer


class Before(NamedTuple):
    """What an update is computed from; arrays are of shape (parameter_count,)."""

    p: Doubles
    """The parameters."""
    g: Doubles
    """Their gradient."""
    g_size: Doubles
    """The sizes of the gradient, as far as its rounding errors are those of the update."""
    moments: Sequence[Doubles]
    """The moments, as many as there are."""
    rate: float
    """The learning rate of the step."""
    t: int
    """The number of the update, from 1."""
    decays: Doubles
    """1 for a parameter that decays, and 0 for another."""


class Updated(NamedTuple):
    """What an update gives; arrays are of shape (parameter_count,)."""

    change: Doubles
    """What is added to the parameters."""
    moments: Sequence[Doubles]
    """The moments after the step, as many as the optimizer uses."""
    change_size: Doubles
    moment_sizes: Sequence[Doubles]


@singledispatch
def update(optimizer: Optimizer, it: Before) -> Updated:
    """The change of the parameters in a step, and the moments after it."""
    raise NotImplementedError(f"{optimizer._kind} has no reference")


def is_fused(optimizer: Optimizer) -> bool:
    """Whether C adds the terms of the gradient to the parameters, and never computes their sum."""
    few = optimizer.weight_decay == 0.0 and optimizer.max_gradient_norm is None
    return few and isinstance(optimizer, SGD) and optimizer.momentum == 0.0


def _clipped(optimizer: Optimizer, it: Before) -> tuple[Doubles, Doubles]:
    """The gradient, scaled down to max_gradient_norm if it is longer; and its sizes."""
    if optimizer.max_gradient_norm is None:
        return it.g, it.g_size
    clip = min(1.0, optimizer.max_gradient_norm / (float(np.linalg.norm(it.g)) + 1e-6))
    return clip * it.g, clip * it.g_size


def _with_decay(optimizer: Optimizer, it: Before) -> tuple[Doubles, Doubles]:
    """The same with the weight decay as a part of the gradient."""
    g, size = _clipped(optimizer, it)
    decay = optimizer.weight_decay * it.decays * it.p
    return g + decay, size + np.abs(decay)


@update.register
def _(optimizer: SGD, it: Before) -> Updated:
    (g, g_size), momentum = _with_decay(optimizer, it), optimizer.momentum
    if not momentum:
        return Updated(-it.rate * g, [], it.rate * g_size, [])
    m = momentum * it.moments[0] + g
    m_size = momentum * np.abs(it.moments[0]) + g_size
    if not optimizer.nesterov:
        return Updated(-it.rate * m, [m], it.rate * m_size, [m_size])
    size = it.rate * (g_size + momentum * m_size)
    return Updated(-it.rate * (g + momentum * m), [m], size, [m_size])


def _adam(optimizer: Adam, it: Before, g: Doubles, g_size: Doubles) -> Updated:
    """The formulas of Adam for a gradient that is clipped and has its decay."""
    beta1, beta2 = optimizer.beta1, optimizer.beta2
    one, two = 1.0 - beta1**it.t, 1.0 - beta2**it.t
    m = beta1 * it.moments[0] + (1.0 - beta1) * g
    v = beta2 * it.moments[1] + (1.0 - beta2) * g**2
    root = np.sqrt(v / two)
    change = -it.rate * (m / one) / (root + optimizer.eps)
    m_size = np.abs(it.moments[0]) + (1.0 - beta1) * g_size  # C computes m + (1 - beta1) (g - m)
    v_size = beta2 * it.moments[1] + (1.0 - beta2) * g_size**2
    # An error of m changes the numerator, and half of one of v, relative to v, the root.
    share = np.divide(v_size, v, out=np.ones_like(v), where=v > 0.0)
    size = it.rate * m_size / one / (root + optimizer.eps) + np.abs(change) * share
    return Updated(change, [m, v], size, [m_size, v_size])


@update.register
def _(optimizer: Adam, it: Before) -> Updated:
    return _adam(optimizer, it, *_with_decay(optimizer, it))


@update.register
def _(optimizer: AdamW, it: Before) -> Updated:
    after = _adam(optimizer, it, *_clipped(optimizer, it))
    decay = it.rate * optimizer.weight_decay * it.decays * it.p
    return after._replace(
        change=after.change - decay, change_size=after.change_size + np.abs(decay)
    )
