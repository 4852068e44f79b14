/* sums.c: a sum of products, written out. */
#include "page.h"

#include <math.h>
#include <string.h>

/* Put a term into the list, which is sorted by size, if it is larger than the last. */
static void insert(float *terms, const float found[4]) {
    float term[4];
    memcpy(term, found, sizeof term);
    for (size_t k = 0; k < TERMS && term[3] != 0.0f; k++) {
        float *place = &terms[4 * k], lesser[4];
        if (place[0] >= 0.0f && fabsf(term[3]) <= fabsf(place[3])) continue;
        memcpy(lesser, place, sizeof lesser);
        memcpy(place, term, sizeof term);
        memcpy(term, lesser, sizeof term);
    }
}

void write_sum(const float *a, size_t a_step, const float *b, size_t b_step, size_t count, float added,
               float result, float numbers[SUM_NUMBERS]) {
    float *terms = numbers + 3;
    double listed = 0.0, total = 0.0;
    for (size_t k = 0; k < TERMS; k++) terms[4 * k] = -1.0f, terms[4 * k + 3] = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float x = a[i * a_step], y = b != NULL ? b[i * b_step] : 1.0f;
        const float term[4] = {(float)i, x, y, x * y};
        insert(terms, term);
        total += (double)x * (double)y;
    }
    for (size_t k = 0; k < TERMS; k++) listed += (double)terms[4 * k + 3];
    numbers[0] = (float)(total - listed);
    numbers[1] = added;
    numbers[2] = result;
    numbers[SUM_NUMBERS - 1] = (float)count;
}

float slope_of(pynn_layer_kind kind, float y) {
    if (kind == PYNN_RELU) return y > 0.0f ? 1.0f : 0.0f;
    if (kind == PYNN_SIGMOID) return y * (1.0f - y);
    return kind == PYNN_TANH ? 1.0f - y * y : 1.0f;
}

double norm_of(const float *x, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; x != NULL && i < count; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}
