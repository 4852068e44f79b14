/* standardize.c: features are brought to a mean of about 0 and a spread of about 1. Only the first layer
 * can do so.
 *
 * With inputs X (N, I), a mean m (I,) and a scale s (I,):
 *
 *     y = (x - m) / s
 *
 * Then y is cut to [-c, c], if there is a clip c. If values may be missing, a missing x, which is NaN,
 * gives y = 0, as the mean does. m and s are parameters that no step of training changes: the caller finds
 * them in the examples and writes them. Before that s is 0, and nothing can be computed. */
#include <float.h>

#include "base/vector.h"
#include "layers/layer.h"

static pynn_status place(const pynn_layer *layer, pynn_shape in, pynn_layer_place *place) {
    const pynn_standardize_options *options = &layer->standardize;
    if (!(options->clip >= 0.0f && options->clip <= FLT_MAX)) return PYNN_INVALID_ARGUMENT;
    if (options->missing != 0 && options->missing != 1) return PYNN_INVALID_ARGUMENT;
    size_t width = pynn_shape_size(in);
    *place = (pynn_layer_place){
        .outputs = in,
        .takes_missing = options->missing != 0,
        .view_count = 2,
        .views = {{.name = "mean", .dims = {width}, .ndim = 1},
                  {.name = "scale", .dims = {width}, .ndim = 1}},
    };
    return PYNN_OK;
}

static void initialize(const pynn_placed_layer *layer, uint64_t seed, uint64_t stream, float *parameters) {
    (void)seed;
    (void)stream;
    for (size_t i = 0; i < layer->parameter_count; i++) parameters[i] = 0.0f;
}

static bool is_fitted(const pynn_placed_layer *layer, const float *parameters) {
    for (size_t i = 0; i < layer->inputs; i++) {
        if (parameters[layer->inputs + i] == 0.0f) return false;
    }
    return true;
}

/* y = (x - mean) / scale for a row. */
PYNN_KERNEL(void, scale_row,
            (size_t count, const float *x, const float *mean, const float *scale, float *restrict y),
            (count, x, mean, scale, y)) {
    /* Y = (X - mean) / scale, row by row   @standardize.Y */
    for (size_t i = 0; i < count; i++) y[i] = (x[i] - mean[i]) / scale[i];
}

/* y = 0 where x is missing. */
PYNN_KERNEL(void, fill_missing, (size_t count, const float *x, float *restrict y), (count, x, y)) {
    /* y = 0 where x is missing   @standardize.missing */
    for (size_t i = 0; i < count; i++) y[i] = x[i] == x[i] ? y[i] : 0.0f;
}

/* A y that is NaN stays NaN. */
PYNN_KERNEL(void, cut, (size_t count, float clip, float *y), (count, clip, y)) {
    /* y = min(max(y, -clip), clip)   @standardize.clip */
    for (size_t i = 0; i < count; i++) y[i] = y[i] > clip ? clip : y[i] < -clip ? -clip : y[i];
}

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    const pynn_standardize_options *options = &call->layer->layer.standardize;
    size_t count = tile.column_end - tile.column_begin, width = call->layer->inputs;
    const float *mean = call->parameters + tile.column_begin, *scale = mean + width;
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        const float *x = call->x + n * width + tile.column_begin;
        float *y = call->y + n * width + tile.column_begin;
        scale_row(count, x, mean, scale, y);
        if (options->missing) fill_missing(count, x, y);
        if (options->clip > 0.0f) cut(count, options->clip, y);
    }
}

/* Mean and scale stay as they are   @standardize.kept */
static void accumulate(const pynn_layer_call *call, size_t index, const pynn_target *target) {
    float *p = target->parameters;
    (void)index;
    for (size_t i = 0; i < call->layer->parameter_count; i++) p[i] = pynn_blend(target, 0.0, &p[i]);
}

const pynn_layer_type pynn_standardize = {
    .kind = PYNN_STANDARDIZE,
    .reach = PYNN_REACH_VALUE,
    .reads_features = true,
    .place = place,
    .initialize = initialize,
    .is_fitted = is_fitted,
    .forward = forward,
    .cut = pynn_cut_nothing,
    .accumulate = accumulate,
};
