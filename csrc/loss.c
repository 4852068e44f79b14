/* loss.c: softmax and cross-entropy. */
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

PYNN_CLONES void exp_forward(size_t count, const float *x, float *y) {
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

static float sum(size_t count, const float *values) {
    float total = 0.0f;
    for (size_t i = 0; i < count; i++) total += values[i];
    return total;
}

void pynn_softmax(size_t rows, size_t classes, const float *z, float *p) {
    exponentials(rows, classes, z, p);
    for (size_t n = 0; n < rows; n++, p += classes) {
        float total = sum(classes, p);
        for (size_t c = 0; c < classes; c++) p[c] /= total;
    }
}

/* With m = max z, e_c = exp(z_c - m) and s = sum_c e_c:
 *     loss = -log softmax(z)[label] = log s - (z_label - m)
 *     d loss / dz_c = e_c / s - [c == label] */
void pynn_softmax_cross_entropy(size_t rows, size_t classes, const float *logits, const int32_t *labels,
                                float scale, float *deltas, pynn_sums *sums) {
    exponentials(rows, classes, logits, deltas);
    pynn_sums added = {0};
    for (size_t n = 0; n < rows; n++, logits += classes, deltas += classes) {
        size_t label = (size_t)labels[n];
        size_t answer = argmax(classes, logits);
        float total = sum(classes, deltas);
        float factor = scale / total;
        for (size_t c = 0; c < classes; c++) deltas[c] *= factor;
        deltas[label] -= scale;
        added.loss += (double)(logf(total) - (logits[label] - logits[answer]));
        added.correct += answer == label;
    }
    added.rows = rows;
    *sums = added;
}
