"""L-BFGS: the optimizer of small tables, whose steps take all examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pynn._base import checks
from pynn._base.arguments import Arguments
from pynn._base.arrays import Doubles, Floats
from pynn._base.errors import ArgumentError
from pynn._files.model_file import PAIR_TENSORS
from pynn._training.optimizer import Optimizer

if TYPE_CHECKING:
    from pynn._network.spec import Spec

MOST_MEMORY = len(PAIR_TENSORS) // 2

BLOCK = 1024
"""The examples of a call of C. It must not change: the sums of float32 in a block depend on it."""

LEAST_CURVATURE = 1e-10
"""A pair with a smaller s.y, relative to y.y, is left out: its curvature is lost in rounding."""

ENDS = {
    "gradient": "converged: the gradient is within the tolerance",
    "progress": "converged: the loss falls no further than it is rounded by",
    "search": "ended: no step in the direction of the gradient makes the loss smaller",
}
"""Why a run ends before its epochs are done, by the words in checkpoints."""


class LBFGS(Optimizer):
    """L-BFGS (Liu and Nocedal 1989): for small tables, the fewest passes over the examples.

    Each step takes all examples, and an epoch is one step. From the changes of the parameters and
    of the gradient in the last steps it estimates the curvature, so it needs no learning rate: a
    line search finds how far to go (strong Wolfe conditions; Nocedal and Wright 2006, algorithms
    3.5, 3.6 and 7.4). `fit` ends when the gradient is small enough, and `History.ended` says so.

    Args:
        memory: The number of steps whose changes are kept, 1 to 100. Each takes two floats for each
            parameter.
        tolerance: At least 0; training has converged when no part of the gradient of the loss is
            larger than this.
        max_evaluations: The most gradients that the search for one step may calculate, at least 1.
        weight_decay: At least 0; half of this factor times the sum of the squared weights is added
            to the loss that is made small. Biases do not decay.

    Raises:
        ArgumentTypeError: An argument has the wrong type.
        ArgumentError: An argument is out of range.

    Examples:
        >>> import pynn
        >>> pynn.LBFGS(tolerance=1e-4)
        LBFGS(tolerance=0.0001)
    """

    _kind: ClassVar[str] = "lbfgs"
    _is_full_batch: ClassVar[bool] = True
    _tensors: ClassVar[tuple[str, ...]] = PAIR_TENSORS
    _optional: ClassVar[dict[str, Any]] = {
        "memory": 10,
        "tolerance": 1e-5,
        "max_evaluations": 20,
        "weight_decay": 0.0,
    }
    memory: int
    tolerance: float
    max_evaluations: int

    def __init__(
        self,
        *,
        memory: int = 10,
        tolerance: float = 1e-5,
        max_evaluations: int = 20,
        weight_decay: float = 0.0,
    ) -> None:
        Arguments.__init__(
            self,
            memory=checks.integer("memory", memory, least=1, most=MOST_MEMORY),
            tolerance=checks.real("tolerance", tolerance, least=0.0),
            max_evaluations=checks.integer("max_evaluations", max_evaluations, least=1),
            weight_decay=checks.real("weight_decay", weight_decay, least=0.0),
        )

    def _remedy(self) -> str:
        return "try features scaled to about 1, or another init"

    def _note_gradient(self) -> None:
        """Take notice that a gradient is going to be calculated."""

    def _check_network(self, spec: Spec) -> None:
        for placed in spec.placed_layers:
            if why := placed.layer.full_batch_refusal:
                raise ArgumentError(
                    f"optimizer must not be LBFGS for a model with {placed.name}: {why}. Use"
                    f" pynn.Adam, or a chain without {placed.layer.kind}"
                )


class Pairs:
    """The last changes of the parameters, s, and of the gradient, y, oldest first.

    They are float32, as a checkpoint has them; sums over them are made in float64, and without
    BLAS, whose sums depend on the number of its threads.

    Args:
        moments: s, y, s, y, ..., each of shape (parameter_count,).
        memory: How many pairs to keep.
    """

    def __init__(self, moments: Sequence[Floats], memory: int) -> None:
        self.moments = list(moments)[-2 * memory :]
        self._memory = memory
        pairs = zip(self.moments[::2], self.moments[1::2], strict=True)
        self._wide = [_widened(s, y) for s, y in pairs]

    def with_pair(self, s: Doubles, y: Doubles) -> Pairs:
        """These pairs and a new one, without the oldest if they were too many.

        The new one is left out if the curvature along the step, s.y / s.s, is not above 0, as it
        may be without the second Wolfe condition: the direction might then lead uphill.
        """
        with np.errstate(over="ignore"):
            narrow = s.astype(np.float32), y.astype(np.float32)
        if not all(np.isfinite(array).all() for array in narrow):
            return self
        wide = _widened(*narrow)
        if not wide[2] > LEAST_CURVATURE * dot(wide[1], wide[1]):
            return self
        pairs = Pairs([], self._memory)
        pairs.moments = [*self.moments, *narrow][-2 * self._memory :]
        pairs._wide = [*self._wide, wide][-self._memory :]
        return pairs

    def direction(self, gradient: Doubles) -> Doubles:
        """The two loops: -H g, with the estimate H of the inverse Hessian (algorithm 7.4)."""
        q: Doubles = gradient.copy()
        alphas: list[float] = []
        for s, y, product in reversed(self._wide):
            alphas.append(dot(s, q) / product)
            q -= alphas[-1] * y
        if self._wide:
            _, y, product = self._wide[-1]
            q *= product / dot(y, y)
        for s, y, product in self._wide:
            q += (alphas.pop() - dot(y, q) / product) * s
        q *= -1.0
        return q

    def __len__(self) -> int:
        return len(self._wide)


def _widened(s: Floats, y: Floats) -> tuple[Doubles, Doubles, float]:
    """A pair in float64, and its product s.y."""
    wide = s.astype(np.float64), y.astype(np.float64)
    return *wide, dot(*wide)


def dot(a: Doubles, b: Doubles) -> float:
    """The product of two vectors, whose sum has an order of its own."""
    return float(np.add.reduce(a * b))
