/* test_not_finite.c: NaN and infinity in features or parameters: the calls say so, and when. */
#include <stdint.h>

#include "check.h"
#include "pynn.h"

enum { ROWS = 10, INPUTS = 3, CLASSES = 2, BATCH = 4, PARAMETERS = INPUTS * CLASSES + CLASSES };
enum { BAD_ROW = 6 }; /* in the second of three steps */

static const pynn_optimizer sgd = {.kind = PYNN_SGD, .learning_rate = 0.1f};
static const float start[PARAMETERS] = {0.1f, 0.2f, 0.3f, 0.5f, 0.7f, 1.1f, 0.0f, 0.1f};
static const int32_t labels[ROWS] = {0, 1, 1};
static float features[ROWS * INPUTS];
static pynn_workspace *workspace;

/* Examples of which one has such a feature. */
static pynn_data examples(float bad, pynn_path path) {
    for (size_t i = 0; i < ROWS * INPUTS; i++) features[i] = (float)(i % 7) - 2.0f;
    features[BAD_ROW * INPUTS + 1] = bad;
    return (pynn_data){features, PYNN_FEATURES_FLOAT32, ROWS, labels, path};
}

/* The gradient is written, whatever it is, and the rows are counted. */
static void test_gradient(const pynn_data *data) {
    static const uint32_t with[] = {0, BAD_ROW}, without[] = {0, BAD_ROW + 1};
    float gradients[PARAMETERS + 1];
    for (size_t i = 0; i <= PARAMETERS; i++) gradients[i] = 42.0f;
    pynn_sums sums = {0};
    CHECK_EQ(pynn_gradient(workspace, data, with, 2, start, gradients, &sums), PYNN_NOT_FINITE);
    CHECK_EQ(sums.rows, 2);
    for (size_t i = 0; i < PARAMETERS; i++) CHECK(!(fabsf(gradients[i] - 42.0f) <= 0.0f));
    CHECK_NEAR(gradients[PARAMETERS], 42.0, 0.0);
    sums = (pynn_sums){0};
    CHECK_EQ(pynn_gradient(workspace, data, without, 2, start, gradients, &sums), PYNN_OK);
    CHECK(isfinite(sums.loss) && isfinite(gradients[0]));
}

/* Training ends with the step, which its rows tell; it does not begin where the row is not met. */
static void test_train(const pynn_data *data) {
    float parameters[PARAMETERS];
    pynn_sums sums = {0};
    memcpy(parameters, start, sizeof start);
    CHECK_EQ(pynn_train(workspace, data, NULL, data->rows, BATCH, 0, 1, &sgd, NULL, parameters, &sums),
             PYNN_OK);
    CHECK_EQ(pynn_train(workspace, data, NULL, data->rows, BATCH, 2, 3, &sgd, NULL, parameters, &sums),
             PYNN_OK);
    CHECK_EQ(sums.rows, ROWS - BATCH);
    CHECK(isfinite(sums.loss) && isfinite(parameters[0]));

    memcpy(parameters, start, sizeof start);
    sums = (pynn_sums){0};
    CHECK_EQ(pynn_train(workspace, data, NULL, data->rows, BATCH, 0, 3, &sgd, NULL, parameters, &sums),
             PYNN_NOT_FINITE);
    CHECK_EQ(sums.rows, 2 * BATCH);
    CHECK(!isfinite(sums.loss));
}

static void test_evaluate(const pynn_data *data) {
    pynn_sums sums = {0};
    CHECK_EQ(pynn_evaluate(workspace, data, 0, BAD_ROW, start, &sums), PYNN_OK);
    CHECK_EQ(pynn_evaluate(workspace, data, BAD_ROW + 1, ROWS, start, &sums), PYNN_OK);
    CHECK(isfinite(sums.loss));
    sums = (pynn_sums){0};
    CHECK_EQ(pynn_evaluate(workspace, data, 0, ROWS, start, &sums), PYNN_NOT_FINITE);
    CHECK_EQ(sums.rows, ROWS);
}

/* All outputs are written, and those of the other rows are what they would be without the bad one. */
static void test_predict(const pynn_data *data, pynn_output output) {
    enum { BEFORE = BAD_ROW * CLASSES, AFTER = BEFORE + CLASSES, ALL = ROWS * CLASSES };
    float out[ALL], expected[ALL] = {0};
    const size_t after_nbytes = (ALL - AFTER) * sizeof(float);
    CHECK_EQ(pynn_predict(workspace, data, 0, BAD_ROW, start, output, expected), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, data, BAD_ROW + 1, ROWS, start, output, expected + AFTER), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, data, BAD_ROW, BAD_ROW, start, output, out), PYNN_OK); /* no rows */
    CHECK_EQ(pynn_predict(workspace, data, 0, ROWS, start, output, out), PYNN_NOT_FINITE);
    CHECK_BYTES(out, expected, BEFORE * sizeof(float));
    CHECK(!isfinite(out[BEFORE]) && !isfinite(out[BEFORE + 1]));
    CHECK_BYTES(out + AFTER, expected + AFTER, after_nbytes);
}

/* A parameter that is not finite spoils all rows, even by one output of the last. */
static void test_parameters(float bad) {
    const pynn_data data = examples(1.0f, PYNN_PATH_DENSE);
    float parameters[PARAMETERS], out[ROWS * CLASSES];
    pynn_sums sums = {0};
    memcpy(parameters, start, sizeof start);
    parameters[PARAMETERS - 1] = bad; /* the bias of the last class */
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, parameters, &sums), PYNN_NOT_FINITE);
    CHECK_EQ(pynn_predict(workspace, &data, 0, 1, parameters, PYNN_LOGITS, out), PYNN_NOT_FINITE);
    CHECK(isfinite(out[0]) && !isfinite(out[1]));
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, BATCH, 0, 3, &sgd, NULL, parameters, &sums),
             PYNN_NOT_FINITE);
}

/* relu makes 0 of minus infinity, so that all outputs are finite: the features are looked at, too. */
static void test_hidden(void) {
    const pynn_layer layers[] = {
        {PYNN_DENSE, 1, PYNN_INIT_HE}, {PYNN_RELU, 0, PYNN_INIT_NONE}, {PYNN_DENSE, CLASSES, PYNN_INIT_HE}};
    const float parameters[INPUTS + 1 + 2 * CLASSES] = {1.0f, 1.0f, 1.0f, 0.5f, 1.0f, 2.0f};
    const pynn_data data = examples(-INFINITY, PYNN_PATH_AUTO);
    float out[ROWS * CLASSES];
    pynn_sums sums = {0};
    pynn_network *network = NULL;
    pynn_workspace *own = NULL;
    if (!CHECK_EQ(pynn_network_create(NULL, INPUTS, layers, 3,
                                      (pynn_loss){.kind = PYNN_SOFTMAX_CROSS_ENTROPY}, &network),
                  PYNN_OK) ||
        !CHECK_EQ(pynn_workspace_create(NULL, network, NULL, BATCH, &own), PYNN_OK))
        return;
    CHECK_EQ(pynn_evaluate(own, &data, 0, ROWS, parameters, &sums), PYNN_NOT_FINITE);
    CHECK(isfinite(sums.loss));
    CHECK_EQ(sums.rows, ROWS);
    CHECK_EQ(pynn_predict(own, &data, 0, ROWS, parameters, PYNN_LOGITS, out), PYNN_NOT_FINITE);
    for (size_t i = 0; i < ROWS * CLASSES; i++) CHECK(isfinite(out[i]));
    CHECK_EQ(pynn_evaluate(own, &data, BAD_ROW + 1, ROWS, parameters, &sums), PYNN_OK);
    CHECK_EQ(pynn_predict(own, &data, 0, BAD_ROW, parameters, PYNN_LOGITS, out), PYNN_OK);
    CHECK_EQ(pynn_evaluate(own, &data, BAD_ROW, BAD_ROW + 1, parameters, &sums), PYNN_NOT_FINITE);
    pynn_workspace_destroy(own);
    pynn_network_destroy(network);
}

int main(void) {
    const pynn_layer layer = {PYNN_DENSE, CLASSES, PYNN_INIT_HE};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    pynn_network *network = NULL;
    if (!CHECK_EQ(pynn_network_create(NULL, INPUTS, &layer, 1,
                                      (pynn_loss){.kind = PYNN_SOFTMAX_CROSS_ENTROPY}, &network),
                  PYNN_OK) ||
        !CHECK_EQ(pynn_workspace_create(NULL, network, NULL, BATCH, &workspace), PYNN_OK))
        return check_failures();
    for (size_t b = 0; b < 3; b++) {
        for (int path = PYNN_PATH_DENSE; path <= PYNN_PATH_SPARSE; path++) {
            const pynn_data data = examples(bad[b], (pynn_path)path);
            test_gradient(&data);
            test_train(&data);
            test_evaluate(&data);
            test_predict(&data, PYNN_LOGITS);
            test_predict(&data, PYNN_PROBABILITIES);
        }
        test_parameters(bad[b]);
    }
    test_hidden();
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
    return check_failures();
}
