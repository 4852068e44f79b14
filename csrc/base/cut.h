/* cut.h: how work is cut into tasks. See cut.c for what the cut depends on. */
#ifndef PYNN_CUT_H
#define PYNN_CUT_H

#include "base/base.h"

/* Rows row_begin .. row_end - 1 and columns column_begin .. column_end - 1 of a matrix. */
typedef struct pynn_tile {
    size_t row_begin;
    size_t row_end;
    size_t column_begin;
    size_t column_end;
} pynn_tile;

/* A matrix cut into row_cuts * column_cuts tiles of about the same size. */
typedef struct pynn_grid {
    size_t rows;
    size_t columns;
    size_t row_cuts;
    size_t column_cuts;
} pynn_grid;

/* Tiles begin at multiples of this, which suits the kernels of gemm and the cache lines. */
enum { PYNN_GRAIN = 16 };

/* The least work that is worth a task of its own: so many multiplications, each with an addition, take
 * about 50 microseconds. */
enum { PYNN_TASK_WORK = 2000000 };

/* Cut the (rows, columns) result of a product that sums over `depth` into tiles. */
pynn_grid pynn_cut_product(size_t rows, size_t columns, size_t depth);

/* Cut rows into blocks. Only the rows of these tiles have a meaning, not their columns. */
pynn_grid pynn_cut_rows(size_t rows);

/* The most blocks that at most this many rows are cut into. */
size_t pynn_most_blocks(size_t rows);

/* The number of tiles. */
static inline size_t pynn_grid_count(const pynn_grid *grid) {
    return grid->row_cuts * grid->column_cuts;
}

/* Tile number `index`, below pynn_grid_count(). */
pynn_tile pynn_grid_tile(const pynn_grid *grid, size_t index);

#endif
