/* sparse.c: the first layer, where most of its inputs are zero.
 *
 * Only 19 % of the pixels of MNIST's digits are not. So the rows of a batch are kept as sparse rows, lists
 * of entries, each an index and a value, and a product costs one multiplication for each entry and output:
 *
 *     Y[n, :]  = sum over the entries (i, x) of row n of X     of  x W[i, :]
 *     dW[i, :] = sum over the entries (n, x) of column i of X  of  x dY[n, :]
 *
 * Both are the same sum, of rows of a matrix times the values of a sparse vector. It is kept in registers,
 * some columns at a time, while the entries are walked. */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "layers/sparse.h"

/* GCC would rather add up, for each vector of a row, where the row begins and where the vector does, than
 * keep the address of the row: twice the instructions. */
#define PYNN_KEEP_IN_REGISTER(pointer) __asm__("" : "+r"(pointer))

#if defined(PYNN_HAVE_LEVELS)
#define LANES 16
#define SUMS 16
#define TARGET PYNN_FOR_V4
#define NAME(x) x##_v4
#include "layers/sparse_sums.h"

#define LANES 8
#define SUMS 12
#define TARGET PYNN_FOR_V3
#define NAME(x) x##_v3
#include "layers/sparse_sums.h"
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
#include "layers/sparse_sums.h"

void pynn_sparse_gemm(size_t count, const pynn_sparse_vector *vectors, size_t apart, size_t columns,
                      const float *m, size_t stride, float alpha, float beta, float *y, size_t y_stride) {
#if defined(PYNN_HAVE_LEVELS)
    switch (pynn_level_in_use()) {
    case PYNN_LEVEL_X86_V4:
        sum_vectors_v4(count, vectors, apart, columns, m, stride, alpha, beta, y, y_stride);
        return;
    case PYNN_LEVEL_X86_V3:
        sum_vectors_v3(count, vectors, apart, columns, m, stride, alpha, beta, y, y_stride);
        return;
    case PYNN_LEVEL_X86_V2:
    case PYNN_LEVEL_BASE: break; /* the same for both: nothing here gains by SSE4 */
    }
#endif
    sum_vectors_of_4(count, vectors, apart, columns, m, stride, alpha, beta, y, y_stride);
}

void pynn_sparse_transpose(size_t row_count, const pynn_sparse_vector *rows, size_t begin, size_t end,
                           pynn_entry *entries, pynn_sparse_vector *columns) {
    for (size_t i = begin; i < end; i++, entries += PYNN_COLUMN_CAPACITY)
        columns[i - begin] = (pynn_sparse_vector){entries, entries};
    for (size_t n = 0; n < row_count; n++, rows += PYNN_MAX_COLUMN_BLOCKS) {
        for (const pynn_entry *entry = rows->entries; entry < rows->end; entry++)
            *columns[entry->index - begin].end++ = (pynn_entry){(uint32_t)n, entry->value};
    }
}

/* ---------------------------------------------------------------- how the work is cut */

/* Column blocks of an X with fewer outputs than NARROW: a part of a row with few entries, each for few
 * sums, is not worth its beginning and its end. */
enum { FEW_COLUMN_BLOCKS = 8, NARROW = 128 };

pynn_grid pynn_cut_columns(size_t columns, size_t outputs) {
    size_t blocks = outputs < NARROW ? FEW_COLUMN_BLOCKS : PYNN_MAX_COLUMN_BLOCKS;
    return (pynn_grid){columns, 1, pynn_least(blocks, pynn_divide_up(columns, PYNN_GRAIN)), 1};
}

/* Floats of a block: 32 kB, what the innermost cache of most processors holds. */
enum { BLOCK_FLOATS = 8192 };

/* Columns of a block: 8 registers of sums, or 12 of the narrowest. */
static size_t most_block_columns(void) {
#if defined(PYNN_HAVE_LEVELS)
    switch (pynn_level_in_use()) {
    case PYNN_LEVEL_X86_V4: return 128;
    case PYNN_LEVEL_X86_V3: return 64;
    case PYNN_LEVEL_X86_V2:
    case PYNN_LEVEL_BASE: break;
    }
#endif
    return 48;
}

pynn_packing pynn_packing_of(size_t rows, size_t columns) {
    size_t cuts = pynn_divide_up(columns, most_block_columns());
    size_t width = pynn_divide_up(pynn_divide_up(columns, cuts), PYNN_GRAIN) * PYNN_GRAIN;
    size_t height = BLOCK_FLOATS / width / PYNN_GRAIN * PYNN_GRAIN;
    return (pynn_packing){rows, columns, pynn_least(height, PYNN_MAX_TRANSPOSED_ROWS), width};
}

/* dY of the layer with the sparse inputs is copied into blocks that lie in one piece each. Where it lies,
 * the rows of a block are a power of two apart as a rule, for which a cache has few places: with 256
 * outputs a step of MNIST's products took 175 microseconds for dW there, and 125 here. */
void pynn_pack_dy(const pynn_sparse_batch *sparse, size_t rows, size_t outputs, const float *dy,
                  pynn_tile tile) {
    pynn_packing packing = pynn_packing_of(rows, outputs);
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        size_t first_row = n / packing.most_rows * packing.most_rows;
        const float *row = dy + n * outputs;
        for (size_t o = tile.column_begin; o < tile.column_end;) {
            size_t first_column = o / packing.most_columns * packing.most_columns;
            size_t width = pynn_least(packing.most_columns, outputs - first_column);
            size_t last = pynn_least(first_column + width, tile.column_end);
            float *block = pynn_packed_block(sparse, &packing, first_row, first_column);
            memcpy(block + (n - first_row) * width + o - first_column, row + o, (last - o) * sizeof(float));
            o = last;
        }
    }
}

/* ---------------------------------------------------------------- when it is worth it */

/* What the first layer costs either way, for a row and an input of which the share `density` is not zero,
 * in units of a multiplication of gemm:
 *
 *     by gemm   outputs * (1 + small_batch / rows) + convert
 *     by rows   scan + density * (entry * (1 + far) + sum * outputs) + batch / rows
 *
 * where far grows from 0 to `memory` as the sparse rows outgrow the caches. */
typedef struct sparse_costs {
    double scan;        /* look at a value */
    double entry;       /* keep one that is not zero, by row and by column */
    double sum;         /* multiply it with a weight, and add */
    double batch;       /* begin and end a sparse column */
    double memory;      /* see above */
    double small_batch; /* what gemm loses on few rows */
} sparse_costs;

/* Fitted to a step of training, both ways, for 13 densities, widths 32 to 2048 and batches 16 to 4096 at
 * each level: on one thread, and for AVX2 and AVX-512 on two as well, on AMD's Zen 4;
 * benchmarks/run.py --first-layer measures what comes of it. Not measured on ARM. */
static sparse_costs costs_in_use(void) {
#if defined(PYNN_HAVE_LEVELS)
    switch (pynn_level_in_use()) {
    case PYNN_LEVEL_X86_V4: return (sparse_costs){13.5, 97.0, 1.72, 162.0, 0.05, 1.5};
    case PYNN_LEVEL_X86_V3: return (sparse_costs){20.0, 22.0, 2.04, 143.0, 0.05, 1.9};
    case PYNN_LEVEL_X86_V2: break;
    case PYNN_LEVEL_BASE: break;
    }
#endif
    return (sparse_costs){1.5, 14.0, 1.2, 84.0, 1.6, 3.4};
}

bool pynn_sparse_is_cheaper(double density, size_t rows, size_t inputs, size_t outputs) {
    const double convert = 3.0, outside_caches = 2e6; /* values of a batch */
    const double most_dense = 0.7, least_rows = 16.0; /* where the fit ends, and where it begins */
    sparse_costs costs = costs_in_use();
    if (density > most_dense) return false;
    double count = fmax((double)rows, least_rows), width = (double)outputs;
    double far = costs.memory * fmin(1.0, count * (double)inputs / outside_caches);
    double by_gemm = width * (1.0 + costs.small_batch / count) + convert;
    double by_rows =
        costs.scan + density * (costs.entry * (1.0 + far) + costs.sum * width) + costs.batch / count;
    return by_rows < by_gemm;
}
