/* test_plain.c: csrc/plain/plain.c, which is to be read first, computes what the library computes: losses,
 * gradients, and the parameters after some steps. Each is the other's twin. */
#define main run_the_program
#include "plain/plain.c"
#undef main

#include "helpers.h"
#undef RELU
#undef SIGMOID /* plain.c has these names, too */

enum { ROWS = 5, INPUTS = 12, FIRST = 9, SECOND = 7, OUTPUTS = 4, STEPS = 20 };
enum { PARAMETERS = INPUTS * FIRST + FIRST + FIRST * SECOND + SECOND + SECOND * OUTPUTS + OUTPUTS };

static const int32_t labels[ROWS] = {3, 0, 2, 0, 1};

/* Copy one array of a layer from the library's flat array, or back to it. Returns what is behind it there.
 */
static float *copy_array(float *flat, float *array, size_t count, bool back) {
    memcpy(back ? flat : array, back ? array : flat, count * sizeof(float));
    return flat + count;
}

static void copy_parameters(layer *net, float *flat, bool back) {
    for (size_t l = 0; l < LAYERS; l++) {
        flat = copy_array(flat, net[l].W, net[l].I * net[l].O, back);
        flat = copy_array(flat, net[l].b, net[l].O, back);
    }
}

static void copy_gradients(layer *net, float *flat) {
    for (size_t l = 0; l < LAYERS; l++) {
        flat = copy_array(flat, net[l].dW, net[l].I * net[l].O, true);
        flat = copy_array(flat, net[l].db, net[l].O, true);
    }
}

/* Both sum the same numbers, at most 12 of them and of a size of about 1, in another order. */
static void check_same(const float *found, const float *expected, double most) {
    double sum = 0;
    for (size_t i = 0; i < PARAMETERS; i++) {
        CHECK_NEAR(found[i], expected[i], most);
        sum += fabs((double)expected[i]);
    }
    CHECK(sum > 1.0);
}

static void test_against_library(activation f, pynn_layer function) {
    const pynn_layer layers[] = {HE(FIRST), function, HE(SECOND), function, HE(OUTPUTS)};
    pynn_network *network = create_network(INPUTS, layers, 5, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    float X[ROWS * INPUTS], flat[PARAMETERS], gradients[PARAMETERS], found[PARAMETERS];
    const pynn_data data = {X, PYNN_FEATURES_FLOAT32, ROWS, labels};
    layer net[] = {make_layer(INPUTS, FIRST, f), make_layer(FIRST, SECOND, f),
                   make_layer(SECOND, OUTPUTS, NONE)};
    pynn_sums sums = {0};
    size_t right = 0;
    pynn_random_uniform(1, 0, 0, ROWS * INPUTS, -1.0f, 1.0f, X);
    pynn_random_uniform(2, 0, 0, PARAMETERS, -0.8f, 0.8f, flat);
    copy_parameters(net, flat, false);

    CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, NULL, flat, gradients, &sums), PYNN_OK);
    float loss = step(ROWS, X, labels, net, 0.0f, &right);
    CHECK_NEAR(loss, sums.loss / ROWS, 1e-6);
    CHECK_EQ(right, sums.correct);
    copy_gradients(net, found);
    check_same(found, gradients, 1e-6);

    for (size_t s = 0; s < STEPS; s++) {
        CHECK_EQ(pynn_train(workspace, &data, NULL, ROWS, ROWS, 0, 1, &(pynn_optimizer)SGD(0.1f), NULL,
                            flat, &sums),
                 PYNN_OK);
        step(ROWS, X, labels, net, 0.1f, &right);
    }
    copy_parameters(net, found, true);
    check_same(found, flat, 1e-5);
    for (size_t l = 0; l < LAYERS; l++) {
        float *arrays[] = {net[l].W, net[l].b, net[l].Y, net[l].dY, net[l].dW, net[l].db};
        for (size_t k = 0; k < 6; k++) free(arrays[k]);
    }
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

/* Logits may be too large for exp(), so the largest is subtracted. Of equal logits the first counts. */
static void test_large_logits(void) {
    const float Z[3 * OUTPUTS] = {1000, 1010, 0, -1000, -9, -9, 500, -9, 7, 7, 7, 7};
    const int y[3] = {1, 0, 0};
    float dZ[3 * OUTPUTS];
    size_t right = 0;
    /* By hand: log(1 + exp(-10)), 500 + 9, and log(4). */
    CHECK_NEAR(cross_entropy(3, OUTPUTS, Z, y, dZ, &right), (4.53989e-5 + 509.0 + 1.38629436) / 3, 1e-4);
    CHECK_EQ(right, 2);
    CHECK_NEAR(dZ[0 * OUTPUTS + 1], -4.53979e-5 / 3, 1e-7);
    CHECK_NEAR(dZ[1 * OUTPUTS + 0], -1.0 / 3, 1e-7);
    CHECK_NEAR(dZ[1 * OUTPUTS + 2], 1.0 / 3, 1e-7);
    CHECK_NEAR(dZ[2 * OUTPUTS + 3], 0.25 / 3, 1e-7);
}

int main(void) {
    test_large_logits();
    test_against_library(RELU, (pynn_layer){.kind = PYNN_RELU});
    test_against_library(SIGMOID, (pynn_layer){.kind = PYNN_SIGMOID});
    return check_failures();
}
