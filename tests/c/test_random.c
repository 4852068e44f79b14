/* test_random.c: the generator gives its published vectors, and its draws have the properties they should
 * have. Seeds are fixed, so a bound that holds once always holds. Bounds of statistics are five standard
 * errors. */
#include "check.h"
#include "pynn.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { DRAWS = 100000 };

static float draws[DRAWS];

/* The three vectors for philox4x32-10 that come with Random123. */
static void test_published_vectors(void) {
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
        uint32_t out[4];
        pynn_philox4x32(vectors[v].counter, vectors[v].key, out);
        for (size_t w = 0; w < 4; w++) {
            CHECK_EQ(out[w], vectors[v].expected[w]);
        }
    }
}

/* Draw n is word n % 4 of block n / 4; seed, stream and block fill key and counter, low words first. */
static void test_words_of_a_draw(void) {
    const uint32_t counter[4] = {0x9abcdef0, 0x12345678, 0x13198a2e, 0x03707344};
    const uint32_t key[2] = {0xa4093822, 0x299f31d0};
    const uint64_t first = UINT64_C(4) * 0x123456789abcdef0;
    uint32_t words[4];
    float uniform[4];

    pynn_philox4x32(counter, key, words);
    pynn_random_uniform(0x299f31d0a4093822, 0x0370734413198a2e, first, 4, 0, 1, uniform);
    for (size_t w = 0; w < 4; w++) {
        CHECK(uniform[w] == (float)(words[w] >> 8) * 0x1p-24F);
    }
}

/* A normal draw of (seed 0, stream 0) by hand: words 6627e8d5 and e169c58d are u = 0.399046471 and
 * v = 0.880520198. The radius is sqrt(-2 log u) = 1.355491. v's upper bits 11 are three quarter turns;
 * the rest, 4 v - 3 = 0.522080791, gives x = pi/2 * (0.522080791 - 0.5) = 0.034684426. The angle
 * 3/2 pi + x has cosine sin x = 0.034677472 and sine -cos x = -0.999398556. */
static void test_normal_by_hand(void) {
    float pair[2];
    pynn_random_normal(0, 0, 0, 2, 0, 1, pair);
    CHECK_NEAR(pair[0], 1.355491 * 0.034677472, 1e-6);
    CHECK_NEAR(pair[1], 1.355491 * -0.999398556, 1e-6);
}

/* Compare a draw with its value in double. Allowed are the rounding to float, and 1e-10 for series and
 * libm. */
static bool check_draw(float draw, double expected) {
    return CHECK_NEAR(draw, expected, 0x1p-24 * fabs(expected) + 1e-10);
}

/* The same formula for many draws, with libm's sine and cosine. */
static void test_normal_against_libm(void) {
    const double half_pi = 1.57079632679489661923;
    const uint32_t key[2] = {9, 0};
    pynn_random_normal(9, 0, 0, 4000, 0, 1, draws);
    for (uint32_t block = 0; block < 1000; block++) {
        const uint32_t counter[4] = {block, 0, 0, 0};
        uint32_t words[4];
        pynn_philox4x32(counter, key, words);
        for (size_t w = 0; w < 4; w += 2) {
            const double radius = sqrt(-2 * log((words[w] + 1.0) * 0x1p-32));
            const double angle = half_pi * (words[w + 1] * 0x1p-30 - 0.5);
            check_draw(draws[4 * block + w], radius * cos(angle));
            check_draw(draws[4 * block + w + 1], radius * sin(angle));
        }
    }
}

typedef void draw_function(uint64_t seed, uint64_t stream, uint64_t first, size_t count, float a, float b,
                           float *out);

/* The draws are the same however they are split between calls, and nothing is written outside the array. */
static void check_random_access(draw_function *draw) {
    enum { LENGTH = 23 };
    static const uint64_t starts[] = {0, 1, 6, (UINT64_C(1) << 34) - 5, UINT64_MAX - 8};

    for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
        float whole[LENGTH];
        draw(7, 3, starts[s], LENGTH, -1, 2, whole);
        for (size_t first = 0; first <= LENGTH; first++) {
            for (size_t count = 0; first + count <= LENGTH; count++) {
                float part[LENGTH + 2] = {77, [LENGTH + 1] = 77};
                part[count + 1] = 77;
                draw(7, 3, starts[s] + first, count, -1, 2, part + 1);
                CHECK_BYTES(part + 1, whole + first, count * sizeof *part);
                CHECK(part[0] == 77 && part[count + 1] == 77);
            }
        }
    }
}

/* Changing any of the 64 bits of the seed or of the stream gives other draws. */
static void check_streams_differ(draw_function *draw) {
    float base[8], other[8];
    draw(0, 0, 0, 8, 0, 1, base);
    for (int bit = 0; bit < 64; bit++) {
        draw(UINT64_C(1) << bit, 0, 0, 8, 0, 1, other);
        CHECK(memcmp(base, other, sizeof base) != 0);
        draw(0, UINT64_C(1) << bit, 0, 8, 0, 1, other);
        CHECK(memcmp(base, other, sizeof base) != 0);
    }
}

/* low <= draw < high, also where rounding reaches high and where high - low overflows. */
static void test_uniform_range(void) {
    static const float ranges[][2] = {
        {0, 1},           {-1, 1},     {1, 1 + FLT_EPSILON}, {-1, -1 + FLT_EPSILON / 2},
        {100000, 100001}, {0, 1e-45F}, {-FLT_MAX, FLT_MAX},  {-0.05F, 0.05F},
    };
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        const float low = ranges[r][0], high = ranges[r][1];
        size_t inside = 0;
        pynn_random_uniform(1, r, 0, DRAWS, low, high, draws);
        for (size_t i = 0; i < DRAWS; i++) {
            inside += draws[i] >= low && draws[i] < high;
        }
        CHECK_EQ(inside, DRAWS);
    }
}

/* The mean of the p-th powers of the draws. */
static double moment(int p) {
    double sum = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        sum += pow((double)draws[i], p);
    }
    return sum / DRAWS;
}

/* The mean product of a draw and the one `lag` later. */
static double correlation(size_t lag) {
    double sum = 0;
    for (size_t i = 0; i + lag < DRAWS; i++) {
        sum += (double)draws[i] * (double)draws[i + lag];
    }
    return sum / (double)(DRAWS - lag);
}

/* Uniform in [-1, 1): E x^p is 0 for odd p, 1 / (p + 1) for even p; its standard error follows from
 * E x^2p. Products of different draws have mean 0, variance 1/9. */
static void test_uniform_moments(void) {
    pynn_random_uniform(2, 5, 0, DRAWS, -1, 1, draws);
    for (int p = 1; p <= 4; p++) {
        const double mean = p % 2 == 0 ? 1.0 / (p + 1) : 0.0;
        CHECK_NEAR(moment(p), mean, 5 * sqrt((1.0 / (2 * p + 1) - mean * mean) / DRAWS));
    }
    for (size_t lag = 1; lag <= 4; lag++) {
        CHECK_NEAR(correlation(lag), 0, 5 * sqrt(1.0 / 9 / DRAWS));
    }
}

/* Standard normal: E x^p is 0, 1, 0, 3 and E x^2p is 1, 3, 15, 105 for p = 1 to 4. */
static void test_normal_moments(void) {
    static const double means[] = {0, 0, 1, 0, 3}, squares[] = {0, 1, 3, 15, 105};
    size_t finite = 0;
    pynn_random_normal(3, 5, 0, DRAWS, 0, 1, draws);
    for (size_t i = 0; i < DRAWS; i++) {
        finite += fabsf(draws[i]) < 6.7F;
    }
    CHECK_EQ(finite, DRAWS);
    for (int p = 1; p <= 4; p++) {
        CHECK_NEAR(moment(p), means[p], 5 * sqrt((squares[p] - means[p] * means[p]) / DRAWS));
    }
    for (size_t lag = 1; lag <= 4; lag++) {
        CHECK_NEAR(correlation(lag), 0, 5 * sqrt(1.0 / DRAWS));
    }
}

/* The share of draws below some quantiles is that of the normal distribution, within five standard errors.
 */
static void test_normal_distribution(void) {
    static const double quantiles[] = {-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3};
    pynn_random_normal(4, 0, 0, DRAWS, 0, 1, draws);
    for (size_t q = 0; q < sizeof quantiles / sizeof quantiles[0]; q++) {
        const double share = 0.5 * erfc(-quantiles[q] / sqrt(2.0));
        size_t below = 0;
        for (size_t i = 0; i < DRAWS; i++) {
            below += (double)draws[i] < quantiles[q];
        }
        CHECK_NEAR((double)below / DRAWS, share, 5 * sqrt(share * (1 - share) / DRAWS));
    }
}

/* mean and deviation scale the standard draws: the exact mean + deviation * z is rounded once. */
static void test_normal_scale(void) {
    float scaled[1000];
    size_t equal = 0;
    pynn_random_normal(5, 1, 0, 1000, 0, 1, draws);
    pynn_random_normal(5, 1, 0, 1000, 3, 0.25F, scaled);
    for (size_t i = 0; i < 1000; i++) {
        equal += scaled[i] == (float)(3 + 0.25 * (double)draws[i]);
    }
    CHECK_EQ(equal, 1000);
}

/* Every index is there once, for any count; nothing is written outside the array. */
static void test_permutation_is_bijection(void) {
    static const uint32_t counts[] = {0, 1, 2, 3, 1000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        uint32_t order[1001];
        unsigned char seen[1000] = {0};
        uint32_t distinct = 0;
        order[counts[c]] = 0xABCDABCD;
        pynn_random_permutation(6, c, counts[c], order);
        for (uint32_t i = 0; i < counts[c]; i++) {
            if (CHECK(order[i] < counts[c])) {
                distinct += !seen[order[i]];
                seen[order[i]] = 1;
            }
        }
        CHECK_EQ(distinct, counts[c]);
        CHECK_EQ(order[counts[c]], 0xABCDABCD);
    }
}

/* The n-th word of stream 2 of seed 8. */
static uint32_t nth_word(uint32_t n) {
    const uint32_t counter[4] = {n / 4, 0, 2, 0}, key[2] = {8, 0};
    uint32_t words[4];
    pynn_philox4x32(counter, key, words);
    return words[n % 4];
}

/* The swaps of a permutation that is so long that some words are rejected, about MANY^2 / 2^34 = 5 of them,
 * compared with the definition: the high half of word * left, unless the low half is below 2^32 mod
 * left. */
static void test_permutation_of_many(void) {
    enum { MANY = 300000 };
    static uint32_t order[MANY], expected[MANY];
    uint32_t next = 0;

    for (uint32_t i = 0; i < MANY; i++) expected[i] = i;
    for (uint32_t left = MANY; left > 1; left--) {
        uint64_t product;
        do {
            product = (uint64_t)nth_word(next++) * left;
        } while ((uint32_t)product < (UINT64_C(1) << 32) % left);
        const uint32_t pick = (uint32_t)(product >> 32), value = expected[pick];
        expected[pick] = expected[left - 1];
        expected[left - 1] = value;
    }
    CHECK(next > MANY - 1); /* one word for each swap, and one for each rejection */
    pynn_random_permutation(8, 2, MANY, order);
    CHECK_BYTES(order, expected, sizeof order);
}

/* All orders of 3 and of 4 things are about equally frequent, over many seeds and over many streams. The
 * limits are the 99.9 % points of the chi-square distribution with 5 and 23 degrees of freedom. */
static void check_permutations_equally_frequent(uint32_t count, size_t kinds, double limit, int by_stream) {
    enum { EACH = 500 };
    size_t tally[256] = {0};
    double chi_square = 0;
    size_t found = 0;

    for (uint64_t s = 0; s < kinds * EACH; s++) {
        uint32_t order[4] = {0};
        pynn_random_permutation(by_stream ? 11 : s, by_stream ? s : 11, count, order);
        tally[(order[0] & 3) << 6 | (order[1] & 3) << 4 | (order[2] & 3) << 2 | (order[3] & 3)]++;
    }
    for (size_t t = 0; t < 256; t++) {
        const double excess = (double)tally[t] - EACH;
        if (tally[t] != 0) {
            found++;
            chi_square += excess * excess / EACH;
        }
    }
    CHECK_EQ(found, kinds);
    CHECK_NEAR(chi_square, 0, limit);
}

int main(void) {
    test_published_vectors();
    test_words_of_a_draw();
    test_normal_by_hand();
    test_normal_against_libm();
    check_random_access(pynn_random_uniform);
    check_random_access(pynn_random_normal);
    check_streams_differ(pynn_random_uniform);
    check_streams_differ(pynn_random_normal);
    test_uniform_range();
    test_uniform_moments();
    test_normal_moments();
    test_normal_distribution();
    test_normal_scale();
    test_permutation_is_bijection();
    test_permutation_of_many();
    for (int by_stream = 0; by_stream < 2; by_stream++) {
        check_permutations_equally_frequent(3, 6, 20.5, by_stream);
        check_permutations_equally_frequent(4, 24, 49.7, by_stream);
    }
    return check_failures();
}
