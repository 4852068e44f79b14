/* windows.c: what the layers that look at windows of images multiply and add up for one value.
 *
 * With stride s, padding p and windows of KH x KW places, output (v, u) sees at place (i, j) of its window
 * the input in row s v + i - p and column s u + j - p, unless that is outside of the image. */
#include "page.h"

#include <stdlib.h>

/* The windows of a layer. */
typedef struct windows {
    pynn_shape in, out;
    size_t size[2], stride, before[2];
    size_t channels, filters; /* of a group; for a pool 1 */
} windows;

static windows windows_of(size_t layer) {
    const pynn_layer *it = &model.layers[layer];
    const pynn_conv2d_options *o = &it->conv2d;
    const pynn_pool2d_options *pool = &it->max_pool2d;
    const pynn_shape in = shape_before(layer), out = model.shapes[layer];
    if (it->kind == PYNN_CONV2D)
        return (windows){in,
                         out,
                         {o->size[0], o->size[1]},
                         o->stride,
                         {o->before[0], o->before[1]},
                         in.channels / o->groups,
                         out.channels / o->groups};
    if (it->kind == PYNN_GLOBAL_AVG_POOL) return (windows){in, out, {in.height, in.width}, 1, {0, 0}, 1, 1};
    return (windows){in, out, {pool->size[0], pool->size[1]}, pool->stride, {pool->padding, pool->padding},
                     1,  1};
}

int has_windows(size_t layer) {
    const pynn_layer_kind kind = model.layers[layer].kind;
    return kind == PYNN_CONV2D || kind == PYNN_MAX_POOL2D || kind == PYNN_AVG_POOL2D ||
           kind == PYNN_GLOBAL_AVG_POOL;
}

size_t window_size(size_t layer) {
    const windows w = windows_of(layer);
    return w.size[0] * w.size[1];
}

/* Which input of a channel output (v, u) sees at a place of its window; -1 for padding. */
static int32_t seen(const windows *w, size_t v, size_t u, size_t place) {
    const size_t row = v * w->stride + place / w->size[1], column = u * w->stride + place % w->size[1];
    if (row < w->before[0] || row - w->before[0] >= w->in.height) return -1;
    if (column < w->before[1] || column - w->before[1] >= w->in.width) return -1;
    return (int32_t)((row - w->before[0]) * w->in.width + column - w->before[1]);
}

/* ---------------------------------------------------------------- the list */

static products list;

/* Begin a list with room for `most` products. */
static int begin(size_t most) {
    free(list.a), free(list.b);
    list = (products){malloc(most * sizeof(float)), malloc(most * sizeof(float)), 0};
    return list.a != NULL && list.b != NULL;
}

static void add(float a, float b) {
    list.a[list.count] = a;
    list.b[list.count++] = b;
}

/* ---------------------------------------------------------------- what is in it */

products list_output(size_t layer, size_t output, const float *x, const float *weights) {
    const windows w = windows_of(layer);
    const size_t taps = w.size[0] * w.size[1], places = w.out.height * w.out.width;
    const size_t f = output / places, v = output % places / w.out.width, u = output % w.out.width;
    if (!begin(w.channels * taps)) return (products){0};
    for (size_t c = 0; c < w.channels; c++) {
        const float *channel = x + (f / w.filters * w.channels + c) * w.in.height * w.in.width;
        for (size_t k = 0; k < taps; k++) {
            const int32_t at = seen(&w, v, u, k);
            if (at >= 0)
                add(weights != NULL ? weights[(f * w.channels + c) * taps + k] : 1.0f, channel[at]);
        }
    }
    return list;
}

/* Whether an input is the first of the largest values that output (v, u) sees of a channel. */
static int is_largest(const windows *w, size_t v, size_t u, const float *channel, int32_t input) {
    int32_t best = -1;
    for (size_t k = 0; k < w->size[0] * w->size[1]; k++) {
        const int32_t at = seen(w, v, u, k);
        if (at >= 0 && (best < 0 || channel[at] > channel[best])) best = at;
    }
    return best == input;
}

products list_input_gradient(size_t layer, size_t input, const float *x, const float *dy,
                             const float *weights) {
    const windows w = windows_of(layer);
    const size_t taps = w.size[0] * w.size[1], places = w.out.height * w.out.width;
    const size_t size = w.in.height * w.in.width, channel = input / size;
    const int32_t place = (int32_t)(input % size);
    const size_t first = channel / w.channels * w.filters, c = channel % w.channels;
    if (!begin(w.filters * taps)) return (products){0};
    for (size_t f = first; f < first + w.filters; f++) {
        for (size_t at = 0; at < places; at++) {
            const size_t v = at / w.out.width, u = at % w.out.width;
            for (size_t k = 0; k < taps; k++) {
                if (seen(&w, v, u, k) != place) continue;
                float factor = weights != NULL ? weights[(f * w.channels + c) * taps + k] : 1.0f;
                if (model.layers[layer].kind == PYNN_MAX_POOL2D)
                    factor = is_largest(&w, v, u, x + channel * size, place) ? 1.0f : 0.0f;
                add(dy[f * places + at], factor);
            }
        }
    }
    return list;
}

products list_weight_gradient(size_t layer, size_t index, const float *x, const float *dy, size_t rows) {
    const windows w = windows_of(layer);
    const size_t taps = w.size[0] * w.size[1], places = w.out.height * w.out.width;
    const size_t size = w.in.height * w.in.width;
    const size_t f = x != NULL ? index / taps / w.channels : index;
    const size_t channel = f / w.filters * w.channels + index / taps % w.channels;
    if (!begin(rows * places)) return (products){0};
    for (size_t n = 0; n < rows; n++) {
        for (size_t at = 0; at < places; at++) {
            const float gradient = dy[(n * w.out.channels + f) * places + at];
            const int32_t place = seen(&w, at / w.out.width, at % w.out.width, index % taps);
            if (x == NULL) add(gradient, 1.0f);
            if (x != NULL && place >= 0)
                add(gradient, x[(n * w.in.channels + channel) * size + (size_t)place]);
        }
    }
    return list;
}

products list_channel(pynn_shape shape, size_t channel, const float *x, const float *dy, size_t rows) {
    const size_t places = shape.height * shape.width;
    if (!begin(rows * places)) return (products){0};
    for (size_t i = 0; i < rows * places; i++) {
        const size_t at = (i / places * shape.channels + channel) * places + i % places;
        add(dy[at], x[at]);
    }
    return list;
}
