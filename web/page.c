/* page.c: what the page calls. The page (page.js) shows numbers and passes on clicks; what is computed is
 * computed here, by the library that pynn.h describes.
 *
 * This is a program, not the library: the page has one drawing, one network and one run, which are the
 * static variables below. JavaScript calls the functions marked EXPORT by their names, with numbers, and
 * reads arrays from the memory of the module at the addresses that they return. Such an array is valid
 * until the next call of the same function.
 *
 * The training is that of Model.fit: with the same seed and the same kernels it gives the same bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ink.h"
#include "pynn.h"

/* A function that JavaScript can call by this name. */
#define EXPORT(name) __attribute__((export_name(#name)))

enum {
    MOST_LAYERS = 64,
    MOST_POINTS = 512, /* of a curve */
};

/* The random streams for the order of an epoch's examples are those of pynn/_training/trainer.py. */
static const uint64_t SHUFFLE_STREAMS = (uint64_t)1 << 32;

/* The examples to train on, or to test with. */
typedef struct examples {
    void *features; /* (rows, columns) */
    int32_t *labels;
    pynn_feature_type type;
    size_t rows, columns, label_count;
} examples;

static uint8_t ink[INK_PIXELS];
static uint8_t digit[DIGIT_PIXELS];

static pynn_layer layers[MOST_LAYERS];
static size_t widths[MOST_LAYERS], layer_count, inputs;
static pynn_network *network;
static float *parameters;
static pynn_workspace *looking; /* keeps the values of one row */
static float *values;           /* the values of a layer, of a unit's products, ... */

static examples sets[2]; /* 0 to train on, 1 to test with */

static pynn_workspace *training;
static pynn_optimizer optimizer;
static pynn_state state;
static uint32_t *order;
static size_t batch, step, steps, epoch;
static pynn_sums sums; /* of the epoch */

/* A curve: a point for every `every` steps. When it is full, neighbours become one point. */
typedef struct point {
    float loss, accuracy;
} point;
static point points[MOST_POINTS];
static size_t point_count, every;
static pynn_sums since; /* since the last point */

/* ---------------------------------------------------------------- memory and words */

EXPORT(page_allocate) void *page_allocate(size_t nbytes) {
    return malloc(nbytes);
}

EXPORT(page_release) void page_release(void *memory) {
    free(memory);
}

EXPORT(page_message) const char *page_message(pynn_status status) {
    return pynn_status_message(status);
}

EXPORT(page_version) const char *page_version(void) {
    return pynn_version();
}

/* The least multiple of 8 from n on, as the header of a safetensors file needs it. */
EXPORT(page_padded) size_t page_padded(size_t n) {
    return (n + 7) & ~(size_t)7;
}

/* Whether a time has passed; all three are in milliseconds. */
EXPORT(page_has_passed) int page_has_passed(double start, double now, double time) {
    return now - start >= time;
}

EXPORT(page_twice) size_t page_twice(size_t n) {
    return 2 * n;
}

/* ---------------------------------------------------------------- the drawing */

EXPORT(page_ink) const uint8_t *page_ink(void) {
    return ink;
}

EXPORT(page_ink_clear) void page_ink_clear(void) {
    memset(ink, 0, sizeof ink);
    memset(digit, 0, sizeof digit);
}

/* Draw from one point to another; points are given in a square of a side of `side`. */
EXPORT(page_ink_stroke) void page_ink_stroke(float side, float x0, float y0, float x1, float y1) {
    const float scale = (float)INK_SIDE / side;
    ink_stroke(ink, x0 * scale, y0 * scale, x1 * scale, y1 * scale);
}

/* Make the digit of a picture (height, width) of ink, at most INK_SIDE each way; of the drawing, if it is
 * NULL. Returns whether anything is drawn. */
EXPORT(page_digit_from) int page_digit_from(const uint8_t *picture, int width, int height) {
    if (picture == NULL) return ink_to_digit(ink, INK_SIDE, INK_SIDE, digit);
    return ink_to_digit(picture, width, height, digit);
}

EXPORT(page_digit) const uint8_t *page_digit(void) {
    return digit;
}

/* ---------------------------------------------------------------- the network */

static void forget_run(void) {
    pynn_workspace_destroy(training);
    free(state.gradients), free(state.first), free(state.second), free(order);
    training = NULL, order = NULL;
    state = (pynn_state){0};
    step = steps = epoch = point_count = 0;
    sums = since = (pynn_sums){0};
}

/* Begin the description of a network. */
EXPORT(page_begin) void page_begin(size_t width) {
    inputs = width;
    layer_count = 0;
}

/* Add a layer; a dense one has outputs and an initializer, others have an option or none. */
EXPORT(page_add) void page_add(pynn_layer_kind kind, size_t outputs, pynn_init init, float option) {
    if (layer_count == MOST_LAYERS) return; /* page_create() will refuse so many */
    pynn_layer layer = {.kind = kind};
    if (kind == PYNN_DENSE) layer.dense = (pynn_dense_options){outputs, init};
    if (kind == PYNN_LEAKY_RELU) layer.leaky_relu.slope = option;
    if (kind == PYNN_ELU) layer.elu.alpha = option;
    if (kind == PYNN_LAYER_NORM) layer.layer_norm.eps = option;
    if (kind == PYNN_DROPOUT) layer.dropout.rate = option;
    const size_t before = layer_count > 0 ? widths[layer_count - 1] : inputs;
    widths[layer_count] = kind == PYNN_DENSE ? outputs : before;
    layers[layer_count++] = layer;
}

/* Make the network that was described, in place of the one before, with parameters of zero. It classifies:
 * its loss is softmax cross-entropy. On failure the network before stays. */
EXPORT(page_create) pynn_status page_create(void) {
    const pynn_loss loss = {.kind = PYNN_SOFTMAX_CROSS_ENTROPY};
    pynn_network *made = NULL;
    pynn_workspace *workspace = NULL;
    if (layer_count == MOST_LAYERS) return PYNN_INVALID_ARGUMENT;
    pynn_status status = pynn_network_create(NULL, inputs, layers, layer_count, &loss, &made);
    if (status == PYNN_OK) status = pynn_workspace_create_keeping(NULL, made, NULL, 1, &workspace);
    size_t widest = inputs;
    for (size_t layer = 0; layer < layer_count; layer++)
        widest = widths[layer] > widest ? widths[layer] : widest;
    float *new_parameters = NULL, *new_values = NULL;
    if (status == PYNN_OK) {
        new_parameters = calloc(pynn_network_parameter_count(made), sizeof(float));
        new_values = calloc(2 * widest, sizeof(float));
        if (new_parameters == NULL || new_values == NULL) status = PYNN_OUT_OF_MEMORY;
    }
    if (status != PYNN_OK) {
        pynn_workspace_destroy(workspace);
        pynn_network_destroy(made);
        free(new_parameters), free(new_values);
        return status;
    }
    forget_run();
    pynn_workspace_destroy(looking);
    pynn_network_destroy(network);
    free(parameters), free(values);
    network = made, looking = workspace, parameters = new_parameters, values = new_values;
    return PYNN_OK;
}

EXPORT(page_initialize) pynn_status page_initialize(uint32_t seed) {
    return pynn_network_initialize(network, seed, parameters);
}

EXPORT(page_layer_count) size_t page_layer_count(void) {
    return layer_count;
}

EXPORT(page_inputs) size_t page_inputs(void) {
    return inputs;
}

EXPORT(page_width) size_t page_width(size_t layer) {
    return widths[layer];
}

EXPORT(page_parameters) float *page_parameters(void) {
    return parameters;
}

EXPORT(page_parameter_count) size_t page_parameter_count(void) {
    return pynn_network_parameter_count(network);
}

/* The arrays of the parameters: each is six numbers: its layer, whether it is a bias, its first byte, the
 * byte after its last, its rows and its columns (0 for a bias). They end where the layer is 2^32 - 1. */
EXPORT(page_arrays) const uint32_t *page_arrays(void) {
    static uint32_t arrays[2 * MOST_LAYERS + 1][6];
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

/* ---------------------------------------------------------------- examples */

/* The floats of other IDX files. */
static void to_floats(const pynn_idx *idx, const void *items, float *out) {
    for (size_t i = 0; i < idx->item_count; i++) {
        if (idx->type == PYNN_IDX_INT8) out[i] = ((const int8_t *)items)[i];
        if (idx->type == PYNN_IDX_INT16) out[i] = ((const int16_t *)items)[i];
        if (idx->type == PYNN_IDX_INT32) out[i] = (float)((const int32_t *)items)[i];
        if (idx->type == PYNN_IDX_FLOAT32) out[i] = ((const float *)items)[i];
        if (idx->type == PYNN_IDX_FLOAT64) out[i] = (float)((const double *)items)[i];
    }
}

static pynn_status keep_labels(examples *set, const pynn_idx *idx, const void *items) {
    int32_t *labels = calloc(idx->item_count, sizeof(int32_t));
    if (labels == NULL) return PYNN_OUT_OF_MEMORY;
    float *numbers = idx->type == PYNN_IDX_UINT8 ? NULL : calloc(idx->item_count, sizeof(float));
    if (numbers != NULL) to_floats(idx, items, numbers);
    for (size_t i = 0; i < idx->item_count; i++)
        labels[i] = numbers != NULL ? (int32_t)numbers[i] : ((const uint8_t *)items)[i];
    free(numbers), free(set->labels);
    set->labels = labels, set->label_count = idx->item_count;
    return PYNN_OK;
}

static pynn_status keep_features(examples *set, const pynn_idx *idx, void *items) {
    float *floats = NULL;
    if (idx->type != PYNN_IDX_UINT8) {
        floats = calloc(idx->item_count, sizeof(float));
        if (floats == NULL) return PYNN_OUT_OF_MEMORY;
        to_floats(idx, items, floats);
    }
    free(set->features);
    set->features = floats;
    if (floats == NULL) {
        set->features = malloc(idx->item_count);
        if (set->features == NULL) return PYNN_OUT_OF_MEMORY;
        memcpy(set->features, items, idx->item_count);
    }
    set->type = floats != NULL ? PYNN_FEATURES_FLOAT32 : PYNN_FEATURES_UINT8;
    set->rows = idx->dims[0], set->columns = idx->item_count / idx->dims[0];
    return PYNN_OK;
}

/* Take over a whole IDX file as the features or, if it has one dimension, the labels of a set. */
EXPORT(page_take_idx) pynn_status page_take_idx(size_t set, const uint8_t *file, size_t nbytes) {
    pynn_idx idx;
    pynn_status status = pynn_idx_parse(file, nbytes, &idx);
    if (status != PYNN_OK) return status;
    if (idx.ndim == 0 || idx.item_count == 0) return PYNN_INVALID_ARGUMENT;
    forget_run();
    void *items = malloc(idx.item_count * idx.item_nbytes);
    if (items == NULL) return PYNN_OUT_OF_MEMORY;
    pynn_idx_decode(file, &idx, items);
    status = idx.ndim == 1 ? keep_labels(&sets[set], &idx, items) : keep_features(&sets[set], &idx, items);
    free(items);
    return status;
}

/* Read numbers between commas, a row in each line, until the text ends; count them and the rows. `out` may
 * be NULL. Returns false for what is no number. */
static int read_csv(const char *text, size_t *rows, size_t *count, float *out) {
    *rows = *count = 0;
    while (*text != '\0') {
        char *end;
        const float number = strtof(text, &end);
        if (end == text || !isfinite(number)) return 0;
        if (out != NULL) out[*count] = number;
        (*count)++;
        text = end + strspn(end, " \t\r");
        const int line_ends = *text == '\n' || *text == '\0';
        if (!line_ends && *text != ',') return 0;
        *rows += (size_t)line_ends;
        text += *text == ',' ? 1 : strspn(text, "\r\n");
    }
    return *rows > 0 && *count % *rows == 0 && *count / *rows > 1;
}

/* Take over a whole CSV file, with a byte of 0 at its end, as the examples of a set: in each line a label,
 * and then the features. A first line without numbers is passed over. */
EXPORT(page_take_csv) pynn_status page_take_csv(size_t set, const char *file) {
    size_t rows, count;
    const char first = file[strspn(file, " \t\"")];
    if ((first < '0' || first > '9') && first != '-' && first != '.') {
        file += strcspn(file, "\n");
        file += strspn(file, "\r\n");
    }
    if (!read_csv(file, &rows, &count, NULL)) return PYNN_INVALID_ARGUMENT;
    float *numbers = calloc(count, sizeof(float)), *features = calloc(count, sizeof(float));
    int32_t *labels = calloc(rows, sizeof(int32_t));
    if (numbers == NULL || features == NULL || labels == NULL) {
        free(numbers), free(features), free(labels);
        return PYNN_OUT_OF_MEMORY;
    }
    read_csv(file, &rows, &count, numbers);
    const size_t columns = count / rows - 1;
    for (size_t r = 0; r < rows; r++) {
        const float *row = numbers + r * (columns + 1);
        labels[r] = row[0] >= 0.0f && row[0] < 1e6f ? (int32_t)row[0] : -1;
        memcpy(features + r * columns, row + 1, columns * sizeof(float));
    }
    forget_run();
    free(numbers), free(sets[set].features), free(sets[set].labels);
    sets[set] = (examples){features, labels, PYNN_FEATURES_FLOAT32, rows, columns, rows};
    return PYNN_OK;
}

/* What a set has: rows of features, their columns, labels. */
EXPORT(page_rows) size_t page_rows(size_t set) {
    return sets[set].rows;
}

EXPORT(page_columns) size_t page_columns(size_t set) {
    return sets[set].columns;
}

EXPORT(page_labels) size_t page_labels(size_t set) {
    return sets[set].label_count;
}

/* Whether a set can be used with the network: its labels fit its features, and these fit the inputs. */
EXPORT(page_usable) int page_usable(size_t set) {
    const examples *e = &sets[set];
    return e->rows > 0 && e->rows == e->label_count && e->columns == inputs;
}

static pynn_data data_of(const examples *set) {
    return (pynn_data){
        .features = set->features, .feature_type = set->type, .rows = set->rows, .labels = set->labels};
}

/* ---------------------------------------------------------------- training */

/* Begin a run with an optimizer; momentum is for SGD alone. The parameters stay as they are. */
EXPORT(page_train_begin)
pynn_status page_train_begin(pynn_optimizer_kind kind, double rate, double momentum, size_t batch_size,
                             uint32_t seed) {
    if (!page_usable(0) || batch_size == 0) return PYNN_INVALID_ARGUMENT;
    forget_run();
    optimizer = (pynn_optimizer){.kind = kind, .learning_rate = rate};
    if (kind == PYNN_SGD) optimizer.sgd.momentum = momentum;
    if (kind == PYNN_ADAM) optimizer.adam = (pynn_adam_options){0.9, 0.999, 1e-8};
    if (kind == PYNN_ADAMW) {
        optimizer.adamw = (pynn_adam_options){0.9, 0.999, 1e-8};
        optimizer.weight_decay = 0.01;
    }
    batch = batch_size < sets[0].rows ? batch_size : sets[0].rows;
    steps = (sets[0].rows + batch - 1) / batch;
    every = 8;
    const size_t count = pynn_network_parameter_count(network), needs = pynn_optimizer_needs(&optimizer);
    if (needs > 0) state.gradients = calloc(count, sizeof(float));
    if (needs > 1) state.first = calloc(count, sizeof(float));
    if (needs > 2) state.second = calloc(count, sizeof(float));
    state.seed = seed;
    order = calloc(sets[0].rows, sizeof(uint32_t));
    const size_t most_rows = batch > PYNN_ROWS_AT_A_TIME ? batch : PYNN_ROWS_AT_A_TIME;
    pynn_status status = pynn_workspace_create(NULL, network, NULL, most_rows, &training);
    if (order == NULL || (needs > 0 && state.gradients == NULL) || (needs > 1 && state.first == NULL) ||
        (needs > 2 && state.second == NULL))
        status = PYNN_OUT_OF_MEMORY;
    if (status != PYNN_OK) forget_run();
    return status;
}

/* Add the mean over the last steps to the curve. */
static void add_point(void) {
    if (point_count == MOST_POINTS) {
        for (size_t i = 0; i < MOST_POINTS / 2; i++) {
            points[i].loss = (points[2 * i].loss + points[2 * i + 1].loss) / 2.0f;
            points[i].accuracy = (points[2 * i].accuracy + points[2 * i + 1].accuracy) / 2.0f;
        }
        point_count = MOST_POINTS / 2;
        every *= 2;
    }
    const double rows = (double)since.rows;
    points[point_count++] = (point){(float)(since.loss / rows), (float)((double)since.correct / rows)};
    since = (pynn_sums){0};
}

/* Train for one step. The first step of an epoch draws the order of its examples. */
EXPORT(page_train_step) pynn_status page_train_step(void) {
    if (training == NULL) return PYNN_INVALID_ARGUMENT;
    if (step == steps) step = 0, epoch++;
    if (step == 0) {
        sums = (pynn_sums){0};
        pynn_random_permutation(state.seed, SHUFFLE_STREAMS + epoch, (uint32_t)sets[0].rows, order);
    }
    const pynn_data data = data_of(&sets[0]);
    const pynn_sums before = sums;
    pynn_status status = pynn_train(training, &data, order, sets[0].rows, batch, step, step + 1, &optimizer,
                                    &state, parameters, &sums);
    if (status != PYNN_OK) return status;
    step++;
    since.loss += sums.loss - before.loss;
    since.correct += sums.correct - before.correct;
    since.rows += sums.rows - before.rows;
    if ((epoch * steps + step) % every == 0) add_point();
    return PYNN_OK;
}

/* Eight numbers that say where the run stands: epochs done, steps done in all, steps of the epoch done,
 * steps of an epoch, mean loss of the epoch, its accuracy, points of the curve, the share of the epoch
 * done. */
EXPORT(page_progress) const double *page_progress(void) {
    static double numbers[8];
    const double rows = sums.rows > 0 ? (double)sums.rows : 1.0;
    numbers[0] = (double)(epoch + (steps > 0 && step == steps));
    numbers[1] = (double)(epoch * steps + step);
    numbers[2] = (double)step;
    numbers[3] = (double)steps;
    numbers[4] = sums.loss / rows;
    numbers[5] = (double)sums.correct / rows;
    numbers[6] = (double)point_count;
    numbers[7] = steps > 0 ? (double)step / (double)steps : 0.0;
    return numbers;
}

/* The accuracy on a set, from 0 to 1; -1 if it cannot be had. */
EXPORT(page_accuracy) double page_accuracy(size_t set) {
    pynn_workspace *workspace = NULL;
    pynn_sums found = {0};
    if (!page_usable(set)) return -1.0;
    pynn_status status = pynn_workspace_create(NULL, network, NULL, PYNN_ROWS_AT_A_TIME, &workspace);
    const pynn_data data = data_of(&sets[set]);
    if (status == PYNN_OK) status = pynn_evaluate(workspace, &data, 0, data.rows, parameters, &found);
    pynn_workspace_destroy(workspace);
    return status == PYNN_OK ? (double)found.correct / (double)found.rows : -1.0;
}

/* The points of a curve in a box, x and y for each: the loss (which 0) or the accuracy (1). The top of the
 * box is the largest loss, or an accuracy of 1. */
EXPORT(page_curve) const float *page_curve(int which, float width, float height) {
    static float places[2 * MOST_POINTS];
    float largest = which == 0 ? 1e-6f : 1.0f;
    for (size_t i = 0; which == 0 && i < point_count; i++) largest = fmaxf(largest, points[i].loss);
    for (size_t i = 0; i < point_count; i++) {
        const float y = (which == 0 ? points[i].loss : points[i].accuracy) / largest;
        places[2 * i] = width * (float)i / fmaxf((float)point_count - 1.0f, 1.0f);
        places[2 * i + 1] = height * (1.0f - y);
    }
    return places;
}

/* ---------------------------------------------------------------- looking at one digit */

/* Send the digit through the network. The values of all layers are kept. */
EXPORT(page_look) pynn_status page_look(void) {
    const pynn_data data = {.features = digit, .feature_type = PYNN_FEATURES_UINT8, .rows = 1};
    if (inputs != DIGIT_PIXELS) return PYNN_INVALID_ARGUMENT;
    return pynn_predict(looking, &data, 0, 1, parameters, PYNN_PROBABILITIES, values);
}

/* Put an example of a set in the place of the drawn digit. Returns its label; -1 if there is none. */
EXPORT(page_show_example) int page_show_example(size_t set, size_t row) {
    const examples *e = &sets[set];
    if (!page_usable(set) || row >= e->rows || e->type != PYNN_FEATURES_UINT8 || inputs != DIGIT_PIXELS)
        return -1;
    memcpy(digit, (const uint8_t *)e->features + row * DIGIT_PIXELS, DIGIT_PIXELS);
    return e->labels[row];
}

/* The probability of each class, after page_look(). */
EXPORT(page_probabilities) const float *page_probabilities(void) {
    pynn_workspace_read(looking, 0, PYNN_VALUE_PROBABILITIES, values);
    return values;
}

/* The class with the largest probability. */
EXPORT(page_answer) size_t page_answer(void) {
    const float *p = page_probabilities();
    size_t best = 0;
    for (size_t c = 1; c < widths[layer_count - 1]; c++) best = p[c] > p[best] ? c : best;
    return best;
}

/* The outputs of a layer, after page_look(). */
EXPORT(page_outputs) const float *page_outputs(size_t layer) {
    pynn_workspace_read(looking, layer, PYNN_VALUE_OUTPUTS, values);
    return values;
}

/* Where the weight (I, O) of a dense layer lies; the bias follows it. */
static const float *weights_of(size_t layer) {
    pynn_parameter_view view;
    for (size_t index = 0; pynn_network_view(network, index, &view) == PYNN_OK; index++) {
        if (view.layer == layer) return parameters + view.offset;
    }
    return NULL;
}

static size_t width_before(size_t layer) {
    return layer > 0 ? widths[layer - 1] : inputs;
}

/* The weights that a unit of a dense layer gives to its inputs: column `unit` of W. */
EXPORT(page_unit_weights) const float *page_unit_weights(size_t layer, size_t unit) {
    const float *w = weights_of(layer);
    for (size_t i = 0; i < width_before(layer); i++) values[i] = w[i * widths[layer] + unit];
    return values;
}

/* The sum of a unit of a dense layer, written out, after page_look(). First three numbers: what the terms
 * that are not listed come to, the bias, and the result, as the layer computed it. Then the TERMS terms
 * x_i w_i of the largest size, four numbers each: i, x_i, w_i and their product; i is -1 where there are no
 * more. */
EXPORT(page_unit_sum) const float *page_unit_sum(size_t layer, size_t unit) {
    enum { TERMS = 8 };
    static float numbers[3 + 4 * TERMS];
    const size_t count = width_before(layer), outputs = widths[layer];
    const float *w = weights_of(layer);
    float *terms = numbers + 3, *x = values;
    for (size_t k = 0; k < TERMS; k++) terms[4 * k] = -1.0f, terms[4 * k + 3] = 0.0f;
    pynn_workspace_read(looking, layer, PYNN_VALUE_OUTPUTS, x);
    numbers[1] = w[count * outputs + unit];
    numbers[2] = x[unit];
    pynn_workspace_read(looking, layer, PYNN_VALUE_INPUTS, x);
    double listed = 0.0;
    for (size_t i = 0; i < count; i++) {
        float term[4] = {(float)i, x[i], w[i * outputs + unit], x[i] * w[i * outputs + unit]};
        for (size_t k = 0; k < TERMS && term[3] != 0.0f; k++) {
            if (fabsf(term[3]) <= fabsf(terms[4 * k + 3])) continue;
            float lesser[4];
            memcpy(lesser, &terms[4 * k], sizeof lesser);
            memcpy(&terms[4 * k], term, sizeof term);
            memcpy(term, lesser, sizeof term);
        }
    }
    for (size_t k = 0; k < TERMS; k++) listed += (double)terms[4 * k + 3];
    numbers[0] = (float)((double)numbers[2] - (double)numbers[1] - listed);
    return numbers;
}

/* ---------------------------------------------------------------- colours */

/* Paint values: white at 0, red above, blue below; the largest size has the full colour. If `reach` is not
 * 0, it is the size with the full colour. Four bytes for each value: red, green, blue, 255. */
static void paint(const float *x, size_t count, float reach, uint8_t *rgba) {
    static const float warm[3] = {0.78f, 0.16f, 0.16f}, cold[3] = {0.12f, 0.36f, 0.74f};
    for (size_t i = 0; i < count; i++) reach = fmaxf(reach, fabsf(x[i]));
    for (size_t i = 0; i < count; i++) {
        const float share = reach > 0.0f ? fminf(fabsf(x[i]) / reach, 1.0f) : 0.0f;
        const float *full = x[i] > 0.0f ? warm : cold;
        for (size_t c = 0; c < 3; c++)
            rgba[4 * i + c] = (uint8_t)(255.0f * (1.0f + share * (full[c] - 1.0f)));
        rgba[4 * i + 3] = 255;
    }
}

static uint8_t *painted; /* what the functions below return */

static uint8_t *room_for(size_t pixels) {
    free(painted);
    painted = calloc(pixels, 4);
    return painted;
}

/* Paint the outputs of a layer, or the weights of a unit. */
EXPORT(page_paint_outputs) const uint8_t *page_paint_outputs(size_t layer) {
    if (room_for(widths[layer]) == NULL) return NULL;
    paint(page_outputs(layer), widths[layer], 0.0f, painted);
    return painted;
}

EXPORT(page_paint_unit) const uint8_t *page_paint_unit(size_t layer, size_t unit) {
    if (room_for(width_before(layer)) == NULL) return NULL;
    paint(page_unit_weights(layer, unit), width_before(layer), 0.0f, painted);
    return painted;
}

/* Paint the digit, or the drawing: bright ink on black. */
EXPORT(page_paint_grey) const uint8_t *page_paint_grey(int drawing) {
    const size_t count = drawing ? INK_PIXELS : DIGIT_PIXELS;
    const uint8_t *grey = drawing ? ink : digit;
    if (room_for(count) == NULL) return NULL;
    for (size_t i = 0; i < count; i++) {
        memset(painted + 4 * i, grey[i], 3);
        painted[4 * i + 3] = 255;
    }
    return painted;
}

/* The side of the smallest square of pictures that holds one for each unit of a layer. */
EXPORT(page_columns_of_tiles) size_t page_columns_of_tiles(size_t layer) {
    size_t side = 1;
    while (side * side < widths[layer]) side++;
    return side;
}

/* How many pixels the picture of all units of the first layer has each way. */
EXPORT(page_tiles_side) size_t page_tiles_side(void) {
    return page_columns_of_tiles(0) * (DIGIT_SIDE + 1) - 1;
}

/* Paint the weights of all units of the first layer, each as 28 x 28 pixels, with a clear line between. */
EXPORT(page_paint_tiles) const uint8_t *page_paint_tiles(void) {
    const size_t across = page_columns_of_tiles(0), side = page_tiles_side();
    static uint8_t tile[4 * DIGIT_PIXELS];
    if (inputs != DIGIT_PIXELS || room_for(side * side) == NULL) return NULL;
    for (size_t unit = 0; unit < widths[0]; unit++) {
        paint(page_unit_weights(0, unit), DIGIT_PIXELS, 0.0f, tile);
        const size_t top = unit / across * (DIGIT_SIDE + 1), left = unit % across * (DIGIT_SIDE + 1);
        for (size_t y = 0; y < DIGIT_SIDE; y++)
            memcpy(painted + 4 * ((top + y) * side + left), tile + 4 * y * DIGIT_SIDE, 4 * DIGIT_SIDE);
    }
    return painted;
}
