"""The dense layer: a matrix product and a bias."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pynn._base import checks, vocabulary, words
from pynn._base.arrays import AnyFloats, Doubles, Floats
from pynn._base.errors import ArgumentError
from pynn._base.formulas import factor, number, total, total_of_products
from pynn._network.layers import MAX_WIDTH, Layer, Parameter, Shape

Init = Literal["he", "xavier"]
"""The name of the distribution that initial weights are drawn from; pynn_init in csrc/pynn.h."""

INITS: tuple[Init, ...] = ("he", "xavier")


def checked_init(kind: str, init: object) -> Init:
    """Check the name of an initializer, for a kind of layer."""
    for known in INITS:
        if isinstance(init, str) and init == known:
            return known
    needed = f"{kind}: init must be {' or '.join(map(repr, INITS))}"
    if isinstance(init, str) and (meant := words.find(init, vocabulary.INITS)):
        raise ArgumentError(f"{needed}, got {init!r}: pynn says {meant!r}")
    got = repr(init[:60]) if isinstance(init, str) else checks.describe(init)
    raise ArgumentError(f"{needed}, got {got}")


class Dense(Layer):
    """Y = X W + b with X (N, inputs), W (inputs, outputs), b (outputs,), Y (N, outputs)."""

    kind = "dense"
    options = ("outputs", "init")
    symbols: ClassVar[dict[str, str]] = {"weight": "W", "bias": "b"}
    is_product = True
    in_place = False
    takes_scale = True
    onnx_operator = "Gemm"
    torch_module = "Linear"

    outputs: int
    init: Init

    def __init__(self, outputs: int, init: Init = "he") -> None:
        init = checked_init("dense", init)
        outputs = checks.integer("dense", outputs, least=1, most=MAX_WIDTH)
        super().__init__(outputs=outputs, init=init)

    def shape_after(self, shape: Shape) -> Shape:
        if len(shape) > 1:
            raise ArgumentError(
                f"dense needs plain rows, and here are images {shape}; flatten them"
            )
        return (self.outputs,)

    def parameters(self, shape: Shape) -> tuple[Parameter, ...]:
        inputs = math.prod(shape)
        weight = Parameter("weight", (inputs, self.outputs), decays=True, transposed=True)
        return weight, Parameter("bias", (self.outputs,))

    def multiply_adds(self, shape: Shape) -> int:
        return math.prod(shape) * self.outputs

    def forward_marks(self, *, sparse: bool) -> tuple[str, ...]:
        return ("dense.sparseY" if sparse else "dense.Y", "dense.b")

    def gradient_marks(self, *, sparse: bool) -> dict[str, str]:
        weight = "dense.sparsedW" if sparse else "dense.dW"
        return {"dW": weight, "db": "dense.db", "dX": "dense.dX"}

    def fused_marks(self, *, sparse: bool) -> dict[str, str]:
        weight = "dense.fusedsparseW" if sparse else "dense.fusedW"
        return {"weight": weight, "bias": "dense.fusedb"}

    def written_out(self, arrays: Mapping[str, Floats], row: int, output: int) -> str:
        x, weights = arrays["X"][row], arrays["W"][:, output]
        products, bias = total_of_products(x, weights), factor(arrays["b"][output])
        return f"y{output} = {products} + {bias} = {number(arrays['Y'][row, output])}"

    def gradient_written_out(
        self,
        name: str,
        at: tuple[int, ...],
        forward: Mapping[str, Floats],
        backward: Mapping[str, Floats],
    ) -> str:
        x, dy, value = forward["X"], backward["dY"], number(backward[name][at])
        if name == "dX":
            row, it = at
            return f"dx{it} = {total_of_products(dy[row], forward['W'][it])} = {value}"
        if name == "db":
            return f"db[{at[0]}] = {total(dy[:, at[0]])} = {value}"
        it, output = at
        return f"dW[{it},{output}] = {total_of_products(x[:, it], dy[:, output])} = {value}"

    def remarks(self, arrays: Mapping[str, Floats], *, sparse: bool) -> list[str]:
        zeros = float((arrays["X"] == 0.0).mean())
        if sparse:
            return [f"{zeros:.0%} of X is 0: C multiplies the other values only (sparse rows)"]
        return [f"{zeros:.0%} of X is 0"] if zeros >= 0.5 else []

    def scaled(
        self, arrays: Mapping[str, AnyFloats], scale: Doubles, shift: Doubles
    ) -> Mapping[str, AnyFloats]:
        return {"weight": arrays["weight"] * scale, "bias": arrays["bias"] * scale + shift}

    def c_function(self) -> str:
        return """\
/* y = x W + b with x (inputs), W (inputs, outputs) and b, y (outputs). W is stored row by row.
 * Input i adds x[i] times row i to the outputs, so a row is skipped where x[i] is 0. */
static void dense_layer(size_t inputs, size_t outputs, const float *restrict x,
                        const float *restrict w, const float *restrict b, float *restrict y) {
    for (size_t o = 0; o < outputs; o++) y[o] = b[o] + x[0] * w[o];
    for (size_t i = 1; i < inputs; i++) {
        const float xi = x[i];
        const float *row = w + i * outputs;
        if (xi == 0.0f) continue;
        for (size_t o = 0; o < outputs; o++) y[o] += xi * row[o];
    }
}
"""

    def c_bytes_function(self) -> str:
        return """\
/* The same layer for x in bytes: each byte counts as value / 255. */
static void dense_layer_bytes(size_t inputs, size_t outputs, const unsigned char *restrict x,
                              const float *restrict w, const float *restrict b, float *restrict y) {
    for (size_t o = 0; o < outputs; o++) y[o] = b[o] + ((float)x[0] / 255.0f) * w[o];
    for (size_t i = 1; i < inputs; i++) {
        const float xi = (float)x[i] / 255.0f;
        const float *row = w + i * outputs;
        if (x[i] == 0) continue;
        for (size_t o = 0; o < outputs; o++) y[o] += xi * row[o];
    }
}
"""
