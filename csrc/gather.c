/* gather.c: the examples of a batch are copied from the caller's data into the workspace. */
#include <string.h>

#include "base/vector.h"
#include "internal.h"

/* How many rows the density of the data is measured on: of MNIST they are fifty kilobytes. */
enum { SAMPLE_ROWS = 64 };

/* How many rows ahead a row is prefetched. */
enum { PREFETCH_ROWS = 3 };

/* x = value / 255, rounded to the nearest float. A division takes several times as long as a
 * multiplication, and the product with 1 / 255 is wrong in the last bit for half of the values. So 1 / 255
 * is the sum of two floats, such that the product with the first is exact; then the sum of the two products
 * is right for all 256 values. */
PYNN_KERNEL(void, scale_bytes, (size_t count, const uint8_t *values, float *x), (count, values, x)) {
    const float first = 0x1.01p-8f, rest = 0x1.010102p-24f;
    for (size_t i = 0; i < count; i++) x[i] = (float)values[i] * first + (float)values[i] * rest;
}

/* How many values are not zero. */
PYNN_KERNEL(size_t, count_bytes, (size_t count, const uint8_t *values), (count, values)) {
    size_t nonzero = 0;
    for (size_t i = 0; i < count; i++) nonzero += values[i] != 0;
    return nonzero;
}

/* How many values are not zero. */
PYNN_KERNEL(size_t, count_floats, (size_t count, const float *values), (count, values)) {
    size_t nonzero = 0;
    for (size_t i = 0; i < count; i++) nonzero += values[i] != 0.0f;
    return nonzero;
}

/* Values are looked at in groups of GROUP, because zeros come in runs and a group of zeros is skipped at
 * once. CHUNK_GROUPS groups are looked at together. Column blocks begin at multiples of a group. */
enum { GROUP = 8, CHUNK_GROUPS = 64, CHUNK = GROUP * CHUNK_GROUPS };

/* The groups of a chunk that have values other than zero.
 *
 * What costs time here is a branch on the values: the processor cannot predict it. So there is none.
 * add_group() always writes a group's number, and counts it only if the group has such values: the next
 * number then overwrites the number of a group of zeros. Entries are written in the same way. */
typedef struct group_set {
    size_t count;                         /* how many groups have such values */
    uint8_t numbers[CHUNK_GROUPS];        /* (count,): the numbers of these groups */
    uint8_t counts[CHUNK_GROUPS + 1];     /* how many of these groups come before a group */
    pynn_entry *begins[CHUNK_GROUPS + 1]; /* (count + 1,): where the entries of each begin; then the end */
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

/* The bits of a float without its sign bit. They are 0 for 0 and -0 and for nothing else. So a NaN counts
 * as a value that is not zero, and is not lost. */
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

/* value / 255 for every byte, rounded to the nearest float. */
#define SCALED_4(v) (v) / 255.0f, ((v) + 1) / 255.0f, ((v) + 2) / 255.0f, ((v) + 3) / 255.0f
#define SCALED_16(v) SCALED_4(v), SCALED_4((v) + 4), SCALED_4((v) + 8), SCALED_4((v) + 12)
#define SCALED_64(v) SCALED_16(v), SCALED_16((v) + 16), SCALED_16((v) + 32), SCALED_16((v) + 48)
static const float scaled[256] = {SCALED_64(0), SCALED_64(64), SCALED_64(128), SCALED_64(192)};

/* Write entries for those of `count` values that are not zero. Returns the end of the entries. An entry is
 * written for each value, and the end is moved behind it only if the value is not zero; so there must be
 * room for all of them. `index` is the column of the first value. */
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

/* Write the entries of a chunk: of its groups, and then of the values that fill no group. Returns the
 * end. */
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

/* Make the sparse row number n of the batch from a row of values. The entries of its column blocks lie one
 * after the other, so a block ends where the next one begins.
 *   bounds  (blocks + 1,): the columns where the blocks begin, and where the last one ends
 * Returns the end of the entries.
 *
 * What could go wrong: the entries are found chunk by chunk, and a block may begin within a chunk. Its
 * first entry is still known, because blocks begin at multiples of a group: set.counts says how many groups
 * with entries come before the block, and set.begins where the entries of the next such group begin. */
static pynn_entry *list_row(const pynn_batch *batch, const void *values, size_t blocks,
                            const size_t *bounds, size_t n, pynn_entry *entries) {
    size_t inputs = bounds[blocks], b = 0;
    pynn_sparse_vector *block = &batch->workspace->sparse.rows[n * PYNN_MAX_COLUMN_BLOCKS];
    for (size_t first = 0; first < inputs; first += CHUNK) {
        size_t count = pynn_least(CHUNK, inputs - first);
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

/* The features of a row. */
static const void *row_at(const pynn_data *data, size_t inputs, size_t row) {
    size_t item_nbytes = data->feature_type == PYNN_FEATURES_UINT8 ? sizeof(uint8_t) : sizeof(float);
    return (const char *)data->features + row * inputs * item_nbytes;
}

/* Prefetch a row. If the order is shuffled the processor cannot know which row is next, and with MNIST half
 * of the time here was spent waiting for memory. Of a long row only the beginning is prefetched: while it
 * is read, the processor sees what follows. */
PYNN_INLINE void prefetch_row(const pynn_data *data, size_t inputs, size_t row) {
    enum { LINE_NBYTES = 64, MOST_NBYTES = 4096 };
    const char *values = row_at(data, inputs, row);
    size_t nbytes = (size_t)((const char *)row_at(data, inputs, row + 1) - values);
    for (size_t i = 0; i < nbytes && i < MOST_NBYTES; i += LINE_NBYTES) __builtin_prefetch(values + i);
    if (data->labels != NULL) __builtin_prefetch(&data->labels[row]);
}

double pynn_measure_density(const pynn_data *data, size_t inputs) {
    if (data->rows == 0) return 1.0;
    size_t rows = pynn_least(SAMPLE_ROWS, data->rows);
    size_t nonzero = 0;
    for (size_t r = 0; r < rows; r++) {
        const void *values = row_at(data, inputs, data->rows / rows * r);
        nonzero += data->feature_type == PYNN_FEATURES_UINT8 ? count_bytes(inputs, values)
                                                             : count_floats(inputs, values);
    }
    return (double)nonzero / ((double)rows * (double)inputs);
}

/* Whether the features of a row are finite, or missing where that is allowed. */
static bool are_sound(const pynn_network *network, const float *values) {
    return network->takes_missing ? pynn_none_infinite(network->inputs, values)
                                  : pynn_all_finite(network->inputs, values);
}

/* Copy the targets of a row, standardized if the loss wants that. */
static void copy_targets(const pynn_batch *batch, const float *from, float *to) {
    const pynn_network *network = batch->workspace->network;
    const float *mean = pynn_target_mean(network, batch->parameters);
    size_t outputs = network->outputs;
    memcpy(to, from, outputs * sizeof(float));
    if (mean == NULL) return;
    /* t = (target - mean) / scale   @mean_squared_error.t */
    for (size_t o = 0; o < outputs; o++) to[o] = (from[o] - mean[o]) / mean[outputs + o];
}

bool pynn_gather(const pynn_batch *batch, pynn_tile tile, size_t block) {
    pynn_workspace *workspace = batch->workspace;
    const pynn_data *data = batch->data;
    size_t inputs = workspace->network->inputs, outputs = workspace->network->outputs;
    pynn_entry *entries = workspace->sparse.entries + tile.row_begin * inputs;
    pynn_grid grid = pynn_cut_columns(inputs, workspace->network->layers[0].outputs);
    size_t blocks = pynn_grid_count(&grid), bounds[PYNN_MAX_COLUMN_BLOCKS + 1] = {0};
    for (size_t b = 0; b < blocks; b++) bounds[b + 1] = pynn_grid_tile(&grid, b).row_end;
    float *scratch = workspace->augmenting + block * pynn_augmentation_scratch(inputs);
    bool finite = true;
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        size_t row = batch->rows != NULL ? batch->rows[n] : batch->first + n;
        if (batch->rows != NULL && n + PREFETCH_ROWS < tile.row_end)
            prefetch_row(data, inputs, batch->rows[n + PREFETCH_ROWS]);
        const void *values = row_at(data, inputs, row);
        float *x = workspace->inputs + n * inputs;
        if (data->feature_type == PYNN_FEATURES_FLOAT32 && !are_sound(workspace->network, values))
            finite = false;
        if (batch->sparse) {
            entries = list_row(batch, values, blocks, bounds, n, entries);
        } else if (data->feature_type == PYNN_FEATURES_UINT8) {
            scale_bytes(inputs, values, x);
        } else {
            memcpy(x, values, inputs * sizeof(float));
        }
        if (data->augmentation != NULL) pynn_augment(data->augmentation, row, x, scratch);
        if (data->labels != NULL) workspace->labels[n] = data->labels[row];
        if (workspace->targets != NULL && data->targets != NULL)
            copy_targets(batch, data->targets + row * outputs, workspace->targets + n * outputs);
        if (data->weights != NULL) workspace->weights[n] = data->weights[row];
    }
    return finite;
}
