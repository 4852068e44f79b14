/* data.c: examples from IDX files, and the taking over of what was read.
 *
 * Files are first read beside the examples that the page has, and page_data_accept() then takes them over:
 * so a file that is damaged changes nothing. */
#include "data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

examples sets[2];
examples incoming[2];
static double details[3];

problem fail(problem what, double a, double b, double c) {
    details[0] = a, details[1] = b, details[2] = c;
    return what;
}

/* The numbers that belong to the last problem. */
EXPORT(page_details) const double *page_details(void) {
    return details;
}

void forget(examples *set) {
    free(set->features), free(set->labels);
    *set = (examples){0};
}

/* Forget what was read and is not taken over. */
EXPORT(page_data_begin) void page_data_begin(void) {
    forget(&incoming[0]), forget(&incoming[1]);
}

problem check_label(examples *set, size_t row, double label) {
    if (!(label >= 0.0 && label < MOST_CLASSES) || floor(label) != label)
        return fail(DATA_LABEL, (double)row + 1.0, label, 0.0);
    set->labels[row] = (int32_t)label;
    if ((size_t)label >= set->classes) set->classes = (size_t)label + 1;
    return DATA_OK;
}

/* ---------------------------------------------------------------- IDX */

/* Element i of an IDX file. */
static double item(const pynn_idx *idx, const void *items, size_t i) {
    switch (idx->type) {
    case PYNN_IDX_UINT8: return ((const uint8_t *)items)[i];
    case PYNN_IDX_INT8: return ((const int8_t *)items)[i];
    case PYNN_IDX_INT16: return ((const int16_t *)items)[i];
    case PYNN_IDX_INT32: return ((const int32_t *)items)[i];
    case PYNN_IDX_FLOAT32: return (double)((const float *)items)[i];
    case PYNN_IDX_FLOAT64: return ((const double *)items)[i];
    }
    return NAN;
}

static problem keep_labels(examples *set, const pynn_idx *idx, const void *items) {
    free(set->labels);
    set->labels = calloc(idx->item_count, sizeof(int32_t));
    if (set->labels == NULL) return DATA_NO_MEMORY;
    set->label_count = idx->item_count, set->classes = 0;
    problem found = DATA_OK;
    for (size_t i = 0; i < idx->item_count && found == DATA_OK; i++)
        found = check_label(set, i, item(idx, items, i));
    return found;
}

/* Keep the elements as features: bytes as they are, others as floats. */
static problem keep_features(examples *set, const pynn_idx *idx, const void *items) {
    const int is_bytes = idx->type == PYNN_IDX_UINT8;
    free(set->features);
    set->features = calloc(idx->item_count, is_bytes ? 1 : sizeof(float));
    if (set->features == NULL) return DATA_NO_MEMORY;
    set->type = is_bytes ? PYNN_FEATURES_UINT8 : PYNN_FEATURES_FLOAT32;
    set->rows = idx->dims[0], set->columns = idx->item_count / idx->dims[0];
    set->height = idx->ndim == 3 ? idx->dims[1] : 0, set->width = idx->ndim == 3 ? idx->dims[2] : 0;
    if (is_bytes) memcpy(set->features, items, idx->item_count);
    for (size_t i = 0; !is_bytes && i < idx->item_count; i++) {
        const float value = (float)item(idx, items, i);
        if (!isfinite(value)) return fail(DATA_NOT_FINITE, (double)(i / set->columns) + 1.0, 0.0, 0.0);
        ((float *)set->features)[i] = value;
    }
    return DATA_OK;
}

/* Read a whole IDX file as the features or, if it has one dimension, the labels of a set. */
EXPORT(page_read_idx) int page_read_idx(size_t set, const uint8_t *file, size_t nbytes) {
    pynn_idx idx;
    const pynn_status status = pynn_idx_parse(file, nbytes, &idx);
    if (status != PYNN_OK) return DATA_IDX + (int)status;
    if (idx.ndim == 0 || idx.item_count == 0) return DATA_EMPTY;
    void *items = malloc(idx.item_count * idx.item_nbytes);
    if (items == NULL) return DATA_NO_MEMORY;
    pynn_idx_decode(file, &idx, items);
    const problem found = idx.ndim == 1 ? keep_labels(&incoming[set], &idx, items)
                                        : keep_features(&incoming[set], &idx, items);
    free(items);
    return (int)found;
}

/* ---------------------------------------------------------------- spirals */

/* Make examples without a file: points of the plane on three spirals, one for each class, a little
 * scattered. The examples to test with are scattered otherwise. */
EXPORT(page_make_spirals) int page_make_spirals(void) {
    enum { SPIRALS = 3, ROWS = 200 * SPIRALS };
    static const double TURN = 6.283185307179586;
    for (size_t set = 0; set < 2; set++) {
        examples *it = &incoming[set];
        forget(it);
        *it = (examples){.features = calloc(2 * ROWS, sizeof(float)),
                         .labels = calloc(ROWS, sizeof(int32_t)),
                         .type = PYNN_FEATURES_FLOAT32,
                         .rows = ROWS,
                         .columns = 2,
                         .label_count = ROWS,
                         .classes = SPIRALS};
        if (it->features == NULL || it->labels == NULL) return DATA_NO_MEMORY;
        float *point = it->features;
        pynn_random_normal(1, set, 0, 2 * ROWS, 0.0f, 0.04f, point);
        for (size_t row = 0; row < ROWS; row++, point += 2) {
            const double out = 0.1 + 0.9 * (double)(row / SPIRALS) / (ROWS / SPIRALS);
            const double angle = TURN * (0.75 * out + (double)(row % SPIRALS) / SPIRALS);
            point[0] += (float)(out * cos(angle));
            point[1] += (float)(out * sin(angle));
            it->labels[row] = (int32_t)(row % SPIRALS);
        }
    }
    return DATA_OK;
}

/* ---------------------------------------------------------------- taking over */

/* Check that the labels of a set go with its features, as they would be after taking over. Features may
 * come before their labels, but no labels that differ in number from the features that are there. */
static problem check_counts(size_t set) {
    const examples *it = &incoming[set];
    const size_t rows = it->rows > 0 ? it->rows : sets[set].rows;
    if (rows == 0 || it->label_count == 0 || rows == it->label_count) return DATA_OK;
    return fail(DATA_COUNTS, (double)rows, (double)it->label_count, 0.0);
}

/* Put what was read in the place of what was there. Labels that are there go with other features, too,
 * unless their numbers differ. */
static void take_over(examples *from, examples *to) {
    if (from->features != NULL) {
        free(to->features);
        to->features = from->features, to->type = from->type;
        to->rows = from->rows, to->columns = from->columns;
        to->height = from->height, to->width = from->width;
    }
    if (from->labels != NULL) {
        free(to->labels);
        to->labels = from->labels, to->label_count = from->label_count, to->classes = from->classes;
    }
    *from = (examples){0};
    if (to->rows > 0 && to->label_count > 0 && to->rows != to->label_count) {
        free(to->labels);
        to->labels = NULL, to->label_count = to->classes = 0;
    }
}

/* Take over what was read, or nothing of it. */
EXPORT(page_data_accept) int page_data_accept(void) {
    for (size_t set = 0; set < 2; set++) {
        const problem found = check_counts(set);
        if (found != DATA_OK) return (int)found;
    }
    forget_run();
    forget_step();
    forget_example();
    for (size_t set = 0; set < 2; set++) take_over(&incoming[set], &sets[set]);
    return DATA_OK;
}

/* ---------------------------------------------------------------- what there is */

EXPORT(page_rows) size_t page_rows(size_t set) {
    return sets[set].rows;
}

EXPORT(page_columns) size_t page_columns(size_t set) {
    return sets[set].columns;
}

/* The height (side 0) or the width (1) of the images that the rows of a set are: those of its IDX file, or
 * else the side of a square. 0 if they are no images. */
EXPORT(page_image) size_t page_image(size_t set, size_t side) {
    const examples *e = &sets[set];
    if (e->height > 0) return side == 0 ? e->height : e->width;
    const size_t root = (size_t)(sqrt((double)e->columns) + 0.5);
    return root > 1 && root * root == e->columns ? root : 0;
}

EXPORT(page_labels) size_t page_labels(size_t set) {
    return sets[set].label_count;
}

EXPORT(page_classes) size_t page_classes(size_t set) {
    return sets[set].classes;
}

/* Whether a set can be used with the network: its features fit the inputs, its labels the outputs. */
EXPORT(page_usable) int page_usable(size_t set) {
    const examples *e = &sets[set];
    return e->rows > 0 && e->rows == e->label_count && e->columns == model.inputs &&
           e->classes <= pynn_network_outputs(model.network) &&
           model.loss.kind == PYNN_SOFTMAX_CROSS_ENTROPY;
}

pynn_data data_of(const examples *set) {
    return (pynn_data){
        .features = set->features, .feature_type = set->type, .rows = set->rows, .labels = set->labels};
}
