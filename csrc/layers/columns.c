/* columns.c: the columns of a table. Only the first layer can read them.
 *
 * A row x has a number or the code of a category for each column, and each column gives a piece of the row
 * y, in the order of the columns:
 *
 *     a number       y = (x - mean) / scale, and 0 where it is missing (NaN)
 *     an embedding   y = row number x of the column's table (size, width)
 *     one-hot        y = 1 at place x - 1, and else 0; so the code 0 gives zeros
 *
 * The code 0 stands for a category that is unknown or missing. NaN and a code that is out of range count as
 * 0, so nothing is ever read outside of a table. The gradient of a row of a table is the sum of dY over the
 * rows of the batch with this code.
 *
 * The parameters are the means and the scales of the numbers, which training does not change, and behind
 * them the tables, one after the other, which are called weight. The row of code 0 begins as zeros: where
 * no value is unknown or missing in training, an unknown one then adds nothing. */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "layers/layer.h"

/* The most codes of a column: a float holds each whole number up to 2^24. */
enum { MOST_CODES = 1 << 24 };

/* Where a pass over the columns stands. */
typedef struct position {
    size_t number;    /* how many numbers were before */
    size_t embedding; /* how many embeddings were before */
    size_t table;     /* floats of their tables */
    size_t output;    /* values of y */
} position;

/* Behind a column. */
static position behind(position at, const pynn_column *column) {
    if (column->kind == PYNN_COLUMN_NUMBER) at.number++;
    if (column->kind == PYNN_COLUMN_EMBEDDING) {
        at.embedding++;
        at.table += column->size * column->width;
    }
    at.output += column->width;
    return at;
}

/* Behind all columns: how many there are of each. */
static position end_of(const pynn_column *columns, size_t count) {
    position at = {0, 0, 0, 0};
    for (size_t c = 0; c < count; c++) at = behind(at, &columns[c]);
    return at;
}

static position end_of_layer(const pynn_placed_layer *layer) {
    return end_of(layer->layer.columns.columns, layer->inputs);
}

static pynn_status check_column(const pynn_column *column) {
    bool has_codes = column->size >= 2 && column->size <= MOST_CODES;
    switch (column->kind) {
    case PYNN_COLUMN_NUMBER:
        return column->size == 0 && column->width == 1 ? PYNN_OK : PYNN_INVALID_ARGUMENT;
    case PYNN_COLUMN_EMBEDDING: return has_codes && column->width > 0 ? PYNN_OK : PYNN_INVALID_ARGUMENT;
    case PYNN_COLUMN_ONE_HOT:
        return has_codes && column->width == column->size - 1 ? PYNN_OK : PYNN_INVALID_ARGUMENT;
    }
    return PYNN_INVALID_ARGUMENT;
}

static pynn_status place(const pynn_layer *layer, pynn_shape inputs, pynn_layer_place *place) {
    const pynn_column *columns = layer->columns.columns;
    size_t count = pynn_shape_size(inputs), tables = 0, outputs = 0, table;
    if (columns == NULL) return PYNN_INVALID_ARGUMENT;
    for (size_t c = 0; c < count; c++) {
        pynn_status status = check_column(&columns[c]);
        if (status != PYNN_OK) return status;
        if (!pynn_add(outputs, columns[c].width, &outputs) ||
            !pynn_multiply(columns[c].size, columns[c].width, &table))
            return PYNN_SIZE_OVERFLOW;
        if (columns[c].kind == PYNN_COLUMN_EMBEDDING && !pynn_add(tables, table, &tables))
            return PYNN_SIZE_OVERFLOW;
    }
    position end = end_of(columns, count);
    *place =
        (pynn_layer_place){.outputs = {outputs, 1, 1}, .scratch = end.embedding, .takes_missing = true};
    if (end.number > 0) {
        place->views[0] = (pynn_parameter_view){.name = "mean", .dims = {end.number}, .ndim = 1};
        place->views[1] = (pynn_parameter_view){.name = "scale", .dims = {end.number}, .ndim = 1};
        place->view_count = 2;
    }
    if (end.embedding > 0)
        place->views[place->view_count++] =
            (pynn_parameter_view){.name = "weight", .dims = {tables}, .ndim = 1, .decays = 1, .trained = 1};
    return PYNN_OK;
}

static bool options_nbytes(size_t inputs, size_t *nbytes) {
    return pynn_multiply(inputs, sizeof(pynn_column), nbytes);
}

static void keep_options(pynn_layer *layer, size_t inputs, void *memory) {
    if (layer->columns.columns == NULL) return;
    memcpy(memory, layer->columns.columns, inputs * sizeof(pynn_column));
    layer->columns.columns = memory;
}

/* The values of a row of a table are drawn so that its norm is about 1, which is that of a scaled number.
 */
static void initialize(const pynn_placed_layer *layer, uint64_t seed, uint64_t stream, float *parameters) {
    size_t numbers = end_of_layer(layer).number;
    memset(parameters, 0, 2 * numbers * sizeof(float));
    position at = {0, 0, 0, 0};
    for (size_t c = 0; c < layer->inputs; c++) {
        const pynn_column *column = &layer->layer.columns.columns[c];
        if (column->kind == PYNN_COLUMN_EMBEDDING) {
            float *table = parameters + 2 * numbers + at.table;
            float deviation = (float)(1.0 / sqrt((double)column->width));
            pynn_random_normal(seed, stream, at.table, column->size * column->width, 0.0f, deviation,
                               table);
            memset(table, 0, column->width * sizeof(float));
        }
        at = behind(at, column);
    }
}

static bool is_fitted(const pynn_placed_layer *layer, const float *parameters) {
    size_t numbers = end_of_layer(layer).number;
    for (size_t i = 0; i < numbers; i++) {
        if (parameters[numbers + i] == 0.0f) return false;
    }
    return true;
}

/* The code that a feature stands for. Comparisons with NaN are false. */
static size_t code_of(float x, size_t size) {
    return x >= 1.0f && x < (float)size ? (size_t)x : 0;
}

/* The piece of y that a column gives. */
static void read_column(const pynn_column *column, float x, float mean, float scale, const float *table,
                        float *y) {
    size_t code = code_of(x, column->size);
    switch (column->kind) {
    case PYNN_COLUMN_NUMBER:
        /* y = (x - mean) / scale; 0 where x is missing   @columns.number */
        y[0] = x == x ? (x - mean) / scale : 0.0f;
        break;
    case PYNN_COLUMN_EMBEDDING:
        /* Y = row number x of the column's table   @columns.embedding */
        memcpy(y, table + code * column->width, column->width * sizeof(float));
        break;
    case PYNN_COLUMN_ONE_HOT:
        /* y = 1 at place x - 1, else 0   @columns.onehot */
        memset(y, 0, column->width * sizeof(float));
        if (code > 0) y[code - 1] = 1.0f;
        break;
    }
}

static void forward(const pynn_layer_call *call, pynn_tile tile) {
    const pynn_placed_layer *layer = call->layer;
    const pynn_column *columns = layer->layer.columns.columns;
    size_t numbers = end_of_layer(layer).number;
    const float *mean = call->parameters, *scale = mean + numbers, *tables = scale + numbers;
    for (size_t n = tile.row_begin; n < tile.row_end; n++) {
        const float *x = call->x + n * layer->inputs;
        float *y = call->y + n * layer->outputs;
        position at = {0, 0, 0, 0};
        for (size_t c = 0; c < layer->inputs; c++) {
            bool is_number = columns[c].kind == PYNN_COLUMN_NUMBER;
            read_column(&columns[c], x[c], is_number ? mean[at.number] : 0.0f,
                        is_number ? scale[at.number] : 1.0f, tables + at.table, y + at.output);
            at = behind(at, &columns[c]);
        }
    }
}

/* ---------------------------------------------------------------- the gradient of the tables */

/* A column of codes in a batch: code number n is that of x[n * stride]. */
typedef struct codes {
    size_t rows;
    size_t stride;
    size_t size;
    const float *x;
} codes;

static size_t code_at(const codes *of, size_t n) {
    return code_of(of->x[n * of->stride], of->size);
}

/* The rows of the batch, sorted by the last byte of their codes; those of equal bytes stay in their order.
 * So the rows of a code lie side by side, if there are at most 256 codes; else there may be rows of other
 * codes between them. */
static void sort_rows(const codes *of, uint32_t *order) {
    size_t begins[257] = {0};
    for (size_t n = 0; n < of->rows; n++) begins[(code_at(of, n) & 255) + 1]++;
    for (size_t k = 1; k < 256; k++) begins[k] += begins[k - 1];
    for (size_t n = 0; n < of->rows; n++) order[begins[code_at(of, n) & 255]++] = (uint32_t)n;
}

/* t += alpha * (sum of `count` rows of dY); t and a row of dY have `width` floats, and the rows of dY begin
 * `stride` floats apart. The sums are made in double, apart from t, which is then rounded once for many
 * rows. */
PYNN_KERNEL(void, add_rows,
            (size_t count, const uint32_t *rows, size_t width, size_t stride, float alpha, const float *dy,
             float *t),
            (count, rows, width, stride, alpha, dy, t)) {
    enum { MOST = 64 };
    for (size_t first = 0; first < width; first += MOST) {
        size_t some = pynn_least(MOST, width - first);
        double totals[MOST] = {0};
        for (size_t i = 0; i < count; i++) {
            const float *row = dy + rows[i] * stride + first;
            for (size_t o = 0; o < some; o++) totals[o] += (double)row[o];
        }
        /* dweight[code] = sum of dy over the rows with this code   @columns.dweight */
        /* weight[code] = weight[code] - r dweight[code]   @columns.fusedweight */
        for (size_t o = 0; o < some; o++) t[first + o] += alpha * (float)totals[o];
    }
}

/* T = alpha dP + beta T for the table of a column. */
static void accumulate_table(const pynn_layer_call *call, size_t c, position at,
                             const pynn_target *target) {
    const pynn_placed_layer *layer = call->layer;
    const pynn_column *column = &layer->layer.columns.columns[c];
    float *table = target->parameters + 2 * end_of_layer(layer).number + at.table;
    if (target->beta != 1.0f) {
        for (size_t i = 0; i < column->size * column->width; i++)
            table[i] = pynn_blend(target, 0.0, &table[i]);
    }
    uint32_t *order = (uint32_t *)(void *)call->scratch + at.embedding * call->rows;
    codes of = {call->rows, layer->inputs, column->size, call->x + c};
    sort_rows(&of, order);
    for (size_t begin = 0, end; begin < call->rows; begin = end) {
        size_t code = code_at(&of, order[begin]);
        for (end = begin + 1; end < call->rows && code_at(&of, order[end]) == code; end++) {
        }
        add_rows(end - begin, order + begin, column->width, layer->outputs, target->alpha,
                 call->dy + at.output, table + code * column->width);
    }
}

/* A task for each table, and one for the means and scales. */
static pynn_grid cut(const pynn_layer_call *call) {
    size_t tasks = end_of_layer(call->layer).embedding + 1;
    return (pynn_grid){1, tasks, 1, tasks};
}

/* Of task 0: means and scales stay as they are, and their gradient is 0. */
static void accumulate(const pynn_layer_call *call, size_t index, const pynn_target *target) {
    const pynn_column *columns = call->layer->layer.columns.columns;
    position at = {0, 0, 0, 0};
    if (index == 0) {
        float *p = target->parameters;
        size_t count = 2 * end_of_layer(call->layer).number;
        /* mean and scale stay: no step changes them   @columns.kept */
        for (size_t i = 0; i < count; i++) p[i] = pynn_blend(target, 0.0, &p[i]);
        return;
    }
    size_t c = 0;
    for (; columns[c].kind != PYNN_COLUMN_EMBEDDING || at.embedding + 1 < index; c++)
        at = behind(at, &columns[c]);
    accumulate_table(call, c, at, target);
}

const pynn_layer_type pynn_columns = {
    .kind = PYNN_COLUMNS,
    .reach = PYNN_REACH_ROW,
    .reads_features = true,
    .draws_weights = true,
    .options_nbytes = options_nbytes,
    .keep_options = keep_options,
    .place = place,
    .initialize = initialize,
    .is_fitted = is_fitted,
    .forward = forward,
    .cut = cut,
    .accumulate = accumulate,
};
