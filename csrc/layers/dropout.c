/* dropout.c: values are set to 0 at random while a network trains.
 *
 * Which values are dropped depends on (seed, step, layer, position) alone, like every random number here.
 * So a run that is resumed at any step, on any number of threads, drops the same values. */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "layers/layer.h"

/* LANES blocks of Philox, of WORDS words each, are computed side by side, for the vector registers. With 16
 * lanes GCC unrolls the loop before it looks for vectors, and then finds none: a mask took 2.6 times as
 * long with SSE2, 1.4 times with AVX-512. */
enum { LANES = 32, WORDS = 4, DRAWS = LANES * WORDS };

/* The masks from the words of blocks `block` to `block` + LANES - 1 of a stream. The arithmetic is that of
 * pynn_philox4x32(), with arrays in place of numbers. A word below `threshold` drops its value. */
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
        size_t some = pynn_least(DRAWS - skip, count);
        draw_blocks(seed, stream, word / WORDS, threshold, kept, drawn);
        memcpy(mask, drawn + skip, some * sizeof(float));
        mask += some;
        word += some;
        count -= some;
    }
}

/* y = x m, for `count` values. */
PYNN_KERNEL(void, multiply, (size_t count, const float *x, const float *m, float *y), (count, x, m, y)) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] * m[i];
}

/* Y = M X for `count` values, from value number `first` of the batch on. The factors M are stored in dX,
 * where backward() reads them. Below the first layer with parameters there is no dX and no backward(), so
 * there the factors are drawn a few at a time and not kept. */
static void drop(const pynn_layer_call *call, size_t first, size_t count) {
    float some[DRAWS];
    size_t most = call->dx != NULL ? count : DRAWS;
    for (size_t i = 0; i < count; i += most) {
        size_t draws = pynn_least(most, count - i);
        float *mask = call->dx != NULL ? call->dx + first : some;
        if (call->state != NULL) {
            pynn_dropout_mask(call->state->seed, call->state->step, call->layer->index,
                              call->layer->layer.dropout.rate, first + i, draws, mask);
        } else {
            for (size_t k = 0; k < draws; k++) mask[k] = 1.0f;
        }
        /* Y = M X, value by value   @dropout.Y */
        multiply(draws, call->x + first + i, mask, call->y + first + i);
    }
}

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    pynn_stretches it = pynn_stretches_of(tile, call->layer->outputs);
    for (size_t s = 0, first = it.first; s < it.count; s++, first += it.apart) {
        if (call->has_backward)
            drop(call, first, it.length);
        else
            memcpy(call->y + first, call->x + first, it.length * sizeof(float));
    }
}

/* dX = M dY, value by value   @dropout.dX */
static void backward(const pynn_layer_call *call, pynn_tile tile) {
    pynn_stretches it = pynn_stretches_of(tile, call->layer->outputs);
    for (size_t s = 0, first = it.first; s < it.count; s++, first += it.apart)
        multiply(it.length, call->dy + first, call->dx + first, call->dx + first);
}

static pynn_status place(const pynn_layer *layer, pynn_shape inputs, pynn_layer_place *place) {
    float rate = layer->dropout.rate;
    return rate >= 0.0f && rate < 1.0f ? pynn_place_plain(layer, inputs, place) : PYNN_INVALID_ARGUMENT;
}

/* Dropout may not work in place, because dX holds the factors. */
const pynn_layer_type pynn_dropout = {
    .kind = PYNN_DROPOUT,
    .reach = PYNN_REACH_VALUE,
    .draws_in_training = true,
    .place = place,
    .forward = forward,
    .backward = backward,
};
