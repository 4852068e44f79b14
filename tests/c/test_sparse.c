/* test_sparse.c: sums over sparse vectors are compared with a plain loop in double, and sparse columns with
 * the matrix that the sparse rows were made from. */
#include <stdint.h>
#include <stdlib.h>

#include "base/vector.h"
#include "check.h"
#include "internal.h"

/* ---------------------------------------------------------------- sums */

enum { VECTORS = 7, M_ROWS = 40, MOST_ENTRIES = 60 };

/* VECTORS sparse vectors, whose indices are rows of M. The first is empty, the second has one entry, the
 * others have up to MOST_ENTRIES, in any order and with some indices more than once: a sum allows both. */
typedef struct vector_set {
    pynn_entry entries[VECTORS][MOST_ENTRIES];
    pynn_sparse_vector vectors[VECTORS];
} vector_set;

static const size_t counts[VECTORS] = {0, 1, 2, 9, 17, 40, MOST_ENTRIES};

static const vector_set *some_vectors(void) {
    static vector_set all;
    float values[VECTORS * MOST_ENTRIES];
    pynn_random_uniform(1, 0, 0, VECTORS * MOST_ENTRIES, -1.0f, 1.0f, values);
    for (size_t l = 0; l < VECTORS; l++) {
        for (size_t e = 0; e < MOST_ENTRIES; e++)
            all.entries[l][e] =
                (pynn_entry){(uint32_t)((e * 23 + l) % M_ROWS), values[l * MOST_ENTRIES + e]};
        all.vectors[l] = (pynn_sparse_vector){all.entries[l], all.entries[l] + counts[l]};
    }
    return &all;
}

typedef struct sum_case {
    size_t columns;
    size_t stride;
    size_t y_stride;
    float alpha;
    float beta;
} sum_case;

/* A matrix of random values, with NaN between its rows. Its memory ends at the last column of the last row,
 * so that a sanitizer sees a read past the end. It starts at an address at which no aligned vector
 * starts. */
static float *create_matrix(size_t rows, size_t columns, size_t stride, uint64_t stream, void **memory) {
    size_t size = (rows - 1) * stride + columns;
    float *block = malloc((size + 1) * sizeof *block);
    *memory = block;
    if (!CHECK(block != NULL)) exit(1);
    float *matrix = block + 1;
    pynn_random_uniform(2, stream, 0, size, -1.0f, 1.0f, matrix);
    for (size_t i = 0; i < size; i++) {
        if (i % stride >= columns) matrix[i] = NAN;
    }
    return matrix;
}

/* Check Y = alpha * (sums) + beta * Y, cell by cell, within the rounding error that a sum of so many values
 * may have. */
static bool check_sums(const sum_case *how) {
    const vector_set *all = some_vectors();
    void *m_memory, *y_memory, *old_memory;
    float *m = create_matrix(M_ROWS, how->columns, how->stride, 0, &m_memory);
    float *y = create_matrix(VECTORS, how->columns, how->y_stride, 1, &y_memory);
    float *old = create_matrix(VECTORS, how->columns, how->y_stride, 1, &old_memory);
    bool holds = true;
    if (how->beta == 0.0f) { /* Y must not be read */
        for (size_t l = 0; l < VECTORS; l++) {
            for (size_t o = 0; o < how->columns; o++) y[l * how->y_stride + o] = NAN;
        }
    }
    pynn_sparse_gemm(VECTORS, all->vectors, 1, how->columns, m, how->stride, how->alpha, how->beta, y,
                     how->y_stride);
    for (size_t i = 0; i < (VECTORS - 1) * how->y_stride + how->columns && holds; i++) {
        size_t l = i / how->y_stride, o = i % how->y_stride;
        if (o >= how->columns) { /* nothing is written between the rows */
            holds = CHECK(isnan(y[i]));
            continue;
        }
        double sum = 0.0, size = 0.0, kept = (double)how->beta * (double)old[i];
        for (size_t e = 0; e < counts[l]; e++) {
            const pynn_entry *entry = &all->entries[l][e];
            double product = (double)entry->value * (double)m[entry->index * how->stride + o];
            sum += product;
            size += fabs(product);
        }
        size = fabs((double)how->alpha) * size + fabs(kept);
        holds = CHECK_NEAR(y[i], (double)how->alpha * sum + kept, 6e-8 * (double)(counts[l] + 2) * size);
        if (!holds) printf("    vector %zu of %zu entries, column %zu\n", l, counts[l], o);
    }
    if (!holds)
        printf("    %zu columns, strides %zu and %zu, alpha %g, beta %g\n", how->columns, how->stride,
               how->y_stride, (double)how->alpha, (double)how->beta);
    free(m_memory);
    free(y_memory);
    free(old_memory);
    return holds;
}

/* All widths up to 150: one to eight vectors at a time, the last one full or not, or less than one
 * vector. */
static void test_sums(void) {
    static const size_t more[] = {160, 191, 192, 193, 255, 256, 257, 319, 384, 400, 511, 512, 513, 1000};
    static const float scales[][2] = {{1, 0}, {-0.5f, 0}, {-0.05f, 1}, {1, 1}, {2, -0.25f}, {0, 1}, {0, 0}};
    for (size_t w = 1; w <= 150 + COUNT_OF(more); w++) {
        size_t columns = w <= 150 ? w : more[w - 151];
        for (size_t s = 0; s < COUNT_OF(scales); s++) {
            const sum_case tight = {columns, columns, columns, scales[s][0], scales[s][1]};
            const sum_case loose = {columns, columns + 1 + s, columns + 17, scales[s][0], scales[s][1]};
            if (!check_sums(&tight) || !check_sums(&loose)) break;
        }
    }
}

/* With no sparse vector nothing is written. */
static void test_no_vectors(void) {
    const vector_set *all = some_vectors();
    float m[3] = {NAN, NAN, NAN}, y[3] = {1, 2, 3};
    pynn_sparse_gemm(0, all->vectors, 1, 3, m, 3, 1.0f, 0.0f, y, 3);
    CHECK(y[0] == 1 && y[1] == 2 && y[2] == 3);
    pynn_sparse_gemm(1, all->vectors, 1, 3, m, 3, 1.0f, 0.0f, y,
                     3); /* an empty vector gives 0, not 0 * M */
    CHECK(y[0] == 0 && y[1] == 0 && y[2] == 0);
}

/* ---------------------------------------------------------------- columns */

enum { MOST_ROWS = PYNN_MAX_TRANSPOSED_ROWS, COLUMNS = 61 };

static float x[MOST_ROWS][COLUMNS]; /* the matrix; its values that are not 0 become entries */
static pynn_entry row_entries[MOST_ROWS][COLUMNS];
static pynn_sparse_vector
    rows[MOST_ROWS * PYNN_MAX_COLUMN_BLOCKS]; /* those of other column blocks must not be read */

/* Make sparse rows of columns begin .. end - 1 of a matrix. About `percent` of a hundred values are not
 * 0. */
static void make_sparse_rows(size_t row_count, size_t begin, size_t end, float percent) {
    float chances[COLUMNS];
    memset(rows, 0xFF, sizeof rows);
    for (size_t n = 0; n < row_count; n++) {
        pynn_random_uniform(3, n, 0, COLUMNS, 0.0f, 100.0f, chances);
        pynn_entry *entry = row_entries[n];
        rows[n * PYNN_MAX_COLUMN_BLOCKS].entries = entry;
        for (size_t i = 0; i < COLUMNS; i++) {
            x[n][i] = chances[i] < percent ? chances[i] - 200.0f : 0.0f;
            if (x[n][i] != 0.0f && i >= begin && i < end) *entry++ = (pynn_entry){(uint32_t)i, x[n][i]};
        }
        rows[n * PYNN_MAX_COLUMN_BLOCKS].end = entry;
    }
}

static void check_columns(size_t row_count, size_t begin, size_t end, float percent) {
    size_t width = end - begin;
    pynn_entry *entries = malloc((width * PYNN_COLUMN_CAPACITY + 1) * sizeof *entries);
    pynn_sparse_vector columns[COLUMNS + 1];
    if (!CHECK(entries != NULL)) return;
    memset(columns, 0xFF, sizeof columns); /* overwritten */
    const pynn_sparse_vector behind = columns[width];
    make_sparse_rows(row_count, begin, end, percent);
    pynn_sparse_transpose(row_count, rows, begin, end, entries, columns);
    CHECK_BYTES(&columns[width], &behind, sizeof behind);
    for (size_t i = begin; i < end; i++) {
        const pynn_entry *entry = columns[i - begin].entries, *last = columns[i - begin].end;
        CHECK(entry >= entries && last <= entries + width * PYNN_COLUMN_CAPACITY && entry <= last);
        for (size_t n = 0; n < row_count; n++) { /* in the order of the rows, none missing, no other */
            if (x[n][i] == 0.0f) continue;
            if (!CHECK(entry < last) || !CHECK_EQ(entry->index, n) || !CHECK(entry->value == x[n][i]))
                break;
            entry++;
        }
        if (!CHECK(entry == last)) printf("    column %zu of %zu rows\n", i, row_count);
    }
    free(entries);
}

static void test_columns(void) {
    static const size_t row_counts[] = {0, 1, 2, 31, 128, MOST_ROWS - 1, MOST_ROWS};
    static const size_t ranges[][2] = {{0, COLUMNS},  {0, 1},        {16, 32},
                                       {48, COLUMNS}, {60, COLUMNS}, {5, 5}};
    static const float percents[] = {0.0f, 3.0f, 50.0f, 101.0f};
    for (size_t n = 0; n < COUNT_OF(row_counts); n++) {
        for (size_t r = 0; r < COUNT_OF(ranges); r++) {
            for (size_t p = 0; p < COUNT_OF(percents); p++)
                check_columns(row_counts[n], ranges[r][0], ranges[r][1], percents[p]);
        }
    }
}

/* Sparse vectors that lie apart give the same as side by side, in all passes over the columns: 128, 64, 16,
 * 5. */
static void test_vectors_apart(void) {
    enum { WIDTH = 128 + 64 + 16 + 5 };
    static float m[3 * WIDTH], together[2 * WIDTH], apart[2 * WIDTH];
    pynn_entry entries[] = {{0, 2.0f}, {2, -1.0f}, {1, 3.0f}, {2, 100.0f}};
    const pynn_sparse_vector close[] = {{entries, entries + 2}, {entries + 2, entries + 3}};
    const pynn_sparse_vector other = {entries + 3, entries + 4}; /* must not be read */
    const pynn_sparse_vector far[] = {close[0], other, close[1], other};
    pynn_random_uniform(4, 0, 0, 3 * WIDTH, -1.0f, 1.0f, m);
    pynn_sparse_gemm(2, close, 1, WIDTH, m, WIDTH, 1.0f, 0.0f, together, WIDTH);
    pynn_sparse_gemm(2, far, 2, WIDTH, m, WIDTH, 1.0f, 0.0f, apart, WIDTH);
    CHECK_BYTES(apart, together, sizeof together);
}

/* ---------------------------------------------------------------- which path is cheaper */

/* If all features are zero, sparse rows are cheaper; if none is, gemm is. In between the choice changes at
 * one density. MNIST, of which 19 % are not zero, is on the side of sparse rows. */
static void test_choice(void) {
    static const size_t widths[] = {32, 64, 256, 2048}, batches[] = {1, 16, 128, 4096};
    for (size_t w = 0; w < COUNT_OF(widths); w++) {
        for (size_t b = 0; b < COUNT_OF(batches); b++) {
            CHECK(pynn_sparse_is_cheaper(0.0, batches[b], 784, widths[w]));
            CHECK(!pynn_sparse_is_cheaper(1.0, batches[b], 784, widths[w]));
            bool before = true;
            for (double density = 0.0; density <= 1.0; density += 0.01) {
                bool now = pynn_sparse_is_cheaper(density, batches[b], 784, widths[w]);
                CHECK(before || !now);
                before = now;
            }
        }
    }
    CHECK(pynn_sparse_is_cheaper(0.19, 128, 784, 256));
    CHECK(!pynn_sparse_is_cheaper(0.5, 4096, 784, 32));
    CHECK(!pynn_sparse_is_cheaper(0.5, 0, 784, 1));
}

/* The density at which the choice changes. */
static double find_turn(size_t batch, size_t inputs, size_t width) {
    double cheaper = 0.0, dearer = 1.0;
    while (dearer - cheaper > 1e-4) {
        double density = (cheaper + dearer) / 2.0;
        if (pynn_sparse_is_cheaper(density, batch, inputs, width))
            cheaper = density;
        else
            dearer = density;
    }
    return cheaper;
}

/* At each level the choice changes at the density that was measured, in cases that depend on each of the
 * costs: few rows and few outputs, sparse rows that outgrow the caches, wide layers. The levels differ by
 * more than the tolerance. */
static void test_turns_of_levels(void) {
    static const struct {
        size_t batch, width;
        double turns[3]; /* base and level 2; level 3; level 4 */
    } cases[] = {
        {1, 32, {0.667, 0.113, 0.095}}, /* fewer rows than were measured: like 16 */
        {16, 32, {0.667, 0.113, 0.095}},
        {16, 256, {0.7, 0.479, 0.483}}, /* 0.7 is the largest density that was measured */
        {128, 32, {0.63, 0.164, 0.135}},
        {128, 256, {0.7, 0.444, 0.46}},
        {1024, 64, {0.658, 0.307, 0.256}},
        {4096, 32, {0.448, 0.169, 0.137}},
        {4096, 256, {0.7, 0.438, 0.453}},
        {4096, 2048, {0.7, 0.484, 0.562}},
    };
    static const size_t columns[] = {
        [PYNN_LEVEL_BASE] = 0, [PYNN_LEVEL_X86_V2] = 0, [PYNN_LEVEL_X86_V3] = 1, [PYNN_LEVEL_X86_V4] = 2};
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        double turn = cases[c].turns[columns[pynn_level_in_use()]];
        if (!CHECK_NEAR(find_turn(cases[c].batch, 784, cases[c].width), turn, 0.005))
            printf("    batches of %zu, %zu outputs\n", cases[c].batch, cases[c].width);
    }
}

int main(void) {
    test_choice();
    test_turns_of_levels();
    test_vectors_apart();
    test_sums();
    test_no_vectors();
    test_columns();
    return check_failures();
}
