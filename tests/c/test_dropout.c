/* test_dropout.c: the masks of dropout, which are drawn many blocks at a time, are compared with single
 * blocks. */
#include <stdint.h>

#include "check.h"
#include "pynn.h"

enum { MOST = 700 };

/* Factor n of a step, as pynn.h defines it: 0 if its word is among the lowest. */
static float plain_draw(uint64_t seed, uint64_t step, size_t layer, float rate, uint64_t n) {
    uint64_t stream = (UINT64_C(1) << 62) + step, word = ((uint64_t)layer << 44) + n, block = word / 4;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4];
    pynn_philox4x32(counter, key, words);
    return (double)words[word % 4] < (double)rate * 0x1p32 ? 0.0f : 1.0f / (1.0f - rate);
}

static void check_mask(uint64_t seed, uint64_t step, size_t layer, float rate, uint64_t first,
                       size_t count) {
    float mask[MOST + 1], expected[MOST + 1];
    for (size_t i = 0; i < count; i++) expected[i] = plain_draw(seed, step, layer, rate, first + i);
    mask[count] = expected[count] = 42.0f;
    pynn_dropout_mask(seed, step, layer, rate, first, count, mask);
    if (!CHECK_BYTES(mask, expected, (count + 1) * sizeof(float)))
        printf("    %zu draws from %llu on, rate %g\n", count, (unsigned long long)first, (double)rate);
}

/* Any number of factors, from any position in a block. Also where the number of a block passes 2^32, at
 * first within the blocks that are drawn together. */
static void test_masks(void) {
    static const float rates[] = {0.0f, 0.1f, 0.5f, 0.99999994f};
    static const uint64_t begins[] = {0, UINT64_C(1) << 32, (UINT64_C(1) << 34) - 70, UINT64_C(1) << 43};
    static const size_t counts[] = {0, 1, 2, 3, 4, 63, 64, 65, 127, 128, 129, 256, 300, MOST};
    for (size_t i = 0; i < 4 * 4 * sizeof counts / sizeof *counts; i++) {
        uint64_t skip = i % 4, begin = begins[i / 4 % 4] + skip;
        check_mask(UINT64_C(0x123456789ABCDEF0) + i, (uint64_t)i << 33, i % 7, rates[i % 4 ^ i / 4 % 4],
                   begin, counts[i / 16]);
    }
}

int main(void) {
    test_masks();
    return check_failures();
}
