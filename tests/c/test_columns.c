/* test_columns.c: the columns of a table against their formulas, on good codes and on bad ones. */
#include <float.h>
#include <limits.h>
#include <math.h>

#include "helpers.h"
#include "internal.h"

enum { ROWS = 70, WIDE = 300, COLUMNS = 5, WIDTH = 2 + 3 + 70 + 3, CLASSES = 3 };
enum { FIRST = 4 * 3, SECOND = WIDE * 70, OWN = 4 + FIRST + SECOND };
enum { COUNT = OWN + WIDTH * CLASSES + CLASSES };

/* A number, a code of a few and one of many, a one-hot code, and a number again. */
static const pynn_column columns[COLUMNS] = {
    {PYNN_COLUMN_NUMBER, 0, 1},  {PYNN_COLUMN_EMBEDDING, 4, 3}, {PYNN_COLUMN_EMBEDDING, WIDE, 70},
    {PYNN_COLUMN_ONE_HOT, 4, 3}, {PYNN_COLUMN_NUMBER, 0, 1},
};
static const pynn_layer layers[] = {{.kind = PYNN_COLUMNS, .columns = {columns}}, HE(CLASSES)};

static float x[ROWS * COLUMNS], parameters[COUNT], gradients[COUNT], y[ROWS * WIDTH], dy[ROWS * WIDTH];
static int32_t labels[ROWS];
static const pynn_data data = {
    .features = x, .feature_type = PYNN_FEATURES_FLOAT32, .rows = ROWS, .labels = labels};

static void fill(void) {
    fill_labels(ROWS, CLASSES, labels);
    for (size_t n = 0; n < ROWS; n++) {
        const float row[COLUMNS] = {(float)n, (float)(n * n % 4), (float)(n * 37 % WIDE),
                                    (float)(n * 3 % 4), n % 9 == 0 ? NAN : -(float)n};
        memcpy(x + n * COLUMNS, row, sizeof row);
    }
    /* rows with the same code far from each other, in the two bytes of a code */
    x[3 * COLUMNS + 2] = x[60 * COLUMNS + 2] = x[61 * COLUMNS + 2] = WIDE - 1;
    x[4 * COLUMNS + 2] = WIDE - 1 - 256;
}

static const float bad[] = {NAN, -1.0f, -FLT_MAX, FLT_MAX, 0.5f, (float)WIDE, 4294967296.0f};

static pynn_network *create(void) {
    pynn_network *network = create_network(COLUMNS, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    CHECK_EQ(pynn_network_parameter_count(network), COUNT);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    return network;
}

static void set_scales(void) {
    const float means_and_scales[] = {30.0f, -20.0f, 4.0f, 8.0f};
    memcpy(parameters, means_and_scales, sizeof means_and_scales);
}

/* The part of a row of y that a code of an embedding gives. */
static const float *row_of(size_t column, size_t code) {
    return parameters + 4 + (column == 1 ? code * 3 : FIRST + code * 70);
}

static size_t code_at(size_t n, size_t column) {
    return (size_t)x[n * COLUMNS + column];
}

/* The row of code 0 begins as zeros, the others are drawn; a network that has no scales computes nothing.
 */
static void test_beginning(void) {
    pynn_network *network = create();
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    pynn_sums sums = {0};
    for (size_t i = 0; i < 4; i++) CHECK(parameters[i] == 0.0f);
    for (size_t column = 1; column < 3; column++) {
        size_t size = columns[column].size, width = columns[column].width;
        double squares = 0.0;
        for (size_t i = 0; i < width; i++) CHECK(row_of(column, 0)[i] == 0.0f);
        for (size_t i = width; i < size * width; i++)
            squares += pow((double)row_of(column, 0)[i], 2.0) / (double)(size - 1);
        CHECK(squares > 0.5 && squares < 2.0); /* the mean square of the norm of a row */
    }
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, parameters, &sums), PYNN_NOT_FITTED);
    parameters[2] = 1.0f;
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, parameters, &sums), PYNN_NOT_FITTED);
    set_scales();
    double errors[2 * CLASSES] = {42.0}; /* classes have none, so that it stays as it is */
    sums.errors = errors;
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, parameters, &sums), PYNN_OK);
    CHECK(errors[0] == 42.0 && errors[1] == 0.0);
    destroy(workspace, network);
}

/* Y of all columns. */
static void test_forward(void) {
    pynn_network *network = create();
    set_scales();
    pynn_workspace *workspace = NULL;
    float out[ROWS * CLASSES];
    CHECK_EQ(pynn_workspace_create_keeping(NULL, network, NULL, ROWS, &workspace), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, parameters, PYNN_LOGITS, out), PYNN_OK);
    CHECK_EQ(pynn_workspace_read(workspace, 0, PYNN_VALUE_OUTPUTS, y), PYNN_OK);
    for (size_t n = 0; n < ROWS; n++) {
        const float *row = y + n * WIDTH;
        CHECK(row[0] == ((float)n - 30.0f) / 4.0f);
        CHECK(memcmp(row + 1, row_of(1, code_at(n, 1)), 3 * sizeof(float)) == 0);
        CHECK(memcmp(row + 4, row_of(2, code_at(n, 2)), 70 * sizeof(float)) == 0);
        for (size_t i = 0; i < 3; i++) CHECK(row[74 + i] == (code_at(n, 3) == i + 1 ? 1.0f : 0.0f));
        CHECK(row[77] == (n % 9 == 0 ? 0.0f : (20.0f - (float)n) / 8.0f));
    }
    destroy(workspace, network);
}

/* What is no code counts as 0: nothing else is read, and no other row gets a gradient. */
static void test_bad_codes(void) {
    pynn_network *network = create();
    set_scales();
    pynn_workspace *workspace = create_workspace(network, NULL, 1);
    for (size_t column = 1; column < 4; column++) {
        float kept = x[column], zero[CLASSES], out[CLASSES];
        static float of_zero[COUNT];
        pynn_sums sums = {0};
        x[column] = 0.0f;
        CHECK_EQ(pynn_predict(workspace, &data, 0, 1, parameters, PYNN_LOGITS, zero), PYNN_OK);
        CHECK_EQ(pynn_gradient(workspace, &data, NULL, 1, NULL, parameters, of_zero, &sums), PYNN_OK);
        for (size_t b = 0; b < COUNT_OF(bad); b++) {
            x[column] = bad[b];
            CHECK_EQ(pynn_predict(workspace, &data, 0, 1, parameters, PYNN_LOGITS, out), PYNN_OK);
            CHECK(memcmp(out, zero, sizeof out) == 0);
            CHECK_EQ(pynn_gradient(workspace, &data, NULL, 1, NULL, parameters, gradients, &sums), PYNN_OK);
            CHECK(memcmp(gradients, of_zero, sizeof of_zero) == 0);
        }
        x[column] = INFINITY;
        CHECK_EQ(pynn_predict(workspace, &data, 0, 1, parameters, PYNN_LOGITS, out), PYNN_NOT_FINITE);
        x[column] = kept;
    }
    destroy(workspace, network);
}

/* T = alpha dP + beta T against a sum in double, from any dY. */
static void test_accumulate(float beta) {
    pynn_network *network = create();
    static uint32_t scratch[ROWS * 2];
    static float target[OWN];
    static double sums[OWN];
    const pynn_placed_layer *at = &network->layers[0];
    const pynn_layer_call call = {.layer = at, .rows = ROWS, .x = x, .dy = dy, .scratch = (float *)scratch};
    const pynn_target out = {-0.5f, beta, target};
    pynn_random_normal(1, 1, 0, ROWS * WIDTH, 0.1f, 1.0f, dy);
    for (size_t i = 0; i < OWN; i++) {
        target[i] = beta == 0.0f ? NAN : 2.0f;
        sums[i] = 0.0;
    }
    for (size_t n = 0; n < ROWS; n++) {
        const float *row = dy + n * WIDTH;
        for (size_t i = 0; i < 3; i++) sums[4 + code_at(n, 1) * 3 + i] += (double)row[1 + i];
        for (size_t i = 0; i < 70; i++) sums[4 + FIRST + code_at(n, 2) * 70 + i] += (double)row[4 + i];
    }
    const pynn_grid grid = at->type->cut(&call);
    CHECK_EQ(pynn_grid_count(&grid), 3);
    for (size_t t = 0; t < 3; t++) at->type->accumulate(&call, t, &out);
    for (size_t i = 0; i < OWN; i++) {
        double right = -0.5 * sums[i] + (beta == 0.0f ? 0.0 : 2.0 * (double)beta);
        CHECK(fabs((double)target[i] - right) <= 1e-6 * (1.0 + fabs(right)));
    }
    pynn_network_destroy(network);
}

/* A network without embeddings trains what is above; one of codes alone needs no scale. */
static void test_kinds_alone(pynn_column column, size_t own) {
    const pynn_layer chain[] = {{.kind = PYNN_COLUMNS, .columns = {&column}}, HE(CLASSES)};
    pynn_network *network = create_network(1, chain, 2, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, 4);
    float p[64], old[64];
    pynn_sums sums = {0};
    const pynn_optimizer sgd = SGD(0.5);
    CHECK_EQ(pynn_network_initialize(network, 1, p), PYNN_OK);
    bool is_number = column.kind == PYNN_COLUMN_NUMBER;
    if (is_number) p[1] = 2.0f;
    memcpy(old, p, sizeof old);
    size_t count = pynn_network_parameter_count(network);
    CHECK_EQ(count, own + column.width * CLASSES + CLASSES);
    static const float values[] = {1.0f, 2.0f, 3.0f, 1.0f};
    const pynn_data some = {
        .features = values, .feature_type = PYNN_FEATURES_FLOAT32, .rows = 4, .labels = labels};
    CHECK_EQ(pynn_train(workspace, &some, NULL, 4, 4, 0, 1, &sgd, NULL, p, &sums), PYNN_OK);
    if (is_number) CHECK(memcmp(p, old, own * sizeof(float)) == 0);
    CHECK(memcmp(p + own, old + own, (count - own) * sizeof(float)) != 0);
    destroy(workspace, network);
}

static void test_arguments(void) {
    static const pynn_column wrong[] = {
        {0, 0, 1},
        {PYNN_COLUMN_NUMBER, 2, 1},
        {PYNN_COLUMN_NUMBER, 0, 2},
        {PYNN_COLUMN_EMBEDDING, 1, 1},
        {PYNN_COLUMN_EMBEDDING, 2, 0},
        {PYNN_COLUMN_EMBEDDING, (1 << 24) + 1, 1},
        {PYNN_COLUMN_ONE_HOT, 1, 0},
        {PYNN_COLUMN_ONE_HOT, 3, 3},
    };
    const pynn_loss loss = SOFTMAX_CROSS_ENTROPY;
    pynn_network *network;
    for (size_t w = 0; w < COUNT_OF(wrong); w++) {
        const pynn_layer chain[] = {{.kind = PYNN_COLUMNS, .columns = {&wrong[w]}}, HE(CLASSES)};
        CHECK_EQ(pynn_network_create(NULL, 1, chain, 2, &loss, &network), PYNN_INVALID_ARGUMENT);
    }
    static const pynn_column huge[] = {{PYNN_COLUMN_EMBEDDING, 1 << 24, SIZE_MAX / 4},
                                       {PYNN_COLUMN_EMBEDDING, 2, SIZE_MAX / 2}};
    const pynn_layer overflowing[] = {{.kind = PYNN_COLUMNS, .columns = {huge}}, HE(CLASSES)};
    CHECK_EQ(pynn_network_create(NULL, 1, overflowing, 2, &loss, &network), PYNN_SIZE_OVERFLOW);
    const pynn_layer sum[] = {{.kind = PYNN_COLUMNS, .columns = {huge + 1}}, HE(CLASSES)};
    CHECK_EQ(pynn_network_create(NULL, 1, sum, 2, &loss, &network), PYNN_SIZE_OVERFLOW);
    /* Each fits alone; together the tables do not, or not even the outputs. */
    static const pynn_column two[] = {{PYNN_COLUMN_EMBEDDING, 2, SIZE_MAX / 2},
                                      {PYNN_COLUMN_EMBEDDING, 2, SIZE_MAX / 2}};
    static const pynn_column wider[] = {{PYNN_COLUMN_EMBEDDING, 2, SIZE_MAX / 2},
                                        {PYNN_COLUMN_EMBEDDING, 2, SIZE_MAX / 2 + 2}};
    const pynn_layer tables[] = {{.kind = PYNN_COLUMNS, .columns = {two}}, HE(CLASSES)};
    CHECK_EQ(pynn_network_create(NULL, 2, tables, 2, &loss, &network), PYNN_SIZE_OVERFLOW);
    const pynn_layer outputs[] = {{.kind = PYNN_COLUMNS, .columns = {wider}}, HE(CLASSES)};
    CHECK_EQ(pynn_network_create(NULL, 2, outputs, 2, &loss, &network), PYNN_SIZE_OVERFLOW);
    /* The bytes of so many layers fit, but not beside those of the columns: no layer but the first is read.
     */
    const size_t layer_nbytes = sizeof(pynn_placed_layer) + sizeof(pynn_stage) +
                                PYNN_MAX_LAYER_VIEWS * sizeof(pynn_parameter_view) +
                                4 * sizeof(pynn_pass_step);
    CHECK_EQ(pynn_network_create(NULL, INT_MAX, tables, SIZE_MAX / layer_nbytes, &loss, &network),
             PYNN_SIZE_OVERFLOW);
    const pynn_layer none[] = {{.kind = PYNN_COLUMNS, .columns = {NULL}}, HE(CLASSES)};
    CHECK_EQ(pynn_network_create(NULL, 1, none, 2, &loss, &network), PYNN_INVALID_ARGUMENT);
    const pynn_layer second[] = {HE(COLUMNS), layers[0], HE(CLASSES)};
    CHECK_EQ(pynn_network_create(NULL, 1, second, 3, &loss, &network), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_network_create(NULL, COLUMNS, layers, 1, &loss, &network), PYNN_NO_DENSE_LAYER);
}

/* The network keeps a copy of the columns. */
static void test_copy(void) {
    pynn_column own[COLUMNS];
    memcpy(own, columns, sizeof own);
    const pynn_layer chain[] = {{.kind = PYNN_COLUMNS, .columns = {own}}, HE(CLASSES)};
    pynn_network *network = create_network(COLUMNS, chain, 2, SOFTMAX_CROSS_ENTROPY);
    memset(own, 0, sizeof own);
    CHECK(memcmp(network->layers[0].layer.columns.columns, columns, sizeof own) == 0);
    pynn_network_destroy(network);
}

int main(void) {
    fill();
    test_beginning();
    test_forward();
    test_bad_codes();
    test_accumulate(0.0f);
    test_accumulate(1.0f);
    test_accumulate(0.5f);
    test_kinds_alone((pynn_column){PYNN_COLUMN_NUMBER, 0, 1}, 2);
    test_kinds_alone((pynn_column){PYNN_COLUMN_EMBEDDING, 4, 2}, 8);
    test_kinds_alone((pynn_column){PYNN_COLUMN_ONE_HOT, 4, 3}, 0);
    test_arguments();
    test_copy();
    return check_failures();
}
