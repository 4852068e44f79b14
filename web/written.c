/* written.c: one value of a step of training, written out: the numbers that it comes from. */
#include "step.h"

#include <math.h>

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

/* The sum that gave dweight (part 0) or dbias of a channel of batch normalization. */
static const float *sum_of_channel(size_t layer, int part, size_t channel, float result) {
    static float numbers[SUM_NUMBERS];
    const pynn_shape shape = model.shapes[layer];
    const size_t places = shape.height * shape.width;
    double mean, variance;
    moments(layer, channel * places, &mean, &variance);
    const double factor = 1.0 / sqrt(variance + (double)model.layers[layer].batch_norm.eps);
    const array x = find(layer, PYNN_VALUE_INPUTS, values[1]);
    const array dy = find(layer, PYNN_VALUE_OUTPUT_GRADIENTS, values[0]);
    const products it = list_channel(shape, channel, x.x, dy.x, kept.rows);
    for (size_t i = 0; i < it.count; i++)
        it.b[i] = part == 0 ? (float)(((double)it.b[i] - mean) * factor) : 1.0f;
    write_sum(it.a, 1, it.b, 1, it.count, 0.0f, result, numbers);
    return it.a != NULL ? numbers : NULL;
}

/* The sum of products that gave a value of a dense layer, a convolution or a pool, or a gradient
 * of batch normalization, as write_sum() writes it; NULL for other values. */
EXPORT(page_step_sum) const float *page_step_sum(size_t layer, int what, size_t index) {
    static float numbers[SUM_NUMBERS];
    const size_t inputs = width_before(layer), outputs = model.widths[layer];
    const array it = find(layer, what, values[0]);
    if (it.x == NULL) return NULL;
    const float result = it.x[index];
    if (model.layers[layer].kind == PYNN_BATCH_NORM && what >= 10 * GRADIENT && what < 10 * GRADIENT + 2)
        return sum_of_channel(layer, what % 10, index, result);
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

/* How a running mean (part 2) or variance (3) of a channel moved: before, after, and what of the batch it
 * moved towards: the mean, or the variance with the count less 1 as divisor. */
EXPORT(page_step_running) const double *page_step_running(size_t layer, int part, size_t channel) {
    static double numbers[3];
    if (kept.workspace == NULL) return NULL;
    const size_t places = model.shapes[layer].height * model.shapes[layer].width;
    const double count = (double)(kept.rows * places);
    double mean, variance;
    moments(layer, channel * places, &mean, &variance);
    numbers[0] = (double)find(layer, 10 * BEFORE + part, NULL).x[channel];
    numbers[1] = (double)find(layer, 10 * AFTER + part, NULL).x[channel];
    numbers[2] = part == 2 ? mean : variance * (count > 1.0 ? count / (count - 1.0) : 1.0);
    return numbers;
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
