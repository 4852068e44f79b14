/* gemm.c: the product of two matrices. Small products are computed here, all others by BLAS.
 *
 * A BLAS copies its operands into an order of its own before it multiplies. If both operands stay in a
 * core's caches anyway, the copy costs more than it gains. On AMD's Zen 4 products of (32, 784) by (784,
 * 256) run at 118 Gflop/s here, where a core can do 120, and at 92 by OpenBLAS. */
#include "base/gemm.h"
#include "base/vector.h"

#if defined(PYNN_HAVE_LEVELS)

/* C = alpha op(A) B + beta C, with op(A) (rows, depth), B (depth, columns), C (rows, columns). */
typedef struct gemm_problem {
    size_t rows, columns, depth;
    size_t a_below; /* floats from an element of op(A) to the one below it */
    size_t a_next;  /* floats from an element of op(A) to the next one in its row */
    size_t ldb, ldc;
    float alpha, beta;
} gemm_problem;

/* AVX-512 has 32 registers: 16 hold the sums of a tile and 2 hold a part of a row of B. A tile has 8 rows,
 * because the blocks of 16 and 32 rows that a batch is cut into are multiples of 8. */
#define LANES 16
#define ROWS 8
#define VECTORS 2
#define TARGET PYNN_FOR_V4
#define NAME(x) x##_v4
#include "base/gemm_kernel.h"

/* AVX2 has 16 registers: 12 hold the sums of a tile, 2 hold a part of a row of B, and one holds a value of
 * A. */
#define LANES 8
#define ROWS 6
#define VECTORS 2
#define TARGET PYNN_FOR_V3
#define NAME(x) x##_v3
#include "base/gemm_kernel.h"

/* The type of multiply_v4() and multiply_v3(). */
typedef void multiply_function(const gemm_problem *p, const float *a, const float *b, float *c);

/* The function that computes a product, or NULL if BLAS is as fast or faster. The limits were measured on
 * AMD's Zen 4, against OpenBLAS's kernels for AVX-512 and for AVX2. With AVX-512 the time is 0.75 to 1.0 of
 * OpenBLAS's up to 512 columns, and 1.1 from 1024 columns on. With AVX2 it is 0.83 to 1.0 where B is
 * narrow, and up to 1.7 where B is wide. */
static multiply_function *choose(const gemm_problem *p) {
    enum { LEAST_ROWS = 8, LEAST_COLUMNS = 32, MOST_COLUMNS_V4 = 512 };
    /* The widest B with AVX2; and the widest B if A is transposed. */
    enum { WIDEST_V3 = 256, WIDEST_TRANSPOSED_V3 = 128 };
    if (p->rows < LEAST_ROWS || p->columns < LEAST_COLUMNS) return NULL;
    bool transposed = p->a_next != 1;
    switch (pynn_level_in_use()) {
    case PYNN_LEVEL_X86_V4:
        return p->columns % lanes_v4 == 0 && p->columns <= MOST_COLUMNS_V4 ? multiply_v4 : NULL;
    case PYNN_LEVEL_X86_V3:
        return p->columns % lanes_v3 == 0 && p->ldb <= (transposed ? WIDEST_TRANSPOSED_V3 : WIDEST_V3)
                   ? multiply_v3
                   : NULL;
    case PYNN_LEVEL_X86_V2:
    case PYNN_LEVEL_BASE: break;
    }
    return NULL;
}

/* Compute the product here, if choose() has a function for it; otherwise return false.
 *
 * A long product is computed in slices of PYNN_MOST_SUMMED rows of B. Only the first slice may apply the
 * caller's beta: each later slice adds its products to what the slices before it have written to C, so its
 * beta is 1. */
static bool multiply(gemm_problem p, const float *a, const float *b, float *c) {
    multiply_function *function = choose(&p);
    if (function == NULL) return false;
    size_t depth = p.depth;
    do {
        p.depth = depth < PYNN_MOST_SUMMED ? depth : PYNN_MOST_SUMMED;
        function(&p, a, b, c);
        a += p.depth * p.a_next;
        b += p.depth * p.ldb;
        depth -= p.depth;
        p.beta = 1.0f; /* the next slice adds to C */
    } while (depth > 0);
    return true;
}
#endif

void pynn_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc) {
#if defined(PYNN_HAVE_LEVELS)
    gemm_problem p = {m, n, k, transpose_a ? 1 : lda, transpose_a ? lda : 1, ldb, ldc, alpha, beta};
    if (!transpose_b && multiply(p, a, b, c)) return;
#endif
    pynn_blas_gemm(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
