"""The activations: scalar functions, applied to each value by itself.

Exported C contains their functions in the order of the classes here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pynn._base import checks
from pynn._base.arrays import Floats
from pynn._base.batches import of_units, units_of
from pynn._base.formulas import factor, number
from pynn._network.layers import Layer, OnnxGraph, Shape

MANY = 16
"""A unit that is off for so many examples may be dead; for fewer it may just be off."""


def every_example(count: int) -> str:
    """All examples of a batch in words."""
    return "this example" if count == 1 else f"all {count:,} examples"


def saturated(slope: Floats) -> list[str]:
    """What to say of units whose slope is nearly 0 for every example, if there are any."""
    rows, slopes = len(slope), of_units(slope)
    flat = int((slopes.max(axis=0) < 0.01).sum())
    if not flat:
        return []
    units = f"{flat:,} of {slopes.shape[1]:,} {units_of(slope)} are "
    units += "saturated" if rows >= MANY else "at a flat end of the function"
    return [
        f"{units}: their slope is below 0.01 for {every_example(rows)}, so hardly any gradient"
        " passes them"
    ]


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), where nothing overflows."""
    return 0.5 * (1.0 + math.tanh(0.5 * x))


class Relu(Layer):
    """y = max(x, 0)."""

    kind = "relu"
    is_scalar = True
    onnx_operator = "Relu"
    torch_module = "ReLU"

    def formula(self, x: float) -> str:
        return f"max({number(x)}, 0)"

    def derivative(self, x: float, y: float) -> str:
        return "1" if x > 0.0 else "0"

    def unit_remarks(self, y: Floats) -> list[str]:
        values = of_units(y)
        dead = int((values.max(axis=0) <= 0.0).sum())
        if not dead:
            return []
        what = "0 (dead ReLU)" if len(y) >= MANY else "off (0)"
        units = f"{dead:,} of {values.shape[1]:,} {units_of(y)} are {what}"
        return [f"{units} for {every_example(len(y))}: no gradient passes them"]

    def c_function(self) -> str:
        return """\
/* y = max(x, 0); x and y (count) may be the same array. */
static void relu_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}
"""


class LeakyRelu(Layer):
    """y = x where x > 0, else slope * x (Maas et al. 2013)."""

    kind = "leaky_relu"
    is_scalar = True
    options = ("slope",)
    onnx_operator = "LeakyRelu"
    torch_module = "LeakyReLU"

    slope: float

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__(slope=checks.real("leaky_relu slope", slope, least=0.0))

    def formula(self, x: float) -> str:
        return f"{number(self.slope)}*{factor(x)}" if x <= 0.0 else number(x)

    def derivative(self, x: float, y: float) -> str:
        return "1" if x > 0.0 else number(self.slope)

    def onnx_attributes(self, shape: Shape) -> dict[str, Any]:
        return {"alpha": self.slope}

    def c_function(self) -> str:
        return """\
/* y = x where x > 0, else slope x; x and y (count) may be the same array. */
static void leaky_relu_layer(size_t count, float slope, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] > 0.0f ? x[i] : slope * x[i];
}
"""

    def c_options(self) -> tuple[float, ...]:
        return (self.slope,)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x))."""

    kind = "sigmoid"
    is_scalar = True
    onnx_operator = "Sigmoid"
    torch_module = "Sigmoid"

    def formula(self, x: float) -> str:
        return f"1 / (1 + exp({number(-x)}))"

    def derivative(self, x: float, y: float) -> str:
        return f"{number(y)}*(1 - {number(y)})"

    def unit_remarks(self, y: Floats) -> list[str]:
        return saturated(y * (1 - y))

    def c_function(self) -> str:
        return """\
/* y = 1 / (1 + exp(-x)); x and y (count) may be the same array. */
static void sigmoid_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = 1.0f / (1.0f + expf(-x[i]));
}
"""


class Tanh(Layer):
    """y = tanh(x), the hyperbolic tangent."""

    kind = "tanh"
    is_scalar = True
    onnx_operator = "Tanh"
    torch_module = "Tanh"

    def formula(self, x: float) -> str:
        return f"tanh({number(x)})"

    def derivative(self, x: float, y: float) -> str:
        return f"(1 - {factor(y)}^2)"

    def unit_remarks(self, y: Floats) -> list[str]:
        return saturated(1 - y * y)

    def c_function(self) -> str:
        return """\
/* y = tanh(x); x and y (count) may be the same array. */
static void tanh_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = tanhf(x[i]);
}
"""


class Gelu(Layer):
    """y = x Phi(x), Phi being the normal distribution function (Hendrycks and Gimpel 2016)."""

    kind = "gelu"
    is_scalar = True
    torch_module = "GELU"

    def formula(self, x: float) -> str:
        return f"{factor(x)}*Phi({number(x)})"

    def derivative(self, x: float, y: float) -> str:
        return f"(Phi({number(x)}) + {factor(x)}*phi({number(x)}))"

    def add_to_onnx(
        self,
        graph: OnnxGraph,
        x: str,
        parameters: Sequence[str],
        name: str,
        output: str,
        shape: Shape,
    ) -> None:
        """Add x (1 + erf(x / sqrt 2)) / 2, in the order of operators that runtimes can fuse."""
        scaled = graph.add("Div", [x, graph.constant("sqrt_2", math.sqrt(2.0))], f"{name}.scaled")
        erf = graph.add("Erf", [scaled], f"{name}.erf")
        erf_plus_1 = graph.add("Add", [erf, graph.constant("one", 1.0)], f"{name}.erf_plus_1")
        twice = graph.add("Mul", [x, erf_plus_1], f"{name}.twice")
        graph.add("Mul", [twice, graph.constant("half", 0.5)], output)

    def c_function(self) -> str:
        return """\
/* y = x Phi(x), with Phi(x) the probability that a normal number is less than x; x and y (count)
 * may be the same array. */
static void gelu_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] * normal(x[i]);
}
"""

    def c_helper(self, *, libc: bool) -> str:
        return _NORMAL_LIBC if libc else _NORMAL


class Silu(Layer):
    """y = x / (1 + exp(-x)), x times its sigmoid (Elfwing et al. 2018); also called swish."""

    kind = "silu"
    is_scalar = True
    torch_module = "SiLU"

    def formula(self, x: float) -> str:
        return f"{number(x)} / (1 + exp({number(-x)}))"

    def derivative(self, x: float, y: float) -> str:
        s = number(sigmoid(x))
        return f"{s}*(1 + {factor(x)}*(1 - {s}))"

    def add_to_onnx(
        self,
        graph: OnnxGraph,
        x: str,
        parameters: Sequence[str],
        name: str,
        output: str,
        shape: Shape,
    ) -> None:
        """Add x Sigmoid(x): the opset of our files has no SiLU operator."""
        graph.add("Mul", [x, graph.add("Sigmoid", [x], f"{name}.sigmoid")], output)

    def c_function(self) -> str:
        return """\
/* y = x / (1 + exp(-x)); x and y (count) may be the same array. */
static void silu_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] / (1.0f + expf(-x[i]));
}
"""


class Elu(Layer):
    """y = x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016)."""

    kind = "elu"
    is_scalar = True
    options = ("alpha",)
    onnx_operator = "Elu"
    torch_module = "ELU"

    alpha: float

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=checks.real("elu alpha", alpha, least=0.0))

    def formula(self, x: float) -> str:
        return number(x) if x > 0.0 else f"{number(self.alpha)}*(exp({number(x)}) - 1)"

    def derivative(self, x: float, y: float) -> str:
        return "1" if x > 0.0 else f"{number(self.alpha)}*exp({number(x)})"

    def onnx_attributes(self, shape: Shape) -> dict[str, Any]:
        return {"alpha": self.alpha}

    def c_function(self) -> str:
        return """\
/* y = x where x > 0, else alpha (exp(x) - 1); x and y (count) may be the same array. */
static void elu_layer(size_t count, float alpha, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] > 0.0f ? x[i] : alpha * exp_minus_1(x[i]);
}
"""

    def c_helper(self, *, libc: bool) -> str:
        return _EXP_MINUS_1_LIBC if libc else _EXP_MINUS_1

    def c_options(self) -> tuple[float, ...]:
        return (self.alpha,)


class Softplus(Layer):
    """y = log(1 + exp(x)), a smooth max(x, 0) (Dugas et al. 2001)."""

    kind = "softplus"
    is_scalar = True
    onnx_operator = "Softplus"
    torch_module = "Softplus"

    def formula(self, x: float) -> str:
        if x > 80.0:  # exp(x) might overflow
            return f"{number(x)} + log(1 + exp({number(-x)}))"
        return f"log(1 + exp({number(x)}))"

    def derivative(self, x: float, y: float) -> str:
        return f"1 / (1 + exp({number(-x)}))"

    def c_function(self) -> str:
        return """\
/* y = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), where nothing overflows; x and y
 * (count) may be the same array. */
static void softplus_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) {
        const float e = expf(x[i] < 0.0f ? x[i] : -x[i]);
        y[i] = (x[i] < 0.0f ? 0.0f : x[i]) + log_of_1_plus(e);
    }
}
"""

    def c_helper(self, *, libc: bool) -> str:
        return _LOG_OF_1_PLUS_LIBC if libc else _LOG_OF_1_PLUS


_LOG_OF_1_PLUS_LIBC = """\
static float log_of_1_plus(float x) {
    return log1pf(x);
}
"""

# As in csrc/base/mathematics.h.
_LOG_OF_1_PLUS = """\
/* log(1 + x) for x in [0, 1]: 2 atanh(s) with s = x / (2 + x), by a polynomial. */
static float log_of_1_plus(float x) {
    const float s = x / (2.0f + x), z = s * s;
    float p = 2.8024435e-1f;
    p = p * z + 2.7999145e-1f;
    p = p * z + 4.00217e-1f;
    p = p * z + 6.6666412e-1f;
    return 2.0f * s + s * z * p;
}
"""

_EXP_MINUS_1_LIBC = """\
static float exp_minus_1(float x) {
    return expm1f(x);
}
"""

# As in csrc/base/mathematics.h.
_EXP_MINUS_1 = """\
/* exp(x) - 1. Near 0 the difference would lose digits by cancellation: there it is a polynomial. */
static float exp_minus_1(float x) {
    if (x < -0.34657359f || x > 0.34657359f) return exponential(x) - 1.0f;
    float q = 1.9890981e-4f;
    q = q * x + 1.3933642e-3f;
    q = q * x + 8.3333105e-3f;
    q = q * x + 4.1666467e-2f;
    q = q * x + 1.6666667e-1f;
    q = q * x + 0.5f;
    return (q * x) * x + x;
}
"""

_NORMAL_LIBC = """\
/* Phi(x) = erfc(-x / sqrt 2) / 2 */
static float normal(float x) {
    return 0.5f * erfcf(-0.707106781f * x);
}
"""

# The same as in csrc/base/mathematics.h, except for infinite and NaN inputs.
_NORMAL = """\
/* With u = |x|: Phi(-u) = exp(-u^2 / 2) p, where p is a polynomial in t = 1 / (1 + u / 4); and
 * Phi(u) = 1 - Phi(-u). */
static float normal(float x) {
    const float u = x < 0.0f ? -x : x;
    if (u > 14.0f) return x < 0.0f ? 0.0f : 1.0f;
    const float t = 1.0f / (1.0f + 0.25f * u);
    float p = 3.3946671e-2f;
    p = p * t + -1.9617705e-1f;
    p = p * t + 3.9500082e-1f;
    p = p * t + -3.3346841e-1f;
    p = p * t + 3.0448619e-1f;
    p = p * t + -2.0383690e-2f;
    p = p * t + 1.2156782e-1f;
    p = p * t + 9.4820276e-2f;
    p = p * t + 1.0022900e-1f;
    p = p * t + -2.1599921e-5f;
    const float tail = exponential(-0.5f * u * u) * p;
    return x < 0.0f ? tail : 1.0f - tail;
}
"""
