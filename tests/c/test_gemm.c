/* test_gemm.c: pynn_gemm() is compared with a triple loop in double precision, at the instruction set in
 * use. Elements are multiples of 1/8 in [-2, 2]. So products, and sums of up to k = 2100 of them, are exact
 * in float in any order, and the results must be equal to the bit. */
#include "base/gemm.h"
#include "base/vector.h"
#include "check.h"
#include "pynn.h"

#include <stdint.h>
#include <stdlib.h>

enum { PADDING = 3 };

static const float SENTINEL =
    12345.0f; /* fills the memory between the rows of C and after them, and must stay */

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
    size_t padding; /* floats between the end of a row and the next row */
    float old;      /* what C holds before the call */
} problem;

/* Solve one problem and compare every element of C with the loop. The memory between the rows of C, and a
 * row after them, must stay. Each operand has just the memory that it needs, so that tools see an access
 * past its end. */
static void check_problem(problem p) {
    const size_t lda = (p.transpose_a ? p.m : p.k) + p.padding;
    const size_t ldb = (p.transpose_b ? p.k : p.n) + p.padding;
    const size_t ldc = p.n + p.padding;
    const size_t a_count = lda * (p.transpose_a ? p.k : p.m), b_count = ldb * (p.transpose_b ? p.n : p.k);
    float *a = malloc(a_count * sizeof *a);
    float *b = malloc(b_count * sizeof *b);
    float *c = malloc((p.m + 1) * ldc * sizeof *c);
    if (!CHECK(a && b && c)) return;
    uint64_t state = p.m * 1000003 + p.n * 1009 + p.k;
    fill(a, a_count, &state);
    fill(b, b_count, &state);
    for (size_t i = 0; i <= p.m; i++) {
        for (size_t j = 0; j < ldc; j++) {
            c[i * ldc + j] = i < p.m && j < p.n ? p.old : SENTINEL;
        }
    }

    pynn_gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, a, lda, b, ldb, p.beta, c, ldc);

    bool holds = true;
    for (size_t i = 0; holds && i <= p.m; i++) {
        for (size_t j = 0; holds && j < ldc; j++) {
            double expected = SENTINEL;
            if (i < p.m && j < p.n) {
                double sum = 0.0;
                for (size_t l = 0; l < p.k; l++) {
                    sum += (double)(p.transpose_a ? a[l * lda + i] : a[i * lda + l]) *
                           (double)(p.transpose_b ? b[j * ldb + l] : b[l * ldb + j]);
                }
                expected = p.alpha * sum + (p.beta == 0.0f ? 0.0 : (double)(p.beta * p.old));
            }
            holds = CHECK_NEAR(c[i * ldc + j], expected, 0.0); /* report one element only */
            if (!holds)
                printf("    op(A) (%zu, %zu)%s, op(B) (%zu, %zu)%s, alpha %g, beta %g, padding %zu, at "
                       "(%zu, %zu)\n",
                       p.m, p.k, p.transpose_a ? " transposed" : "", p.k, p.n,
                       p.transpose_b ? " transposed" : "", (double)p.alpha, (double)p.beta, p.padding, i,
                       j);
        }
    }
    free(a);
    free(b);
    free(c);
}

static void test_shapes(void) {
    /* Shapes at the edges of kernels (1, odd numbers, powers of two and their neighbours), and shapes of
     * layers. */
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
        /* Shapes that are not for BLAS, and their neighbours: tiles of 8 and of 6 rows and the rows that
         * are left over; one vector of columns more; more rows of B than are summed in one slice. */
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
                check_problem((problem){
                    .transpose_a = (variant & 1) != 0,
                    .transpose_b = (variant & 2) != 0,
                    .padding = (variant & 4) != 0 ? PADDING : 0,
                    .m = shapes[shape][0],
                    .n = shapes[shape][1],
                    .k = shapes[shape][2],
                    .alpha = scales[scale][0],
                    .beta = beta,
                    /* With beta 0 the old C does not matter. */
                    .old = beta == 0.0f ? NAN : 0.75f,
                });
            }
        }
    }
}

/* A NaN in an operand is not lost, also where it is multiplied by 0: it appears in its row or column of C,
 * and nowhere else. For shapes that are for BLAS and that are not. */
static void test_nan_spreads(void) {
    static const size_t shapes[][3] = {{2, 2, 2}, {9, 48, 3}, {17, 32, 5}};
    enum { MOST = 17 * 48 };
    for (size_t shape = 0; shape < 2 * COUNT_OF(shapes); shape++) {
        const bool transposed = shape % 2 == 1;
        const size_t m = shapes[shape / 2][0], n = shapes[shape / 2][1], k = shapes[shape / 2][2];
        float a[MOST] = {0}, b[MOST] = {0}, c[MOST];
        a[transposed ? m - 1 : (m - 1) * k] = NAN; /* the last row of op(A), its first value */
        b[(k - 1) * n] = INFINITY;                 /* the first column of B, its last value */
        pynn_gemm(transposed, false, m, n, k, 1.0f, a, transposed ? m : k, b, n, 0.0f, c, n);
        for (size_t i = 0; i < m; i++) {
            for (size_t j = 0; j < n; j++) CHECK((isnan(c[i * n + j]) != 0) == (i == m - 1 || j == 0));
        }
    }
}

/* This test sees which products are computed in gemm.c, if all others go to the reference: a sum of floats
 * loses the 1 of 2^24 + 1 - 2^24, and a sum in double does not. */
static void test_choice(void) {
    static const struct {
        bool transposed;
        size_t m, n, padding; /* padding: of the rows of B */
        bool at_v3, at_v4;    /* whether gemm.c computes it */
    } cases[] = {
        {false, 7, 32, 0, false, false}, {false, 8, 32, 0, true, true},    {false, 8, 24, 0, false, false},
        {false, 8, 40, 0, true, false},  {false, 8, 256, 0, true, true},   {false, 8, 256, 8, false, true},
        {true, 8, 128, 0, true, true},   {true, 8, 128, 8, false, true},   {false, 8, 512, 0, false, true},
        {true, 8, 512, 0, false, true},  {false, 8, 528, 0, false, false},
    };
    if (strcmp(pynn_blas_name(), "reference") != 0) return;
    for (size_t t = 0; t < COUNT_OF(cases); t++) {
        const size_t m = cases[t].m, n = cases[t].n, ldb = n + cases[t].padding;
        float a[3 * 8], b[3 * 1024], c[8 * 1024];
        for (size_t i = 0; i < 3 * ldb; i++) b[i] = 1.0f;
        for (size_t i = 0; i < m; i++) {
            static const float terms[] = {0x1p24f, 1.0f, -0x1p24f};
            for (size_t l = 0; l < 3; l++) a[cases[t].transposed ? l * m + i : i * 3 + l] = terms[l];
        }
        pynn_gemm(cases[t].transposed, false, m, n, 3, 1.0f, a, cases[t].transposed ? m : 3, b, ldb, 0.0f,
                  c, n);
        bool here = false;
#if defined(PYNN_HAVE_LEVELS)
        here = (pynn_level_in_use() == PYNN_LEVEL_X86_V3 && cases[t].at_v3) ||
               (pynn_level_in_use() == PYNN_LEVEL_X86_V4 && cases[t].at_v4);
#endif
        if (!CHECK_NEAR(c[m * n - 1], here ? 0.0 : 1.0, 0.0)) printf("    case %zu\n", t);
    }
}

int main(void) {
    printf("%s: %s\n", pynn_blas_name(), pynn_blas_config());
    CHECK_STR(pynn_blas_name(), EXPECTED_BLAS);
    /* Only OpenBLAS says which kernels it has chosen, and its configuration has the same name. */
    CHECK((strlen(pynn_blas_kernel()) > 0) == (strstr(EXPECTED_BLAS, "openblas") != NULL));
    CHECK(strstr(pynn_blas_config(), pynn_blas_kernel()) != NULL);

    test_shapes();
    test_nan_spreads();
    test_choice();
    return check_failures();
}
