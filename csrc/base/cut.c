/* cut.c: how work is cut into tasks: a matrix product into tiles, a batch into blocks of rows.
 *
 * The cut depends on the shape of the work and on the instruction set alone, never on the number of
 * threads. So a run gives the same bits on any number of threads. */
#include "base/cut.h"

/* Rows in a block. A small batch is cut into smaller blocks, so that two threads have work. */
enum { BLOCK_ROWS = 32, SMALL_BLOCK_ROWS = 16 };

/* How many tasks to make of a product of this size. Work is soon cut into four tasks, so that four threads
 * are busy; it is cut into more only if they are long, because a BLAS packs the same operands again in each
 * task. The numbers are powers of two, which two and four threads can share evenly. The work is computed in
 * floating point, because the product of three sizes may fit no integer type. */
static size_t count_tasks(size_t rows, size_t columns, size_t depth) {
    const double work = (double)rows * (double)columns * (double)depth, one = (double)PYNN_TASK_WORK;
    if (work < 1.0 * one) return 1;
    if (work < 2.0 * one) return 2;
    if (work < 16.0 * one) return 4;
    return work < 32.0 * one ? 8 : 16;
}

/* Cutting the columns costs gemm about this many times more than cutting the rows. Measured on a (2048,
 * 512) product over 4096 in eight tiles: 8 x 1 ran at 56 Gflop/s, 4 x 2 at 72, 2 x 4 at 43 and 1 x 8 at
 * 35. */
static const double COLUMN_COST = 4.0;

/* Whether the tiles of a grid are small: they then cost gemm more than they gain by keeping threads busy.
 * In a grid of at most four tiles, tiles of 128 x 64 take 9 % longer than the whole product of 128 x 256,
 * and tiles of 128 x 128 only 2 % longer: tiles are small if 1 / rows + 1 / columns is above 1 / 64. In a
 * grid of more tiles the limit is 1 / 128: of a (784, 1024) product over 4096, 16 tiles of 98 x 512 ran at
 * 75 Gflop/s, 8 tiles of 196 x 512 at 94 (in slices; see ROWS_OF_A_PRODUCT in dense.c). */
static bool is_small(const pynn_grid *grid) {
    double sides =
        (double)grid->row_cuts / (double)grid->rows + (double)grid->column_cuts / (double)grid->columns;
    return sides > (grid->row_cuts * grid->column_cuts > 4 ? 1.0 / 128.0 : 1.0 / 64.0);
}

/* The cheapest grid of `tasks` tiles, or of fewer if there are not enough rows and columns. Every tile
 * packs its rows of the left operand and its columns of the right operand. So r x c tiles pack the left
 * operand c times and the right operand r times. Among the grids with the most tiles this takes the one
 * that packs least; it takes a grid of small tiles only if there is no other. */
static pynn_grid cut_cheaply(size_t rows, size_t columns, size_t tasks) {
    size_t most_rows = pynn_divide_up(rows, PYNN_GRAIN), most_columns = pynn_divide_up(columns, PYNN_GRAIN);
    pynn_grid best = {rows, columns, 1, 1};
    size_t best_busy = 0;
    double best_cost = 0;
    for (size_t r = 1; r <= pynn_least(tasks, most_rows); r *= 2) {
        size_t c = pynn_least(tasks / r, most_columns), busy = r * c;
        pynn_grid grid = {rows, columns, r, c};
        double cost = COLUMN_COST * (double)c * (double)rows + (double)r * (double)columns;
        bool better = is_small(&grid) == is_small(&best) ? cost < best_cost : is_small(&best);
        if (busy > best_busy || (busy == best_busy && better)) {
            best = grid;
            best_busy = busy;
            best_cost = cost;
        }
    }
    return best;
}

/* If the tiles would be small, halve the number of tasks, but not below two. */
pynn_grid pynn_cut_product(size_t rows, size_t columns, size_t depth) {
    size_t tasks = count_tasks(rows, columns, depth);
    pynn_grid grid = cut_cheaply(rows, columns, tasks);
    while (tasks > 2 && is_small(&grid)) {
        tasks /= 2;
        grid = cut_cheaply(rows, columns, tasks);
    }
    return grid;
}

pynn_grid pynn_cut_rows(size_t rows) {
    size_t block = rows < 4 * BLOCK_ROWS ? SMALL_BLOCK_ROWS : BLOCK_ROWS;
    return (pynn_grid){rows, 1, pynn_divide_up(rows, block), 1};
}

/* Fewer rows may have more blocks, because small batches are cut into smaller blocks. */
size_t pynn_most_blocks(size_t rows) {
    size_t small = pynn_divide_up(pynn_least(rows, 4 * BLOCK_ROWS - 1), SMALL_BLOCK_ROWS);
    size_t large = pynn_divide_up(rows, BLOCK_ROWS);
    return small > large ? small : large;
}

/* Piece number `index` of a length that is cut into `cuts` pieces. Each piece is a whole number of grains;
 * where the grains cannot be shared evenly, the first pieces have one grain more. */
static void cut_length(size_t length, size_t cuts, size_t index, size_t *begin, size_t *end) {
    size_t grains = pynn_divide_up(length, PYNN_GRAIN);
    size_t share = grains / cuts, rest = grains % cuts;
    *begin = (index * share + pynn_least(index, rest)) * PYNN_GRAIN;
    *end = pynn_least(*begin + (share + (index < rest)) * PYNN_GRAIN, length);
}

pynn_tile pynn_grid_tile(const pynn_grid *grid, size_t index) {
    pynn_tile tile;
    cut_length(grid->rows, grid->row_cuts, index / grid->column_cuts, &tile.row_begin, &tile.row_end);
    cut_length(grid->columns, grid->column_cuts, index % grid->column_cuts, &tile.column_begin,
               &tile.column_end);
    return tile;
}
