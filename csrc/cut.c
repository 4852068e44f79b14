/* cut.c: how work is cut into tasks: products into tiles, a batch into blocks of rows, lists of entries
 * into strips.
 *
 * By its shape alone, never by the number of threads: so a run gives the same bits on any number. */
#include "internal.h"

/* Multiplications and additions that are worth another task: some 50 microseconds of them. */
enum { TASK_WORK = 2000000 };

/* Rows of a block: fewer where the batch is small, so that two threads find work. */
enum { BLOCK_ROWS = 32, SMALL_BLOCK_ROWS = 16 };

/* Strips of an X whose W fits the cache. */
enum { FEW_STRIPS = 8 };

/* Cuts fall on multiples of this, for the sake of gemm's kernels and of cache lines. */
enum { GRAIN = 16 };

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t divide_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

/* How many tasks for work of this size. Soon four, so that four threads have something to do, and more
 * only if they are long, because gemm packs the same operands anew in each. Powers of two, which two and
 * four threads can share evenly. In floating point: the product of three sizes may fit no integer. */
static size_t count_tasks(size_t rows, size_t columns, size_t depth) {
    double work = (double)rows * (double)columns * (double)depth;
    if (work < 1.0 * TASK_WORK) return 1;
    if (work < 2.0 * TASK_WORK) return 2;
    if (work < 16.0 * TASK_WORK) return 4;
    return work < 32.0 * TASK_WORK ? 8 : 16;
}

/* Every tile packs its rows of the one operand and its columns of the other, so r x c tiles pack the one
 * c times and the other r times: of the cuts that give all tasks work, or as many as there are tiles for,
 * take the one that costs least. */
static pynn_grid cut_cheaply(size_t rows, size_t columns, size_t tasks) {
    size_t most_rows = divide_up(rows, GRAIN), most_columns = divide_up(columns, GRAIN);
    pynn_grid best = {rows, columns, 1, 1};
    double best_cost = 0;
    for (size_t r = 1; r <= least(tasks, most_rows); r++) {
        size_t c = least(divide_up(tasks, r), most_columns);
        double cost = (double)c * (double)rows + (double)r * (double)columns;
        size_t busy = least(r * c, tasks), best_busy = least(best.row_cuts * best.column_cuts, tasks);
        if (r == 1 || busy > best_busy || (busy == best_busy && cost < best_cost)) {
            best = (pynn_grid){rows, columns, r, c};
            best_cost = cost;
        }
    }
    return best;
}

/* Tiles of 128 x 64 cost gemm 9 % more than the whole of 128 x 256, tiles of 128 x 128 only 2 %: so rather
 * half as many tasks, unless two are left, than tiles with 1 / rows + 1 / columns above 1 / 64. */
pynn_grid pynn_cut_product(size_t rows, size_t columns, size_t depth) {
    size_t tasks = count_tasks(rows, columns, depth);
    pynn_grid grid = cut_cheaply(rows, columns, tasks);
    while (tasks > 2 &&
           (double)grid.row_cuts / (double)rows + (double)grid.column_cuts / (double)columns > 1.0 / 64.0) {
        tasks /= 2;
        grid = cut_cheaply(rows, columns, tasks);
    }
    return grid;
}

pynn_grid pynn_cut_rows(size_t rows) {
    size_t block = rows < 4 * BLOCK_ROWS ? SMALL_BLOCK_ROWS : BLOCK_ROWS;
    return (pynn_grid){rows, 1, divide_up(rows, block), 1};
}

pynn_grid pynn_cut_strips(size_t columns, size_t outputs) {
    size_t strips = pynn_is_large_for_lists(columns, outputs) ? PYNN_MAX_STRIPS : FEW_STRIPS;
    return (pynn_grid){columns, 1, least(strips, divide_up(columns, GRAIN)), 1};
}

/* The index-th of `cuts` pieces of `length`. */
static void cut_length(size_t length, size_t cuts, size_t index, size_t *begin, size_t *end) {
    size_t grains = divide_up(length, GRAIN);
    size_t share = grains / cuts, rest = grains % cuts;
    *begin = (index * share + least(index, rest)) * GRAIN;
    *end = least(*begin + (share + (index < rest)) * GRAIN, length);
}

pynn_tile pynn_grid_tile(const pynn_grid *grid, size_t index) {
    pynn_tile tile;
    cut_length(grid->rows, grid->row_cuts, index / grid->column_cuts, &tile.row_begin, &tile.row_end);
    cut_length(grid->columns, grid->column_cuts, index % grid->column_cuts, &tile.column_begin,
               &tile.column_end);
    return tile;
}
