/* looking.c: the drawing, or an example, and what the network makes of it. */
#include "page.h"

#include "layers/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint8_t ink[INK_PIXELS];
uint8_t digit[DIGIT_PIXELS];

static size_t example_set = 2, example_row; /* the set 2 stands for the drawing */

/* ---------------------------------------------------------------- the drawing */

EXPORT(page_ink_clear) void page_ink_clear(void) {
    memset(ink, 0, sizeof ink);
    memset(digit, 0, sizeof digit);
    forget_example();
}

/* Draw from one point to another; points are given in a square of a side of `side`. */
EXPORT(page_ink_stroke) void page_ink_stroke(float side, float x0, float y0, float x1, float y1) {
    const float scale = (float)INK_SIDE / side;
    ink_stroke(ink, x0 * scale, y0 * scale, x1 * scale, y1 * scale);
}

/* Make the digit of the drawing. Returns whether anything is drawn. */
EXPORT(page_digit_from_ink) int page_digit_from_ink(void) {
    forget_example();
    return ink_to_digit(ink, INK_SIDE, INK_SIDE, digit);
}

EXPORT(page_digit) const uint8_t *page_digit(void) {
    return digit;
}

/* ---------------------------------------------------------------- an example */

void forget_example(void) {
    example_set = 2;
}

/* Take the pixels of an example as the digit, scaled so that the largest is 255. */
static void copy_digit(const examples *set, size_t row) {
    const size_t begin = row * DIGIT_PIXELS;
    const float *floats = (const float *)set->features + begin;
    float largest = 0.0f;
    if (set->type == PYNN_FEATURES_UINT8) {
        memcpy(digit, (const uint8_t *)set->features + begin, DIGIT_PIXELS);
        return;
    }
    for (size_t i = 0; i < DIGIT_PIXELS; i++) largest = fmaxf(largest, floats[i]);
    for (size_t i = 0; i < DIGIT_PIXELS; i++)
        digit[i] = (uint8_t)(floats[i] > 0.0f ? 255.0f * floats[i] / largest : 0.0f);
}

/* Look at an example of a set in place of the drawing. Returns its label; -1 if there is none. */
EXPORT(page_show_example) int page_show_example(size_t set, size_t row) {
    if (!page_usable(set) || row >= sets[set].rows) return -1;
    memset(ink, 0, sizeof ink);
    if (model.inputs == DIGIT_PIXELS) copy_digit(&sets[set], row);
    example_set = set, example_row = row;
    return sets[set].labels[row];
}

/* ---------------------------------------------------------------- what the network makes of it */

/* Send the digit or the example through the network. The values of all layers are kept. */
EXPORT(page_look) pynn_status page_look(void) {
    const pynn_output output =
        model.loss.kind == PYNN_MEAN_SQUARED_ERROR ? PYNN_LOGITS : PYNN_PROBABILITIES;
    pynn_data data = {.features = digit, .feature_type = PYNN_FEATURES_UINT8, .rows = 1};
    size_t row = 0;
    if (example_set < 2) {
        data = data_of(&sets[example_set]), row = example_row;
    } else if (model.inputs != DIGIT_PIXELS) {
        memset(model.values, 0, model.inputs * sizeof(float));
        data.features = model.values, data.feature_type = PYNN_FEATURES_FLOAT32;
    }
    /* The outputs go behind the values that may be the row. */
    size_t widest = model.inputs;
    for (size_t layer = 0; layer < model.layer_count; layer++)
        widest = model.widths[layer] > widest ? model.widths[layer] : widest;
    return pynn_predict(model.looking, &data, row, row + 1, model.parameters, output,
                        model.values + widest);
}

/* Whether the first layer took its inputs as sparse rows, in page_look(). */
EXPORT(page_look_is_sparse) int page_look_is_sparse(void) {
    return pynn_workspace_is_sparse(model.looking);
}

/* The outputs of a layer, after page_look(). */
EXPORT(page_outputs) const float *page_outputs(size_t layer) {
    pynn_workspace_read(model.looking, layer, PYNN_VALUE_OUTPUTS, model.values);
    return model.values;
}

EXPORT(page_layer_inputs) const float *page_layer_inputs(size_t layer) {
    pynn_workspace_read(model.looking, layer, PYNN_VALUE_INPUTS, model.values);
    return model.values;
}

/* The probability of each class, after page_look(); with mean squared error the outputs. */
EXPORT(page_probabilities) const float *page_probabilities(void) {
    if (model.loss.kind == PYNN_MEAN_SQUARED_ERROR) return page_outputs(model.layer_count - 1);
    pynn_workspace_read(model.looking, 0, PYNN_VALUE_PROBABILITIES, model.values);
    return model.values;
}

/* The class with the largest probability. */
EXPORT(page_answer) size_t page_answer(void) {
    const float *p = page_probabilities();
    size_t best = 0;
    for (size_t c = 1; c < model.widths[model.layer_count - 1]; c++) best = p[c] > p[best] ? c : best;
    return best;
}

/* ---------------------------------------------------------------- a unit */

/* The channel of a unit. */
static size_t channel_of(size_t layer, size_t unit) {
    return unit / (model.shapes[layer].height * model.shapes[layer].width);
}

/* The weights that a unit gives to its inputs: column `unit` of the W of a dense layer, or the filter of a
 * convolution. */
static array unit_weights(size_t layer, size_t unit) {
    pynn_parameter_view view;
    if (!find_view(layer, 0, &view) || view.ndim == 1) return (array){0};
    const float *w = model.parameters + view.offset;
    if (view.ndim == 4) {
        const pynn_shape filter = {view.dims[1], view.dims[2], view.dims[3]};
        return array_of_rows(w + channel_of(layer, unit) * pynn_shape_size(filter), 1, filter);
    }
    for (size_t i = 0; i < view.dims[0]; i++) model.values[i] = w[i * view.dims[1] + unit];
    return array_of_rows(model.values, 1, image_before(layer));
}

/* The sum of a unit, after page_look(), as write_sum() writes it; of a pool, with ones as weights, and the
 * sum that its mean is made of. NULL for units of other layers. */
EXPORT(page_unit_sum) const float *page_unit_sum(size_t layer, size_t unit) {
    static float numbers[SUM_NUMBERS];
    const size_t count = width_before(layer), outputs = model.widths[layer];
    const float result = page_outputs(layer)[unit];
    const float *x = page_layer_inputs(layer);
    pynn_parameter_view weight, bias;
    if (model.layers[layer].kind == PYNN_DENSE) {
        find_view(layer, 0, &weight), find_view(layer, 1, &bias);
        write_sum(x, 1, model.parameters + weight.offset + unit, outputs, count,
                  model.parameters[bias.offset + unit], result, numbers);
        return numbers;
    }
    if (!has_windows(layer)) return NULL;
    const int has_weights = find_view(layer, 0, &weight) && find_view(layer, 1, &bias);
    const products it = list_output(layer, unit, x, has_weights ? model.parameters + weight.offset : NULL);
    if (it.a == NULL) return NULL;
    if (has_weights)
        write_sum(it.a, 1, it.b, 1, it.count, model.parameters[bias.offset + channel_of(layer, unit)],
                  result, numbers);
    else
        write_sum(it.b, 1, NULL, 0, it.count, 0.0f, result * (float)window_size(layer), numbers);
    return numbers;
}

/* What batch normalization makes a unit of, in use: the running mean and variance, weight and bias. */
EXPORT(page_unit_norm) const double *page_unit_norm(size_t layer, size_t unit) {
    static double numbers[4];
    static const int parts[4] = {2, 3, 0, 1};
    for (size_t k = 0; k < 4; k++) {
        pynn_parameter_view view;
        find_view(layer, parts[k], &view);
        numbers[k] = (double)model.parameters[view.offset + channel_of(layer, unit)];
    }
    return numbers;
}

EXPORT(page_window_size) size_t page_window_size(size_t layer) {
    return window_size(layer);
}

/* ---------------------------------------------------------------- pictures */

/* Two numbers, the pixels of a picture across and down. */
static const uint32_t *size_of(const array *it) {
    static uint32_t numbers[2];
    size_t size[2] = {0, 0};
    if (it->x != NULL) measure(it, size);
    numbers[0] = (uint32_t)size[0], numbers[1] = (uint32_t)size[1];
    return numbers;
}

static array outputs_of(size_t layer) {
    return array_of_rows(page_outputs(layer), 1, model.shapes[layer]);
}

/* The size of the picture of a layer's outputs. Each of its channels is a tile, if they are images. */
EXPORT(page_outputs_size) const uint32_t *page_outputs_size(size_t layer) {
    const array it = outputs_of(layer);
    return size_of(&it);
}

/* Paint the outputs of a layer, with a mark on one of them if there is one of that number. */
EXPORT(page_paint_outputs) const uint8_t *page_paint_outputs(size_t layer, size_t marked) {
    const array it = outputs_of(layer);
    return paint_array(&it, marked);
}

/* The unit that is painted at a pixel; -1 between tiles. */
EXPORT(page_unit_at) int32_t page_unit_at(size_t layer, size_t x, size_t y) {
    const array it = outputs_of(layer);
    return pick(&it, x, y);
}

/* The pixel where a unit is painted, counted row by row. */
EXPORT(page_unit_pixel) size_t page_unit_pixel(size_t layer, size_t unit) {
    const array it = outputs_of(layer);
    return pixel_of(&it, unit);
}

/* The place of a unit, behind how many numbers it is: one, or in images its channel, row and column. */
EXPORT(page_unit_place) const uint32_t *page_unit_place(size_t layer, size_t unit) {
    static uint32_t numbers[4];
    const pynn_shape shape = model.shapes[layer];
    const size_t places = shape.height * shape.width;
    numbers[0] = places > 1 ? 3 : 1;
    numbers[1] = (uint32_t)(unit / places);
    numbers[2] = (uint32_t)(unit % places / shape.width);
    numbers[3] = (uint32_t)(unit % shape.width);
    return numbers;
}

/* The unit in the middle of the first feature map of a layer; 0 if it has none. */
EXPORT(page_middle_unit) size_t page_middle_unit(size_t layer) {
    const pynn_shape shape = model.shapes[layer];
    return shape.height / 2 * shape.width + shape.width / 2;
}

/* The size of the picture of the weights of a unit; 0 if it has none. */
EXPORT(page_unit_size) const uint32_t *page_unit_size(size_t layer, size_t unit) {
    const array it = unit_weights(layer, unit);
    return size_of(&it);
}

EXPORT(page_paint_unit) const uint8_t *page_paint_unit(size_t layer, size_t unit) {
    const array it = unit_weights(layer, unit);
    return paint_array(&it, SIZE_MAX);
}

/* Paint the digit, or the drawing: bright ink on black. */
EXPORT(page_paint_grey) const uint8_t *page_paint_grey(int is_drawing) {
    const size_t count = is_drawing ? INK_PIXELS : DIGIT_PIXELS;
    const uint8_t *grey = is_drawing ? ink : digit;
    uint8_t *painted = room_for(count);
    for (size_t i = 0; painted != NULL && i < count; i++) {
        memset(painted + 4 * i, grey[i], 3);
        painted[4 * i + 3] = 255;
    }
    return painted;
}

/* The weights of the first layer as tiles: all filters of a convolution, or the units of a dense layer that
 * sees images, at most MOST_TILES. x is NULL if there are none. */
static array first_weights(void) {
    enum { MOST_TILES = 256 };
    pynn_parameter_view view;
    if (!find_view(0, 0, &view) || view.ndim == 1) return (array){0};
    const float *w = model.parameters + view.offset;
    if (view.ndim == 4)
        return array_of_rows(w, view.dims[0], (pynn_shape){view.dims[1], view.dims[2], view.dims[3]});
    const pynn_shape image = image_before(0);
    if (image.height * image.width == 1) return (array){0};
    array it = array_of_rows(w, 1, image);
    it.rows = view.dims[0], it.columns = view.dims[1] < MOST_TILES ? view.dims[1] : MOST_TILES;
    it.by_row = 0;
    return it;
}

EXPORT(page_tiles_size) const uint32_t *page_tiles_size(void) {
    const array it = first_weights();
    return size_of(&it);
}

/* Paint the weights of the first layer. Each unit of a dense layer has colours of its own scale. */
EXPORT(page_paint_tiles) const uint8_t *page_paint_tiles(void) {
    array it = first_weights();
    if (it.by_row) return paint_array(&it, SIZE_MAX);
    size_t size[2];
    measure(&it, size);
    uint8_t *colours = malloc(4 * it.rows), *painted = room_for(size[0] * size[1]);
    for (size_t unit = 0; colours != NULL && painted != NULL && unit < it.columns; unit++) {
        paint(unit_weights(0, unit).x, it.rows, colours);
        for (size_t i = 0; i < it.rows; i++)
            memcpy(painted + 4 * pixel_of(&it, i * it.columns + unit), colours + 4 * i, 4);
    }
    free(colours);
    return painted;
}
