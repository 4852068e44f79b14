/* conv2d.c: the convolution of images with filters.
 *
 * With inputs X (N, C, height, width), filters W (F, C, KH, KW), bias b (F,), outputs Y (N, F, OH, OW),
 * stride s, and zeros around each image as padding:
 *
 *     Y[n,f,y,x] = b[f] + sum over c, i, j of W[f,c,i,j] X[n,c,s y + i,s x + j]
 *     dX[n,c,v,u] = sum over f, and the i, j, y, x with s y + i = v, s x + j = u, of W[f,c,i,j] dY[n,f,y,x]
 *     dW[f,c,i,j] = sum over n, y, x of dY[n,f,y,x] X[n,c,s y + i,s x + j]
 *     db[f] = sum over n, y, x of dY[n,f,y,x]
 *
 * In groups > 1 each group of filters sees a group of channels only. The parameters are W, called weight,
 * and behind it b.
 *
 * These are matrix products. With k for (c, i, j) and p for (y, x), the matrix of the inputs of an image
 * has the element X[s y + i, s x + j] in row k and column p. It has KH * KW elements for each element of
 * the image, so it is never made. Instead each channel is laid out in KW planes (see pynn_planes), of which
 * every row k is a stretch. So the product reads its rows where they lie, and they overlap.
 *
 * For dX there are two ways. With stride 1 it is itself a convolution: of dY, with filters whose taps are
 * turned around. Or the products W[f,c,i,j] dY[n,f,y,x] are summed over f, and each of these sums is added
 * to its place in dX. The first way multiplies by the zeros around dY, the second one adds once more for
 * each tap; the layer's sizes decide. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "layers/conv2d.h"

/* ---------------------------------------------------------------- the geometry of a layer */

/* Whether the convolution of dY costs less than to add up the sums for each tap, in steps of products and
 * of loads: rows of OW are added in half steps. */
static bool is_turned_cheaper(const pynn_conv_sizes *g, const pynn_planes *p) {
    if (p->stride > 1) return false;
    double filters = (double)g->filters, rows = (double)p->outputs[0];
    double turned = filters * (double)pynn_divide_up(g->size, PYNN_STEP);
    double added = filters * (double)pynn_divide_up(g->places, PYNN_STEP) +
                   2.0 * rows * (double)pynn_divide_up(p->outputs[1], PYNN_STEP / 2);
    return turned <= added;
}

/* How many of `columns` columns are computed together with those of other images: those behind the last
 * whole step, if to collect them costs little against the products that it saves. */
static size_t late_columns(size_t groups, size_t rows, size_t columns) {
    enum { MOST = PYNN_STEP / 8, FEWEST_ROWS = 8 };
    size_t count = columns % PYNN_STEP;
    return groups == 1 && rows >= FEWEST_ROWS && columns > PYNN_STEP && count <= MOST ? count : 0;
}

/* As many images as stay in a second-level cache with their planes. */
static size_t images_at_a_time(const pynn_conv_sizes *g) {
    enum { MOST_FLOATS = 80 * 1024, MOST_IMAGES = 16 };
    size_t x = g->is_plain ? 0 : pynn_planes_size(&g->planes, g->groups * g->channels);
    size_t images = MOST_FLOATS / (x + g->groups * g->filters * g->dy_row);
    return images < 1 ? 1 : pynn_least(images, MOST_IMAGES);
}

static pynn_conv_sizes geometry_of(const pynn_conv2d_options *o, pynn_shape in, pynn_shape out) {
    enum { MOST_FLOATS = 4 * 1024 };
    ptrdiff_t top = (ptrdiff_t)o->before[0], left = (ptrdiff_t)o->before[1];
    pynn_conv_sizes g = {
        .groups = o->groups,
        .channels = in.channels / o->groups,
        .filters = out.channels / o->groups,
        .taps = o->size[0] * o->size[1],
        .size = in.height * in.width,
        .places = out.height * out.width,
        .planes = pynn_place_planes(in, out, o->size, o->stride, top, left),
    };
    g.depth = g.channels * g.taps;
    g.dy_row = pynn_round_up(g.places);
    g.is_plain = g.taps == 1 && o->stride == 1 && g.places == g.size && g.dy_row == g.places;
    g.is_turned = is_turned_cheaper(&g, &g.planes);
    if (g.is_turned) {
        g.late = late_columns(g.groups, g.filters, g.places);
        g.late_back = late_columns(g.groups, g.channels, g.size);
        if (g.late > 0) g.dy_row = g.places;
        g.back = pynn_place_planes(out, in, o->size, 1, (ptrdiff_t)o->size[0] - 1 - top,
                                   (ptrdiff_t)o->size[1] - 1 - left);
    }
    g.images = images_at_a_time(&g);
    g.chunk = pynn_least(g.channels, MOST_FLOATS / (g.taps * g.dy_row) + 1);
    return g;
}

static pynn_conv_sizes geometry_of_call(const pynn_layer_call *call) {
    return geometry_of(&call->layer->layer.conv2d, call->layer->input_shape, call->layer->output_shape);
}

/* How many rows of matrices are read for late places, at most; 0 where there are none. */
static size_t late_depth(const pynn_conv_sizes *g) {
    size_t most = g->channels > g->filters ? g->channels : g->filters;
    return g->late + g->late_back > 0 ? most * g->taps : 0;
}

static pynn_conv_pieces pieces_of(const pynn_conv_sizes *g) {
    size_t filters = g->groups * g->filters, channels = g->groups * g->channels;
    size_t sums = g->chunk * g->taps * g->dy_row;
    pynn_conv_pieces at = {0};
    at.turned = at.sums + pynn_round_up(filters * (g->depth + 1));
    at.offsets = at.turned + pynn_round_up(filters * g->depth);
    at.back_offsets = at.offsets + pynn_round_up(g->depth);
    at.x = at.back_offsets + pynn_round_up(g->filters * g->taps);
    at.x_image = g->is_plain ? channels * g->size : pynn_round_up(pynn_planes_size(&g->planes, channels));
    at.dy = at.x + (g->is_plain ? 0 : g->images * at.x_image);
    at.dy_image = filters * g->dy_row;
    at.work = at.dy + (g->dy_row == g->places ? 0 : g->images * at.dy_image);
    at.small = at.work + pynn_round_up(g->is_turned ? pynn_planes_size(&g->back, filters) : sums);
    at.late = at.small + (g->channels + g->filters) * PYNN_STEP;
    size_t late = late_depth(g) * PYNN_STEP,
           of_dw = (g->depth + g->filters) * pynn_round_up(g->images * g->late);
    at.late_offsets = at.late + (late > of_dw ? late : of_dw);
    at.end = at.late_offsets + pynn_round_up(late_depth(g));
    return at;
}

/* Whether the sizes of a layer are such that nothing above overflows: what a block of rows needs, and all
 * its parts, fit an int. Sums in floating point, from above, of what pieces_of() adds up. */
static bool is_sound_size(const pynn_conv2d_options *o, pynn_shape in, pynn_shape out) {
    double channels = (double)in.channels, filters = (double)out.channels;
    double taps = (double)o->size[0] * (double)o->size[1], step = PYNN_STEP, cache = 128.0 * 1024.0;
    double places = (double)out.height * (double)out.width + step;
    double of_x = (double)(pynn_least(o->stride, o->size[0]) * o->size[1]) *
                  ((double)out.height + (double)o->size[0]) * (double)out.width;
    double of_dy = (double)o->size[1] * ((double)in.height + (double)o->size[0]) * (double)in.width;
    double weights = 2.0 * filters * (channels * taps + 1.0) + (channels + filters) * (taps + step);
    double late = 4.0 * step * (channels + filters) * (taps + 1.0);
    double total = late + weights + channels * (of_x + step) + filters * (of_dy + step) + filters * places +
                   taps * places + cache;
    return total < (double)(INT_MAX / 4);
}

static pynn_status place(const pynn_layer *layer, pynn_shape in, pynn_layer_place *place) {
    const pynn_conv2d_options *o = &layer->conv2d;
    if (o->init != PYNN_INIT_HE && o->init != PYNN_INIT_XAVIER) return PYNN_UNKNOWN_LAYER;
    if (o->filters == 0 || o->size[0] == 0 || o->size[1] == 0 || o->stride == 0 || o->groups == 0)
        return PYNN_INVALID_ARGUMENT;
    size_t sizes[] = {o->filters,   o->size[0],   o->size[1],  o->stride,
                      o->before[0], o->before[1], o->after[0], o->after[1]};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i] > INT_MAX / 4) return PYNN_SIZE_OVERFLOW;
    }
    size_t height = in.height + o->before[0] + o->after[0], width = in.width + o->before[1] + o->after[1];
    if (o->size[0] > height || o->size[1] > width) return PYNN_INVALID_ARGUMENT;
    if (in.channels % o->groups != 0 || o->filters % o->groups != 0) return PYNN_INVALID_ARGUMENT;
    pynn_shape out = {o->filters, (height - o->size[0]) / o->stride + 1,
                      (width - o->size[1]) / o->stride + 1};
    if (!is_sound_size(o, in, out)) return PYNN_SIZE_OVERFLOW;
    pynn_conv_sizes g = geometry_of(o, in, out);
    *place = (pynn_layer_place){
        .outputs = out,
        .block_scratch = pieces_of(&g).end,
        .view_count = 2,
        .views = {{.name = "weight",
                   .dims = {o->filters, g.channels, o->size[0], o->size[1]},
                   .ndim = 4,
                   .decays = 1,
                   .trained = 1},
                  {.name = "bias", .dims = {o->filters}, .ndim = 1, .trained = 1}},
    };
    return PYNN_OK;
}

/* As for a dense layer whose inputs and outputs are those of one filter at one place. */
static void initialize(const pynn_placed_layer *layer, uint64_t seed, uint64_t stream, float *parameters) {
    const pynn_conv2d_options *options = &layer->layer.conv2d;
    pynn_conv_sizes g = geometry_of(options, layer->input_shape, layer->output_shape);
    size_t filters = g.filters * g.groups, count = filters * g.depth;
    double inputs = (double)g.depth, outputs = (double)(g.filters * g.taps);
    if (options->init == PYNN_INIT_HE) {
        pynn_random_normal(seed, stream, 0, count, 0.0f, (float)sqrt(2.0 / inputs), parameters);
    } else {
        float limit = (float)sqrt(6.0 / (inputs + outputs));
        pynn_random_uniform(seed, stream, 0, count, -limit, limit, parameters);
    }
    memset(parameters + count, 0, filters * sizeof(float));
}

/* ---------------------------------------------------------------- the inputs' matrix */

/* Where the rows k of the inputs' matrix begin, from the first plane of a group on. */
static void list_offsets(const pynn_conv_sizes *g, int32_t *offsets) {
    const pynn_planes *p = &g->planes;
    for (size_t c = 0; c < g->channels; c++) {
        for (size_t i = 0; i < p->size[0]; i++) {
            for (size_t j = 0; j < p->size[1]; j++)
                *offsets++ =
                    (int32_t)(g->is_plain ? c * g->size : c * p->channel + pynn_tap_offset(p, i, j));
        }
    }
}

pynn_conv_block pynn_conv_block_of(const pynn_layer_call *call) {
    pynn_conv_block b = {.g = geometry_of_call(call), .weights = call->parameters};
    b.at = pieces_of(&b.g);
    b.scratch = call->block_scratch + call->block * call->layer->block_scratch;
    b.offsets = (int32_t *)(void *)(b.scratch + b.at.offsets);
    b.back_offsets = (int32_t *)(void *)(b.scratch + b.at.back_offsets);
    b.bias = call->parameters + b.g.groups * b.g.filters * b.g.depth;
    b.late_offsets = (int32_t *)(void *)(b.scratch + b.at.late_offsets);
    list_offsets(&b.g, b.offsets);
    for (size_t k = 0; k < late_depth(&b.g); k++) b.late_offsets[k] = (int32_t)(k * PYNN_STEP);
    return b;
}

/* ---------------------------------------------------------------- products */

pynn_late pynn_late_of(const pynn_conv_block *b, size_t count) {
    return (pynn_late){.count = count,
                       .b = b->scratch + b->at.late,
                       .offsets = b->late_offsets,
                       .c = b->scratch + b->at.small};
}

void pynn_collect(size_t depth, const int32_t *offsets, size_t count, const float *from, size_t step,
                  float *to) {
    for (size_t k = 0; k < depth; k++, to += step) {
        for (size_t i = 0; i < count; i++) to[i] = from[offsets[k] + (int32_t)i];
    }
}

void pynn_conv_finish(const pynn_shifted_product *product, pynn_late *late) {
    if (late->images == 0) return;
    pynn_shifted_product p = *product;
    p.offsets = late->offsets;
    p.b = late->b;
    p.c = late->c;
    p.columns = p.ldc = PYNN_STEP;
    pynn_multiply_shifted(&p);
    for (size_t n = 0; n < late->images; n++) {
        const float *from = late->c + n * late->count;
        for (size_t r = 0; r < p.rows; r++)
            memcpy(late->outputs[n] + r * product->columns, from + r * PYNN_STEP,
                   late->count * sizeof(float));
    }
    late->images = 0;
}

void pynn_conv_multiply(const pynn_shifted_product *product, pynn_late *late) {
    pynn_shifted_product p = *product;
    p.ldc = p.columns;
    p.columns -= late->count;
    if (p.columns < PYNN_STEP) {
        p.c = late->c;
        p.ldc = p.columns = PYNN_STEP;
    }
    pynn_multiply_shifted(&p);
    for (size_t r = 0; r < p.rows && product->columns < PYNN_STEP; r++)
        memcpy(product->c + r * product->columns, p.c + r * PYNN_STEP, product->columns * sizeof(float));
    if (late->count == 0) return;
    pynn_collect(p.depth, p.offsets, late->count, p.b + p.columns, PYNN_STEP,
                 late->b + late->images * late->count);
    late->outputs[late->images++] = product->c + p.columns;
    if ((late->images + 1) * late->count > PYNN_STEP) pynn_conv_finish(product, late);
}

/* ---------------------------------------------------------------- forward */

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    const pynn_conv_block b = pynn_conv_block_of(call);
    const pynn_conv_sizes *g = &b.g;
    size_t x_group = g->channels * (g->is_plain ? g->size : g->planes.channel);
    pynn_late late = pynn_late_of(&b, g->late);
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        const float *x = call->x + n * call->layer->inputs;
        float *y = call->y + n * call->layer->outputs;
        if (!g->is_plain) {
            pynn_fill_planes(&g->planes, g->groups * g->channels, x, b.scratch + b.at.x);
            x = b.scratch + b.at.x;
        }
        for (size_t group = 0; group < g->groups; group++) {
            pynn_shifted_product product = {.rows = g->filters,
                                            .columns = g->places,
                                            .depth = g->depth,
                                            .a = b.weights + group * g->filters * g->depth,
                                            .offsets = b.offsets,
                                            .b = x + group * x_group,
                                            .bias = b.bias + group * g->filters,
                                            .c = y + group * g->filters * g->places};
            /* Y[n,f,y,x] = b[f] + sum over c, i, j of W[f,c,i,j] X[n,c,s y + i,s x + j]   @conv2d.Y */
            pynn_conv_multiply(&product, &late);
            if (n + 1 == tile.row_end) pynn_conv_finish(&product, &late);
        }
    }
}

/* ---------------------------------------------------------------- backward */

/* Nothing is left to do: sum() has dY at hand as dX needs it, so it computes dX, too. */
static void backward(const pynn_layer_call *call, pynn_tile tile) {
    (void)call;
    (void)tile;
}

/* ---------------------------------------------------------------- the gradient of the parameters */

/* T = alpha dP + beta T: the sums of all blocks, in their order. P are the filters, and behind them b. In
 * plain SGD T is P itself, alpha is -r, where r is the learning rate, and beta is 1: this is the step. */
static void accumulate(const pynn_layer_call *call, size_t index, const pynn_target *target) {
    (void)index;
    for (size_t i = 0; i < call->layer->parameter_count; i++) {
        double total = 0.0;
        for (size_t b = 0; b < call->blocks; b++)
            total += (double)call->block_scratch[b * call->layer->block_scratch + i];
        /* W = W - r dW   @conv2d.fusedW */
        /* b = b - r db   @conv2d.fusedb */
        target->parameters[i] = pynn_blend(target, total, &target->parameters[i]);
    }
}

const pynn_layer_type pynn_conv2d = {
    .kind = PYNN_CONV2D,
    .reach = PYNN_REACH_ROW,
    .draws_weights = true,
    .place = place,
    .initialize = initialize,
    .forward = forward,
    .backward = backward,
    .sum = pynn_conv_sum,
    .cut = pynn_cut_nothing,
    .accumulate = accumulate,
};
