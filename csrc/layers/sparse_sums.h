/* sparse_sums.h: the sums of sparse.c for one width of register, included once for each. LANES are the
 * floats in a register; SUMS the registers that hold sums, as many as there are, less some for an entry's
 * value and for products; TARGET is the attribute that allows the instructions; NAME(x) is x with a suffix
 * of this width's own.
 *
 * A type of just the register's width, since compilers take wider ones apart through memory. Their elements
 * may lie at any float's address. */
typedef float NAME(vector) __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* y = alpha * sum over the entries (k, x) of  x M[k, :]  + beta * y, for `vectors` * LANES - overlap
 * columns: M and y point to the first of them, M has `stride` floats from row to row. Columns that do not
 * fill the last vector have one that begins `overlap` columns earlier: some get the same sums twice.
 * `vectors` is a constant wherever this is inlined, so that the sums are registers. */
PYNN_INLINE void NAME(sum_row)(size_t vectors, size_t overlap, const pynn_sparse_vector *sparse,
                               const float *m, size_t stride, float alpha, float beta, float *y) {
    ptrdiff_t last = (ptrdiff_t)((vectors - 1) * LANES) - (ptrdiff_t)overlap;
    NAME(vector) sums[SUMS] = {{0}};
    for (const pynn_entry *entry = sparse->entries; entry < sparse->end; entry++) {
        const float *row = m + entry->index * stride;
        PYNN_KEEP_IN_REGISTER(row);
        float x = entry->value;
        PYNN_UNROLL
        for (size_t v = 0; v + 1 < vectors; v++) sums[v] += x * *(const NAME(vector) *)(row + v * LANES);
        sums[vectors - 1] += x * *(const NAME(vector) *)(row + last);
    }
    NAME(vector) old = {0}; /* of the last vector, before the one before it overwrites a part of it */
    if (beta != 0.0f) old = *(const NAME(vector) *)(y + last);
    PYNN_UNROLL
    for (size_t v = 0; v + 1 < vectors; v++) {
        NAME(vector) *out = (NAME(vector) *)(y + v * LANES);
        NAME(vector) sum = alpha * sums[v];
        if (beta != 0.0f) sum += beta * *out;
        *out = sum;
    }
    NAME(vector) sum = alpha * sums[vectors - 1];
    if (beta != 0.0f) sum += beta * old;
    *(NAME(vector) *)(y + last) = sum;
}

/* The same for few columns, which fill no vector. */
PYNN_INLINE void NAME(sum_narrow)(size_t columns, const pynn_sparse_vector *sparse, const float *m,
                                  size_t stride, float alpha, float beta, float *y) {
    float sums[LANES] = {0};
    for (const pynn_entry *entry = sparse->entries; entry < sparse->end; entry++) {
        const float *row = m + entry->index * stride;
        for (size_t o = 0; o < columns; o++) sums[o] += entry->value * row[o];
    }
    for (size_t o = 0; o < columns; o++)
        y[o] = beta == 0.0f ? alpha * sums[o] : alpha * sums[o] + beta * y[o];
}

/* Y for some of its columns: sum_row() for each sparse vector. The kinds of sum_row() are inlined here. */
TARGET static void NAME(sum_columns)(size_t count, const pynn_sparse_vector *sparse, size_t apart,
                                     size_t columns, const float *m, size_t stride, float alpha, float beta,
                                     float *y, size_t y_stride) {
    size_t vectors = (columns + LANES - 1) / LANES, overlap = vectors * LANES - columns;
    if (columns < LANES) vectors = 0;
    switch (vectors) {
    case 0:
        for (size_t l = 0; l < count; l++)
            NAME(sum_narrow)(columns, &sparse[l * apart], m, stride, alpha, beta, y + l * y_stride);
        break;
#define CASE(constant)                                                                                     \
    case constant:                                                                                         \
        for (size_t l = 0; l < count; l++)                                                                 \
            NAME(sum_row)(constant, overlap, &sparse[l * apart], m, stride, alpha, beta,                   \
                          y + l * y_stride);                                                               \
        break
        CASE(1);
        CASE(2);
        CASE(3);
        CASE(4);
        CASE(5);
        CASE(6);
        CASE(7);
        CASE(8);
        CASE(9);
        CASE(10);
        CASE(11);
        CASE(12);
#if SUMS > 12
        CASE(13);
        CASE(14);
        CASE(15);
        CASE(16);
#endif
#undef CASE
    }
}

/* All columns, in as few passes over the entries as there are registers for, and these alike: 20 vectors
 * are two passes of 10, not of 16 and 4, since a pass with few sums waits for each. */
static void NAME(sum_vectors)(size_t count, const pynn_sparse_vector *sparse, size_t apart, size_t columns,
                              const float *m, size_t stride, float alpha, float beta, float *y,
                              size_t y_stride) {
    size_t passes = (columns + SUMS * LANES - 1) / (SUMS * LANES);
    for (; passes > 0; passes--) {
        size_t vectors = columns / LANES / passes + (columns / LANES % passes != 0);
        size_t some = passes == 1 ? columns : vectors * LANES;
        NAME(sum_columns)(count, sparse, apart, some, m, stride, alpha, beta, y, y_stride);
        columns -= some;
        m += some;
        y += some;
    }
}

#undef LANES
#undef SUMS
#undef TARGET
#undef NAME
