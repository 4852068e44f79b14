/* sparse.c: the first layer, where most of its inputs are zero.
 *
 * Only 19 % of the pixels of MNIST's digits are not. So the rows of a batch are kept as lists of entries,
 * each an index and a value, and a product costs one multiplication per entry and output:
 *
 *     Y[n, :]  = sum over the entries (i, x) of row n of X     of  x W[i, :]
 *     dW[i, :] = sum over the entries (n, x) of column i of X  of  x dY[n, :]
 *
 * Both are the same sum, of rows of a matrix times the values of a list. It is kept in registers, some
 * columns at a time, while the list is walked. */
#include <string.h>

#include "internal.h"
#include "vector.h"

enum { LANES = 16 };

/* y = alpha * sum over the entries (k, x) of  x M[k, :]  + beta * y, for `vectors` * LANES - overlap
 * columns: M and y point to the first of them, M has `stride` floats from row to row. Columns that do not
 * fill the last vector have one that begins `overlap` columns earlier, of which only they are kept.
 * `vectors` is a constant wherever this is inlined, so that the sums are registers. */
PYNN_INLINE void sum_rows(size_t vectors, size_t overlap, const pynn_list *list, const float *m,
                          size_t stride, float alpha, float beta, float *y) {
    ptrdiff_t last = (ptrdiff_t)((vectors - 1) * LANES) - (ptrdiff_t)overlap;
    floats16 sums[8] = {{0}};
    for (const pynn_entry *entry = list->entries; entry < list->end; entry++) {
        const float *row = m + entry->index * stride;
        float x = entry->value;
#pragma GCC unroll 8
        for (size_t v = 0; v + 1 < vectors; v++) sums[v] += x * *(const floats16 *)(row + v * LANES);
        sums[vectors - 1] += x * *(const floats16 *)(row + last);
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < vectors; v++) {
        floats16 *out = (floats16 *)(v + 1 < vectors ? y + v * LANES : y + last);
        floats16 sum = beta == 0.0f ? alpha * sums[v] : alpha * sums[v] + beta * *out;
        if (v + 1 < vectors || overlap == 0)
            *out = sum;
        else
            memcpy((float *)out + overlap, (float *)&sum + overlap, (LANES - overlap) * sizeof(float));
    }
}

/* sum_rows() for many lists, `apart` from one to the next, and as many rows of Y. */
PYNN_INLINE void sum_each(size_t vectors, size_t overlap, size_t list_count, const pynn_list *lists,
                          size_t apart, const float *m, size_t stride, float alpha, float beta, float *y,
                          size_t y_stride) {
    for (size_t l = 0; l < list_count; l++)
        sum_rows(vectors, overlap, &lists[l * apart], m, stride, alpha, beta, y + l * y_stride);
}

/* The same for a few columns that fill no vector. */
PYNN_INLINE void sum_narrow(size_t columns, const pynn_list *list, const float *m, size_t stride,
                            float alpha, float beta, float *y) {
    float sums[LANES] = {0};
    for (const pynn_entry *entry = list->entries; entry < list->end; entry++) {
        const float *row = m + entry->index * stride;
        for (size_t o = 0; o < columns; o++) sums[o] += entry->value * row[o];
    }
    for (size_t o = 0; o < columns; o++)
        y[o] = beta == 0.0f ? alpha * sums[o] : alpha * sums[o] + beta * y[o];
}

PYNN_CLONES void sum_lists(size_t list_count, const pynn_list *lists, size_t apart, size_t columns,
                           const float *m, size_t stride, float alpha, float beta, float *y,
                           size_t y_stride) {
    if (columns < LANES) {
        for (size_t l = 0; l < list_count; l++)
            sum_narrow(columns, &lists[l * apart], m, stride, alpha, beta, y + l * y_stride);
        return;
    }
    for (; columns >= 8 * LANES; columns -= 8 * LANES, m += 8 * LANES, y += 8 * LANES)
        sum_each(8, 0, list_count, lists, apart, m, stride, alpha, beta, y, y_stride);
    size_t vectors = (columns + LANES - 1) / LANES, overlap = vectors * LANES - columns;
#define SUM_EACH(count)                                                                                    \
    case count:                                                                                            \
        sum_each(count, overlap, list_count, lists, apart, m, stride, alpha, beta, y, y_stride);           \
        break
    switch (vectors) {
        SUM_EACH(1);
        SUM_EACH(2);
        SUM_EACH(3);
        SUM_EACH(4);
        SUM_EACH(5);
        SUM_EACH(6);
        SUM_EACH(7);
        SUM_EACH(8);
    }
#undef SUM_EACH
}

void pynn_sum_lists(size_t list_count, const pynn_list *lists, size_t apart, size_t columns, const float *m,
                    size_t stride, float alpha, float beta, float *y, size_t y_stride) {
    sum_lists(list_count, lists, apart, columns, m, stride, alpha, beta, y, y_stride);
}

void pynn_list_columns(size_t row_count, const pynn_list *rows, size_t begin, size_t end,
                       pynn_entry *entries, pynn_list *columns) {
    for (size_t i = begin; i < end; i++, entries += PYNN_COLUMN_CAPACITY)
        columns[i - begin] = (pynn_list){entries, entries};
    for (size_t n = 0; n < row_count; n++, rows += PYNN_MAX_STRIPS) {
        for (const pynn_entry *entry = rows->entries; entry < rows->end; entry++)
            *columns[entry->index - begin].end++ = (pynn_entry){(uint32_t)n, entry->value};
    }
}
