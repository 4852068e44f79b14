/* test_not_finite.c: if a feature, a parameter or a moment is NaN or infinite, the functions return
 * PYNN_NOT_FINITE, at the time that the header promises. */
#include <float.h>
#include <stdint.h>

#include "helpers.h"
#include "internal.h"

enum { ROWS = 10, INPUTS = 3, CLASSES = 2, BATCH = 4, PARAMETERS = INPUTS * CLASSES + CLASSES };
enum { BAD_ROW = 6 }; /* in the second of three steps */

static const pynn_optimizer sgd = SGD(0.1f);
static const pynn_optimizer adam = {.kind = PYNN_ADAM, .learning_rate = 0.1, .adam = {0.9, 0.9, 1e-8}};
static const float start[PARAMETERS] = {0.1f, 0.2f, 0.3f, 0.5f, 0.7f, 1.1f, 0.0f, 0.1f};
static const int32_t labels[ROWS] = {0, 1, 1};
static float features[ROWS * INPUTS];
static pynn_workspace *workspace;

/* Examples; one of them has a feature that is `bad`. */
static pynn_data examples(float bad, pynn_path path) {
    for (size_t i = 0; i < ROWS * INPUTS; i++) features[i] = (float)(i % 7) - 2.0f;
    features[BAD_ROW * INPUTS + 1] = bad;
    return (pynn_data){features, PYNN_FEATURES_FLOAT32, ROWS, labels, path};
}

/* The gradients stay as they were, and the rows are counted. */
static void test_gradient(const pynn_data *data) {
    static const uint32_t with[] = {0, BAD_ROW}, without[] = {0, BAD_ROW + 1};
    float gradients[PARAMETERS + 1];
    for (size_t i = 0; i <= PARAMETERS; i++) gradients[i] = 42.0f;
    pynn_sums sums = {0};
    CHECK_EQ(pynn_gradient(workspace, data, with, 2, NULL, start, gradients, &sums), PYNN_NOT_FINITE);
    CHECK_EQ(sums.rows, 2);
    for (size_t i = 0; i <= PARAMETERS; i++) CHECK_NEAR(gradients[i], 42.0, 0.0);
    sums = (pynn_sums){0};
    CHECK_EQ(pynn_gradient(workspace, data, without, 2, NULL, start, gradients, &sums), PYNN_OK);
    CHECK(isfinite(sums.loss) && isfinite(gradients[0]));
}

/* Training ends in the step with the bad row, with the parameters of the step before; the counted rows tell
 * which step it is. Training goes on if the row is not in the step. */
static void test_train(const pynn_data *data) {
    float parameters[PARAMETERS], before[PARAMETERS];
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
    memcpy(before, start, sizeof start);
    sums = (pynn_sums){0};
    CHECK_EQ(pynn_train(workspace, data, NULL, data->rows, BATCH, 0, 1, &sgd, NULL, before, &sums),
             PYNN_OK);
    CHECK_BYTES(parameters, before, sizeof before);
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

/* All outputs are written. Those of the other rows are what they are without the bad row. */
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

/* A parameter that is not finite is noticed, even if only one output of the last layer depends on it. */
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

/* relu turns minus infinity into 0, so all outputs are finite: the features are checked, too. */
static void test_hidden(void) {
    const pynn_layer layers[] = {HE(1), RELU, HE(CLASSES)};
    const float parameters[INPUTS + 1 + 2 * CLASSES] = {1.0f, 1.0f, 1.0f, 0.5f, 1.0f, 2.0f};
    const pynn_data data = examples(-INFINITY, PYNN_PATH_AUTO);
    float out[ROWS * CLASSES];
    pynn_sums sums = {0};
    pynn_network *network = create_network(INPUTS, layers, 3, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *own = create_workspace(network, NULL, BATCH);
    CHECK_EQ(pynn_evaluate(own, &data, 0, ROWS, parameters, &sums), PYNN_NOT_FINITE);
    CHECK(isfinite(sums.loss));
    CHECK_EQ(sums.rows, ROWS);
    CHECK_EQ(pynn_predict(own, &data, 0, ROWS, parameters, PYNN_LOGITS, out), PYNN_NOT_FINITE);
    for (size_t i = 0; i < ROWS * CLASSES; i++) CHECK(isfinite(out[i]));
    CHECK_EQ(pynn_evaluate(own, &data, BAD_ROW + 1, ROWS, parameters, &sums), PYNN_OK);
    CHECK_EQ(pynn_predict(own, &data, 0, BAD_ROW, parameters, PYNN_LOGITS, out), PYNN_OK);
    CHECK_EQ(pynn_evaluate(own, &data, BAD_ROW, BAD_ROW + 1, parameters, &sums), PYNN_NOT_FINITE);
    destroy(own, network);
}

/* An activation before the first dense layer turns infinity into 1, and every loss is finite. A step still
 * does not train on it: Adam counts no update, and its moments stay. */
static void test_hidden_by_first_layer(float bad) {
    enum { COUNT = INPUTS * CLASSES + CLASSES };
    const pynn_layer layers[] = {TANH, HE(CLASSES)};
    const pynn_data data = examples(bad, PYNN_PATH_AUTO);
    float parameters[COUNT], gradients[COUNT], first[COUNT] = {0}, second[COUNT] = {0}, zeros[COUNT] = {0};
    pynn_state state = {.gradients = gradients, .first = first, .second = second};
    pynn_sums sums = {0};
    pynn_network *network = create_network(INPUTS, layers, 2, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *own = create_workspace(network, NULL, ROWS);
    memcpy(parameters, start, sizeof start);
    CHECK_EQ(pynn_train(own, &data, NULL, ROWS, ROWS, 0, 1, &sgd, NULL, parameters, &sums),
             PYNN_NOT_FINITE);
    CHECK_EQ(sums.rows, ROWS);
    CHECK_EQ(isfinite(sums.loss) != 0, !isnan(bad));
    CHECK_BYTES(parameters, start, sizeof start);
    sums = (pynn_sums){0};
    CHECK_EQ(pynn_train(own, &data, NULL, ROWS, ROWS, 0, 1, &adam, &state, parameters, &sums),
             PYNN_NOT_FINITE);
    CHECK_BYTES(parameters, start, sizeof start);
    CHECK_BYTES(first, zeros, sizeof zeros);
    CHECK_BYTES(second, zeros, sizeof zeros);
    CHECK_EQ(state.step, 0);
    CHECK_EQ(state.updates, 0);
    sums = (pynn_sums){0};
    CHECK_EQ(pynn_gradient(own, &data, NULL, ROWS, NULL, start, gradients, &sums), PYNN_NOT_FINITE);
    CHECK_EQ(pynn_evaluate(own, &data, 0, ROWS, start, &sums), PYNN_NOT_FINITE);
    destroy(own, network);
}

/* A step has a finite loss, but its update is too large for a float: the call returns it after its last
 * step. */
static void test_after_last_step(void) {
    const pynn_optimizer far = SGD((double)FLT_MAX);
    const pynn_data data = examples(1e6f, PYNN_PATH_DENSE);
    float parameters[PARAMETERS];
    pynn_sums sums = {0};
    memcpy(parameters, start, sizeof start);
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, BATCH, 1, 2, &far, NULL, parameters, &sums),
             PYNN_NOT_FINITE);
    CHECK(isfinite(sums.loss));
    CHECK_EQ(sums.rows, BATCH);
}

/* Moments that are not finite while the parameters are: m / sqrt(infinity) is 0. */
static void test_moments(size_t moment, float bad) {
    const pynn_data data = examples(1.0f, PYNN_PATH_DENSE);
    float parameters[PARAMETERS], gradients[PARAMETERS], moments[2][PARAMETERS] = {{0}};
    pynn_state state = {.gradients = gradients, .first = moments[0], .second = moments[1]};
    pynn_sums sums = {0};
    memcpy(parameters, start, sizeof start);
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, BATCH, 0, 1, &adam, &state, parameters, &sums),
             PYNN_OK);
    moments[moment][PARAMETERS - 1] = bad;
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, BATCH, 1, 2, &adam, &state, parameters, &sums),
             PYNN_NOT_FINITE);
    CHECK(isfinite(sums.loss));
    if (moment == 1) CHECK(isfinite(parameters[PARAMETERS - 1]));
}

/* A bad row in some of the blocks of rows that a batch is cut into, in all combinations: each block is
 * checked, whatever the blocks before and after it are. tanh hides the infinity from the loss. */
static void test_blocks(void) {
    enum { BLOCKS = 4, BLOCK = 16, ALL = BLOCKS * BLOCK };
    const pynn_layer layers[] = {TANH, HE(CLASSES)};
    static const int32_t all_labels[ALL];
    pynn_network *network = create_network(INPUTS, layers, 2, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *own = create_workspace(network, NULL, ALL);
    CHECK_EQ(pynn_cut_rows(ALL).row_cuts, BLOCKS);
    for (unsigned bad = 0; bad < 1U << BLOCKS; bad++) {
        float x[ALL * INPUTS] = {0}, out[ALL * CLASSES];
        for (size_t b = 0; b < BLOCKS; b++) {
            if (bad >> b & 1) x[(b * BLOCK + 5) * INPUTS] = INFINITY;
        }
        const pynn_data data = {x, PYNN_FEATURES_FLOAT32, ALL, all_labels, PYNN_PATH_AUTO};
        const pynn_status expected = bad == 0 ? PYNN_OK : PYNN_NOT_FINITE;
        pynn_sums sums = {0};
        bool holds = CHECK_EQ(pynn_evaluate(own, &data, 0, ALL, start, &sums), expected);
        holds = CHECK_EQ(pynn_predict(own, &data, 0, ALL, start, PYNN_LOGITS, out), expected) && holds;
        if (!CHECK(isfinite(sums.loss)) || !holds) printf("    blocks that are bad: %#x\n", bad);
    }
    destroy(own, network);
}

/* The same for the tasks that check parameters and second moments after the last step. */
static void test_parts(void) {
    enum { IN = 400, OUT = 100, COUNT = IN * OUT + OUT, PART = 16 * 1024, PARTS = 3 };
    const pynn_layer layer = HE(OUT);
    static float values[COUNT], sound[COUNT], first[COUNT], gradients[COUNT];
    pynn_network *network = create_network(IN, &layer, 1, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *own = create_workspace(network, NULL, 1);
    CHECK_EQ(pynn_update_tasks(own->network), PARTS);
    for (unsigned bad = 0; bad < 1U << PARTS; bad++) {
        for (int last = 0; last < 2; last++) {
            memset(values, 0, sizeof values);
            for (size_t p = 0; p < PARTS; p++) {
                size_t end = pynn_least(COUNT, (p + 1) * PART);
                if (bad >> p & 1) values[last ? end - 1 : p * PART] = NAN;
            }
            pynn_state state = {.gradients = gradients, .first = first, .second = sound};
            bool holds = CHECK_EQ(pynn_state_is_finite(own, &sgd, NULL, values), bad == 0);
            holds = CHECK_EQ(pynn_state_is_finite(own, &adam, &state, values), bad == 0) && holds;
            state.second = values;
            holds = CHECK_EQ(pynn_state_is_finite(own, &adam, &state, sound), bad == 0) && holds;
            if (!holds) printf("    parts that are bad: %#x, at their ends: %d\n", bad, last);
        }
    }
    destroy(own, network);
}

int main(void) {
    const pynn_layer layer = HE(CLASSES);
    const float bad[] = {NAN, INFINITY, -INFINITY};
    pynn_network *network = create_network(INPUTS, &layer, 1, SOFTMAX_CROSS_ENTROPY);
    workspace = create_workspace(network, NULL, BATCH);
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
        test_hidden_by_first_layer(bad[b]);
    }
    test_after_last_step();
    test_moments(0, NAN);
    test_moments(1, INFINITY);
    test_hidden();
    test_blocks();
    test_parts();
    destroy(workspace, network);
    return check_failures();
}
