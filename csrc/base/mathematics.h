/* mathematics.h: exp, expm1, log1p, sigmoid, tanh and GELU. They have no branches and no calls, so that
 * compilers turn loops over them into vector instructions. libm's functions would be one call for each
 * value. */
#ifndef PYNN_MATHEMATICS_H
#define PYNN_MATHEMATICS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/vector.h"

/* 2^n for n in [-126, 127]: the exponent bits of a float are n + 127. */
PYNN_INLINE float pynn_power_of_2(int32_t n) {
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* exp(r) - 1 for |r| <= ln 2 / 2: r + r^2 (1/2 + r (1/6 + ...)), where the higher coefficients are fitted
 * to the interval. */
PYNN_INLINE float pynn_expm1_near_0(float r) {
    float q = 1.9890981e-4f;
    q = q * r + 1.3933642e-3f;
    q = q * r + 8.3333105e-3f;
    q = q * r + 4.1666467e-2f;
    q = q * r + 1.6666667e-1f;
    q = q * r + 0.5f;
    return (q * r) * r + r;
}

/* exp(x), within 2 ulp (0.99 was the worst found) for x >= -87.3365. For x below that the true value is
 * less than the smallest normal number, and the result is 0. For x above 88.7228 it is infinity; for NaN it
 * is NaN.
 *
 * exp(x) = 2^n exp(r), with n = round(x / ln 2) and r = x - n ln 2 in [-ln 2 / 2, ln 2 / 2]. */
PYNN_INLINE float pynn_exp(float x) {
    const float lowest = -87.33654f, highest = 88.72283f;
    const float shift = 0x1.8p23f; /* a sum with it has no fraction bits, so it is rounded */
    /* ln 2 as the sum of two numbers; n * ln2_high is exact. */
    const float ln2_high = 0x1.62e400p-1f, ln2_low = 0x1.7f7d1cp-20f;

    float clamped = x < lowest ? lowest : x > highest ? highest : x;
    float shifted = clamped * 0x1.715476p0f + shift;
    float n = shifted - shift;
    float r = (clamped - n * ln2_high) - n * ln2_low;

    float p = pynn_expm1_near_0(r) + 1.0f;
    /* 2^n is made from its exponent bits. It is the product of two powers, because 2^128 is no float. */
    int32_t whole; /* n, from the bits of `shifted` and `shift`: a cast is undefined for NaN */
    memcpy(&whole, &shifted, sizeof whole);
    whole -= 0x4B400000;
    int32_t half = whole >> 1;
    float y = p * pynn_power_of_2(half) * pynn_power_of_2(whole - half);

    y = x < lowest ? 0.0f : y;
    return x > highest ? (float)INFINITY : y;
}

/* exp(x) - 1, within 4 ulp (3.32 was the worst found). Near 0, where the subtraction would cancel, the
 * result is the polynomial alone. It is -1 for very negative x; infinity and NaN give what exp gives. */
PYNN_INLINE float pynn_expm1(float x) {
    float far_from_0 = pynn_exp(x) - 1.0f;
    bool is_near = fabsf(x) < 0.34657359f; /* ln 2 / 2 */
    float near_0 = pynn_expm1_near_0(is_near ? x : 0.0f);
    return is_near ? near_0 : far_from_0;
}

/* log(1 + x) for x in [0, 1], within 3 ulp (1.92 was the worst found). With s = x / (2 + x) in [0, 1/3] it
 * is 2 atanh(s) = 2 s + s^3 P(s^2), where the polynomial P is fitted to the interval. */
PYNN_INLINE float pynn_log1p(float x) {
    float s = x / (2.0f + x);
    float z = s * s;
    float p = 2.8024435e-1f;
    p = p * z + 2.7999145e-1f;
    p = p * z + 4.00217e-1f;
    p = p * z + 6.6666412e-1f;
    return 2.0f * s + s * z * p;
}

/* 1 / (1 + exp(-x)), within 3 ulp (2.46 was the worst found). It is 0 below -88.72, where exp(-x) is
 * infinite. */
PYNN_INLINE float pynn_sigmoid(float x) {
    return 1.0f / (1.0f + pynn_exp(-x));
}

/* tanh(x), within 2 ulp (1.33 was the worst found). Away from 0 it is 1 - 2 / (exp(2 |x|) + 1). Near 0,
 * where that would cancel, it is |x| + |x|^3 P(x^2), where the polynomial P is fitted to |x| <= 0.625. The
 * result has the sign of x, also where x is -0. */
PYNN_INLINE float pynn_tanh(float x) {
    float magnitude = fabsf(x);
    float far_from_0 = 1.0f - 2.0f / (pynn_exp(2.0f * magnitude) + 1.0f);
    float s = magnitude * magnitude;
    float p = 2.2927448e-3f;
    p = p * s + -8.343945e-3f;
    p = p * s + 2.1768918e-2f;
    p = p * s + -5.3959258e-2f;
    p = p * s + 1.3333304e-1f;
    p = p * s + -3.3333334e-1f;
    float near_0 = magnitude + magnitude * s * p;
    return copysignf(magnitude < 0.625f ? near_0 : far_from_0, x);
}

/* For the normal distribution with mean 0 and variance 1 and for u >= 0: returns Phi(-u), the probability
 * of a value below -u, and sets *density = exp(-u^2 / 2). Their quotient is erfcx(u / sqrt 2) / 2, which
 * falls slowly from 1/2. It is computed as a polynomial in t = 1 / (1 + u / 4) that is fitted to u <= 14;
 * for larger u both results are 0 in float. */
PYNN_INLINE float pynn_normal_tail(float u, float *density) {
    float t = 1.0f / (1.0f + 0.25f * u);
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
    *density = pynn_exp(-0.5f * u * u);
    return p * *density;
}

/* |x|, but at most 20, where Phi(-|x|) is 0 already. Without this bound an infinite x would give infinity
 * times 0, which is NaN. */
PYNN_INLINE float pynn_bounded_magnitude(float x) {
    float u = fabsf(x);
    return u > 20.0f ? 20.0f : u;
}

/* GELU, x Phi(x) (Hendrycks and Gimpel 2016), within 3e-7 |x| (2.1e-7 |x| was the worst found). */
PYNN_INLINE float pynn_gelu(float x) {
    float density, u = pynn_bounded_magnitude(x);
    float negative = -u * pynn_normal_tail(u, &density); /* GELU(-|x|) */
    return x < 0.0f ? negative : x + negative;
}

/* The derivative of GELU, Phi(x) + x phi(x) with phi(x) = exp(-x^2 / 2) / sqrt(2 pi), within 1e-6. */
PYNN_INLINE float pynn_gelu_slope(float x) {
    float density, u = pynn_bounded_magnitude(x);
    float slope = pynn_normal_tail(u, &density); /* the slope at -|x|; at |x| it is 1 minus that */
    slope -= u * (0x1.988454p-2f * density);
    return x < 0.0f ? slope : 1.0f - slope;
}

#endif
