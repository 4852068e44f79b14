/* test_norm.c: layer normalization against its formulas in double, by itself and in a network. */
#include "helpers.h"
#include "internal.h"

enum { ROWS = 300, WIDTH = 150, NARROW = 3 };

static const pynn_layer layer = LAYER_NORM(1e-3f);
static float x[ROWS * WIDTH], y[ROWS * WIDTH], dy[ROWS * WIDTH], dx[ROWS * WIDTH + 1], scratch[ROWS * 3];
static float parameters[2 * WIDTH], target[2 * WIDTH];

static pynn_placed_layer placed(size_t width) {
    return (pynn_placed_layer){.type = pynn_layer_type_of(PYNN_LAYER_NORM),
                               .layer = layer,
                               .inputs = width,
                               .outputs = width,
                               .parameter_count = 2 * width};
}

static pynn_layer_call call_of(const pynn_placed_layer *at, size_t rows) {
    return (pynn_layer_call){.layer = at,
                             .rows = rows,
                             .parameters = parameters,
                             .x = x,
                             .y = y,
                             .dy = dy,
                             .dx = dx,
                             .scratch = scratch};
}

/* For a row: returns 1 / sqrt(variance + eps), and sets h = (x - mean) times that. */
static double normalize(size_t width, const float *row, double *h) {
    double mean = 0.0, variance = 0.0;
    for (size_t i = 0; i < width; i++) mean += (double)row[i] / (double)width;
    for (size_t i = 0; i < width; i++)
        variance += ((double)row[i] - mean) * ((double)row[i] - mean) / (double)width;
    double factor = 1.0 / sqrt(variance + (double)1e-3f);
    for (size_t i = 0; i < width; i++) h[i] = ((double)row[i] - mean) * factor;
    return factor;
}

/* Inputs with a mean of 3 and a deviation of 2. */
static void fill_near_zero(size_t count) {
    pynn_random_normal(1, 0, 0, count, 3.0f, 2.0f, x);
}

/* The floats 10,000,000 to 10,000,003, between which there are no others: the mean of a row lies between
 * two floats. */
static void fill_far_from_zero(size_t count) {
    pynn_random_uniform(1, 0, 0, count, 0.0f, 4.0f, x);
    for (size_t i = 0; i < count; i++) x[i] = 1e7f + floorf(x[i]);
}

/* Forward and backward in two blocks of rows; the gradient of the parameters is added to what is there. */
static void test_formulas(size_t rows, size_t width, float beta, void (*fill)(size_t)) {
    const pynn_placed_layer at = placed(width);
    const pynn_layer_call call = call_of(&at, rows);
    const pynn_target out = {-0.5f, beta, target};
    double h[WIDTH], gains[WIDTH] = {0}, biases[WIDTH] = {0};
    fill(rows * width);
    pynn_random_normal(1, 1, 0, rows * width, 0.1f, 1.0f, dy);
    pynn_random_uniform(1, 2, 0, 2 * width, 0.5f, 1.5f, parameters);
    for (size_t i = 0; i < 2 * width; i++) target[i] = beta == 0.0f ? NAN : 2.0f;
    dx[rows * width] = 42.0f;
    const pynn_tile tiles[] = {{0, rows / 3, 0, width}, {rows / 3, rows, 0, width}};
    for (size_t t = 0; t < 2; t++) at.type->forward(&call, tiles[t]);
    for (size_t t = 0; t < 2; t++) at.type->backward(&call, tiles[t]);
    const pynn_grid grid = at.type->cut(&call);
    for (size_t t = 0; t < pynn_grid_count(&grid); t++) at.type->accumulate(&call, t, &out);

    for (size_t n = 0; n < rows; n++) {
        const float *row = x + n * width, *d = dy + n * width;
        const double factor = normalize(width, row, h);
        double mean = 0.0, along = 0.0;
        for (size_t i = 0; i < width; i++) {
            mean += (double)parameters[i] * (double)d[i] / (double)width;
            along += (double)parameters[i] * (double)d[i] * h[i] / (double)width;
            gains[i] += (double)d[i] * h[i];
            biases[i] += (double)d[i];
        }
        for (size_t i = 0; i < width; i++) {
            const double slope = factor * ((double)parameters[i] * (double)d[i] - mean - h[i] * along);
            CHECK_NEAR(y[n * width + i], (double)parameters[i] * h[i] + (double)parameters[width + i],
                       5e-6);
            CHECK_NEAR(dx[n * width + i], slope, 2e-5);
        }
    }
    for (size_t i = 0; i < width; i++) {
        const double old = beta == 0.0f ? 0.0 : 2.0 * (double)beta;
        CHECK_NEAR(target[i], old - 0.5 * gains[i], 1e-4);
        CHECK_NEAR(target[width + i], old - 0.5 * biases[i], 1e-4);
    }
    CHECK_NEAR(dx[rows * width], 42.0, 0.0);
}

/* The weights are 1 and the biases 0, whatever the seed. Nothing is drawn, so the dense layers get the same
 * weights as without the normalization. */
static void test_initialize(void) {
    const pynn_layer with[] = {LAYER_NORM(1e-5f), HE(4), LAYER_NORM(1e-5f), HE(2)},
                     without[] = {HE(4), HE(2)};
    pynn_network *network = create_network(5, with, COUNT_OF(with), SOFTMAX_CROSS_ENTROPY);
    pynn_network *plain = create_network(5, without, COUNT_OF(without), SOFTMAX_CROSS_ENTROPY);
    float some[2 * 5 + 24 + 2 * 4 + 10], expected[24 + 10];
    CHECK_EQ(pynn_network_parameter_count(network), COUNT_OF(some));
    CHECK_EQ(pynn_network_initialize(network, 7, some), PYNN_OK);
    CHECK_EQ(pynn_network_initialize(plain, 7, expected), PYNN_OK);
    for (size_t i = 0; i < 10; i++) CHECK_NEAR(some[i], i < 5 ? 1.0 : 0.0, 0.0);
    for (size_t i = 0; i < 8; i++) CHECK_NEAR(some[34 + i], i < 4 ? 1.0 : 0.0, 0.0);
    CHECK_BYTES(some + 10, expected, 24 * sizeof(float));
    CHECK_BYTES(some + 42, expected + 24, 10 * sizeof(float));
    /* The helpers of the tests find the dense layers between the others. */
    CHECK_EQ(count_dense(network), 2);
    CHECK_EQ(place_of_dense(network, 0).weights, 10);
    CHECK_EQ(place_of_dense(network, 1).weights, 42);
    CHECK_EQ(place_of_dense(network, 1).bias, 50);
    pynn_network_destroy(network);
    pynn_network_destroy(plain);
}

/* In a network whose first layer it is, and with a team: a small step against the gradient lowers the loss
 * by the step times the square of the gradient. */
static void test_in_a_network(size_t threads) {
    enum { INPUTS = 6, MOST = 300 };
    const pynn_layer layers[] = {LAYER_NORM(1e-3f), RELU, HE(20), LAYER_NORM(1e-3f), TANH, HE(3)};
    static float features[ROWS * INPUTS], p[MOST], gradients[MOST];
    static int32_t labels[ROWS];
    pynn_random_normal(2, 0, 0, ROWS * INPUTS, 1.0f, 3.0f, features);
    fill_labels(ROWS, 3, labels);
    const pynn_data data = {features, PYNN_FEATURES_FLOAT32, ROWS, labels};
    pynn_team *team = create_team(threads);
    pynn_network *network = create_network(INPUTS, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, team, ROWS);
    const size_t count = pynn_network_parameter_count(network);
    CHECK(count <= MOST);
    CHECK_EQ(network->first_trained, 0);
    CHECK_EQ(network->stage_count, 4);
    CHECK_EQ(pynn_network_initialize(network, 3, p), PYNN_OK);
    pynn_sums before = {0}, after = {0};
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, NULL, p, gradients, &before), PYNN_OK);
    double square = 0.0;
    for (size_t i = 0; i < count; i++) square += (double)gradients[i] * (double)gradients[i];
    for (size_t i = 0; i < count; i++) p[i] -= 1e-3f * gradients[i];
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, p, &after), PYNN_OK);
    CHECK(square > 1e-2);
    CHECK_NEAR((before.loss - after.loss) / ROWS, 1e-3 * square, 1e-2 * 1e-3 * square);
    destroy(workspace, network);
    pynn_team_destroy(team);
}

int main(void) {
    test_formulas(ROWS, WIDTH, 1.0f, fill_near_zero);
    test_formulas(ROWS, WIDTH, 0.0f, fill_near_zero);
    test_formulas(7, NARROW, 1.0f, fill_near_zero);
    test_formulas(ROWS, WIDTH, 0.0f, fill_far_from_zero);
    test_formulas(7, NARROW, 1.0f, fill_far_from_zero);
    test_initialize();
    test_in_a_network(1);
    test_in_a_network(2);
    return check_failures();
}
