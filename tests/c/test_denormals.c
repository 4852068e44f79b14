/* test_denormals.c: denormal numbers, which are below the smallest normal one, are 0 while the library
 * calculates, in all of its threads. Afterwards the caller's own setting is as it was. */
#include <float.h>
#include <stdatomic.h>

#include "base/denormals.h"
#include "helpers.h"
#include "internal.h"

/* The product of two floats in this thread: about 1e-40, or 0 if the thread takes denormal numbers as 0. */
static float small_product(void) {
    volatile float a = 1e-20f, b = 1e-20f;
    return a * b;
}

/* Whichever setting the caller has chosen, it is the same after a call. */
static void test_mode(void) {
    volatile float denormal = 1e-40f;
    CHECK(small_product() > 0.0f);
    CHECK(denormal * 1e10f > 0.0f);
    uint64_t before = pynn_flush_denormals();
    if (PYNN_FLUSHES_DENORMALS) CHECK(small_product() == 0.0f);
    if (PYNN_FLUSHES_DENORMALS) CHECK(denormal * 1e10f == 0.0f);
    uint64_t inside = pynn_flush_denormals();
    pynn_restore_denormals(inside);
    if (PYNN_FLUSHES_DENORMALS) CHECK(small_product() == 0.0f);
    pynn_restore_denormals(before);
    CHECK(small_product() > 0.0f);
}

enum { INPUTS = 40, OUTPUTS = 3, PARAMETERS = INPUTS * OUTPUTS + OUTPUTS };

/* Weight decay makes tiny weights 0, not denormal. */
static void test_decay(const pynn_optimizer *optimizer) {
    static float features[INPUTS], gradients[PARAMETERS], first[PARAMETERS], second[PARAMETERS];
    const int32_t label = 0;
    const pynn_layer layer = HE(OUTPUTS);
    const pynn_loss loss = SOFTMAX_CROSS_ENTROPY;
    const pynn_data data = {
        .features = features, .feature_type = PYNN_FEATURES_FLOAT32, .rows = 1, .labels = &label};
    pynn_state state = {.gradients = gradients, .first = first, .second = second};
    float parameters[PARAMETERS];
    pynn_network *network = create_network(INPUTS, &layer, 1, loss);
    pynn_workspace *workspace = create_workspace(network, NULL, 1);
    for (size_t i = 0; i < PARAMETERS; i++) {
        parameters[i] = 3e-38f;
        first[i] = second[i] = 0.0f;
    }
    pynn_sums sums = {0};
    for (size_t step = 0; step < 3; step++)
        CHECK_EQ(pynn_train(workspace, &data, NULL, 1, 1, 0, 1, optimizer, &state, parameters, &sums),
                 PYNN_OK);
    size_t denormal = 0;
    for (size_t i = 0; i < INPUTS * OUTPUTS; i++)
        denormal += parameters[i] != 0.0f && fabsf(parameters[i]) < FLT_MIN;
    if (PYNN_FLUSHES_DENORMALS) CHECK_EQ(denormal, 0);
    CHECK(small_product() > 0.0f);
    destroy(workspace, network);
}

/* Outputs that would be denormal are 0. */
static void test_outputs(void) {
    static float features[INPUTS];
    const pynn_layer layer = HE(OUTPUTS);
    const pynn_loss loss = MEAN_SQUARED_ERROR;
    const pynn_data data = {.features = features, .feature_type = PYNN_FEATURES_FLOAT32, .rows = 1};
    float parameters[PARAMETERS] = {0}, outputs[OUTPUTS] = {1, 1, 1};
    pynn_network *network = create_network(INPUTS, &layer, 1, loss);
    pynn_workspace *workspace = create_workspace(network, NULL, 1);
    features[0] = 1e-20f;
    for (size_t o = 0; o < OUTPUTS; o++) parameters[o] = 1e-20f;
    CHECK_EQ(pynn_predict(workspace, &data, 0, 1, parameters, PYNN_LOGITS, outputs), PYNN_OK);
    for (size_t o = 0; o < OUTPUTS; o++) CHECK_EQ(outputs[o] == 0.0f, PYNN_FLUSHES_DENORMALS);
    CHECK(small_product() > 0.0f);
    destroy(workspace, network);
}

/* Two tasks that wait for each other, so that two threads do them. */
typedef struct meeting {
    atomic_int arrived;
    float products[2];
} meeting;

static void meet(void *context, size_t index) {
    meeting *all = context;
    atomic_fetch_add(&all->arrived, 1);
    while (atomic_load(&all->arrived) < 2) continue;
    all->products[index] = small_product();
}

/* The calling thread keeps its own setting; the team's other thread takes denormal numbers as 0. */
static void test_team(void) {
    pynn_team *team = create_team(2);
    meeting all = {0};
    pynn_team_run(team, 2, meet, &all);
    int zeros = (all.products[0] == 0.0f) + (all.products[1] == 0.0f);
    CHECK_EQ(zeros, PYNN_FLUSHES_DENORMALS);
    pynn_team_destroy(team);
}

int main(void) {
    const pynn_optimizer optimizers[] = {
        {.kind = PYNN_SGD, .learning_rate = 0.5, .weight_decay = 1.5},
        {.kind = PYNN_SGD, .learning_rate = 0.5, .weight_decay = 1.5, .sgd.momentum = 0.1},
        {.kind = PYNN_ADAMW, .learning_rate = 0.5, .weight_decay = 1.5, .adamw = {0.0, 0.9, 1e-8}}};
    test_mode();
    for (size_t i = 0; i < COUNT_OF(optimizers); i++) test_decay(&optimizers[i]);
    test_outputs();
    test_team();
    return check_failures();
}
