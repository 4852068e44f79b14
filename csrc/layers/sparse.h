/* sparse.h: a batch whose rows are sparse, most of their values zero, and products with it. */
#ifndef PYNN_SPARSE_H
#define PYNN_SPARSE_H

#include "base/cut.h"

/* A value that is not zero, and where it stands in its row or column. */
typedef struct pynn_entry {
    uint32_t index;
    float value;
} pynn_entry;

/* A sparse row or column: its entries, in order. */
typedef struct pynn_sparse_vector {
    pynn_entry *entries;
    pynn_entry *end;
} pynn_sparse_vector;

/* The columns of a sparse X are cut into at most this many column blocks. Each is a task of the gradient:
 * more than threads, since the middle of an image has more entries than its edge. */
enum { PYNN_MAX_COLUMN_BLOCKS = 16 };

/* At most so many rows are transposed at a time: each column has room for as many entries, 2 kB. */
enum { PYNN_MAX_TRANSPOSED_ROWS = 256 };

/* Room for the entries of a column, a cache line more than needed: at distances of a power of two all
 * columns would fall into the same few sets of the cache. */
enum { PYNN_COLUMN_CAPACITY = PYNN_MAX_TRANSPOSED_ROWS + 8 };

/* X (N, I) with sparse rows, and what a dense layer needs beside it. */
typedef struct pynn_sparse_batch {
    pynn_entry *entries;        /* (N, I): room for the entries of each row */
    pynn_sparse_vector *rows;   /* (N, PYNN_MAX_COLUMN_BLOCKS): the part of each row in each column block */
    pynn_entry *column_entries; /* (I, PYNN_COLUMN_CAPACITY): room for the entries of each column */
    pynn_sparse_vector *columns; /* (I,) */
    float *packed_dy;            /* (N, O): dY, block by block: see pynn_packing */
} pynn_sparse_batch;

/* How the columns of X are cut into column blocks. They are the rows of the grid, because they are the rows
 * of W. */
pynn_grid pynn_cut_columns(size_t columns, size_t outputs);

/* Y[l, :] = alpha * (sum over the entries (k, x) of vector l of  x M[k, :]) + beta * Y[l, :]
 *   vectors  vector l is vectors[l * apart]
 *   m        its rows have `columns` floats and start `stride` floats apart
 *   y        (count, columns), its rows y_stride floats apart; with beta 0 it is not read */
void pynn_sparse_gemm(size_t count, const pynn_sparse_vector *vectors, size_t apart, size_t columns,
                      const float *m, size_t stride, float alpha, float beta, float *y, size_t y_stride);

/* Transpose rows: list the entries of columns begin .. end - 1.
 *   rows     the part of each of row_count rows in these columns, PYNN_MAX_COLUMN_BLOCKS apart
 *   entries  room for (end - begin, PYNN_COLUMN_CAPACITY); row_count is at most PYNN_MAX_TRANSPOSED_ROWS
 *   columns  (end - begin,), overwritten */
void pynn_sparse_transpose(size_t row_count, const pynn_sparse_vector *rows, size_t begin, size_t end,
                           pynn_entry *entries, pynn_sparse_vector *columns);

/* dY (rows, columns) cut into blocks of at most most_rows by most_columns, each in one piece: all of the
 * first most_rows rows, block by block, then those of the next. So a block fits the innermost cache, and is
 * as wide as registers can hold sums of. */
typedef struct pynn_packing {
    size_t rows;
    size_t columns;
    size_t most_rows;
    size_t most_columns;
} pynn_packing;

pynn_packing pynn_packing_of(size_t rows, size_t columns);

/* Where the block lies that begins at row n and column o. */
static inline float *pynn_packed_block(const pynn_sparse_batch *sparse, const pynn_packing *packing,
                                       size_t n, size_t o) {
    return sparse->packed_dy + n * packing->columns + pynn_least(packing->most_rows, packing->rows - n) * o;
}

/* Copy a tile of dY (rows, outputs) into its blocks. */
void pynn_pack_dy(const pynn_sparse_batch *sparse, size_t rows, size_t outputs, const float *dy,
                  pynn_tile tile);

/* Whether sparse rows are the cheaper way through a first dense layer than gemm, in batches of `rows` rows
 * of which the share `density` is not zero. */
bool pynn_sparse_is_cheaper(double density, size_t rows, size_t inputs, size_t outputs);

/* Whether a W that sparse rows are multiplied by is too large for the cache of one core: 2 MB. Then a task
 * keeps to a part of it, which is worth more passes over the outputs. */
static inline bool pynn_is_large_for_sparse(size_t inputs, size_t outputs) {
    return inputs * outputs > 512 * 1024;
}

#endif
