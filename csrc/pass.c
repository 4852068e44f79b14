/* pass.c: a batch through the layers and its gradient back: the heart of the library.
 *
 * What a layer computes stands in layers/, for a dense layer in layers/dense.c:
 *
 *     Y = X W + b        dX = dY W^T        dW = X^T dY        db = column sums of dY
 *
 * Here is in which order, and on which part of the batch. The rows of a batch do not know of each other on
 * the way to dX. So a pass is a sequence of steps (of the pass, that is; a step of training is all of it),
 *
 *     gather, forward of each stage, output, backward of each stage above the first that is trained,
 *
 * and where all matrices are small a block of rows takes many steps as one task, with all that it touches
 * in the cache. A step with a large W is better cut into tiles of its outputs, because each task of gemm
 * packs the W that it needs: such a step is a piece of work of its own. At the end comes the gradient of
 * the parameters, dW and db, which sums over all rows; its tasks are tiles of W. */
#include <math.h>
#include <string.h>

#include "base/denormals.h"
#include "internal.h"

/* A W of more floats than this is large: 128 kB, packed in some microseconds. For sparse rows, where
 * nothing is packed, see pynn_is_large_for_sparse(). */
enum { LARGE_W = 32 * 1024 };

typedef enum step_kind { GATHER, FORWARD, OUTPUT, BACKWARD } step_kind;

typedef struct pass_step {
    step_kind kind;
    size_t stage; /* of FORWARD and BACKWARD */
} pass_step;

/* ---------------------------------------------------------------- the steps, on a tile */

/* What the functions of layer l work on. */
static pynn_layer_call call_of(const pynn_batch *batch, size_t l) {
    pynn_workspace *workspace = batch->workspace;
    const pynn_placed_layer *layer = &workspace->network->layers[l];
    return (pynn_layer_call){
        .layer = layer,
        .rows = batch->count,
        .parameters = batch->parameters + layer->parameter_offset,
        .x = l == 0 ? workspace->inputs : workspace->layers[l - 1].outputs,
        .y = workspace->layers[l].outputs,
        .dy = workspace->layers[l].deltas,
        .dx = l == 0 ? NULL : workspace->layers[l - 1].deltas,
        .scratch = workspace->layers[l].scratch,
        .sparse = l == 0 && batch->sparse ? &workspace->sparse : NULL,
        .state = batch->state,
        .has_backward = batch->purpose == PYNN_FOR_GRADIENT,
    };
}

/* Y = f(X W + b) for a tile of Y: all layers of a stage. */
static void forward(const pynn_batch *batch, size_t stage, pynn_tile tile) {
    const network_stage *layers = &batch->workspace->network->stages[stage];
    for (size_t l = layers->first; l < layers->end; l++) {
        pynn_layer_call call = call_of(batch, l);
        call.layer->type->forward(&call, tile);
    }
}

/* The losses of a block of rows and their gradient with respect to the last layer's outputs z. */
static void find_loss(const pynn_batch *batch, pynn_tile tile, const float *z, pynn_sums *sums) {
    const pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    bool has_labels = network->loss_type->has_labels;
    size_t outputs = network->outputs, row = tile.row_begin;
    pynn_loss_rows rows = {
        .rows = tile.row_end - row,
        .outputs = outputs,
        .z = z,
        .labels = has_labels ? workspace->labels + row : NULL,
        .targets = has_labels ? NULL : workspace->targets + row * outputs,
        .weights = batch->data->weights != NULL ? workspace->weights + row : NULL,
        .scale = 1.0f / (float)batch->count,
        .dz = workspace->layers[network->layer_count - 1].deltas + row * outputs,
    };
    network->loss_type->compute(&network->loss, &rows, sums);
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
    else if (batch->purpose == PYNN_FOR_PROBABILITIES)
        network->loss_type->probabilities(rows, outputs, z, batch->out + first);
    else
        find_loss(batch, tile, z, &workspace->parts[block]);
}

/* For a tile: from the gradient with respect to the outputs of a stage to that with respect to the outputs
 * of its first layer, dY = dY f'(X), from the last layer to the second. */
static void backward_values(const pynn_batch *batch, size_t stage, pynn_tile tile) {
    const network_stage *layers = &batch->workspace->network->stages[stage];
    for (size_t l = layers->end - 1; l > layers->first; l--) {
        pynn_layer_call call = call_of(batch, l);
        call.layer->type->backward(&call, tile);
    }
}

/* dX = (dY W^T) f'(X), for a tile of dX: from the gradient with respect to the outputs of a stage's first
 * layer to that of the stage below. */
static void backward(const pynn_batch *batch, size_t stage, pynn_tile tile) {
    pynn_layer_call call = call_of(batch, batch->workspace->network->stages[stage].first);
    call.layer->type->backward(&call, tile);
    backward_values(batch, stage - 1, tile);
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
    if (batch->purpose == PYNN_FOR_GRADIENT) count += network->stage_count - 1 - network->first_trained;
    return count;
}

/* The layer that says how a step may be cut: the first of its stage. */
static const pynn_placed_layer *layer_of(const pynn_batch *batch, pass_step step) {
    const pynn_network *network = batch->workspace->network;
    return &network->layers[network->stages[step.stage].first];
}

/* Whether sparse rows, too, are better cut into tiles: where W is too large for a cache, and where a batch
 * that is one block leaves the other threads nothing else. With 512 outputs, batch 16 and half of the
 * inputs not zero a step takes 0.8 of the time so; with 256 outputs there is as much lost as gained. */
static bool is_large_for_sparse(const pynn_placed_layer *layer, size_t count) {
    bool is_one_block = pynn_cut_rows(count).row_cuts == 1;
    return pynn_is_large_for_sparse(layer->inputs, layer->outputs * (is_one_block ? 2 : 1));
}

/* Whether a step is better cut into tiles of its outputs than into rows. */
static bool is_large(const pynn_batch *batch, pass_step step) {
    const pynn_placed_layer *layer = layer_of(batch, step);
    if (step.kind == GATHER || step.kind == OUTPUT) return false;
    if (layer->type->reach != PYNN_REACH_PRODUCT) return false;
    if (step.kind == FORWARD && step.stage == 0 && batch->sparse)
        return is_large_for_sparse(layer, batch->count);
    return layer->inputs * layer->outputs > LARGE_W;
}

/* The packed dY of the layer with the sparse inputs. */
static void pack(const pynn_batch *batch, pynn_tile tile) {
    const pynn_workspace *workspace = batch->workspace;
    pynn_pack_dy(&workspace->sparse, batch->count, workspace->network->layers[0].outputs,
                 workspace->layers[0].deltas, tile);
}

static void do_step(const pynn_batch *batch, pass_step step, pynn_tile tile, size_t block) {
    switch (step.kind) {
    case GATHER: batch->workspace->finite[block] = pynn_gather(batch, tile); break;
    case FORWARD: forward(batch, step.stage, tile); break;
    case OUTPUT:
        output(batch, tile, block);
        if (batch->purpose == PYNN_FOR_GRADIENT) backward_values(batch, step.stage, tile);
        break;
    case BACKWARD: backward(batch, step.stage, tile); break;
    }
    bool ends = step.kind == BACKWARD ? step.stage == 1 : step.kind == OUTPUT && step.stage == 0;
    if (ends && batch->purpose == PYNN_FOR_GRADIENT && batch->sparse) pack(batch, tile);
}

/* A piece of work: the steps first .. end - 1 for each block of rows, or one step for each tile. */
typedef struct pass_piece {
    const pynn_batch *batch;
    size_t first;
    size_t end;
    pynn_grid grid;
} pass_piece;

/* For steps on whole rows: all columns, however many a step's matrix has. */
static pynn_tile whole_rows(const pynn_batch *batch, pass_step step, pynn_tile tile) {
    const pynn_placed_layer *layer = layer_of(batch, step);
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
        do_step(piece->batch, step, whole_rows(piece->batch, step, block), index);
    }
}

static void do_tile(void *context, size_t index) {
    const pass_piece *piece = context;
    pass_step step = step_at(piece->batch->workspace->network, piece->first);
    do_step(piece->batch, step, pynn_grid_tile(&piece->grid, index), 0);
}

/* A large step, cut into tiles of what it computes. */
static pynn_grid cut_large(const pynn_batch *batch, pass_step step) {
    const pynn_placed_layer *layer = layer_of(batch, step);
    if (step.kind == BACKWARD) return pynn_cut_product(batch->count, layer->inputs, layer->outputs);
    return pynn_cut_product(batch->count, layer->outputs, layer->inputs);
}

/* ---------------------------------------------------------------- the gradient of the parameters */

/* Task number `index` of T = alpha * dP + beta * T: one of those of the first layer of each stage. */
static void accumulate_task(void *context, size_t index) {
    const pynn_batch *batch = context;
    const pynn_network *network = batch->workspace->network;
    for (size_t stage = network->first_trained;; stage++) {
        pynn_layer_call call = call_of(batch, network->stages[stage].first);
        pynn_grid grid = call.layer->type->cut(&call);
        size_t tasks = pynn_grid_count(&grid);
        if (index < tasks) {
            pynn_target target = batch->target;
            target.parameters += call.layer->parameter_offset;
            call.layer->type->accumulate(&call, index, &target);
            return;
        }
        index -= tasks;
    }
}

/* T = alpha * dP + beta * T, after the backward of all stages. Where little is to be done the calling
 * thread does it: at batch 16 a second thread takes 1.17 times as long where the first layer is 784 x 64,
 * and 0.82 times where it is 784 x 256. */
static void accumulate(const pynn_batch *batch) {
    const pynn_network *network = batch->workspace->network;
    size_t tasks = 0;
    double work = (double)network->parameter_count * (double)batch->count;
    for (size_t stage = network->first_trained; stage < network->stage_count; stage++) {
        pynn_layer_call call = call_of(batch, network->stages[stage].first);
        pynn_grid grid = call.layer->type->cut(&call);
        tasks += pynn_grid_count(&grid);
    }
    pynn_team *team = work < PYNN_TASK_WORK ? NULL : batch->workspace->team;
    pynn_team_run(team, tasks, accumulate_task, (void *)batch);
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
    if (batch->purpose == PYNN_FOR_GRADIENT && finite) accumulate(batch);
    pynn_restore_denormals(mode);
    return finite;
}
