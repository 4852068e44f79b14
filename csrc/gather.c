/* gather.c: from the caller's data to the batch in the workspace. */
#include <string.h>

#include "internal.h"
#include "vector.h"

/* Rows that a look at the data's density takes: fifty kilobytes of MNIST. */
enum { SAMPLE_ROWS = 64 };

/* value / 255, to the nearest float. A quotient costs several times as much as a product, and the product
 * with 1 / 255 is off for half of the values; with 1 / 255 in two parts, of which the product with the
 * first is exact, the sum is right for all 256. */
PYNN_INLINE float scale_byte(uint8_t value) {
    const float first = 0x1.01p-8f, rest = 0x1.010102p-24f;
    return (float)value * first + (float)value * rest;
}

PYNN_KERNEL(void, scale_bytes, (size_t count, const uint8_t *values, float *x), (count, values, x)) {
    for (size_t i = 0; i < count; i++) x[i] = scale_byte(values[i]);
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

/* List values begin .. end - 1 of a row that are not zero; there is room for all of them. Returns the end
 * of the list. Eight bytes at once, because zeros come in runs. Each value is written, and the end is moved
 * on behind one that is not zero: no branch for the processor to guess. */
static pynn_entry *list_bytes(size_t begin, size_t end, const uint8_t *values, pynn_entry *entries) {
    size_t i = begin;
    for (; i + 8 <= end; i += 8) {
        uint64_t eight;
        memcpy(&eight, values + i, sizeof eight);
        if (eight == 0) continue;
        for (size_t k = i; k < i + 8; k++) {
            *entries = (pynn_entry){(uint32_t)k, scale_byte(values[k])};
            entries += values[k] != 0;
        }
    }
    for (; i < end; i++) {
        *entries = (pynn_entry){(uint32_t)i, scale_byte(values[i])};
        entries += values[i] != 0;
    }
    return entries;
}

/* NaN is not equal to 0, so it is listed and not lost. */
static pynn_entry *list_floats(size_t begin, size_t end, const float *values, pynn_entry *entries) {
    for (size_t i = begin; i < end; i++) {
        *entries = (pynn_entry){(uint32_t)i, values[i]};
        entries += values[i] != 0.0f;
    }
    return entries;
}

/* List a row strip by strip; the lists of its strips lie one behind the other and make the row's.
 *   bounds  (strips + 1,): where the strips begin, and the last one ends
 * Returns the end. */
static pynn_entry *list_row(const pynn_batch *batch, const void *values, size_t strips,
                            const size_t *bounds, size_t n, pynn_entry *entries) {
    pynn_list *row = &batch->workspace->rows[n];
    pynn_list *strip = &batch->workspace->strips[n * PYNN_MAX_STRIPS];
    row->entries = entries;
    for (size_t s = 0; s < strips; s++) {
        strip[s].entries = entries;
        entries = batch->data->feature_type == PYNN_FEATURES_UINT8
                      ? list_bytes(bounds[s], bounds[s + 1], values, entries)
                      : list_floats(bounds[s], bounds[s + 1], values, entries);
        strip[s].end = entries;
    }
    row->end = entries;
    return entries;
}

static const void *row_at(const pynn_data *data, size_t inputs, size_t row) {
    size_t item_nbytes = data->feature_type == PYNN_FEATURES_UINT8 ? sizeof(uint8_t) : sizeof(float);
    return (const char *)data->features + row * inputs * item_nbytes;
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

void pynn_gather(const pynn_batch *batch, pynn_tile tile) {
    pynn_workspace *workspace = batch->workspace;
    const pynn_data *data = batch->data;
    size_t inputs = workspace->network->inputs, outputs = workspace->network->outputs;
    pynn_entry *entries = workspace->entries + tile.row_begin * inputs;
    pynn_grid grid = pynn_cut_strips(inputs, workspace->network->layers[0].outputs);
    size_t strips = pynn_grid_count(&grid), bounds[PYNN_MAX_STRIPS + 1] = {0};
    for (size_t s = 0; s < strips; s++) bounds[s + 1] = pynn_grid_tile(&grid, s).row_end;
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        size_t row = batch->rows != NULL ? batch->rows[n] : batch->first + n;
        const void *values = row_at(data, inputs, row);
        float *x = workspace->inputs + n * inputs;
        if (batch->sparse) {
            entries = list_row(batch, values, strips, bounds, n, entries);
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
}
