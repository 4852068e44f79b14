/* test_gemm.c: pynn_gemm() against a triple loop in double precision, at the instruction set in use.
 *
 * Elements are multiples of 1/8 in [-2, 2], so that products and sums up to k = 2100 are exact in float
 * whatever the order: the results must be equal to the bit. */
#include "check.h"
#include "gemm.h"
#include "pynn.h"

#include <stdint.h>
#include <stdlib.h>

enum { LARGEST = 2100, PADDING = 3, CAPACITY = (LARGEST + PADDING) * 300 };

static const float SENTINEL = 12345.0f; /* what lies between the rows of C, and must stay */

/* The next of a fixed sequence of values (Knuth's MMIX generator). */
static float next_value(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((int)(*state >> 59) - 16) / 8.0f;
}

static void fill(float *x, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        x[i] = next_value(state);
    }
}

typedef struct problem {
    bool transpose_a, transpose_b;
    size_t m, n, k;
    float alpha, beta;
    size_t padding; /* floats from the end of a row to the next one */
    float old;      /* what C holds before */
} problem;

/* Solve one problem and hold every element of C, and the gaps between its rows, against the loop. */
static void check_problem(problem p, float *a, float *b, float *c) {
    const size_t lda = (p.transpose_a ? p.m : p.k) + p.padding;
    const size_t ldb = (p.transpose_b ? p.k : p.n) + p.padding;
    const size_t ldc = p.n + p.padding;
    uint64_t state = p.m * 1000003 + p.n * 1009 + p.k;
    fill(a, lda * (p.transpose_a ? p.k : p.m), &state);
    fill(b, ldb * (p.transpose_b ? p.n : p.k), &state);
    for (size_t i = 0; i < p.m; i++) {
        for (size_t j = 0; j < ldc; j++) {
            c[i * ldc + j] = j < p.n ? p.old : SENTINEL;
        }
    }

    pynn_gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, a, lda, b, ldb, p.beta, c, ldc);

    for (size_t i = 0; i < p.m; i++) {
        for (size_t j = 0; j < ldc; j++) {
            double expected = SENTINEL;
            if (j < p.n) {
                double sum = 0.0;
                for (size_t l = 0; l < p.k; l++) {
                    sum += (double)(p.transpose_a ? a[l * lda + i] : a[i * lda + l]) *
                           (double)(p.transpose_b ? b[j * ldb + l] : b[l * ldb + j]);
                }
                expected = p.alpha * sum + (p.beta == 0.0f ? 0.0 : (double)(p.beta * p.old));
            }
            if (!CHECK_NEAR(c[i * ldc + j], expected, 0.0)) {
                printf("    op(A) (%zu, %zu)%s, op(B) (%zu, %zu)%s, alpha %g, beta %g, padding %zu, at "
                       "(%zu, %zu)\n",
                       p.m, p.k, p.transpose_a ? " transposed" : "", p.k, p.n,
                       p.transpose_b ? " transposed" : "", (double)p.alpha, (double)p.beta, p.padding, i,
                       j);
                return; /* one element tells enough */
            }
        }
    }
}

static void test_shapes(float *a, float *b, float *c) {
    /* The edges of kernels (1, odd, powers of two and their neighbours), vectors, and a layer's shapes. */
    static const size_t shapes[][3] = {
        {1, 1, 1},
        {1, 7, 5},
        {7, 1, 5},
        {7, 5, 1},
        {2, 3, 4},
        {8, 8, 8},
        {15, 16, 17},
        {33, 31, 9},
        {64, 65, 63},
        {1, 300, 2},
        {300, 1, 100},
        {1, 10, 64},
        {1, 128, 300},
        {128, 10, 64},
        {96, 48, 7},
        {10, 64, 128},
        {70, 90, 300},
        /* Those that are not for BLAS, and their neighbours: rows of 8 and 6 and what is left over, one
         * column of vectors more, rows of B longer than a slice is deep. */
        {7, 32, 5},
        {8, 32, 5},
        {9, 48, 1},
        {15, 64, 31},
        {22, 40, 16},
        {31, 128, 33},
        {32, 256, 20},
        {12, 512, 9},
        {9, 528, 9},
        {17, 31, 8},
        {8, 32, 1024},
        {11, 48, 1025},
        {8, 32, 2100},
    };
    static const float scales[][2] = {
        {1.0f, 0.0f}, {1.0f, 1.0f}, {-0.5f, 2.0f}, {0.0f, 1.0f}, {2.0f, 0.0f}};
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        for (size_t scale = 0; scale < sizeof scales / sizeof *scales; scale++) {
            for (int variant = 0; variant < 8; variant++) {
                const float beta = scales[scale][1];
                check_problem(
                    (problem){
                        .transpose_a = (variant & 1) != 0,
                        .transpose_b = (variant & 2) != 0,
                        .padding = (variant & 4) != 0 ? PADDING : 0,
                        .m = shapes[shape][0],
                        .n = shapes[shape][1],
                        .k = shapes[shape][2],
                        .alpha = scales[scale][0],
                        .beta = beta,
                        /* With beta 0 what C held must not matter. */
                        .old = beta == 0.0f ? NAN : 0.75f,
                    },
                    a, b, c);
            }
        }
    }
}

/* A NaN in an operand must not be lost: row 1 of C sees it, row 0 does not. */
static void test_nan_spreads(void) {
    const float a[4] = {1.0f, 2.0f, 3.0f, NAN};
    const float b[4] = {1.0f, 0.0f, 0.0f, 1.0f};
    float c[4] = {0};
    pynn_gemm(false, false, 2, 2, 2, 1.0f, a, 2, b, 2, 0.0f, c, 2);
    CHECK_NEAR(c[0], 1.0, 0.0);
    CHECK_NEAR(c[1], 2.0, 0.0);
    CHECK(isnan(c[3]));
}

int main(void) {
    printf("%s: %s\n", pynn_blas_name(), pynn_blas_config());
    CHECK_STR(pynn_blas_name(), EXPECTED_BLAS);
    /* OpenBLAS alone says which kernels it has chosen: its configuration names the same. */
    CHECK((strlen(pynn_blas_kernel()) > 0) == (strstr(EXPECTED_BLAS, "openblas") != NULL));
    CHECK(strstr(pynn_blas_config(), pynn_blas_kernel()) != NULL);

    float *a = malloc(CAPACITY * sizeof *a);
    float *b = malloc(CAPACITY * sizeof *b);
    float *c = malloc(CAPACITY * sizeof *c);
    if (CHECK(a && b && c)) {
        test_shapes(a, b, c);
        test_nan_spreads();
    }
    free(a);
    free(b);
    free(c);
    return check_failures();
}
