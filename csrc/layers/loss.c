/* loss.c: the three losses, each with its gradient; softmax and sigmoid. */
#include <math.h>

#include "base/mathematics.h"
#include "base/vector.h"
#include "layers/loss.h"

/* Rows of a batch that a loss takes at a time: what it keeps of each is on the stack. */
enum { ROWS_OF_A_LOSS = 32 };

/* Classes, or outputs, from which on a row by itself is worth a kernel. */
enum { MANY = 64 };

/* The index of the largest of `count` values; the first of equals. NaN is not larger than any. */
static size_t argmax(size_t count, const float *z) {
    size_t best = 0;
    for (size_t c = 1; c < count; c++) {
        if (z[c] > z[best]) best = c;
    }
    return best;
}

/* e = z - max z, of many values; returns argmax(). The largest is found in lanes side by side, of
 * which GCC makes vectors (16 it would unroll before); then its place. */
PYNN_KERNEL(size_t, subtract_max, (size_t count, const float *z, float *e), (count, z, e)) {
    enum { LANES = 32 };
    float lanes[LANES], max = z[0];
    size_t i = 0, best = 0;
    for (size_t k = 0; k < LANES; k++) lanes[k] = max;
    for (; i + LANES <= count; i += LANES) {
        for (size_t k = 0; k < LANES; k++) lanes[k] = z[i + k] > lanes[k] ? z[i + k] : lanes[k];
    }
    for (size_t k = 0; k < LANES; k++) max = lanes[k] > max ? lanes[k] : max;
    for (; i < count; i++) max = z[i] > max ? z[i] : max;
    while (best < count && z[best] != max) best++;
    for (i = 0; i < count; i++) e[i] = z[i] - max;
    return best < count ? best : 0; /* z[0] is NaN */
}

/* e = exp(e). In place, since Clang takes the values one by one where the source and the target may be the
 * same array. */
PYNN_KERNEL(void, exp_in_place, (size_t count, float *e), (count, e)) {
    for (size_t i = 0; i < count; i++) e[i] = pynn_exp(e[i]);
}

/* E = exp(Z - max Z), row by row; (rows, classes) each. With the largest logit subtracted no exponential
 * exceeds 1, so that nothing overflows, and one of them is 1, so that no sum is 0.
 *   largest  (rows,): where the largest are; or NULL */
static void exponentials(size_t rows, size_t classes, const float *z, size_t *largest, float *e) {
    for (size_t n = 0; n < rows; n++) {
        const float *logits = z + n * classes;
        size_t place;
        if (classes >= MANY) {
            place = subtract_max(classes, logits, e + n * classes);
        } else {
            place = argmax(classes, logits);
            float max = logits[place];
            for (size_t c = 0; c < classes; c++) e[n * classes + c] = logits[c] - max;
        }
        if (largest != NULL) largest[n] = place;
    }
    exp_in_place(rows * classes, e);
}

PYNN_KERNEL(double, sum_many, (size_t count, const float *values), (count, values)) {
    enum { LANES = 8 };
    double lanes[LANES] = {0}, total = 0.0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t k = 0; k < LANES; k++) lanes[k] += (double)values[i + k];
    }
    for (; i < count; i++) lanes[0] += (double)values[i];
    for (size_t k = 0; k < LANES; k++) total += lanes[k];
    return total;
}

/* In double: of 2^24 floats that are added one after another the sum is off by some percent. Lanes take
 * longer to be brought together than to add up a few. */
static double sum(size_t count, const float *values) {
    double total = 0.0;
    if (count >= MANY) return sum_many(count, values);
    for (size_t i = 0; i < count; i++) total += (double)values[i];
    return total;
}

/* The quotients are not for several instruction sets: a processor divides 16 floats at a time hardly sooner
 * than 4 times 4. */
static void softmax(size_t rows, size_t classes, const float *z, float *p) {
    exponentials(rows, classes, z, NULL, p);
    for (size_t n = 0; n < rows; n++, p += classes) {
        float total = (float)sum(classes, p);
        for (size_t c = 0; c < classes; c++) p[c] /= total;
    }
}

PYNN_KERNEL(void, sigmoids, (size_t count, const float *z, float *p), (count, z, p)) {
    for (size_t i = 0; i < count; i++) p[i] = pynn_sigmoid(z[i]);
}

static void sigmoid(size_t rows, size_t outputs, const float *z, float *p) {
    sigmoids(rows * outputs, z, p);
}

static pynn_status check_no_options(const pynn_loss *loss) {
    (void)loss;
    return PYNN_OK;
}

static float weight_at(const float *weights, size_t n) {
    return weights == NULL ? 1.0f : weights[n];
}

/* D[n, :] = factors[n] * D[n, :] */
PYNN_KERNEL(void, scale_rows, (size_t rows, size_t columns, const float *factors, float *d),
            (rows, columns, factors, d)) {
    for (size_t n = 0; n < rows; n++, d += columns) {
        float factor = factors[n];
        for (size_t c = 0; c < columns; c++) d[c] *= factor;
    }
}

PYNN_KERNEL(void, subtract, (size_t count, float share, float *d), (count, share, d)) {
    for (size_t i = 0; i < count; i++) d[i] -= share;
}

/* ---------------------------------------------------------------- softmax cross-entropy */

static pynn_status check_smoothing(const pynn_loss *loss) {
    float smoothing = loss->softmax_cross_entropy.label_smoothing;
    return smoothing >= 0.0f && smoothing < 1.0f ? PYNN_OK : PYNN_INVALID_ARGUMENT;
}

/* softmax_cross_entropy() for few rows, first .. first + rows - 1, whose losses and correct labels are
 * added to *sums. */
static void cross_entropy_of_some(const pynn_loss_rows *it, size_t first, size_t rows, float smoothing,
                                  pynn_sums *sums) {
    size_t largest[ROWS_OF_A_LOSS], outputs = it->outputs;
    float factors[ROWS_OF_A_LOSS];
    const float *z = it->z + first * outputs;
    const int32_t *labels = it->labels + first;
    float *dz = it->dz + first * outputs;
    exponentials(rows, outputs, z, largest, dz);
    for (size_t n = 0; n < rows; n++) {
        const float *logits = z + n * outputs;
        size_t label = (size_t)labels[n];
        float total = (float)sum(outputs, dz + n * outputs);
        float weight = weight_at(it->weights, first + n);
        float distance = logits[label] - logits[largest[n]];
        factors[n] = weight * it->scale / total;
        if (smoothing > 0.0f) {
            float mean = (float)(sum(outputs, logits) / (double)outputs - (double)logits[largest[n]]);
            distance += smoothing * (mean - distance);
        }
        sums->loss += (double)(weight * (logf(total) - distance));
        sums->correct += largest[n] == label;
    }
    scale_rows(rows, outputs, factors, dz);
    for (size_t n = 0; n < rows; n++, dz += outputs) {
        float weight = weight_at(it->weights, first + n);
        if (smoothing > 0.0f) subtract(outputs, weight * it->scale * smoothing / (float)outputs, dz);
        dz[labels[n]] -= weight * it->scale * (1.0f - smoothing);
    }
}

/* With m = max z, e_c = exp(z_c - m) and s = sum_c e_c:
 *     -log softmax(z)_c = log s - (z_c - m)
 *     d loss / dz_c = e_c / s - q_c, where q = [c == label], or smoothed (1 - e) [c == label] + e / C */
static void softmax_cross_entropy(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums) {
    *sums = (pynn_sums){.rows = it->rows};
    for (size_t n = 0; n < it->rows; n += ROWS_OF_A_LOSS)
        cross_entropy_of_some(it, n, pynn_least(ROWS_OF_A_LOSS, it->rows - n),
                              loss->softmax_cross_entropy.label_smoothing, sums);
}

/* ---------------------------------------------------------------- mean squared error */

/* d loss / dz = 2 (z - t) / O */
static void mean_squared_error(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums) {
    (void)loss;
    const float *z = it->z, *targets = it->targets;
    float *dz = it->dz;
    size_t outputs = it->outputs;
    *sums = (pynn_sums){.rows = it->rows};
    for (size_t n = 0; n < it->rows; n++, z += outputs, targets += outputs, dz += outputs) {
        float weight = weight_at(it->weights, n);
        float factor = 2.0f * weight * it->scale / (float)outputs;
        double squares = 0.0;
        for (size_t o = 0; o < outputs; o++) {
            float error = z[o] - targets[o];
            squares += (double)error * (double)error;
            dz[o] = factor * error;
        }
        sums->loss += (double)weight * squares / (double)outputs;
    }
}

/* ---------------------------------------------------------------- binary cross-entropy */

/* e = exp(-|z|) */
PYNN_KERNEL(void, exp_of_magnitudes, (size_t count, const float *z, float *e), (count, z, e)) {
    for (size_t i = 0; i < count; i++) e[i] = pynn_exp(-fabsf(z[i]));
}

/* The loss of a row: the sum over its outputs of
 *     max(z, 0) - z t + log(1 + e)
 * One logarithm is taken of the product of many 1 + e, which are at most 2: their logarithms' sum. Not for
 * several instruction sets: the sum is one after another, and levels
 * with FMA would give other bits than those without. */
static double binary_loss(size_t outputs, const float *z, const float *targets, const float *e) {
    enum { FACTORS = 512 };
    double loss = 0.0, product = 1.0;
    for (size_t o = 0; o < outputs; o++) {
        loss += (double)((z[o] > 0.0f ? z[o] : 0.0f) - z[o] * targets[o]);
        product *= 1.0 + (double)e[o];
        if (o % FACTORS == FACTORS - 1 || o + 1 == outputs) {
            loss += log(product);
            product = 1.0;
        }
    }
    return loss;
}

/* D = factor * (s(Z) - T), where D was E; returns how many outputs are correct. */
PYNN_KERNEL(size_t, binary_deltas,
            (size_t count, const float *z, const float *targets, float factor, float *d),
            (count, z, targets, factor, d)) {
    size_t correct = 0;
    for (size_t i = 0; i < count; i++) {
        d[i] = factor * ((z[i] > 0.0f ? 1.0f : d[i]) / (1.0f + d[i]) - targets[i]);
        correct += (z[i] > 0.0f) == (targets[i] > 0.5f);
    }
    return correct;
}

/* With e = exp(-|z|), where nothing overflows:
 *     loss = max(z, 0) - z t + log(1 + e), for one output
 *     d loss / dz = s(z) - t */
static void binary_cross_entropy(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums) {
    (void)loss;
    const float *z = it->z, *targets = it->targets;
    float *dz = it->dz;
    size_t outputs = it->outputs;
    *sums = (pynn_sums){.rows = it->rows};
    exp_of_magnitudes(it->rows * outputs, z, dz);
    for (size_t n = 0; n < it->rows; n++, z += outputs, targets += outputs, dz += outputs) {
        float weight = weight_at(it->weights, n);
        double sum_of_row = binary_loss(outputs, z, targets, dz);
        sums->loss += (double)weight * sum_of_row / (double)outputs;
        sums->correct += binary_deltas(outputs, z, targets, weight * it->scale / (float)outputs, dz);
    }
}

/* ---------------------------------------------------------------- the table */

static const pynn_loss_type types[] = {
    {PYNN_SOFTMAX_CROSS_ENTROPY, true, check_smoothing, softmax_cross_entropy, softmax},
    {PYNN_MEAN_SQUARED_ERROR, false, check_no_options, mean_squared_error, NULL},
    {PYNN_BINARY_CROSS_ENTROPY, false, check_no_options, binary_cross_entropy, sigmoid},
};

const pynn_loss_type *pynn_loss_type_of(pynn_loss_kind kind) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].kind == kind) return &types[i];
    }
    return NULL;
}
