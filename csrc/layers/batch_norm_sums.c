/* batch_norm_sums.c: sums over the values of a channel, for batch_norm.c. */
#include <string.h>

#include "base/vector.h"
#include "layers/batch_norm.h"

/* Floats in a vector, whatever the level. */
enum { LANES = 16 };
typedef float vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* How many channels are summed at a time, at most. */
enum { GROUP = 32 };

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
PYNN_INLINE void add_value(sum_kind kind, const pynn_channel_part *p, float x, float dy, double *sums) {
    float e = x - p->batch_mean;
    sums[0] += (double)(kind == OF_DY ? dy : e);
    if (kind == OF_SQUARES) sums[1] += (double)(e * e);
    if (kind == OF_DY) sums[1] += (double)(dy * ((e - p->rest) * p->factor));
}

/* The sums of a channel that are being made. They are floats, so they are added to doubles before MOST
 * values are added to a lane. Four vectors of each are made side by side, so that an addition need not wait
 * for the one before it. */
enum { WIDE = 4, STEP = WIDE * LANES, MOST = 2048 };
typedef struct running_sums {
    vector first[WIDE], second[WIDE];
} running_sums;

/* Add `size` values that lie side by side. */
PYNN_INLINE void add_stretch(sum_kind kind, size_t size, const pynn_channel_part *p, const float *x,
                             const float *dy, running_sums *to, double *sums) {
    const vector zero = {0};
    const scales s = {zero + p->batch_mean, zero + p->rest, zero + p->factor};
    size_t i = 0;
    if (size >= STEP) {
        running_sums at = *to;
        for (; i + STEP <= size; i += STEP) {
            PYNN_UNROLL
            for (size_t w = 0; w < WIDE; w++)
                add_vector(kind, &s, x + i + w * LANES, dy + i + w * LANES, &at.first[w], &at.second[w]);
        }
        *to = at;
    }
    for (; i + LANES <= size; i += LANES)
        add_vector(kind, &s, x + i, dy + i, &to->first[0], &to->second[0]);
    for (; i < size; i++) add_value(kind, p, x[i], dy[i], sums);
}

PYNN_INLINE void add_to_doubles(running_sums *from, double *sums) {
    for (size_t w = 0; w < WIDE; w++) {
        for (size_t k = 0; k < LANES; k++) {
            sums[0] += (double)from->first[w][k];
            sums[1] += (double)from->second[w][k];
        }
    }
    *from = (running_sums){{{0}}, {{0}}};
}

/* Add the sums of each channel's values to its sums[0] and sums[1]. The channels of a row come one after
 * the other, as they lie in memory: to go through the rows once for each channel takes up to three times as
 * long. */
PYNN_INLINE void sum_values(sum_kind kind, size_t channels, pynn_channel_values v,
                            const pynn_channel_part *parts, const float *x, const float *dy,
                            double (*sums)[2]) {
    running_sums at[GROUP];
    memset(at, 0, channels * sizeof *at);
    size_t count = 0;
    for (size_t n = 0; n < v.rows; n++, x += v.stride, dy += v.stride) {
        for (size_t begin = 0; begin < v.size; begin += MOST / 2 * STEP) {
            size_t size = pynn_least(MOST / 2 * STEP, v.size - begin);
            for (size_t c = 0; c < channels; c++)
                add_stretch(kind, size, &parts[c], x + c * v.size + begin, dy + c * v.size + begin, &at[c],
                            sums[c]);
            count += size / STEP + WIDE;
            bool is_last = n + 1 == v.rows && begin + size == v.size;
            if (!is_last && count + MOST / 2 + WIDE < MOST) continue;
            for (size_t c = 0; c < channels; c++) add_to_doubles(&at[c], sums[c]);
            count = 0;
        }
    }
}

/* The same for LANES channels side by side that have one value in each row, as behind a dense layer: in a
 * block of rows they are few. */
PYNN_INLINE void sum_side_by_side(sum_kind kind, pynn_channel_values v, const pynn_channel_part *parts,
                                  const float *x, const float *dy, double (*sums)[2]) {
    float mean[LANES], rest[LANES], factor[LANES];
    vector first = {0}, second = {0};
    for (size_t k = 0; k < LANES; k++) {
        mean[k] = parts[k].batch_mean;
        rest[k] = parts[k].rest;
        factor[k] = parts[k].factor;
    }
    const scales s = {*(const vector *)mean, *(const vector *)rest, *(const vector *)factor};
    for (size_t n = 0; n < v.rows; n++, x += v.stride, dy += v.stride)
        add_vector(kind, &s, x, dy, &first, &second);
    for (size_t k = 0; k < LANES; k++) {
        sums[k][0] += (double)first[k];
        sums[k][1] += (double)second[k];
    }
}

/* The sums of `count` channels, at most GROUP; as many as there are lanes, if each has one value. */
PYNN_INLINE void sum_some(sum_kind kind, size_t count, pynn_channel_values v,
                          const pynn_channel_part *parts, const float *x, const float *dy,
                          double (*sums)[2]) {
    memset(sums, 0, count * sizeof *sums);
    if (v.size == 1 && count == LANES)
        sum_side_by_side(kind, v, parts, x, dy, sums);
    else
        sum_values(kind, count, v, parts, x, dy, sums);
}

/* How many of `channels` channels are summed next. */
PYNN_INLINE size_t next_channels(size_t channels, pynn_channel_values v) {
    return pynn_least(channels, v.size == 1 ? LANES : GROUP);
}

/* The mean and the squares of each channel. Where the values lie far from zero, such as 1e6 and a little,
 * floats cannot hold their sum, but they can hold the sum of their differences from the first value. That
 * gives a mean, rounded to a float; and the differences from it give the rest of the mean, and the squares:
 * these hardly cancel, because the rounded mean is near. */
PYNN_KERNEL(void, observe_channels,
            (size_t channels, pynn_channel_values v, const float *x, pynn_channel_part *parts),
            (channels, v, x, parts)) {
    double count = (double)(v.rows * v.size), sums[GROUP][2];
    for (size_t some; channels > 0; channels -= some, parts += some, x += some * v.size) {
        some = next_channels(channels, v);
        for (size_t c = 0; c < some; c++) parts[c] = (pynn_channel_part){.batch_mean = x[c * v.size]};
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
            (size_t channels, pynn_channel_values v, const float *x, const float *dy,
             pynn_channel_part *parts),
            (channels, v, x, dy, parts)) {
    double sums[GROUP][2];
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

void pynn_observe_channels(size_t channels, pynn_channel_values v, const float *x,
                           pynn_channel_part *parts) {
    observe_channels(channels, v, x, parts);
}

void pynn_sum_channels(size_t channels, pynn_channel_values v, const float *x, const float *dy,
                       pynn_channel_part *parts) {
    sum_channels(channels, v, x, dy, parts);
}
