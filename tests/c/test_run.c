/* test_run.c: gradients, training, evaluation and prediction: by hand, and compared with each other where
 * two calls must give the same. All of it by gemm and by sparse rows. test_gradient.c has a naive
 * implementation, test_arguments.c the arguments that are refused. */
#include <stdint.h>

#include "helpers.h"
#include "internal.h"

enum {
    ROWS = 150,
    INPUTS = 6,
    CLASSES = 4,
    PARAMETERS = INPUTS * 40 + 40 + 40 * 30 + 30 + 30 * CLASSES + CLASSES
};

/* ---------------------------------------------------------------- by hand */

/* One dense layer, 2 -> 2, with W = (a 0; 0 a), b = (0, a) where a = log 3, and two examples of class 0:
 *     x = (2, 0)    z = (2a, a)     p = (9, 3) / 12 = (3/4, 1/4)     loss = log 4/3, right
 *     x = (0, 1)    z = (0, 2a)     p = (1, 9) / 10                  loss = log 10, wrong
 * The gradient of the mean loss: dz = (p - onehot) / 2,
 *     dz = (-1/8, 1/8; -9/20, 9/20)
 *     dW = X^T dz = (2 * -1/8, 2 * 1/8; -9/20, 9/20) = (-1/4, 1/4; -9/20, 9/20)
 *     db = column sums of dz = (-23/40, 23/40) */
static const double hand_gradient[6] = {-0.25, 0.25, -0.45, 0.45, -0.575, 0.575};

static void test_by_hand(pynn_path path) {
    const pynn_layer layer = XAVIER(2);
    const float a = logf(3.0f), features[4] = {2, 0, 0, 1};
    const float start[6] = {a, 0, 0, a, 0, a};
    const int32_t labels[2] = {0, 0};
    const pynn_data data = {features, PYNN_FEATURES_FLOAT32, 2, labels, path};
    const double loss = log(4.0 / 3.0) + log(10.0);
    pynn_network *network = create_network(2, &layer, 1, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, 2);
    float gradients[7], parameters[6], out[4];
    for (size_t i = 0; i < 7; i++) {
        gradients[i] = NAN; /* overwritten, except the last one */
    }
    pynn_sums sums = {100.0, 10, 20}; /* added to */

    CHECK_EQ(pynn_gradient(workspace, &data, NULL, 2, NULL, start, gradients, &sums), PYNN_OK);
    for (size_t i = 0; i < 6; i++) {
        CHECK_NEAR(gradients[i], hand_gradient[i], 1e-6);
    }
    CHECK(isnan(gradients[6]));
    CHECK_NEAR(sums.loss, 100.0 + loss, 1e-6);
    CHECK_EQ(sums.correct, 11);
    CHECK_EQ(sums.rows, 22);

    memcpy(parameters, start, sizeof start);
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, 2, 0, 1, &(pynn_optimizer)SGD(2.0f), NULL,
                        parameters, &sums),
             PYNN_OK);
    for (size_t i = 0; i < 6; i++) {
        CHECK_NEAR(parameters[i], (double)start[i] - 2.0 * hand_gradient[i], 1e-6);
    }
    CHECK_NEAR(sums.loss, 100.0 + 2 * loss, 1e-6); /* from before the update */
    CHECK_EQ(sums.correct, 12);
    CHECK_EQ(sums.rows, 24);

    CHECK_EQ(pynn_evaluate(workspace, &data, 1, 2, start, &sums), PYNN_OK);
    CHECK_NEAR(sums.loss, 100.0 + 2 * loss + log(10.0), 1e-6);
    CHECK_EQ(sums.correct, 12);
    CHECK_EQ(sums.rows, 25);

    const double logits[4] = {2 * (double)a, (double)a, 0, 2 * (double)a};
    const double probabilities[4] = {0.75, 0.25, 0.1, 0.9};
    CHECK_EQ(pynn_predict(workspace, &data, 0, 2, start, PYNN_LOGITS, out), PYNN_OK);
    for (size_t i = 0; i < 4; i++) {
        CHECK_NEAR(out[i], logits[i], 1e-6);
    }
    CHECK_EQ(pynn_predict(workspace, &data, 0, 2, start, PYNN_PROBABILITIES, out), PYNN_OK);
    for (size_t i = 0; i < 4; i++) {
        CHECK_NEAR(out[i], probabilities[i], 1e-6);
    }
    destroy(workspace, network);
}

/* N rows of zeros in class 0, and both biases are 1. A row's share of the bias gradient is -1/2 / N, and of
 * the update 1/2 * 1e-4 / 8192 = 6e-9: that is lost if it is added to 1 by itself. */
static void test_large_batch(pynn_path path) {
    enum { N = 8192 };
    const pynn_layer layer = XAVIER(2);
    static float features[N];
    static int32_t labels[N];
    const pynn_data data = {features, PYNN_FEATURES_FLOAT32, N, labels, path};
    pynn_network *network = create_network(1, &layer, 1, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, N);
    float parameters[4] = {0, 0, 1, 1};
    pynn_sums sums = {0};
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, N, 0, 1, &(pynn_optimizer)SGD(1e-4f), NULL,
                        parameters, &sums),
             PYNN_OK);
    CHECK_NEAR(parameters[2], 1.00005, 1.2e-7);
    CHECK_NEAR(parameters[3], 0.99995, 1.2e-7);
    destroy(workspace, network);
}

/* Features in [-1, 1), labels, and a permutation of the rows. */
static float features[ROWS * INPUTS];
static int32_t labels[ROWS];
static uint32_t order[ROWS];
static float parameters[PARAMETERS], gradients[PARAMETERS];

static pynn_data some_data(pynn_path path) {
    pynn_random_uniform(5, 0, 0, ROWS * INPUTS, -1.0f, 1.0f, features);
    fill_labels(ROWS, CLASSES, labels);
    pynn_random_permutation(5, 1, ROWS, order);
    return (pynn_data){features, PYNN_FEATURES_FLOAT32, ROWS, labels, path};
}

/* ---------------------------------------------------------------- one thing in two ways */

static const pynn_layer deep[] = {XAVIER(40), RELU, TANH, XAVIER(30), SIGMOID, XAVIER(CLASSES)};

/* The result of training: everything that must be equal to the bit. */
typedef struct outcome {
    float parameters[PARAMETERS];
    pynn_sums sums;
} outcome;

/* How to train an epoch: `at_once` steps in a call. */
typedef struct recipe {
    pynn_data data;
    const uint32_t *order;
    size_t batch_size;
    size_t at_once;
    size_t threads;
    size_t max_batch;
} recipe;

static outcome train(recipe how) {
    static outcome result;
    pynn_team *team = how.threads > 0 ? create_team(how.threads) : NULL;
    pynn_network *network = create_network(INPUTS, deep, COUNT_OF(deep), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, team, how.max_batch);
    const size_t steps = (how.data.rows + how.batch_size - 1) / how.batch_size;
    memset(&result, 0, sizeof result);
    CHECK_EQ(pynn_network_parameter_count(network), PARAMETERS);
    CHECK_EQ(pynn_network_initialize(network, 3, result.parameters), PYNN_OK);
    for (size_t s = 0; s < steps; s += how.at_once) {
        const size_t last = s + how.at_once < steps ? s + how.at_once : steps;
        CHECK_EQ(pynn_train(workspace, &how.data, how.order, how.data.rows, how.batch_size, s, last,
                            &(pynn_optimizer)SGD(0.5f), NULL, result.parameters, &result.sums),
                 PYNN_OK);
    }
    CHECK_EQ(result.sums.rows, how.data.rows);
    destroy(workspace, network);
    pynn_team_destroy(team);
    return result;
}

static void check_same(recipe one, recipe other) {
    const outcome a = train(one), b = train(other);
    CHECK_BYTES(&a, &b, sizeof a);
}

static void test_training_in_two_ways(pynn_path path) {
    const recipe usual = {some_data(path), order, 40, 4, 0, 40}; /* 40, 40, 40 and 30 rows */
    recipe other = usual;
    CHECK(train(usual).sums.loss > 0);

    other.at_once = 1; /* one step a call */
    check_same(usual, other);
    other = usual;
    other.max_batch = 100; /* a workspace that is larger than needed */
    check_same(usual, other);
    for (size_t threads = 1; threads <= 4; threads++) {
        other = usual;
        other.threads = threads;
        check_same(usual, other);
    }

    recipe in_order = usual;
    uint32_t identity[ROWS];
    for (uint32_t n = 0; n < ROWS; n++) {
        identity[n] = n;
    }
    in_order.order = NULL;
    other.order = identity;
    check_same(in_order, other);
    const outcome a = train(usual), b = train(in_order);
    CHECK(memcmp(&a, &b, sizeof a) != 0);
}

/* A step uses the mean gradient over its rows; the last step has the rows that are left. */
static void test_steps_are_gradients(pynn_path path) {
    const recipe how = {some_data(path), order, 40, 4, 0, 40};
    outcome expected, trained = train(how);
    pynn_network *network = create_network(INPUTS, deep, COUNT_OF(deep), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, 40);
    memset(&expected, 0, sizeof expected);
    CHECK_EQ(pynn_network_initialize(network, 3, expected.parameters), PYNN_OK);
    for (size_t first = 0; first < ROWS; first += 40) {
        const size_t count = first + 40 < ROWS ? 40 : ROWS - first;
        CHECK_EQ(pynn_gradient(workspace, &how.data, order + first, count, NULL, expected.parameters,
                               gradients, &expected.sums),
                 PYNN_OK);
        for (size_t p = 0; p < PARAMETERS; p++) {
            expected.parameters[p] -= 0.5f * gradients[p];
        }
    }
    for (size_t p = 0; p < PARAMETERS; p++) {
        if (!CHECK_NEAR(trained.parameters[p], expected.parameters[p], 1e-6)) break;
    }
    CHECK_NEAR(trained.sums.loss, expected.sums.loss, 1e-5 * expected.sums.loss);
    CHECK_EQ(trained.sums.correct, expected.sums.correct);
    destroy(workspace, network);
}

/* uint8 is read as v / 255, to the bit, for all 256 values. */
static void test_uint8(void) {
    enum { COUNT = 256 };
    const pynn_layer layer = XAVIER(CLASSES);
    uint8_t bytes[COUNT];
    float floats[COUNT], out[2][CLASSES];
    int32_t label = 2;
    for (size_t i = 0; i < COUNT; i++) {
        bytes[i] = (uint8_t)i;
        floats[i] = (float)i / 255.0f;
    }
    const pynn_data data[2] = {{bytes, PYNN_FEATURES_UINT8, 1, &label, PYNN_PATH_DENSE},
                               {floats, PYNN_FEATURES_FLOAT32, 1, &label, PYNN_PATH_DENSE}};
    pynn_network *network = create_network(COUNT, &layer, 1, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, 1);
    CHECK_EQ(pynn_network_initialize(network, 1, parameters), PYNN_OK);
    for (int k = 0; k < 2; k++) {
        CHECK_EQ(pynn_predict(workspace, &data[k], 0, 1, parameters, PYNN_LOGITS, out[k]), PYNN_OK);
        CHECK_BYTES(workspace->inputs, floats, sizeof floats);
    }
    CHECK_BYTES(out[0], out[1], sizeof out[0]);
    destroy(workspace, network);
}

/* ---------------------------------------------------------------- evaluation and prediction */

/* Any range of rows, with a workspace of any size, gives the same as all rows. Nothing else is written, and
 * prediction needs no labels. */
static void test_use_in_pieces(pynn_path path) {
    static const size_t batches[] = {1, 7, 32, 33, 64, 2 * ROWS};
    static const size_t ranges[][2] = {{0, ROWS}, {0, 1}, {31, 97}, {ROWS - 1, ROWS}, {5, 5}, {0, 0}};
    pynn_data data = some_data(path);
    static float whole[ROWS * CLASSES], out[ROWS * CLASSES + 1];
    pynn_network *network = create_network(INPUTS, deep, COUNT_OF(deep), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, parameters, PYNN_LOGITS, whole), PYNN_OK);
    pynn_workspace_destroy(workspace);
    for (size_t b = 0; b < COUNT_OF(batches); b++) {
        workspace = create_workspace(network, NULL, batches[b]);
        for (size_t r = 0; r < COUNT_OF(ranges); r++) {
            const size_t first = ranges[r][0], last = ranges[r][1], count = (last - first) * CLASSES;
            const float *z = whole + first * CLASSES;
            pynn_sums sums = {1.0, 2, 3}, added;
            float deltas[ROWS * CLASSES];
            const pynn_loss loss = SOFTMAX_CROSS_ENTROPY;
            const pynn_loss_rows rows = {last - first, CLASSES, z,    labels + first,
                                         NULL,         NULL,    0.0f, deltas};
            pynn_loss_type_of(loss.kind)->compute(&loss, &rows, &added);
            data.labels = labels;
            CHECK_EQ(pynn_evaluate(workspace, &data, first, last, parameters, &sums), PYNN_OK);
            CHECK_NEAR(sums.loss, 1.0 + added.loss, 1e-5);
            CHECK_EQ(sums.correct, 2 + added.correct);
            CHECK_EQ(sums.rows, 3 + added.rows);
            out[count] = 42.0f;
            data.labels = NULL;
            CHECK_EQ(pynn_predict(workspace, &data, first, last, parameters, PYNN_LOGITS, out), PYNN_OK);
            for (size_t i = 0; i < count; i++) {
                CHECK_NEAR(out[i], z[i], 1e-6);
            }
            CHECK_NEAR(out[count], 42.0, 0.0);
        }
        pynn_workspace_destroy(workspace);
    }
    pynn_network_destroy(network);
}

/* With threads evaluation and prediction give the same bits, too. */
static void test_use_with_threads(pynn_path path) {
    const pynn_data data = some_data(path);
    static float out[2][ROWS * CLASSES];
    pynn_sums sums[2] = {{0}};
    pynn_team *team = create_team(3);
    pynn_network *network = create_network(INPUTS, deep, COUNT_OF(deep), SOFTMAX_CROSS_ENTROPY);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    for (int k = 0; k < 2; k++) {
        pynn_workspace *workspace = create_workspace(network, k == 0 ? NULL : team, 100);
        CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, parameters, &sums[k]), PYNN_OK);
        CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, parameters, PYNN_PROBABILITIES, out[k]), PYNN_OK);
        pynn_workspace_destroy(workspace);
    }
    CHECK_BYTES(&sums[0], &sums[1], sizeof sums[0]);
    CHECK_BYTES(out[0], out[1], sizeof out[0]);
    pynn_network_destroy(network);
    pynn_team_destroy(team);
}

int main(void) {
    for (int k = 0; k < 2; k++) {
        pynn_path path = k == 0 ? PYNN_PATH_DENSE : PYNN_PATH_SPARSE;
        test_by_hand(path);
        test_large_batch(path);
        test_training_in_two_ways(path);
        test_steps_are_gradients(path);
        test_use_in_pieces(path);
        test_use_with_threads(path);
    }
    test_uint8();
    return check_failures();
}
