/* gather.c: from the caller's data to the batch in the workspace. */
#include <string.h>

#include "base/vector.h"
#include "internal.h"

/* Rows that a look at the data's density takes: fifty kilobytes of MNIST. */
enum { SAMPLE_ROWS = 64 };

/* How many rows before it is needed a row is asked for. */
enum { PREFETCH_ROWS = 3 };

/* x = value / 255, to the nearest float. A quotient costs several times as much as a product, and the
 * product with 1 / 255 is off for half of the values; with 1 / 255 in two parts, of which the product with
 * the first is exact, the sum is right for all 256. */
PYNN_KERNEL(void, scale_bytes, (size_t count, const uint8_t *values, float *x), (count, values, x)) {
    const float first = 0x1.01p-8f, rest = 0x1.010102p-24f;
    for (size_t i = 0; i < count; i++) x[i] = (float)values[i] * first + (float)values[i] * rest;
}

PYNN_KERNEL(size_t, count_bytes, (size_t count, const uint8_t *values), (count, values)) {
    size_t others = 0;
    for (size_t i = 0; i < count; i++) others += values[i] != 0;
    return others;
}

PYNN_KERNEL(size_t, count_floats, (size_t count, const float *values), (count, values)) {
    size_t others = 0;
    for (size_t i = 0; i < count; i++) others += values[i] != 0.0f;
    return others;
}

/* Values that are looked at together, because zeros come in runs, and how many such groups at a time.
 * Column blocks begin at multiples of a group. */
enum { GROUP = 8, CHUNK_GROUPS = 64, CHUNK = GROUP * CHUNK_GROUPS };

/* Groups of a chunk, of which some have values that are not zero. There are no branches here on what the
 * values are, since the processor could not guess them. */
typedef struct group_set {
    size_t count;                     /* of those that have such values */
    uint8_t numbers[CHUNK_GROUPS];    /* (count,): which they are */
    uint8_t counts[CHUNK_GROUPS + 1]; /* how many of them come before a group */
    pynn_entry
        *begins[CHUNK_GROUPS + 1]; /* (count + 1,): where their entries begin, and the last ones end */
} group_set;

static void add_group(group_set *set, size_t group, bool has_values) {
    set->numbers[set->count] = (uint8_t)group;
    set->count += has_values;
    set->counts[group + 1] = (uint8_t)set->count;
}

static void find_groups_of_bytes(size_t groups, const uint8_t *values, group_set *set) {
    for (size_t g = 0; g < groups; g++) {
        uint64_t eight;
        memcpy(&eight, values + g * GROUP, sizeof eight);
        add_group(set, g, eight != 0);
    }
}

/* The bits of a float without its sign: 0 for 0 and for -0, and not for NaN, which so is not lost. */
static uint32_t magnitude_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits << 1;
}

static void find_groups_of_floats(size_t groups, const float *values, group_set *set) {
    for (size_t g = 0; g < groups; g++) {
        uint32_t all = 0;
        for (size_t k = 0; k < GROUP; k++) all |= magnitude_bits(values[g * GROUP + k]);
        add_group(set, g, all != 0);
    }
}

/* value / 255 for every byte, to the nearest float. */
#define SCALED_4(v) (v) / 255.0f, ((v) + 1) / 255.0f, ((v) + 2) / 255.0f, ((v) + 3) / 255.0f
#define SCALED_16(v) SCALED_4(v), SCALED_4((v) + 4), SCALED_4((v) + 8), SCALED_4((v) + 12)
#define SCALED_64(v) SCALED_16(v), SCALED_16((v) + 16), SCALED_16((v) + 32), SCALED_16((v) + 48)
static const float scaled[256] = {SCALED_64(0), SCALED_64(64), SCALED_64(128), SCALED_64(192)};

/* List values of which some are zero; there is room for all. Each is written, and the end is moved on
 * behind one that is not zero. Returns the end. `index` is that of the first value. */
PYNN_INLINE pynn_entry *list_bytes(size_t count, const uint8_t *values, size_t index, pynn_entry *entries) {
    for (size_t k = 0; k < count; k++) {
        *entries = (pynn_entry){(uint32_t)(index + k), scaled[values[k]]};
        entries += values[k] != 0;
    }
    return entries;
}

PYNN_INLINE pynn_entry *list_floats(size_t count, const float *values, size_t index, pynn_entry *entries) {
    for (size_t k = 0; k < count; k++) {
        *entries = (pynn_entry){(uint32_t)(index + k), values[k]};
        entries += magnitude_bits(values[k]) != 0;
    }
    return entries;
}

static pynn_entry *list_chunk_of_bytes(size_t count, const uint8_t *values, size_t index, group_set *set,
                                       pynn_entry *entries) {
    size_t groups = count / GROUP, rest = count % GROUP;
    find_groups_of_bytes(groups, values, set);
    for (size_t g = 0; g < set->count; g++) {
        size_t first = set->numbers[g] * (size_t)GROUP;
        set->begins[g] = entries;
        entries = list_bytes(GROUP, values + first, index + first, entries);
    }
    set->begins[set->count] = entries;
    return list_bytes(rest, values + count - rest, index + count - rest, entries);
}

static pynn_entry *list_chunk_of_floats(size_t count, const float *values, size_t index, group_set *set,
                                        pynn_entry *entries) {
    size_t groups = count / GROUP, rest = count % GROUP;
    find_groups_of_floats(groups, values, set);
    for (size_t g = 0; g < set->count; g++) {
        size_t first = set->numbers[g] * (size_t)GROUP;
        set->begins[g] = entries;
        entries = list_floats(GROUP, values + first, index + first, entries);
    }
    set->begins[set->count] = entries;
    return list_floats(rest, values + count - rest, index + count - rest, entries);
}

/* Make a sparse row of a row; the entries of its column blocks lie one behind the other.
 *   bounds  (blocks + 1,): where the column blocks begin, and the last one ends
 * Returns the end. */
static pynn_entry *list_row(const pynn_batch *batch, const void *values, size_t blocks,
                            const size_t *bounds, size_t n, pynn_entry *entries) {
    size_t inputs = bounds[blocks], b = 0;
    pynn_sparse_vector *block = &batch->workspace->sparse.rows[n * PYNN_MAX_COLUMN_BLOCKS];
    for (size_t first = 0; first < inputs; first += CHUNK) {
        size_t count = inputs - first < CHUNK ? inputs - first : CHUNK;
        group_set set;
        set.count = set.counts[0] = 0;
        entries = batch->data->feature_type == PYNN_FEATURES_UINT8
                      ? list_chunk_of_bytes(count, (const uint8_t *)values + first, first, &set, entries)
                      : list_chunk_of_floats(count, (const float *)values + first, first, &set, entries);
        for (; b < blocks && bounds[b] < first + count; b++)
            block[b].entries = set.begins[set.counts[(bounds[b] - first) / GROUP]];
    }
    for (b = 0; b + 1 < blocks; b++) block[b].end = block[b + 1].entries;
    block[blocks - 1].end = entries;
    return entries;
}

static const void *row_at(const pynn_data *data, size_t inputs, size_t row) {
    size_t item_nbytes = data->feature_type == PYNN_FEATURES_UINT8 ? sizeof(uint8_t) : sizeof(float);
    return (const char *)data->features + row * inputs * item_nbytes;
}

/* Ask for a row some rows before it is needed: in an order that is shuffled the processor cannot know which
 * is next, and of MNIST waiting took half of the time here. Of a long row the beginning: where that is read
 * the processor sees what follows. */
PYNN_INLINE void prefetch_row(const pynn_data *data, size_t inputs, size_t row) {
    enum { LINE_NBYTES = 64, MOST_NBYTES = 4096 };
    const char *values = row_at(data, inputs, row);
    size_t nbytes = (size_t)((const char *)row_at(data, inputs, row + 1) - values);
    for (size_t i = 0; i < nbytes && i < MOST_NBYTES; i += LINE_NBYTES) __builtin_prefetch(values + i);
    if (data->labels != NULL) __builtin_prefetch(&data->labels[row]);
}

double pynn_measure_density(const pynn_data *data, size_t inputs) {
    if (data->rows == 0) return 1.0;
    size_t rows = data->rows < SAMPLE_ROWS ? data->rows : SAMPLE_ROWS;
    size_t others = 0;
    for (size_t r = 0; r < rows; r++) {
        const void *values = row_at(data, inputs, data->rows / rows * r);
        others += data->feature_type == PYNN_FEATURES_UINT8 ? count_bytes(inputs, values)
                                                            : count_floats(inputs, values);
    }
    return (double)others / ((double)rows * (double)inputs);
}

bool pynn_gather(const pynn_batch *batch, pynn_tile tile) {
    pynn_workspace *workspace = batch->workspace;
    const pynn_data *data = batch->data;
    size_t inputs = workspace->network->inputs, outputs = workspace->network->outputs;
    pynn_entry *entries = workspace->sparse.entries + tile.row_begin * inputs;
    pynn_grid grid = pynn_cut_columns(inputs, workspace->network->layers[0].outputs);
    size_t blocks = pynn_grid_count(&grid), bounds[PYNN_MAX_COLUMN_BLOCKS + 1] = {0};
    for (size_t b = 0; b < blocks; b++) bounds[b + 1] = pynn_grid_tile(&grid, b).row_end;
    bool finite = true;
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        size_t row = batch->rows != NULL ? batch->rows[n] : batch->first + n;
        if (batch->rows != NULL && n + PREFETCH_ROWS < tile.row_end)
            prefetch_row(data, inputs, batch->rows[n + PREFETCH_ROWS]);
        const void *values = row_at(data, inputs, row);
        float *x = workspace->inputs + n * inputs;
        if (data->feature_type == PYNN_FEATURES_FLOAT32 && !pynn_all_finite(inputs, values)) finite = false;
        if (batch->sparse) {
            entries = list_row(batch, values, blocks, bounds, n, entries);
        } else if (data->feature_type == PYNN_FEATURES_UINT8) {
            scale_bytes(inputs, values, x);
        } else {
            memcpy(x, values, inputs * sizeof(float));
        }
        if (data->labels != NULL) workspace->labels[n] = data->labels[row];
        if (workspace->targets != NULL && data->targets != NULL)
            memcpy(workspace->targets + n * outputs, data->targets + row * outputs,
                   outputs * sizeof(float));
        if (data->weights != NULL) workspace->weights[n] = data->weights[row];
    }
    return finite;
}
