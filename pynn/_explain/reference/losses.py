"""The losses in float64; csrc/layers/loss.c computes them.

Z are the network's outputs, (N, outputs), and T the labels, (N,), or the targets, (N, outputs).
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import numpy.typing as npt

from pynn._base.arrays import Doubles
from pynn._explain.reference import single
from pynn._explain.reference.layers import sigmoid
from pynn._network.losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from pynn._network.poisson import Poisson
from pynn._network.squared_error import MeanSquaredError

Targets64 = npt.NDArray[np.int64] | Doubles
"""Labels, or targets in float64."""

Sized = tuple[Doubles, Doubles]
"""Numbers, and their sizes."""

# ------------------------------------------------------------ what is asked for


@singledispatch
def probabilities(loss: Loss, z: Doubles) -> Sized:
    """P (N, outputs), of a loss that has_probabilities."""
    raise NotImplementedError(f"{loss.kind} has no probabilities")


@singledispatch
def losses(loss: Loss, z: Doubles, t: Targets64) -> Sized:
    """The loss of each example, (N,)."""
    raise NotImplementedError(f"{loss.kind} has no reference")


@singledispatch
def gradient(loss: Loss, z: Doubles, t: Targets64) -> Sized:
    """The gradient of each example's loss with respect to its own outputs, (N, outputs)."""
    raise NotImplementedError(f"{loss.kind} has no reference")


# ------------------------------------------------------------ softmax cross-entropy


def _log_probabilities(z: Doubles) -> Doubles:
    """The logarithm of softmax(Z)."""
    below_largest = z - z.max(axis=1, keepdims=True)  # exp() of it cannot overflow
    sums: Doubles = np.exp(below_largest).sum(axis=1, keepdims=True)
    logarithms: Doubles = below_largest - np.log(sums)
    return logarithms


def _shares(loss: SoftmaxCrossEntropy, z: Doubles, t: Targets64) -> Doubles:
    """How much of the target each class has, (N, outputs): 1 and 0 without smoothing."""
    smoothing, one_hot = single(loss.label_smoothing), np.eye(z.shape[1])[t]
    shares: Doubles = (1.0 - smoothing) * one_hot + smoothing / z.shape[1]
    return shares


@probabilities.register
def _(loss: SoftmaxCrossEntropy, z: Doubles) -> Sized:
    p = np.exp(_log_probabilities(z))
    # exp() makes the rounding of z - max z, which is relative to that, relative to p.
    return p, p * (1.0 + z.max(axis=1, keepdims=True) - z)


@losses.register
def _(loss: SoftmaxCrossEntropy, z: Doubles, t: Targets64) -> Sized:
    shares = _shares(loss, z, t)
    right = -(shares * _log_probabilities(z)).sum(axis=1)
    # C adds log(s) and the distances from the largest output, where s is a sum with a term 1: a
    # rounding error of s, however small log(s) is, is one of the logarithm. Smoothing corrects the
    # distance of the label.
    distance = z.max(axis=1) - z[np.arange(len(z)), t]
    return right, 1.0 + right + single(loss.label_smoothing) * distance


@gradient.register
def _(loss: SoftmaxCrossEntropy, z: Doubles, t: Targets64) -> Sized:
    (p, size), shares = probabilities(loss, z), _shares(loss, z, t)
    return p - shares, size + shares


# ------------------------------------------------------------ mean squared error


@losses.register
def _(loss: MeanSquaredError, z: Doubles, t: Targets64) -> Sized:
    right: Doubles = ((z - t) ** 2).mean(axis=1)
    return right, (np.abs(z - t) * (np.abs(z - t) + _rounded(loss, t))).mean(axis=1)


@gradient.register
def _(loss: MeanSquaredError, z: Doubles, t: Targets64) -> Sized:
    right = 2.0 * (z - t) / z.shape[1]
    return right, np.abs(right) + _rounded(loss, t) / z.shape[1]


def _rounded(loss: MeanSquaredError, t: Targets64) -> Doubles:
    """What of 2 T is rounded: C computes it in float32 if the loss standardizes it."""
    size: Doubles = 2.0 * np.abs(t) * loss.standardize
    return size


# ------------------------------------------------------------ binary cross-entropy


@probabilities.register
def _(loss: BinaryCrossEntropy, z: Doubles) -> Sized:
    return sigmoid(z), sigmoid(z)


@losses.register
def _(loss: BinaryCrossEntropy, z: Doubles, t: Targets64) -> Sized:
    # -log s(z) = log(1 + exp(-z)), and 1 - s(z) = s(-z)
    right = (t * np.logaddexp(0.0, -z) + (1.0 - t) * np.logaddexp(0.0, z)).mean(axis=1)
    # C adds max(z, 0), -z t and log(1 + exp(-|z|)).
    return right, (np.logaddexp(0.0, z) + np.abs(z * t)).mean(axis=1)


@gradient.register
def _(loss: BinaryCrossEntropy, z: Doubles, t: Targets64) -> Sized:
    p, count = sigmoid(z), z.shape[1]
    return (p - t) / count, (p + t) / count


# ------------------------------------------------------------ Poisson


@losses.register
def _(loss: Poisson, z: Doubles, t: Targets64) -> Sized:
    logarithms = np.log(np.where(t > 0.0, t, 1.0))  # 0 log 0 is 0
    terms = np.exp(z), t, t * logarithms, t * z
    right = (terms[0] - terms[1] + terms[2] - terms[3]).mean(axis=1)
    # C adds these terms as doubles, and rounds the sum to a float.
    size = np.sum([np.abs(term).mean(axis=1) for term in terms], axis=0)
    return right, np.abs(right) + 2.0**-24 * size


@gradient.register
def _(loss: Poisson, z: Doubles, t: Targets64) -> Sized:
    rates, count = np.exp(z), z.shape[1]
    return (rates - t) / count, (rates + t) / count
