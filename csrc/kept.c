/* kept.c: the values of a batch, copied out of a workspace that keeps them all. Nothing is computed for
 * this while the batch goes through the layers: what a step leaves in its buffers is read after it. */
#include <string.h>

#include "internal.h"

/* X of the first layer. Sparse rows are written out again, with their zeros. */
static void read_features(const pynn_workspace *workspace, float *out) {
    size_t inputs = workspace->network->inputs;
    if (!workspace->has_sparse) {
        memcpy(out, workspace->inputs, workspace->rows * inputs * sizeof(float));
        return;
    }
    memset(out, 0, workspace->rows * inputs * sizeof(float));
    pynn_grid blocks = pynn_cut_columns(inputs, workspace->network->layers[0].outputs);
    for (size_t n = 0; n < workspace->rows; n++) {
        const pynn_sparse_vector *row = workspace->sparse.rows + n * PYNN_MAX_COLUMN_BLOCKS;
        for (size_t b = 0; b < pynn_grid_count(&blocks); b++) {
            for (const pynn_entry *entry = row[b].entries; entry < row[b].end; entry++)
                out[n * inputs + entry->index] = entry->value;
        }
    }
}

/* The loss of each row: the loss function is called again, for one row at a time. It also writes the
 * gradient with respect to the row's outputs, which is the one that stands there already. */
static void read_losses(const pynn_workspace *workspace, float *out) {
    const pynn_network *network = workspace->network;
    const pynn_layer_buffers *last = &workspace->layers[network->layer_count - 1];
    size_t outputs = network->outputs;
    for (size_t n = 0; n < workspace->rows; n++) {
        pynn_loss_rows row = {
            .rows = 1,
            .outputs = outputs,
            .z = last->outputs + n * outputs,
            .labels = workspace->labels + n,
            .targets = workspace->targets == NULL ? NULL : workspace->targets + n * outputs,
            .weights = workspace->has_weights ? workspace->weights + n : NULL,
            .scale = 1.0f / (float)workspace->rows,
            .dz = last->deltas + n * outputs,
        };
        pynn_sums sums = {0};
        network->loss_type->compute(&network->loss, &row, &sums);
        out[n] = (float)sums.loss;
    }
}

/* Copy (rows, width) values out. */
static pynn_status copy(const pynn_workspace *workspace, size_t width, const float *values, float *out) {
    memcpy(out, values, workspace->rows * width * sizeof(float));
    return PYNN_OK;
}

/* The gradients of layer l: with respect to its outputs, or to its inputs. */
static pynn_status read_gradients(const pynn_workspace *workspace, size_t l, bool of_inputs, float *out) {
    const pynn_network *network = workspace->network;
    size_t first = network->stages[network->first_trained].first;
    if (!workspace->has_gradients || l < first + of_inputs) return PYNN_INVALID_ARGUMENT;
    size_t width = of_inputs ? network->layers[l].inputs : network->layers[l].outputs;
    return copy(workspace, width, workspace->layers[l - of_inputs].deltas, out);
}

size_t pynn_workspace_rows(const pynn_workspace *workspace) {
    return workspace->rows;
}

int pynn_workspace_is_sparse(const pynn_workspace *workspace) {
    return workspace->has_sparse;
}

pynn_status pynn_workspace_read(const pynn_workspace *workspace, size_t layer, pynn_value value,
                                float *out) {
    if (workspace == NULL || out == NULL || !workspace->keeps) return PYNN_INVALID_ARGUMENT;
    const pynn_network *network = workspace->network;
    if (layer >= network->layer_count || workspace->rows == 0) return PYNN_INVALID_ARGUMENT;
    const pynn_layer_buffers *buffers = &workspace->layers[layer];
    const float *z = workspace->layers[network->layer_count - 1].outputs;
    switch (value) {
    case PYNN_VALUE_INPUTS:
        if (layer > 0) return copy(workspace, network->layers[layer].inputs, buffers[-1].outputs, out);
        read_features(workspace, out);
        return PYNN_OK;
    case PYNN_VALUE_OUTPUTS: return copy(workspace, network->layers[layer].outputs, buffers->outputs, out);
    case PYNN_VALUE_OUTPUT_GRADIENTS: return read_gradients(workspace, layer, false, out);
    case PYNN_VALUE_INPUT_GRADIENTS: return read_gradients(workspace, layer, true, out);
    case PYNN_VALUE_PROBABILITIES:
        if (network->loss_type->probabilities == NULL) return PYNN_INVALID_ARGUMENT;
        network->loss_type->probabilities(workspace->rows, network->outputs, z, out);
        return PYNN_OK;
    case PYNN_VALUE_LOSSES:
        if (!workspace->has_gradients) return PYNN_INVALID_ARGUMENT;
        read_losses(workspace, out);
        return PYNN_OK;
    }
    return PYNN_INVALID_ARGUMENT;
}
