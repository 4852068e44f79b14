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
 * A block of rows finds its own mean and its own sum of squared differences from it. Those of the batch are
 * made of these in the order of the blocks, in each task that needs them, so that they do not depend on how
 * many threads there are. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "layers/layer.h"

/* What a block of rows keeps of a channel. */
typedef struct channel_part {
    double mean;    /* of the block's values */
    double squares; /* the sum of (x - mean)^2 over the block */
    double of_dy;   /* the sum of dy over the block */
    double of_dyh;  /* the sum of dy h over the block */
    double batch_variance;
    float batch_mean; /* m, rounded; see row_scale in norm.c */
    float rest;       /* m - batch_mean */
    float factor;     /* 1 / sqrt(v + eps) */
    float unused;
} channel_part;

static pynn_status place(const pynn_layer *layer, pynn_shape in, pynn_layer_place *place) {
    const pynn_batch_norm_options *options = &layer->batch_norm;
    if (!(options->eps >= FLT_MIN && options->eps <= FLT_MAX)) return PYNN_INVALID_ARGUMENT;
    if (!(options->momentum > 0.0f && options->momentum <= 1.0f)) return PYNN_INVALID_ARGUMENT;
    size_t channels = in.channels;
    *place = (pynn_layer_place){
        .outputs = in,
        .block_scratch = channels * (sizeof(channel_part) / sizeof(float)),
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

static channel_part *parts_of(const pynn_layer_call *call, size_t block) {
    return (channel_part *)(void *)(call->block_scratch + block * call->layer->block_scratch);
}

/* ---------------------------------------------------------------- sums over a channel's values */

/* Floats in a vector, whatever the level. */
enum { LANES = 16 };
typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* Where the values of a channel lie: `rows` stretches of `size` values, each `stride` after the one
 * before. */
typedef struct values {
    size_t rows, size, stride;
} values;

/* The scale of the values of a vector: mean + rest is m, and factor is 1 / sqrt(v + eps). */
typedef struct scales {
    vector mean, rest, factor;
} scales;

/* What is summed over a channel's values, with e = x - mean: e; e, and e^2 as well; or dy, and dy h. It is
 * a constant wherever a function is inlined. */
typedef enum sum_kind { OF_X, OF_SQUARES, OF_DY } sum_kind;

/* Add what one vector of x, and of dy, gives to a vector of each of two sums. */
PYNN_INLINE void add_vector(sum_kind kind, const scales *s, const float *x, const float *dy, vector *first,
                            vector *second) {
    vector e = *(const vector *)x - s->mean;
    *first += kind == OF_DY ? *(const vector *)dy : e;
    if (kind == OF_SQUARES) *second += e * e;
    if (kind == OF_DY) *second += *(const vector *)dy * ((e - s->rest) * s->factor);
}

/* The same for one value, as doubles. */
PYNN_INLINE void add_value(sum_kind kind, const channel_part *p, float x, float dy, double *sums) {
    float e = x - p->batch_mean;
    sums[0] += (double)(kind == OF_DY ? dy : e);
    if (kind == OF_SQUARES) sums[1] += (double)(e * e);
    if (kind == OF_DY) sums[1] += (double)(dy * ((e - p->rest) * p->factor));
}

/* Add the sums of a channel's values to sums[0] and sums[1]. Four vectors of each are made side by side, so
 * that an addition need not wait for the one before it. They are floats, so they are added to doubles
 * before MOST values are added to a lane. */
PYNN_INLINE void sum_values(sum_kind kind, values v, const channel_part *p, const float *x, const float *dy,
                            double *sums) {
    enum { WIDE = 4, STEP = WIDE * LANES, MOST = 2048 };
    const vector zero = {0};
    const scales s = {zero + p->batch_mean, zero + p->rest, zero + p->factor};
    vector first[WIDE] = {{0}}, second[WIDE] = {{0}};
    size_t count = 0;
    for (size_t n = 0; n < v.rows; n++, x += v.stride, dy += v.stride) {
        for (size_t begin = 0; begin < v.size; begin += MOST / 2 * STEP) {
            size_t end = pynn_least(begin + MOST / 2 * STEP, v.size), i = begin;
            for (; i + STEP <= end; i += STEP) {
                PYNN_UNROLL
                for (size_t w = 0; w < WIDE; w++)
                    add_vector(kind, &s, x + i + w * LANES, dy + i + w * LANES, &first[w], &second[w]);
            }
            for (; i + LANES <= end; i += LANES) add_vector(kind, &s, x + i, dy + i, &first[0], &second[0]);
            for (; i < end; i++) add_value(kind, p, x[i], dy[i], sums);
            count += (end - begin) / STEP + WIDE;
            bool is_last = n + 1 == v.rows && end == v.size;
            if (!is_last && count + MOST / 2 + WIDE < MOST) continue;
            for (size_t w = 0; w < WIDE; w++) {
                for (size_t k = 0; k < LANES; k++) {
                    sums[0] += (double)first[w][k];
                    sums[1] += (double)second[w][k];
                }
                first[w] = second[w] = zero;
            }
            count = 0;
        }
    }
}

/* The same for LANES channels side by side that have one value in each row, as behind a dense layer. */
PYNN_INLINE void sum_side_by_side(sum_kind kind, values v, const channel_part *parts, const float *x,
                                  const float *dy, double (*sums)[2]) {
    enum { MOST = 1024 };
    float mean[LANES], rest[LANES], factor[LANES];
    vector first = {0}, second = {0};
    for (size_t k = 0; k < LANES; k++) {
        mean[k] = parts[k].batch_mean;
        rest[k] = parts[k].rest;
        factor[k] = parts[k].factor;
    }
    const scales s = {*(const vector *)mean, *(const vector *)rest, *(const vector *)factor};
    for (size_t n = 0; n < v.rows; n++, x += v.stride, dy += v.stride) {
        add_vector(kind, &s, x, dy, &first, &second);
        if (n % MOST != MOST - 1 && n + 1 < v.rows) continue;
        for (size_t k = 0; k < LANES; k++) {
            sums[k][0] += (double)first[k];
            sums[k][1] += (double)second[k];
        }
        first = second = (vector){0};
    }
}

/* The sums of the channels c .. c + `count` - 1, where count is 1, or LANES if each has one value. */
PYNN_INLINE void sum_some(sum_kind kind, size_t count, values v, const channel_part *parts, const float *x,
                          const float *dy, double (*sums)[2]) {
    memset(sums, 0, count * sizeof *sums);
    if (count == LANES)
        sum_side_by_side(kind, v, parts, x, dy, sums);
    else
        sum_values(kind, v, parts, x, dy, sums[0]);
}

/* How many of `channels` channels are summed next. */
PYNN_INLINE size_t next_channels(size_t channels, values v) {
    return v.size == 1 && channels >= LANES ? LANES : 1;
}

/* The mean and the squares of each channel. Where the values lie far from zero, such as 1e6 and a little,
 * floats cannot hold their sum, but they can hold the sum of their differences from the first value. That
 * gives a mean, rounded to a float; and the differences from it give the rest of the mean, and the squares:
 * these hardly cancel, because the rounded mean is near. */
PYNN_KERNEL(void, observe_channels, (size_t channels, values v, const float *x, channel_part *parts),
            (channels, v, x, parts)) {
    double count = (double)(v.rows * v.size), sums[LANES][2];
    for (size_t some; channels > 0; channels -= some, parts += some, x += some * v.size) {
        some = next_channels(channels, v);
        for (size_t c = 0; c < some; c++) parts[c] = (channel_part){.batch_mean = x[c * v.size]};
        /* mean = mean of x over the channel   @batch_norm.mean */
        sum_some(OF_X, some, v, parts, x, x, sums);
        for (size_t c = 0; c < some; c++)
            parts[c].batch_mean = (float)((double)parts[c].batch_mean + sums[c][0] / count);
        sum_some(OF_SQUARES, some, v, parts, x, x, sums);
        for (size_t c = 0; c < some; c++) {
            double off = sums[c][0] / count;
            parts[c].mean = (double)parts[c].batch_mean + off;
            parts[c].squares = sums[c][1] - count * off * off;
        }
    }
}

PYNN_KERNEL(void, sum_channels,
            (size_t channels, values v, const float *x, const float *dy, channel_part *parts),
            (channels, v, x, dy, parts)) {
    double sums[LANES][2];
    for (size_t some; channels > 0; channels -= some, parts += some) {
        some = next_channels(channels, v);
        sum_some(OF_DY, some, v, parts, x, dy, sums);
        for (size_t c = 0; c < some; c++) {
            parts[c].of_dy = sums[c][0];
            parts[c].of_dyh = sums[c][1];
        }
        x += some * v.size;
        dy += some * v.size;
    }
}

static values values_of(const pynn_layer_call *call, pynn_tile tile) {
    pynn_shape in = call->layer->input_shape;
    return (values){tile.row_end - tile.row_begin, in.height * in.width, call->layer->inputs};
}

static void observe(const pynn_layer_call *call, pynn_tile tile, size_t block) {
    observe_channels(call->layer->input_shape.channels, values_of(call, tile),
                     call->x + tile.row_begin * call->layer->inputs, parts_of(call, block));
}

static void sum(const pynn_layer_call *call, pynn_tile tile, size_t block) {
    size_t first = tile.row_begin * call->layer->inputs;
    sum_channels(call->layer->input_shape.channels, values_of(call, tile), call->x + first,
                 call->dy + first, parts_of(call, block));
}

/* ---------------------------------------------------------------- forward */

/* How many values a channel has in block number `block`. */
static double count_of(const pynn_layer_call *call, size_t block) {
    pynn_grid grid = pynn_cut_rows(call->rows);
    pynn_tile tile = pynn_grid_tile(&grid, block);
    values v = values_of(call, tile);
    return (double)(v.rows * v.size);
}

/* Make the mean and the variance of the batch of those of its blocks, and keep them in the block at hand:
 * of two parts with counts n and k and means a and b, the mean is a + (b - a) k / (n + k), and the sum of
 * squares that of both parts + (b - a)^2 n k / (n + k) (Chan, Golub and LeVeque 1983). */
static void find_batch(const pynn_layer_call *call) {
    channel_part *own = parts_of(call, call->block);
    for (size_t c = 0; c < call->layer->input_shape.channels; c++) {
        double n = 0.0, mean = 0.0, squares = 0.0;
        for (size_t b = 0; b < call->blocks; b++) {
            const channel_part *part = &parts_of(call, b)[c];
            double k = count_of(call, b), apart = part->mean - mean;
            squares += part->squares + apart * apart * n * k / (n + k);
            mean += apart * k / (n + k);
            n += k;
        }
        double variance = squares / n < 0.0 ? 0.0 : squares / n;
        own[c].batch_variance = variance;
        own[c].batch_mean = (float)mean;
        own[c].rest = (float)(mean - (double)own[c].batch_mean);
        own[c].factor = (float)(1.0 / sqrt(variance + (double)call->layer->layer.batch_norm.eps));
    }
}

/* The mean and the factor of a channel: of the batch, or in use the running ones. */
PYNN_INLINE channel_part scale_of(const channel_part *parts, size_t channels, const float *running,
                                  float eps, size_t c) {
    if (parts != NULL) return parts[c];
    float variance = running[channels + c];
    return (channel_part){.batch_mean = running[c], .factor = 1.0f / sqrtf(variance + eps)};
}

/* y = gain h + bias and h = (x - mean - rest) factor, as y = (x - mean - rest) scale + bias. */
PYNN_KERNEL(void, normalize,
            (size_t channels, values v, const channel_part *parts, float eps, const float *parameters,
             const float *x, float *restrict y),
            (channels, v, parts, eps, parameters, x, y)) {
    for (size_t c = 0; c < channels; c++) {
        channel_part at = scale_of(parts, channels, parameters + 2 * channels, eps, c);
        const float scale = parameters[c] * at.factor, bias = parameters[channels + c];
        for (size_t n = 0; n < v.rows; n++) {
            const float *from = x + n * v.stride + c * v.size;
            float *restrict to = y + n * v.stride + c * v.size;
            /* y = weight h + bias, h = (x - mean) / sqrt(variance + eps)   @batch_norm.Y */
            for (size_t i = 0; i < v.size; i++) to[i] = (from[i] - at.batch_mean - at.rest) * scale + bias;
        }
    }
}

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    size_t first = tile.row_begin * call->layer->inputs;
    if (call->has_backward) find_batch(call);
    normalize(call->layer->input_shape.channels, values_of(call, tile),
              call->has_backward ? parts_of(call, call->block) : NULL, call->layer->layer.batch_norm.eps,
              call->parameters, call->x + first, call->y + first);
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

/* h mean(dy h) is computed as (x - mean - rest) slope. */
PYNN_KERNEL(void, go_back,
            (values v, channel_part at, float gain, float mean_of_dy, float mean_of_dyh, const float *x,
             const float *dy, float *restrict dx),
            (v, at, gain, mean_of_dy, mean_of_dyh, x, dy, dx)) {
    const float mean = at.batch_mean, rest = at.rest, slope = at.factor * mean_of_dyh;
    const float scale = gain * at.factor;
    for (size_t n = 0; n < v.rows; n++, x += v.stride, dy += v.stride, dx += v.stride) {
        /* dx = weight (dy - mean(dy) - h mean(dy h)) / sqrt(variance + eps)   @batch_norm.dX */
        for (size_t i = 0; i < v.size; i++)
            dx[i] = scale * (dy[i] - mean_of_dy - (x[i] - mean - rest) * slope);
    }
}

static void backward(const pynn_layer_call *call, pynn_tile tile) {
    values v = values_of(call, tile);
    const channel_part *parts = parts_of(call, call->block);
    double count = (double)call->rows * (double)v.size, of_dy, of_dyh;
    for (size_t c = 0; c < call->layer->input_shape.channels; c++) {
        size_t first = tile.row_begin * call->layer->inputs + c * v.size;
        find_sums(call, c, &of_dy, &of_dyh);
        go_back(v, parts[c], call->parameters[c], (float)(of_dy / count), (float)(of_dyh / count),
                call->x + first, call->dy + first, call->dx + first);
    }
}

/* ---------------------------------------------------------------- the parameters */

static pynn_grid cut(const pynn_layer_call *call) {
    (void)call;
    return (pynn_grid){1, 1, 1, 1};
}

static float blend(const pynn_target *target, double gradient, float old) {
    return target->alpha * (float)gradient + (target->beta == 0.0f ? 0.0f : target->beta * old);
}

static void accumulate(const pynn_layer_call *call, size_t index, const pynn_target *target) {
    size_t channels = call->layer->input_shape.channels;
    float *gain = target->parameters, *bias = gain + channels, *running = bias + channels;
    (void)index;
    for (size_t c = 0; c < channels; c++) {
        double of_dy, of_dyh;
        find_sums(call, c, &of_dy, &of_dyh);
        /* dweight = sum of dy h over the channel   @batch_norm.dweight */
        gain[c] = blend(target, of_dyh, gain[c]);
        /* dbias = sum of dy over the channel   @batch_norm.dbias */
        bias[c] = blend(target, of_dy, bias[c]);
        running[c] = blend(target, 0.0, running[c]);
        running[channels + c] = blend(target, 0.0, running[channels + c]);
    }
}

static void follow(const pynn_layer_call *call, float *parameters) {
    size_t channels = call->layer->input_shape.channels;
    float *running = parameters + 2 * channels, momentum = call->layer->layer.batch_norm.momentum;
    double count = (double)call->rows * (double)(call->layer->inputs / channels);
    double unbiased = count > 1.0 ? count / (count - 1.0) : 1.0;
    const channel_part *parts = parts_of(call, 0);
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
    .place = place,
    .initialize = initialize,
    .observe = observe,
    .sum = sum,
    .follow = follow,
    .forward = forward,
    .backward = backward,
    .cut = cut,
    .accumulate = accumulate,
};
