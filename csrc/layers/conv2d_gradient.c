/* conv2d_gradient.c: the gradients of a convolution: dX, dW and db. conv2d.c has the equations. */
#include <string.h>

#include "base/vector.h"
#include "layers/conv2d.h"

/* ---------------------------------------------------------------- dX */

/* W with its axes in the order in which dX needs them, and the offsets that go with it. Where is_turned,
 * (groups, C, F, taps) with the taps turned around, and the offsets of (F, taps) in the planes of dY; else
 * (groups, C, taps, F), and the offsets of the rows of dY. */
static void turn(const pynn_conv_block *b) {
    const pynn_conv_sizes *g = &b->g;
    float *to = b->scratch + b->at.turned;
    size_t inner = g->is_turned ? g->taps : 1, outer = g->is_turned ? 1 : g->taps;
    for (size_t group = 0; group < g->groups; group++) {
        for (size_t c = 0; c < g->channels; c++) {
            const float *from = b->weights + group * g->filters * g->depth + c * g->taps;
            for (size_t o = 0; o < outer; o++) {
                for (size_t f = 0; f < g->filters; f++) {
                    for (size_t i = 0; i < inner; i++)
                        *to++ = from[f * g->depth + (g->is_turned ? g->taps - 1 - i : o)];
                }
            }
        }
    }
    for (size_t f = 0; f < g->filters; f++) {
        for (size_t t = 0; t < inner; t++) {
            size_t width = g->planes.size[1];
            size_t at = g->is_turned ? f * g->back.channel + pynn_tap_offset(&g->back, t / width, t % width)
                                     : f * g->dy_row;
            b->back_offsets[f * inner + t] = (int32_t)at;
        }
    }
}

/* dX of an image as a convolution of dY. */
static void find_turned(const pynn_conv_block *b, const float *dy, float *dx, pynn_late *late,
                        bool is_last) {
    const pynn_conv_sizes *g = &b->g;
    float *planes = b->scratch + b->at.work;
    pynn_fill_planes(&g->back, g->groups * g->filters, dy, planes);
    for (size_t group = 0; group < g->groups; group++) {
        size_t weights = g->filters * g->depth;
        pynn_shifted_product product = {.rows = g->channels,
                                        .columns = g->size,
                                        .depth = g->filters * g->taps,
                                        .a = b->scratch + b->at.turned + group * weights,
                                        .offsets = b->back_offsets,
                                        .b = planes + group * g->filters * g->back.channel,
                                        .c = dx + group * g->channels * g->size};
        pynn_conv_multiply(&product, late);
        if (is_last) pynn_conv_finish(&product, late);
    }
}

typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* to[x * stride] += the sum over t < taps of from[t * next + x], for x < width. `stride` is a constant
 * wherever this is inlined. */
PYNN_INLINE void add_taps(size_t width, size_t stride, size_t taps, const float *from, ptrdiff_t next,
                          float *to) {
    size_t x = 0;
    for (; stride == 1 && x + 8 <= width; x += 8) {
        eight total = *(const eight *)(to + x);
        for (size_t t = 0; t < taps; t++) total += *(const eight *)(from + (ptrdiff_t)t * next + x);
        *(eight *)(to + x) = total;
    }
    for (; stride == 1 && x + 4 <= width; x += 4) {
        four total = *(const four *)(to + x);
        for (size_t t = 0; t < taps; t++) total += *(const four *)(from + (ptrdiff_t)t * next + x);
        *(four *)(to + x) = total;
    }
    for (; x < width; x++) {
        float total = to[x * stride];
        for (size_t t = 0; t < taps; t++) total += from[(ptrdiff_t)t * next + (ptrdiff_t)x];
        to[x * stride] = total;
    }
}

/* For a row v of dX of a channel and a column j of the filter: the rows i of the filter, from i on, every
 * s-th, that reach v from an output row y; the first from row y, each next one from the row above. */
typedef struct reaching {
    size_t i, y, count;
} reaching;

PYNN_INLINE reaching taps_reaching(const pynn_planes *p, size_t v) {
    size_t row = (size_t)((ptrdiff_t)v + p->top), i = row % p->stride, y = row / p->stride;
    if (y >= p->outputs[0]) {
        i += (y - p->outputs[0] + 1) * p->stride;
        y = p->outputs[0] - 1;
    }
    if (i >= p->size[0]) return (reaching){0, 0, 0};
    return (reaching){i, y, pynn_least((p->size[0] - 1 - i) / p->stride, y) + 1};
}

/* dx[c,s y + i - top,s x + j - left] += sums[c,i,j,y,x] for the places inside of the image.
 *
 * The taps of one column j of the filter are added up in registers, and then to dX. The next column changes
 * the same floats of dX, but moved: a processor waits long if it reads such floats soon after they are
 * written, so all rows of dX lie between. */
PYNN_KERNEL(void, add_sums,
            (const pynn_planes *p, size_t channels, size_t dy_row, const float *sums, float *dx),
            (p, channels, dy_row, sums, dx)) {
    size_t size = p->height * p->width, stride = p->stride, columns = p->size[1];
    ptrdiff_t next = (ptrdiff_t)(stride * columns * dy_row) - (ptrdiff_t)p->outputs[1];
    for (size_t c = 0; c < channels; c++, dx += size, sums += p->size[0] * columns * dy_row) {
        for (size_t j = 0; j < columns; j++) {
            size_t begin, end;
            pynn_inside_columns(p, j, &begin, &end);
            for (size_t v = 0; v < p->height && begin < end; v++) {
                reaching r = taps_reaching(p, v);
                const float *from = sums + (r.i * columns + j) * dy_row + r.y * p->outputs[1] + begin;
                float *to = dx + v * p->width + (begin * stride + j - (size_t)p->left);
                if (stride == 1 && end - begin == 8)
                    add_taps(8, 1, r.count, from, next, to);
                else if (stride == 1)
                    add_taps(end - begin, 1, r.count, from, next, to);
                else
                    add_taps(end - begin, stride, r.count, from, next, to);
            }
        }
    }
}

/* dX of an image from the sums for each tap; rows of dy start dy_row floats apart. */
static void find_added(const pynn_conv_block *b, const float *dy, float *dx) {
    const pynn_conv_sizes *g = &b->g;
    float *sums = b->scratch + b->at.work;
    memset(dx, 0, g->groups * g->channels * g->size * sizeof(float));
    for (size_t group = 0; group < g->groups; group++) {
        for (size_t c = 0; c < g->channels; c += g->chunk) {
            size_t channels = pynn_least(g->chunk, g->channels - c), first = group * g->channels + c;
            pynn_shifted_product product = {.rows = channels * g->taps,
                                            .columns = g->dy_row,
                                            .depth = g->filters,
                                            .a = b->scratch + b->at.turned + first * g->taps * g->filters,
                                            .offsets = b->back_offsets,
                                            .b = dy + group * g->filters * g->dy_row,
                                            .c = sums,
                                            .ldc = g->dy_row};
            /* sums[c,i,j,y,x] = sum over f of W[f,c,i,j] dY[f,y,x] */
            pynn_multiply_shifted(&product);
            add_sums(&g->planes, channels, g->dy_row, sums, dx + first * g->size);
        }
    }
}

/* ---------------------------------------------------------------- dW and db */

typedef float step __attribute__((vector_size(PYNN_STEP * sizeof(float)), aligned(4), may_alias));

/* sums[f] += the sum of dY over the images and places; dy (rows, filters, size). Floats are added in four
 * vectors side by side, so that an addition need not wait for the one before it; at most 2^12 to a lane,
 * before they are added to the sum, which is a double. */
PYNN_KERNEL(void, add_bias_sums, (size_t rows, size_t filters, size_t size, const float *dy, float *sums),
            (rows, filters, size, dy, sums)) {
    enum { WIDE = 4, MOST = 4096 * PYNN_STEP };
    for (size_t f = 0; f < filters; f++) {
        double sum = 0.0;
        step at[WIDE] = {{0}};
        for (size_t n = 0; n < rows; n++) {
            const float *row = dy + (n * filters + f) * size;
            for (size_t begin = 0; begin < size; begin += MOST) {
                size_t end = pynn_least(begin + MOST, size), i = begin;
                for (; i + WIDE * PYNN_STEP <= end; i += WIDE * PYNN_STEP) {
                    PYNN_UNROLL
                    for (size_t w = 0; w < WIDE; w++) at[w] += *(const step *)(row + i + w * PYNN_STEP);
                }
                for (; i + PYNN_STEP <= end; i += PYNN_STEP) at[0] += *(const step *)(row + i);
                for (; i < end; i++) sum += (double)row[i];
                if (n + 1 < rows) continue; /* several rows are no more than MOST floats */
                for (size_t w = 0; w < WIDE; w++) {
                    for (size_t k = 0; k < PYNN_STEP; k++) sum += (double)at[w][k];
                    at[w] = (step){0};
                }
            }
        }
        sums[f] += (float)sum;
    }
}

/* Copy rows of `width` floats to rows of whole steps, with zeros behind. */
PYNN_KERNEL(void, pad_rows, (size_t rows, size_t width, const float *from, float *to),
            (rows, width, from, to)) {
    size_t padded = pynn_round_up(width);
    for (size_t n = 0; n < rows; n++, from += width, to += padded) {
        size_t x = 0;
        *(step *)(to + padded - PYNN_STEP) = (step){0};
        for (; x + PYNN_STEP <= width; x += PYNN_STEP) *(step *)(to + x) = *(const step *)(from + x);
        for (; x < width; x++) to[x] = from[x];
    }
}

/* dY of `images` images with zeros behind each filter's part, where they are needed. */
static const float *padded_dy(const pynn_conv_block *b, size_t images, const float *dy) {
    const pynn_conv_sizes *g = &b->g;
    if (g->dy_row == g->places) return dy;
    pad_rows(images * g->groups * g->filters, g->places, dy, b->scratch + b->at.dy);
    return b->scratch + b->at.dy;
}

/* Collect what the last places of `images` images read, and their dY, so that they are summed like one
 * image more. Returns the floats of a row of both; behind the last image's they are zeros. */
static size_t collect_late(const pynn_conv_block *b, size_t images, const float *x, const float *dy,
                           float *late_x, float *late_dy) {
    const pynn_conv_sizes *g = &b->g;
    size_t whole = g->places - g->late, row = pynn_round_up(images * g->late);
    if (row > images * g->late) {
        memset(late_x, 0, g->depth * row * sizeof(float));
        memset(late_dy, 0, g->filters * row * sizeof(float));
    }
    for (size_t n = 0; n < images && g->late > 0; n++, x += b->at.x_image, dy += b->at.dy_image) {
        pynn_collect(g->depth, b->offsets, g->late, x + whole, row, late_x + n * g->late);
        for (size_t f = 0; f < g->filters; f++) {
            for (size_t i = 0; i < g->late; i++)
                late_dy[f * row + n * g->late + i] = dy[f * g->places + whole + i];
        }
    }
    return row;
}

/* The part of dW of `images` images. What is read behind the last place of a plane is multiplied by the
 * zeros behind dY. A long sum is made in parts. */
static void add_dw(const pynn_conv_block *b, size_t images, const float *x, const float *dy) {
    enum { MOST = 1024 * PYNN_STEP };
    const pynn_conv_sizes *g = &b->g;
    size_t x_group = g->channels * (g->is_plain ? g->size : g->planes.channel);
    size_t length = g->late > 0 ? g->places - g->late : g->dy_row;
    float *late_x = b->scratch + b->at.late, *late_dy = late_x + g->depth * pynn_round_up(images * g->late);
    size_t late_row = collect_late(b, images, x, dy, late_x, late_dy);
    for (size_t group = 0; group < g->groups; group++) {
        for (size_t begin = 0; begin < length; begin += MOST) {
            pynn_shifted_sums sums = {.images = images,
                                      .rows = g->filters,
                                      .columns = g->depth,
                                      .length = pynn_least(MOST, length - begin),
                                      .dy = dy + group * g->filters * g->dy_row + begin,
                                      .dy_image = b->at.dy_image,
                                      .dy_row = g->dy_row,
                                      .x = x + group * x_group + begin,
                                      .x_image = b->at.x_image,
                                      .offsets = b->offsets,
                                      .late_row = begin == 0 ? late_row : 0,
                                      .late_dy = late_dy,
                                      .late_x = late_x,
                                      .c = b->scratch + b->at.sums + group * g->filters * g->depth};
            /* dW[f,c,i,j] = sum over n, y, x of dY[n,f,y,x] X[n,c,s y + i,s x + j]   @conv2d.dW */
            pynn_add_shifted_products(&sums);
        }
    }
}

/* Add the parts of dW and db of `images` images to those of the block; `padded` is dY with zeros between
 * its rows. */
static void add_gradients(const pynn_conv_block *b, size_t images, const float *x, const float *dy,
                          const float *padded) {
    const pynn_conv_sizes *g = &b->g;
    size_t filters = g->groups * g->filters, channels = g->groups * g->channels;
    if (!g->is_plain) {
        float *planes = b->scratch + b->at.x;
        for (size_t i = 0; i < images; i++)
            pynn_fill_planes(&g->planes, channels, x + i * channels * g->size, planes + i * b->at.x_image);
        x = planes;
    }
    add_dw(b, images, x, padded);
    /* db[f] = sum over n, y, x of dY[n,f,y,x]   @conv2d.db */
    add_bias_sums(images, filters, g->places, dy, b->scratch + b->at.sums + filters * g->depth);
}

/* A block's part of dW and db, unless they are frozen, and its dX. */
void pynn_conv_sum(const pynn_layer_call *call, pynn_tile tile) {
    const pynn_conv_block b = pynn_conv_block_of(call);
    const pynn_conv_sizes *g = &b.g;
    size_t filters = g->groups * g->filters, inputs = call->layer->inputs, outputs = call->layer->outputs;
    float *sums = b.scratch + b.at.sums;
    memset(sums, 0, filters * (g->depth + 1) * sizeof(float));
    if (call->dx != NULL) turn(&b);
    for (size_t n = tile.row_begin; n < tile.row_end; n += g->images) {
        size_t images = pynn_least(g->images, tile.row_end - n);
        const float *x = call->x + n * inputs, *dy = call->dy + n * outputs;
        const float *padded = padded_dy(&b, images, dy);
        if (!call->layer->layer.frozen) add_gradients(&b, images, x, dy, padded);
        pynn_late late = pynn_late_of(&b, g->late_back);
        for (size_t i = 0; i < images && call->dx != NULL; i++) {
            float *dx = call->dx + (n + i) * inputs;
            /* dX[n,c,v,u] = sum of W[f,c,i,j] dY[n,f,y,x] where s y + i = v, s x + j = u   @conv2d.dX */
            if (g->is_turned)
                find_turned(&b, dy + i * outputs, dx, &late, i + 1 == images);
            else
                find_added(&b, padded + i * b.at.dy_image, dx);
        }
    }
}
