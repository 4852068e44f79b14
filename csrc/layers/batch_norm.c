/* batch_norm.c: batch normalization.
 *
 * With inputs X (N, C, S), where a channel has S = H * W values in each row, and for each channel its mean
 * m and variance v over the M = N * S values of the batch, gain g, bias b, and with dY the gradient of the
 * loss with respect to the outputs Y:
 *
 *     h = (x - m) / sqrt(v + eps)        y = g h + b
 *     dx = g (dy - mean(dy) - h mean(dy h)) / sqrt(v + eps)
 *     dg = sum of dy h     db = sum of dy
 *
 * where sums and means are over the M values of the channel (Ioffe and Szegedy 2015). In use m and v are
 * running means of those of the batches: after each step of training m' = m' + momentum (m - m'), and
 * likewise v', from the variance with M - 1 in the place of M. The parameters are g, called weight, then b,
 * m' and v'. The last two have no gradient.
 *
 * If the layer is frozen, m' and v' take the place of m and v in training, too, and do not change. They do
 * not depend on x, so then dx = g dy / sqrt(v' + eps).
 *
 * A block of rows finds its own mean and its own sum of squared differences from it. Those of the batch are
 * made of these in the order of the blocks, in each task that needs them, so that they do not depend on how
 * many threads there are. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "layers/batch_norm.h"

static pynn_status place(const pynn_layer *layer, pynn_shape in, pynn_layer_place *place) {
    const pynn_batch_norm_options *options = &layer->batch_norm;
    if (!(options->eps >= FLT_MIN && options->eps <= FLT_MAX)) return PYNN_INVALID_ARGUMENT;
    if (!(options->momentum > 0.0f && options->momentum <= 1.0f)) return PYNN_INVALID_ARGUMENT;
    size_t channels = in.channels;
    *place = (pynn_layer_place){
        .outputs = in,
        .block_scratch = channels * (sizeof(pynn_channel_part) / sizeof(float)),
        .view_count = 4,
        .views = {{.name = "weight", .dims = {channels}, .ndim = 1, .trained = 1},
                  {.name = "bias", .dims = {channels}, .ndim = 1, .trained = 1},
                  {.name = "running_mean", .dims = {channels}, .ndim = 1},
                  {.name = "running_var", .dims = {channels}, .ndim = 1}},
    };
    return PYNN_OK;
}

static void initialize(const pynn_placed_layer *layer, uint64_t seed, uint64_t stream, float *parameters) {
    size_t channels = layer->input_shape.channels;
    (void)seed;
    (void)stream;
    for (size_t c = 0; c < channels; c++) {
        parameters[c] = 1.0f;
        parameters[channels + c] = 0.0f;
        parameters[2 * channels + c] = 0.0f;
        parameters[3 * channels + c] = 1.0f;
    }
}

static pynn_channel_part *parts_of(const pynn_layer_call *call, size_t block) {
    return (pynn_channel_part *)(void *)(call->block_scratch + block * call->layer->block_scratch);
}

/* Floats in a vector, whatever the level. */
enum { LANES = 16 };
typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

static pynn_channel_values values_of(const pynn_layer_call *call, pynn_tile tile) {
    pynn_shape in = call->layer->input_shape;
    return (pynn_channel_values){tile.row_end - tile.row_begin, in.height * in.width, call->layer->inputs};
}

/* Whether the mean and the variance are those of the batch, or else the running ones. */
static bool is_of_batch(const pynn_layer_call *call) {
    return call->has_backward && !call->layer->layer.frozen;
}

static void observe(const pynn_layer_call *call, pynn_tile tile) {
    if (!is_of_batch(call)) return;
    pynn_observe_channels(call->layer->input_shape.channels, values_of(call, tile),
                          call->x + tile.row_begin * call->layer->inputs, parts_of(call, call->block));
}

static void sum(const pynn_layer_call *call, pynn_tile tile) {
    if (!is_of_batch(call)) return;
    size_t first = tile.row_begin * call->layer->inputs;
    pynn_sum_channels(call->layer->input_shape.channels, values_of(call, tile), call->x + first,
                      call->dy + first, parts_of(call, call->block));
}

/* ---------------------------------------------------------------- forward */

/* How many values a channel has in block number `block`. */
static double count_of(const pynn_layer_call *call, size_t block) {
    pynn_grid grid = pynn_cut_rows(call->rows);
    pynn_tile tile = pynn_grid_tile(&grid, block);
    pynn_channel_values v = values_of(call, tile);
    return (double)(v.rows * v.size);
}

/* Make the mean and the variance of the batch of those of its blocks, and keep them in the block at hand:
 * of two parts with counts n and k and means a and b, the mean is a + (b - a) k / (n + k), and the sum of
 * squares that of both parts + (b - a)^2 n k / (n + k) (Chan, Golub and LeVeque 1983). */
static void find_batch(const pynn_layer_call *call) {
    pynn_channel_part *own = parts_of(call, call->block);
    for (size_t c = 0; c < call->layer->input_shape.channels; c++) {
        double n = 0.0, mean = 0.0, squares = 0.0;
        for (size_t b = 0; b < call->blocks; b++) {
            const pynn_channel_part *part = &parts_of(call, b)[c];
            double k = count_of(call, b), apart = part->mean - mean;
            squares += part->squares + apart * apart * n * k / (n + k);
            mean += apart * k / (n + k);
            n += k;
        }
        double variance = squares / n; /* below 0 only where squares of floats are 0: eps is far more */
        own[c].batch_variance = variance;
        own[c].batch_mean = (float)mean;
        own[c].rest = (float)(mean - (double)own[c].batch_mean);
        own[c].factor = (float)(1.0 / sqrt(variance + (double)call->layer->layer.batch_norm.eps));
    }
}

/* How many channels are worked on at a time, and what is known of each of them. */
enum { GROUP = 32 };
typedef struct group {
    size_t count;
    float mean[GROUP], rest[GROUP], scale[GROUP];
    float bias[GROUP];                     /* forward */
    float slope[GROUP], mean_of_dy[GROUP]; /* backward */
} group;

/* The channels from number `first` on, with the mean and the factor of the batch, or in use the running
 * ones. */
static group group_of(const pynn_layer_call *call, size_t first) {
    size_t channels = call->layer->input_shape.channels;
    const float *gain = call->parameters, *running = gain + 2 * channels;
    float eps = call->layer->layer.batch_norm.eps;
    bool of_batch = is_of_batch(call);
    group g = {.count = pynn_least(channels - first, GROUP)};
    for (size_t i = 0; i < g.count; i++) {
        size_t c = first + i;
        const pynn_channel_part *part = &parts_of(call, call->block)[c];
        /* y = weight (x - running_mean) / sqrt(running_var + eps) + bias   @batch_norm.frozenY */
        g.mean[i] = of_batch ? part->batch_mean : running[c];
        g.rest[i] = of_batch ? part->rest : 0.0f;
        g.scale[i] = gain[c] * (of_batch ? part->factor : 1.0f / sqrtf(running[channels + c] + eps));
        g.bias[i] = gain[channels + c];
    }
    return g;
}

/* y = gain h + bias and h = (x - mean - rest) factor, as y = (x - mean - rest) scale + bias. */
PYNN_KERNEL(void, normalize, (pynn_channel_values v, const group *g, const float *x, float *restrict y),
            (v, g, x, y)) {
    for (size_t n = 0; n < v.rows; n++, x += v.stride, y += v.stride) {
        if (v.size == 1) {
            for (size_t c = 0; c < g->count; c++)
                y[c] = (x[c] - g->mean[c] - g->rest[c]) * g->scale[c] + g->bias[c];
            continue;
        }
        for (size_t c = 0; c < g->count; c++) {
            const float *from = x + c * v.size, mean = g->mean[c], rest = g->rest[c], scale = g->scale[c];
            float *restrict to = y + c * v.size;
            /* y = weight h + bias, h = (x - mean) / sqrt(variance + eps)   @batch_norm.Y */
            for (size_t i = 0; i < v.size; i++) to[i] = (from[i] - mean - rest) * scale + g->bias[c];
        }
    }
}

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    pynn_channel_values v = values_of(call, tile);
    if (is_of_batch(call)) find_batch(call);
    for (size_t c = 0; c < call->layer->input_shape.channels; c += GROUP) {
        group g = group_of(call, c);
        size_t first = tile.row_begin * call->layer->inputs + c * v.size;
        normalize(v, &g, call->x + first, call->y + first);
    }
}

/* ---------------------------------------------------------------- backward */

/* The sums of dy and of dy h over the whole batch, for a channel. */
static void find_sums(const pynn_layer_call *call, size_t c, double *of_dy, double *of_dyh) {
    *of_dy = *of_dyh = 0.0;
    for (size_t b = 0; b < call->blocks; b++) {
        *of_dy += parts_of(call, b)[c].of_dy;
        *of_dyh += parts_of(call, b)[c].of_dyh;
    }
}

/* h mean(dy h) is computed as (x - mean - rest) slope. dx may be dy. */
PYNN_KERNEL(void, go_back,
            (pynn_channel_values v, const group *g, const float *x, const float *dy, float *dx),
            (v, g, x, dy, dx)) {
    for (size_t n = 0; n < v.rows; n++, x += v.stride, dy += v.stride, dx += v.stride) {
        for (size_t c = 0; c < g->count; c++) {
            const float mean = g->mean[c], rest = g->rest[c], scale = g->scale[c];
            const float mean_of_dy = g->mean_of_dy[c], slope = g->slope[c];
            size_t i = c * v.size, end = i + v.size;
            for (; i + LANES <= end; i += LANES) {
                vector of_x = *(const vector *)(x + i), of_dy = *(const vector *)(dy + i);
                *(vector *)(dx + i) = scale * (of_dy - mean_of_dy - (of_x - mean - rest) * slope);
            }
            /* dx = weight (dy - mean(dy) - h mean(dy h)) / sqrt(variance + eps)   @batch_norm.dX */
            for (; i < end; i++) dx[i] = scale * (dy[i] - mean_of_dy - (x[i] - mean - rest) * slope);
        }
    }
}

static void backward(const pynn_layer_call *call, pynn_tile tile) {
    pynn_channel_values v = values_of(call, tile);
    const pynn_channel_part *parts = parts_of(call, call->block);
    double count = (double)call->rows * (double)v.size, of_dy, of_dyh;
    for (size_t c = 0; c < call->layer->input_shape.channels; c += GROUP) {
        group g = group_of(call, c);
        for (size_t i = 0; i < g.count; i++) {
            /* dX = weight dY / sqrt(running_var + eps)   @batch_norm.frozendX */
            g.mean_of_dy[i] = g.slope[i] = 0.0f;
            if (!is_of_batch(call)) continue;
            find_sums(call, c + i, &of_dy, &of_dyh);
            g.mean_of_dy[i] = (float)(of_dy / count);
            g.slope[i] = parts[c + i].factor * (float)(of_dyh / count);
        }
        size_t first = tile.row_begin * call->layer->inputs + c * v.size;
        go_back(v, &g, call->x + first, call->dy + first, call->dx + first);
    }
}

/* ---------------------------------------------------------------- the parameters */

/* In plain SGD the targets are the parameters themselves, and pynn_blend() does the step: so there are two
 * marks for each of them. The running means stay as they are. */
static void accumulate(const pynn_layer_call *call, size_t index, const pynn_target *target) {
    size_t channels = call->layer->input_shape.channels;
    float *gain = target->parameters, *bias = gain + channels, *running = bias + channels;
    (void)index;
    for (size_t c = 0; c < channels; c++) {
        double of_dy, of_dyh;
        find_sums(call, c, &of_dy, &of_dyh);
        /* dweight = sum of dy h over the channel   @batch_norm.dweight */
        /* weight = weight - r dweight   @batch_norm.fusedweight */
        gain[c] = pynn_blend(target, of_dyh, &gain[c]);
        /* dbias = sum of dy over the channel   @batch_norm.dbias */
        /* bias = bias - r dbias   @batch_norm.fusedbias */
        bias[c] = pynn_blend(target, of_dy, &bias[c]);
        running[c] = pynn_blend(target, 0.0, &running[c]);
        running[channels + c] = pynn_blend(target, 0.0, &running[channels + c]);
    }
}

static void follow(const pynn_layer_call *call, float *parameters) {
    size_t channels = call->layer->input_shape.channels;
    float *running = parameters + 2 * channels, momentum = call->layer->layer.batch_norm.momentum;
    double count = (double)call->rows * (double)(call->layer->inputs / channels);
    double unbiased = count > 1.0 ? count / (count - 1.0) : 1.0;
    const pynn_channel_part *parts = parts_of(call, 0);
    for (size_t c = 0; c < channels; c++) {
        /* running_mean = running_mean + momentum (mean - running_mean)   @batch_norm.running */
        running[c] += momentum * (parts[c].batch_mean - running[c]);
        float variance = (float)(parts[c].batch_variance * unbiased);
        running[channels + c] += momentum * (variance - running[channels + c]);
    }
}

const pynn_layer_type pynn_batch_norm = {
    .kind = PYNN_BATCH_NORM,
    .reach = PYNN_REACH_BATCH,
    .may_overwrite_dy = true,
    .place = place,
    .initialize = initialize,
    .observe = observe,
    .sum = sum,
    .follow = follow,
    .forward = forward,
    .backward = backward,
    .cut = pynn_cut_nothing,
    .accumulate = accumulate,
};
