/* loss.c: the losses, each with its gradient, and what turns outputs into probabilities: softmax,
 * sigmoid. */
#include <math.h>

#include "base/mathematics.h"
#include "base/sums.h"
#include "base/vector.h"
#include "layers/loss.h"

/* How many rows of a batch a loss takes at a time. It keeps some numbers for each of them on the stack. */
enum { ROWS_OF_A_LOSS = 32 };

/* From this many classes or outputs on, one row alone is worth the call of a kernel. */
enum { MANY = 64 };

/* The index of the largest of `count` values; of equal values, the first. A NaN is never larger than
 * another value. */
static size_t argmax(size_t count, const float *z) {
    size_t best = 0;
    for (size_t c = 1; c < count; c++) {
        if (z[c] > z[best]) best = c;
    }
    return best;
}

/* e = z - max z, for many values; returns what argmax() returns. The largest value is found in LANES lanes
 * side by side, so that GCC makes vectors of them; with 16 lanes it would unroll the loop first, and make
 * none. Then a second loop finds the index of that value. */
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
    return best < count ? best : 0; /* none is equal to max if z[0] is NaN */
}

/* e = exp(e). It works in place, because Clang makes no vectors of a loop whose source and target may be
 * the same array. */
PYNN_KERNEL(void, exp_in_place, (size_t count, float *e), (count, e)) {
    for (size_t i = 0; i < count; i++) e[i] = pynn_exp(e[i]);
}

/* E = exp(Z - max Z), row by row; both are (rows, classes). What could go wrong: exp() of a large logit
 * overflows, or all exponentials of a row are 0 and softmax() divides by 0. Neither happens: with the
 * largest logit subtracted no exponential exceeds 1, and one of them is exp(0) = 1.
 *   largest  (rows,): the index of the largest logit of each row; or NULL */
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

/* The sum of many values, in LANES partial sums side by side. */
PYNN_KERNEL(double, sum_many, (size_t count, const float *values), (count, values)) {
    return pynn_sum(count, values);
}

/* The sum of the values, in double: if 2^24 floats are added as floats, one after another, the sum is off
 * by some percent. Few values are added one by one, because adding up the lanes of sum_many() would take
 * longer. */
static double sum(size_t count, const float *values) {
    double total = 0.0;
    if (count >= MANY) return sum_many(count, values);
    for (size_t i = 0; i < count; i++) total += (double)values[i];
    return total;
}

/* P = softmax(Z) = exp(Z) / sum of exp(Z), row by row   @softmax_cross_entropy.P */
/* Both are (rows, classes). The divisions are not compiled for several
 * instruction sets: a processor divides 16 floats at a time hardly faster than 4 floats four times. */
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

/* P = 1 / (1 + exp(-Z))   @binary_cross_entropy.P */
/* Both are (rows, outputs). */
static void sigmoid(size_t rows, size_t outputs, const float *z, float *p) {
    sigmoids(rows * outputs, z, p);
}

static pynn_status check_no_options(const pynn_loss *loss) {
    (void)loss;
    return PYNN_OK;
}

/* The weight of row n. */
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

/* D = D - share, for `count` values. */
PYNN_KERNEL(void, subtract, (size_t count, float share, float *d), (count, share, d)) {
    for (size_t i = 0; i < count; i++) d[i] -= share;
}

/* ---------------------------------------------------------------- softmax cross-entropy */

static pynn_status check_standardize(const pynn_loss *loss) {
    int standardize = loss->mean_squared_error.standardize;
    return standardize == 0 || standardize == 1 ? PYNN_OK : PYNN_INVALID_ARGUMENT;
}

static pynn_status check_smoothing(const pynn_loss *loss) {
    float smoothing = loss->softmax_cross_entropy.label_smoothing;
    return smoothing >= 0.0f && smoothing < 1.0f ? PYNN_OK : PYNN_INVALID_ARGUMENT;
}

/* softmax_cross_entropy() for a few rows, first .. first + rows - 1, at most ROWS_OF_A_LOSS. Adds their
 * losses and the number of correct labels to *sums. */
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
        /* loss = -log P[label]   @softmax_cross_entropy.loss */
        /* loss = -(1 - s) log P[label] - s mean(log P)   @softmax_cross_entropy.smoothedloss */
        sums->loss += (double)(weight * (logf(total) - distance));
        sums->correct += largest[n] == label;
    }
    scale_rows(rows, outputs, factors, dz);
    for (size_t n = 0; n < rows; n++, dz += outputs) {
        float weight = weight_at(it->weights, first + n);
        if (smoothing > 0.0f) subtract(outputs, weight * it->scale * smoothing / (float)outputs, dz);
        /* dZ = (P - one-hot label) / N   @softmax_cross_entropy.dZ */
        /* dZ = (P - (1 - s) one-hot label - s / classes) / N   @softmax_cross_entropy.smootheddZ */
        dz[labels[n]] -= weight * it->scale * (1.0f - smoothing);
    }
}

/* With m = max z, e_c = exp(z_c - m) and s = sum_c e_c:
 *
 *     -log softmax(z)_c = log s - (z_c - m)
 *     d loss / dz_c = e_c / s - q_c
 *
 * where q_c is 1 for the label and 0 for the other classes, or, with label smoothing e, 1 - e + e / C for
 * the label and e / C for the other classes. The logarithm is taken of s, which is at least 1, and never of
 * a probability, which may be rounded to 0. */
static void softmax_cross_entropy(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums) {
    *sums = (pynn_sums){.rows = it->rows};
    for (size_t n = 0; n < it->rows; n += ROWS_OF_A_LOSS)
        cross_entropy_of_some(it, n, pynn_least(ROWS_OF_A_LOSS, it->rows - n),
                              loss->softmax_cross_entropy.label_smoothing, sums);
}

/* ---------------------------------------------------------------- mean squared error */

/* The errors of a few rows: for each output the sum of |y - t|, and that of (y - t)^2. The sums of some
 * outputs at a time stay in registers. A product of two floats is exact in double, so that levels with FMA
 * give the same bits as levels without.
 *   y, targets  (rows, outputs)
 *   errors      (2, outputs), overwritten */
PYNN_KERNEL(void, sum_errors,
            (size_t rows, size_t outputs, const float *y, const float *targets, double *errors),
            (rows, outputs, y, targets, errors)) {
    enum { LANES = 16 };
    size_t o = 0;
    for (; o + LANES <= outputs; o += LANES) {
        double absolute[LANES] = {0.0}, squares[LANES] = {0.0};
        for (size_t n = 0; n < rows; n++) {
            for (size_t k = 0; k < LANES; k++) {
                double error = (double)(y[n * outputs + o + k] - targets[n * outputs + o + k]);
                absolute[k] += fabs(error);
                squares[k] += error * error;
            }
        }
        for (size_t k = 0; k < LANES; k++) {
            errors[o + k] = absolute[k];
            errors[outputs + o + k] = squares[k];
        }
    }
    for (; o < outputs; o++) {
        double absolute = 0.0, squares = 0.0;
        for (size_t n = 0; n < rows; n++) {
            double error = (double)(y[n * outputs + o] - targets[n * outputs + o]);
            absolute += fabs(error);
            squares += error * error;
        }
        errors[o] = absolute;
        errors[outputs + o] = squares;
    }
}

/* d loss / dz = 2 (z - t) / O */
static void mean_squared_error(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums) {
    (void)loss;
    const float *z = it->z, *targets = it->targets;
    float *dz = it->dz;
    size_t outputs = it->outputs;
    *sums = (pynn_sums){.rows = it->rows};
    if (it->errors != NULL) sum_errors(it->rows, outputs, z, targets, it->errors);
    for (size_t n = 0; n < it->rows; n++, z += outputs, targets += outputs, dz += outputs) {
        float weight = weight_at(it->weights, n);
        float factor = 2.0f * weight * it->scale / (float)outputs;
        double squares = 0.0;
        for (size_t o = 0; o < outputs; o++) {
            float error = z[o] - targets[o];
            /* loss = mean of (y - t)^2 over the outputs   @mean_squared_error.loss */
            squares += (double)error * (double)error;
            /* dZ = 2 (y - t) / (outputs N)   @mean_squared_error.dZ */
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
 *
 *     max(z, 0) - z t + log(1 + e)
 *
 * The sum of logarithms is computed as one logarithm of a product, because log() takes much longer than a
 * multiplication. The product cannot overflow: each factor 1 + e is at most 2, and 2^FACTORS fits a double.
 * This function is not compiled for several instruction sets: its values are added one after another, and
 * levels with FMA would give other bits than levels without. */
static double binary_loss(size_t outputs, const float *z, const float *targets, const float *e) {
    enum { FACTORS = 512 };
    double loss = 0.0, product = 1.0;
    for (size_t o = 0; o < outputs; o++) {
        /* loss = mean of -t log P - (1 - t) log(1 - P) over the outputs   @binary_cross_entropy.loss */
        loss += (double)((z[o] > 0.0f ? z[o] : 0.0f) - z[o] * targets[o]);
        product *= 1.0 + (double)e[o];
        if (o % FACTORS == FACTORS - 1 || o + 1 == outputs) {
            loss += log(product);
            product = 1.0;
        }
    }
    return loss;
}

/* D = factor * (s(Z) - T), where D holds E = exp(-|Z|) before. The sigmoid s(z) is 1 / (1 + e) for z > 0
 * and e / (1 + e) otherwise. Returns how many outputs are correct. */
PYNN_KERNEL(size_t, binary_deltas,
            (size_t count, const float *z, const float *targets, float factor, float *d),
            (count, z, targets, factor, d)) {
    size_t correct = 0;
    for (size_t i = 0; i < count; i++) {
        /* dZ = (P - t) / (outputs N)   @binary_cross_entropy.dZ */
        d[i] = factor * ((z[i] > 0.0f ? 1.0f : d[i]) / (1.0f + d[i]) - targets[i]);
        correct += (z[i] > 0.0f) == (targets[i] > 0.5f);
    }
    return correct;
}

/* With e = exp(-|z|), which cannot overflow:
 *
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

/* ---------------------------------------------------------------- Poisson */

/* The loss of a row: half the deviance of a Poisson distribution, summed over the outputs. With the
 * distance d = z - log t it is
 *
 *     exp(z) - t + t (log t - z) = t (exp(d) - 1 - d)
 *
 * Near a target of 1e4 the terms on the left cancel, and their sum may be below 0; those on the right do
 * so only near d = 0, where expm1() is exact. A rate that is no finite float makes the loss infinite,
 * because then the gradient is infinite; and -infinity in z gives NaN, also where t is 0. */
static double poisson_loss(size_t outputs, const float *z, const float *targets, const float *rates) {
    double loss = 0.0;
    for (size_t o = 0; o < outputs; o++) {
        double t = (double)targets[o], distance = t > 0.0 ? (double)z[o] - log(t) : 0.0;
        /* loss = mean of exp(z) - t + t (log t - z) over the outputs   @poisson.loss */
        loss += t > 0.0 && isfinite(rates[o]) ? t * (expm1(distance) - distance)
                                              : (double)rates[o] - t * (double)z[o];
    }
    return loss;
}

/* z are the logarithms of the rates: d loss / dz = exp(z) - t */
static void poisson(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums) {
    (void)loss;
    const float *z = it->z, *targets = it->targets;
    float *dz = it->dz;
    size_t outputs = it->outputs;
    *sums = (pynn_sums){.rows = it->rows};
    for (size_t i = 0; i < it->rows * outputs; i++) dz[i] = z[i];
    exp_in_place(it->rows * outputs, dz);
    if (it->errors != NULL) sum_errors(it->rows, outputs, dz, targets, it->errors);
    for (size_t n = 0; n < it->rows; n++, z += outputs, targets += outputs, dz += outputs) {
        float weight = weight_at(it->weights, n);
        float factor = weight * it->scale / (float)outputs;
        sums->loss += (double)weight * poisson_loss(outputs, z, targets, dz) / (double)outputs;
        /* dZ = (exp(z) - t) / (outputs N)   @poisson.dZ */
        for (size_t o = 0; o < outputs; o++) dz[o] = factor * (dz[o] - targets[o]);
    }
}

/* ---------------------------------------------------------------- the table */

static const pynn_loss_type types[] = {
    {PYNN_SOFTMAX_CROSS_ENTROPY, true, false, check_smoothing, softmax_cross_entropy, softmax},
    {PYNN_MEAN_SQUARED_ERROR, false, true, check_standardize, mean_squared_error, NULL},
    {PYNN_BINARY_CROSS_ENTROPY, false, false, check_no_options, binary_cross_entropy, sigmoid},
    {PYNN_POISSON, false, true, check_no_options, poisson, NULL},
};

const pynn_loss_type *pynn_loss_type_of(pynn_loss_kind kind) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].kind == kind) return &types[i];
    }
    return NULL;
}
