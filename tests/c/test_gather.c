/* test_gather.c: a batch that is gathered from the caller's data, as floats and as sparse rows; and the
 * density of the data. */
#include <float.h>
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

enum { BATCH = 9, MOST_INPUTS = 1100, ROWS = 23 }; /* some rows have more than 4096 bytes */

/* The data: bytes and floats, `inputs` of them in a row. */
static uint8_t bytes[ROWS * MOST_INPUTS];
static float floats[ROWS * MOST_INPUTS];
static int32_t labels[ROWS];

static const uint32_t picked[BATCH] = {22, 0, 7, 7, 21, 1, 13, 2, 3};

static float nth_feature(const pynn_data *data, size_t i) {
    return data->feature_type == PYNN_FEATURES_UINT8 ? (float)bytes[i] / 255.0f : floats[i];
}

/* All bits must be equal, so that NaN is equal to itself and -0 is not equal to 0. */
static bool check_value(float actual, float expected) {
    return CHECK_BYTES(&actual, &expected, sizeof actual);
}

/* The sparse row n of the workspace has the values of row `row` of the data that are not zero, in order and
 * to the bit. Each column block has the entries of its own columns, and they lie one block after the
 * other. */
static bool check_sparse_row(const pynn_batch *batch, size_t n, size_t row) {
    const pynn_workspace *workspace = batch->workspace;
    size_t inputs = workspace->network->inputs;
    const pynn_entry *entry = workspace->sparse.rows[n * PYNN_MAX_COLUMN_BLOCKS].entries;
    pynn_grid grid = pynn_cut_columns(inputs, workspace->network->layers[0].outputs);
    for (size_t s = 0; s < pynn_grid_count(&grid); s++) {
        pynn_tile tile = pynn_grid_tile(&grid, s);
        const pynn_sparse_vector *block = &workspace->sparse.rows[n * PYNN_MAX_COLUMN_BLOCKS + s];
        if (!CHECK(block->entries == entry)) return false;
        for (size_t i = tile.row_begin; i < tile.row_end; i++) {
            float x = nth_feature(batch->data, row * inputs + i);
            if (x == 0.0f) continue;
            if (!CHECK(entry < block->end) || !CHECK_EQ(entry->index, i) || !check_value(entry->value, x))
                return false;
            entry++;
        }
        if (!CHECK(block->end == entry)) return false;
    }
    return true;
}

static bool check_floats(const pynn_batch *batch, size_t n, size_t row) {
    size_t inputs = batch->workspace->network->inputs;
    for (size_t i = 0; i < inputs; i++) {
        float x = nth_feature(batch->data, row * inputs + i);
        if (!check_value(batch->workspace->inputs[n * inputs + i], x)) return false;
    }
    return true;
}

/* Gather some rows of a batch: they are in the workspace, and the memory of the other rows is untouched. */
static bool check_gather(const pynn_batch *batch, size_t begin, size_t end) {
    pynn_workspace *workspace = batch->workspace;
    size_t inputs = workspace->network->inputs;
    size_t nbytes = inputs * (batch->sparse ? sizeof(pynn_entry) : sizeof(float)); /* the bytes of a row */
    unsigned char *place = (unsigned char *)workspace->sparse.entries,
                  others[MOST_INPUTS * sizeof(pynn_entry)];
    memset(others, 0xA5, sizeof others);
    memset(place, 0xA5, BATCH * inputs * sizeof(pynn_entry));
    memset(workspace->labels, 0xA5, BATCH * sizeof *workspace->labels);
    bool finite = pynn_gather(batch, (pynn_tile){begin, end, 0, inputs}, 0), expected = true;
    for (size_t n = begin; n < end; n++) {
        size_t row = batch->rows != NULL ? batch->rows[n] : batch->first + n;
        for (size_t i = 0; i < inputs; i++)
            expected = expected && isfinite(nth_feature(batch->data, row * inputs + i));
    }
    bool holds = CHECK_EQ(finite, expected);
    for (size_t n = 0; n < BATCH && holds; n++) {
        size_t row = batch->rows != NULL ? batch->rows[n] : batch->first + n;
        bool asked_for = n >= begin && n < end;
        if (!asked_for)
            holds = CHECK_BYTES(place + n * nbytes, others, nbytes);
        else
            holds = batch->sparse ? check_sparse_row(batch, n, row) : check_floats(batch, n, row);
        if (asked_for && batch->data->labels != NULL)
            holds = CHECK_EQ(workspace->labels[n], labels[row]) && holds;
        else
            holds = CHECK_BYTES(&workspace->labels[n], others, sizeof *workspace->labels) && holds;
    }
    if (!holds)
        printf("    %zu inputs, rows %zu to %zu, type %d, sparse %d\n", inputs, begin, end,
               (int)batch->data->feature_type, batch->sparse);
    return holds;
}

/* Both types of features, as floats and as sparse rows, in order and by index, with labels and without. The
 * data ends where its memory ends, so that a sanitizer sees a read past the end. */
static bool check_all(size_t inputs) {
    const pynn_layer layer = HE(2);
    pynn_network *network = create_network(inputs, &layer, 1, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, BATCH);
    size_t count = ROWS * inputs;
    bool holds = true;
    for (int k = 0; k < 8 && holds; k++) {
        bool are_bytes = k & 1, picks = k & 2;
        size_t nbytes = are_bytes ? count : count * sizeof(float);
        void *features = malloc(nbytes);
        if (!CHECK(features != NULL)) exit(1);
        memcpy(features, are_bytes ? (void *)bytes : floats, nbytes);
        const pynn_data data = {features, are_bytes ? PYNN_FEATURES_UINT8 : PYNN_FEATURES_FLOAT32, ROWS,
                                k == 2 ? NULL : labels, PYNN_PATH_AUTO};
        const pynn_batch batch = {.workspace = workspace,
                                  .data = &data,
                                  .rows = picks ? picked : NULL,
                                  .first = picks ? 0 : ROWS - BATCH,
                                  .count = BATCH,
                                  .sparse = k & 4};
        holds = check_gather(&batch, 0, BATCH) && check_gather(&batch, 3, 7);
        free(features);
    }
    destroy(workspace, network);
    return holds;
}

/* Fill the data so that `percent` of a hundred values are not zero; some of them are infinite, NaN and
 * other rare floats. */
static void fill(size_t inputs, float percent) {
    static const float rare[] = {NAN, -0.0f, INFINITY, -INFINITY, FLT_TRUE_MIN, -FLT_MIN, FLT_MAX, 1.0f};
    static float chances[ROWS * MOST_INPUTS];
    size_t count = ROWS * inputs;
    pynn_random_uniform(4, inputs, 0, count, 0.0f, 100.0f, chances);
    for (size_t i = 0; i < count; i++) {
        bool is_zero = chances[i] >= percent;
        bytes[i] = is_zero ? 0 : (uint8_t)(1 + i % 255);
        floats[i] = is_zero ? (i % 3 == 0 ? -0.0f : 0.0f) : chances[i] - 200.0f;
        if (!is_zero && i % 7 == 0) floats[i] = rare[i / 7 % COUNT_OF(rare)];
    }
    for (size_t n = 0; n < ROWS; n++) labels[n] = (int32_t)(n * 3 % 5);
}

/* All lengths up to 40, so that every number of values is left after the last group of eight, in a column
 * block and in a row. */
static void test_lengths(void) {
    static const size_t more[] = {63, 64, 65, 100, 127, 128, 129, 255, 300, 784, 799, 800, MOST_INPUTS};
    static const float percents[] = {0.0f, 5.0f, 50.0f, 101.0f};
    for (size_t i = 1; i <= 40 + COUNT_OF(more); i++) {
        size_t inputs = i <= 40 ? i : more[i - 41];
        for (size_t p = 0; p < COUNT_OF(percents); p++) {
            fill(inputs, percents[p]);
            if (!check_all(inputs)) printf("    %g of 100 not zero\n", (double)percents[p]);
        }
    }
}

/* One value is not zero: it is tried at each position of a row. */
static void test_places(void) {
    enum { INPUTS = 37 };
    memset(bytes, 0, sizeof bytes);
    memset(floats, 0, sizeof floats);
    for (size_t i = 0; i < INPUTS; i++) {
        for (size_t n = 0; n < ROWS; n++) {
            bytes[n * INPUTS + i] = (uint8_t)(n + 1);
            floats[n * INPUTS + i] = -(float)n;
        }
        if (!check_all(INPUTS)) return;
        memset(bytes, 0, sizeof bytes);
        memset(floats, 0, sizeof floats);
    }
}

/* Each of the 256 bytes becomes value / 255, rounded once, at any position in a vector and after the last
 * vector. */
static void test_bytes(void) {
    enum { INPUTS = 256 + 16 + 5 };
    for (size_t i = 0; i < ROWS * INPUTS; i++) bytes[i] = (uint8_t)(i * 3 + i / INPUTS);
    size_t seen[256] = {0}, all = 0;
    for (size_t i = 0; i < INPUTS; i++) seen[bytes[(ROWS - 1) * INPUTS + i]]++;
    for (size_t value = 0; value < 256; value++) all += seen[value] > 0;
    CHECK_EQ(all, 256);
    check_all(INPUTS);
}

/* ---------------------------------------------------------------- density */

static double density(pynn_feature_type type, size_t rows, size_t inputs) {
    const void *features = type == PYNN_FEATURES_UINT8 ? (const void *)bytes : floats;
    const pynn_data data = {features, type, rows, NULL, PYNN_PATH_AUTO};
    return pynn_measure_density(&data, inputs);
}

/* Few rows are all counted. NaN is not zero, but -0.0 is. */
static void test_density_of_few(void) {
    static const size_t widths[] = {1, 3, 16, 17, 100, 784};
    for (size_t w = 0; w < COUNT_OF(widths); w++) {
        size_t inputs = widths[w], count = ROWS * inputs, others[2] = {0};
        fill(inputs, 30.0f);
        for (size_t i = 0; i < count; i++) {
            others[0] += bytes[i] != 0;
            others[1] += isnan(floats[i]) || floats[i] != 0.0f;
        }
        CHECK(others[0] > 0 && others[0] < count);
        CHECK_NEAR(density(PYNN_FEATURES_UINT8, ROWS, inputs), (double)others[0] / (double)count, 1e-12);
        CHECK_NEAR(density(PYNN_FEATURES_FLOAT32, ROWS, inputs), (double)others[1] / (double)count, 1e-12);
    }
    CHECK_NEAR(density(PYNN_FEATURES_UINT8, 0, 5), 1.0, 0.0); /* there are no rows to count */
}

/* Of many rows a sample from all of the data is counted, so that the result is also right if the rows are
 * sorted by density. */
static void test_density_of_many(void) {
    enum { MANY = ROWS * MOST_INPUTS / 4, INPUTS = 4 };
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = 0; i < MANY * INPUTS; i++) {
            bytes[i] = (i < MANY * INPUTS / 2) == (half == 0);
            floats[i] = bytes[i] != 0 ? NAN : -0.0f;
        }
        CHECK_NEAR(density(PYNN_FEATURES_UINT8, MANY, INPUTS), 0.5, 0.1);
        CHECK_NEAR(density(PYNN_FEATURES_FLOAT32, MANY, INPUTS), 0.5, 0.1);
    }
    for (size_t rows = 1; rows <= 300; rows++) { /* no read past the last row: a sanitizer would see it */
        uint8_t *exactly = malloc(rows * INPUTS);
        if (!CHECK(exactly != NULL)) return;
        memset(exactly, 1, rows * INPUTS);
        const pynn_data data = {exactly, PYNN_FEATURES_UINT8, rows, NULL, PYNN_PATH_AUTO};
        CHECK_NEAR(pynn_measure_density(&data, INPUTS), 1.0, 0.0);
        free(exactly);
    }
}

int main(void) {
    test_lengths();
    test_places();
    test_bytes();
    test_density_of_few();
    test_density_of_many();
    return check_failures();
}
