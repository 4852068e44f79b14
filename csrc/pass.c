/* pass.c: a batch through the layers and its gradient back: the heart of the library.
 *
 * For a dense layer with inputs X (N, I), weights W (I, O), bias b (O,), outputs Y (N, O), and with
 * dY (N, O) the gradient of the loss with respect to Y:
 *
 *     Y = X W + b        dX = dY W^T        dW = X^T dY        db = column sums of dY
 *
 * The rows of a batch do not know of each other on the way to dX, so a block of rows goes through all
 * layers and back as one task. dW sums over all rows: its tasks are tiles of W instead. */
#include <string.h>

#include "gemm.h"
#include "internal.h"

/* A task of pynn_accumulate() multiplies and adds about this often: some 50 microseconds. */
enum { TILE_WORK = 2000000 };

/* Rows of a tile of W are a multiple of this, for the kernels of gemm. */
enum { TILE_ROWS = 16 };

void pynn_gather(const pynn_batch *batch, row_block block) {
    pynn_workspace *workspace = batch->workspace;
    const pynn_data *data = batch->data;
    size_t inputs = workspace->network->inputs;
    for (size_t n = block.begin; n < block.end; n++) {
        size_t row = batch->rows != NULL ? batch->rows[n] : batch->first + n;
        float *x = workspace->inputs + n * inputs;
        if (data->feature_type == PYNN_FEATURES_UINT8) {
            const uint8_t *values = (const uint8_t *)data->features + row * inputs;
            for (size_t i = 0; i < inputs; i++) x[i] = (float)values[i] / 255.0f;
        } else {
            memcpy(x, (const float *)data->features + row * inputs, inputs * sizeof(float));
        }
        if (data->labels != NULL) workspace->labels[n] = data->labels[row];
    }
}

/* The inputs of layer l: the outputs of the layer below, or the gathered batch. */
static const float *layer_inputs(const pynn_workspace *workspace, size_t l) {
    return l == 0 ? workspace->inputs : workspace->layers[l - 1].outputs;
}

/* Y = X W + b; X (N, I), W (I, O), b (O,), Y (N, O) */
static void dense_forward(const network_layer *layer, size_t count, const float *parameters, const float *x,
                          float *y) {
    size_t inputs = layer->inputs, outputs = layer->outputs;
    const float *weights = parameters + layer->weights_offset;
    const float *bias = parameters + layer->bias_offset;
    for (size_t n = 0; n < count; n++) memcpy(y + n * outputs, bias, outputs * sizeof(float));
    /* Y += X W */
    pynn_gemm(false, false, count, outputs, inputs, 1.0f, x, inputs, weights, outputs, 1.0f, y, outputs);
}

const float *pynn_forward(const pynn_batch *batch, row_block block) {
    const pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    size_t count = block.end - block.begin;
    float *y = NULL;
    for (size_t l = 0; l < network->layer_count; l++) {
        const network_layer *layer = &network->layers[l];
        const float *x = layer_inputs(workspace, l) + block.begin * layer->inputs;
        y = workspace->layers[l].outputs + block.begin * layer->outputs;
        if (layer->kind == PYNN_DENSE)
            dense_forward(layer, count, batch->parameters, x, y);
        else
            pynn_activation_forward(layer->kind, count * layer->outputs, x, y);
    }
    return y;
}

void pynn_backward(const pynn_batch *batch, row_block block) {
    const pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    size_t count = block.end - block.begin;
    for (size_t l = network->layer_count - 1; l > network->first_dense; l--) {
        const network_layer *layer = &network->layers[l];
        size_t inputs = layer->inputs, outputs = layer->outputs;
        const float *y = workspace->layers[l].outputs + block.begin * outputs;
        const float *dy = workspace->layers[l].deltas + block.begin * outputs;
        float *dx = workspace->layers[l - 1].deltas + block.begin * inputs;
        if (layer->kind == PYNN_DENSE) {
            const float *weights = batch->parameters + layer->weights_offset;
            /* dX = dY W^T */
            pynn_gemm(false, true, count, inputs, outputs, 1.0f, dy, outputs, weights, outputs, 0.0f, dx,
                      inputs);
        } else {
            if (dx != dy) memcpy(dx, dy, count * outputs * sizeof(float));
            pynn_activation_backward(layer->kind, count * outputs, y, dx);
        }
    }
}

/* Rows of W in a tile of a dense layer: by shape alone, see the threads in pynn.h. */
static size_t tile_rows(const network_layer *layer, size_t count) {
    size_t rows = TILE_WORK / (count * layer->outputs);
    return (rows / TILE_ROWS + 1) * TILE_ROWS;
}

static size_t tile_count(const network_layer *layer, size_t count) {
    size_t rows = tile_rows(layer, count);
    return (layer->inputs + rows - 1) / rows;
}

size_t pynn_accumulate_tasks(const pynn_batch *batch) {
    const pynn_network *network = batch->workspace->network;
    size_t tasks = 0;
    for (size_t l = network->first_dense; l < network->layer_count; l++) {
        if (network->layers[l].kind == PYNN_DENSE) tasks += tile_count(&network->layers[l], batch->count);
    }
    return tasks;
}

/* T_b = alpha * (column sums of dY) + beta * T_b; dY (N, O), T_b (O,). The sums are made apart, so that
 * a bias much larger than its update is rounded once, not N times. */
static void accumulate_bias(size_t count, size_t outputs, float alpha, const float *dy, float beta,
                            float *target) {
    enum { COLUMNS = 16 };
    for (size_t first = 0; first < outputs; first += COLUMNS) {
        size_t width = outputs - first < COLUMNS ? outputs - first : COLUMNS;
        float sums[COLUMNS] = {0};
        for (size_t n = 0; n < count; n++) {
            for (size_t o = 0; o < width; o++) sums[o] += dy[n * outputs + first + o];
        }
        for (size_t o = 0; o < width; o++) {
            float kept = beta == 0.0f ? 0.0f : beta * target[first + o];
            target[first + o] = alpha * sums[o] + kept;
        }
    }
}

void pynn_accumulate(const pynn_batch *batch, size_t index, float alpha, float beta, float *target) {
    const pynn_workspace *workspace = batch->workspace;
    const pynn_network *network = workspace->network;
    size_t l = network->first_dense;
    for (;; l++) {
        if (network->layers[l].kind != PYNN_DENSE) continue;
        size_t tiles = tile_count(&network->layers[l], batch->count);
        if (index < tiles) break;
        index -= tiles;
    }
    const network_layer *layer = &network->layers[l];
    size_t inputs = layer->inputs, outputs = layer->outputs;
    size_t rows = tile_rows(layer, batch->count);
    size_t begin = index * rows;
    if (rows > inputs - begin) rows = inputs - begin;
    const float *x = layer_inputs(workspace, l) + begin;
    const float *dy = workspace->layers[l].deltas;
    float *weights = target + layer->weights_offset + begin * outputs;
    /* T_W = alpha * X^T dY + beta * T_W, for these rows of W, which are columns of X */
    pynn_gemm(true, false, rows, outputs, batch->count, alpha, x, inputs, dy, outputs, beta, weights,
              outputs);
    if (begin == 0) {
        float *bias = target + layer->bias_offset;
        accumulate_bias(batch->count, outputs, alpha, dy, beta, bias);
    }
}
