/* gemm_portable_kernel.h: the innermost loops of gemm_portable.c for one width of register. gemm_portable.c
 * includes this file once for each width, and defines:
 *   LANES          floats in a register
 *   ROWS, VECTORS  the size of a tile of sums that fits the registers: ROWS by VECTORS * LANES floats
 *   TARGET         the attribute that allows the compiler to use the instructions
 *   NAME(x)        x with a suffix for this width */
typedef float NAME(vector) __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* sums = sums + A B for `rows` rows, which is a constant wherever this is inlined, and all columns of a
 * packed B. For each k a row of B is read once, and each of its values is used for all rows of the tile. */
PYNN_INLINE void NAME(tile)(size_t rows, const block *p, const float *a, float *sums) {
    NAME(vector) registers[ROWS][VECTORS];
    const float *b = p->packed;
    PYNN_UNROLL
    for (size_t i = 0; i < rows; i++) {
        PYNN_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            registers[i][v] = *(const NAME(vector) *)(sums + i * MOST_WIDTH + v * LANES);
    }
    for (size_t k = 0; k < p->depth; k++, a += p->a_next, b += VECTORS * LANES) {
        NAME(vector) row[VECTORS];
        PYNN_UNROLL
        for (size_t v = 0; v < VECTORS; v++) row[v] = *(const NAME(vector) *)(b + v * LANES);
        PYNN_UNROLL
        for (size_t i = 0; i < rows; i++) {
            PYNN_UNROLL
            for (size_t v = 0; v < VECTORS; v++) registers[i][v] += a[i * p->a_below] * row[v];
        }
    }
    PYNN_UNROLL
    for (size_t i = 0; i < rows; i++) {
        PYNN_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            *(NAME(vector) *)(sums + i * MOST_WIDTH + v * LANES) = registers[i][v];
    }
}

/* The same for all rows of a block: the last rows go four, two and one at a time. */
TARGET static void NAME(multiply)(const block *p, const float *a, float *sums) {
    size_t i = 0;
    for (; i + ROWS <= p->rows; i += ROWS) NAME(tile)(ROWS, p, a + i * p->a_below, sums + i * MOST_WIDTH);
    for (; i + 4 <= p->rows; i += 4) NAME(tile)(4, p, a + i * p->a_below, sums + i * MOST_WIDTH);
    for (; i + 2 <= p->rows; i += 2) NAME(tile)(2, p, a + i * p->a_below, sums + i * MOST_WIDTH);
    if (i < p->rows) NAME(tile)(1, p, a + i * p->a_below, sums + i * MOST_WIDTH);
}

#undef LANES
#undef ROWS
#undef VECTORS
#undef TARGET
#undef NAME
