/* test_paths.c: the first layer by sparse rows and by gemm gives the same gradients, training, evaluation
 * and prediction, except for rounding; and how PYNN_PATH_AUTO chooses. There is no relu here: where its
 * input is near 0, rounding would decide whether an example takes part in the gradient. */
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

enum { ROWS = 600, MOST_INPUTS = 4000, MOST_PARAMETERS = 900000, MOST_CLASSES = 20 };

/* The data. */
static uint8_t bytes[ROWS * 200];
static float floats[ROWS * 200];
static int32_t labels[ROWS];
static uint32_t order[ROWS];

/* The results of all four functions. */
typedef struct outcome {
    float gradients[MOST_PARAMETERS];
    float trained[MOST_PARAMETERS];
    float logits[ROWS * MOST_CLASSES];
    float probabilities[ROWS * MOST_CLASSES];
    pynn_sums gradient_sums;
    pynn_sums train_sums;
    pynn_sums evaluate_sums;
    size_t parameter_count;
    size_t classes;
} outcome;

static outcome by_gemm, by_sparse, by_itself;

/* A network and its data. `percent` of a hundred features are not zero. */
typedef struct setup {
    pynn_layer layers[5];
    size_t layer_count;
    size_t inputs;
    size_t rows;
    size_t batch_size;
    pynn_feature_type type;
    float percent;
} setup;

static pynn_data some_data(const setup *with, pynn_path path, size_t classes) {
    size_t count = with->rows * with->inputs;
    CHECK(count <= COUNT_OF(floats));
    pynn_random_uniform(5, 0, 0, count, -100.0f, 100.0f, floats);
    for (size_t i = 0; i < count; i++) {
        bool is_zero = fabsf(floats[i]) >= with->percent;
        bytes[i] = is_zero ? 0 : (uint8_t)(1 + i % 255);
        floats[i] = is_zero ? 0.0f : floats[i] / with->percent;
    }
    fill_labels(with->rows, classes, labels);
    pynn_random_permutation(5, 1, (uint32_t)with->rows, order);
    return (pynn_data){with->type == PYNN_FEATURES_UINT8 ? (void *)bytes : floats, with->type, with->rows,
                       labels, path};
}

/* Compute the gradient of one batch, train an epoch, and evaluate and predict with the initial
 * parameters. */
static void run(const setup *with, pynn_path path, outcome *out) {
    static float start[MOST_PARAMETERS];
    size_t batch = with->batch_size, steps = (with->rows + batch - 1) / batch;
    pynn_network *network =
        create_network(with->inputs, with->layers, with->layer_count, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, batch);
    memset(out, 0, sizeof *out);
    out->parameter_count = pynn_network_parameter_count(network);
    out->classes = pynn_network_outputs(network);
    if (!CHECK(out->parameter_count <= MOST_PARAMETERS && out->classes <= MOST_CLASSES)) exit(1);
    const pynn_data data = some_data(with, path, out->classes);
    CHECK_EQ(pynn_network_initialize(network, 3, start), PYNN_OK);
    memcpy(out->trained, start, sizeof start);
    memset(out->gradients, 0xFF, sizeof out->gradients); /* NaN: overwritten */
    CHECK_EQ(
        pynn_gradient(workspace, &data, order, batch, NULL, start, out->gradients, &out->gradient_sums),
        PYNN_OK);
    CHECK_EQ(pynn_train(workspace, &data, order, data.rows, batch, 0, steps, &(pynn_optimizer)SGD(0.05f),
                        NULL, out->trained, &out->train_sums),
             PYNN_OK);
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, with->rows, start, &out->evaluate_sums), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, with->rows, start, PYNN_LOGITS, out->logits), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, with->rows, start, PYNN_PROBABILITIES, out->probabilities),
             PYNN_OK);
    destroy(workspace, network);
}

/* The norm of a - b is small against the norm of b, and b is not 0. */
static bool check_close(const char *name, size_t count, const float *a, const float *b, double tolerance) {
    double difference = 0.0, length = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        length += (double)b[i] * (double)b[i];
    }
    bool holds = CHECK(length > 1e-12) && CHECK_NEAR(sqrt(difference / length), 0.0, tolerance);
    if (!holds) printf("    %s\n", name);
    return holds;
}

static bool check_sums(const pynn_sums *a, const pynn_sums *b, size_t rows) {
    return CHECK_NEAR(a->loss, b->loss, 1e-5 * b->loss) && CHECK_EQ(a->rows, rows) &&
           CHECK_EQ(b->rows, rows) &&
           CHECK_NEAR(a->correct, b->correct, 2); /* rounding may decide between two logits */
}

static void check_setup(const setup *with) {
    run(with, PYNN_PATH_DENSE, &by_gemm);
    run(with, PYNN_PATH_SPARSE, &by_sparse);
    const outcome *a = &by_sparse, *b = &by_gemm;
    size_t outputs = with->rows * a->classes;
    bool holds = check_close("gradients", a->parameter_count, a->gradients, b->gradients, 1e-6) &&
                 check_close("parameters", a->parameter_count, a->trained, b->trained, 1e-6) &&
                 check_close("logits", outputs, a->logits, b->logits, 1e-6) &&
                 check_close("probabilities", outputs, a->probabilities, b->probabilities, 1e-6) &&
                 check_sums(&a->gradient_sums, &b->gradient_sums, with->batch_size) &&
                 check_sums(&a->train_sums, &b->train_sums, with->rows) &&
                 check_sums(&a->evaluate_sums, &b->evaluate_sums, with->rows);
    if (!holds)
        printf("    %zu inputs, %zu layers, first of %zu outputs, %zu rows, batches of %zu\n", with->inputs,
               with->layer_count, width_of(&with->layers[0]), with->rows, with->batch_size);
}

/* ---------------------------------------------------------------- one as the other */

static const struct {
    pynn_layer layers[5];
    size_t layer_count;
    size_t inputs;
} networks[] = {
    {{XAVIER(3)}, 1, 65},
    {{XAVIER(1), TANH, XAVIER(2)}, 3, 7},
    {{XAVIER(7), SIGMOID, XAVIER(5)}, 3, 1},
    {{XAVIER(33), TANH, SIGMOID, XAVIER(5)}, 4, 129},
    {{XAVIER(150), TANH, XAVIER(17), SIGMOID, XAVIER(4)}, 5, 40},
};

/* Batches of up to 600 rows, which are more than two slices of the gradient. */
static void test_paths(void) {
    static const size_t batches[][2] = {{1, 3}, {7, 24}, {128, 150}, {300, 301}, {ROWS, ROWS}};
    static const float percents[] = {20.0f, 90.0f, 2.0f};
    for (size_t k = 0; k < COUNT_OF(networks); k++) {
        for (size_t b = 0; b < COUNT_OF(batches); b++) {
            setup with = {.layer_count = networks[k].layer_count,
                          .inputs = networks[k].inputs,
                          .rows = batches[b][1],
                          .batch_size = batches[b][0],
                          .type = (k + b) % 2 ? PYNN_FEATURES_UINT8 : PYNN_FEATURES_FLOAT32,
                          .percent = percents[(k + b) % COUNT_OF(percents)]};
            memcpy(with.layers, networks[k].layers, sizeof with.layers);
            check_setup(&with);
        }
    }
}

/* A W of more than half a million floats is too large for the cache of one core, so it is cut into
 * tiles. */
static void test_large(void) {
    const setup with = {{XAVIER(201), TANH, XAVIER(4)}, 3, MOST_INPUTS, 9, 8, PYNN_FEATURES_UINT8, 5.0f};
    check_setup(&with);
}

/* ---------------------------------------------------------------- which of them */

static bool is_same(const outcome *a, const outcome *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* The path is chosen by the density of the data and the width of the layer, and is the same in all calls.
 * The outcomes are compared to the bit, and the two paths differ in some of them. */
static void check_choice(float percent, size_t width, pynn_feature_type type, const outcome *expected) {
    const setup with = {{XAVIER(width), TANH, XAVIER(4)}, 3, 129, 200, 64, type, percent};
    run(&with, PYNN_PATH_DENSE, &by_gemm);
    run(&with, PYNN_PATH_SPARSE, &by_sparse);
    run(&with, PYNN_PATH_AUTO, &by_itself);
    CHECK(!is_same(&by_gemm, &by_sparse));
    CHECK(memcmp(by_gemm.gradients, by_sparse.gradients, sizeof by_gemm.gradients) != 0);
    CHECK(memcmp(by_gemm.logits, by_sparse.logits, sizeof by_gemm.logits) != 0);
    if (!CHECK(is_same(&by_itself, expected))) printf("    %g of a hundred\n", (double)percent);
}

static void test_choice(void) {
    for (int k = 0; k < 2; k++) {
        pynn_feature_type type = k == 0 ? PYNN_FEATURES_UINT8 : PYNN_FEATURES_FLOAT32;
        check_choice(3.0f, 65, type, &by_sparse);
        check_choice(15.0f, 65, type, &by_sparse);
        check_choice(80.0f, 65, type, &by_gemm);
        check_choice(101.0f, 65, type, &by_gemm);
        check_choice(2.0f, 33, type, &by_sparse);
        check_choice(80.0f, 33, type, &by_gemm);
    }
}

/* After an activation zeros cannot be relied on, so if one comes before the first dense layer there is one
 * path only. */
static void test_activation_first(void) {
    setup with = {{SIGMOID, XAVIER(9), TANH, XAVIER(4)}, 4, 30, 200, 64, PYNN_FEATURES_UINT8, 20.0f};
    run(&with, PYNN_PATH_DENSE, &by_gemm);
    run(&with, PYNN_PATH_SPARSE, &by_sparse);
    run(&with, PYNN_PATH_AUTO, &by_itself);
    CHECK(is_same(&by_gemm, &by_sparse) && is_same(&by_gemm, &by_itself));
    check_close("gradients", by_gemm.parameter_count, by_gemm.gradients, by_itself.gradients, 0.0);
}

/* However many rows a call has, calls that begin at multiples of PYNN_ROWS_AT_A_TIME give the same bits as
 * one call. So the path must not depend on the number of rows of a call. The densities are around those at
 * which the path changes. */
static void test_pieces(void) {
    enum { MANY = 8 * PYNN_ROWS_AT_A_TIME, WIDE = 784, CLASSES = 10 };
    static uint8_t pixels[MANY * WIDE];
    static float drawn[MANY * WIDE], whole[MANY * CLASSES], pieces[MANY * CLASSES];
    const pynn_layer layers[] = {XAVIER(32), TANH, XAVIER(CLASSES)};
    const pynn_loss loss = SOFTMAX_CROSS_ENTROPY;
    const pynn_data data = {.features = pixels, .feature_type = PYNN_FEATURES_UINT8, .rows = MANY};
    pynn_network *network = create_network(WIDE, layers, COUNT_OF(layers), loss);
    pynn_workspace *workspace = create_workspace(network, NULL, MANY);
    float *parameters = by_gemm.trained;
    pynn_network_initialize(network, 1, parameters);
    pynn_random_uniform(9, 0, 0, COUNT_OF(drawn), 0.0f, 1.0f, drawn);
    for (float density = 0.14f; density < 0.3f; density += 0.02f) {
        for (size_t i = 0; i < COUNT_OF(pixels); i++) pixels[i] = drawn[i] < density ? 200 : 0;
        CHECK_EQ(pynn_predict(workspace, &data, 0, MANY, parameters, PYNN_LOGITS, whole), PYNN_OK);
        for (size_t n = 0; n < MANY; n += PYNN_ROWS_AT_A_TIME)
            CHECK_EQ(pynn_predict(workspace, &data, n, n + PYNN_ROWS_AT_A_TIME, parameters, PYNN_LOGITS,
                                  pieces + n * CLASSES),
                     PYNN_OK);
        CHECK_BYTES(pieces, whole, sizeof whole);
    }
    destroy(workspace, network);
}

int main(void) {
    test_paths();
    test_large();
    test_choice();
    test_pieces();
    test_activation_first();
    return check_failures();
}
