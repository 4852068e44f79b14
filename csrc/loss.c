/* loss.c: the three losses, each with its gradient; softmax and sigmoid. */
#include <math.h>

#include "internal.h"
#include "mathematics.h"
#include "vector.h"

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
 *   answers  (rows,): where the largest are; or NULL */
static void exponentials(size_t rows, size_t classes, const float *z, size_t *answers, float *e) {
    for (size_t n = 0; n < rows; n++) {
        const float *logits = z + n * classes;
        size_t answer;
        if (classes >= MANY) {
            answer = subtract_max(classes, logits, e + n * classes);
        } else {
            answer = argmax(classes, logits);
            float max = logits[answer];
            for (size_t c = 0; c < classes; c++) e[n * classes + c] = logits[c] - max;
        }
        if (answers != NULL) answers[n] = answer;
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
void pynn_softmax(size_t rows, size_t classes, const float *z, float *p) {
    exponentials(rows, classes, z, NULL, p);
    for (size_t n = 0; n < rows; n++, p += classes) {
        float total = (float)sum(classes, p);
        for (size_t c = 0; c < classes; c++) p[c] /= total;
    }
}

PYNN_KERNEL(void, sigmoids, (size_t count, const float *z, float *p), (count, z, p)) {
    for (size_t i = 0; i < count; i++) p[i] = pynn_sigmoid(z[i]);
}

void pynn_sigmoids(size_t count, const float *z, float *p) {
    sigmoids(count, z, p);
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

/* pynn_softmax_cross_entropy() for few rows, whose losses and correct answers are added to *sums. */
static void cross_entropy_of_some(size_t rows, size_t outputs, const float *z, const int32_t *labels,
                                  float smoothing, const float *weights, float scale, float *deltas,
                                  pynn_sums *sums) {
    size_t answers[ROWS_OF_A_LOSS];
    float factors[ROWS_OF_A_LOSS];
    exponentials(rows, outputs, z, answers, deltas);
    for (size_t n = 0; n < rows; n++) {
        const float *logits = z + n * outputs;
        size_t label = (size_t)labels[n];
        float total = (float)sum(outputs, deltas + n * outputs);
        float weight = weight_at(weights, n);
        float distance = logits[label] - logits[answers[n]];
        factors[n] = weight * scale / total;
        if (smoothing > 0.0f) {
            float mean = (float)(sum(outputs, logits) / (double)outputs - (double)logits[answers[n]]);
            distance += smoothing * (mean - distance);
        }
        sums->loss += (double)(weight * (logf(total) - distance));
        sums->correct += answers[n] == label;
    }
    scale_rows(rows, outputs, factors, deltas);
    for (size_t n = 0; n < rows; n++, deltas += outputs) {
        float weight = weight_at(weights, n);
        if (smoothing > 0.0f) subtract(outputs, weight * scale * smoothing / (float)outputs, deltas);
        deltas[labels[n]] -= weight * scale * (1.0f - smoothing);
    }
}

/* With m = max z, e_c = exp(z_c - m) and s = sum_c e_c:
 *     -log softmax(z)_c = log s - (z_c - m)
 *     d loss / dz_c = e_c / s - q_c, where q = [c == label], or smoothed (1 - e) [c == label] + e / C */
void pynn_softmax_cross_entropy(size_t rows, size_t outputs, const float *z, const int32_t *labels,
                                float smoothing, const float *weights, float scale, float *deltas,
                                pynn_sums *sums) {
    pynn_sums added = {.rows = rows};
    for (size_t n = 0; n < rows; n += ROWS_OF_A_LOSS) {
        cross_entropy_of_some(pynn_least(ROWS_OF_A_LOSS, rows - n), outputs, z + n * outputs, labels + n,
                              smoothing, weights == NULL ? NULL : weights + n, scale, deltas + n * outputs,
                              &added);
    }
    *sums = added;
}

/* d loss / dz = 2 (z - t) / O */
void pynn_mean_squared_error(size_t rows, size_t outputs, const float *z, const float *targets,
                             const float *weights, float scale, float *deltas, pynn_sums *sums) {
    pynn_sums added = {.rows = rows};
    for (size_t n = 0; n < rows; n++, z += outputs, targets += outputs, deltas += outputs) {
        float weight = weight_at(weights, n);
        float factor = 2.0f * weight * scale / (float)outputs;
        double squares = 0.0;
        for (size_t o = 0; o < outputs; o++) {
            float error = z[o] - targets[o];
            squares += (double)error * (double)error;
            deltas[o] = factor * error;
        }
        added.loss += (double)weight * squares / (double)outputs;
    }
    *sums = added;
}

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

/* D = factor * (s(Z) - T), where D was E; returns how many of the answers are correct. */
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
void pynn_binary_cross_entropy(size_t rows, size_t outputs, const float *z, const float *targets,
                               const float *weights, float scale, float *deltas, pynn_sums *sums) {
    pynn_sums added = {.rows = rows};
    exp_of_magnitudes(rows * outputs, z, deltas);
    for (size_t n = 0; n < rows; n++, z += outputs, targets += outputs, deltas += outputs) {
        float weight = weight_at(weights, n);
        double loss = binary_loss(outputs, z, targets, deltas);
        added.loss += (double)weight * loss / (double)outputs;
        added.correct += binary_deltas(outputs, z, targets, weight * scale / (float)outputs, deltas);
    }
    *sums = added;
}
