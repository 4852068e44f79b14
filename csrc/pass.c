/* pass.c: a batch goes through the layers and its gradient comes back. This is the heart of the library.
 *
 * What a layer computes stands in layers/, for a dense layer in layers/dense.c:
 *
 *     Y = X W + b        dX = dY W^T        dW = X^T dY        db = column sums of dY
 *
 * This file says in which order that is done, and on which part of the batch. A pass is a sequence of steps
 * (here never a step of training, which is a whole pass and an update), which network.c lists:
 *
 *     gather, forward of each stage, output, backward of each stage above the first that is trained
 *
 * None of them mixes the rows of the batch. So a pass can be cut into tasks in two ways. If the weight
 * matrices are small, a task takes a block of rows through many steps, and all that it touches stays in the
 * cache. A step of a dense layer with a large W is better cut into tiles of its outputs, because each task
 * of gemm packs the W that it needs. Such a step is a piece of work of its own, and so are the steps before
 * it and the steps after it: a piece begins when all tasks of the piece before it are done.
 *
 * Some kinds of layers need sums over the rows: batch normalization its means, convolution the gradient of
 * its weights, which is too small to be cut. Each block of rows then writes sums of its own, in a step
 * before forward (observe) or before backward (sum). Forward and backward of batch normalization read the
 * sums of all blocks, so they begin a piece.
 *
 * Last comes the gradient of the parameters, for a dense layer dW and db. It is a sum over all rows, so its
 * tasks are parts of the parameters, for a dense layer tiles of W, and not blocks of rows. Frozen layers
 * have no such tasks, and below the first layer that is trained no step goes backward. */
#include <math.h>
#include <string.h>

#include "base/denormals.h"
#include "internal.h"

/* The W of a dense layer is large if it has more floats than this: 128 kB, which take some microseconds to
 * pack. For sparse rows nothing is packed: see pynn_is_large_for_sparse(). */
enum { LARGE_W = 32 * 1024 };

/* ---------------------------------------------------------------- the steps, on a tile */

/* The arrays that the functions of layer l work on. */
static pynn_layer_call call_of(const pynn_batch *batch, size_t l, size_t block) {
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
        .block_scratch = workspace->layers[l].block_scratch,
        .block = block,
        .blocks = pynn_cut_rows(batch->count).row_cuts,
        .sparse = l == 0 && batch->sparse ? &workspace->sparse : NULL,
        .state = batch->state,
        .has_backward = batch->purpose == PYNN_FOR_GRADIENT,
    };
}

/* Y for a tile of Y: all layers of a stage, one after the other. If it begins with a dense layer,
 * Y = f(X W + b). */
static void forward(const pynn_batch *batch, size_t stage, pynn_tile tile, size_t block) {
    const pynn_stage *layers = &batch->workspace->network->stages[stage];
    for (size_t l = layers->first; l < layers->end; l++) {
        pynn_layer_call call = call_of(batch, l, block);
        call.layer->type->forward(&call, tile);
    }
}

/* The errors of a block of rows, (2, outputs); NULL for a loss without any. */
static double *errors_of(const pynn_workspace *workspace, size_t block) {
    return workspace->errors == NULL ? NULL : workspace->errors + block * 2 * workspace->network->outputs;
}

/* Compute the losses of a block of rows, and the gradient of the mean loss with respect to the last layer's
 * outputs z. */
static void find_loss(const pynn_batch *batch, pynn_tile tile, const float *z, size_t block) {
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
        .errors = errors_of(workspace, block),
    };
    network->loss_type->compute(&network->loss, &rows, &workspace->parts[block]);
}

/* Write the outputs of some rows, in the units of the targets. */
static void write_outputs(const pynn_batch *batch, size_t rows, const float *z, float *out) {
    const pynn_network *network = batch->workspace->network;
    size_t outputs = network->outputs;
    const float *mean = pynn_target_mean(network, batch->parameters);
    memcpy(out, z, rows * outputs * sizeof(float));
    for (size_t n = 0; n < rows && mean != NULL; n++, out += outputs) {
        for (size_t o = 0; o < outputs; o++) out[o] = out[o] * mean[outputs + o] + mean[o];
    }
}

/* Compute the result of the pass for a block of rows, from its outputs: logits, probabilities, or
 * losses. */
static void output(const pynn_batch *batch, pynn_tile tile, size_t block) {
    pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    size_t outputs = network->outputs, rows = tile.row_end - tile.row_begin;
    size_t first = tile.row_begin * outputs;
    const float *z = workspace->layers[network->layer_count - 1].outputs + first;
    if (batch->purpose == PYNN_FOR_LOGITS)
        write_outputs(batch, rows, z, batch->out + first);
    else if (batch->purpose == PYNN_FOR_PROBABILITIES)
        network->loss_type->probabilities(rows, outputs, z, batch->out + first);
    else
        find_loss(batch, tile, z, block);
}

/* Backward for a tile, dX = dY f'(X), through all layers of a stage but its first, from the last one down.
 * So the gradient with respect to the outputs of the stage becomes that with respect to the outputs of its
 * first layer. */
static void backward_values(const pynn_batch *batch, size_t stage, pynn_tile tile) {
    const pynn_stage *layers = &batch->workspace->network->stages[stage];
    for (size_t l = layers->end - 1; l > layers->first; l--) {
        pynn_layer_call call = call_of(batch, l, 0);
        call.layer->type->backward(&call, tile);
    }
}

/* dX for a tile of dX: from the gradient with respect to the outputs of a stage's first layer to the
 * gradient with respect to the outputs of the first layer of the stage below. If the stage begins with a
 * dense layer, dX = (dY W^T) f'(X), where f are the other layers of the stage below. */
static void backward(const pynn_batch *batch, size_t stage, pynn_tile tile, size_t block) {
    pynn_layer_call call = call_of(batch, batch->workspace->network->stages[stage].first, block);
    call.layer->type->backward(&call, tile);
    backward_values(batch, stage - 1, tile);
}

/* ---------------------------------------------------------------- the sequence of steps */

/* How many steps of the network's list a pass has. */
static size_t step_count(const pynn_batch *batch) {
    const pynn_network *network = batch->workspace->network;
    return batch->purpose == PYNN_FOR_GRADIENT ? network->step_count : network->forward_step_count;
}

/* The layer that decides how a step may be cut: the first layer of its stage. */
static const pynn_placed_layer *layer_of(const pynn_batch *batch, pynn_pass_step step) {
    const pynn_network *network = batch->workspace->network;
    return &network->layers[network->stages[step.stage].first];
}

/* Whether a step on sparse rows is better cut into tiles, too. This is so if W is too large for a cache, or
 * if the batch is one block of rows, which leaves the other threads without work. With 512 outputs, batch
 * 16 and half of the inputs not zero a training step then takes 0.8 of the time; with 256 outputs as much
 * is lost as gained. */
static bool is_large_for_sparse(const pynn_placed_layer *layer, size_t count) {
    bool is_one_block = pynn_cut_rows(count).row_cuts == 1;
    return pynn_is_large_for_sparse(layer->inputs, layer->outputs * (is_one_block ? 2 : 1));
}

/* Whether a step is better cut into tiles of its outputs than into blocks of rows. */
static bool is_large(const pynn_batch *batch, pynn_pass_step step) {
    const pynn_placed_layer *layer = layer_of(batch, step);
    if (step.kind != PYNN_FORWARD && step.kind != PYNN_BACKWARD) return false;
    if (layer->type->reach != PYNN_REACH_PRODUCT) return false;
    if (step.kind == PYNN_FORWARD && step.stage == 0 && batch->sparse)
        return is_large_for_sparse(layer, batch->count);
    return layer->inputs * layer->outputs > LARGE_W;
}

/* Whether a step reads what the tasks of all blocks of rows have written. */
static bool needs_whole_batch(const pynn_batch *batch, pynn_pass_step step) {
    const pynn_placed_layer *layer = layer_of(batch, step);
    return batch->purpose == PYNN_FOR_GRADIENT && layer->type->reach == PYNN_REACH_BATCH &&
           !layer->layer.frozen && (step.kind == PYNN_FORWARD || step.kind == PYNN_BACKWARD);
}

/* Pack a tile of dY of the first layer, for the product with its sparse inputs. */
static void pack(const pynn_batch *batch, pynn_tile tile) {
    const pynn_workspace *workspace = batch->workspace;
    pynn_pack_dy(&workspace->sparse, batch->count, workspace->network->layers[0].outputs,
                 workspace->layers[0].deltas, tile);
}

/* Do a step for a tile, or for the block of rows number `block`.
 *
 * The gradient comes to the outputs of the first layer in the last step: backward of stage 1, or, if there
 * is one stage only, output. For sparse inputs dY is then packed in the same task, while the tile is in the
 * cache. */
static void do_step(const pynn_batch *batch, pynn_pass_step step, pynn_tile tile, size_t block) {
    pynn_layer_call call = call_of(batch, batch->workspace->network->stages[step.stage].first, block);
    switch (step.kind) {
    case PYNN_GATHER: batch->workspace->finite[block] = pynn_gather(batch, tile, block); break;
    case PYNN_OBSERVE:
        if (call.has_backward) call.layer->type->observe(&call, tile);
        break;
    case PYNN_SUM: call.layer->type->sum(&call, tile); break;
    case PYNN_FORWARD: forward(batch, step.stage, tile, block); break;
    case PYNN_OUTPUT:
        output(batch, tile, block);
        if (batch->purpose == PYNN_FOR_GRADIENT) backward_values(batch, step.stage, tile);
        break;
    case PYNN_BACKWARD: backward(batch, step.stage, tile, block); break;
    }
    bool ends = step.kind == PYNN_BACKWARD ? step.stage == 1 : step.kind == PYNN_OUTPUT && step.stage == 0;
    if (ends && batch->purpose == PYNN_FOR_GRADIENT && batch->sparse) pack(batch, tile);
}

/* A piece of work: either the steps first .. end - 1 for each block of rows, or the one step `first` for
 * each tile. The steps of a block need no other block, and the tiles of a step need no other tile of that
 * step. So the tasks of a piece may be done in any order and at the same time. */
typedef struct pass_piece {
    const pynn_batch *batch;
    size_t first;
    size_t end;
    pynn_grid grid;
} pass_piece;

/* The tile of a step that is done on whole rows: the rows of `tile`, and all columns of what the step
 * computes. */
static pynn_tile whole_rows(const pynn_batch *batch, pynn_pass_step step, pynn_tile tile) {
    const pynn_placed_layer *layer = layer_of(batch, step);
    tile.column_begin = 0;
    tile.column_end = step.kind == PYNN_BACKWARD ? layer->inputs : layer->outputs;
    return tile;
}

/* A task of a piece: its steps for a block of rows. */
static void do_block(void *context, size_t index) {
    const pass_piece *piece = context;
    const pynn_network *network = piece->batch->workspace->network;
    pynn_tile block = pynn_grid_tile(&piece->grid, index);
    for (size_t s = piece->first; s < piece->end; s++) {
        pynn_pass_step step = network->steps[s];
        do_step(piece->batch, step, whole_rows(piece->batch, step, block), index);
    }
}

/* A task of a piece: its one step for a tile. */
static void do_tile(void *context, size_t index) {
    const pass_piece *piece = context;
    pynn_pass_step step = piece->batch->workspace->network->steps[piece->first];
    do_step(piece->batch, step, pynn_grid_tile(&piece->grid, index), 0);
}

/* How a large step is cut into tiles of what it computes. */
static pynn_grid cut_large(const pynn_batch *batch, pynn_pass_step step) {
    const pynn_placed_layer *layer = layer_of(batch, step);
    if (step.kind == PYNN_BACKWARD) return pynn_cut_product(batch->count, layer->inputs, layer->outputs);
    return pynn_cut_product(batch->count, layer->outputs, layer->inputs);
}

/* ---------------------------------------------------------------- the gradient of the parameters */

/* How many tasks the gradient of a layer's parameters is; none without parameters, or if they are frozen.
 */
static size_t task_count(const pynn_layer_call *call) {
    if (call->layer->type->cut == NULL || call->layer->layer.frozen) return 0;
    pynn_grid grid = call->layer->type->cut(call);
    return pynn_grid_count(&grid);
}

/* Task number `index` of T = alpha * dP + beta * T. The tasks are those of the first layer of each stage,
 * in the order of the stages; the other layers of a stage have no parameters. A stage below the first that
 * is trained may have parameters, too, whose gradient is 0. */
static void accumulate_task(void *context, size_t index) {
    const pynn_batch *batch = context;
    const pynn_network *network = batch->workspace->network;
    for (size_t stage = 0;; stage++) {
        pynn_layer_call call = call_of(batch, network->stages[stage].first, 0);
        size_t tasks = task_count(&call);
        if (index < tasks) {
            pynn_target target = batch->target;
            target.parameters += call.layer->parameter_offset;
            call.layer->type->accumulate(&call, index, &target);
            return;
        }
        index -= tasks;
    }
}

/* T = alpha * dP + beta * T, after backward of all stages. What could go wrong in a step of plain SGD,
 * where T is the parameters themselves: a weight changes while backward still reads it. It does not,
 * because all pieces of the pass are done before.
 *
 * If there is little to do, the calling thread does it alone. At batch 16 a second thread makes this take
 * 1.17 times as long where the first layer is 784 x 64, and 0.82 times as long where it is 784 x 256. */
static void accumulate(const pynn_batch *batch) {
    const pynn_network *network = batch->workspace->network;
    size_t tasks = 0;
    double work = (double)network->parameter_count * (double)batch->count;
    for (size_t stage = 0; stage < network->stage_count; stage++) {
        pynn_layer_call call = call_of(batch, network->stages[stage].first, 0);
        tasks += task_count(&call);
    }
    pynn_team *team = work < (double)PYNN_TASK_WORK ? NULL : batch->workspace->team;
    pynn_team_run(team, tasks, accumulate_task, (void *)batch);
    /* Mean and scale of the targets stay as they are   @mean_squared_error.kept */
    float *mean = batch->target.parameters + network->target_offset;
    for (size_t i = 0; i < 2 * network->outputs && network->has_target_scale; i++)
        mean[i] = pynn_blend(&batch->target, 0.0, &mean[i]);
}

/* ---------------------------------------------------------------- the whole pass */

/* Whether a step begins a piece of work. */
static bool begins_piece(const pynn_batch *batch, pynn_pass_step step) {
    return is_large(batch, step) || needs_whole_batch(batch, step);
}

/* Add the errors of a block of rows, (2, O), in the units of the targets. */
static void add_errors(const pynn_batch *batch, const double *errors, double *to) {
    const pynn_network *network = batch->workspace->network;
    const float *mean = pynn_target_mean(network, batch->parameters);
    size_t outputs = network->outputs;
    for (size_t o = 0; o < outputs; o++) {
        double scale = mean == NULL ? 1.0 : fabs((double)mean[outputs + o]);
        to[o] += scale * errors[o];
        to[outputs + o] += scale * scale * errors[outputs + o];
    }
}

/* Add what the blocks of rows have found to *sums, always in the order of the blocks, so that the sum does
 * not depend on which thread was first. Returns the result of pynn_run_batch(). */
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
        if (sums->errors != NULL && workspace->errors != NULL)
            add_errors(batch, errors_of(workspace, b), sums->errors);
    }
    return finite && (!has_loss || isfinite(sums->loss));
}

bool pynn_run_batch(const pynn_batch *batch, pynn_sums *sums) {
    pynn_workspace *workspace = batch->workspace;
    uint64_t mode = pynn_flush_denormals();
    const pynn_pass_step *all = workspace->network->steps;
    size_t steps = step_count(batch);
    for (size_t first = 0, end; first < steps; first = end) {
        pass_piece piece = {batch, first, first + 1, pynn_cut_rows(batch->count)};
        pynn_task task = do_block;
        if (is_large(batch, all[first])) {
            piece.grid = cut_large(batch, all[first]);
            task = do_tile;
        } else {
            while (piece.end < steps && !begins_piece(batch, all[piece.end])) piece.end++;
        }
        end = piece.end;
        pynn_team_run(workspace->team, pynn_grid_count(&piece.grid), task, &piece);
    }
    bool finite = add_parts(batch, sums);
    if (batch->purpose == PYNN_FOR_GRADIENT && finite) accumulate(batch);
    workspace->rows = batch->count;
    workspace->has_sparse = batch->sparse;
    workspace->has_weights = batch->data->weights != NULL;
    workspace->has_gradients = batch->purpose == PYNN_FOR_GRADIENT && finite;
    pynn_restore_denormals(mode);
    return finite;
}

void pynn_follow_batch(const pynn_batch *batch, float *parameters) {
    const pynn_network *network = batch->workspace->network;
    for (size_t l = 0; l < network->layer_count; l++) {
        pynn_layer_call call = call_of(batch, l, 0);
        if (call.layer->type->follow != NULL && !call.layer->layer.frozen)
            call.layer->type->follow(&call, parameters + call.layer->parameter_offset);
    }
}
