/* data.c: examples from IDX and CSV files.
 *
 * Files are first read beside the examples that the page has, and page_data_accept() then takes them over:
 * so a file that is damaged changes nothing. */
#include "page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CLASSES = 1000 };

/* What can be wrong with a file, beside what is wrong with its IDX header. page.js has the sentences. */
typedef enum problem {
    DATA_OK = 0,
    DATA_NO_MEMORY = 1,
    DATA_EMPTY = 2,
    DATA_NO_NUMBER = 3,  /* a: the line, b: the column */
    DATA_COLUMNS = 4,    /* a: the line, b: its columns, c: those of the first */
    DATA_ONE_COLUMN = 5, /* there is a label and nothing else */
    DATA_LABEL = 6,      /* a: the example, from 1, b: its label */
    DATA_NOT_FINITE = 7, /* a: the example, from 1 */
    DATA_COUNTS = 8,     /* a: the examples, b: the labels */
    DATA_IDX = 100,      /* and a pynn_status */
} problem;

examples sets[2];
static examples read[2];
static double details[3];

static problem fail(problem what, double a, double b, double c) {
    details[0] = a, details[1] = b, details[2] = c;
    return what;
}

/* The numbers that belong to the last problem. */
EXPORT(page_details) const double *page_details(void) {
    return details;
}

static void forget(examples *set) {
    free(set->features), free(set->labels);
    *set = (examples){0};
}

/* Forget what was read and is not taken over. */
EXPORT(page_data_begin) void page_data_begin(void) {
    forget(&read[0]), forget(&read[1]);
}

/* Check a label, and count its class. */
static problem check_label(examples *set, size_t row, double label) {
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
    const problem found =
        idx.ndim == 1 ? keep_labels(&read[set], &idx, items) : keep_features(&read[set], &idx, items);
    free(items);
    return (int)found;
}

/* ---------------------------------------------------------------- CSV */

/* The first line with numbers: not a byte order mark, and no line of names. */
static const char *first_row(const char *text, size_t *line) {
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    *line = 1;
    const char first = text[strspn(text, " \t")];
    if (first != '\0' && strchr("0123456789+-.", first) != NULL) return text;
    text += strcspn(text, "\n");
    *line = 2;
    return *text == '\n' ? text + 1 : text;
}

/* Read one line of numbers between commas, semicolons or tabs: a label, and features. Sets *columns, and
 * *text to the next line.
 *   features  (most,); NULL: the numbers are counted only */
static problem read_line(const char **text, size_t line, float *label, float *features, size_t most,
                         size_t *columns) {
    const char *at = *text;
    for (*columns = 0;; at++) {
        char *end = NULL;
        at += strspn(at, " ");
        const float value = *at == '\n' || *at == '\r' ? NAN : strtof(at, &end);
        if (!isfinite(value) || end == at)
            return fail(DATA_NO_NUMBER, (double)line, (double)*columns + 1.0, 0.0);
        if (*columns == 0) *label = value;
        if (*columns > 0 && features != NULL && *columns <= most) features[*columns - 1] = value;
        (*columns)++;
        at = end + strspn(end, " \r");
        if (*at == '\n' || *at == '\0') break;
        if (strchr(",;\t", *at) == NULL) return fail(DATA_NO_NUMBER, (double)line, (double)*columns, 0.0);
    }
    *text = *at == '\n' ? at + 1 : at;
    return DATA_OK;
}

/* Pass over lines without anything in them. */
static const char *next_row(const char *text, size_t *line) {
    for (;;) {
        const size_t blank = strspn(text, " \r");
        if (text[blank] != '\n') return text[blank] == '\0' ? text + blank : text;
        text += blank + 1;
        (*line)++;
    }
}

/* Read all lines into a set that has room for them; without room, count its rows and columns. */
static problem read_lines(const char *text, examples *set) {
    float *features = set->features;
    const size_t columns = set->columns;
    size_t line, row = 0;
    text = next_row(first_row(text, &line), &line);
    for (; *text != '\0'; row++) {
        float label;
        size_t found, here = line;
        float *place = features != NULL ? features + row * columns : NULL;
        problem what = read_line(&text, line++, &label, place, columns, &found);
        if (what != DATA_OK) return what;
        if (features == NULL && row > 0 && found != set->columns + 1)
            return fail(DATA_COLUMNS, (double)here, (double)found, (double)set->columns + 1.0);
        if (features == NULL) set->columns = found - 1;
        if (features != NULL) what = check_label(set, row, (double)label);
        if (what != DATA_OK) return what;
        text = next_row(text, &line);
    }
    set->rows = row;
    return DATA_OK;
}

/* Read a whole CSV file, with a byte of 0 at its end, as the examples of a set: in each line a label, and
 * then the features. A first line of names is passed over. */
EXPORT(page_read_csv) int page_read_csv(size_t set, const char *file) {
    examples *it = &read[set];
    forget(it);
    const problem found = read_lines(file, it);
    if (found != DATA_OK) return (int)found;
    if (it->rows == 0) return DATA_EMPTY;
    if (it->columns == 0) return DATA_ONE_COLUMN;
    it->type = PYNN_FEATURES_FLOAT32, it->label_count = it->rows;
    it->features = calloc(it->rows * it->columns, sizeof(float));
    it->labels = calloc(it->rows, sizeof(int32_t));
    if (it->features == NULL || it->labels == NULL) return DATA_NO_MEMORY;
    return (int)read_lines(file, it);
}

/* ---------------------------------------------------------------- spirals */

/* Make examples without a file: points of the plane on three spirals, one for each class, a little
 * scattered. The examples to test with are scattered otherwise. */
EXPORT(page_make_spirals) int page_make_spirals(void) {
    enum { SPIRALS = 3, ROWS = 200 * SPIRALS };
    static const double TURN = 6.283185307179586;
    for (size_t set = 0; set < 2; set++) {
        examples *it = &read[set];
        forget(it);
        *it = (examples){calloc(2 * ROWS, sizeof(float)),
                         calloc(ROWS, sizeof(int32_t)),
                         PYNN_FEATURES_FLOAT32,
                         ROWS,
                         2,
                         ROWS,
                         SPIRALS};
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

/* Take over what was read. Labels go with the features that are there, unless their numbers differ. */
EXPORT(page_data_accept) int page_data_accept(void) {
    for (size_t set = 0; set < 2; set++) {
        const examples *it = &read[set];
        if (it->rows > 0 && it->label_count > 0 && it->rows != it->label_count)
            return (int)fail(DATA_COUNTS, (double)it->rows, (double)it->label_count, 0.0);
    }
    forget_run();
    forget_step();
    forget_example();
    for (size_t set = 0; set < 2; set++) {
        examples *from = &read[set], *to = &sets[set];
        if (from->features != NULL) {
            free(to->features);
            to->features = from->features, to->type = from->type;
            to->rows = from->rows, to->columns = from->columns;
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
    return DATA_OK;
}

/* ---------------------------------------------------------------- what there is */

EXPORT(page_rows) size_t page_rows(size_t set) {
    return sets[set].rows;
}

EXPORT(page_columns) size_t page_columns(size_t set) {
    return sets[set].columns;
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
