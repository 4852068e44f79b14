/* sparse_sums.h: the sums of sparse.c for one width of register. sparse.c includes this file once for each
 * width, and defines:
 *   LANES    floats in a register
 *   SUMS     how many registers hold sums; the rest are for an entry's value and for products
 *   TARGET   the attribute that allows the compiler to use the instructions
 *   NAME(x)  x with a suffix for this width
 *
 * The type below is exactly as wide as a register, because compilers split wider types and pass them
 * through memory. aligned(4): a vector may begin at the address of any float. */
typedef float NAME(vector) __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* y = alpha * sum over the entries (k, x) of  x M[k, :]  + beta * y, for `vectors` * LANES - overlap
 * columns. m and y point to the first of them; the rows of M start `stride` floats apart. `vectors` is a
 * constant wherever this is inlined, so that the compiler keeps the sums in registers.
 *
 * If the columns do not fill the last vector, that vector begins `overlap` columns earlier, so that some
 * columns are computed twice. Both results are the same. What could go wrong: the vector before the last
 * writes these columns of y, and the last one multiplies the result by beta again. So the last vector reads
 * its part of y before any vector is written. */
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
    NAME(vector) old = {0}; /* y of the last vector, before another vector overwrites a part of it */
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

/* The same for fewer columns than a vector has. */
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

/* Y for as many columns as SUMS registers hold, or fewer: sum_row() for each sparse vector. The call is
 * inlined here once for each number of vectors. */
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

/* All columns, in as few passes over the entries as the registers allow. The passes are about equally wide:
 * 20 vectors are two passes of 10, not one of 16 and one of 4, because in a pass with few sums each
 * addition waits for the one before. */
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
