/* random.c: Philox4x32-10 and the random numbers that are made from it.
 *
 * Words, uniform draws and permutations are the same on every platform. They are made by integer
 * operations, and by floating-point operations whose operands are short enough for every product to be
 * exact in double. So it makes no difference whether the compiler fuses a product and a sum. Normal draws
 * are computed in double, with libm's log, and rounded to float. Two platforms may differ in the last bits
 * of that double; the float is still the same, except for one draw in 2^26 or so. */
#include "pynn.h"

#include <math.h>

enum { WORDS = 4, ROUNDS = 10 };

/* One block of the function. In every round words 0 and 2 go through a product of 32 x 32 -> 64 bits.
 * Between rounds constants are added to the key (the golden ratio, the square root of 3). */
void pynn_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t product0 = (uint64_t)0xD2511F53U * c0;
        const uint64_t product1 = (uint64_t)0xCD9E8D57U * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Block number `block` of a stream: the words of draws 4 * block to 4 * block + 3. */
static void draw_block(uint64_t seed, uint64_t stream, uint64_t block, uint32_t words[WORDS]) {
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    pynn_philox4x32(counter, key, words);
}

/* With u = k / 2^24, where k is the word's upper 24 bits, a draw is low * (1 - u) + high * u. Both products
 * are of 24-bit numbers, so they are exact in double. The difference high - low could overflow, so it is
 * not computed. Rounding can make the sum equal to high, but never larger. Then the draw is the largest
 * float below high, because high itself is outside the interval. */
void pynn_random_uniform(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float low,
                         float high, float *out) {
    const double unit = 0x1p-24;
    const float last = nextafterf(high, low);
    uint32_t words[WORDS];

    for (size_t i = 0; i < count;) {
        const uint64_t draw = first + i;
        draw_block(seed, stream, draw / WORDS, words);
        for (size_t w = draw % WORDS; w < WORDS && i < count; w++, i++) {
            const double u = (double)(words[w] >> 8) * unit;
            const float value = (float)((double)low * (1.0 - u) + (double)high * u);
            out[i] = value < high ? value : last;
        }
    }
}

/* Cosine and sine of an angle that is uniform over the circle. The word's two upper bits choose a quarter
 * turn. Its other bits choose an angle x in [-pi/4, pi/4), where the Taylor series up to x^12 are right to
 * 1e-11. The formulas for the sum of two angles put the two together. */
static void direction(uint32_t word, double *cosine, double *sine) {
    static const double quarter_cosine[4] = {1, 0, -1, 0};
    static const double quarter_sine[4] = {0, 1, 0, -1};
    const double half_pi = 1.57079632679489661923;
    const double x = half_pi * ((double)(word & 0x3FFFFFFFU) * 0x1p-30 - 0.5);
    const double y = x * x;
    const double s =
        x * (1 + y * (-1.0 / 6 +
                      y * (1.0 / 120 + y * (-1.0 / 5040 + y * (1.0 / 362880 + y * (-1.0 / 39916800))))));
    const double c =
        1 + y * (-1.0 / 2 +
                 y * (1.0 / 24 +
                      y * (-1.0 / 720 + y * (1.0 / 40320 + y * (-1.0 / 3628800 + y * (1.0 / 479001600))))));
    const double qc = quarter_cosine[word >> 30];
    const double qs = quarter_sine[word >> 30];

    *cosine = c * qc - s * qs;
    *sine = s * qc + c * qs;
}

/* Two independent standard normal numbers from two words (Box and Muller 1958). The logarithm's
 * argument is in [2^-32, 1], so the radius is finite: at most sqrt(64 log 2) = 6.66. */
static void box_muller(uint32_t word0, uint32_t word1, float out[2]) {
    const double radius = sqrt(-2.0 * log(((double)word0 + 1.0) * 0x1p-32));
    double cosine, sine;

    direction(word1, &cosine, &sine);
    out[0] = (float)(radius * cosine);
    out[1] = (float)(radius * sine);
}

/* The standard normal numbers are rounded to float before they are scaled, so that their product with the
 * deviation is exact in double. */
void pynn_random_normal(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float mean,
                        float deviation, float *out) {
    uint32_t words[WORDS];
    float pair[2];

    for (size_t i = 0; i < count;) {
        const uint64_t draw = first + i;
        const size_t w = draw % WORDS & ~(size_t)1;
        if (i == 0 || w == 0) draw_block(seed, stream, draw / WORDS, words);
        box_muller(words[w], words[w + 1], pair);
        for (size_t k = draw % 2; k < 2 && i < count; k++, i++) {
            out[i] = (float)((double)mean + (double)deviation * (double)pair[k]);
        }
    }
}

/* A position in a stream, whose words are read one after the other. */
typedef struct word_reader {
    uint64_t seed;
    uint64_t stream;
    uint64_t next;
    uint32_t words[WORDS];
} word_reader;

static uint32_t next_word(word_reader *reader) {
    const size_t w = reader->next % WORDS;
    if (w == 0) draw_block(reader->seed, reader->stream, reader->next / WORDS, reader->words);
    reader->next++;
    return reader->words[w];
}

/* A number in [0, bound), without bias; bound is at least 1 (Lemire, "Fast random integer generation in an
 * interval", 2019). The result is the high half of word * bound. Without a correction some results would be
 * likelier than others. So a word is rejected, and the next one taken, if the low half is below 2^32 mod
 * bound. */
static uint32_t next_below(word_reader *reader, uint32_t bound) {
    uint64_t product = (uint64_t)next_word(reader) * bound;
    if ((uint32_t)product < bound) {
        const uint32_t surplus = (uint32_t)((UINT64_C(1) << 32) % bound);
        while ((uint32_t)product < surplus) product = (uint64_t)next_word(reader) * bound;
    }
    return (uint32_t)(product >> 32);
}

/* From the last place to the second one, swap the value at each place with one at or before it. */
void pynn_random_permutation(uint64_t seed, uint64_t stream, uint32_t count, uint32_t *out) {
    word_reader reader = {.seed = seed, .stream = stream, .next = 0};

    for (uint32_t i = 0; i < count; i++) out[i] = i;
    for (uint32_t left = count; left > 1; left--) {
        const uint32_t pick = next_below(&reader, left);
        const uint32_t value = out[pick];
        out[pick] = out[left - 1];
        out[left - 1] = value;
    }
}
