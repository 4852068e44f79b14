/* looking.c: the drawing, or an example, and what the network makes of it. */
#include "page.h"

#include <math.h>
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

/* The weights that a unit of a dense layer gives to its inputs: column `unit` of W. */
static const float *unit_weights(size_t layer, size_t unit) {
    pynn_parameter_view view;
    find_view(layer, 0, &view);
    const float *w = model.parameters + view.offset + unit;
    for (size_t i = 0; i < width_before(layer); i++) model.values[i] = w[i * model.widths[layer]];
    return model.values;
}

/* The sum of a unit of a dense layer, after page_look(), as write_sum() writes it. */
EXPORT(page_unit_sum) const float *page_unit_sum(size_t layer, size_t unit) {
    static float numbers[SUM_NUMBERS];
    const size_t count = width_before(layer), outputs = model.widths[layer];
    pynn_parameter_view weight, bias;
    find_view(layer, 0, &weight), find_view(layer, 1, &bias);
    const float result = page_outputs(layer)[unit];
    write_sum(page_layer_inputs(layer), 1, model.parameters + weight.offset + unit, outputs, count,
              model.parameters[bias.offset + unit], result, numbers);
    return numbers;
}

/* ---------------------------------------------------------------- pictures */

/* Paint the outputs of a layer, or the weights of a unit. */
EXPORT(page_paint_outputs) const uint8_t *page_paint_outputs(size_t layer) {
    uint8_t *painted = room_for(model.widths[layer]);
    if (painted != NULL) paint(page_outputs(layer), model.widths[layer], painted);
    return painted;
}

EXPORT(page_paint_unit) const uint8_t *page_paint_unit(size_t layer, size_t unit) {
    uint8_t *painted = room_for(width_before(layer));
    if (painted != NULL) paint(unit_weights(layer, unit), width_before(layer), painted);
    return painted;
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

/* Paint the weights of the first `count` units of the first layer, 28 x 28 pixels each, in rows of `across`
 * units, with a clear line between. */
EXPORT(page_paint_tiles) const uint8_t *page_paint_tiles(size_t count, size_t across) {
    const size_t apart = DIGIT_SIDE + 1, width = across * apart - 1;
    const size_t height = (count + across - 1) / across * apart - 1;
    static uint8_t tile[4 * DIGIT_PIXELS];
    uint8_t *painted = room_for(width * height);
    if (painted == NULL) return NULL;
    for (size_t unit = 0; unit < count; unit++) {
        paint(unit_weights(0, unit), DIGIT_PIXELS, tile);
        const size_t top = unit / across * apart, left = unit % across * apart;
        for (size_t y = 0; y < DIGIT_SIDE; y++)
            memcpy(painted + 4 * ((top + y) * width + left), tile + 4 * y * DIGIT_SIDE, 4 * DIGIT_SIDE);
    }
    return painted;
}
