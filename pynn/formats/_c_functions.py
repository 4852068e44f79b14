"""Functions in exported C that belong to no kind of layer.

The functions of layers are in `pynn/_network/layers`. An exported file contains a function only if
the file calls it, because compilers warn of unused functions. Layers call expf and tanhf; in a file
without libc two functions of this module replace these. They compute the same as those in
csrc/base/mathematics.h, except for infinite and NaN inputs.
"""

from __future__ import annotations

import re

FROM_BYTES = """\
/* y = x / 255 */
static void from_bytes(size_t count, const unsigned char *x, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = (float)x[i] / 255.0f;
}
"""

EXPONENTIAL = """\
/* exp(x), within 2 units in the last place for -87 <= x <= 88; any x beyond counts as the nearer of
 * the two. With n = x / ln 2, rounded, and r = x - n ln 2, which is small, exp(x) = 2^n exp(r). */
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
/* tanh(x) = 1 - 2 / (exp(2 x) + 1) for x > 0. Near 0 that difference would lose digits by
 * cancellation: there it is a polynomial. */
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

_OWN = {"expf(": "exponential(", "tanhf(": "hyperbolic_tangent("}

# Each function may call those before it.
_FUNCTIONS = {"exponential(": EXPONENTIAL, "hyperbolic_tangent(": HYPERBOLIC_TANGENT}


def with_functions(parts: list[str], *, libc: bool) -> list[str]:
    """Put the functions of this module that some code calls before the code.

    Args:
        parts: The code: functions of layers, and others that call expf.
        libc: Whether the code may call libc; then nothing is added.
    """
    if libc:
        return parts
    for theirs, ours in _OWN.items():
        parts = [part.replace(theirs, ours) for part in parts]
    for call, text in reversed(_FUNCTIONS.items()):
        if any(call in part for part in parts):
            parts = [text, *parts]
    return parts


def includes(parts: list[str]) -> str:
    """The #include lines of the C headers that the code needs."""
    code = "".join(parts)
    libm = re.search(r"\b[a-z0-9]+f\(", code) is not None  # calls expf( or the like; not sizeof
    wanted = {"math.h": libm, "stddef.h": True, "stdint.h": "uint32_t" in code}
    return "".join(f"#include <{name}>\n" for name, needed in wanted.items() if needed)
