/* products.c: how fast the portable product is beside BLAS's, for the products of a training step.
 *
 * benchmarks/products.py compiles it with both, and runs it once for each instruction set. A line for each
 * product: its name, the speed of both in Gflop/s, and the quotient portable / BLAS. Both take turns; the
 * figures are medians of all rounds.
 *
 *     products LEVEL
 *
 * measures nothing where the level in use is another one, because the processor does not have this one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/gemm.h"
#include "pynn.h"

/* The two implementations of pynn_blas_gemm(). */
typedef void gemm_function(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                           const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                           size_t ldc);
gemm_function portable_gemm;

enum { BATCH = 128, MOST = 784 * 256, ROUNDS = 61, FLOP_A_TURN = 20 * 1000 * 1000 };

static float a[MOST], b[MOST], c[MOST];

/* op(A) is (m, k), op(B) is (k, n). */
typedef struct product {
    bool transpose_a, transpose_b;
    size_t m, n, k;
} product;

static double seconds_of_a_turn(gemm_function *gemm, const product *p, size_t times) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (size_t i = 0; i < times; i++)
        gemm(p->transpose_a, p->transpose_b, p->m, p->n, p->k, 1.0f, a, p->transpose_a ? p->m : p->k, b,
             p->transpose_b ? p->k : p->n, 0.0f, c, p->n);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

static int compare(const void *left, const void *right) {
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static void measure(const char *name, size_t inputs, size_t outputs, product p) {
    double flop = 2.0 * BATCH * (double)inputs * (double)outputs;
    size_t times = (size_t)(FLOP_A_TURN / flop) + 1;
    double ours[ROUNDS], blas[ROUNDS], quotients[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        ours[round] = seconds_of_a_turn(portable_gemm, &p, times);
        blas[round] = seconds_of_a_turn(pynn_blas_gemm, &p, times);
        quotients[round] = blas[round] / ours[round];
    }
    double giga = flop * (double)times * 1e-9;
    printf("%-7s %3zu x %-3zu  %6.1f  %6.1f  %4.2f\n", name, inputs, outputs, giga / median(ours),
           giga / median(blas), median(quotients));
}

int main(int argument_count, char **arguments) {
    static const size_t widths[] = {784, 256, 64, 10};
    if (argument_count != 2 || strcmp(arguments[1], pynn_instruction_set()) != 0) {
        printf("skipped: the instruction set here is %s\n", pynn_instruction_set());
        return 0;
    }
    for (size_t i = 0; i < MOST; i++) a[i] = b[i] = (float)(i % 17) - 8.0f;
    puts("product layer      portable    BLAS  quotient");
    for (size_t l = 0; l + 1 < sizeof widths / sizeof *widths; l++) {
        size_t inputs = widths[l], outputs = widths[l + 1];
        measure("forward", inputs, outputs, (product){false, false, BATCH, outputs, inputs});
        measure("dX", inputs, outputs, (product){false, true, BATCH, inputs, outputs});
        measure("dW", inputs, outputs, (product){true, false, inputs, outputs, BATCH});
    }
    return 0;
}
