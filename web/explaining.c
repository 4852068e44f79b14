/* explaining.c: one step of training with all its values.
 *
 * page_explain_step() computes the gradient on a workspace that keeps the values of every layer, and then
 * trains for one step as page_train_step() does: the gradient is the same, bit for bit. What the step was
 * is kept here until the next step, or until the network or the data change. Where nothing is kept, because
 * a step failed, the functions below return 0 or NULL. */
#include "step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

kept_step kept;
float *values[2];

void forget_step(void) {
    pynn_workspace_destroy(kept.workspace);
    free(kept.labels), free(values[0]), free(values[1]);
    for (size_t kind = 0; kind < KINDS; kind++) free(kept.flat[kind]);
    memset(&kept, 0, sizeof kept);
    values[0] = values[1] = NULL;
}

/* Copy a flat array of parameters. Returns false if there is no memory. */
static int keep(int kind, const float *from) {
    const size_t count = pynn_network_parameter_count(model.network);
    if (from == NULL) return 1;
    kept.flat[kind] = malloc(count * sizeof(float));
    if (kept.flat[kind] != NULL) memcpy(kept.flat[kind], from, count * sizeof(float));
    return kept.flat[kind] != NULL;
}

/* Compute the gradient of the next step, and keep its values. */
static pynn_status keep_gradient(void) {
    const pynn_data data = data_of(&sets[0]);
    const size_t first = run.step * run.batch, left = data.rows - first;
    const uint32_t *rows = run.order + first;
    pynn_sums sums = {0};
    kept.rows = left < run.batch ? left : run.batch;
    kept.optimizer = run.optimizer, kept.state = run.state;
    kept.labels = calloc(kept.rows, sizeof(int32_t));
    pynn_status status =
        pynn_workspace_create_keeping(NULL, model.network, NULL, kept.rows, &kept.workspace);
    if (status != PYNN_OK) return status;
    size_t widest = model.inputs;
    for (size_t layer = 0; layer < model.layer_count; layer++)
        widest = model.widths[layer] > widest ? model.widths[layer] : widest;
    for (size_t i = 0; i < 2; i++) values[i] = calloc(kept.rows, widest * sizeof(float));
    const int has_room = kept.labels != NULL && values[0] != NULL && values[1] != NULL;
    if (!has_room || !keep(BEFORE, model.parameters) || !keep(GRADIENT, model.parameters) ||
        !keep(M_BEFORE, run.state.first) || !keep(V_BEFORE, run.state.second))
        return PYNN_OUT_OF_MEMORY;
    for (size_t i = 0; i < kept.rows; i++) kept.labels[i] = data.labels[rows[i]];
    status = pynn_gradient(kept.workspace, &data, rows, kept.rows, &run.state, model.parameters,
                           kept.flat[GRADIENT], &sums);
    kept.loss = sums.loss / (double)kept.rows;
    return status;
}

/* Train for one step, and keep everything that it computes. */
EXPORT(page_explain_step) pynn_status page_explain_step(void) {
    if (run.workspace == NULL) return PYNN_INVALID_ARGUMENT;
    forget_step();
    begin_step();
    pynn_status status = keep_gradient();
    if (status == PYNN_OK) status = page_train_step();
    if (status == PYNN_OK && (!keep(AFTER, model.parameters) || !keep(M_AFTER, run.state.first) ||
                              !keep(V_AFTER, run.state.second)))
        status = PYNN_OUT_OF_MEMORY;
    if (status != PYNN_OK) forget_step();
    return status;
}

/* Thirteen numbers of the step: its rows, its mean loss, the learning rate, t of the update (0 for SGD),
 * whether the first layer read sparse rows, momentum, weight decay, beta1, 1 - beta1, beta2, 1 - beta2,
 * eps, and 1 - s for the label smoothing s; those that the optimizer does not have are 0. */
EXPORT(page_step_facts) const double *page_step_facts(void) {
    static double facts[13];
    const pynn_optimizer *own = &kept.optimizer;
    const pynn_adam_options none = {0}, *adam = own->kind == PYNN_ADAM ? &own->adam : &own->adamw;
    if (own->kind == PYNN_SGD) adam = &none;
    const int counts = kept.optimizer.kind != PYNN_SGD;
    facts[0] = (double)kept.rows;
    facts[1] = kept.loss;
    facts[2] = kept.optimizer.learning_rate;
    facts[3] = counts ? (double)kept.state.updates + 1.0 : 0.0;
    facts[4] = kept.workspace != NULL && pynn_workspace_is_sparse(kept.workspace);
    facts[5] = own->kind == PYNN_SGD ? own->sgd.momentum : 0.0;
    facts[6] = own->weight_decay;
    facts[7] = adam->beta1, facts[8] = 1.0 - adam->beta1;
    facts[9] = adam->beta2, facts[10] = 1.0 - adam->beta2;
    facts[11] = adam->eps;
    facts[12] = 1.0 - (double)model.loss.softmax_cross_entropy.label_smoothing;
    return facts;
}

/* ---------------------------------------------------------------- arrays */

static pynn_shape shape_of(size_t layer, int what) {
    if (what == PYNN_VALUE_LOSSES) return (pynn_shape){1, 1, 1};
    if (what == PYNN_VALUE_PROBABILITIES) return model.shapes[model.layer_count - 1];
    const int is_input = what == PYNN_VALUE_INPUTS || what == PYNN_VALUE_INPUT_GRADIENTS;
    return is_input ? shape_before(layer) : model.shapes[layer];
}

/* An array of parameters. The weights of the first layer are tiles if it sees images. */
static array array_of_parameters(size_t layer, const pynn_parameter_view *view, const float *flat) {
    const float *x = flat + view->offset;
    const pynn_shape image = image_before(layer);
    if (view->ndim == 4)
        return array_of_rows(x, view->dims[0], (pynn_shape){view->dims[1], view->dims[2], view->dims[3]});
    array it = {.x = x, .rows = 1, .columns = view->dims[0], .ndim = view->ndim, .together = 1};
    for (size_t d = 0; d < view->ndim; d++) it.dims[d] = view->dims[d];
    if (view->ndim > 1) it.rows = view->dims[0], it.columns = view->dims[1];
    if (view->ndim > 1 && layer == 0 && image.height * image.width == it.rows)
        it.height = image.height, it.width = image.width;
    return it;
}

array find(size_t layer, int what, float *room) {
    array it = {0};
    pynn_parameter_view view;
    if (kept.workspace == NULL) return it;
    if (what < 10) {
        const pynn_value value = (pynn_value)what;
        if (pynn_workspace_read(kept.workspace, layer, value, room) != PYNN_OK) return it;
        it = array_of_rows(room, kept.rows, shape_of(layer, what));
        const pynn_shape image = image_before(layer);
        if (what == PYNN_VALUE_INPUTS && it.height == 0 && image.height * image.width > 1)
            it.height = image.height, it.width = image.width, it.together = image.channels;
    } else if (find_view(layer, what % 10, &view) && kept.flat[what / 10] != NULL) {
        it = array_of_parameters(layer, &view, kept.flat[what / 10]);
    }
    return it;
}

/* The part of an array that is shown: of images of several channels only as many as leave a pixel of the
 * screen for each value. */
static array shown(size_t layer, int what) {
    enum { MOST_ACROSS = 260 };
    array it = find(layer, what, values[0]);
    size_t size[2] = {0, 0};
    if (what < 10 && it.ndim == 4 && it.dims[1] > 1) measure(&it, size);
    while (it.rows > 1 && size[0] > MOST_ACROSS) {
        if (--it.rows == 1) it.together = 1;
        measure(&it, size);
    }
    return it;
}

/* What to say of an array: its rows and columns, the pixels of its picture across and down, its least, mean
 * and largest value, the number of the value of the largest size among those shown, the share of zeros, and
 * the rows that are shown. NULL if the step has no such array. */
EXPORT(page_step_array) const double *page_step_array(size_t layer, int what) {
    static double facts[10];
    const array all = find(layer, what, values[0]), it = shown(layer, what);
    if (it.x == NULL) return NULL;
    const size_t count = all.rows * all.columns, shown_count = it.rows * it.columns;
    double sum = 0.0, least = (double)it.x[0], largest = least;
    size_t place = 0, zeros = 0, size[2];
    for (size_t i = 0; i < count; i++) {
        const double x = (double)it.x[i];
        sum += x;
        least = fmin(least, x), largest = fmax(largest, x);
        zeros += x == 0.0;
        if (i < shown_count && fabsf(it.x[i]) > fabsf(it.x[place])) place = i;
    }
    measure(&it, size);
    const double numbers[10] = {(double)all.rows,
                                (double)all.columns,
                                (double)size[0],
                                (double)size[1],
                                least,
                                sum / (double)count,
                                largest,
                                (double)place,
                                (double)zeros / (double)count,
                                (double)it.rows};
    memcpy(facts, numbers, sizeof facts);
    return facts;
}

/* The shape of an array: how many dimensions, and these. */
EXPORT(page_step_shape) const uint32_t *page_step_shape(size_t layer, int what) {
    static uint32_t numbers[5];
    const array it = find(layer, what, values[0]);
    numbers[0] = (uint32_t)it.ndim;
    for (size_t d = 0; d < it.ndim; d++) numbers[d + 1] = (uint32_t)it.dims[d];
    return numbers;
}

/* The place of a value in its array: a number for each dimension. */
EXPORT(page_step_place) const uint32_t *page_step_place(size_t layer, int what, size_t index) {
    static uint32_t numbers[5];
    const array it = find(layer, what, values[0]);
    numbers[0] = (uint32_t)it.ndim;
    for (size_t d = it.ndim; d-- > 0; index /= it.dims[d]) numbers[d + 1] = (uint32_t)(index % it.dims[d]);
    return numbers;
}

/* The values of an array, row by row. */
EXPORT(page_step_values) const float *page_step_values(size_t layer, int what) {
    return find(layer, what, values[0]).x;
}

EXPORT(page_step_labels) const int32_t *page_step_labels(void) {
    return kept.labels;
}

/* Paint an array, and mark one of its values. */
EXPORT(page_step_paint) const uint8_t *page_step_paint(size_t layer, int what, size_t marked) {
    const array it = shown(layer, what);
    return it.x != NULL ? paint_array(&it, marked) : NULL;
}

/* The number of the value that is painted at a pixel; -1 between pictures. */
EXPORT(page_step_pick) int32_t page_step_pick(size_t layer, int what, size_t x, size_t y) {
    const array it = shown(layer, what);
    return it.x != NULL ? pick(&it, x, y) : -1;
}

/* The pixel where a value is painted, counted row by row. */
EXPORT(page_step_pixel) size_t page_step_pixel(size_t layer, int what, size_t index) {
    const array it = shown(layer, what);
    return it.x != NULL ? pixel_of(&it, index) : 0;
}

/* ---------------------------------------------------------------- what there is to learn */

/* Whether the slope of a unit is below 0.01 for every example; of images, that of a whole channel. */
static int is_flat(const array *y, pynn_layer_kind kind, size_t channel) {
    const size_t places = y->ndim == 4 ? y->height * y->width : 1;
    for (size_t n = 0; n < y->rows; n++) {
        for (size_t i = 0; i < places; i++) {
            if (slope_of(kind, y->x[n * y->columns + channel * places + i]) >= 0.01f) return 0;
        }
    }
    return 1;
}

/* Four numbers of a layer: its units, or channels of images, whose slope is below 0.01 for every example;
 * the norms of dY and dX, which are 0 if they are not computed; and whether the second is less than a tenth
 * of the first. */
EXPORT(page_step_remarks) const double *page_step_remarks(size_t layer) {
    static double numbers[4];
    if (kept.workspace == NULL) return NULL;
    const array y = find(layer, PYNN_VALUE_OUTPUTS, values[0]);
    numbers[0] = 0.0;
    for (size_t channel = 0; channel < y.dims[1]; channel++)
        numbers[0] += is_flat(&y, model.layers[layer].kind, channel);
    const array dy = find(layer, PYNN_VALUE_OUTPUT_GRADIENTS, values[0]);
    numbers[1] = norm_of(dy.x, dy.rows * dy.columns);
    const array dx = find(layer, PYNN_VALUE_INPUT_GRADIENTS, values[0]);
    numbers[2] = norm_of(dx.x, dx.rows * dx.columns);
    numbers[3] = numbers[2] < 0.1 * numbers[1];
    return numbers;
}
