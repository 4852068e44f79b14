/* test_kept.c: the values that a workspace keeps: they satisfy the equations of their layers, and keeping
 * them changes no result. By gemm and by sparse rows. */
#include <stdint.h>

#include "helpers.h"

enum { ROWS = 7, INPUTS = 20, WIDTH = 6, CLASSES = 3, LAYERS = 8, WIDEST = INPUTS };

static const pynn_layer layers[LAYERS] = {
    XAVIER(WIDTH), GELU, LAYER_NORM(1e-5f), SIGMOID, DROPOUT(0.25f), HE(WIDTH), RELU, HE(CLASSES),
};
enum {
    PARAMETERS = INPUTS * WIDTH + WIDTH + 2 * WIDTH + WIDTH * WIDTH + WIDTH + WIDTH * CLASSES + CLASSES
};

static float features[ROWS * INPUTS];
static const int32_t labels[ROWS] = {0, 1, 2, 0, 1, 2, 0};
static const float example_weights[ROWS] = {1, 2, 0.5f, 1, 1, 0, 3};

/* The values of a layer in a workspace; the test ends if they are not there. */
static const float *read(const pynn_workspace *workspace, size_t layer, pynn_value value, float *out) {
    if (!CHECK_EQ(pynn_workspace_read(workspace, layer, value, out), PYNN_OK)) exit(check_failures());
    return out;
}

/* Every second feature or so is zero, so that sparse rows have something to skip. */
static void fill_features(void) {
    pynn_random_uniform(3, 0, 0, ROWS * INPUTS, -1.0f, 1.0f, features);
    for (size_t i = 0; i < ROWS * INPUTS; i++) {
        if (i % 2 == i % 3 % 2) features[i] = 0.0f;
    }
}

/* Y = X W + b, dX = dY W^T, dW = X^T dY, db = column sums of dY: each value by a loop. */
static void check_dense(const pynn_workspace *workspace, size_t l, size_t inputs, size_t outputs,
                        const float *p, const float *dp) {
    float x[ROWS * WIDEST], y[ROWS * WIDEST], dy[ROWS * WIDEST], dx[ROWS * WIDEST];
    const float *b = p + inputs * outputs, *db = dp + inputs * outputs;
    read(workspace, l, PYNN_VALUE_INPUTS, x);
    read(workspace, l, PYNN_VALUE_OUTPUTS, y);
    read(workspace, l, PYNN_VALUE_OUTPUT_GRADIENTS, dy);
    for (size_t n = 0; n < ROWS; n++) {
        for (size_t o = 0; o < outputs; o++) {
            double sum = b[o];
            for (size_t i = 0; i < inputs; i++) sum += (double)x[n * inputs + i] * p[i * outputs + o];
            CHECK_NEAR(y[n * outputs + o], sum, 1e-5);
        }
    }
    for (size_t o = 0; o < outputs; o++) {
        double column = 0;
        for (size_t n = 0; n < ROWS; n++) column += dy[n * outputs + o];
        CHECK_NEAR(db[o], column, 1e-6);
        for (size_t i = 0; i < inputs; i++) {
            double sum = 0;
            for (size_t n = 0; n < ROWS; n++) sum += (double)x[n * inputs + i] * dy[n * outputs + o];
            CHECK_NEAR(dp[i * outputs + o], sum, 1e-6);
        }
    }
    if (l == 0) return; /* no dX there */
    read(workspace, l, PYNN_VALUE_INPUT_GRADIENTS, dx);
    for (size_t n = 0; n < ROWS; n++) {
        for (size_t i = 0; i < inputs; i++) {
            double sum = 0;
            for (size_t o = 0; o < outputs; o++) sum += (double)dy[n * outputs + o] * p[i * outputs + o];
            CHECK_NEAR(dx[n * inputs + i], sum, 1e-6);
        }
    }
}

/* ReLU, the sigmoid and dropout, value by value. */
static void check_values(const pynn_workspace *workspace, size_t l, const pynn_state *state) {
    float x[ROWS * WIDTH], y[ROWS * WIDTH], dy[ROWS * WIDTH], dx[ROWS * WIDTH], mask[ROWS * WIDTH];
    read(workspace, l, PYNN_VALUE_INPUTS, x);
    read(workspace, l, PYNN_VALUE_OUTPUTS, y);
    read(workspace, l, PYNN_VALUE_OUTPUT_GRADIENTS, dy);
    read(workspace, l, PYNN_VALUE_INPUT_GRADIENTS, dx);
    pynn_dropout_mask(state->seed, state->step, l, 0.25f, 0, ROWS * WIDTH, mask);
    for (size_t i = 0; i < ROWS * WIDTH; i++) {
        switch (layers[l].kind) {
        case PYNN_RELU:
            CHECK(y[i] == (x[i] > 0 ? x[i] : 0));
            CHECK(dx[i] == (x[i] > 0 ? dy[i] : 0));
            break;
        case PYNN_DROPOUT:
            CHECK(y[i] == x[i] * mask[i]);
            CHECK(dx[i] == dy[i] * mask[i]);
            break;
        default:
            CHECK_NEAR(y[i], 1 / (1 + exp(-(double)x[i])), 1e-6);
            CHECK_NEAR(dx[i], (double)dy[i] * y[i] * (1 - y[i]), 1e-7);
        }
    }
}

/* The inputs of each layer are the outputs of the layer before; dX is the dY of the layer before. */
static void check_chain(const pynn_workspace *workspace) {
    float before[ROWS * WIDEST], after[ROWS * WIDEST];
    read(workspace, 0, PYNN_VALUE_INPUTS, after);
    CHECK_EQ(memcmp(after, features, sizeof features), 0);
    for (size_t l = 1; l < LAYERS; l++) {
        read(workspace, l - 1, PYNN_VALUE_OUTPUTS, before);
        CHECK_EQ(memcmp(before, read(workspace, l, PYNN_VALUE_INPUTS, after), ROWS * WIDTH * sizeof(float)),
                 0);
        read(workspace, l - 1, PYNN_VALUE_OUTPUT_GRADIENTS, before);
        read(workspace, l, PYNN_VALUE_INPUT_GRADIENTS, after);
        CHECK_EQ(memcmp(before, after, ROWS * WIDTH * sizeof(float)), 0);
    }
}

/* The losses of the rows add to the loss of the batch; to read them leaves the gradients as they are. */
static void check_loss(const pynn_workspace *workspace, double loss) {
    float losses[ROWS], p[ROWS * CLASSES], dz[ROWS * CLASSES], later[ROWS * CLASSES];
    double sum = 0;
    read(workspace, LAYERS - 1, PYNN_VALUE_OUTPUT_GRADIENTS, dz);
    read(workspace, 0, PYNN_VALUE_LOSSES, losses);
    read(workspace, 0, PYNN_VALUE_PROBABILITIES, p);
    read(workspace, LAYERS - 1, PYNN_VALUE_OUTPUT_GRADIENTS, later);
    CHECK_EQ(memcmp(dz, later, sizeof dz), 0);
    for (size_t n = 0; n < ROWS; n++) {
        sum += losses[n];
        CHECK_NEAR(losses[n], -(double)example_weights[n] * log((double)p[n * CLASSES + (size_t)labels[n]]),
                   1e-5);
    }
    CHECK_NEAR(sum, loss, 1e-5);
}

static void test_step(pynn_path path) {
    const pynn_data data = {features, PYNN_FEATURES_FLOAT32,     ROWS, labels,
                            path,     .weights = example_weights};
    pynn_network *network = create_network(INPUTS, layers, LAYERS, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *plain = create_workspace(network, NULL, ROWS), *keeping = NULL;
    float p[PARAMETERS], expected[PARAMETERS], dp[PARAMETERS], out[ROWS * WIDEST];
    const pynn_state state = {.seed = 5, .step = 11};
    pynn_sums sums[2] = {{0}};
    CHECK_EQ(pynn_workspace_create_keeping(NULL, network, NULL, ROWS, &keeping), PYNN_OK);
    CHECK_EQ(pynn_network_initialize(network, 1, p), PYNN_OK);
    CHECK_EQ(pynn_workspace_rows(keeping), 0);
    CHECK_EQ(pynn_workspace_read(keeping, 0, PYNN_VALUE_OUTPUTS, out), PYNN_INVALID_ARGUMENT);

    CHECK_EQ(pynn_gradient(plain, &data, NULL, ROWS, &state, p, expected, &sums[0]), PYNN_OK);
    CHECK_EQ(pynn_gradient(keeping, &data, NULL, ROWS, &state, p, dp, &sums[1]), PYNN_OK);
    CHECK_EQ(memcmp(expected, dp, sizeof dp), 0);
    CHECK(sums[0].loss == sums[1].loss);
    CHECK_EQ(pynn_workspace_rows(keeping), ROWS);
    CHECK_EQ(pynn_workspace_is_sparse(keeping), path == PYNN_PATH_SPARSE);
    check_chain(keeping);
    check_loss(keeping, sums[1].loss);
    size_t second = INPUTS * WIDTH + WIDTH + 2 * WIDTH, third = second + WIDTH * WIDTH + WIDTH;
    check_dense(keeping, 0, INPUTS, WIDTH, p, dp);
    check_dense(keeping, 5, WIDTH, WIDTH, p + second, dp + second);
    check_dense(keeping, 7, WIDTH, CLASSES, p + third, dp + third);
    check_values(keeping, 3, &state);
    check_values(keeping, 4, &state);
    check_values(keeping, 6, &state);
    pynn_workspace_destroy(plain);
    pynn_workspace_destroy(keeping);
    pynn_network_destroy(network);
}

/* What is not there is refused, and nothing is written. */
static void test_refused(void) {
    const pynn_data data = {features, PYNN_FEATURES_FLOAT32, ROWS, labels, PYNN_PATH_DENSE};
    const pynn_layer values[] = {XAVIER(2)};
    pynn_network *network = create_network(INPUTS, layers, LAYERS, SOFTMAX_CROSS_ENTROPY);
    pynn_network *regression = create_network(INPUTS, values, 1, MEAN_SQUARED_ERROR);
    pynn_workspace *plain = create_workspace(network, NULL, ROWS), *keeping = NULL, *other = NULL;
    float p[PARAMETERS], out[ROWS * WIDEST] = {0}, z[ROWS * CLASSES];
    CHECK_EQ(pynn_workspace_create_keeping(NULL, network, NULL, ROWS, &keeping), PYNN_OK);
    CHECK_EQ(pynn_workspace_create_keeping(NULL, regression, NULL, ROWS, &other), PYNN_OK);
    CHECK_EQ(pynn_network_initialize(network, 1, p), PYNN_OK);
    CHECK_EQ(pynn_predict(plain, &data, 0, ROWS, p, PYNN_LOGITS, z), PYNN_OK);
    CHECK_EQ(pynn_predict(keeping, &data, 0, ROWS, p, PYNN_LOGITS, z), PYNN_OK);
    CHECK_EQ(pynn_predict(other, &data, 0, ROWS, p, PYNN_LOGITS, z), PYNN_OK);
    out[0] = 42;
    CHECK_EQ(pynn_workspace_read(plain, 0, PYNN_VALUE_OUTPUTS, out), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(keeping, LAYERS, PYNN_VALUE_OUTPUTS, out), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(keeping, 1, PYNN_VALUE_OUTPUT_GRADIENTS, out), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(keeping, 1, PYNN_VALUE_LOSSES, out), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(keeping, 0, (pynn_value)0, out), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(keeping, 0, PYNN_VALUE_OUTPUTS, NULL), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(NULL, 0, PYNN_VALUE_OUTPUTS, out), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(other, 0, PYNN_VALUE_PROBABILITIES, out), PYNN_INVALID_ARGUMENT);
    CHECK(out[0] == 42);
    CHECK_EQ(pynn_workspace_read(keeping, LAYERS - 1, PYNN_VALUE_OUTPUTS, out), PYNN_OK);
    pynn_sums sums = {0};
    float dp[PARAMETERS];
    CHECK_EQ(pynn_gradient(keeping, &data, NULL, ROWS, NULL, p, dp, &sums), PYNN_OK);
    CHECK_EQ(pynn_workspace_read(keeping, 0, PYNN_VALUE_INPUT_GRADIENTS, out), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_workspace_read(keeping, 0, PYNN_VALUE_OUTPUT_GRADIENTS, out), PYNN_OK);
    pynn_workspace_destroy(plain);
    pynn_workspace_destroy(keeping);
    pynn_workspace_destroy(other);
    pynn_network_destroy(network);
    pynn_network_destroy(regression);
}

/* Losses without labels and weights: a dense layer with W = 0 and b = (1, 2), for one example with the
 * targets 0 and 0, has the loss (1 + 4) / 2. */
static void test_targets(void) {
    const float x[2] = {3, 4}, targets[2] = {0, 0}, p[6] = {0, 0, 0, 0, 1, 2};
    const pynn_data data = {x, PYNN_FEATURES_FLOAT32, 1, .path = PYNN_PATH_DENSE, .targets = targets};
    const pynn_layer layer = XAVIER(2);
    pynn_network *network = create_network(2, &layer, 1, MEAN_SQUARED_ERROR);
    pynn_workspace *keeping = NULL;
    float dp[6], loss = 0, dy[2];
    pynn_sums sums = {0};
    CHECK_EQ(pynn_workspace_create_keeping(NULL, network, NULL, 1, &keeping), PYNN_OK);
    CHECK_EQ(pynn_gradient(keeping, &data, NULL, 1, NULL, p, dp, &sums), PYNN_OK);
    CHECK(*read(keeping, 0, PYNN_VALUE_LOSSES, &loss) == 2.5f);
    read(keeping, 0, PYNN_VALUE_OUTPUT_GRADIENTS, dy);
    CHECK(dy[0] == 1.0f && dy[1] == 2.0f);
    pynn_workspace_destroy(keeping);
    pynn_network_destroy(network);
}

int main(void) {
    fill_features();
    test_step(PYNN_PATH_DENSE);
    test_step(PYNN_PATH_SPARSE);
    test_refused();
    test_targets();
    return check_failures();
}
