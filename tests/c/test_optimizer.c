/* test_optimizer.c: every optimizer is compared with its formula in double, with weighted examples; also
 * dropout of the inputs, and label smoothing and a wide binary cross-entropy against their definitions. */
#include "helpers.h"
#include "internal.h"

/* More parameters than one task updates, and not a multiple of 8. */
enum { ROWS = 8, INPUTS = 140, HIDDEN = 120, CLASSES = 3 };
enum { SECOND = INPUTS * HIDDEN + HIDDEN, PARAMETERS = SECOND + HIDDEN * CLASSES + CLASSES };

static float features[ROWS * INPUTS], weights[ROWS];
static int32_t labels[ROWS];
static float parameters[PARAMETERS], gradients[PARAMETERS], buffer[PARAMETERS], first[PARAMETERS],
    second[PARAMETERS];
static double p[PARAMETERS], m[PARAMETERS], v[PARAMETERS];

static bool is_weight(size_t i) {
    return i < INPUTS * HIDDEN || (i >= SECOND && i < SECOND + HIDDEN * CLASSES);
}

/* The formulas of pynn.h: g is the gradient, in `gradients`; t is the number of the update. */
static void expect_step(const pynn_optimizer *o, double t) {
    const pynn_adam_options *adam = o->kind == PYNN_ADAM ? &o->adam : &o->adamw;
    double squares = 0.0, clip = 1.0;
    for (size_t i = 0; i < PARAMETERS; i++) squares += (double)gradients[i] * (double)gradients[i];
    if (o->max_norm > 0.0 && o->max_norm < sqrt(squares)) clip = o->max_norm / (sqrt(squares) + 1e-6);
    for (size_t i = 0; i < PARAMETERS; i++) {
        const double decay = is_weight(i) ? o->weight_decay : 0.0, r = o->learning_rate;
        double g = clip * (double)gradients[i];
        if (o->kind == PYNN_ADAMW)
            p[i] -= r * decay * p[i];
        else
            g += decay * p[i];
        if (o->kind == PYNN_SGD) {
            const double into = o->sgd.keeps_speed ? r : 1, out = o->sgd.keeps_speed ? 1 : r;
            m[i] = o->sgd.momentum * m[i] + into * g;
            p[i] -= out * (o->sgd.nesterov ? into * g + o->sgd.momentum * m[i] : m[i]);
        } else {
            m[i] = adam->beta1 * m[i] + (1 - adam->beta1) * g;
            v[i] = adam->beta2 * v[i] + (1 - adam->beta2) * g * g;
            p[i] -= r * (m[i] / (1 - pow(adam->beta1, t))) /
                    (sqrt(v[i] / (1 - pow(adam->beta2, t))) + adam->eps);
        }
    }
}

/* Three steps, each at half the rate of the one before. */
static void test_steps(pynn_optimizer optimizer, pynn_team *team) {
    const pynn_layer layers[] = {HE(HIDDEN), RELU, HE(CLASSES)};
    const pynn_loss loss = SMOOTHED_CROSS_ENTROPY(0.2f);
    const pynn_data data = {.features = features,
                            .feature_type = PYNN_FEATURES_FLOAT32,
                            .rows = ROWS,
                            .labels = labels,
                            .weights = weights};
    pynn_state state = {.gradients = buffer, .first = first, .second = second};
    pynn_network *network = create_network(INPUTS, layers, 3, loss);
    pynn_workspace *workspace = create_workspace(network, team, ROWS);
    CHECK_EQ(pynn_network_parameter_count(network), PARAMETERS);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    for (size_t i = 0; i < PARAMETERS; i++) p[i] = (double)parameters[i];
    for (int step = 1; step <= 3; step++, optimizer.learning_rate /= 2.0) {
        pynn_sums sums = {0};
        CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, NULL, parameters, gradients, &sums), PYNN_OK);
        expect_step(&optimizer, step);
        CHECK_EQ(
            pynn_train(workspace, &data, NULL, ROWS, ROWS, 0, 1, &optimizer, &state, parameters, &sums),
            PYNN_OK);
        for (size_t i = 0; i < PARAMETERS; i++) {
            if (!CHECK_NEAR(parameters[i], p[i], 2e-6)) break;
            p[i] = (double)parameters[i]; /* so that rounding errors do not add up */
        }
        CHECK_EQ(state.step, step);
    }
    destroy(workspace, network);
}

#define ADAM_OPTIONS {0.8, 0.95, 1e-3}

static void test_optimizers(void) {
    const pynn_optimizer optimizers[] = {
        SGD(0.1),
        {.kind = PYNN_SGD, .learning_rate = 0.1, .weight_decay = 0.5},
        {.kind = PYNN_SGD, .learning_rate = 0.1, .max_norm = 0.1},
        {.kind = PYNN_SGD, .learning_rate = 0.1, .max_norm = 1e9},
        {.kind = PYNN_SGD, .learning_rate = 0.1, .sgd.momentum = 0.5},
        {.kind = PYNN_SGD,
         .learning_rate = 0.1,
         .sgd.momentum = 0.5,
         .sgd.nesterov = 1,
         .weight_decay = 0.1},
        {.kind = PYNN_SGD,
         .learning_rate = 0.1,
         .sgd.momentum = 0.5,
         .sgd.keeps_speed = 1,
         .weight_decay = 0.1},
        {.kind = PYNN_SGD,
         .learning_rate = 0.1,
         .sgd.momentum = 0.5,
         .sgd.keeps_speed = 1,
         .sgd.nesterov = 1},
        {.kind = PYNN_ADAM, .learning_rate = 0.01, .adam = ADAM_OPTIONS},
        {.kind = PYNN_ADAM,
         .learning_rate = 0.01,
         .adam = ADAM_OPTIONS,
         .weight_decay = 0.1,
         .max_norm = 0.5},
        {.kind = PYNN_ADAMW, .learning_rate = 0.01, .adamw = ADAM_OPTIONS, .weight_decay = 0.5},
    };
    CHECK_EQ(pynn_optimizer_needs(&(pynn_optimizer){.kind = (pynn_optimizer_kind)99}), 0);
    pynn_team *team = create_team(2);
    for (size_t k = 0; k < COUNT_OF(optimizers); k++) {
        const int before = check_failed;
        test_steps(optimizers[k], team);
        if (check_failed > before) printf("    optimizer %zu\n", k);
    }
    pynn_team_destroy(team);
}

/* y = sum_i m_i x_i w_i + b with all x = 1, w = 0, b = 0 and t = -1/2. So dy = 1, and a step at rate 1
 * gives w = -m. There are more inputs than factors are drawn at a time. */
static void test_dropped_inputs(void) {
    enum { WIDTH = 100 };
    const pynn_layer layers[] = {DROPOUT(0.5f), HE(1)};
    const pynn_optimizer sgd = SGD(1.0);
    const float target = -0.5f;
    float x[WIDTH], w[WIDTH + 1] = {0}, mask[WIDTH];
    for (size_t i = 0; i < WIDTH; i++) x[i] = 1.0f;
    const pynn_data data = {
        .features = x, .feature_type = PYNN_FEATURES_FLOAT32, .rows = 1, .targets = &target};
    pynn_state state = {.seed = 9, .step = 4};
    const pynn_loss loss = MEAN_SQUARED_ERROR;
    pynn_network *network = create_network(WIDTH, layers, 2, loss);
    pynn_workspace *workspace = create_workspace(network, NULL, 1);
    pynn_sums sums = {0};
    CHECK_EQ(pynn_train(workspace, &data, NULL, 1, 1, 0, 1, &sgd, &state, w, &sums), PYNN_OK);
    pynn_dropout_mask(9, 4, 0, 0.5f, 0, WIDTH, mask);
    size_t dropped = 0;
    for (size_t i = 0; i < WIDTH; i++) {
        /* dW = x m dy = 2 (0 + 1/2) m */
        CHECK_NEAR(w[i], -(double)mask[i], 1e-7);
        dropped += mask[i] == 0.0f;
    }
    CHECK(dropped > 30 && dropped < 70);
    CHECK_NEAR(w[WIDTH], -1.0, 1e-7);
    CHECK_NEAR(sums.loss, 0.25, 1e-7);
    destroy(workspace, network);
}

/* A gradient of norm 1e-6 is halved by max_norm = 1e-6, because 1e-6 is added to its norm. A zero gradient
 * stays zero. */
static void test_clip_of_short_gradient(void) {
    const pynn_layer layer = HE(1);
    const pynn_loss loss = MEAN_SQUARED_ERROR;
    const pynn_optimizer sgd = {.kind = PYNN_SGD, .learning_rate = 1.0, .max_norm = 1e-6};
    const float lengths[] = {1e-6f, 0.0f};
    pynn_network *network = create_network(1, &layer, 1, loss);
    pynn_workspace *workspace = create_workspace(network, NULL, 1);
    for (size_t k = 0; k < COUNT_OF(lengths); k++) {
        float own[2] = {0}, gradient[2] = {0.6f * lengths[k], -0.8f * lengths[k]};
        pynn_state state = {.gradients = gradient};
        pynn_update(workspace, &sgd, 1.0, &state, own);
        CHECK_NEAR(own[0], -0.3 * (double)lengths[k], 1e-12);
        CHECK_NEAR(own[1], 0.4 * (double)lengths[k], 1e-12);
    }
    destroy(workspace, network);
}

int main(void) {
    for (size_t i = 0; i < ROWS * INPUTS; i++) features[i] = (float)((i * 37 + i / 7) % 101) / 50.0f - 1.0f;
    for (size_t n = 0; n < ROWS; n++) {
        labels[n] = (int32_t)(n % CLASSES);
        weights[n] = (float)n / 4.0f;
    }
    test_optimizers();
    test_dropped_inputs();
    test_clip_of_short_gradient();
    return check_failures();
}
