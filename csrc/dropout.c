/* dropout.c: values that are dropped at random while a network trains.
 *
 * Which ones depends on (seed, step, layer, place) alone, as every random number here: so a run that is
 * resumed at any step, on any number of threads, drops the same. */
#include <math.h>
#include <string.h>

#include "internal.h"
#include "vector.h"

/* Blocks of Philox at once, side by side for the vector registers, and words in each. A loop
 * over 16 GCC unrolls before it looks for vectors, and then finds none: a mask took 2.6 times as long with
 * SSE2, 1.4 times with AVX-512. */
enum { LANES = 32, WORDS = 4, DRAWS = LANES * WORDS };

/* Masks by the words of blocks `block` to `block` + LANES - 1 of a stream: pynn_philox4x32(), of which this
 * is the same with arrays in the place of numbers. A word below `threshold` drops. */
PYNN_KERNEL(void, draw_blocks,
            (uint64_t seed, uint64_t stream, uint64_t block, uint32_t threshold, float kept, float *mask),
            (seed, stream, block, threshold, kept, mask)) {
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (size_t b = 0; b < LANES; b++) {
        c0[b] = (uint32_t)(block + b);
        c1[b] = (uint32_t)((block + b) >> 32);
        c2[b] = (uint32_t)stream;
        c3[b] = (uint32_t)(stream >> 32);
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9U, k1 += 0xBB67AE85U) {
        for (size_t b = 0; b < LANES; b++) {
            uint64_t product0 = (uint64_t)0xD2511F53U * c0[b];
            uint64_t product1 = (uint64_t)0xCD9E8D57U * c2[b];
            c0[b] = (uint32_t)(product1 >> 32) ^ c1[b] ^ k0;
            c1[b] = (uint32_t)product1;
            c2[b] = (uint32_t)(product0 >> 32) ^ c3[b] ^ k1;
            c3[b] = (uint32_t)product0;
        }
    }
    for (size_t b = 0; b < LANES; b++) {
        mask[b * WORDS] = c0[b] < threshold ? 0.0f : kept;
        mask[b * WORDS + 1] = c1[b] < threshold ? 0.0f : kept;
        mask[b * WORDS + 2] = c2[b] < threshold ? 0.0f : kept;
        mask[b * WORDS + 3] = c3[b] < threshold ? 0.0f : kept;
    }
}

void pynn_dropout_mask(uint64_t seed, uint64_t step, size_t layer, float rate, uint64_t first, size_t count,
                       float *mask) {
    uint64_t stream = (UINT64_C(1) << 62) + step;
    uint64_t word = ((uint64_t)layer << 44) + first;
    uint32_t threshold = (uint32_t)((double)rate * 0x1p32); /* exact: rate has 24 bits and is below 1 */
    float kept = 1.0f / (1.0f - rate), drawn[DRAWS];
    while (count > 0) {
        size_t skip = word % WORDS;
        size_t some = DRAWS - skip < count ? DRAWS - skip : count;
        draw_blocks(seed, stream, word / WORDS, threshold, kept, drawn);
        memcpy(mask, drawn + skip, some * sizeof(float));
        mask += some;
        word += some;
        count -= some;
    }
}

PYNN_KERNEL(void, multiply, (size_t count, const float *x, const float *m, float *y), (count, x, m, y)) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] * m[i];
}

/* Below the first dense layer there is no gradient, and the factors are soon forgotten. */
void pynn_dropout_forward(const pynn_batch *batch, size_t l, size_t first, size_t count) {
    const pynn_workspace *workspace = batch->workspace;
    const network_layer *layer = &workspace->network->layers[l];
    const float *x = pynn_layer_inputs(workspace, l) + first;
    float *y = workspace->layers[l].outputs + first;
    if (batch->purpose != PYNN_FOR_GRADIENT) {
        memcpy(y, x, count * sizeof(float));
        return;
    }
    float *kept = l == 0 ? NULL : workspace->layers[l - 1].deltas, some[DRAWS];
    size_t most = kept != NULL ? count : DRAWS;
    for (size_t i = 0; i < count; i += most) {
        size_t draws = count - i < most ? count - i : most;
        float *mask = kept != NULL ? kept + first : some;
        if (batch->state != NULL) {
            pynn_dropout_mask(batch->state->seed, batch->state->step, l, layer->rate, first + i, draws,
                              mask);
        } else {
            for (size_t k = 0; k < draws; k++) mask[k] = 1.0f;
        }
        multiply(draws, x + i, mask, y + i);
    }
}

void pynn_dropout_backward(const pynn_workspace *workspace, size_t l, size_t first, size_t count) {
    const float *dy = workspace->layers[l].deltas + first;
    float *dx = workspace->layers[l - 1].deltas + first;
    multiply(count, dy, dx, dx);
}
