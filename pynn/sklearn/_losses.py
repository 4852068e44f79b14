"""The losses: pynn's, and how scikit-learn counts them.

pynn's mean_squared_error and binary_cross_entropy are means over rows and outputs. What
scikit-learn's steps go down is a sum over the outputs, half of it for squares: `objective` times
pynn's loss. What it reports is that, but for squares half the mean over the outputs: `reported`
times pynn's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from pynn._builder import FinishedBuilder, LayerBuilder
from pynn.sklearn._examples import Examples

Values = npt.NDArray[Any]


class Loss(NamedTuple):
    """A loss, for one kind of output."""

    finish: Callable[[LayerBuilder], FinishedBuilder]
    """Adds it to a chain."""
    objective: Callable[[int], float]
    """By the number of outputs: the factor of what is gone down."""
    reported: Callable[[int], float]
    """By the number of outputs: the factor of what is reported."""
    each: Callable[[Values, Values], Values]
    """Of outputs before the last activation (n, outputs) and targets: what is reported, (n,)."""

    def mean(self, outputs: Values, examples: Examples) -> float:
        """What is reported over examples, from the outputs for them."""
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


LOSSES = {
    "softmax": Loss(LayerBuilder.softmax_cross_entropy, _one, _one, _cross_entropies),
    "logistic": Loss(LayerBuilder.binary_cross_entropy, float, float, _binary_cross_entropies),
    "identity": Loss(
        LayerBuilder.mean_squared_error,
        lambda outputs: outputs / 2,
        lambda outputs: 0.5,
        _half_squares,
    ),
}
"""By the activation of the outputs, scikit-learn's `out_activation_`."""
