/* shifted_kernel.h: the products of shifted.c for one width of register. shifted.c includes this file once
 * for each width, and defines:
 *   LANES          floats in a register
 *   SUMS           how many registers may hold sums
 *   ROWS, COLUMNS  the tile of the sums of products: ROWS * COLUMNS registers
 *   TARGET         the attribute that allows the compiler to use the instructions
 *   NAME(x)        x with a suffix for this width
 * sparse_sums.h explains the type NAME(vector). */
typedef float NAME(vector) __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* C = b + A B for a tile of `rows` rows from row i on and `vectors` * LANES columns from column j on. Both
 * numbers are constants wherever this is inlined, so that the compiler keeps the sums in registers. A long
 * sum is made in slices, as in gemm.c. */
PYNN_INLINE void NAME(tile)(size_t rows, size_t vectors, const pynn_shifted_product *p, size_t i,
                            size_t j) {
    const float *a = p->a + i * p->depth, *b = p->b + j;
    float *c = p->c + i * p->ldc + j;
    for (size_t begin = 0; begin < p->depth; begin += PYNN_MOST_SUMMED) {
        size_t end = pynn_least(begin + PYNN_MOST_SUMMED, p->depth);
        NAME(vector) sums[SUMS][SUMS];
        PYNN_UNROLL
        for (size_t r = 0; r < rows; r++) {
            PYNN_UNROLL
            for (size_t v = 0; v < vectors; v++) sums[r][v] = (NAME(vector)){0};
        }
        for (size_t k = begin; k < end; k++) {
            const float *row = b + p->offsets[k];
            NAME(vector) values[SUMS];
            PYNN_UNROLL
            for (size_t v = 0; v < vectors; v++) values[v] = *(const NAME(vector) *)(row + v * LANES);
            PYNN_UNROLL
            for (size_t r = 0; r < rows; r++) {
                PYNN_UNROLL
                for (size_t v = 0; v < vectors; v++) sums[r][v] += a[r * p->depth + k] * values[v];
            }
        }
        PYNN_UNROLL
        for (size_t r = 0; r < rows; r++) {
            float bias = p->bias != NULL ? p->bias[i + r] : 0.0f;
            PYNN_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                NAME(vector) *out = (NAME(vector) *)(c + r * p->ldc + v * LANES);
                *out = begin > 0 ? *out + sums[r][v] : bias + sums[r][v];
            }
        }
    }
}

/* The same for a number of vectors, at most `most`, that is no constant. */
PYNN_INLINE void NAME(few)(size_t rows, size_t most, size_t vectors, const pynn_shifted_product *p,
                           size_t i, size_t j) {
    switch (vectors) {
    case 1: NAME(tile)(rows, 1, p, i, j); break;
    case 2: NAME(tile)(rows, 2, p, i, j); break;
    case 3: NAME(tile)(rows, 3, p, i, j); break;
    case 4:
        if (most >= 4) NAME(tile)(rows, 4, p, i, j);
        break;
    case 5:
        if (most >= 5) NAME(tile)(rows, 5, p, i, j);
        break;
    case 6:
        if (most >= 6) NAME(tile)(rows, 6, p, i, j);
        break;
    case 7:
        if (most >= 7) NAME(tile)(rows, 7, p, i, j);
        break;
    case 8:
        if (most >= 8) NAME(tile)(rows, 8, p, i, j);
        break;
    }
}

/* The same for all columns: as many vectors at a time as there are registers for, but at most 8. If the
 * last columns do not fill a vector, the last tile begins earlier and computes some columns again: the same
 * numbers, in the same order. */
PYNN_INLINE void NAME(panel)(size_t rows, const pynn_shifted_product *p, size_t i) {
    enum { MOST = 8 };
    const size_t most = SUMS / rows < MOST ? SUMS / rows : MOST;
    size_t j = 0;
    for (; j + most * LANES <= p->columns; j += most * LANES) NAME(tile)(rows, most, p, i, j);
    size_t left = pynn_divide_up(p->columns - j, LANES);
    while (left > 0) { /* at most twice: with two calls of few() it takes twice as long to compile */
        size_t now = left * LANES <= p->columns ? left : left - 1;
        NAME(few)(rows, most, now, p, i, now == left ? p->columns - left * LANES : j);
        left -= now;
    }
}

TARGET static void NAME(multiply)(const pynn_shifted_product *p) {
    size_t i = 0;
#if SUMS >= 24
    for (; i + 8 <= p->rows; i += 8) NAME(panel)(8, p, i);
    if (i + 6 <= p->rows) {
        NAME(panel)(6, p, i);
        i += 6;
    }
#endif
    for (; i + 4 <= p->rows; i += 4) NAME(panel)(4, p, i);
    if (i + 2 <= p->rows) {
        NAME(panel)(2, p, i);
        i += 2;
    }
    if (i < p->rows) NAME(panel)(1, p, i);
}

/* sums += what the late places give to some lanes of a tile, which begins at row f and column k. */
PYNN_INLINE void NAME(add_late)(size_t rows, size_t columns, const pynn_shifted_sums *p, size_t f, size_t k,
                                size_t lane, NAME(vector) (*sums)[SUMS]) {
    const float *dy = p->late_dy + f * p->late_row + lane, *x = p->late_x + k * p->late_row + lane;
    for (size_t j = 0; j < p->late_row; j += SUM_LANES) {
        PYNN_UNROLL
        for (size_t c = 0; c < columns; c++) {
            NAME(vector) of_x = *(const NAME(vector) *)(x + c * p->late_row + j);
            PYNN_UNROLL
            for (size_t r = 0; r < rows; r++)
                sums[r][c] += *(const NAME(vector) *)(dy + r * p->late_row + j) * of_x;
        }
    }
}

/* C += sums of products, for a tile of `rows` rows from row f on and `columns` columns from column k on,
 * both constants wherever this is inlined. Each sum has SUM_LANES lanes. Where a register has fewer, it
 * takes some of the lanes at a time. */
PYNN_INLINE void NAME(add_tile)(size_t rows, size_t columns, const pynn_shifted_sums *p, size_t f,
                                size_t k) {
    float totals[SUMS][SUM_LANES];
    for (size_t lane = 0; lane < SUM_LANES; lane += LANES) {
        const float *dy = p->dy + f * p->dy_row + lane, *x = p->x + lane;
        NAME(vector) sums[SUMS][SUMS];
        PYNN_UNROLL
        for (size_t r = 0; r < rows; r++) {
            PYNN_UNROLL
            for (size_t c = 0; c < columns; c++) sums[r][c] = (NAME(vector)){0};
        }
        for (size_t n = 0; n < p->images; n++, dy += p->dy_image, x += p->x_image) {
            for (size_t j = 0; j < p->length; j += SUM_LANES) {
                NAME(vector) of_dy[SUMS];
                PYNN_UNROLL
                for (size_t r = 0; r < rows; r++)
                    of_dy[r] = *(const NAME(vector) *)(dy + r * p->dy_row + j);
                PYNN_UNROLL
                for (size_t c = 0; c < columns; c++) {
                    NAME(vector) of_x = *(const NAME(vector) *)(x + p->offsets[k + c] + j);
                    PYNN_UNROLL
                    for (size_t r = 0; r < rows; r++) sums[r][c] += of_dy[r] * of_x;
                }
            }
        }
        NAME(add_late)(rows, columns, p, f, k, lane, sums);
        PYNN_UNROLL
        for (size_t r = 0; r < rows; r++) {
            PYNN_UNROLL
            for (size_t c = 0; c < columns; c++)
                *(NAME(vector) *)(totals[r * columns + c] + lane) = sums[r][c];
        }
    }
    float found[SUMS];
    sum_lanes(rows * columns, totals, found);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) p->c[(f + r) * p->columns + k + c] += found[r * columns + c];
    }
}

/* The rows f .. end - 1, `rows` at a time, with all columns. For each tile of columns all rows are done, so
 * that what is read of X stays in the nearest cache. Returns the first row that is left. */
PYNN_INLINE size_t NAME(add_rows)(size_t rows, size_t columns, const pynn_shifted_sums *p, size_t f) {
    size_t end = p->rows - (p->rows - f) % rows, k = 0;
    if (end == f) return f;
    for (; k + columns <= p->columns; k += columns) {
        for (size_t r = f; r < end; r += rows) NAME(add_tile)(rows, columns, p, r, k);
    }
    for (; k + columns / 2 <= p->columns; k += columns / 2) {
        for (size_t r = f; r < end; r += rows) NAME(add_tile)(rows, columns / 2, p, r, k);
    }
    for (; k < p->columns; k++) {
        for (size_t r = f; r < end; r += rows) NAME(add_tile)(rows, 1, p, r, k);
    }
    return end;
}

TARGET static void NAME(add)(const pynn_shifted_sums *p) {
    size_t f = 0;
    if (p->rows % 6 == 0 && ROWS == 4 && SUMS >= 24) f = NAME(add_rows)(6, 4, p, f);
    f = NAME(add_rows)(ROWS, COLUMNS, p, f);
    if (ROWS > 2) f = NAME(add_rows)(2, COLUMNS, p, f);
    NAME(add_rows)(1, 2 * COLUMNS, p, f);
}

#undef LANES
#undef SUMS
#undef ROWS
#undef COLUMNS
#undef TARGET
#undef NAME
