/* sparse.h: a batch whose rows are sparse, which means that most of their values are zero, and products
 * with it. */
#ifndef PYNN_SPARSE_H
#define PYNN_SPARSE_H

#include "base/cut.h"

/* A value that is not zero, and its index in its row or column. */
typedef struct pynn_entry {
    uint32_t index;
    float value;
} pynn_entry;

/* A sparse row or column: its entries, in order. */
typedef struct pynn_sparse_vector {
    pynn_entry *entries;
    pynn_entry *end;
} pynn_sparse_vector;

/* The columns of a sparse X are cut into at most this many column blocks. For each of them dW has a task.
 * There are more blocks than threads, because the middle of an image has more entries than its edge, so
 * that the tasks are of different length. */
enum { PYNN_MAX_COLUMN_BLOCKS = 16 };

/* The most rows that are transposed at a time. Each column has room for as many entries: 2 kB. */
enum { PYNN_MAX_TRANSPOSED_ROWS = 256 };

/* Room for the entries of a column: a cache line more than needed. If the columns were a power of two
 * apart, all of them would fall into the same few sets of the cache. */
enum { PYNN_COLUMN_CAPACITY = PYNN_MAX_TRANSPOSED_ROWS + 8 };

/* X (N, I) with sparse rows, and the arrays that a dense layer needs for products with it. */
typedef struct pynn_sparse_batch {
    pynn_entry *entries;        /* (N, I): room for the entries of each row */
    pynn_sparse_vector *rows;   /* (N, PYNN_MAX_COLUMN_BLOCKS): the part of each row in each column block */
    pynn_entry *column_entries; /* (I, PYNN_COLUMN_CAPACITY): room for the entries of each column */
    pynn_sparse_vector *columns; /* (I,) */
    float *packed_dy;            /* (N, O): dY, block by block: see pynn_packing */
} pynn_sparse_batch;

/* How the columns of X are cut into column blocks. In this grid they are rows, because each column of X
 * belongs to a row of W. */
pynn_grid pynn_cut_columns(size_t columns, size_t outputs);

/* Y[l, :] = alpha * (sum over the entries (k, x) of vector l of  x M[k, :]) + beta * Y[l, :]
 *   vectors  vector l, of `count`, is vectors[l * apart]
 *   m        its rows have `columns` floats and start `stride` floats apart
 *   y        (count, columns), its rows start y_stride floats apart; with beta 0 it is not read */
void pynn_sparse_gemm(size_t count, const pynn_sparse_vector *vectors, size_t apart, size_t columns,
                      const float *m, size_t stride, float alpha, float beta, float *y, size_t y_stride);

/* Transpose sparse rows: make sparse columns of columns begin .. end - 1.
 *   rows     of each of row_count rows the part in these columns, PYNN_MAX_COLUMN_BLOCKS apart
 *   entries  room for (end - begin, PYNN_COLUMN_CAPACITY); row_count is at most PYNN_MAX_TRANSPOSED_ROWS
 *   columns  (end - begin,), overwritten */
void pynn_sparse_transpose(size_t row_count, const pynn_sparse_vector *rows, size_t begin, size_t end,
                           pynn_entry *entries, pynn_sparse_vector *columns);

/* How dY (rows, columns) is cut into blocks of at most most_rows by most_columns values, each one
 * contiguous piece of memory. First come the blocks of the first most_rows rows, from left to right, then
 * the blocks of the next rows. A block fits the innermost cache, and has at most as many columns as there
 * can be sums in registers. */
typedef struct pynn_packing {
    size_t rows;
    size_t columns;
    size_t most_rows;
    size_t most_columns;
} pynn_packing;

/* How a dY of this shape is cut. */
pynn_packing pynn_packing_of(size_t rows, size_t columns);

/* The address of the block that begins at row n and column o. */
static inline float *pynn_packed_block(const pynn_sparse_batch *sparse, const pynn_packing *packing,
                                       size_t n, size_t o) {
    return sparse->packed_dy + n * packing->columns + pynn_least(packing->most_rows, packing->rows - n) * o;
}

/* Copy a tile of dY (rows, outputs) into the blocks of sparse->packed_dy. */
void pynn_pack_dy(const pynn_sparse_batch *sparse, size_t rows, size_t outputs, const float *dy,
                  pynn_tile tile);

/* Whether sparse rows are cheaper than gemm for a first dense layer, in batches of `rows` rows, if the
 * share `density` of the inputs is not zero. */
bool pynn_sparse_is_cheaper(double density, size_t rows, size_t inputs, size_t outputs);

/* Whether a W that sparse rows are multiplied by is too large for the cache of one core: 2 MB. Then W is
 * cut into tiles, and each task reads a part of it only. That is worth reading the sparse rows once for
 * each part. */
static inline bool pynn_is_large_for_sparse(size_t inputs, size_t outputs) {
    return inputs * outputs > 512 * 1024;
}

#endif
