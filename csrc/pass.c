/* pass.c: a batch through the layers and its gradient back: the heart of the library.
 *
 * For a dense layer with inputs X (N, I), weights W (I, O), bias b (O,), outputs Y (N, O), and with
 * dY (N, O) the gradient of the loss with respect to Y:
 *
 *     Y = X W + b        dX = dY W^T        dW = X^T dY        db = column sums of dY
 *
 * The rows of a batch do not know of each other on the way to dX. So a pass is a sequence of steps
 * (of the pass, that is; a step of training is all of it),
 *
 *     gather, forward of each stage, output, backward of each stage above the first dense layer's,
 *
 * and where all matrices are small a block of rows takes many steps as one task, with all that it touches
 * in the cache. A step with a large W is better cut into tiles of its outputs, because each task of gemm
 * packs the W that it needs: such a step is a piece of work of its own. At the end comes dW, which sums
 * over all rows; its tasks are tiles of W. */
#include <math.h>
#include <string.h>

#include "denormals.h"
#include "gemm.h"
#include "internal.h"

/* A W of more floats than this is large: 128 kB, packed in some microseconds. For lists of entries, where
 * nothing is packed, see pynn_is_large_for_lists(). */
enum { LARGE_W = 32 * 1024 };

typedef enum step_kind { GATHER, FORWARD, OUTPUT, BACKWARD } step_kind;

typedef struct pass_step {
    step_kind kind;
    size_t stage; /* of FORWARD and BACKWARD */
} pass_step;

/* ---------------------------------------------------------------- the steps, on a tile */

/* Y = X W for a tile of Y, where X is lists of entries; w and y point to the tile's first column. Strip by
 * strip, so that the W of a strip stays in the innermost cache for all rows of the tile. */
static void forward_lists(const pynn_batch *batch, pynn_tile tile, const float *w, float *y) {
    const pynn_workspace *workspace = batch->workspace;
    const network_layer *layer = &workspace->network->layers[0];
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    size_t outputs = layer->outputs;
    const pynn_list *lists = workspace->strips + tile.row_begin * PYNN_MAX_STRIPS;
    pynn_grid strips = pynn_cut_strips(layer->inputs, outputs);
    for (size_t s = 0; s < pynn_grid_count(&strips); s++)
        pynn_sum_lists(rows, lists + s, PYNN_MAX_STRIPS, columns, w, outputs, 1.0f, s == 0 ? 0.0f : 1.0f, y,
                       outputs);
}

/* Y = f(X W + b) for a tile of Y: the dense layer and the activations of a stage. */
static void forward(const pynn_batch *batch, size_t stage, pynn_tile tile) {
    const pynn_workspace *workspace = batch->workspace;
    const network_layer *layers = workspace->network->layers;
    size_t l = workspace->network->stages[stage].first;
    size_t end = workspace->network->stages[stage].end;
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    size_t inputs = layers[l].inputs, outputs = layers[l].outputs;
    size_t corner = tile.row_begin * outputs + tile.column_begin;
    if (layers[l].kind == PYNN_DENSE) {
        const float *weights = batch->parameters + layers[l].weights_offset + tile.column_begin;
        const float *bias = batch->parameters + layers[l].bias_offset + tile.column_begin;
        const float *x = pynn_layer_inputs(workspace, l) + tile.row_begin * inputs;
        float *y = workspace->layers[l].outputs + corner;
        if (pynn_takes_lists(batch, stage))
            forward_lists(batch, tile, weights, y);
        else
            /* Y = X W */
            pynn_gemm(false, false, rows, columns, inputs, 1.0f, x, inputs, weights, outputs, 0.0f, y,
                      outputs);
        pynn_add_bias(rows, columns, outputs, bias, y);
        l++;
    }
    if (columns == outputs) { /* one stretch of memory */
        columns *= rows;
        rows = 1;
    }
    for (; l < end; l++) {
        if (layers[l].kind == PYNN_DROPOUT) {
            for (size_t n = 0; n < rows; n++) pynn_dropout_forward(batch, l, corner + n * outputs, columns);
            continue;
        }
        const float *x = pynn_layer_inputs(workspace, l) + corner;
        float *y = workspace->layers[l].outputs + corner;
        for (size_t n = 0; n < rows; n++, x += outputs, y += outputs)
            pynn_activation_forward(&layers[l], columns, x, y);
    }
}

/* The losses of a block of rows and their gradient with respect to the last layer's outputs z. */
static void find_loss(const pynn_batch *batch, pynn_tile tile, const float *z, pynn_sums *sums) {
    const pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    size_t outputs = network->outputs, row = tile.row_begin, rows = tile.row_end - row;
    const float *weights = batch->data->weights != NULL ? workspace->weights + row : NULL;
    float *deltas = workspace->layers[network->layer_count - 1].deltas + row * outputs;
    float scale = 1.0f / (float)batch->count;
    switch (network->loss.kind) {
    case PYNN_SOFTMAX_CROSS_ENTROPY:
        pynn_softmax_cross_entropy(rows, outputs, z, workspace->labels + row, network->loss.label_smoothing,
                                   weights, scale, deltas, sums);
        break;
    case PYNN_MEAN_SQUARED_ERROR:
        pynn_mean_squared_error(rows, outputs, z, workspace->targets + row * outputs, weights, scale,
                                deltas, sums);
        break;
    case PYNN_BINARY_CROSS_ENTROPY:
        pynn_binary_cross_entropy(rows, outputs, z, workspace->targets + row * outputs, weights, scale,
                                  deltas, sums);
        break;
    }
}

/* What the batch is for, from the outputs of a block of rows. */
static void output(const pynn_batch *batch, pynn_tile tile, size_t block) {
    pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    size_t outputs = network->outputs, rows = tile.row_end - tile.row_begin;
    size_t first = tile.row_begin * outputs;
    const float *z = workspace->layers[network->layer_count - 1].outputs + first;
    if (batch->purpose == PYNN_FOR_LOGITS)
        memcpy(batch->out + first, z, rows * outputs * sizeof(float));
    else if (batch->purpose == PYNN_FOR_PROBABILITIES && network->loss.kind == PYNN_BINARY_CROSS_ENTROPY)
        pynn_sigmoids(rows * outputs, z, batch->out + first);
    else if (batch->purpose == PYNN_FOR_PROBABILITIES)
        pynn_softmax(rows, outputs, z, batch->out + first);
    else
        find_loss(batch, tile, z, &workspace->parts[block]);
}

/* Multiply dY by the derivatives of a stage's activations, from the last to the first, for a tile: from
 * the gradient with respect to the stage's outputs to that with respect to its dense layer's. */
static void backward_activations(const pynn_workspace *workspace, size_t stage, pynn_tile tile) {
    const network_stage *layers = &workspace->network->stages[stage];
    size_t outputs = workspace->network->layers[layers->first].outputs;
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    if (columns == outputs) { /* one stretch of memory */
        columns *= rows;
        rows = 1;
    }
    for (size_t l = layers->end - 1; l > layers->first; l--) {
        const network_layer *layer = &workspace->network->layers[l];
        size_t corner = tile.row_begin * outputs + tile.column_begin;
        for (size_t n = 0; n < rows; n++, corner += outputs) {
            float *dy = workspace->layers[l].deltas + corner;
            float *dx = workspace->layers[l - 1].deltas + corner;
            if (layer->kind == PYNN_DROPOUT) {
                pynn_dropout_backward(workspace, l, corner, columns);
                continue;
            }
            if (dx != dy) memcpy(dx, dy, columns * sizeof(float));
            const float *x = pynn_layer_inputs(workspace, l) + corner;
            pynn_activation_backward(layer, columns, x, workspace->layers[l].outputs + corner, dx);
        }
    }
}

/* dX = (dY W^T) f'(X), for a tile of dX: from the gradient with respect to the outputs of a stage's dense
 * layer to that of the stage below. */
static void backward(const pynn_batch *batch, size_t stage, pynn_tile tile) {
    const pynn_workspace *workspace = batch->workspace;
    size_t l = workspace->network->stages[stage].first;
    const network_layer *layer = &workspace->network->layers[l];
    size_t rows = tile.row_end - tile.row_begin, columns = tile.column_end - tile.column_begin;
    size_t inputs = layer->inputs, outputs = layer->outputs;
    const float *weights = batch->parameters + layer->weights_offset + tile.column_begin * outputs;
    const float *dy = workspace->layers[l].deltas + tile.row_begin * outputs;
    float *dx = workspace->layers[l - 1].deltas + tile.row_begin * inputs + tile.column_begin;
    /* dX = dY W^T */
    pynn_gemm(false, true, rows, columns, outputs, 1.0f, dy, outputs, weights, outputs, 0.0f, dx, inputs);
    backward_activations(workspace, stage - 1, tile);
}

/* ---------------------------------------------------------------- the sequence of steps */

/* Step number `index` of a batch: see the top of this file. */
static pass_step step_at(const pynn_network *network, size_t index) {
    size_t stages = network->stage_count;
    if (index == 0) return (pass_step){GATHER, 0};
    if (index <= stages) return (pass_step){FORWARD, index - 1};
    if (index == stages + 1) return (pass_step){OUTPUT, stages - 1};
    return (pass_step){BACKWARD, stages - 1 - (index - stages - 2)};
}

static size_t step_count(const pynn_batch *batch) {
    const pynn_network *network = batch->workspace->network;
    size_t count = network->stage_count + 2;
    if (batch->purpose == PYNN_FOR_GRADIENT) count += network->stage_count - 1 - network->first_dense;
    return count;
}

/* Whether lists of entries, too, are better cut into tiles: where W is too large for a cache, and where a
 * batch that is one block leaves the other threads nothing else. With 512 outputs, batch 16 and half of the
 * inputs not zero a step takes 0.8 of the time so; with 256 outputs there is as much lost as gained. */
static bool is_large_for_lists(const network_layer *layer, size_t count) {
    bool is_one_block = pynn_cut_rows(count).row_cuts == 1;
    return pynn_is_large_for_lists(layer->inputs, layer->outputs * (is_one_block ? 2 : 1));
}

/* Whether a step is better cut into tiles of its outputs than into rows. */
static bool is_large(const pynn_batch *batch, pass_step step) {
    const pynn_network *network = batch->workspace->network;
    const network_layer *layer = &network->layers[network->stages[step.stage].first];
    if (step.kind == GATHER || step.kind == OUTPUT || layer->kind != PYNN_DENSE) return false;
    if (step.kind == FORWARD && pynn_takes_lists(batch, step.stage))
        return is_large_for_lists(layer, batch->count);
    return layer->inputs * layer->outputs > LARGE_W;
}

static void do_step(const pynn_batch *batch, pass_step step, pynn_tile tile, size_t block) {
    switch (step.kind) {
    case GATHER: batch->workspace->finite[block] = pynn_gather(batch, tile); break;
    case FORWARD: forward(batch, step.stage, tile); break;
    case OUTPUT:
        output(batch, tile, block);
        if (batch->purpose == PYNN_FOR_GRADIENT) backward_activations(batch->workspace, step.stage, tile);
        break;
    case BACKWARD: backward(batch, step.stage, tile); break;
    }
    bool ends = step.kind == BACKWARD ? step.stage == 1 : step.kind == OUTPUT && step.stage == 0;
    if (ends && batch->purpose == PYNN_FOR_GRADIENT && pynn_takes_lists(batch, 0))
        pynn_pack_deltas(batch, tile);
}

/* A piece of work: the steps first .. end - 1 for each block of rows, or one step for each tile. */
typedef struct pass_piece {
    const pynn_batch *batch;
    size_t first;
    size_t end;
    pynn_grid grid;
} pass_piece;

/* For steps on whole rows: all columns, however many a step's matrix has. */
static pynn_tile whole_rows(const pynn_network *network, pass_step step, pynn_tile tile) {
    const network_layer *layer = &network->layers[network->stages[step.stage].first];
    tile.column_begin = 0;
    tile.column_end = step.kind == BACKWARD ? layer->inputs : layer->outputs;
    return tile;
}

static void do_block(void *context, size_t index) {
    const pass_piece *piece = context;
    const pynn_network *network = piece->batch->workspace->network;
    pynn_tile block = pynn_grid_tile(&piece->grid, index);
    for (size_t s = piece->first; s < piece->end; s++) {
        pass_step step = step_at(network, s);
        do_step(piece->batch, step, whole_rows(network, step, block), index);
    }
}

static void do_tile(void *context, size_t index) {
    const pass_piece *piece = context;
    pass_step step = step_at(piece->batch->workspace->network, piece->first);
    do_step(piece->batch, step, pynn_grid_tile(&piece->grid, index), 0);
}

/* A large step, cut into tiles of what it computes. */
static pynn_grid cut_large(const pynn_batch *batch, pass_step step) {
    const pynn_network *network = batch->workspace->network;
    const network_layer *layer = &network->layers[network->stages[step.stage].first];
    if (step.kind == BACKWARD) return pynn_cut_product(batch->count, layer->inputs, layer->outputs);
    return pynn_cut_product(batch->count, layer->outputs, layer->inputs);
}

/* ---------------------------------------------------------------- all of it */

/* Add up what the blocks of rows have found, always in the same order: pynn_run_batch()'s result. */
static bool add_parts(const pynn_batch *batch, pynn_sums *sums) {
    const pynn_workspace *workspace = batch->workspace;
    bool has_loss = batch->purpose == PYNN_FOR_GRADIENT || batch->purpose == PYNN_FOR_SUMS, finite = true;
    size_t blocks = pynn_cut_rows(batch->count).row_cuts;
    for (size_t b = 0; b < blocks; b++) {
        finite = finite && workspace->finite[b];
        if (!has_loss) continue;
        sums->loss += workspace->parts[b].loss;
        sums->correct += workspace->parts[b].correct;
        sums->rows += workspace->parts[b].rows;
    }
    return finite && (!has_loss || isfinite(sums->loss));
}

bool pynn_run_batch(const pynn_batch *batch, pynn_sums *sums) {
    pynn_workspace *workspace = batch->workspace;
    uint64_t mode = pynn_flush_denormals();
    size_t steps = step_count(batch);
    for (size_t first = 0, end; first < steps; first = end) {
        pass_step step = step_at(workspace->network, first);
        pass_piece piece = {batch, first, first + 1, pynn_cut_rows(batch->count)};
        pynn_task task = do_block;
        if (is_large(batch, step)) {
            piece.grid = cut_large(batch, step);
            task = do_tile;
        } else {
            while (piece.end < steps && !is_large(batch, step_at(workspace->network, piece.end)))
                piece.end++;
        }
        end = piece.end;
        pynn_team_run(workspace->team, pynn_grid_count(&piece.grid), task, &piece);
    }
    bool finite = add_parts(batch, sums);
    if (batch->purpose == PYNN_FOR_GRADIENT && finite) pynn_accumulate(batch);
    pynn_restore_denormals(mode);
    return finite;
}
