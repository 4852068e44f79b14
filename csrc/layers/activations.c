/* activations.c: scalar functions between dense layers, value by value, and their derivatives. Each is two
 * loops and a row of the table at the end. */
#include <math.h>
#include <string.h>

#include "base/mathematics.h"
#include "base/vector.h"
#include "layers/layer.h"

/* y = f(x), and d = d f'(x), for `count` values; options of the kind are in `layer`. */
#define UNUSED __attribute__((unused))
#define VALUE(name)                                                                                        \
    PYNN_KERNEL(void, name##_value,                                                                        \
                (UNUSED const pynn_layer *layer, size_t count, const float *x, float *y),                  \
                (layer, count, x, y))
#define SLOPE(name)                                                                                        \
    PYNN_KERNEL(void, name##_slope,                                                                        \
                (UNUSED const pynn_layer *layer, size_t count, UNUSED const float *x,                      \
                 UNUSED const float *y, float *d),                                                         \
                (layer, count, x, y, d))

/* y = max(x, 0)   @relu.Y */
/* NaN stays NaN. */
VALUE(relu) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

/* dx = dy where x > 0, else 0   @relu.dX */
/* At the kink x = 0 that is the left derivative, as everybody takes it. */
SLOPE(relu) {
    for (size_t i = 0; i < count; i++) d[i] = y[i] > 0.0f ? d[i] : 0.0f;
}

/* y = 1 / (1 + exp(-x))   @sigmoid.Y */
VALUE(sigmoid) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_sigmoid(x[i]);
}

/* dx = dy y (1 - y)   @sigmoid.dX */
SLOPE(sigmoid) {
    for (size_t i = 0; i < count; i++) d[i] *= y[i] * (1.0f - y[i]);
}

/* y = tanh(x)   @tanh.Y */
VALUE(tanh) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_tanh(x[i]);
}

/* dx = dy (1 - y^2)   @tanh.dX */
SLOPE(tanh) {
    for (size_t i = 0; i < count; i++) d[i] *= 1.0f - y[i] * y[i];
}

/* y = x where x > 0, else slope x   @leaky_relu.Y */
VALUE(leaky_relu) {
    const float slope = layer->leaky_relu.slope;
    for (size_t i = 0; i < count; i++) y[i] = x[i] > 0.0f ? x[i] : slope * x[i];
}

/* dx = dy where x > 0, else slope dy   @leaky_relu.dX */
/* y has the sign of x, or is 0 where that is not positive. */
SLOPE(leaky_relu) {
    const float slope = layer->leaky_relu.slope;
    for (size_t i = 0; i < count; i++) d[i] = y[i] > 0.0f ? d[i] : slope * d[i];
}

static pynn_status place_leaky_relu(const pynn_layer *layer, pynn_shape inputs, pynn_layer_place *place) {
    float slope = layer->leaky_relu.slope;
    return slope >= 0.0f && isfinite(slope) ? pynn_place_plain(layer, inputs, place)
                                            : PYNN_INVALID_ARGUMENT;
}

/* y = x Phi(x), Phi the normal distribution   @gelu.Y */
VALUE(gelu) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_gelu(x[i]);
}

/* dx = dy (Phi(x) + x phi(x)), phi the normal density   @gelu.dX */
SLOPE(gelu) {
    for (size_t i = 0; i < count; i++) d[i] *= pynn_gelu_slope(x[i]);
}

/* y = x s(x), s the sigmoid   @silu.Y */
/* Where s is 0 so is y: infinity times 0 would be no number. */
VALUE(silu) {
    for (size_t i = 0; i < count; i++) {
        float reached = x[i] < -100.0f ? -100.0f : x[i];
        y[i] = reached * pynn_sigmoid(reached);
    }
}

/* dx = dy s (1 + x (1 - s)), s = s(x)   @silu.dX */
/* The function falls and rises. 1 - s is s(-x), which does not cancel. */
SLOPE(silu) {
    for (size_t i = 0; i < count; i++) {
        float reached = x[i] < -100.0f ? -100.0f : x[i] > 100.0f ? 100.0f : x[i];
        float e = pynn_exp(-fabsf(reached)), larger = 1.0f / (1.0f + e), smaller = e * larger;
        float s = reached < 0.0f ? smaller : larger, rest = reached < 0.0f ? larger : smaller;
        d[i] *= s * (1.0f + reached * rest);
    }
}

/* y = x where x > 0, else alpha (exp(x) - 1)   @elu.Y */
VALUE(elu) {
    const float alpha = layer->elu.alpha;
    for (size_t i = 0; i < count; i++) {
        float negative = alpha * pynn_expm1(x[i]);
        y[i] = x[i] > 0.0f ? x[i] : negative;
    }
}

/* dx = dy where x > 0, else dy alpha exp(x)   @elu.dX */
/* alpha exp(x) = y + alpha there; y has the sign of x, or is 0 where that is not positive. */
SLOPE(elu) {
    const float alpha = layer->elu.alpha;
    for (size_t i = 0; i < count; i++) d[i] = y[i] > 0.0f ? d[i] : (y[i] + alpha) * d[i];
}

static pynn_status place_elu(const pynn_layer *layer, pynn_shape inputs, pynn_layer_place *place) {
    float alpha = layer->elu.alpha;
    return alpha >= 0.0f && isfinite(alpha) ? pynn_place_plain(layer, inputs, place)
                                            : PYNN_INVALID_ARGUMENT;
}

/* y = log(1 + exp(x))   @softplus.Y */
/* = max(x, 0) + log(1 + exp(-|x|)), where nothing overflows; NaN stays NaN */
VALUE(softplus) {
    for (size_t i = 0; i < count; i++)
        y[i] = (x[i] < 0.0f ? 0.0f : x[i]) + pynn_log1p(pynn_exp(-fabsf(x[i])));
}

/* dx = dy s(x), s the sigmoid   @softplus.dX */
/* s(x) = 1 - exp(-y) */
SLOPE(softplus) {
    for (size_t i = 0; i < count; i++) d[i] *= -pynn_expm1(-y[i]);
}

/* ---------------------------------------------------------------- on a tile */

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    pynn_stretches it = pynn_stretches_of(tile, call->layer->outputs);
    for (size_t s = 0, first = it.first; s < it.count; s++, first += it.apart)
        call->layer->type->value(&call->layer->layer, it.length, call->x + first, call->y + first);
}

/* dX = dY f'(X) */
static void backward(const pynn_layer_call *call, pynn_tile tile) {
    pynn_stretches it = pynn_stretches_of(tile, call->layer->outputs);
    for (size_t s = 0, first = it.first; s < it.count; s++, first += it.apart) {
        if (call->dx != call->dy) memcpy(call->dx + first, call->dy + first, it.length * sizeof(float));
        call->layer->type->slope(&call->layer->layer, it.length, call->x + first, call->y + first,
                                 call->dx + first);
    }
}

/* ---------------------------------------------------------------- the table */

#define SCALAR_FUNCTION(name)                                                                              \
    .reach = PYNN_REACH_VALUE, .forward = forward, .backward = backward, .value = name##_value,            \
    .slope = name##_slope

/* A derivative that is computed from y needs y and not x, so y may overwrite x. */
#define FROM_OUTPUTS .may_overwrite = true, .needs_outputs = true

/* GELU and SiLU fall and rise, so y does not tell x: their derivatives are computed from x. */
const pynn_layer_type pynn_activations[] = {
    {.kind = PYNN_RELU, SCALAR_FUNCTION(relu), FROM_OUTPUTS, .place = pynn_place_plain},
    {.kind = PYNN_SIGMOID, SCALAR_FUNCTION(sigmoid), FROM_OUTPUTS, .place = pynn_place_plain},
    {.kind = PYNN_TANH, SCALAR_FUNCTION(tanh), FROM_OUTPUTS, .place = pynn_place_plain},
    {.kind = PYNN_LEAKY_RELU, SCALAR_FUNCTION(leaky_relu), FROM_OUTPUTS, .place = place_leaky_relu},
    {.kind = PYNN_GELU, SCALAR_FUNCTION(gelu), .place = pynn_place_plain},
    {.kind = PYNN_SILU, SCALAR_FUNCTION(silu), .place = pynn_place_plain},
    {.kind = PYNN_SOFTPLUS, SCALAR_FUNCTION(softplus), FROM_OUTPUTS, .place = pynn_place_plain},
    {.kind = PYNN_ELU, SCALAR_FUNCTION(elu), FROM_OUTPUTS, .place = place_elu},
};
const size_t pynn_activation_count = sizeof pynn_activations / sizeof *pynn_activations;
