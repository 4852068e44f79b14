/* loss.c: the three losses, each with its gradient; softmax and sigmoid. */
#include <math.h>

#include "internal.h"
#include "mathematics.h"
#include "vector.h"

/* The index of the largest of `count` values; the first of equals. */
static size_t argmax(size_t count, const float *z) {
    size_t best = 0;
    for (size_t c = 1; c < count; c++) {
        if (z[c] > z[best]) best = c;
    }
    return best;
}

PYNN_KERNEL(void, exp_forward, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_exp(x[i]);
}

/* E = exp(Z - max Z), row by row; (rows, classes) each. With the largest logit subtracted no exponential
 * exceeds 1, so that nothing overflows, and one of them is 1, so that no sum is 0. */
static void exponentials(size_t rows, size_t classes, const float *z, float *e) {
    for (size_t n = 0; n < rows; n++) {
        const float *logits = z + n * classes;
        float max = logits[argmax(classes, logits)];
        for (size_t c = 0; c < classes; c++) e[n * classes + c] = logits[c] - max;
    }
    exp_forward(rows * classes, e, e);
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
    if (count >= 64) return sum_many(count, values);
    for (size_t i = 0; i < count; i++) total += (double)values[i];
    return total;
}

void pynn_softmax(size_t rows, size_t classes, const float *z, float *p) {
    exponentials(rows, classes, z, p);
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

/* With m = max z, e_c = exp(z_c - m) and s = sum_c e_c:
 *     -log softmax(z)_c = log s - (z_c - m)
 *     d loss / dz_c = e_c / s - q_c, where q = [c == label], or smoothed (1 - e) [c == label] + e / C */
void pynn_softmax_cross_entropy(size_t rows, size_t outputs, const float *z, const int32_t *labels,
                                float smoothing, const float *weights, float scale, float *deltas,
                                pynn_sums *sums) {
    exponentials(rows, outputs, z, deltas);
    pynn_sums added = {0};
    for (size_t n = 0; n < rows; n++, z += outputs, deltas += outputs) {
        size_t label = (size_t)labels[n];
        size_t answer = argmax(outputs, z);
        float total = (float)sum(outputs, deltas);
        float weight = weight_at(weights, n);
        float factor = weight * scale / total;
        float distance = z[label] - z[answer];
        for (size_t c = 0; c < outputs; c++) deltas[c] *= factor;
        if (smoothing > 0.0f) {
            float share = weight * scale * smoothing / (float)outputs;
            float mean = (float)(sum(outputs, z) / (double)outputs - (double)z[answer]);
            for (size_t c = 0; c < outputs; c++) deltas[c] -= share;
            distance += smoothing * (mean - distance);
        }
        deltas[label] -= weight * scale * (1.0f - smoothing);
        added.loss += (double)(weight * (logf(total) - distance));
        added.correct += answer == label;
    }
    added.rows = rows;
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

/* With e = exp(-|z|), where nothing overflows:
 *     loss = max(z, 0) - z t + log(1 + e), for one output
 *     d loss / dz = s(z) - t
 * One logarithm is taken of the product of many 1 + e, which are at most 2: their logarithms' sum. */
void pynn_binary_cross_entropy(size_t rows, size_t outputs, const float *z, const float *targets,
                               const float *weights, float scale, float *deltas, pynn_sums *sums) {
    enum { FACTORS = 512 };
    pynn_sums added = {.rows = rows};
    for (size_t n = 0; n < rows; n++, z += outputs, targets += outputs, deltas += outputs) {
        float weight = weight_at(weights, n);
        float factor = weight * scale / (float)outputs;
        double loss = 0.0, product = 1.0;
        for (size_t o = 0; o < outputs; o++) deltas[o] = -fabsf(z[o]);
        exp_forward(outputs, deltas, deltas);
        for (size_t o = 0; o < outputs; o++) {
            float e = deltas[o];
            loss += (double)(fmaxf(z[o], 0.0f) - z[o] * targets[o]);
            product *= 1.0 + (double)e;
            if (o % FACTORS == FACTORS - 1 || o + 1 == outputs) {
                loss += log(product);
                product = 1.0;
            }
            deltas[o] = factor * ((z[o] > 0.0f ? 1.0f : e) / (1.0f + e) - targets[o]);
            added.correct += (z[o] > 0.0f) == (targets[o] > 0.5f);
        }
        added.loss += (double)weight * loss / (double)outputs;
    }
    *sums = added;
}
