/* gemm_kernel.h: the products of gemm.c for one width of register. gemm.c includes this file once for each
 * width, and defines:
 *   LANES          floats in a register
 *   ROWS, VECTORS  the size of a tile of C that is summed up in registers: ROWS by VECTORS * LANES floats
 *   TARGET         the attribute that allows the compiler to use the instructions
 *   NAME(x)        x with a suffix for this width
 * sparse_sums.h explains the type NAME(vector). */
enum { NAME(lanes) = LANES };
typedef float NAME(vector) __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* C = alpha op(A) B + beta C for a tile of C with `rows` rows and `vectors` * LANES columns. Both numbers
 * are constants wherever this is inlined, so that the compiler keeps the sums in registers. For each k a
 * row of B is read once, and each of its values is used for all rows of the tile. */
PYNN_INLINE void NAME(tile)(size_t rows, size_t vectors, const gemm_problem *p, const float *a,
                            const float *b, float *c) {
    NAME(vector) sums[ROWS][VECTORS];
    PYNN_UNROLL
    for (size_t i = 0; i < rows; i++) {
        PYNN_UNROLL
        for (size_t v = 0; v < vectors; v++) sums[i][v] = (NAME(vector)){0};
    }
    for (size_t k = 0; k < p->depth; k++, a += p->a_next, b += p->ldb) {
        NAME(vector) row[VECTORS];
        PYNN_UNROLL
        for (size_t v = 0; v < vectors; v++) row[v] = *(const NAME(vector) *)(b + v * LANES);
        PYNN_UNROLL
        for (size_t i = 0; i < rows; i++) {
            PYNN_UNROLL
            for (size_t v = 0; v < vectors; v++) sums[i][v] += a[i * p->a_below] * row[v];
        }
    }
    PYNN_UNROLL
    for (size_t i = 0; i < rows; i++) {
        PYNN_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            NAME(vector) *out = (NAME(vector) *)(c + i * p->ldc + v * LANES);
            *out = p->beta == 0.0f ? p->alpha * sums[i][v] : p->alpha * sums[i][v] + p->beta * *out;
        }
    }
}

/* The same for all rows: first tiles of ROWS rows, then tiles of two rows, then the last single row. */
PYNN_INLINE void NAME(panel)(size_t vectors, const gemm_problem *p, const float *a, const float *b,
                             float *c) {
    size_t i = 0;
    for (; i + ROWS <= p->rows; i += ROWS)
        NAME(tile)(ROWS, vectors, p, a + i * p->a_below, b, c + i * p->ldc);
    for (; i + 2 <= p->rows; i += 2) NAME(tile)(2, vectors, p, a + i * p->a_below, b, c + i * p->ldc);
    if (i < p->rows) NAME(tile)(1, vectors, p, a + i * p->a_below, b, c + i * p->ldc);
}

/* The same for all columns, whose number is a multiple of LANES. The columns are computed panel by panel,
 * so that a panel's part of B stays in a cache for all rows. */
TARGET static void NAME(multiply)(const gemm_problem *p, const float *a, const float *b, float *c) {
    size_t j = 0;
    for (; j + VECTORS * LANES <= p->columns; j += VECTORS * LANES)
        NAME(panel)(VECTORS, p, a, b + j, c + j);
    if (j < p->columns) NAME(panel)(1, p, a, b + j, c + j);
}

#undef LANES
#undef ROWS
#undef VECTORS
#undef TARGET
#undef NAME
