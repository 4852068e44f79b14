"""The loss of counts and frequencies. csrc/layers/loss.c computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pynn._base import arrays, statistics
from pynn._base.arrays import Doubles, Floats, Targets
from pynn._base.errors import ArgumentError, DivergenceError
from pynn._base.formulas import factor, number, sum_of
from pynn._network.losses import Loss, LossRow


class Poisson(Loss):
    """exp(z) - t + t (log t - z), averaged over outputs and a batch: counts and frequencies.

    Here z are the outputs, the logarithms of the predicted rates, and t are the targets, at least
    0. It is half the deviance of a Poisson distribution: 0 where each rate is its target.
    """

    kind = "poisson"
    has_errors = True
    has_rates = True
    torch_module = "PoissonNLLLoss"
    guess = "always to predict the mean"

    def guessing(self, targets: Targets, weights: Doubles | None, outputs: int) -> float:
        mean = statistics.means(targets, weights)
        terms = statistics.means(targets * np.log(np.where(targets > 0.0, targets, 1.0)), weights)
        return float((terms - mean * np.log(np.where(mean > 0.0, mean, 1.0))).mean())

    def check_targets(self, name: str, value: object, rows: int, outputs: int) -> Targets:
        checked = arrays.targets(name, value, rows, outputs, shares=False)
        if (wrong := np.argwhere(checked < 0)).size:
            row, column = map(int, wrong[0])
            raise ArgumentError(
                f"{name} must be at least 0 with {self.kind}, which is for counts and rates, got"
                f" {checked[row, column]} at [{row}, {column}]; mean_squared_error takes any number"
            )
        return checked

    def predictions(self, outputs: Floats) -> npt.NDArray[Any]:
        with np.errstate(over="ignore"):
            rates = np.exp(outputs)
        if not np.isfinite(rates).all():
            raise DivergenceError(
                f"a predicted rate is not finite: it is exp({outputs.max():.4g}); call the model to"
                " get the logarithms of the rates"
            )
        return super().predictions(rates)

    def letters(self) -> str:
        return "exp(z) = the rate"

    def loss_written_out(self, row: LossRow) -> str:
        pairs = [(float(z), float(t)) for z, t in zip(row.outputs, row.target, strict=True)]
        terms = [_poisson_term(z, t) for z, t in pairs]
        values = [np.exp(z) - t + (t * (np.log(t) - z) if t else 0.0) for z, t in pairs]
        text = sum_of(terms, values)
        text = f"({text}) / {len(pairs)}" if len(pairs) > 1 else text
        return f"loss = {row.times_weight(text)} = {number(row.loss)}"

    def gradient_written_out(self, row: LossRow, output: int) -> str:
        z, t = number(row.outputs[output]), number(row.target[output])
        text = row.times_weight(f"(exp({z}) - {t})")
        value = number(row.gradients[output])
        return f"dz{output} = {text} / ({len(row.outputs)}*{row.rows}) = {value}"

    def c_meaning(self) -> str:
        return "the logarithms of the predicted rates"

    def c_declarations(self) -> str:
        return """\
/* Replace each of the outputs, (OUTPUT_COUNT), by the rate that it is the logarithm of. */
void NAME_rates(float *output);

"""

    def c_functions(self) -> str:
        return """\
void NAME_rates(float *output) {
    for (int o = 0; o < OUTPUTS_NAME; o++) output[o] = expf(output[o]);
}
"""


def _poisson_term(z: float, t: float) -> str:
    """The Poisson loss of one output; of a target 0 only the rate is left."""
    rate = f"exp({number(z)})"
    if t == 0.0:
        return rate
    return f"{rate} - {number(t)} + {number(t)}*(log({number(t)}) - {factor(z)})"
