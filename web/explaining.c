/* explaining.c: one step of training with all its values.
 *
 * page_explain_step() computes the gradient on a workspace that keeps the values of every layer, and then
 * trains for one step as page_train_step() does: the gradient is the same, bit for bit. What the step was
 * is kept here until the next step, or until the network or the data change. Where nothing is kept, because
 * a step failed, the functions below return 0 or NULL. */
#include "page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What there is to see: the values of a pynn_value, or an array of a layer's parameters, numbered 10 times
 * one of these plus its number in the layer (see find_view()). */
enum { BEFORE = 1, GRADIENT = 2, AFTER = 3, M_BEFORE = 4, M_AFTER = 5, V_BEFORE = 6, V_AFTER = 7, KINDS };

static struct {
    pynn_workspace *workspace;
    size_t rows;
    int32_t *labels;
    float *flat[KINDS]; /* flat arrays of all parameters; NULL if the optimizer has none */
    pynn_optimizer optimizer;
    pynn_state state; /* before the step; its arrays are not used */
    double loss;
} kept;

static float *values[2]; /* arrays of a layer: what is shown, and another that belongs to it */

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

/* Find an array; its x is NULL if the step has none. Values of a batch go into `room`. */
static array find(size_t layer, int what, float *room) {
    array it = {0};
    pynn_parameter_view view;
    if (kept.workspace == NULL) return it;
    if (what < 10) {
        const pynn_value value = (pynn_value)what;
        if (pynn_workspace_read(kept.workspace, layer, value, room) != PYNN_OK) return it;
        it = array_of_rows(room, kept.rows, shape_of(layer, what));
        const pynn_shape image = image_before(layer);
        if (what == PYNN_VALUE_INPUTS && it.height == 0 && image.height * image.width > 1)
            it.height = image.height, it.width = image.width;
    } else if (find_view(layer, what % 10, &view) && kept.flat[what / 10] != NULL) {
        it = array_of_parameters(layer, &view, kept.flat[what / 10]);
    }
    return it;
}

/* The part of an array that is shown: of images of several channels the first ones, so that there is room
 * for each pixel. */
static array shown(size_t layer, int what) {
    enum { MOST_PIXELS = 40000 };
    array it = find(layer, what, values[0]);
    if (what < 10 && it.ndim == 4 && it.dims[1] > 1) {
        while (it.rows > 1 && it.rows * it.columns > MOST_PIXELS) it.rows--;
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

/* ---------------------------------------------------------------- one value, written out */

/* The same as page_step_sum() for layers that look at windows of images. For a mean of a window the sum is
 * that which is divided by the window's size. */
static const float *sum_of_windows(size_t layer, int what, size_t index, float result) {
    static float numbers[SUM_NUMBERS];
    const size_t inputs = width_before(layer), outputs = model.widths[layer];
    const array weight = find(layer, 10 * BEFORE, NULL), bias = find(layer, 10 * BEFORE + 1, NULL);
    const array x = find(layer, PYNN_VALUE_INPUTS, values[0]);
    const float times = weight.x != NULL ? 1.0f : (float)window_size(layer);
    if (what == PYNN_VALUE_OUTPUTS) {
        const size_t channel = index % outputs / (model.shapes[layer].height * model.shapes[layer].width);
        const products it = list_output(layer, index % outputs, x.x + index / outputs * inputs, weight.x);
        write_sum(it.b, 1, weight.x != NULL ? it.a : NULL, 1, it.count,
                  bias.x != NULL ? bias.x[channel] : 0.0f, result * times, numbers);
        return numbers;
    }
    const array dy = find(layer, PYNN_VALUE_OUTPUT_GRADIENTS, values[1]);
    products it = {0};
    if (what == PYNN_VALUE_INPUT_GRADIENTS) {
        const size_t n = index / inputs;
        it = list_input_gradient(layer, index % inputs, x.x + n * inputs, dy.x + n * outputs, weight.x);
    } else if (what == 10 * GRADIENT || what == 10 * GRADIENT + 1) {
        it = list_weight_gradient(layer, index, what % 10 == 0 ? x.x : NULL, dy.x, kept.rows);
    }
    const int is_mean = weight.x == NULL && model.layers[layer].kind != PYNN_MAX_POOL2D;
    write_sum(it.a, 1, it.b, 1, it.count, 0.0f, is_mean ? result * times : result, numbers);
    return it.a != NULL ? numbers : NULL;
}

/* The sum of products that gave a value of a dense layer, a convolution or a pool, as write_sum() writes
 * it; NULL for other values. */
EXPORT(page_step_sum) const float *page_step_sum(size_t layer, int what, size_t index) {
    static float numbers[SUM_NUMBERS];
    const size_t inputs = width_before(layer), outputs = model.widths[layer];
    const array it = find(layer, what, values[0]);
    if (it.x == NULL) return NULL;
    const float result = it.x[index];
    if (has_windows(layer)) return sum_of_windows(layer, what, index, result);
    if (model.layers[layer].kind != PYNN_DENSE) return NULL;
    const array weight = find(layer, 10 * BEFORE, NULL), bias = find(layer, 10 * BEFORE + 1, NULL);
    if (what == PYNN_VALUE_OUTPUTS) {
        const array x = find(layer, PYNN_VALUE_INPUTS, values[1]);
        const size_t n = index / outputs, o = index % outputs;
        write_sum(x.x + n * inputs, 1, weight.x + o, outputs, inputs, bias.x[o], result, numbers);
        return numbers;
    }
    const array dy = find(layer, PYNN_VALUE_OUTPUT_GRADIENTS, values[1]);
    if (what == PYNN_VALUE_INPUT_GRADIENTS) {
        const size_t n = index / inputs, i = index % inputs;
        write_sum(dy.x + n * outputs, 1, weight.x + i * outputs, 1, outputs, 0.0f, result, numbers);
    } else if (what == 10 * GRADIENT) {
        const array x = find(layer, PYNN_VALUE_INPUTS, values[0]);
        const size_t i = index / outputs, o = index % outputs;
        write_sum(x.x + i, inputs, dy.x + o, outputs, kept.rows, 0.0f, result, numbers);
    } else if (what == 10 * GRADIENT + 1) {
        write_sum(dy.x + index, outputs, NULL, 0, kept.rows, 0.0f, result, numbers);
    } else {
        return NULL;
    }
    return numbers;
}

/* The mean and the variance of the inputs that a value is normalized with: of its row, or for batch
 * normalization of its channel in all rows. */
static void moments(size_t layer, size_t index, double *mean, double *variance) {
    const array x = find(layer, PYNN_VALUE_INPUTS, values[1]);
    const pynn_shape shape = model.shapes[layer];
    const int is_batch = model.layers[layer].kind == PYNN_BATCH_NORM;
    const size_t places = is_batch ? shape.height * shape.width : x.columns;
    const size_t first = is_batch ? index % x.columns / places * places : index / x.columns * x.columns;
    const size_t rows = is_batch ? kept.rows : 1;
    double sum = 0.0, squares = 0.0;
    for (size_t n = 0; n < rows; n++) {
        for (size_t i = 0; i < places; i++) sum += (double)x.x[n * x.columns + first + i];
    }
    *mean = sum / (double)(rows * places);
    for (size_t n = 0; n < rows; n++) {
        for (size_t i = 0; i < places; i++) {
            const double away = (double)x.x[n * x.columns + first + i] - *mean;
            squares += away * away;
        }
    }
    *variance = squares / (double)(rows * places);
}

/* A value of a layer that goes from value to value, and the numbers that it comes from: x, y, dy, dx, the
 * factor of dropout, and for a norm the mean and the variance, weight and bias. */
EXPORT(page_step_point) const double *page_step_point(size_t layer, size_t index) {
    static double numbers[9];
    if (kept.workspace == NULL) return NULL;
    const size_t width = model.widths[layer];
    const pynn_layer_kind kind = model.layers[layer].kind;
    size_t unit = index % width;
    if (kind == PYNN_BATCH_NORM) unit /= model.shapes[layer].height * model.shapes[layer].width;
    for (int value = PYNN_VALUE_INPUTS; value <= PYNN_VALUE_INPUT_GRADIENTS; value++) {
        static const size_t places[] = {0, 0, 1, 2, 3};
        const array it = find(layer, value, values[0]);
        numbers[places[value]] = it.x != NULL ? (double)it.x[index] : NAN;
    }
    if (kind == PYNN_DROPOUT) {
        float factor;
        pynn_dropout_mask(kept.state.seed, kept.state.step, layer, model.layers[layer].dropout.rate, index,
                          1, &factor);
        numbers[4] = (double)factor;
    }
    if (kind == PYNN_LAYER_NORM || kind == PYNN_BATCH_NORM) {
        moments(layer, index, &numbers[5], &numbers[6]);
        numbers[7] = (double)find(layer, 10 * BEFORE, NULL).x[unit];
        numbers[8] = (double)find(layer, 10 * BEFORE + 1, NULL).x[unit];
    }
    return numbers;
}

/* What the loss makes of one logit: z, exp(z - the largest z of the row), the sum of these over the row,
 * the probability, whether the class is the label, the label, its probability, the loss, dz, and the mean
 * of -log P over the row. */
EXPORT(page_step_loss) const double *page_step_loss(size_t index) {
    static double numbers[10];
    if (kept.workspace == NULL) return NULL;
    const size_t last = model.layer_count - 1, classes = model.widths[last];
    const size_t row = index / classes, label = (size_t)kept.labels[row];
    const float *z = find(last, PYNN_VALUE_OUTPUTS, values[0]).x + row * classes;
    double largest = (double)z[0], sum = 0.0;
    for (size_t c = 0; c < classes; c++) largest = fmax(largest, (double)z[c]);
    for (size_t c = 0; c < classes; c++) sum += exp((double)z[c] - largest);
    /* -log P by way of z, because a small P is 0 as a float */
    numbers[9] = 0.0;
    for (size_t c = 0; c < classes; c++)
        numbers[9] += (log(sum) - ((double)z[c] - largest)) / (double)classes;
    numbers[0] = (double)z[index % classes];
    numbers[1] = exp(numbers[0] - largest);
    numbers[2] = sum;
    const float *p = find(last, PYNN_VALUE_PROBABILITIES, values[0]).x;
    numbers[3] = (double)p[index];
    numbers[4] = index % classes == label;
    numbers[5] = (double)label;
    numbers[6] = (double)p[row * classes + label];
    numbers[7] = (double)find(last, PYNN_VALUE_LOSSES, values[0]).x[row];
    numbers[8] = (double)find(last, PYNN_VALUE_OUTPUT_GRADIENTS, values[0]).x[index];
    return numbers;
}

/* What the step did to one parameter of a layer's weight (part 0) or bias (1): before, gradient, after, m
 * before and after, v before and after, whether weight decay applies to it; NaN for what the optimizer does
 * not have. */
EXPORT(page_step_update) const double *page_step_update(size_t layer, int part, size_t index) {
    static double numbers[KINDS];
    pynn_parameter_view view;
    if (kept.workspace == NULL) return NULL;
    numbers[KINDS - 1] = find_view(layer, part, &view) && view.decays;
    for (int kind = BEFORE; kind < KINDS; kind++) {
        const array it = find(layer, 10 * kind + part, NULL);
        numbers[kind - 1] = it.x != NULL ? (double)it.x[index] : NAN;
    }
    return numbers;
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
