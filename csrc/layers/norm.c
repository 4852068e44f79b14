/* norm.c: layer normalization.
 *
 * With a row x (I,) of the inputs X (N, I), its mean m, its variance v (the mean of (x - m)^2), gain g
 * (I,), bias b (I,), and with dy the gradient of the loss with respect to the row y of the outputs:
 *
 *     h = (x - m) / sqrt(v + eps)        y = g h + b
 *     dx = (g dy - mean(g dy) - h mean(g dy h)) / sqrt(v + eps)
 *     dg = sum over the rows of dy h     db = sum over the rows of dy
 *
 * (Ba, Kiros and Hinton 2016). Its parameters are g, which is called weight, and behind it b. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/sums.h"
#include "base/vector.h"
#include "layers/layer.h"

/* Sums that are made side by side, of which compilers make vectors. They are doubles: a row may be long. */
enum { LANES = 8 };

/* What forward() keeps of each row. Its mean m is kept as the sum of two floats, because one is not enough
 * for a row like (1e6, 1e6, 1e6, 1e6 + 1/16): the mean of its differences from 1e6 is 1/64, but the float
 * nearest to m is 1e6 itself. So x - m is computed as (x - mean) - rest. */
typedef struct row_scale {
    float mean;   /* m, rounded */
    float rest;   /* m - mean */
    float factor; /* 1 / sqrt(v + eps) */
} row_scale;

static pynn_status place(const pynn_layer *layer, pynn_shape inputs, pynn_layer_place *place) {
    float eps = layer->layer_norm.eps;
    /* A smaller eps would be taken as 0, and the factor of a row of equal values would be infinite. */
    if (!(eps >= FLT_MIN && eps <= FLT_MAX)) return PYNN_INVALID_ARGUMENT;
    size_t width = pynn_shape_size(inputs);
    *place = (pynn_layer_place){
        .outputs = inputs,
        .scratch = sizeof(row_scale) / sizeof(float),
        .view_count = 2,
        .views = {{.name = "weight", .dims = {width}, .ndim = 1, .trained = 1},
                  {.name = "bias", .dims = {width}, .ndim = 1, .trained = 1}},
    };
    return PYNN_OK;
}

static void initialize(const pynn_placed_layer *layer, uint64_t seed, uint64_t stream, float *parameters) {
    (void)seed;
    (void)stream;
    for (size_t i = 0; i < layer->inputs; i++) parameters[i] = 1.0f;
    memset(parameters + layer->inputs, 0, layer->inputs * sizeof(float));
}

/* The scale of a row (width,), from the sums of e = x - mean and of e^2: m - mean is the mean of e, and v
 * is the mean of e^2 less the square of that. This difference does not cancel: x and mean are floats, so
 * where x is near mean, e is a multiple of the distance between floats there; |m - mean| is at most half of
 * that distance; so the mean of e^2 is at least twice the square of m - mean. */
PYNN_INLINE row_scale scale_of(size_t width, float eps, const float *x) {
    float mean = (float)(pynn_sum(width, x) / (double)width);
    double sums[LANES] = {0}, squares[LANES] = {0}, sum = 0.0, square = 0.0;
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            double e = (double)(x[i + k] - mean);
            sums[k] += e;
            squares[k] += e * e;
        }
    }
    for (; i < width; i++) {
        double e = (double)(x[i] - mean);
        sums[0] += e;
        squares[0] += e * e;
    }
    for (size_t k = 0; k < LANES; k++) {
        sum += sums[k];
        square += squares[k];
    }
    double rest = sum / (double)width, variance = square / (double)width - rest * rest;
    return (row_scale){mean, (float)rest, (float)(1.0 / sqrt(variance + (double)eps))};
}

/* h = (x - m) / sqrt(v + eps) */
PYNN_INLINE float normal(float x, row_scale at) {
    return (x - at.mean - at.rest) * at.factor;
}

/* Y from X, both (rows, width), and the scale of each row. */
PYNN_KERNEL(void, normalize,
            (size_t rows, size_t width, float eps, const float *x, const float *gain, const float *bias,
             row_scale *scales, float *y),
            (rows, width, eps, x, gain, bias, scales, y)) {
    for (size_t n = 0; n < rows; n++, x += width, y += width) {
        const row_scale at = scales[n] = scale_of(width, eps, x);
        /* y = weight h + bias, h = (x - mean) / sqrt(variance + eps)   @layer_norm.Y */
        for (size_t i = 0; i < width; i++) y[i] = gain[i] * normal(x[i], at) + bias[i];
    }
}

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    size_t width = call->layer->inputs, first = tile.row_begin * width;
    row_scale *scales = (row_scale *)(void *)call->scratch + tile.row_begin;
    normalize(tile.row_end - tile.row_begin, width, call->layer->layer.layer_norm.eps, call->x + first,
              call->parameters, call->parameters + width, scales, call->y + first);
}

/* dX from dY, both (rows, width). The two means are sums in double, as they may cancel. */
PYNN_KERNEL(void, normalize_backward,
            (size_t rows, size_t width, const float *x, const float *gain, const row_scale *scales,
             const float *dy, float *dx),
            (rows, width, x, gain, scales, dy, dx)) {
    for (size_t n = 0; n < rows; n++, x += width, dy += width, dx += width) {
        const row_scale at = scales[n];
        double sums[LANES] = {0}, products[LANES] = {0}, sum = 0.0, product = 0.0;
        for (size_t i = 0; i < width; i++) dx[i] = gain[i] * dy[i];
        size_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            for (size_t k = 0; k < LANES; k++) {
                sums[k] += (double)dx[i + k];
                products[k] += (double)(dx[i + k] * normal(x[i + k], at));
            }
        }
        for (; i < width; i++) {
            sums[0] += (double)dx[i];
            products[0] += (double)(dx[i] * normal(x[i], at));
        }
        for (size_t k = 0; k < LANES; k++) {
            sum += sums[k];
            product += products[k];
        }
        float mean_of_d = (float)(sum / (double)width), mean_of_dh = (float)(product / (double)width);
        /* dx = (d - mean(d) - h mean(d h)) / sqrt(variance + eps), d = weight dy   @layer_norm.dX */
        for (i = 0; i < width; i++) dx[i] = at.factor * (dx[i] - mean_of_d - normal(x[i], at) * mean_of_dh);
    }
}

static void backward(const pynn_layer_call *call, pynn_tile tile) {
    size_t width = call->layer->inputs, first = tile.row_begin * width;
    const row_scale *scales = (const row_scale *)(const void *)call->scratch + tile.row_begin;
    normalize_backward(tile.row_end - tile.row_begin, width, call->x + first, call->parameters, scales,
                       call->dy + first, call->dx + first);
}

/* ---------------------------------------------------------------- the gradient of the parameters */

/* Columns of a task, and rows whose products are added as floats before they are added as doubles. */
enum { COLUMNS_OF_A_TASK = 128, ROWS_OF_A_SUM = 256 };

/* T = alpha dP + beta T for `columns` of the gains and the biases, at most COLUMNS_OF_A_TASK. All pointers
 * are to the first of these columns; the rows of X and dY are `stride` floats apart. */
PYNN_KERNEL(void, sum_columns,
            (size_t rows, size_t columns, size_t stride, const float *x, const row_scale *scales,
             const float *dy, float alpha, float beta, float *gain, float *bias),
            (rows, columns, stride, x, scales, dy, alpha, beta, gain, bias)) {
    double gain_totals[COLUMNS_OF_A_TASK] = {0}, bias_totals[COLUMNS_OF_A_TASK] = {0};
    for (size_t begin = 0; begin < rows; begin += ROWS_OF_A_SUM) {
        float gain_sums[COLUMNS_OF_A_TASK] = {0}, bias_sums[COLUMNS_OF_A_TASK] = {0};
        size_t end = begin + pynn_least(ROWS_OF_A_SUM, rows - begin);
        for (size_t n = begin; n < end; n++) {
            const row_scale at = scales[n];
            const float *x_row = x + n * stride, *dy_row = dy + n * stride;
            for (size_t i = 0; i < columns; i++) {
                /* dweight = sum of dy h over the rows   @layer_norm.dweight */
                gain_sums[i] += dy_row[i] * normal(x_row[i], at);
                /* dbias = sum of dy over the rows   @layer_norm.dbias */
                bias_sums[i] += dy_row[i];
            }
        }
        for (size_t i = 0; i < columns; i++) {
            gain_totals[i] += (double)gain_sums[i];
            bias_totals[i] += (double)bias_sums[i];
        }
    }
    for (size_t i = 0; i < columns; i++) {
        float old_gain = beta == 0.0f ? 0.0f : beta * gain[i];
        float old_bias = beta == 0.0f ? 0.0f : beta * bias[i];
        /* weight = weight - r dweight   @layer_norm.fusedweight */
        gain[i] = alpha * (float)gain_totals[i] + old_gain;
        /* bias = bias - r dbias   @layer_norm.fusedbias */
        bias[i] = alpha * (float)bias_totals[i] + old_bias;
    }
}

static pynn_grid cut(const pynn_layer_call *call) {
    size_t width = call->layer->inputs;
    return (pynn_grid){1, width, 1, pynn_divide_up(width, COLUMNS_OF_A_TASK)};
}

static void accumulate(const pynn_layer_call *call, size_t index, const pynn_target *target) {
    size_t width = call->layer->inputs;
    pynn_grid grid = cut(call);
    pynn_tile tile = pynn_grid_tile(&grid, index);
    float *gain = target->parameters + tile.column_begin;
    sum_columns(call->rows, tile.column_end - tile.column_begin, width, call->x + tile.column_begin,
                (const row_scale *)(const void *)call->scratch, call->dy + tile.column_begin, target->alpha,
                target->beta, gain, gain + width);
}

const pynn_layer_type pynn_layer_norm = {
    .kind = PYNN_LAYER_NORM,
    .reach = PYNN_REACH_ROW,
    .place = place,
    .initialize = initialize,
    .forward = forward,
    .backward = backward,
    .cut = cut,
    .accumulate = accumulate,
};
