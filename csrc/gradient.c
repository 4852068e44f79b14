/* gradient.c: from the gradient with respect to the layers' outputs to that with respect to the parameters.
 *
 * For a dense layer with inputs X (N, I) and gradient dY (N, O):
 *
 *     dW = X^T dY        db = column sums of dY
 *
 * Where it is added to the parameters at once, there is no array of gradients: a step of SGD is the same
 * product with alpha = -learning_rate and beta = 1. */
#include <string.h>

#include "gemm.h"
#include "internal.h"
#include "vector.h"

/* Rows of a batch that a product for dW sums over at a time: what is read, or packed by BLAS, of both
 * operands then stays in the second-level cache. Over 4096 rows tiles of 98 x 512 ran at 88 Gflop/s so, by
 * OpenBLAS, and at 75 in one go. */
enum { ROWS_OF_A_PRODUCT = 256 };

/* Rows whose dY are added as floats. A sum of many more would be off by so many roundings: of 2^8 they cost
 * at most 8 of the 24 bits. */
enum { ROWS_OF_A_SUM = 256 };

/* sums += column sums of dY, row by row; dY (rows, width), its rows `stride` floats apart. The sums are too
 * many for the registers: they are read and written once for four rows, which takes 0.6 times as long with
 * 64 columns as once for each. */
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

/* T_b = alpha * (column sums of dY) + beta * T_b; dY (rows, columns), its rows `stride` floats apart. The
 * sums are made apart, so that a bias much larger than its update is rounded once, not N times; many at a
 * time, since memory gives whole rows sooner than a bit of each: of 1024 columns sums of 64, which are
 * registers, took half as long again. */
PYNN_KERNEL(void, sum_columns,
            (size_t rows, size_t columns, size_t stride, float alpha, const float *dy, float beta,
             float *target),
            (rows, columns, stride, alpha, dy, beta, target)) {
    enum { MOST = 256 };
    for (size_t first = 0; first < columns; first += MOST) {
        size_t width = columns - first < MOST ? columns - first : MOST;
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

/* T_W = alpha * X^T dY + beta * T_W for the rows of W that belong to a strip of X, by lists of entries. */
static void accumulate_lists(const pynn_batch *batch, const network_layer *layer, size_t strip,
                             pynn_tile tile) {
    pynn_workspace *workspace = batch->workspace;
    size_t outputs = layer->outputs, begin = tile.row_begin, end = tile.row_end;
    const pynn_list *strips = workspace->strips + strip;
    pynn_entry *entries = workspace->column_entries + begin * PYNN_COLUMN_CAPACITY;
    pynn_list *columns = workspace->columns + begin;
    float *weights = batch->target + layer->weights_offset + begin * outputs;
    pynn_blocks blocks = pynn_cut_deltas(batch->count, outputs);
    for (size_t n = 0; n < batch->count; n += blocks.most_rows) {
        float beta = n == 0 ? batch->beta : 1.0f;
        size_t rows = pynn_least(blocks.most_rows, batch->count - n);
        pynn_list_columns(rows, strips + n * PYNN_MAX_STRIPS, begin, end, entries, columns);
        for (size_t o = 0; o < outputs; o += blocks.most_columns) {
            size_t width = pynn_least(blocks.most_columns, outputs - o);
            pynn_sum_lists(end - begin, columns, 1, width, pynn_block_at(workspace, &blocks, n, o), width,
                           batch->alpha, beta, weights + o, outputs);
        }
    }
}

/* T_W = alpha * X^T dY + beta * T_W for a tile of W. */
static void accumulate_dense(const pynn_batch *batch, size_t l, pynn_tile tile) {
    const pynn_workspace *workspace = batch->workspace;
    const network_layer *layer = &workspace->network->layers[l];
    size_t inputs = layer->inputs, outputs = layer->outputs;
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    float *weights = batch->target + layer->weights_offset + tile.row_begin * outputs + tile.column_begin;
    for (size_t n = 0; n < batch->count; n += ROWS_OF_A_PRODUCT) {
        size_t slice = pynn_least(ROWS_OF_A_PRODUCT, batch->count - n);
        const float *x = pynn_layer_inputs(workspace, l) + n * inputs + tile.row_begin;
        const float *dy = workspace->layers[l].deltas + n * outputs + tile.column_begin;
        /* T_W = alpha * X^T dY + beta * T_W */
        pynn_gemm(true, false, rows, columns, slice, batch->alpha, x, inputs, dy, outputs,
                  n == 0 ? batch->beta : 1.0f, weights, outputs);
    }
}

/* dY of the layer that takes lists is copied into blocks that lie in one piece each. Where it lies, the
 * rows of a block are a power of two apart as a rule, for which a cache has few places: with 256 outputs a
 * step of MNIST's products took 175 microseconds for dW there, and 125 here. */
void pynn_pack_deltas(const pynn_batch *batch, pynn_tile tile) {
    const pynn_workspace *workspace = batch->workspace;
    size_t outputs = workspace->network->layers[0].outputs;
    pynn_blocks blocks = pynn_cut_deltas(batch->count, outputs);
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        size_t first_row = n / blocks.most_rows * blocks.most_rows;
        const float *dy = workspace->layers[0].deltas + n * outputs;
        for (size_t o = tile.column_begin; o < tile.column_end;) {
            size_t first_column = o / blocks.most_columns * blocks.most_columns;
            size_t width = pynn_least(blocks.most_columns, outputs - first_column);
            size_t last = pynn_least(first_column + width, tile.column_end);
            float *block = pynn_block_at(workspace, &blocks, first_row, first_column);
            memcpy(block + (n - first_row) * width + o - first_column, dy + o, (last - o) * sizeof(float));
            o = last;
        }
    }
}

/* How the W of a stage is cut: into tiles; with lists of entries as X is into strips. */
static pynn_grid cut_weights(const pynn_batch *batch, size_t stage) {
    const pynn_network *network = batch->workspace->network;
    const network_layer *layer = &network->layers[network->stages[stage].first];
    if (pynn_takes_lists(batch, stage)) {
        pynn_grid grid =
            pynn_cut_strips(layer->inputs, layer->outputs); /* W has a row for each column of X */
        grid.columns = layer->outputs;
        return grid;
    }
    return pynn_cut_product(layer->inputs, layer->outputs, batch->count);
}

/* Task number `index` of T = alpha * dP + beta * T: a tile of the W of one stage. */
static void accumulate(void *context, size_t index) {
    const pynn_batch *batch = context;
    const pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    size_t stage = network->first_dense;
    pynn_grid grid = cut_weights(batch, stage);
    while (index >= pynn_grid_count(&grid)) {
        index -= pynn_grid_count(&grid);
        grid = cut_weights(batch, ++stage);
    }
    pynn_tile tile = pynn_grid_tile(&grid, index);
    size_t l = network->stages[stage].first;
    const network_layer *layer = &network->layers[l];
    if (pynn_takes_lists(batch, stage))
        accumulate_lists(batch, layer, index, tile);
    else
        accumulate_dense(batch, l, tile);
    if (tile.row_begin == 0) {
        const float *dy = workspace->layers[l].deltas + tile.column_begin;
        float *bias = batch->target + layer->bias_offset + tile.column_begin;
        sum_columns(batch->count, tile.column_end - tile.column_begin, layer->outputs, batch->alpha, dy,
                    batch->beta, bias);
    }
}

/* At batch 16 a second thread takes 1.17 times as long where the first layer is 784 x 64, and 0.82 times
 * where it is 784 x 256. */
void pynn_accumulate(const pynn_batch *batch) {
    const pynn_network *network = batch->workspace->network;
    size_t tasks = 0;
    double work = 0;
    for (size_t stage = network->first_dense; stage < network->stage_count; stage++) {
        const network_layer *layer = &network->layers[network->stages[stage].first];
        work += (double)layer->inputs * (double)layer->outputs * (double)batch->count;
        pynn_grid grid = cut_weights(batch, stage);
        tasks += pynn_grid_count(&grid);
    }
    pynn_team *team = work < PYNN_TASK_WORK ? NULL : batch->workspace->team;
    pynn_team_run(team, tasks, accumulate, (void *)batch);
}
