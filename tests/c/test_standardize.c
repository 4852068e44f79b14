/* test_standardize.c: features are standardized as the formula says, by parameters that no step changes. */
#include <float.h>
#include <math.h>

#include "helpers.h"
#include "internal.h"

enum { ROWS = 70, WIDTH = 19, HIDDEN = 5, CLASSES = 3 };

static float x[ROWS * WIDTH], out[ROWS * WIDTH];
static float mean[WIDTH], scale[WIDTH];
static int32_t labels[ROWS];

static const pynn_data data = {
    .features = x, .feature_type = PYNN_FEATURES_FLOAT32, .rows = ROWS, .labels = labels};

static void fill(void) {
    pynn_random_normal(1, 0, 0, ROWS * WIDTH, 50.0f, 30.0f, x);
    pynn_random_normal(1, 1, 0, WIDTH, 50.0f, 5.0f, mean);
    pynn_random_uniform(1, 2, 0, WIDTH, 5.0f, 40.0f, scale);
    for (size_t n = 0; n < ROWS; n++) labels[n] = (int32_t)(n % CLASSES);
}

/* A chain that begins with a standardize layer; its parameters are drawn, and their mean and scale set. */
static pynn_network *create(pynn_layer first, float *parameters, bool is_fitted) {
    const pynn_layer layers[] = {first, HE(HIDDEN), TANH, HE(CLASSES)};
    pynn_network *network = create_network(WIDTH, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    for (size_t i = 0; i < 2 * WIDTH; i++) CHECK(parameters[i] == 0.0f);
    if (is_fitted) {
        memcpy(parameters, mean, sizeof mean);
        memcpy(parameters + WIDTH, scale, sizeof scale);
    }
    return network;
}

enum { COUNT = 2 * WIDTH + WIDTH * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES };

/* y of one value, in double. */
static double expected(const pynn_standardize_options *options, size_t place) {
    double value = (double)x[place], clip = (double)options->clip;
    size_t i = place % WIDTH;
    if (options->missing && isnan(value)) return 0.0;
    value = (value - (double)mean[i]) / (double)scale[i];
    return clip == 0.0 ? value : fmin(fmax(value, -clip), clip);
}

/* Of a whole batch, in tiles of some columns and of all, for all options. */
static void test_formula(void) {
    static const pynn_layer layers[] = {STANDARDIZE(0.0f, 0), STANDARDIZE(0.75f, 0), STANDARDIZE(0.0f, 1),
                                        STANDARDIZE(0.75f, 1)};
    static const pynn_tile tiles[] = {{0, 30, 0, WIDTH}, {30, ROWS, 0, 7}, {30, ROWS, 7, WIDTH}};
    float parameters[2 * WIDTH];
    memcpy(parameters, mean, sizeof mean);
    memcpy(parameters + WIDTH, scale, sizeof scale);
    for (size_t l = 0; l < COUNT_OF(layers); l++) {
        const pynn_placed_layer at = {.type = pynn_layer_type_of(PYNN_STANDARDIZE),
                                      .layer = layers[l],
                                      .inputs = WIDTH,
                                      .outputs = WIDTH,
                                      .parameter_count = 2 * WIDTH};
        const pynn_layer_call call = {
            .layer = &at, .rows = ROWS, .parameters = parameters, .x = x, .y = out};
        float kept = x[37 * WIDTH + 5];
        if (layers[l].standardize.missing) x[37 * WIDTH + 5] = x[0] = NAN;
        for (size_t t = 0; t < COUNT_OF(tiles); t++) at.type->forward(&call, tiles[t]);
        size_t cut = 0;
        for (size_t i = 0; i < ROWS * WIDTH; i++) {
            double right = expected(&layers[l].standardize, i);
            CHECK(fabs((double)out[i] - right) <= 4e-7 * (1.0 + fabs(right)));
            cut += fabs((double)out[i]) == 0.75;
        }
        CHECK((cut > 50) == (layers[l].standardize.clip > 0.0f));
        x[37 * WIDTH + 5] = kept;
        x[0] = 50.0f;
    }
}

/* The gradient of its parameters is 0, and that of the others is the one without the layer, on features
 * that are standardized already. */
static void test_gradient(void) {
    float parameters[COUNT], gradients[COUNT], plain[COUNT], scaled[ROWS * WIDTH];
    pynn_network *network = create((pynn_layer)STANDARDIZE(0.0f, 0), parameters, true);
    CHECK_EQ(pynn_network_parameter_count(network), COUNT);
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    pynn_sums sums = {0}, same = {0};
    for (size_t i = 0; i < COUNT; i++) gradients[i] = NAN;
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, NULL, parameters, gradients, &sums), PYNN_OK);
    for (size_t i = 0; i < 2 * WIDTH; i++) CHECK(gradients[i] == 0.0f);

    const pynn_layer layers[] = {HE(HIDDEN), TANH, HE(CLASSES)};
    pynn_network *without = create_network(WIDTH, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *other = create_workspace(without, NULL, ROWS);
    for (size_t i = 0; i < ROWS * WIDTH; i++) scaled[i] = (x[i] - mean[i % WIDTH]) / scale[i % WIDTH];
    pynn_data standard = data;
    standard.features = scaled;
    CHECK_EQ(pynn_gradient(other, &standard, NULL, ROWS, NULL, parameters + 2 * WIDTH, plain, &same),
             PYNN_OK);
    CHECK(sums.loss == same.loss);
    size_t nonzero = 0;
    for (size_t i = 0; i < COUNT - 2 * WIDTH; i++) {
        CHECK(gradients[2 * WIDTH + i] == plain[i]);
        nonzero += plain[i] != 0.0f;
    }
    CHECK(nonzero > COUNT / 2);
    pynn_workspace_destroy(other);
    pynn_network_destroy(without);
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

/* Neither plain SGD nor Adam with weight decay moves mean and scale; both move the weights. */
static void test_training(void) {
    static float moments[3][COUNT];
    for (int is_adam = 0; is_adam < 2; is_adam++) {
        float parameters[COUNT], before[COUNT];
        pynn_network *network = create((pynn_layer)STANDARDIZE(3.0f, 0), parameters, true);
        pynn_workspace *workspace = create_workspace(network, NULL, 32);
        pynn_optimizer optimizer = SGD(0.1);
        if (is_adam)
            optimizer = (pynn_optimizer){.kind = PYNN_ADAMW,
                                         .learning_rate = 0.01,
                                         .weight_decay = 0.1,
                                         .adamw = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}};
        pynn_state state = {.gradients = moments[0], .first = moments[1], .second = moments[2]};
        pynn_sums sums = {0};
        memcpy(before, parameters, sizeof before);
        CHECK_EQ(pynn_train(workspace, &data, NULL, ROWS, 32, 0, 3, &optimizer, &state, parameters, &sums),
                 PYNN_OK);
        CHECK(memcmp(before, parameters, 2 * WIDTH * sizeof(float)) == 0);
        CHECK(memcmp(before + 2 * WIDTH, parameters + 2 * WIDTH, WIDTH * sizeof(float)) != 0);
        pynn_workspace_destroy(workspace);
        pynn_network_destroy(network);
    }
}

/* A function that draws in training, behind it in the same stage, keeps no factors: there is no dX. */
static void test_in_a_stage(void) {
    const pynn_layer layers[] = {STANDARDIZE(0.0f, 0), DROPOUT(0.5f), RELU, HE(CLASSES)};
    enum { OWN = 2 * WIDTH + WIDTH * CLASSES + CLASSES };
    float parameters[OWN], gradients[OWN];
    pynn_network *network = create_network(WIDTH, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    memcpy(parameters, mean, sizeof mean);
    memcpy(parameters + WIDTH, scale, sizeof scale);
    pynn_state state = {.seed = 5};
    pynn_sums sums = {0};
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, &state, parameters, gradients, &sums), PYNN_OK);
    CHECK(pynn_all_finite(OWN, gradients) && gradients[2 * WIDTH] != 0.0f);
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

/* Every function says that there is no scale yet, and writes nothing. */
static void test_not_fitted(void) {
    float parameters[COUNT], gradients[COUNT], logits[ROWS * CLASSES];
    pynn_network *network = create((pynn_layer)STANDARDIZE(0.0f, 0), parameters, false);
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    pynn_optimizer optimizer = SGD(0.1);
    pynn_sums sums = {0};
    gradients[0] = logits[0] = 42.0f;
    for (size_t last = 0; last < 2; last++) {
        CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, NULL, parameters, gradients, &sums),
                 PYNN_NOT_FITTED);
        CHECK_EQ(pynn_train(workspace, &data, NULL, ROWS, ROWS, 0, 1, &optimizer, NULL, parameters, &sums),
                 PYNN_NOT_FITTED);
        CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, parameters, &sums), PYNN_NOT_FITTED);
        CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, parameters, PYNN_LOGITS, logits), PYNN_NOT_FITTED);
        for (size_t i = 0; i + 1 < WIDTH; i++) parameters[WIDTH + i] = 1.0f; /* all but the last */
    }
    CHECK(gradients[0] == 42.0f && logits[0] == 42.0f && sums.rows == 0);
    parameters[2 * WIDTH - 1] = 1.0f;
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, parameters, &sums), PYNN_OK);
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

/* NaN may enter where values may be missing, and nowhere else; infinity never. */
static void test_missing(void) {
    static const struct {
        int missing;
        float value;
        pynn_status status;
    } cases[] = {{0, NAN, PYNN_NOT_FINITE},
                 {1, NAN, PYNN_OK},
                 {0, -INFINITY, PYNN_NOT_FINITE},
                 {1, -INFINITY, PYNN_NOT_FINITE},
                 {1, INFINITY, PYNN_NOT_FINITE}};
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        float parameters[COUNT], logits[ROWS * CLASSES], kept = x[WIDTH + 2];
        pynn_network *network = create((pynn_layer)STANDARDIZE(2.0f, cases[c].missing), parameters, true);
        pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
        x[WIDTH + 2] = cases[c].value;
        CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, parameters, PYNN_LOGITS, logits), cases[c].status);
        CHECK(cases[c].status != PYNN_OK || pynn_all_finite(ROWS * CLASSES, logits));
        x[WIDTH + 2] = kept;
        pynn_workspace_destroy(workspace);
        pynn_network_destroy(network);
    }
}

static void test_refusals(void) {
    static const pynn_layer wrong[] = {STANDARDIZE(-1.0f, 0), STANDARDIZE(INFINITY, 0), STANDARDIZE(NAN, 0),
                                       STANDARDIZE(0.0f, 2), STANDARDIZE(0.0f, -1)};
    const pynn_loss loss = SOFTMAX_CROSS_ENTROPY;
    pynn_network *network;
    for (size_t w = 0; w < COUNT_OF(wrong); w++) {
        const pynn_layer layers[] = {wrong[w], HE(2)};
        CHECK_EQ(pynn_network_create(NULL, 3, layers, 2, &loss, &network), PYNN_INVALID_ARGUMENT);
    }
    const pynn_layer second[] = {RELU, STANDARDIZE(0.0f, 0), HE(2)};
    CHECK_EQ(pynn_network_create(NULL, 3, second, 3, &loss, &network), PYNN_INVALID_ARGUMENT);
    const pynn_layer alone[] = {STANDARDIZE(FLT_MAX, 1)};
    CHECK_EQ(pynn_network_create(NULL, 3, alone, 1, &loss, &network), PYNN_NO_DENSE_LAYER);
}

/* ---------------------------------------------------------------- targets */

enum { VALUES = 2, OWN = WIDTH * VALUES + VALUES };

/* A network whose targets are standardized, by some mean and scale, does what one does on targets that are
 * standardized before: the same loss, gradients and steps. Its outputs and errors are in the units of the
 * targets. */
static void test_targets(void) {
    static float t[ROWS * VALUES], standard[ROWS * VALUES];
    static const float of_targets[2 * VALUES] = {-20.0f, 3000.0f, 0.5f, 700.0f};
    const pynn_layer layers[] = {HE(VALUES)};
    pynn_loss loss = MEAN_SQUARED_ERROR;
    loss.mean_squared_error.standardize = 2;
    pynn_network *network;
    CHECK_EQ(pynn_network_create(NULL, WIDTH, layers, 1, &loss, &network), PYNN_INVALID_ARGUMENT);
    loss.mean_squared_error.standardize = 1;
    network = create_network(WIDTH, layers, 1, loss);
    pynn_network *plain = create_network(WIDTH, layers, 1, MEAN_SQUARED_ERROR);
    CHECK_EQ(pynn_network_parameter_count(network), OWN + 2 * VALUES);
    pynn_parameter_view view;
    CHECK_EQ(pynn_network_view(network, 3, &view), PYNN_OK);
    CHECK(view.layer == 1 && view.offset == OWN + VALUES && !view.trained && !view.decays);
    CHECK_STR(view.name, "scale");
    CHECK_EQ(pynn_network_view(network, 4, &view), PYNN_INVALID_ARGUMENT);

    pynn_random_normal(1, 5, 0, ROWS * VALUES, 0.0f, 1.0f, t);
    for (size_t i = 0; i < ROWS * VALUES; i++) {
        float shift = of_targets[i % VALUES], factor = of_targets[VALUES + i % VALUES];
        t[i] = t[i] * factor + shift;
        standard[i] = (t[i] - shift) / factor;
    }
    pynn_data scaled = data, raw = data;
    raw.targets = t;
    scaled.targets = standard;
    float own[OWN + 2 * VALUES], twin[OWN], gradients[OWN + 2 * VALUES], same[OWN];
    double errors[2 * VALUES] = {0}, same_errors[2 * VALUES] = {0};
    CHECK_EQ(pynn_network_initialize(network, 3, own), PYNN_OK);
    CHECK_EQ(pynn_network_initialize(plain, 3, twin), PYNN_OK);
    for (size_t i = 0; i < OWN; i++) own[i] = twin[i] = twin[i] * 0.01f; /* the features are large */
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    pynn_workspace *other = create_workspace(plain, NULL, ROWS);
    pynn_sums sums = {.errors = errors}, sums_of_twin = {.errors = same_errors};
    CHECK_EQ(pynn_gradient(workspace, &raw, NULL, ROWS, NULL, own, gradients, &sums), PYNN_NOT_FITTED);
    memcpy(own + OWN, of_targets, sizeof of_targets);
    for (size_t i = 0; i < OWN + 2 * VALUES; i++) gradients[i] = NAN;
    CHECK_EQ(pynn_gradient(workspace, &raw, NULL, ROWS, NULL, own, gradients, &sums), PYNN_OK);
    CHECK_EQ(pynn_gradient(other, &scaled, NULL, ROWS, NULL, twin, same, &sums_of_twin), PYNN_OK);
    CHECK(sums.loss == sums_of_twin.loss && memcmp(gradients, same, sizeof same) == 0);
    for (size_t i = 0; i < 2 * VALUES; i++) CHECK(gradients[OWN + i] == 0.0f);
    for (size_t o = 0; o < VALUES; o++) {
        double factor = (double)of_targets[VALUES + o];
        CHECK(fabs(errors[o] - factor * same_errors[o]) <= 1e-12 * errors[o]);
        CHECK(fabs(errors[VALUES + o] - factor * factor * same_errors[VALUES + o]) <=
              1e-12 * errors[VALUES + o]);
    }

    pynn_optimizer optimizer = SGD(1e-4);
    CHECK_EQ(pynn_train(workspace, &raw, NULL, ROWS, 32, 0, 3, &optimizer, NULL, own, &sums), PYNN_OK);
    CHECK_EQ(pynn_train(other, &scaled, NULL, ROWS, 32, 0, 3, &optimizer, NULL, twin, &sums_of_twin),
             PYNN_OK);
    CHECK(memcmp(own, twin, sizeof twin) == 0 && memcmp(own + OWN, of_targets, sizeof of_targets) == 0);
    float y[ROWS * VALUES], z[ROWS * VALUES];
    CHECK_EQ(pynn_predict(workspace, &raw, 0, ROWS, own, PYNN_LOGITS, y), PYNN_OK);
    CHECK_EQ(pynn_predict(other, &scaled, 0, ROWS, twin, PYNN_LOGITS, z), PYNN_OK);
    for (size_t i = 0; i < ROWS * VALUES; i++) {
        float right = z[i] * of_targets[VALUES + i % VALUES] + of_targets[i % VALUES];
        CHECK(fabsf(y[i] - right) <= 1e-6f * (fabsf(right) + fabsf(of_targets[i % VALUES])));
    }
    pynn_workspace_destroy(other);
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(plain);
    pynn_network_destroy(network);
}

/* A step leaves a frozen layer and the scale of the targets, which belongs to no layer, as they are. */
static void test_targets_behind_a_frozen_layer(void) {
    enum { UNITS = 3, FIRST = WIDTH * UNITS + UNITS, ALL = FIRST + UNITS * VALUES + 3 * VALUES };
    pynn_layer layers[] = {HE(UNITS), HE(VALUES)};
    layers[0].frozen = 1;
    pynn_loss loss = MEAN_SQUARED_ERROR;
    loss.mean_squared_error.standardize = 1;
    pynn_network *network = create_network(WIDTH, layers, 2, loss);
    float own[ALL], before[ALL];
    CHECK_EQ(pynn_network_parameter_count(network), ALL);
    CHECK_EQ(pynn_network_initialize(network, 3, own), PYNN_OK);
    for (size_t i = 0; i < ALL - 2 * VALUES; i++) own[i] *= 0.01f; /* the features are large */
    for (size_t o = 0; o < VALUES; o++) own[ALL - 1 - o] = 2.0f;
    memcpy(before, own, sizeof own);
    pynn_workspace *workspace = create_workspace(network, NULL, ROWS);
    pynn_optimizer optimizer = {
        .kind = PYNN_SGD, .learning_rate = 1e-4, .weight_decay = 0.1, .max_norm = 1.0};
    pynn_state state = {1, 0, 0, NULL, NULL, NULL};
    float gradients[ALL];
    state.gradients = gradients;
    pynn_sums sums = {0};
    static const float zeros[ROWS * VALUES];
    pynn_data raw = data;
    raw.targets = zeros;
    CHECK_EQ(pynn_train(workspace, &raw, NULL, ROWS, 32, 0, 1, &optimizer, &state, own, &sums), PYNN_OK);
    CHECK(memcmp(own, before, FIRST * sizeof *own) == 0);
    CHECK(memcmp(own + FIRST, before + FIRST, UNITS * VALUES * sizeof *own) != 0);
    CHECK(memcmp(own + ALL - 2 * VALUES, before + ALL - 2 * VALUES, 2 * VALUES * sizeof *own) == 0);
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

int main(void) {
    fill();
    test_targets();
    test_targets_behind_a_frozen_layer();
    test_formula();
    test_gradient();
    test_training();
    test_in_a_stage();
    test_not_fitted();
    test_missing();
    test_refusals();
    return check_failures();
}
