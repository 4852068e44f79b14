/* sparse.c: the first layer, where most of its inputs are zero.
 *
 * Only 19 % of the pixels of MNIST's digits are not. So the rows of a batch are kept as lists of entries,
 * each an index and a value, and a product costs one multiplication per entry and output:
 *
 *     Y[n, :]  = sum over the entries (i, x) of row n of X     of  x W[i, :]
 *     dW[i, :] = sum over the entries (n, x) of column i of X  of  x dY[n, :]
 *
 * Both are the same sum, of rows of a matrix times the values of a list. It is kept in registers, some
 * columns at a time, while the list is walked. */
#include <math.h>
#include <string.h>

#include "internal.h"
#include "vector.h"

/* GCC would rather add up, for each vector of a row, where the row begins and where the vector does, than
 * keep the address of the row: twice the instructions. */
#define PYNN_KEEP_IN_REGISTER(pointer) __asm__("" : "+r"(pointer))

#if defined(PYNN_HAVE_LEVELS)
#define LANES 16
#define SUMS 16
#define TARGET PYNN_FOR_V4
#define NAME(x) x##_v4
#include "sparse_sums.h"

#define LANES 8
#define SUMS 12
#define TARGET PYNN_FOR_V3
#define NAME(x) x##_v3
#include "sparse_sums.h"
#endif

/* SSE has 16 registers, NEON has 32. */
#define LANES 4
#if defined(__aarch64__)
#define SUMS 16
#else
#define SUMS 12
#endif
#define TARGET
#define NAME(x) x##_of_4
#include "sparse_sums.h"

void pynn_sum_lists(size_t list_count, const pynn_list *lists, size_t apart, size_t columns, const float *m,
                    size_t stride, float alpha, float beta, float *y, size_t y_stride) {
#if defined(PYNN_HAVE_LEVELS)
    switch (pynn_level_in_use()) {
    case PYNN_LEVEL_X86_V4:
        sum_lists_v4(list_count, lists, apart, columns, m, stride, alpha, beta, y, y_stride);
        return;
    case PYNN_LEVEL_X86_V3:
        sum_lists_v3(list_count, lists, apart, columns, m, stride, alpha, beta, y, y_stride);
        return;
    case PYNN_LEVEL_X86_V2:
    case PYNN_LEVEL_BASE: break; /* the same for both: nothing here gains by SSE4 */
    }
#endif
    sum_lists_of_4(list_count, lists, apart, columns, m, stride, alpha, beta, y, y_stride);
}

void pynn_list_columns(size_t row_count, const pynn_list *rows, size_t begin, size_t end,
                       pynn_entry *entries, pynn_list *columns) {
    for (size_t i = begin; i < end; i++, entries += PYNN_COLUMN_CAPACITY)
        columns[i - begin] = (pynn_list){entries, entries};
    for (size_t n = 0; n < row_count; n++, rows += PYNN_MAX_STRIPS) {
        for (const pynn_entry *entry = rows->entries; entry < rows->end; entry++)
            *columns[entry->index - begin].end++ = (pynn_entry){(uint32_t)n, entry->value};
    }
}

/* What the first layer costs either way, for a row and an input of which the share `density` is not zero,
 * in units of a multiplication of gemm:
 *
 *     by gemm   outputs * (1 + small_batch / rows) + convert
 *     by lists  scan + density * (entry * (1 + far) + sum * outputs) + batch / rows
 *
 * where far grows from 0 to `memory` as the lists outgrow the caches. */
typedef struct list_costs {
    double scan;        /* look at a value */
    double entry;       /* list one that is not zero, by row and by column */
    double sum;         /* multiply it with a weight, and add */
    double batch;       /* begin and end the lists of a column */
    double memory;      /* see above */
    double small_batch; /* what gemm loses on few rows */
} list_costs;

/* Fitted to a step of training, both ways, for 13 densities, widths 32 to 2048 and batches 16 to 4096 at
 * each level: on one thread, and for AVX2 and AVX-512 on two as well, on AMD's Zen 4;
 * benchmarks/run.py --first-layer measures what comes of it. Not measured on ARM. */
static list_costs costs_in_use(void) {
#if defined(PYNN_HAVE_LEVELS)
    switch (pynn_level_in_use()) {
    case PYNN_LEVEL_X86_V4: return (list_costs){13.5, 97.0, 1.72, 162.0, 0.05, 1.5};
    case PYNN_LEVEL_X86_V3: return (list_costs){20.0, 22.0, 2.04, 143.0, 0.05, 1.9};
    case PYNN_LEVEL_X86_V2: break;
    case PYNN_LEVEL_BASE: break;
    }
#endif
    return (list_costs){1.5, 14.0, 1.2, 84.0, 1.6, 3.4};
}

bool pynn_lists_are_cheaper(double density, size_t rows, size_t inputs, size_t outputs) {
    const double convert = 3.0, outside_caches = 2e6; /* values of a batch */
    const double most_dense = 0.7, least_rows = 16.0; /* where the fit ends, and where it begins */
    list_costs costs = costs_in_use();
    if (density > most_dense) return false;
    double count = fmax((double)rows, least_rows), width = (double)outputs;
    double far = costs.memory * fmin(1.0, count * (double)inputs / outside_caches);
    double by_gemm = width * (1.0 + costs.small_batch / count) + convert;
    double by_lists =
        costs.scan + density * (costs.entry * (1.0 + far) + costs.sum * width) + costs.batch / count;
    return by_lists < by_gemm;
}
