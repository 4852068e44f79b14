/* test_cut.c: the tiles that work is cut into. Every cell is in exactly one tile, and the number, size and
 * places of the tiles are as promised. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "internal.h"

enum { GRAIN = 16 };

static size_t grains(size_t length) {
    return length / GRAIN + (length % GRAIN != 0);
}

/* Check the piece [begin, end) of a length; the piece before it ends at `before`. */
static bool check_piece(size_t begin, size_t end, size_t before, size_t length, size_t cuts) {
    size_t size = end - begin;
    return CHECK_EQ(begin, before) && CHECK(begin % GRAIN == 0) && CHECK(end > begin && end <= length) &&
           CHECK(end == length || end % GRAIN == 0) && CHECK(size <= (grains(length) / cuts + 1) * GRAIN) &&
           CHECK(end == length || size >= grains(length) / cuts * GRAIN);
}

/* The tiles follow each other row by row, without gaps or overlaps. None is empty, and all are of about the
 * same size. */
static bool check_tiles(const pynn_grid *grid) {
    size_t row_end = 0;
    for (size_t r = 0; r < grid->row_cuts; r++) {
        size_t column_end = 0;
        pynn_tile tile = {0};
        for (size_t c = 0; c < grid->column_cuts; c++, column_end = tile.column_end) {
            tile = pynn_grid_tile(grid, r * grid->column_cuts + c);
            if (!check_piece(tile.row_begin, tile.row_end, row_end, grid->rows, grid->row_cuts))
                return false;
            if (!check_piece(tile.column_begin, tile.column_end, column_end, grid->columns,
                             grid->column_cuts))
                return false;
        }
        if (!CHECK_EQ(column_end, grid->columns)) return false;
        row_end = tile.row_end;
    }
    return CHECK_EQ(row_end, grid->rows);
}

/* Every cell is in one tile: it is painted once. */
static bool check_cells(const pynn_grid *grid) {
    size_t cells = grid->rows * grid->columns, once = 0;
    unsigned char *painted = calloc(cells, 1);
    if (!CHECK(painted != NULL)) return false;
    for (size_t index = 0; index < pynn_grid_count(grid); index++) {
        pynn_tile tile = pynn_grid_tile(grid, index);
        for (size_t r = tile.row_begin; r < tile.row_end; r++) {
            for (size_t c = tile.column_begin; c < tile.column_end; c++) painted[r * grid->columns + c]++;
        }
    }
    for (size_t i = 0; i < cells; i++) once += painted[i] == 1;
    free(painted);
    return CHECK_EQ(once, cells);
}

/* ---------------------------------------------------------------- products */

/* What packing costs with r x c tiles: one operand is packed c times, which costs gemm four times as much,
 * and the other operand r times. */
static double packing(const pynn_grid *grid, size_t r, size_t c) {
    return 4.0 * (double)c * (double)grid->rows + (double)r * (double)grid->columns;
}

static bool is_small(const pynn_grid *grid, size_t r, size_t c) {
    double sides = (double)r / (double)grid->rows + (double)c / (double)grid->columns;
    return sides > (r * c > 4 ? 1.0 / 128 : 1.0 / 64);
}

/* No other grid with as many tiles packs less, except grids of small tiles. */
static bool check_cheapest(const pynn_grid *grid) {
    size_t count = pynn_grid_count(grid);
    for (size_t r = 1; r <= count; r++) {
        size_t c = count / r;
        if (count % r != 0 || r > grains(grid->rows) || c > grains(grid->columns)) continue;
        bool small = is_small(grid, grid->row_cuts, grid->column_cuts);
        if (is_small(grid, r, c) && !small) continue;
        if (!CHECK(packing(grid, grid->row_cuts, grid->column_cuts) <= packing(grid, r, c))) return false;
    }
    return true;
}

static bool is_power_of_2(size_t count) {
    return count != 0 && (count & (count - 1)) == 0;
}

static bool check_product(size_t rows, size_t columns, size_t depth) {
    pynn_grid grid = pynn_cut_product(rows, columns, depth);
    pynn_grid again = pynn_cut_product(rows, columns, depth);
    size_t count = pynn_grid_count(&grid);
    bool holds = CHECK_BYTES(&grid, &again, sizeof grid) && CHECK(count >= 1) &&
                 CHECK_EQ(grid.rows, rows) && CHECK_EQ(grid.columns, columns) && check_tiles(&grid);
    if (holds && rows * columns <= 100000) holds = check_cells(&grid);
    /* If there are enough grains, two and four threads can share the tiles evenly. */
    if (holds && grains(rows) >= 16 && grains(columns) >= 16)
        holds = CHECK(is_power_of_2(count)) && check_cheapest(&grid);
    if (!holds) printf("    product (%zu, %zu), sums of %zu\n", rows, columns, depth);
    return holds;
}

static void test_products(void) {
    static const size_t lengths[] = {1,  2,  7,   15,  16,  17,  31,  32,  33,  47,  48,  49,   63,  64,
                                     65, 95, 100, 127, 128, 129, 150, 256, 257, 300, 512, 1000, 4096};
    static const size_t depths[] = {1, 10, 128, 784, 5000, 1000000};
    for (size_t r = 0; r < COUNT_OF(lengths); r++) {
        for (size_t c = 0; c < COUNT_OF(lengths); c++) {
            for (size_t d = 0; d < COUNT_OF(depths); d++) check_product(lengths[r], lengths[c], depths[d]);
        }
    }
}

/* Little work is one task. Much work is at least two tasks, and four if their tiles have at least 128 x 128
 * cells. More work never makes fewer tasks. */
static void test_counts(void) {
    static const size_t lengths[] = {16, 64, 128, 300, 512, 2048};
    for (size_t r = 0; r < COUNT_OF(lengths); r++) {
        for (size_t c = 0; c < COUNT_OF(lengths); c++) {
            size_t before = 0;
            for (size_t depth = 1; depth < (size_t)1 << 24; depth *= 2) {
                pynn_grid grid = pynn_cut_product(lengths[r], lengths[c], depth);
                size_t count = pynn_grid_count(&grid);
                double work = (double)lengths[r] * (double)lengths[c] * (double)depth;
                CHECK(count >= before);
                if (work < 1e6) CHECK_EQ(count, 1);
                if (work > 1e9 && grains(lengths[r]) * grains(lengths[c]) >= 2) CHECK(count >= 2);
                if (work > 1e9 && lengths[r] >= 256 && lengths[c] >= 256) CHECK(count >= 4);
                /* More than two tiles are never small: 1 / rows + 1 / columns of a tile is at most 1 / 64,
                 * as of 128 x 128, and with more than four tiles at most 1 / 128, as of 256 x 256. */
                double packing = (double)grid.row_cuts / (double)lengths[r] +
                                 (double)grid.column_cuts / (double)lengths[c];
                if (count > 2) CHECK(packing <= 1.0 / 64);
                if (count > 4) CHECK(packing <= 1.0 / 128);
                before = count;
            }
        }
    }
}

/* Sizes up to the largest that BLAS takes: their product fits no integer type. */
static void test_huge_products(void) {
    static const size_t lengths[] = {1, 100, (size_t)1 << 20, INT_MAX - 15, INT_MAX - 14, INT_MAX};
    for (size_t r = 0; r < COUNT_OF(lengths); r++) {
        for (size_t c = 0; c < COUNT_OF(lengths); c++) {
            for (size_t d = 0; d < COUNT_OF(lengths); d++) {
                if (lengths[r] == 100 && lengths[c] == 100) continue;
                pynn_grid grid = pynn_cut_product(lengths[r], lengths[c], lengths[d]);
                CHECK(pynn_grid_count(&grid) <= 1000);
                if (!check_tiles(&grid)) return;
            }
        }
    }
}

/* ---------------------------------------------------------------- rows and column blocks */

/* There are at most as many blocks as rows, because the workspace has sums for so many; and at least two
 * blocks from 32 rows on. */
static void test_rows(void) {
    for (size_t rows = 1; rows <= 1000; rows++) {
        pynn_grid grid = pynn_cut_rows(rows);
        CHECK_EQ(grid.column_cuts, 1);
        CHECK(grid.row_cuts <= rows);
        if (rows >= 32) CHECK(grid.row_cuts >= 2);
        if (rows <= 16) CHECK_EQ(grid.row_cuts, 1);
        if (!check_tiles(&grid) || !check_cells(&grid)) printf("    %zu rows\n", rows);
    }
    /* So many blocks that only some are checked. */
    pynn_grid grid = pynn_cut_rows(INT_MAX);
    size_t count = pynn_grid_count(&grid), end = 0;
    CHECK(count > 1000000);
    CHECK_EQ(pynn_grid_tile(&grid, 0).row_begin, 0);
    CHECK_EQ(pynn_grid_tile(&grid, count - 1).row_end, INT_MAX);
    for (size_t index = 0; index + 1 < count; index += count / 1000) {
        pynn_tile tile = pynn_grid_tile(&grid, index);
        CHECK(tile.row_begin >= end && tile.row_end > tile.row_begin);
        CHECK_EQ(tile.row_end, pynn_grid_tile(&grid, index + 1).row_begin);
        end = tile.row_end;
    }
}

static void test_column_blocks(void) {
    static const size_t huge[] = {100000, INT_MAX - 1, INT_MAX};
    for (size_t columns = 1; columns <= 1000 + COUNT_OF(huge); columns++) {
        size_t length = columns <= 1000 ? columns : huge[columns - 1001];
        pynn_grid grid = pynn_cut_columns(length, 10);
        CHECK_EQ(grid.rows, length);
        CHECK_EQ(grid.column_cuts, 1);
        CHECK(grid.row_cuts <= PYNN_MAX_COLUMN_BLOCKS);
        if (length >= 128) CHECK(grid.row_cuts >= 4);
        grid.columns = 5;
        if (!check_tiles(&grid)) printf("    %zu columns\n", length);
    }
    /* With few outputs there are fewer column blocks, because each costs more than it gains. */
    pynn_grid narrow = pynn_cut_columns(1000, 10), wide = pynn_cut_columns(1000, 500);
    CHECK(narrow.row_cuts < wide.row_cuts);
    CHECK_EQ(wide.row_cuts, PYNN_MAX_COLUMN_BLOCKS);
}

/* The blocks of a packed matrix lie one after the other, without gaps, and none is larger than the
 * innermost cache of a usual processor. */
static void test_blocks(void) {
    static float memory[1]; /* the address of a block is computed, but nothing is read */
    pynn_sparse_batch sparse = {.packed_dy = memory};
    for (size_t columns = 1; columns <= 1200; columns += columns < 300 ? 1 : 37) {
        for (size_t rows = 1; rows <= 1000; rows += rows < 20 ? 1 : 61) {
            pynn_packing blocks = pynn_packing_of(rows, columns);
            size_t next = 0;
            if (!CHECK(blocks.most_rows > 0 && blocks.most_rows <= PYNN_MAX_TRANSPOSED_ROWS)) return;
            CHECK(blocks.most_rows * blocks.most_columns * sizeof(float) <= 32 * 1024);
            for (size_t n = 0; n < rows; n += blocks.most_rows) {
                for (size_t o = 0; o < columns; o += blocks.most_columns) {
                    float *block = pynn_packed_block(&sparse, &blocks, n, o);
                    if (!CHECK_EQ((uintptr_t)block, (uintptr_t)memory + next * sizeof(float))) return;
                    next += pynn_least(blocks.most_rows, rows - n) *
                            pynn_least(blocks.most_columns, columns - o);
                }
            }
            CHECK_EQ(next, rows * columns);
        }
    }
}

int main(void) {
    test_blocks();
    test_products();
    test_counts();
    test_huge_products();
    test_rows();
    test_column_blocks();
    return check_failures();
}
