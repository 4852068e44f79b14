/* run.c: the public calls that train and use a network: check everything, cut the work, run it. */
#include <math.h>
#include <string.h>

#include "internal.h"

/* Rows of a block: enough for gemm to pay off, few enough for a batch to be shared among threads. */
enum { BLOCK_ROWS = 32 };

/* The checks that all calls share. */
static pynn_status check_data(const pynn_workspace *workspace, const pynn_data *data,
                              const float *parameters, bool labels_needed) {
    if (workspace == NULL || data == NULL || parameters == NULL) return PYNN_INVALID_ARGUMENT;
    if (data->feature_type != PYNN_FEATURES_UINT8 && data->feature_type != PYNN_FEATURES_FLOAT32)
        return PYNN_INVALID_ARGUMENT;
    if (data->features == NULL || (labels_needed && data->labels == NULL)) return PYNN_INVALID_ARGUMENT;
    return PYNN_OK;
}

/* Check the labels of rows first <= r < last of an epoch's order, and the order's own indices. */
static pynn_status check_rows(const pynn_workspace *workspace, const pynn_data *data, const uint32_t *order,
                              size_t first, size_t last) {
    size_t classes = workspace->network->outputs;
    for (size_t r = first; r < last; r++) {
        size_t row = order != NULL ? order[r] : r;
        if (row >= data->rows) return PYNN_ROW_OUT_OF_RANGE;
        if (data->labels[row] < 0 || (size_t)data->labels[row] >= classes) return PYNN_LABEL_OUT_OF_RANGE;
    }
    return PYNN_OK;
}

static size_t block_count(size_t rows) {
    return (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
}

static row_block block_at(size_t index, size_t rows) {
    size_t begin = index * BLOCK_ROWS;
    return (row_block){begin, rows - begin < BLOCK_ROWS ? rows : begin + BLOCK_ROWS};
}

/* ---------------------------------------------------------------- training */

/* What the tasks of a step need: the batch, and T = alpha * dP + beta * T (see pynn_accumulate()). */
typedef struct train_step {
    pynn_batch batch;
    float alpha;
    float beta;
    float *target;
} train_step;

/* Forward, loss and backward of one block. */
static void run_block(void *context, size_t index) {
    const train_step *step = context;
    pynn_workspace *workspace = step->batch.workspace;
    const pynn_network *network = workspace->network;
    size_t classes = network->outputs;
    row_block block = block_at(index, step->batch.count);
    float *deltas = workspace->layers[network->layer_count - 1].deltas + block.begin * classes;
    workspace->parts[index] = (pynn_sums){0};
    pynn_gather(&step->batch, block);
    const float *logits = pynn_forward(&step->batch, block);
    pynn_softmax_cross_entropy(block.end - block.begin, classes, logits, workspace->labels + block.begin,
                               1.0f / (float)step->batch.count, deltas, &workspace->parts[index]);
    pynn_backward(&step->batch, block);
}

/* One tile of the gradient with respect to the parameters. */
static void run_tile(void *context, size_t index) {
    const train_step *step = context;
    pynn_accumulate(&step->batch, index, step->alpha, step->beta, step->target);
}

/* Add the sums of the blocks to *sums, always in the same order. */
static void add_parts(const pynn_workspace *workspace, size_t blocks, pynn_sums *sums) {
    for (size_t b = 0; b < blocks; b++) {
        sums->loss += workspace->parts[b].loss;
        sums->correct += workspace->parts[b].correct;
        sums->rows += workspace->parts[b].rows;
    }
}

static void run_step(train_step *step, pynn_sums *sums) {
    pynn_workspace *workspace = step->batch.workspace;
    size_t blocks = block_count(step->batch.count);
    pynn_team_run(workspace->team, blocks, run_block, step);
    pynn_team_run(workspace->team, pynn_accumulate_tasks(&step->batch), run_tile, step);
    add_parts(workspace, blocks, sums);
}

pynn_status pynn_gradient(pynn_workspace *workspace, const pynn_data *data, const uint32_t *rows,
                          size_t count, const float *parameters, float *gradients, pynn_sums *sums) {
    pynn_status status = check_data(workspace, data, parameters, true);
    if (status != PYNN_OK) return status;
    if (gradients == NULL || sums == NULL || count == 0) return PYNN_INVALID_ARGUMENT;
    if (count > workspace->max_batch) return PYNN_WORKSPACE_MISMATCH;
    status = check_rows(workspace, data, rows, 0, count);
    if (status != PYNN_OK) return status;

    train_step step = {{workspace, data, rows, 0, count, parameters}, 1.0f, 0.0f, gradients};
    run_step(&step, sums);
    return PYNN_OK;
}

pynn_status pynn_train(pynn_workspace *workspace, const pynn_data *data, const uint32_t *order,
                       size_t batch_size, size_t first_step, size_t last_step, const pynn_sgd *optimizer,
                       float *parameters, pynn_sums *sums) {
    pynn_status status = check_data(workspace, data, parameters, true);
    if (status != PYNN_OK) return status;
    if (optimizer == NULL || sums == NULL || batch_size == 0) return PYNN_INVALID_ARGUMENT;
    if (!isfinite(optimizer->learning_rate)) return PYNN_INVALID_ARGUMENT;
    if (batch_size > workspace->max_batch) return PYNN_WORKSPACE_MISMATCH;
    size_t steps = data->rows / batch_size + (data->rows % batch_size != 0);
    if (first_step > last_step || last_step > steps) return PYNN_INVALID_ARGUMENT;
    size_t end = last_step == steps ? data->rows : last_step * batch_size;
    status = check_rows(workspace, data, order, first_step * batch_size, end);
    if (status != PYNN_OK) return status;

    for (size_t first = first_step * batch_size; first < end; first += batch_size) {
        size_t count = end - first < batch_size ? end - first : batch_size;
        const uint32_t *rows = order != NULL ? order + first : NULL;
        /* P = -learning_rate * dP + 1 * P */
        train_step step = {
            {workspace, data, rows, first, count, parameters}, -optimizer->learning_rate, 1.0f, parameters};
        run_step(&step, sums);
    }
    return PYNN_OK;
}

/* ---------------------------------------------------------------- use */

/* What the tasks of evaluation and prediction need. */
typedef struct inference {
    pynn_batch batch;
    pynn_output output;
    float *out; /* (count, C) */
} inference;

static void evaluate_block(void *context, size_t index) {
    const inference *use = context;
    pynn_workspace *workspace = use->batch.workspace;
    row_block block = block_at(index, use->batch.count);
    workspace->parts[index] = (pynn_sums){0};
    pynn_gather(&use->batch, block);
    const float *logits = pynn_forward(&use->batch, block);
    pynn_softmax_cross_entropy(block.end - block.begin, workspace->network->outputs, logits,
                               workspace->labels + block.begin, 0.0f, NULL, &workspace->parts[index]);
}

static void predict_block(void *context, size_t index) {
    const inference *use = context;
    size_t classes = use->batch.workspace->network->outputs;
    row_block block = block_at(index, use->batch.count);
    size_t rows = block.end - block.begin;
    float *out = use->out + block.begin * classes;
    pynn_gather(&use->batch, block);
    const float *logits = pynn_forward(&use->batch, block);
    if (use->output == PYNN_PROBABILITIES)
        pynn_softmax(rows, classes, logits, out);
    else
        memcpy(out, logits, rows * classes * sizeof(float));
}

/* How many of `left` rows go through the workspace next: whole blocks, so that where data is cut does not
 * depend on the workspace. */
static size_t next_count(const pynn_workspace *workspace, size_t left) {
    size_t most = workspace->max_batch;
    if (most > BLOCK_ROWS) most -= most % BLOCK_ROWS;
    return left < most ? left : most;
}

pynn_status pynn_evaluate(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                          size_t last_row, const float *parameters, pynn_sums *sums) {
    pynn_status status = check_data(workspace, data, parameters, true);
    if (status != PYNN_OK) return status;
    if (sums == NULL || first_row > last_row) return PYNN_INVALID_ARGUMENT;
    if (last_row > data->rows) return PYNN_ROW_OUT_OF_RANGE;
    status = check_rows(workspace, data, NULL, first_row, last_row);
    if (status != PYNN_OK) return status;

    for (size_t count, first = first_row; first < last_row; first += count) {
        count = next_count(workspace, last_row - first);
        inference use = {{workspace, data, NULL, first, count, parameters}, PYNN_LOGITS, NULL};
        pynn_team_run(workspace->team, block_count(count), evaluate_block, &use);
        add_parts(workspace, block_count(count), sums);
    }
    return PYNN_OK;
}

pynn_status pynn_predict(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                         size_t last_row, const float *parameters, pynn_output output, float *out) {
    pynn_status status = check_data(workspace, data, parameters, false);
    if (status != PYNN_OK) return status;
    if (out == NULL || first_row > last_row) return PYNN_INVALID_ARGUMENT;
    if (output != PYNN_LOGITS && output != PYNN_PROBABILITIES) return PYNN_INVALID_ARGUMENT;
    if (last_row > data->rows) return PYNN_ROW_OUT_OF_RANGE;

    size_t classes = workspace->network->outputs;
    for (size_t count, first = first_row; first < last_row; first += count) {
        count = next_count(workspace, last_row - first);
        inference use = {
            {workspace, data, NULL, first, count, parameters}, output, out + (first - first_row) * classes};
        pynn_team_run(workspace->team, block_count(count), predict_block, &use);
    }
    return PYNN_OK;
}
