/* network.c: a network is made from a list of layers. Every parameter gets its place in one flat array. */
#include <limits.h>

#include "internal.h"

/* Place the views of a layer after the parameters of the layers before it. */
static pynn_status place_parameters(pynn_network *network, pynn_placed_layer *layer,
                                    const pynn_layer_place *place) {
    layer->parameter_offset = network->parameter_count;
    for (size_t v = 0; v < place->view_count; v++) {
        pynn_parameter_view *view = &network->views[network->view_count++];
        *view = place->views[v];
        view->layer = layer->index;
        view->trained = view->trained && !layer->layer.frozen;
        view->offset = network->parameter_count;
        size_t count = 1;
        for (size_t d = 0; d < view->ndim; d++) {
            if (!pynn_multiply(count, view->dims[d], &count)) return PYNN_SIZE_OVERFLOW;
        }
        if (!pynn_add(network->parameter_count, count, &network->parameter_count))
            return PYNN_SIZE_OVERFLOW;
    }
    layer->parameter_count = network->parameter_count - layer->parameter_offset;
    return PYNN_OK;
}

/* Add a layer to the stages. The first layer begins a stage, and so does each layer that needs more for an
 * output value than the input value in the same place. */
static void add_to_stages(pynn_network *network, const pynn_placed_layer *layer) {
    if (layer->index == 0 || layer->type->reach != PYNN_REACH_VALUE)
        network->stages[network->stage_count++].first = layer->index;
    network->stages[network->stage_count - 1].end = layer->index + 1;
}

/* *size = the number of values of a shape. Returns false if a row of them is longer than BLAS's int. */
static bool size_of(pynn_shape shape, size_t *size) {
    return pynn_multiply(shape.channels, shape.height, size) && pynn_multiply(*size, shape.width, size) &&
           *size <= INT_MAX;
}

/* Place one layer after those that are placed already. network->output_shape is that of its
 * inputs, and becomes that of its outputs. */
static pynn_status place_layer(pynn_network *network, const pynn_layer *layer) {
    pynn_placed_layer *placed = &network->layers[network->layer_count];
    pynn_layer_place place = {.view_count = 0};
    *placed = (pynn_placed_layer){.type = pynn_layer_type_of(layer->kind),
                                  .layer = *layer,
                                  .index = network->layer_count,
                                  .inputs = network->outputs,
                                  .input_shape = network->output_shape};
    if (placed->type == NULL) return PYNN_UNKNOWN_LAYER;
    if (placed->type->reads_features && placed->index > 0) return PYNN_INVALID_ARGUMENT;
    if (placed->type->keep_options != NULL)
        placed->type->keep_options(&placed->layer, network->inputs, network->kept_options);
    pynn_status status = placed->type->place(&placed->layer, network->output_shape, &place);
    if (status != PYNN_OK) return status;
    if (!size_of(place.outputs, &placed->outputs)) return PYNN_SIZE_OVERFLOW;
    placed->output_shape = place.outputs;
    placed->scratch = place.scratch;
    placed->block_scratch = place.block_scratch;
    network->takes_missing = network->takes_missing || place.takes_missing;
    network->outputs = placed->outputs;
    network->output_shape = placed->output_shape;
    network->layer_count++;
    add_to_stages(network, placed);
    return place_parameters(network, placed, &place);
}

/* List the steps of a pass; pass.c says what they do. */
static void list_steps(pynn_network *network) {
    size_t stages = network->stage_count, count = 0;
    pynn_pass_step *steps = network->steps;
    steps[count++] = (pynn_pass_step){PYNN_GATHER, 0};
    for (size_t s = 0; s < stages; s++) {
        const pynn_layer_type *type = network->layers[network->stages[s].first].type;
        if (type->observe != NULL) steps[count++] = (pynn_pass_step){PYNN_OBSERVE, s};
        steps[count++] = (pynn_pass_step){PYNN_FORWARD, s};
    }
    steps[count++] = (pynn_pass_step){PYNN_OUTPUT, stages - 1};
    network->forward_step_count = count;
    for (size_t s = stages; s-- > network->first_trained;) {
        const pynn_layer_type *type = network->layers[network->stages[s].first].type;
        if (type->sum != NULL) steps[count++] = (pynn_pass_step){PYNN_SUM, s};
        if (s > network->first_trained) steps[count++] = (pynn_pass_step){PYNN_BACKWARD, s};
    }
    network->step_count = count;
}

/* Whether the last layer that was placed, number l, has parameters that are trained. */
static bool is_trained(const pynn_network *network, size_t l) {
    for (size_t v = network->view_count; v > 0 && network->views[v - 1].layer == l; v--) {
        if (network->views[v - 1].trained) return true;
    }
    return false;
}

/* Place the mean and the scale of the targets behind the parameters of the layers, if the loss has them. */
static pynn_status place_targets(pynn_network *network) {
    static const char *const names[] = {"mean", "scale"};
    const pynn_loss *loss = &network->loss;
    if (loss->kind != PYNN_MEAN_SQUARED_ERROR || !loss->mean_squared_error.standardize) return PYNN_OK;
    network->has_target_scale = true;
    network->target_offset = network->parameter_count;
    for (size_t v = 0; v < 2; v++) {
        network->views[network->view_count++] = (pynn_parameter_view){.layer = network->layer_count,
                                                                      .name = names[v],
                                                                      .dims = {network->outputs},
                                                                      .ndim = 1,
                                                                      .offset = network->parameter_count};
        if (!pynn_add(network->parameter_count, network->outputs, &network->parameter_count))
            return PYNN_SIZE_OVERFLOW;
    }
    return PYNN_OK;
}

/* Place all layers, from the first to the last. */
static pynn_status place_layers(pynn_network *network, const pynn_layer *layers, size_t layer_count) {
    bool has_product = false, has_trained = false;
    network->outputs = network->inputs;
    network->output_shape = network->input_shape;
    for (size_t l = 0; l < layer_count; l++) {
        pynn_status status = place_layer(network, &layers[l]);
        if (status != PYNN_OK) return status;
        if (!has_trained) network->first_trained = network->stage_count - 1;
        if (layers[l].frozen && network->layers[l].parameter_count > 0) network->has_frozen = true;
        has_trained = has_trained || is_trained(network, l);
        const pynn_layer_type *type = network->layers[l].type;
        has_product = has_product || (type->draws_weights && !type->reads_features);
    }
    pynn_status status = place_targets(network);
    if (status != PYNN_OK) return status;
    size_t nbytes;
    if (!pynn_multiply(network->parameter_count, sizeof(float), &nbytes)) return PYNN_SIZE_OVERFLOW;
    if (!has_product) return PYNN_NO_DENSE_LAYER;
    list_steps(network);
    return PYNN_OK;
}

/* The bytes of a network and of the arrays that lie behind it: stages (at most as many as layers), layers,
 * views (two more for targets), steps (at most two, and four for each stage), and what the options of the
 * first layer point to. */
static bool count_nbytes(const pynn_layer *layers, size_t layer_count, size_t inputs, size_t *nbytes) {
    const pynn_layer_type *first = layer_count > 0 ? pynn_layer_type_of(layers[0].kind) : NULL;
    size_t options = 0;
    size_t each = sizeof(pynn_stage) + sizeof(pynn_placed_layer) +
                  PYNN_MAX_LAYER_VIEWS * sizeof(pynn_parameter_view) + 4 * sizeof(pynn_pass_step);
    bool fits = first == NULL || first->options_nbytes == NULL || first->options_nbytes(inputs, &options);
    return fits && pynn_multiply(layer_count, each, nbytes) && pynn_add(*nbytes, options, nbytes) &&
           pynn_add(*nbytes,
                    sizeof(pynn_network) + 2 * sizeof(pynn_parameter_view) + 2 * sizeof(pynn_pass_step),
                    nbytes);
}

pynn_status pynn_network_create(const pynn_allocator *allocator, size_t inputs, const pynn_layer *layers,
                                size_t layer_count, const pynn_loss *loss, pynn_network **out) {
    pynn_shape shape = {inputs, 1, 1};
    return pynn_network_create_shaped(allocator, &shape, layers, layer_count, loss, out);
}

pynn_status pynn_network_create_shaped(const pynn_allocator *allocator, const pynn_shape *inputs,
                                       const pynn_layer *layers, size_t layer_count, const pynn_loss *loss,
                                       pynn_network **out) {
    if (out == NULL) return PYNN_INVALID_ARGUMENT;
    *out = NULL;
    if (inputs == NULL || loss == NULL || (layers == NULL && layer_count > 0)) return PYNN_INVALID_ARGUMENT;
    if (inputs->channels == 0 || inputs->height == 0 || inputs->width == 0) return PYNN_INVALID_ARGUMENT;
    size_t width;
    if (!size_of(*inputs, &width)) return PYNN_SIZE_OVERFLOW;
    const pynn_loss_type *loss_type = pynn_loss_type_of(loss->kind);
    if (loss_type == NULL) return PYNN_UNKNOWN_LAYER;
    pynn_status status = loss_type->check(loss);
    if (status != PYNN_OK) return status;
    size_t nbytes;
    if (!count_nbytes(layers, layer_count, width, &nbytes)) return PYNN_SIZE_OVERFLOW;

    pynn_allocator used = pynn_allocator_or_default(allocator);
    pynn_network *network = pynn_allocate(&used, nbytes);
    if (network == NULL) return PYNN_OUT_OF_MEMORY;
    network->allocator = used;
    network->layers = (pynn_placed_layer *)(network->stages + layer_count);
    network->views = (pynn_parameter_view *)(network->layers + layer_count);
    network->steps = (pynn_pass_step *)(network->views + PYNN_MAX_LAYER_VIEWS * layer_count + 2);
    network->kept_options = network->steps + 4 * layer_count + 2;
    network->inputs = width;
    network->input_shape = *inputs;
    network->loss = *loss;
    network->loss_type = loss_type;
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

size_t pynn_network_parameter_count(const pynn_network *network) {
    return network->parameter_count;
}

size_t pynn_network_view_count(const pynn_network *network) {
    return network->view_count;
}

pynn_status pynn_network_view(const pynn_network *network, size_t index, pynn_parameter_view *out) {
    if (network == NULL || out == NULL || index >= network->view_count) return PYNN_INVALID_ARGUMENT;
    *out = network->views[index];
    return PYNN_OK;
}

pynn_status pynn_network_initialize(const pynn_network *network, uint64_t seed, float *parameters) {
    if (network == NULL || parameters == NULL) return PYNN_INVALID_ARGUMENT;
    uint64_t stream = 0;
    for (size_t l = 0; l < network->layer_count; l++) {
        const pynn_placed_layer *layer = &network->layers[l];
        if (layer->type->initialize == NULL) continue;
        layer->type->initialize(layer, seed, stream, parameters + layer->parameter_offset);
        stream += layer->type->draws_weights;
    }
    for (size_t i = network->target_offset; i < network->parameter_count && network->has_target_scale; i++)
        parameters[i] = 0.0f;
    return PYNN_OK;
}
