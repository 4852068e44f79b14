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

/* GCC would rather add up, for each vector of a row, where the row begins and where the vector does, than
 * keep the address of the row: twice the instructions. */
#define PYNN_KEEP_IN_REGISTER(pointer) __asm__("" : "+r"(pointer))

#if defined(PYNN_HAVE_LEVELS)
#define LANES 16
#define SUMS 16
#define TARGET PYNN_FOR_V4
#define NAME(x) x##_v4
#include "sparse_sums.h"

#define LANES 8
#define SUMS 12
#define TARGET PYNN_FOR_V3
#define NAME(x) x##_v3
#include "sparse_sums.h"
#endif

/* SSE has 16 registers, NEON has 32. */
#define LANES 4
#if defined(__aarch64__)
#define SUMS 16
#else
#define SUMS 12
#endif
#define TARGET
#define NAME(x) x##_of_4
#include "sparse_sums.h"

void pynn_sum_lists(size_t list_count, const pynn_list *lists, size_t apart, size_t columns, const float *m,
                    size_t stride, float alpha, float beta, float *y, size_t y_stride) {
#if defined(PYNN_HAVE_LEVELS)
    switch (pynn_level_in_use()) {
    case PYNN_LEVEL_X86_V4:
        sum_lists_v4(list_count, lists, apart, columns, m, stride, alpha, beta, y, y_stride);
        return;
    case PYNN_LEVEL_X86_V3:
        sum_lists_v3(list_count, lists, apart, columns, m, stride, alpha, beta, y, y_stride);
        return;
    case PYNN_LEVEL_X86_V2:
    case PYNN_LEVEL_BASE: break; /* the same for both: nothing here gains by SSE4 */
    }
#endif
    sum_lists_of_4(list_count, lists, apart, columns, m, stride, alpha, beta, y, y_stride);
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
