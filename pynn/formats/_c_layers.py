"""The parts of exported C that are the same for every network: layers, and functions of one number.

A part is put into a file only where it is used, as compilers warn of what is not. Layers call expf,
tanhf and erfcf; in a file without libc other parts stand for these, the same as in
csrc/mathematics.h but for what is not finite.
"""

from __future__ import annotations

from collections.abc import Iterable

DENSE = """\
/* y = x W + b with x (inputs), W (inputs, outputs) and b, y (outputs). W lies row by row: row i,
 * times x[i], is what input i adds to the outputs. Where x[i] is 0 that is nothing. */
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

DENSE_BYTES = """\
/* The same with x in bytes, each of which counts as value / 255. */
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

FROM_BYTES = """\
/* y = x / 255 */
static void from_bytes(size_t count, const unsigned char *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = (float)x[i] / 255.0f;
}
"""

RELU = """\
/* y = max(x, 0); x and y (count) may be the same array. */
static void relu_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}
"""

LEAKY_RELU = """\
/* y = x where x > 0, else slope x; x and y (count) may be the same array. */
static void leaky_relu_layer(size_t count, float slope, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] > 0.0f ? x[i] : slope * x[i];
}
"""

SIGMOID = """\
/* y = 1 / (1 + exp(-x)); x and y (count) may be the same array. */
static void sigmoid_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = 1.0f / (1.0f + expf(-x[i]));
}
"""

TANH = """\
/* y = tanh(x); x and y (count) may be the same array. */
static void tanh_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = tanhf(x[i]);
}
"""

GELU = """\
/* y = x Phi(x), with Phi(x) the probability that a normal number is less than x; x and y (count)
 * may be the same array. */
static void gelu_layer(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] * normal(x[i]);
}
"""

NORMAL_LIBC = """\
/* Phi(x) = erfc(-x / sqrt 2) / 2 */
static float normal(float x) {
    return 0.5f * erfcf(-0.707106781f * x);
}
"""

EXPONENTIAL = """\
/* exp(x), within 2 units in the last place for -87 <= x <= 88; what lies beyond counts as these.
 * With n = x / ln 2, rounded, and r = x - n ln 2, which is small, exp(x) = 2^n exp(r). */
static float exponential(float x) {
    union {
        uint32_t bits;
        float value;
    } power;
    if (x != x) return x; /* not a number */
    if (x < -87.0f) x = -87.0f;
    if (x > 88.0f) x = 88.0f;
    const int n = (int)(1.44269504f * x + (x < 0.0f ? -0.5f : 0.5f));
    /* ln 2 in two parts: n times the first is exact. */
    const float r = (x - (float)n * 0.693145752f) - (float)n * 1.42860677e-6f;
    float p = 1.9890981e-4f; /* exp(r) = 1 + r + r^2 p, with p close to 1/2 + r/6 + r^2/24 + ... */
    p = p * r + 1.3933642e-3f;
    p = p * r + 8.3333105e-3f;
    p = p * r + 4.1666467e-2f;
    p = p * r + 1.6666667e-1f;
    p = p * r + 0.5f;
    power.bits = (uint32_t)(n + 127) << 23; /* 2^n: a float's exponent bits are n + 127 */
    return ((p * r) * r + r + 1.0f) * power.value;
}
"""

HYPERBOLIC_TANGENT = """\
/* tanh(x) = 1 - 2 / (exp(2 x) + 1) for x > 0; near 0, where that cancels, a polynomial. */
static float hyperbolic_tangent(float x) {
    const float u = x < 0.0f ? -x : x;
    const float s = u * u;
    float y, p = 2.2927448e-3f;
    p = p * s + -8.343945e-3f;
    p = p * s + 2.1768918e-2f;
    p = p * s + -5.3959258e-2f;
    p = p * s + 1.3333304e-1f;
    p = p * s + -3.3333334e-1f;
    y = u < 0.625f ? u + u * s * p : 1.0f - 2.0f / (exponential(2.0f * u) + 1.0f);
    return x < 0.0f ? -y : y;
}
"""

NORMAL = """\
/* Phi(-u) = exp(-u^2 / 2) p for u = |x|, with p a polynomial in t = 1 / (1 + u / 4); Phi(u) is the
 * rest to 1. */
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

LAYERS = {
    "dense": DENSE,
    "dense_bytes": DENSE_BYTES,
    "from_bytes": FROM_BYTES,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "gelu": GELU,
}

_OWN = {"expf(": "exponential(", "tanhf(": "hyperbolic_tangent("}

# In an order in which each may call those before it.
_FUNCTIONS = {
    True: {"normal(": NORMAL_LIBC},
    False: {
        "exponential(": EXPONENTIAL,
        "hyperbolic_tangent(": HYPERBOLIC_TANGENT,
        "normal(": NORMAL,
    },
}


def layers(names: Iterable[str]) -> list[str]:
    """The functions of some kinds of layers, each once, in the order of `LAYERS`."""
    wanted = set(names)
    return [text for name, text in LAYERS.items() if name in wanted]


def with_functions(parts: list[str], *, libc: bool) -> list[str]:
    """Parts of code, and before them the functions of one number that they call.

    Args:
        parts: What `layers` gave, and others that call expf.
        libc: Whether libc may be called.
    """
    if not libc:
        for theirs, ours in _OWN.items():
            parts = [part.replace(theirs, ours) for part in parts]
    for call, text in reversed(_FUNCTIONS[libc].items()):
        if any(call in part for part in parts):
            parts = [text, *parts]
    return parts


def includes(parts: list[str]) -> str:
    """The headers of C that the code needs."""
    code = "".join(parts)
    libm = any(call in code for call in ("expf(", "tanhf(", "erfcf("))
    wanted = {"math.h": libm, "stddef.h": True, "stdint.h": "uint32_t" in code}
    return "".join(f"#include <{name}>\n" for name, needed in wanted.items() if needed)
