"""pynn's losses, and their factors to those of scikit-learn.

pynn's mean_squared_error, binary_cross_entropy and poisson are means over rows and outputs.
scikit-learn minimizes a mean over rows of a sum over outputs, and half of that for squared errors:
this is `objective` times pynn's loss. What scikit-learn reports is the same, but for squared errors
it is half the mean over outputs: this is `reported` times pynn's loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, xlogy

from pynn._builder import FinishedBuilder, LayerBuilder
from pynn.sklearn._examples import Examples

Values = npt.NDArray[Any]


class Loss(NamedTuple):
    """The loss for one activation of the outputs."""

    finish: Callable[[LayerBuilder], FinishedBuilder]
    """Adds the loss to a chain."""
    objective: Callable[[int], float]
    """Gives, for a number of outputs, what scikit-learn minimizes over pynn's loss."""
    reported: Callable[[int], float]
    """Gives, for a number of outputs, what scikit-learn reports over pynn's loss."""
    each: Callable[[Values, Values], Values]
    """Computes the reported losses (n,) from the outputs before the last activation, (n, outputs),
    and the labels or targets."""

    def mean(self, outputs: Values, examples: Examples) -> float:
        """The reported loss over the examples, from the outputs for them."""
        losses = self.each(outputs.astype(np.float64), examples.targets)
        return float(np.average(losses, weights=examples.weights))


def _one(outputs: int) -> float:
    return 1.0


def _cross_entropies(outputs: Values, targets: Values) -> Values:
    losses: Values = logsumexp(outputs, axis=1) - outputs[np.arange(len(outputs)), targets]
    return losses


def _binary_cross_entropies(outputs: Values, targets: Values) -> Values:
    targets = targets.reshape(outputs.shape)
    losses: Values = (np.logaddexp(0.0, outputs) - outputs * targets).sum(axis=1)
    return losses


def _half_squares(outputs: Values, targets: Values) -> Values:
    losses: Values = 0.5 * np.square(outputs - targets.reshape(outputs.shape)).mean(axis=1)
    return losses


def _half_deviances(outputs: Values, targets: Values) -> Values:
    targets = targets.reshape(outputs.shape).astype(np.float64)
    terms = np.exp(outputs) - targets + xlogy(targets, targets) - targets * outputs
    losses: Values = terms.sum(axis=1)
    return losses


LOSSES = {
    "softmax": Loss(LayerBuilder.softmax_cross_entropy, _one, _one, _cross_entropies),
    "logistic": Loss(LayerBuilder.binary_cross_entropy, float, float, _binary_cross_entropies),
    "identity": Loss(
        LayerBuilder.mean_squared_error,
        lambda outputs: outputs / 2,
        lambda outputs: 0.5,
        _half_squares,
    ),
    "exp": Loss(LayerBuilder.poisson, float, float, _half_deviances),
}
"""The losses by the activation of the outputs, scikit-learn's `out_activation_`."""
