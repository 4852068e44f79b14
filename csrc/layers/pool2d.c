/* pool2d.c: an image made smaller: the largest value of each window, or the mean.
 *
 * With inputs X (N, C, H, W), outputs Y (N, C, OH, OW), windows of KH x KW places and stride s:
 *
 *     max:      Y[n,c,y,x] = the largest X[n,c,s y + i,s x + j], i < KH, j < KW
 *     average:  Y[n,c,y,x] = their mean
 *
 * Padding lies around each image: places that the largest value is never at, and zeros in a mean. The
 * gradient of a largest value goes to the first place, row by row, where the window has it. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/sums.h"
#include "layers/layer.h"

/* The sizes of a layer. */
typedef struct geometry {
    size_t channels, height, width, out_height, out_width;
    size_t rows, columns; /* of a window */
    size_t stride, padding;
} geometry;

static geometry geometry_of(const pynn_layer_call *call) {
    const pynn_pool2d_options *options = &call->layer->layer.max_pool2d;
    pynn_shape in = call->layer->input_shape, out = call->layer->output_shape;
    return (geometry){in.channels,      in.height,        in.width,        out.height,      out.width,
                      options->size[0], options->size[1], options->stride, options->padding};
}

static pynn_status place(const pynn_layer *layer, pynn_shape in, pynn_layer_place *place) {
    const pynn_pool2d_options *o = &layer->max_pool2d;
    if (o->size[0] == 0 || o->size[1] == 0 || o->stride == 0) return PYNN_INVALID_ARGUMENT;
    if (o->padding > o->size[0] / 2 || o->padding > o->size[1] / 2) return PYNN_INVALID_ARGUMENT;
    if (o->size[0] > INT_MAX / 4 || o->size[1] > INT_MAX / 4) return PYNN_SIZE_OVERFLOW;
    size_t height = in.height + 2 * o->padding, width = in.width + 2 * o->padding;
    if (o->size[0] > height || o->size[1] > width) return PYNN_INVALID_ARGUMENT;
    place->outputs = (pynn_shape){in.channels, (height - o->size[0]) / o->stride + 1,
                                  (width - o->size[1]) / o->stride + 1};
    place->block_scratch = place->outputs.width;
    return PYNN_OK;
}

/* The outputs x of a row whose place j of the window lies within the image: begin <= x < end. */
typedef struct span {
    size_t begin, end;
} span;

PYNN_INLINE span inside(size_t place, size_t padding, size_t stride, size_t size, size_t outputs) {
    size_t begin = place < padding ? pynn_divide_up(padding - place, stride) : 0;
    if (size + padding <= place) return (span){0, 0};
    size_t end = pynn_least(outputs, (size + padding - place - 1) / stride + 1);
    return (span){begin, end < begin ? begin : end};
}

/* What is done for each place of each window. */
typedef enum pool_work { LARGEST, TO_LARGEST, TOTAL, TO_ALL } pool_work;

/* One place (i, j) of the windows of a row of outputs. `stride` and `work` are constants wherever this is
 * inlined, so that compilers make vectors of the loops. */
PYNN_INLINE void do_place(pool_work work, size_t stride, span at, const float *x, float *y, float *dx,
                          float *rest) {
    for (size_t u = at.begin; u < at.end; u++) {
        switch (work) {
        case LARGEST:
            y[u] = x[u * stride] > y[u] || x[u * stride] != x[u * stride] ? x[u * stride] : y[u];
            break;
        case TO_LARGEST: {
            bool is_it = x[u * stride] == y[u];
            dx[u * stride] += is_it ? rest[u] : 0.0f;
            rest[u] = is_it ? 0.0f : rest[u];
            break;
        }
        case TOTAL: y[u] += x[u * stride]; break;
        case TO_ALL: dx[u * stride] += rest[u]; break;
        }
    }
}

/* All places of the windows of all rows of an image with one channel. */
PYNN_INLINE void do_image(pool_work work, const geometry *g, size_t stride, const float *x, float *y,
                          const float *dy, float *dx, float *rest) {
    bool back = work == TO_LARGEST || work == TO_ALL;
    float share = 1.0f / (float)(g->rows * g->columns);
    for (size_t v = 0; v < g->out_height; v++, y += g->out_width, dy += g->out_width) {
        for (size_t u = 0; u < g->out_width; u++) {
            if (back) rest[u] = work == TO_ALL ? share * dy[u] : dy[u];
            if (!back) y[u] = work == LARGEST ? -INFINITY : 0.0f;
        }
        for (size_t i = 0; i < g->rows; i++) {
            size_t row = v * stride + i;
            if (row < g->padding || row >= g->height + g->padding) continue;
            size_t first = (row - g->padding) * g->width;
            for (size_t j = 0; j < g->columns; j++) {
                span at = inside(j, g->padding, stride, g->width, g->out_width);
                /* Of x = 0 the place j - padding; before `begin` nothing is read. */
                const float *from = x + first + j - g->padding;
                do_place(work, stride, at, from, y, back ? dx + first + j - g->padding : NULL, rest);
            }
        }
        if (work == TOTAL) {
            for (size_t u = 0; u < g->out_width; u++) y[u] *= share;
        }
    }
}

/* The same for many images; x, y, dy and dx point to the first of `count` channels. */
#define POOL(name, work)                                                                                   \
    PYNN_KERNEL(void, name,                                                                                \
                (const geometry *g, size_t count, const float *x, float *y, const float *dy, float *dx,    \
                 float *rest),                                                                             \
                (g, count, x, y, dy, dx, rest)) {                                                          \
        size_t in = g->height * g->width, out = g->out_height * g->out_width;                              \
        for (size_t c = 0; c < count; c++, x += in, y += out, dy += out, dx += in) {                       \
            if (g->stride == 2)                                                                            \
                do_image(work, g, 2, x, y, dy, dx, rest);                                                  \
            else                                                                                           \
                do_image(work, g, g->stride, x, y, dy, dx, rest);                                          \
        }                                                                                                  \
    }
POOL(find_largest, LARGEST)
POOL(pass_to_largest, TO_LARGEST)
POOL(find_totals, TOTAL)
POOL(pass_to_all, TO_ALL)

/* ---------------------------------------------------------------- windows of 2 x 2, side by side */

/* These are by far the most frequent ones. A row of outputs is often shorter than a vector. So it is
 * computed in whole vectors, which write over the beginning of the next row of y and dx; that row is
 * computed after it. Only at the end of a tile, where there is no room for this, the rows are computed
 * exactly. `lanes` outputs are computed at a time, 8 or 16: of loops over 4
 * GCC makes no vectors. */
enum { MOST_LANES = 16 };

PYNN_INLINE float larger(float a, float b) {
    float most = b > a ? b : a;
    return b == b ? most : b;
}

/* `count` outputs y from two rows of x. */
PYNN_INLINE void largest_of_four(size_t count, const float *x, const float *below, float *restrict y) {
    for (size_t u = 0; u < count; u++)
        y[u] = larger(larger(x[2 * u], x[2 * u + 1]), larger(below[2 * u], below[2 * u + 1]));
}

/* What `count` <= MOST_LANES windows pass on to their four places: the upper two, and the lower two. */
typedef struct passed {
    float a[MOST_LANES], b[MOST_LANES], c[MOST_LANES], d[MOST_LANES];
} passed;

PYNN_INLINE void pass_to_one_of_four(size_t count, const float *x, const float *below, const float *y,
                                     const float *dy, passed *to) {
    for (size_t u = 0; u < count; u++) {
        float rest = dy[u], largest = y[u];
        to->a[u] = x[2 * u] == largest ? rest : 0.0f;
        rest = x[2 * u] == largest ? 0.0f : rest;
        to->b[u] = x[2 * u + 1] == largest ? rest : 0.0f;
        rest = x[2 * u + 1] == largest ? 0.0f : rest;
        to->c[u] = below[2 * u] == largest ? rest : 0.0f;
        rest = below[2 * u] == largest ? 0.0f : rest;
        to->d[u] = below[2 * u + 1] == largest ? rest : 0.0f;
    }
}

PYNN_INLINE void find_rows(size_t lanes, size_t rows, size_t width, const float *x, float *y) {
    for (size_t row = 0; row < rows; row++, x += 4 * width, y += width) {
        if ((rows - row) * width < width + lanes) {
            largest_of_four(width, x, x + 2 * width, y);
            continue;
        }
        for (size_t u = 0; u < width; u += lanes)
            largest_of_four(lanes, x + 2 * u, x + 2 * width + 2 * u, y + u);
    }
}

/* dx of `count` outputs from number u on: the upper row first, because whole vectors may write over the
 * beginning of the lower one. */
PYNN_INLINE void pass_vector(size_t count, size_t width, size_t u, const float *x, const float *y,
                             const float *dy, float *dx) {
    passed p;
    float *upper = dx + 2 * u, *lower = upper + 2 * width;
    pass_to_one_of_four(count, x + 2 * u, x + 2 * width + 2 * u, y + u, dy + u, &p);
    for (size_t k = 0; k < count; k++) {
        upper[2 * k] = p.a[k];
        upper[2 * k + 1] = p.b[k];
    }
    for (size_t k = 0; k < count; k++) {
        lower[2 * k] = p.c[k];
        lower[2 * k + 1] = p.d[k];
    }
}

/* The last vector of each row comes first: it writes over the beginning of the lower row of dx, which the
 * other vectors then put right. */
PYNN_INLINE void pass_rows(size_t lanes, size_t rows, size_t width, const float *x, const float *y,
                           const float *dy, float *dx) {
    size_t last = (width - 1) / lanes * lanes;
    for (size_t row = 0; row < rows; row++, x += 4 * width, y += width, dy += width, dx += 4 * width) {
        if ((rows - row) * width < width + lanes) {
            for (size_t u = 0; u < width; u += lanes)
                pass_vector(pynn_least(lanes, width - u), width, u, x, y, dy, dx);
            continue;
        }
        pass_vector(lanes, width, last, x, y, dy, dx);
        for (size_t u = 0; u < last; u += lanes) pass_vector(lanes, width, u, x, y, dy, dx);
    }
}

PYNN_KERNEL(void, find_largest_of_four, (size_t rows, size_t width, const float *x, float *y),
            (rows, width, x, y)) {
    if (width <= 8)
        find_rows(8, rows, width, x, y);
    else
        find_rows(16, rows, width, x, y);
}

PYNN_KERNEL(void, pass_to_largest_of_four,
            (size_t rows, size_t width, const float *x, const float *y, const float *dy, float *dx),
            (rows, width, x, y, dy, dx)) {
    if (width <= 8)
        pass_rows(8, rows, width, x, y, dy, dx);
    else
        pass_rows(16, rows, width, x, y, dy, dx);
}

static bool is_two_by_two(const geometry *g) {
    return g->rows == 2 && g->columns == 2 && g->stride == 2 && g->padding == 0 &&
           g->height == 2 * g->out_height && g->width == 2 * g->out_width;
}

/* ---------------------------------------------------------------- on a tile */

static float *rest_of(const pynn_layer_call *call) {
    return call->block_scratch + call->block * call->layer->block_scratch;
}

/* Y of the rows of a tile. */
static void forward(const pynn_layer_call *call, pynn_tile tile) {
    geometry g = geometry_of(call);
    size_t count = (tile.row_end - tile.row_begin) * g.channels;
    const float *x = call->x + tile.row_begin * call->layer->inputs;
    float *y = call->y + tile.row_begin * call->layer->outputs;
    if (call->layer->layer.kind == PYNN_AVG_POOL2D) {
        /* y = the mean of the x of its window   @avg_pool2d.Y */
        find_totals(&g, count, x, y, y, NULL, NULL);
        return;
    }
    /* y = the largest x of its window   @max_pool2d.Y */
    if (is_two_by_two(&g))
        find_largest_of_four(count * g.out_height, g.out_width, x, y);
    else
        find_largest(&g, count, x, y, y, NULL, NULL);
}

/* dX of the rows of a tile. */
static void backward(const pynn_layer_call *call, pynn_tile tile) {
    geometry g = geometry_of(call);
    size_t rows = tile.row_end - tile.row_begin;
    const float *x = call->x + tile.row_begin * call->layer->inputs;
    const float *dy = call->dy + tile.row_begin * call->layer->outputs;
    float *y = call->y + tile.row_begin * call->layer->outputs;
    float *dx = call->dx + tile.row_begin * call->layer->inputs;
    if (call->layer->layer.kind == PYNN_AVG_POOL2D) {
        memset(dx, 0, rows * call->layer->inputs * sizeof(float));
        /* dx = dy / (KH KW), at each place of the window   @avg_pool2d.dX */
        pass_to_all(&g, rows * g.channels, x, y, dy, dx, rest_of(call));
        return;
    }
    /* dx = dy at the first place of the largest x, else 0   @max_pool2d.dX */
    if (is_two_by_two(&g)) {
        pass_to_largest_of_four(rows * g.channels * g.out_height, g.out_width, x, y, dy, dx);
    } else {
        memset(dx, 0, rows * call->layer->inputs * sizeof(float));
        pass_to_largest(&g, rows * g.channels, x, y, dy, dx, rest_of(call));
    }
}

/* ---------------------------------------------------------------- the mean of each channel */

static pynn_status place_global(const pynn_layer *layer, pynn_shape in, pynn_layer_place *place) {
    (void)layer;
    place->outputs = (pynn_shape){in.channels, 1, 1};
    return PYNN_OK;
}

PYNN_KERNEL(void, find_means, (size_t count, size_t size, const float *x, float *y), (count, size, x, y)) {
    /* y = mean of x over a channel   @global_avg_pool.Y */
    for (size_t c = 0; c < count; c++, x += size) y[c] = (float)(pynn_sum(size, x) / (double)size);
}

static void forward_global(const pynn_layer_call *call, pynn_tile tile) {
    size_t channels = call->layer->outputs, size = call->layer->inputs / channels;
    find_means((tile.row_end - tile.row_begin) * channels, size, call->x + tile.row_begin * channels * size,
               call->y + tile.row_begin * channels);
}

static void backward_global(const pynn_layer_call *call, pynn_tile tile) {
    size_t channels = call->layer->outputs, size = call->layer->inputs / channels;
    const float *dy = call->dy + tile.row_begin * channels;
    float *dx = call->dx + tile.row_begin * channels * size;
    for (size_t c = 0; c < (tile.row_end - tile.row_begin) * channels; c++, dx += size) {
        float share = dy[c] / (float)size;
        /* dx = dy / (H W)   @global_avg_pool.dX */
        for (size_t i = 0; i < size; i++) dx[i] = share;
    }
}

/* ---------------------------------------------------------------- the table */

#define POOL_TYPE                                                                                          \
    .reach = PYNN_REACH_ROW, .needs_outputs = true, .place = place, .forward = forward, .backward = backward

const pynn_layer_type pynn_max_pool2d = {.kind = PYNN_MAX_POOL2D, POOL_TYPE};
const pynn_layer_type pynn_avg_pool2d = {.kind = PYNN_AVG_POOL2D, POOL_TYPE};
const pynn_layer_type pynn_global_avg_pool = {.kind = PYNN_GLOBAL_AVG_POOL,
                                              .reach = PYNN_REACH_ROW,
                                              .place = place_global,
                                              .forward = forward_global,
                                              .backward = backward_global};

/* ---------------------------------------------------------------- flatten */

static pynn_status place_flat(const pynn_layer *layer, pynn_shape in, pynn_layer_place *place) {
    (void)layer;
    place->outputs = (pynn_shape){pynn_shape_size(in), 1, 1};
    return PYNN_OK;
}

/* Copy a tile, if it does not lie there already. */
static void copy_tile(const pynn_layer_call *call, pynn_tile tile, const float *from, float *to) {
    pynn_stretches it = pynn_stretches_of(tile, call->layer->outputs);
    if (from == to) return;
    for (size_t s = 0, first = it.first; s < it.count; s++, first += it.apart)
        memcpy(to + first, from + first, it.length * sizeof(float));
}

/* Y = X   @flatten.Y */
static void forward_flat(const pynn_layer_call *call, pynn_tile tile) {
    copy_tile(call, tile, call->x, call->y);
}

/* dX = dY   @flatten.dX */
static void backward_flat(const pynn_layer_call *call, pynn_tile tile) {
    copy_tile(call, tile, call->dy, call->dx);
}

const pynn_layer_type pynn_flatten = {.kind = PYNN_FLATTEN,
                                      .reach = PYNN_REACH_VALUE,
                                      .may_overwrite = true,
                                      .place = place_flat,
                                      .forward = forward_flat,
                                      .backward = backward_flat};
