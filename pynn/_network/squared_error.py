"""The loss of a regression, which may standardize its targets. csrc/layers/loss.c computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pynn._base import checks, statistics
from pynn._base.arrays import Doubles, Targets
from pynn._base.errors import ArgumentTypeError
from pynn._base.formulas import factor, number, sum_of
from pynn._network.layers import OnnxGraph, Parameter
from pynn._network.losses import Loss, LossRow


class MeanSquaredError(Loss):
    """(outputs - targets)^2, averaged over outputs and a batch: regression.

    With `standardize` it is that of (targets - mean) / scale, for each output, and predictions are
    outputs * scale + mean. The first call of `fit` finds mean and scale in its targets.
    """

    kind = "mean_squared_error"
    options = ("standardize",)
    has_errors = True
    torch_module = "MSELoss"
    guess = "always to predict the mean"
    _optional: ClassVar[dict[str, Any]] = {"standardize": False}

    standardize: bool

    def __init__(self, standardize: bool = False) -> None:
        if not isinstance(standardize, bool):
            raise ArgumentTypeError(
                f"standardize must be True or False, got {checks.describe(standardize)}"
            )
        super().__init__(standardize=standardize)

    def parameters(self, outputs: int) -> tuple[Parameter, ...]:
        if not self.standardize:
            return ()
        width = (outputs,)
        return Parameter("mean", width, trained=False), Parameter("scale", width, trained=False)

    def guessing(self, targets: Targets, weights: Doubles | None, outputs: int) -> float:
        variances = statistics.variances(targets, weights=weights)
        if self.standardize:  # the scale is that of all examples, whatever their weights
            return float((variances > 0.0).mean()) if weights is None else 0.0
        return float(variances.mean())

    def letters(self) -> str:
        if not self.standardize:
            return ""
        return "t = (target - mean) / scale; a prediction is y scale + mean"

    def add_outputs_to_onnx(
        self, graph: OnnxGraph, x: str, parameters: Sequence[str], output: str
    ) -> None:
        mean, scale = parameters
        graph.add("Add", [graph.add("Mul", [x, scale], f"{output}.scaled"), mean], output)

    def c_outputs_function(self) -> str:
        return """\
/* Bring the outputs to the units of the targets: y = y scale + mean. */
static void rescale(size_t count, const float *mean, const float *scale, float *y) {
    for (size_t o = 0; o < count; o++) y[o] = y[o] * scale[o] + mean[o];
}
"""

    def loss_written_out(self, row: LossRow) -> str:
        pairs = [(float(y), float(t)) for y, t in zip(row.outputs, row.target, strict=True)]
        terms = [f"({number(y)} - {factor(t)})^2" for y, t in pairs]
        squares = sum_of(terms, [(y - t) ** 2 for y, t in pairs])
        text = row.times_weight(f"({squares}) / {len(row.outputs)}")
        return f"loss = {text} = {number(row.loss)}"

    def gradient_written_out(self, row: LossRow, output: int) -> str:
        y, t = number(row.outputs[output]), factor(row.target[output])
        text = row.times_weight(f"2*({y} - {t})")
        value = number(row.gradients[output])
        return f"dz{output} = {text} / ({len(row.outputs)}*{row.rows}) = {value}"
