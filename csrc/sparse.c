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
#include "internal.h"
#include "vector.h"

enum { LANES = 16 };

/* y = alpha * sum over the entries (k, x) of  x M[k, :]  + beta * y, for `vectors` * LANES columns: M and y
 * point to the first of them, M has `stride` floats from row to row. `vectors` is a constant wherever
 * this is inlined, so that the sums are registers. */
PYNN_INLINE void sum_rows(size_t vectors, const pynn_list *list, const float *m, size_t stride, float alpha,
                          float beta, float *y) {
    floats16 sums[8] = {{0}};
    for (const pynn_entry *entry = list->entries; entry < list->end; entry++) {
        const float *row = m + entry->index * stride;
        float x = entry->value;
#pragma GCC unroll 8
        for (size_t v = 0; v < vectors; v++) sums[v] += x * *(const floats16 *)(row + v * LANES);
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < vectors; v++) {
        floats16 *out = (floats16 *)(y + v * LANES);
        *out = beta == 0.0f ? alpha * sums[v] : alpha * sums[v] + beta * *out;
    }
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
    size_t o = 0;
    for (; o + 8 * LANES <= columns; o += 8 * LANES) {
        for (size_t l = 0; l < list_count; l++)
            sum_rows(8, &lists[l * apart], m + o, stride, alpha, beta, y + l * y_stride + o);
    }
    for (; o + 4 * LANES <= columns; o += 4 * LANES) {
        for (size_t l = 0; l < list_count; l++)
            sum_rows(4, &lists[l * apart], m + o, stride, alpha, beta, y + l * y_stride + o);
    }
    for (; o + LANES <= columns; o += LANES) {
        for (size_t l = 0; l < list_count; l++)
            sum_rows(1, &lists[l * apart], m + o, stride, alpha, beta, y + l * y_stride + o);
    }
    for (size_t l = 0; l < list_count && o < columns; l++)
        sum_narrow(columns - o, &lists[l * apart], m + o, stride, alpha, beta, y + l * y_stride + o);
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
