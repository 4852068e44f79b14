/* network.c: from a list of layers to the place of every parameter in one flat array. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "internal.h"

/* The checks that need one layer alone. */
static pynn_status check_layer(const pynn_layer *layer) {
    bool has_shape = layer->outputs != 0 || layer->init != PYNN_INIT_NONE;
    bool has_slope = layer->slope != 0.0f, has_rate = layer->rate != 0.0f; /* NaN, too */
    switch (layer->kind) {
    case PYNN_DENSE:
        if (layer->init != PYNN_INIT_HE && layer->init != PYNN_INIT_XAVIER) return PYNN_UNKNOWN_LAYER;
        if (layer->outputs == 0 || has_slope || has_rate) return PYNN_INVALID_ARGUMENT;
        return layer->outputs > INT_MAX ? PYNN_SIZE_OVERFLOW : PYNN_OK;
    case PYNN_RELU:
    case PYNN_SIGMOID:
    case PYNN_TANH:
    case PYNN_GELU: return has_shape || has_slope || has_rate ? PYNN_INVALID_ARGUMENT : PYNN_OK;
    case PYNN_LEAKY_RELU:
        if (has_shape || has_rate) return PYNN_INVALID_ARGUMENT;
        return layer->slope >= 0.0f && isfinite(layer->slope) ? PYNN_OK : PYNN_INVALID_ARGUMENT;
    case PYNN_DROPOUT:
        if (has_shape || has_slope) return PYNN_INVALID_ARGUMENT;
        return layer->rate >= 0.0f && layer->rate < 1.0f ? PYNN_OK : PYNN_INVALID_ARGUMENT;
    }
    return PYNN_UNKNOWN_LAYER;
}

static pynn_status check_loss(const pynn_loss *loss) {
    switch (loss->kind) {
    case PYNN_SOFTMAX_CROSS_ENTROPY:
        if (!(loss->label_smoothing >= 0.0f && loss->label_smoothing < 1.0f)) return PYNN_INVALID_ARGUMENT;
        return PYNN_OK;
    case PYNN_MEAN_SQUARED_ERROR:
    case PYNN_BINARY_CROSS_ENTROPY: return loss->label_smoothing != 0.0f ? PYNN_INVALID_ARGUMENT : PYNN_OK;
    }
    return PYNN_UNKNOWN_LAYER;
}

/* Give a dense layer its place behind the parameters that there are so far. */
static pynn_status place_dense(pynn_network *network, network_layer *layer) {
    size_t weights;
    layer->weights_offset = network->parameter_count;
    if (!pynn_multiply(layer->inputs, layer->outputs, &weights) ||
        !pynn_add(network->parameter_count, weights, &layer->bias_offset) ||
        !pynn_add(layer->bias_offset, layer->outputs, &network->parameter_count))
        return PYNN_SIZE_OVERFLOW;
    network->dense_count++;
    return PYNN_OK;
}

/* Fill network->layers, following the width from the input to the loss. */
static pynn_status place_layers(pynn_network *network, const pynn_layer *layers, size_t layer_count) {
    size_t width = network->inputs;
    for (size_t l = 0; l < layer_count; l++) {
        network_layer *layer = &network->layers[l];
        layer->kind = layers[l].kind;
        layer->init = layers[l].init;
        layer->slope = layers[l].slope;
        layer->rate = layers[l].rate;
        layer->inputs = width;
        layer->outputs = width;
        if (l == 0 || layer->kind == PYNN_DENSE) {
            network->stages[network->stage_count++].first = l;
        }
        network->stages[network->stage_count - 1].end = l + 1;
        if (layer->kind == PYNN_DENSE) {
            layer->outputs = layers[l].outputs;
            if (network->dense_count == 0) network->first_dense = network->stage_count - 1;
            pynn_status status = place_dense(network, layer);
            if (status != PYNN_OK) return status;
        } else {
            /* A dense layer's backward needs its inputs, never its outputs; an activation's needs its
             * outputs. So an activation may overwrite a dense layer's outputs, not another's, and not
             * where its backward needs its inputs. Dropout needs the place of the gradient below. */
            layer->in_place = l > 0 && layers[l - 1].kind == PYNN_DENSE && layer->kind != PYNN_DROPOUT &&
                              !pynn_needs_inputs(layer->kind);
        }
        width = layer->outputs;
    }
    network->layer_count = layer_count;
    network->outputs = width;
    size_t nbytes;
    if (!pynn_multiply(network->parameter_count, sizeof(float), &nbytes)) return PYNN_SIZE_OVERFLOW;
    return network->dense_count > 0 ? PYNN_OK : PYNN_NO_DENSE_LAYER;
}

pynn_status pynn_network_create(const pynn_allocator *allocator, size_t inputs, const pynn_layer *layers,
                                size_t layer_count, pynn_loss loss, pynn_network **out) {
    if (out == NULL) return PYNN_INVALID_ARGUMENT;
    *out = NULL;
    if (inputs == 0 || (layers == NULL && layer_count > 0)) return PYNN_INVALID_ARGUMENT;
    if (inputs > INT_MAX) return PYNN_SIZE_OVERFLOW;
    pynn_status status = check_loss(&loss);
    if (status != PYNN_OK) return status;
    size_t nbytes; /* of the network, with at most as many stages as layers, and of the layers behind it */
    if (!pynn_multiply(layer_count, sizeof(network_layer) + sizeof(network_stage), &nbytes) ||
        !pynn_add(nbytes, sizeof(pynn_network), &nbytes))
        return PYNN_SIZE_OVERFLOW;
    for (size_t l = 0; l < layer_count; l++) {
        status = check_layer(&layers[l]);
        if (status != PYNN_OK) return status;
    }

    pynn_allocator used = pynn_allocator_or_default(allocator);
    pynn_network *network = pynn_allocate(&used, nbytes);
    if (network == NULL) return PYNN_OUT_OF_MEMORY;
    network->allocator = used;
    network->layers = (network_layer *)(network->stages + layer_count);
    network->inputs = inputs;
    network->loss = loss;
    status = place_layers(network, layers, layer_count);
    if (status != PYNN_OK) {
        pynn_network_destroy(network);
        return status;
    }
    *out = network;
    return PYNN_OK;
}

void pynn_network_destroy(pynn_network *network) {
    if (network == NULL) return;
    pynn_allocator allocator = network->allocator;
    pynn_release(&allocator, network);
}

size_t pynn_network_inputs(const pynn_network *network) {
    return network->inputs;
}

size_t pynn_network_outputs(const pynn_network *network) {
    return network->outputs;
}

size_t pynn_network_dense_count(const pynn_network *network) {
    return network->dense_count;
}

size_t pynn_network_parameter_count(const pynn_network *network) {
    return network->parameter_count;
}

pynn_status pynn_network_dense(const pynn_network *network, size_t index, pynn_dense_view *out) {
    if (network == NULL || out == NULL || index >= network->dense_count) return PYNN_INVALID_ARGUMENT;
    const network_layer *layer = network->layers;
    for (size_t dense = 0;; layer++) {
        if (layer->kind == PYNN_DENSE && dense++ == index) break;
    }
    *out = (pynn_dense_view){layer->inputs, layer->outputs, layer->weights_offset, layer->bias_offset};
    return PYNN_OK;
}

pynn_status pynn_network_initialize(const pynn_network *network, uint64_t seed, float *parameters) {
    if (network == NULL || parameters == NULL) return PYNN_INVALID_ARGUMENT;
    uint64_t stream = 0;
    for (size_t l = 0; l < network->layer_count; l++) {
        const network_layer *layer = &network->layers[l];
        if (layer->kind != PYNN_DENSE) continue;
        float *weights = parameters + layer->weights_offset;
        size_t count = layer->inputs * layer->outputs;
        double inputs = (double)layer->inputs;
        double outputs = (double)layer->outputs;
        if (layer->init == PYNN_INIT_HE) {
            pynn_random_normal(seed, stream, 0, count, 0.0f, (float)sqrt(2.0 / inputs), weights);
        } else {
            float limit = (float)sqrt(6.0 / (inputs + outputs));
            pynn_random_uniform(seed, stream, 0, count, -limit, limit, weights);
        }
        memset(parameters + layer->bias_offset, 0, layer->outputs * sizeof(float));
        stream++;
    }
    return PYNN_OK;
}
