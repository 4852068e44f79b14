"""Normalization."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pynn._base import checks
from pynn._base.arrays import AnyFloats, Doubles, Floats
from pynn._base.batches import flat, of_units, place_of, value_name
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number, total, total_of_products
from pynn._network.layers import Layer, OnnxGraph, Parameter, Shape


def deviation(x: Doubles, eps: float) -> str:
    """The divisor of values x that are normalized together, as a formula."""
    return f"sqrt({number(x.var())} + {number(eps)})"


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
        if isinstance(eps, int) and eps > 1:  # meant as a width, which others ask for
            raise ArgumentError(
                f"layer_norm eps must be a small number such as 1e-5, got {checks.describe(eps)};"
                " the layer needs no width, as it knows it from the layer before: .layer_norm()"
            )
        super().__init__(eps=checks.real("layer_norm eps", eps, least=checks.LEAST_NORMAL))

    def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
        width, images = (math.prod(shape),), shape if len(shape) > 1 else ()
        return (
            Parameter("weight", width, torch_shape=images),
            Parameter("bias", width, torch_shape=images),
        )

    def add_to_onnx(
        self,
        graph: OnnxGraph,
        x: str,
        parameters: Sequence[str],
        name: str,
        output: str,
        shape: Shape,
    ) -> None:
        """Add the formula: the operator LayerNormalization came only with opset 17."""
        weight, bias = (graph.reshaped(parameter, shape) for parameter in parameters)
        axes = list(range(1, len(shape) + 1))
        mean = graph.add("ReduceMean", [x], f"{name}.mean", axes=axes)
        centered = graph.add("Sub", [x, mean], f"{name}.centered")
        squares = graph.add("Mul", [centered, centered], f"{name}.squares")
        variance = graph.add("ReduceMean", [squares], f"{name}.variance", axes=axes)
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
        x, y = flat(arrays["X"])[row].astype(np.float64), flat(arrays["Y"])[row, output]
        weight, bias = factor(arrays["weight"][output]), factor(arrays["bias"][output])
        h = f"({number(x[output])} - {factor(x.mean())}) / {deviation(x, self.eps)}"
        name = value_name("y", place_of(arrays["Y"], output))
        return f"{name} = {weight}*{h} + {bias} = {number(y)}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        x = flat(forward["X"]).astype(np.float64)
        dy = flat(backward["dY"]).astype(np.float64)
        centered = x - x.mean(axis=1, keepdims=True)
        h = centered / np.sqrt(x.var(axis=1, keepdims=True) + self.eps)
        value = number(backward[name][at])
        if name == "dX":
            row, *place = at
            it = int(np.ravel_multi_index(tuple(place), forward["X"].shape[1:]))
            d = forward["weight"] * dy[row]
            means = f"{factor(d.mean())} - {factor(h[row, it])}*{factor((d * h[row]).mean())}"
            of_d = f"({number(d[it])} - {means}) / {deviation(x[row], self.eps)}"
            return f"{value_name('dx', place)} = {of_d} = {value}"
        it = at[0]
        terms = total(dy[:, it]) if name == "dbias" else total_of_products(dy[:, it], h[:, it])
        return f"{name}[{it}] = {terms} = {value}"

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


class BatchNorm(Layer):
    """y = weight h + bias, h = (x - mean) / sqrt(variance + eps), for each channel over a batch.

    A channel of a plain row is one value. In use the mean and the variance are running ones.
    """

    kind = "batch_norm"
    options = ("momentum", "eps")
    hidden: ClassVar[dict[str, Any]] = {"momentum": 0.1, "eps": 1e-5}
    positional = 0
    is_scale = True
    onnx_operator = "BatchNormalization"
    torch_module = "BatchNorm2d"
    torch_counters = ("num_batches_tracked",)

    momentum: float
    eps: float

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5) -> None:
        momentum = checks.real("batch_norm momentum", momentum, least=0.0)
        if not 0.0 < momentum <= 1.0:
            width = "; it needs no width, as it knows it from the layer before: .batch_norm()"
            raise ArgumentError(
                f"batch_norm momentum must be above 0 and at most 1, got {momentum:g}"
                + width * (momentum > 1.0)
            )
        eps = checks.real("batch_norm eps", eps, least=checks.LEAST_NORMAL)
        super().__init__(momentum=momentum, eps=eps)

    @property
    def full_batch_refusal(self) -> str:
        return "its running means follow many batches"

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {value:g}" for name, value in self.shown_arguments().items())
        return f"batch_norm({shown})" if shown else "batch_norm"

    def onnx_attributes(self, shape: Shape) -> dict[str, Any]:
        return {"epsilon": self.eps}

    def torch_name(self, shape: Shape) -> str:
        return "BatchNorm2d" if len(shape) > 1 else "BatchNorm1d"

    def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
        width = (shape[0],)
        running = [
            Parameter(name, width, trained=False) for name in ("running_mean", "running_var")
        ]
        return Parameter("weight", width), Parameter("bias", width), *running

    def as_frozen(self) -> Layer:
        return FrozenBatchNorm(self.momentum, self.eps)

    # ------------------------------------------------------------ explain

    def forward_marks(self, *, sparse: bool) -> tuple[str, ...]:
        return "batch_norm.mean", "batch_norm.Y"

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        return {name: f"batch_norm.{name}" for name in ("dweight", "dbias", "dX")}

    def fused_marks(self, *, sparse: bool) -> dict[str, str]:
        return {name: f"batch_norm.fused{name}" for name in ("weight", "bias")}

    def update_mark(self, name: str) -> str:
        return "batch_norm.running" if name.startswith("running") else ""

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        at = place_of(arrays["Y"], output)
        value = row, *at
        c, x = at[0], of_units(arrays["X"])[:, at[0]].astype(np.float64)
        weight, bias = factor(arrays["weight"][c]), factor(arrays["bias"][c])
        h = f"({number(arrays['X'][value])} - {factor(x.mean())}) / {deviation(x, self.eps)}"
        y = number(arrays["Y"][value])
        return f"{value_name('y', at)} = {weight}*{h} + {bias} = {y}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        c = at[1] if name == "dX" else at[0]
        x = of_units(forward["X"])[:, c].astype(np.float64)
        dy = of_units(backward["dY"])[:, c].astype(np.float64)
        h = (x - x.mean()) / np.sqrt(x.var() + self.eps)
        value = number(backward[name][at])
        if name == "dX":
            own = (float(forward["X"][at]) - x.mean()) / np.sqrt(x.var() + self.eps)
            d = f"{number(backward['dY'][at])} - {factor(dy.mean())}"
            d += f" - {factor(own)}*{factor((dy * h).mean())}"
            weight = factor(forward["weight"][c])
            return (
                f"{value_name('dx', at[1:])} = {weight}*({d}) / {deviation(x, self.eps)} = {value}"
            )
        terms = total(dy) if name == "dbias" else total_of_products(dy, h)
        return f"{name}[{c}] = {terms} = {value}"

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        return [
            "mean and variance are those of this batch; in prediction they are running_mean and"
            " running_var, which follow them"
        ]

    # ------------------------------------------------------------ export

    def scale_and_shift(self, parameters: Mapping[str, Floats]) -> tuple[Doubles, Doubles]:
        weight, bias, mean, variance = (
            parameters[name].astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + np.float64(np.float32(self.eps)))
        return scale, bias - scale * mean

    def c_constants(self, shape: Shape) -> tuple[str, ...]:
        return "scale", "shift"

    def c_arrays(self, parameters: Mapping[str, Floats]) -> Mapping[str, AnyFloats]:
        return dict(zip(("scale", "shift"), self.scale_and_shift(parameters), strict=True))

    def c_sizes(self, shape: Shape, after: Shape) -> tuple[str, ...]:
        return str(shape[0]), str(math.prod(shape[1:]))

    def c_function(self) -> str:
        return """\
/* y = scale x + shift, for each channel of `size` values; x and y (channels, size) may be the same
 * array. */
static void batch_norm_layer(size_t channels, size_t size, const float *x, const float *scale,
                             const float *shift, float *y) {
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = c * size; i < (c + 1) * size; i++) y[i] = scale[c] * x[i] + shift[c];
    }
}
"""


class FrozenBatchNorm(BatchNorm):
    """A frozen batch_norm: in training, too, it has its running mean and variance.

    It is no kind of its own: a chain holds a BatchNorm, and `Spec.placed_layers` gives this one.
    """

    @property
    def full_batch_refusal(self) -> str:
        return ""

    def forward_marks(self, *, sparse: bool) -> tuple[str, ...]:
        return ("batch_norm.frozenY",)

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        return {"dX": "batch_norm.frozendX"}

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        at = place_of(arrays["Y"], output)
        value, c = (row, *at), at[0]
        own = {name: arrays[name][c] for name in ("weight", "bias", "running_mean")}
        weight, bias, mean = map(factor, own.values())
        h = f"({number(arrays['X'][value])} - {mean}) / {self._deviation(arrays, c)}"
        return f"{value_name('y', at)} = {weight}*{h} + {bias} = {number(arrays['Y'][value])}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        weight, dy = factor(forward["weight"][at[1]]), factor(backward["dY"][at])
        divisor, dx = self._deviation(forward, at[1]), number(backward["dX"][at])
        return f"{value_name('dx', at[1:])} = {weight}*{dy} / {divisor} = {dx}"

    def _deviation(self, arrays: Mapping[str, Floats], channel: int) -> str:
        """The divisor of a channel, as a formula."""
        return f"sqrt({number(arrays['running_var'][channel])} + {number(self.eps)})"

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        return ["mean and variance are not those of the batch, because the layer is frozen"]
