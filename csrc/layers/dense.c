/* dense.c: the dense layer.
 *
 * With inputs X (N, I), weights W (I, O), bias b (O,), outputs Y (N, O), and with dY (N, O) the gradient of
 * the loss with respect to Y:
 *
 *     Y = X W + b        dX = dY W^T        dW = X^T dY        db = column sums of dY
 *
 * Its parameters are W, and after it b. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/gemm.h"
#include "base/vector.h"
#include "layers/layer.h"

static pynn_status place(const pynn_layer *layer, pynn_shape inputs, pynn_layer_place *place) {
    size_t outputs = layer->dense.outputs;
    pynn_init init = layer->dense.init;
    if (init != PYNN_INIT_HE && init != PYNN_INIT_XAVIER) return PYNN_UNKNOWN_LAYER;
    if (outputs == 0) return PYNN_INVALID_ARGUMENT;
    if (outputs > INT_MAX) return PYNN_SIZE_OVERFLOW;
    *place = (pynn_layer_place){
        .outputs = {outputs, 1, 1},
        .view_count = 2,
        .views = {{.name = "weight",
                   .dims = {pynn_shape_size(inputs), outputs},
                   .ndim = 2,
                   .decays = 1,
                   .trained = 1},
                  {.name = "bias", .dims = {outputs}, .ndim = 1, .trained = 1}},
    };
    return PYNN_OK;
}

static void initialize(const pynn_placed_layer *layer, uint64_t seed, uint64_t stream, float *parameters) {
    size_t count = layer->inputs * layer->outputs;
    double inputs = (double)layer->inputs, outputs = (double)layer->outputs;
    if (layer->layer.dense.init == PYNN_INIT_HE) {
        pynn_random_normal(seed, stream, 0, count, 0.0f, (float)sqrt(2.0 / inputs), parameters);
    } else {
        float limit = (float)sqrt(6.0 / (inputs + outputs));
        pynn_random_uniform(seed, stream, 0, count, -limit, limit, parameters);
    }
    memset(parameters + count, 0, layer->outputs * sizeof(float));
}

/* ---------------------------------------------------------------- forward and backward */

/* Y += b, row by row; y is (rows, columns), its rows start `stride` floats apart; bias is (columns,). */
PYNN_KERNEL(void, add_bias, (size_t rows, size_t columns, size_t stride, const float *bias, float *y),
            (rows, columns, stride, bias, y)) {
    for (size_t n = 0; n < rows; n++, y += stride) {
        for (size_t o = 0; o < columns; o++) y[o] += bias[o];
    }
}

/* Y = X W for a tile of Y, where the rows of X are sparse; w and y point to the tile's first column. The
 * columns of X are taken block by block, so that the rows of W that belong to a block stay in the innermost
 * cache for all rows of the tile. The first block overwrites Y (beta 0), the others add to it (beta 1). */
static void forward_sparse(const pynn_layer_call *call, pynn_tile tile, const float *w, float *y) {
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    size_t outputs = call->layer->outputs;
    const pynn_sparse_vector *vectors = call->sparse->rows + tile.row_begin * PYNN_MAX_COLUMN_BLOCKS;
    pynn_grid blocks = pynn_cut_columns(call->layer->inputs, outputs);
    for (size_t b = 0; b < pynn_grid_count(&blocks); b++)
        /* Y = X W, without the zeros of X   @dense.sparseY */
        pynn_sparse_gemm(rows, vectors + b, PYNN_MAX_COLUMN_BLOCKS, columns, w, outputs, 1.0f,
                         b == 0 ? 0.0f : 1.0f, y, outputs);
}

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    size_t inputs = call->layer->inputs, outputs = call->layer->outputs;
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    const float *weights = call->parameters + tile.column_begin;
    const float *bias = call->parameters + inputs * outputs + tile.column_begin;
    const float *x = call->x + tile.row_begin * inputs;
    float *y = call->y + tile.row_begin * outputs + tile.column_begin;
    if (call->sparse != NULL)
        forward_sparse(call, tile, weights, y);
    else
        /* Y = X W   @dense.Y */
        pynn_gemm(false, false, rows, columns, inputs, 1.0f, x, inputs, weights, outputs, 0.0f, y, outputs);
    /* Y = Y + b, to each row   @dense.b */
    add_bias(rows, columns, outputs, bias, y);
}

static void backward(const pynn_layer_call *call, pynn_tile tile) {
    size_t inputs = call->layer->inputs, outputs = call->layer->outputs;
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    const float *weights = call->parameters + tile.column_begin * outputs;
    const float *dy = call->dy + tile.row_begin * outputs;
    float *dx = call->dx + tile.row_begin * inputs + tile.column_begin;
    /* dX = dY W^T   @dense.dX */
    pynn_gemm(false, true, rows, columns, outputs, 1.0f, dy, outputs, weights, outputs, 0.0f, dx, inputs);
}

/* ---------------------------------------------------------------- the gradient of the parameters */

/* How many rows of the batch a product for dW sums over at a time. What is read of both operands, or packed
 * by BLAS, then stays in the second-level cache. Over 4096 rows, tiles of 98 x 512 ran at 88 Gflop/s in
 * such slices, by OpenBLAS, and at 75 in one product. */
enum { ROWS_OF_A_PRODUCT = 256 };

/* How many rows of dY are added as floats. The sum of many more rows would have too large a rounding error:
 * a sum of 2^8 floats loses at most 8 of the 24 bits. */
enum { ROWS_OF_A_SUM = 256 };

/* sums += column sums of dY; dy is (rows, width), its rows start `stride` floats apart. There are too many
 * sums for the registers. So each sum is read and written once for four rows: with 64 columns this takes
 * 0.6 times as long as once for each row. */
PYNN_INLINE void add_rows(size_t rows, size_t width, size_t stride, const float *dy, float *restrict sums) {
    size_t n = 0;
    for (; n + 4 <= rows; n += 4, dy += 4 * stride) {
        const float *r0 = dy, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
        for (size_t o = 0; o < width; o++) sums[o] = sums[o] + r0[o] + r1[o] + r2[o] + r3[o];
    }
    for (; n < rows; n++, dy += stride) {
        for (size_t o = 0; o < width; o++) sums[o] += dy[o];
    }
}

/* T_b = alpha * (column sums of dY) + beta * T_b; dy is (rows, columns), its rows start `stride` floats
 * apart.
 *
 * The sums are computed apart from T_b and added to it at the end. So a bias that is much larger than its
 * update is rounded once, not N times. Many columns are summed at a time, because memory delivers whole
 * rows faster than a small part of each row: with 1024 columns, sums of 64 columns at a time, which fit the
 * registers, took half as long again. */
PYNN_KERNEL(void, sum_columns,
            (size_t rows, size_t columns, size_t stride, float alpha, const float *dy, float beta,
             float *target),
            (rows, columns, stride, alpha, dy, beta, target)) {
    enum { MOST = 256 };
    for (size_t first = 0; first < columns; first += MOST) {
        size_t width = pynn_least(MOST, columns - first);
        double totals[MOST] = {0};
        for (size_t begin = 0; begin < rows; begin += ROWS_OF_A_SUM) {
            float sums[MOST] = {0};
            size_t some = pynn_least(ROWS_OF_A_SUM, rows - begin);
            add_rows(some, width, stride, dy + begin * stride + first, sums);
            for (size_t o = 0; o < width; o++) totals[o] += (double)sums[o];
        }
        for (size_t o = 0; o < width; o++) {
            float kept = beta == 0.0f ? 0.0f : beta * target[first + o];
            target[first + o] = alpha * (float)totals[o] + kept;
        }
    }
}

/* How W is cut into tiles. If X is sparse, the cuts are those of its column blocks, because each column of
 * X belongs to a row of W. */
static pynn_grid cut(const pynn_layer_call *call) {
    size_t inputs = call->layer->inputs, outputs = call->layer->outputs;
    if (call->sparse == NULL) return pynn_cut_product(inputs, outputs, call->rows);
    pynn_grid grid = pynn_cut_columns(inputs, outputs);
    grid.columns = outputs;
    return grid;
}

/* T_W = alpha * X^T dY + beta * T_W for the rows of W that belong to a column block of a sparse X.
 *
 * In plain SGD T is W itself, alpha is -r, where r is the learning rate, and beta is 1: the product is the
 * step. Otherwise T is an array for the gradient. So a product has two marks below.
 *
 * The batch is taken in slices of packing.most_rows rows. Each slice of X is transposed, and multiplied by
 * the blocks of the packed dY. The first slice applies the caller's beta; each later one adds to what the
 * slices before it have written, so its beta is 1. */
static void accumulate_sparse(const pynn_layer_call *call, size_t block, pynn_tile tile,
                              const pynn_target *target) {
    pynn_sparse_batch *sparse = call->sparse;
    size_t outputs = call->layer->outputs, begin = tile.row_begin, end = tile.row_end;
    const pynn_sparse_vector *vectors = sparse->rows + block;
    pynn_entry *entries = sparse->column_entries + begin * PYNN_COLUMN_CAPACITY;
    pynn_sparse_vector *columns = sparse->columns + begin;
    float *weights = target->parameters + begin * outputs;
    pynn_packing packing = pynn_packing_of(call->rows, outputs);
    for (size_t n = 0; n < call->rows; n += packing.most_rows) {
        float beta = n == 0 ? target->beta : 1.0f;
        size_t rows = pynn_least(packing.most_rows, call->rows - n);
        pynn_sparse_transpose(rows, vectors + n * PYNN_MAX_COLUMN_BLOCKS, begin, end, entries, columns);
        for (size_t o = 0; o < outputs; o += packing.most_columns) {
            size_t width = pynn_least(packing.most_columns, outputs - o);
            const float *dy = pynn_packed_block(sparse, &packing, n, o);
            /* dW = X^T dY, without the zeros of X   @dense.sparsedW */
            /* W = W - r dW   @dense.fusedsparseW */
            pynn_sparse_gemm(end - begin, columns, 1, width, dy, width, target->alpha, beta, weights + o,
                             outputs);
        }
    }
}

/* T_W = alpha * X^T dY + beta * T_W for a tile of W. The batch is taken in slices, of which only the first
 * applies the caller's beta. */
static void accumulate_tile(const pynn_layer_call *call, pynn_tile tile, const pynn_target *target) {
    size_t inputs = call->layer->inputs, outputs = call->layer->outputs;
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    float *weights = target->parameters + tile.row_begin * outputs + tile.column_begin;
    for (size_t n = 0; n < call->rows; n += ROWS_OF_A_PRODUCT) {
        size_t slice = pynn_least(ROWS_OF_A_PRODUCT, call->rows - n);
        const float *x = call->x + n * inputs + tile.row_begin;
        const float *dy = call->dy + n * outputs + tile.column_begin;
        float beta = n == 0 ? target->beta : 1.0f;
        /* dW = X^T dY   @dense.dW */
        /* W = W - r dW   @dense.fusedW */
        pynn_gemm(true, false, rows, columns, slice, target->alpha, x, inputs, dy, outputs, beta, weights,
                  outputs);
    }
}

/* Task number `index`: a tile of W. The tile that has the first weight of a column also has the bias of
 * that column. */
static void accumulate(const pynn_layer_call *call, size_t index, const pynn_target *target) {
    size_t inputs = call->layer->inputs, outputs = call->layer->outputs;
    pynn_grid grid = cut(call);
    pynn_tile tile = pynn_grid_tile(&grid, index);
    if (call->sparse != NULL)
        accumulate_sparse(call, index, tile, target);
    else
        accumulate_tile(call, tile, target);
    if (tile.row_begin > 0) return;
    /* db = sum of the rows of dY   @dense.db */
    /* b = b - r db   @dense.fusedb */
    sum_columns(call->rows, tile.column_end - tile.column_begin, outputs, target->alpha,
                call->dy + tile.column_begin, target->beta,
                target->parameters + inputs * outputs + tile.column_begin);
}

const pynn_layer_type pynn_dense = {
    .kind = PYNN_DENSE,
    .reach = PYNN_REACH_PRODUCT,
    .takes_sparse = true,
    .draws_weights = true,
    .place = place,
    .initialize = initialize,
    .forward = forward,
    .backward = backward,
    .cut = cut,
    .accumulate = accumulate,
};
