/* loss.c: softmax and cross-entropy. */
#include <math.h>

#include "internal.h"

/* The index of the largest of `count` values; the first of equals. */
static size_t argmax(size_t count, const float *z) {
    size_t best = 0;
    for (size_t c = 1; c < count; c++) {
        if (z[c] > z[best]) best = c;
    }
    return best;
}

/* p_c = exp(z_c - max z), and their sum. With the largest logit subtracted no exponential exceeds 1,
 * so that nothing overflows, and one of them is 1, so that the sum is never 0. p may be z. */
static float exponentials(size_t classes, const float *z, float max, float *p) {
    float sum = 0.0f;
    for (size_t c = 0; c < classes; c++) {
        p[c] = expf(z[c] - max);
        sum += p[c];
    }
    return sum;
}

void pynn_softmax(size_t rows, size_t classes, const float *z, float *p) {
    for (size_t n = 0; n < rows; n++, z += classes, p += classes) {
        float sum = exponentials(classes, z, z[argmax(classes, z)], p);
        for (size_t c = 0; c < classes; c++) p[c] /= sum;
    }
}

/* With m = max z and s = sum_c exp(z_c - m):
 *     loss = -log softmax(z)[label] = log s - (z_label - m)
 *     d loss / dz_c = exp(z_c - m) / s - [c == label] */
void pynn_softmax_cross_entropy(size_t rows, size_t classes, const float *logits, const int32_t *labels,
                                float scale, float *deltas, pynn_sums *sums) {
    for (size_t n = 0; n < rows; n++, logits += classes) {
        size_t label = (size_t)labels[n];
        size_t answer = argmax(classes, logits);
        float max = logits[answer];
        float sum;
        if (deltas != NULL) {
            sum = exponentials(classes, logits, max, deltas);
            float factor = scale / sum;
            for (size_t c = 0; c < classes; c++) deltas[c] *= factor;
            deltas[label] -= scale;
            deltas += classes;
        } else {
            sum = 0.0f;
            for (size_t c = 0; c < classes; c++) sum += expf(logits[c] - max);
        }
        sums->loss += (double)(logf(sum) - (logits[label] - max));
        sums->correct += answer == label;
        sums->rows++;
    }
}
