/* run.c: the public functions that train and use a network. They check all arguments, cut the data into
 * batches, and run these. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "internal.h"

/* Whether the parameters are set that the caller has to find in the examples. */
static bool is_fitted(const pynn_network *network, const float *parameters) {
    const pynn_placed_layer *first = &network->layers[0];
    const float *mean = pynn_target_mean(network, parameters);
    for (size_t o = 0; o < network->outputs && mean != NULL; o++) {
        if (mean[network->outputs + o] == 0.0f) return false;
    }
    return first->type->is_fitted == NULL ||
           first->type->is_fitted(first, parameters + first->parameter_offset);
}

/* The checks that all of these functions share. */
static pynn_status check_data(const pynn_workspace *workspace, const pynn_data *data,
                              const float *parameters, bool has_loss) {
    if (workspace == NULL || data == NULL || parameters == NULL) return PYNN_INVALID_ARGUMENT;
    if (data->feature_type != PYNN_FEATURES_UINT8 && data->feature_type != PYNN_FEATURES_FLOAT32)
        return PYNN_INVALID_ARGUMENT;
    if (data->path != PYNN_PATH_AUTO && data->path != PYNN_PATH_DENSE && data->path != PYNN_PATH_SPARSE)
        return PYNN_INVALID_ARGUMENT;
    if (data->features == NULL) return PYNN_INVALID_ARGUMENT;
    if (data->augmentation != NULL &&
        !pynn_augmentation_is_sound(data->augmentation, workspace->network->inputs))
        return PYNN_INVALID_ARGUMENT;
    bool has_labels = workspace->network->loss_type->has_labels;
    const void *needed = has_labels ? (const void *)data->labels : data->targets;
    if (has_loss && needed == NULL) return PYNN_INVALID_ARGUMENT;
    return is_fitted(workspace->network, parameters) ? PYNN_OK : PYNN_NOT_FITTED;
}

/* Check the row indices at positions first <= r < last of an order, and the labels of these rows. */
static pynn_status check_rows(const pynn_workspace *workspace, const pynn_data *data, const uint32_t *order,
                              size_t first, size_t last) {
    size_t classes = workspace->network->outputs;
    bool has_labels = workspace->network->loss_type->has_labels;
    for (size_t r = first; r < last; r++) {
        size_t row = order != NULL ? order[r] : r;
        if (row >= data->rows) return PYNN_ROW_OUT_OF_RANGE;
        if (!has_labels) continue;
        if (data->labels[row] < 0 || (size_t)data->labels[row] >= classes) return PYNN_LABEL_OUT_OF_RANGE;
    }
    return PYNN_OK;
}

/* Whether the first layer should read sparse rows, not use gemm, for batches of `count` rows. */
static bool is_sparse(const pynn_workspace *workspace, const pynn_data *data, size_t count) {
    const pynn_network *network = workspace->network;
    if (!network->layers[0].type->takes_sparse || data->path == PYNN_PATH_DENSE) return false;
    if (data->augmentation != NULL) return false;
    if (data->path == PYNN_PATH_SPARSE) return true;
    double density = pynn_measure_density(data, network->inputs);
    return pynn_sparse_is_cheaper(density, count, network->inputs, network->layers[0].outputs);
}

/* ---------------------------------------------------------------- training */

/* Set the gradients of frozen layers to 0. */
static void clear_frozen(const pynn_network *network, float *gradients) {
    for (size_t l = 0; l < network->layer_count && network->has_frozen; l++) {
        const pynn_placed_layer *layer = &network->layers[l];
        if (layer->layer.frozen)
            memset(gradients + layer->parameter_offset, 0, layer->parameter_count * sizeof(float));
    }
}

pynn_status pynn_gradient(pynn_workspace *workspace, const pynn_data *data, const uint32_t *rows,
                          size_t count, const pynn_state *state, const float *parameters, float *gradients,
                          pynn_sums *sums) {
    pynn_status status = check_data(workspace, data, parameters, true);
    if (status != PYNN_OK) return status;
    if (gradients == NULL || sums == NULL || count == 0) return PYNN_INVALID_ARGUMENT;
    if (count > workspace->max_batch) return PYNN_WORKSPACE_MISMATCH;
    status = check_rows(workspace, data, rows, 0, count);
    if (status != PYNN_OK) return status;

    pynn_batch batch = {.workspace = workspace,
                        .data = data,
                        .rows = rows,
                        .count = count,
                        .parameters = parameters,
                        .purpose = PYNN_FOR_GRADIENT,
                        .sparse = is_sparse(workspace, data, count),
                        .state = state,
                        .target = {.alpha = 1.0f, .beta = 0.0f, .parameters = gradients}};
    if (!pynn_run_batch(&batch, sums)) return PYNN_NOT_FINITE;
    clear_frozen(workspace->network, gradients);
    return PYNN_OK;
}

/* Whether a layer of the network draws random numbers in training, as dropout does. */
static bool draws_in_training(const pynn_network *network) {
    for (size_t l = 0; l < network->layer_count; l++) {
        if (network->layers[l].type->draws_in_training) return true;
    }
    return false;
}

/* The learning rate of step number `index` of a call. */
static double rate_at(const pynn_optimizer *optimizer, size_t index) {
    return optimizer->learning_rates != NULL ? optimizer->learning_rates[index] : optimizer->learning_rate;
}

static pynn_status check_optimizer(const pynn_workspace *workspace, const pynn_optimizer *optimizer,
                                   const pynn_state *state, size_t steps) {
    if (!pynn_optimizer_is_sound(optimizer)) return PYNN_INVALID_ARGUMENT;
    for (size_t i = 0; i < steps; i++) {
        if (!(fabs(rate_at(optimizer, i)) <= (double)FLT_MAX)) return PYNN_INVALID_ARGUMENT;
    }
    size_t needs = pynn_optimizer_needs(optimizer);
    if (state == NULL)
        return needs > 0 || draws_in_training(workspace->network) ? PYNN_INVALID_ARGUMENT : PYNN_OK;
    if (needs >= 1 && state->gradients == NULL) return PYNN_INVALID_ARGUMENT;
    if (needs >= 2 && state->first == NULL) return PYNN_INVALID_ARGUMENT;
    return needs >= 3 && state->second == NULL ? PYNN_INVALID_ARGUMENT : PYNN_OK;
}

/* One step of training. Plain SGD adds the gradient to the parameters while it is computed: P =
 * -learning_rate * dP + 1 * P. If the loss or a feature is not finite nothing is updated, and the result is
 * false. */
static bool run_step(pynn_batch *batch, const pynn_optimizer *optimizer, double rate, pynn_state *state,
                     float *parameters, pynn_sums *sums) {
    bool is_plain = pynn_optimizer_needs(optimizer) == 0;
    batch->target = is_plain ? (pynn_target){(float)-rate, 1.0f, parameters}
                             : (pynn_target){1.0f, 0.0f, state->gradients};
    if (!pynn_run_batch(batch, sums)) return false;
    pynn_follow_batch(batch, parameters);
    if (!is_plain) pynn_update(batch->workspace, optimizer, rate, state, parameters);
    if (state != NULL) state->step++;
    return true;
}

pynn_status pynn_train(pynn_workspace *workspace, const pynn_data *data, const uint32_t *order,
                       size_t count, size_t batch_size, size_t first_step, size_t last_step,
                       const pynn_optimizer *optimizer, pynn_state *state, float *parameters,
                       pynn_sums *sums) {
    pynn_status status = check_data(workspace, data, parameters, true);
    if (status != PYNN_OK) return status;
    if (optimizer == NULL || sums == NULL || batch_size == 0) return PYNN_INVALID_ARGUMENT;
    if (batch_size > workspace->max_batch) return PYNN_WORKSPACE_MISMATCH;
    size_t steps = pynn_divide_up(count, batch_size);
    if (first_step > last_step || last_step > steps) return PYNN_INVALID_ARGUMENT;
    status = check_optimizer(workspace, optimizer, state, last_step - first_step);
    if (status != PYNN_OK) return status;
    size_t end = last_step == steps ? count : last_step * batch_size;
    status = check_rows(workspace, data, order, first_step * batch_size, end);
    if (status != PYNN_OK) return status;

    pynn_batch batch = {.workspace = workspace,
                        .data = data,
                        .parameters = parameters,
                        .purpose = PYNN_FOR_GRADIENT,
                        .sparse = is_sparse(workspace, data, batch_size),
                        .state = state};
    for (size_t step = first_step; step < last_step; step++) {
        size_t first = step * batch_size;
        batch.count = pynn_least(batch_size, end - first);
        batch.rows = order != NULL ? order + first : NULL;
        batch.first = first;
        if (!run_step(&batch, optimizer, rate_at(optimizer, step - first_step), state, parameters, sums))
            return PYNN_NOT_FINITE;
    }
    return pynn_state_is_finite(workspace, optimizer, state, parameters) ? PYNN_OK : PYNN_NOT_FINITE;
}

/* ---------------------------------------------------------------- use */

/* How many rows are run together. Whatever is chosen by this number must not depend on how many rows a call
 * has: calls that begin at multiples of it give the same bits as one call. */
static size_t rows_at_a_time(const pynn_workspace *workspace) {
    return pynn_least(workspace->max_batch, PYNN_ROWS_AT_A_TIME);
}

/* Run rows first_row <= r < last_row through the workspace, at most PYNN_ROWS_AT_A_TIME together: so the
 * results are the same with every workspace that holds as many. Returns whether all features are finite,
 * and, if there is a loss, the sum of the losses. */
static bool run_rows(pynn_batch *batch, size_t first_row, size_t last_row, pynn_sums *sums) {
    size_t most = rows_at_a_time(batch->workspace);
    bool finite = true;
    for (size_t first = first_row; first < last_row; first += batch->count) {
        batch->first = first;
        batch->count = pynn_least(most, last_row - first);
        finite = pynn_run_batch(batch, sums) && finite;
        if (batch->out != NULL) batch->out += batch->count * batch->workspace->network->outputs;
    }
    return finite;
}

pynn_status pynn_evaluate(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                          size_t last_row, const float *parameters, pynn_sums *sums) {
    pynn_status status = check_data(workspace, data, parameters, true);
    if (status != PYNN_OK) return status;
    if (sums == NULL || first_row > last_row) return PYNN_INVALID_ARGUMENT;
    if (last_row > data->rows) return PYNN_ROW_OUT_OF_RANGE;
    status = check_rows(workspace, data, NULL, first_row, last_row);
    if (status != PYNN_OK) return status;

    pynn_batch batch = {.workspace = workspace,
                        .data = data,
                        .parameters = parameters,
                        .purpose = PYNN_FOR_SUMS,
                        .sparse = is_sparse(workspace, data, rows_at_a_time(workspace))};
    return run_rows(&batch, first_row, last_row, sums) ? PYNN_OK : PYNN_NOT_FINITE;
}

pynn_status pynn_predict(pynn_workspace *workspace, const pynn_data *data, size_t first_row,
                         size_t last_row, const float *parameters, pynn_output output, float *out) {
    pynn_status status = check_data(workspace, data, parameters, false);
    if (status != PYNN_OK) return status;
    if (out == NULL || first_row > last_row) return PYNN_INVALID_ARGUMENT;
    if (output != PYNN_LOGITS && output != PYNN_PROBABILITIES) return PYNN_INVALID_ARGUMENT;
    if (output == PYNN_PROBABILITIES && workspace->network->loss_type->probabilities == NULL)
        return PYNN_INVALID_ARGUMENT;
    if (last_row > data->rows) return PYNN_ROW_OUT_OF_RANGE;

    pynn_batch batch = {.workspace = workspace,
                        .data = data,
                        .parameters = parameters,
                        .purpose = output == PYNN_LOGITS ? PYNN_FOR_LOGITS : PYNN_FOR_PROBABILITIES,
                        .sparse = is_sparse(workspace, data, rows_at_a_time(workspace)),
                        .out = out};
    bool finite = run_rows(&batch, first_row, last_row, NULL);
    size_t count = (last_row - first_row) * workspace->network->outputs;
    return finite && pynn_all_finite(count, out) ? PYNN_OK : PYNN_NOT_FINITE;
}
