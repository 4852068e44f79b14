"""Normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.formulas import factor, number, total, total_of_products
from pynn._network.layers import Layer, OnnxGraph, Parameter


class LayerNorm(Layer):
    """y = weight * (x - mean) / sqrt(variance + eps) + bias, for each example by itself.

    The mean and the variance are those of the example's values x (inputs,). weight and bias have
    shape (inputs,), too (Ba, Kiros and Hinton 2016). eps is at least 1.1754944e-38.
    """

    kind = "layer_norm"
    options = ("eps",)
    torch_module = "LayerNorm"

    eps: float

    def __init__(self, eps: float = 1e-5) -> None:
        super().__init__(eps=checks.real("layer_norm eps", eps, least=checks.LEAST_NORMAL))

    def parameters(self, inputs: int) -> tuple[Parameter, ...]:
        return Parameter("weight", (inputs,)), Parameter("bias", (inputs,))

    def add_to_onnx(
        self, graph: OnnxGraph, x: str, parameters: Sequence[str], name: str, output: str
    ) -> None:
        """Add the formula: the operator LayerNormalization came only with opset 17."""
        weight, bias = parameters
        mean = graph.add("ReduceMean", [x], f"{name}.mean", axes=[1])
        centered = graph.add("Sub", [x, mean], f"{name}.centered")
        squares = graph.add("Mul", [centered, centered], f"{name}.squares")
        variance = graph.add("ReduceMean", [squares], f"{name}.variance", axes=[1])
        eps = graph.constant(f"{name}.eps", self.eps)
        divisor = graph.add("Add", [variance, eps], f"{name}.variance_plus_eps")
        deviation = graph.add("Sqrt", [divisor], f"{name}.deviation")
        normalized = graph.add("Div", [centered, deviation], f"{name}.normalized")
        scaled = graph.add("Mul", [normalized, weight], f"{name}.scaled")
        graph.add("Add", [scaled, bias], output)

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        return {name: f"layer_norm.{name}" for name in ("dweight", "dbias", "dX")}

    def fused_marks(self, *, sparse: bool) -> dict[str, str]:
        return {name: f"layer_norm.fused{name}" for name in ("weight", "bias")}

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        x = arrays["X"][row].astype(np.float64)
        weight, bias = factor(arrays["weight"][output]), factor(arrays["bias"][output])
        h = f"({number(x[output])} - {factor(x.mean())}) / {self._deviation(x)}"
        return f"y{output} = {weight}*{h} + {bias} = {number(arrays['Y'][row, output])}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        x, dy = forward["X"].astype(np.float64), backward["dY"].astype(np.float64)
        centered = x - x.mean(axis=1, keepdims=True)
        h = centered / np.sqrt(x.var(axis=1, keepdims=True) + self.eps)
        value = number(backward[name][at])
        if name == "dX":
            row, it = at
            d = forward["weight"] * dy[row]
            means = f"{factor(d.mean())} - {factor(h[at])}*{factor((d * h[row]).mean())}"
            return f"dx{it} = ({number(d[it])} - {means}) / {self._deviation(x[row])} = {value}"
        it = at[0]
        terms = total(dy[:, it]) if name == "dbias" else total_of_products(dy[:, it], h[:, it])
        return f"{name}[{it}] = {terms} = {value}"

    def _deviation(self, x: npt.NDArray[np.float64]) -> str:
        """The divisor for an example with values x."""
        return f"sqrt({number(x.var())} + {number(self.eps)})"

    def c_function(self) -> str:
        return """\
/* y = w (x - mean) / sqrt(variance + eps) + b, with the mean and the variance of x; x and y (count)
 * may be the same array. */
static void layer_norm_layer(size_t count, float eps, const float *x, const float *w,
                             const float *b, float *y) {
    float sum = 0.0f, squares = 0.0f;
    for (size_t i = 0; i < count; i++) sum += x[i];
    const float mean = sum / (float)count;
    for (size_t i = 0; i < count; i++) squares += (x[i] - mean) * (x[i] - mean);
    const float deviation = square_root(squares / (float)count + eps);
    for (size_t i = 0; i < count; i++) y[i] = w[i] * ((x[i] - mean) / deviation) + b[i];
}
"""

    def c_helper(self, *, libc: bool) -> str:
        return _SQUARE_ROOT_LIBC if libc else _SQUARE_ROOT

    def c_options(self) -> tuple[float, ...]:
        return (self.eps,)


_SQUARE_ROOT_LIBC = """\
static float square_root(float x) {
    return sqrtf(x);
}
"""

_SQUARE_ROOT = """\
/* The square root of x > 0 by Newton's method. It begins above the root; each value is less than
 * the one before, and the loop ends when a value is not. */
static float square_root(float x) {
    float root = x > 1.0f ? x : 1.0f;
    for (;;) {
        const float next = 0.5f * (root + x / root);
        if (!(next < root)) return root;
        root = next;
    }
}
"""
