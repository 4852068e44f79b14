/* sparse.c: the first layer, for inputs that are mostly zero.
 *
 * Of the pixels of MNIST's digits only 19 % are not zero. So the rows of a batch are stored as sparse rows:
 * lists of entries, each an index and a value. A product then costs one multiplication for each entry and
 * each output:
 *
 *     Y[n, :]  = sum over the entries (i, x) of row n of X     of  x W[i, :]
 *     dW[i, :] = sum over the entries (n, x) of column i of X  of  x dY[n, :]
 *
 * Both are the same kind of sum: rows of a matrix, each times a value of a sparse vector. The sum is kept
 * in registers, for some columns at a time, while a loop runs over the entries. */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "layers/sparse.h"

/* Makes GCC keep the address of a row in a register. Otherwise it adds, for each vector of the row, the
 * offset of the row and the offset of the vector: twice the instructions. */
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

/* SSE has 16 registers, NEON has 32. The rest of them are for an entry's value and for products. */
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

/* If there are fewer than NARROW outputs, X is cut into FEW_COLUMN_BLOCKS column blocks. A part of a row
 * with few entries, each for few sums, is not worth the start and the end of a loop. */
enum { FEW_COLUMN_BLOCKS = 8, NARROW = 128 };

pynn_grid pynn_cut_columns(size_t columns, size_t outputs) {
    size_t blocks = outputs < NARROW ? FEW_COLUMN_BLOCKS : PYNN_MAX_COLUMN_BLOCKS;
    return (pynn_grid){columns, 1, pynn_least(blocks, pynn_divide_up(columns, PYNN_GRAIN)), 1};
}

/* Floats in a block of the packed dY: 32 kB, what the innermost cache of most processors holds. */
enum { BLOCK_FLOATS = 8192 };

/* The most columns in a block: as many as 8 registers of sums hold, or 12 of the narrowest registers.
 * They say how many rows a block has, and so where a sum is cut: a build that gives the same bits on all
 * processors (-Dsame_bits) takes one number for all. */
static size_t most_block_columns(void) {
#if defined(PYNN_HAVE_LEVELS) && !defined(PYNN_SAME_BITS)
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

/* Copy a tile of dY, the gradient at the outputs of the first layer, into blocks. Each block is one
 * contiguous piece of memory.
 *
 * In dY itself the rows of a block are usually a power of two apart. Such addresses share few places of a
 * cache, so that the rows of a block push each other out. With 256 outputs the products for dW of an MNIST
 * step took 175 microseconds on dY itself, and 125 on the blocks. Several threads may write to one block at
 * the same time, but never to the same value, because their tiles do not overlap. */
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

/* ---------------------------------------------------------------- when sparse rows are cheaper */

/* What the first layer costs by each path, for one row and one input, if the share `density` of the inputs
 * is not zero. The unit is one multiplication of gemm:
 *
 *     by gemm   outputs * (1 + small_batch / rows) + convert
 *     by rows   scan + density * (entry * (1 + far) + sum * outputs) + batch / rows
 *
 * where far grows from 0 to `memory` as the sparse rows outgrow the caches. */
typedef struct sparse_costs {
    double scan;        /* look at one value */
    double entry;       /* store a value that is not zero, by row and by column */
    double sum;         /* multiply it by one weight, and add */
    double batch;       /* begin and end a sparse column */
    double memory;      /* the largest value of `far` */
    double small_batch; /* what gemm loses on few rows */
} sparse_costs;

/* The costs for the level in use. They are fitted to the time of a training step, by both paths, for 13
 * densities, widths 32 to 2048 and batches 16 to 4096 at each level: on one thread, and for AVX2 and
 * AVX-512 on two as well, on AMD's Zen 4. benchmarks/run.py --first-layer measures how good the choices
 * are. Not measured on ARM. The two paths add up in different orders, so with -Dsame_bits the choice is the
 * same at all levels. */
static sparse_costs costs_in_use(void) {
#if defined(PYNN_HAVE_LEVELS) && !defined(PYNN_SAME_BITS)
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
    const double convert = 3.0, outside_caches = 2e6; /* in values of a batch */
    const double most_dense = 0.7, least_rows = 16.0; /* the limits of the fit */
    sparse_costs costs = costs_in_use();
    if (density > most_dense) return false;
    double count = fmax((double)rows, least_rows), width = (double)outputs;
    double far = costs.memory * fmin(1.0, count * (double)inputs / outside_caches);
    double by_gemm = width * (1.0 + costs.small_batch / count) + convert;
    double by_rows =
        costs.scan + density * (costs.entry * (1.0 + far) + costs.sum * width) + costs.batch / count;
    return by_rows < by_gemm;
}
