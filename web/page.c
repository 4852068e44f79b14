/* page.c: the network of the page, and what does not belong to a subject of its own.
 *
 * A network is made in two moves, so that nothing is lost when it cannot be made: page_create() makes a
 * candidate, whose parameters the page then fills in, and page_accept() puts it in the place of the network
 * before. */
#include "page.h"

#include "layers/layer.h"

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

/* Begin the description of a network whose rows have a shape; n plain values are n channels of one. */
EXPORT(page_begin)
void page_begin(size_t channels, size_t height, size_t width, pynn_loss_kind loss, float label_smoothing) {
    destroy(&candidate);
    candidate.input_shape = (pynn_shape){channels, height, width};
    candidate.inputs = channels * height * width;
    candidate.loss.kind = loss;
    if (loss == PYNN_SOFTMAX_CROSS_ENTROPY)
        candidate.loss.softmax_cross_entropy.label_smoothing = label_smoothing;
}

/* The windows of the next layer. */
static struct {
    size_t size[2], stride, groups;
    int32_t padding; /* on each side; -1: as much as makes ceil(length / stride) outputs of a length */
} windows;

/* Say what windows the next layer has, before a convolution or a pool is added. */
EXPORT(page_windows)
void page_windows(size_t height, size_t width, size_t stride, int32_t padding, size_t groups) {
    windows.size[0] = height, windows.size[1] = width;
    windows.stride = stride, windows.padding = padding, windows.groups = groups;
}

/* Where the zeros are odd in number, one more is behind an image than before it, as in pynn. */
static pynn_conv2d_options convolution(size_t filters, pynn_init init, pynn_shape in) {
    const size_t lengths[2] = {in.height, in.width};
    pynn_conv2d_options o = {
        .filters = filters, .stride = windows.stride, .groups = windows.groups, .init = init};
    for (size_t k = 0; k < 2; k++) {
        o.size[k] = windows.size[k];
        const size_t reach = (lengths[k] + o.stride - 1) / o.stride * o.stride - o.stride + o.size[k];
        const size_t missing = reach > lengths[k] ? reach - lengths[k] : 0;
        o.before[k] = windows.padding < 0 ? missing / 2 : (size_t)windows.padding;
        o.after[k] = windows.padding < 0 ? missing - missing / 2 : (size_t)windows.padding;
    }
    return o;
}

/* Add a layer. Some have outputs and an initializer, some an option or two, others none. The caller has
 * checked that no number is out of its range; what does not fit the layers before is found here. */
EXPORT(page_add)
pynn_status page_add(pynn_layer_kind kind, size_t outputs, pynn_init init, float option, float momentum) {
    static const double MOST_VALUES = 16777216.0;
    page_model *it = &candidate;
    const pynn_layer_type *type = pynn_layer_type_of(kind);
    if (it->layer_count == MOST_LAYERS || type == NULL) return PYNN_INVALID_ARGUMENT;
    const size_t count = it->layer_count;
    const pynn_shape before = count > 0 ? it->shapes[count - 1] : it->input_shape;
    const pynn_pool2d_options pool = {
        {windows.size[0], windows.size[1]}, windows.stride, (size_t)windows.padding};
    if (kind == PYNN_DENSE && before.height * before.width > 1) return PYNN_INVALID_ARGUMENT;
    pynn_layer layer = {.kind = kind};
    if (kind == PYNN_DENSE) layer.dense = (pynn_dense_options){outputs, init};
    if (kind == PYNN_CONV2D) layer.conv2d = convolution(outputs, init, before);
    if (kind == PYNN_MAX_POOL2D) layer.max_pool2d = pool;
    if (kind == PYNN_AVG_POOL2D) layer.avg_pool2d = pool;
    if (kind == PYNN_LEAKY_RELU) layer.leaky_relu.slope = option;
    if (kind == PYNN_ELU) layer.elu.alpha = option;
    if (kind == PYNN_LAYER_NORM) layer.layer_norm.eps = option;
    if (kind == PYNN_BATCH_NORM) layer.batch_norm = (pynn_batch_norm_options){momentum, option};
    if (kind == PYNN_DROPOUT) layer.dropout.rate = option;
    pynn_layer_place place = {.view_count = 0};
    const pynn_status status = type->place(&layer, before, &place);
    if (status != PYNN_OK) return status;
    const pynn_shape shape = place.outputs;
    if ((double)shape.channels * (double)shape.height * (double)shape.width > MOST_VALUES)
        return PYNN_SIZE_OVERFLOW;
    it->shapes[count] = shape;
    it->widths[count] = pynn_shape_size(shape);
    it->layers[it->layer_count++] = layer;
    return PYNN_OK;
}

/* Make the network that was described, with parameters of zero. */
EXPORT(page_create) pynn_status page_create(void) {
    page_model *it = &candidate;
    pynn_status status = pynn_network_create_shaped(NULL, &it->input_shape, it->layers, it->layer_count,
                                                    &it->loss, &it->network);
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

/* The shape of a row behind so many layers: channels, height and width. */
EXPORT(page_shape) const uint32_t *page_shape(size_t layers) {
    static uint32_t numbers[3];
    const pynn_shape shape = shape_before(layers);
    numbers[0] = (uint32_t)shape.channels;
    numbers[1] = (uint32_t)shape.height;
    numbers[2] = (uint32_t)shape.width;
    return numbers;
}

/* The arrays of the parameters: each is nine numbers: its layer, the address of its name, its first byte,
 * the byte after its last, how many dimensions it has, and these. They end where the layer is 2^32 - 1. */
EXPORT(page_arrays) const uint32_t *page_arrays(int is_new) {
    enum { NUMBERS = 9 };
    static uint32_t arrays[PYNN_MAX_LAYER_VIEWS * MOST_LAYERS + 1][NUMBERS];
    const pynn_network *network = which(is_new)->network;
    const size_t count = pynn_network_view_count(network);
    for (size_t index = 0; index < count; index++) {
        pynn_parameter_view view;
        pynn_network_view(network, index, &view);
        size_t items = 1;
        for (size_t d = 0; d < view.ndim; d++) items *= view.dims[d];
        const size_t numbers[NUMBERS] = {
            view.layer,  (size_t)view.name, 4 * view.offset, 4 * (view.offset + items),
            view.ndim,   view.dims[0],      view.dims[1],    view.dims[2],
            view.dims[3]};
        for (size_t i = 0; i < NUMBERS; i++) arrays[index][i] = (uint32_t)numbers[i];
    }
    arrays[count][0] = UINT32_MAX;
    return arrays[0];
}

size_t width_before(size_t layer) {
    return layer > 0 ? model.widths[layer - 1] : model.inputs;
}

pynn_shape shape_before(size_t layer) {
    return layer > 0 ? model.shapes[layer - 1] : model.input_shape;
}

pynn_shape image_before(size_t layer) {
    while (layer > 0 && model.layers[layer - 1].kind == PYNN_FLATTEN) layer--;
    const pynn_shape shape = shape_before(layer);
    if (shape.channels == DIGIT_PIXELS && layer == 0) return (pynn_shape){1, DIGIT_SIDE, DIGIT_SIDE};
    return shape;
}

int find_view(size_t layer, int part, pynn_parameter_view *view) {
    for (size_t index = 0; pynn_network_view(model.network, index, view) == PYNN_OK; index++) {
        if (view->layer == layer && part-- == 0) return 1;
    }
    return 0;
}
