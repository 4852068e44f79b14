/* page.c: the network of the page, and what does not belong to a subject of its own.
 *
 * A network is made in two moves, so that nothing is lost when it cannot be made: page_create() makes a
 * candidate, whose parameters the page then fills in, and page_accept() puts it in the place of the network
 * before. */
#include "page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

page_model model;
static page_model candidate;

/* ---------------------------------------------------------------- memory and words */

EXPORT(page_allocate) void *page_allocate(size_t nbytes) {
    return malloc(nbytes);
}

EXPORT(page_release) void page_release(void *memory) {
    free(memory);
}

/* Write out the weights of the network that the page starts with, which build.py has packed: multiples of 1
 * / 128, each as a byte. packed, weights  (count,) */
EXPORT(page_unpack) void page_unpack(const uint8_t *packed, size_t count, float *weights) {
    enum { ZERO = 150 };
    for (size_t i = 0; i < count; i++) weights[i] = (float)(packed[i] - ZERO) / 128.0f;
}

EXPORT(page_message) const char *page_message(pynn_status status) {
    return pynn_status_message(status);
}

EXPORT(page_version) const char *page_version(void) {
    return pynn_version();
}

/* ---------------------------------------------------------------- a new network */

static void destroy(page_model *it) {
    pynn_workspace_destroy(it->looking);
    pynn_network_destroy(it->network);
    free(it->parameters), free(it->values);
    *it = (page_model){0};
}

/* Begin the description of a network. */
EXPORT(page_begin) void page_begin(size_t inputs, pynn_loss_kind loss, float label_smoothing) {
    destroy(&candidate);
    candidate.inputs = inputs;
    candidate.loss.kind = loss;
    if (loss == PYNN_SOFTMAX_CROSS_ENTROPY)
        candidate.loss.softmax_cross_entropy.label_smoothing = label_smoothing;
}

/* Add a layer; a dense one has outputs and an initializer, others have an option or none. */
EXPORT(page_add) void page_add(pynn_layer_kind kind, size_t outputs, pynn_init init, float option) {
    page_model *it = &candidate;
    if (it->layer_count == MOST_LAYERS) return; /* the page does not ask for so many */
    pynn_layer layer = {.kind = kind};
    if (kind == PYNN_DENSE) layer.dense = (pynn_dense_options){outputs, init};
    if (kind == PYNN_LEAKY_RELU) layer.leaky_relu.slope = option;
    if (kind == PYNN_ELU) layer.elu.alpha = option;
    if (kind == PYNN_LAYER_NORM) layer.layer_norm.eps = option;
    if (kind == PYNN_DROPOUT) layer.dropout.rate = option;
    const size_t before = it->layer_count > 0 ? it->widths[it->layer_count - 1] : it->inputs;
    it->widths[it->layer_count] = kind == PYNN_DENSE ? outputs : before;
    it->layers[it->layer_count++] = layer;
}

/* Make the network that was described, with parameters of zero. */
EXPORT(page_create) pynn_status page_create(void) {
    page_model *it = &candidate;
    pynn_status status =
        pynn_network_create(NULL, it->inputs, it->layers, it->layer_count, &it->loss, &it->network);
    if (status == PYNN_OK) status = pynn_workspace_create_keeping(NULL, it->network, NULL, 1, &it->looking);
    if (status != PYNN_OK) return status;
    size_t widest = it->inputs;
    for (size_t layer = 0; layer < it->layer_count; layer++)
        widest = it->widths[layer] > widest ? it->widths[layer] : widest;
    it->parameters = calloc(pynn_network_parameter_count(it->network), sizeof(float));
    it->values = calloc(widest, 2 * sizeof(float));
    return it->parameters == NULL || it->values == NULL ? PYNN_OUT_OF_MEMORY : PYNN_OK;
}

/* Draw the weights of the new network. */
EXPORT(page_initialize) pynn_status page_initialize(uint64_t seed) {
    return pynn_network_initialize(candidate.network, seed, candidate.parameters);
}

/* Put the new network in the place of the one before, whose run ends. */
EXPORT(page_accept) void page_accept(void) {
    forget_run();
    forget_step();
    forget_example();
    destroy(&model);
    model = candidate;
    candidate = (page_model){0};
}

/* ---------------------------------------------------------------- what the network is */

static page_model *which(int is_new) {
    return is_new ? &candidate : &model;
}

/* Whether all parameters of a network are finite. */
EXPORT(page_is_finite) int page_is_finite(int is_new) {
    const page_model *it = which(is_new);
    const size_t count = pynn_network_parameter_count(it->network);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(it->parameters[i])) return 0;
    }
    return 1;
}

EXPORT(page_inputs) size_t page_inputs(void) {
    return model.inputs;
}

EXPORT(page_width) size_t page_width(size_t layer) {
    return model.widths[layer];
}

EXPORT(page_parameters) float *page_parameters(int is_new) {
    return which(is_new)->parameters;
}

EXPORT(page_parameter_count) size_t page_parameter_count(void) {
    return pynn_network_parameter_count(model.network);
}

/* The arrays of the parameters: each is six numbers: its layer, whether it is a bias, its first byte, the
 * byte after its last, its rows and its columns (0 for a vector). They end where the layer is 2^32 - 1. */
EXPORT(page_arrays) const uint32_t *page_arrays(int is_new) {
    static uint32_t arrays[2 * MOST_LAYERS + 1][6];
    const pynn_network *network = which(is_new)->network;
    const size_t count = pynn_network_view_count(network);
    for (size_t index = 0; index < count; index++) {
        pynn_parameter_view view;
        pynn_network_view(network, index, &view);
        const size_t columns = view.ndim > 1 ? view.dims[1] : 0;
        const size_t items = view.dims[0] * (columns > 0 ? columns : 1);
        const size_t numbers[6] = {view.layer,      view.name[0] == 'b',
                                   4 * view.offset, 4 * (view.offset + items),
                                   view.dims[0],    columns};
        for (size_t i = 0; i < 6; i++) arrays[index][i] = (uint32_t)numbers[i];
    }
    arrays[count][0] = UINT32_MAX;
    return arrays[0];
}

size_t width_before(size_t layer) {
    return layer > 0 ? model.widths[layer - 1] : model.inputs;
}

int find_view(size_t layer, int part, pynn_parameter_view *view) {
    for (size_t index = 0; pynn_network_view(model.network, index, view) == PYNN_OK; index++) {
        if (view->layer == layer && (view->name[0] == 'b') == (part == 1)) return 1;
    }
    return 0;
}
