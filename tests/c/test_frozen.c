/* test_frozen.c: frozen layers stay as they are, whatever the optimizer; and the other layers get the same
 * gradients, bit for bit, although less is computed. */
#include "helpers.h"
#include "internal.h"

enum { ROWS = 70, CLASSES = 3, MOST_INPUTS = 300, MOST_PARAMETERS = 45000 };

static float features[ROWS * MOST_INPUTS];
static int32_t labels[ROWS];

/* Most features are 0, so that the first layer may read them as sparse rows. */
static pynn_data examples(pynn_path path) {
    pynn_random_normal(3, 7, 0, ROWS * MOST_INPUTS, 0.0f, 1.0f, features);
    for (size_t i = 0; i < ROWS * MOST_INPUTS; i++) {
        if (i * 2654435761u >> 7 & 3) features[i] = 0.0f;
    }
    fill_labels(ROWS, CLASSES, labels);
    return (pynn_data){features, PYNN_FEATURES_FLOAT32, ROWS, labels, path};
}

typedef struct chain {
    pynn_shape inputs;
    pynn_layer layers[9];
    size_t layer_count;
    pynn_path path;
} chain;

/* A W of (300, 130) is large enough to be cut into tiles. */
static const chain chains[] = {
    {{20, 1, 1}, {HE(9), RELU, HE(8), TANH, HE(7), SIGMOID, HE(CLASSES)}, 7, PYNN_PATH_DENSE},
    {{300, 1, 1},
     {HE(130), RELU, DROPOUT(0.3f), HE(6), LAYER_NORM(1e-5f), HE(CLASSES)},
     6,
     PYNN_PATH_SPARSE},
    {{300, 1, 1}, {HE(130), TANH, HE(CLASSES)}, 3, PYNN_PATH_DENSE},
    {{1, 12, 12},
     {CONV2D(4, 3, 1, 1), RELU, MAX_POOL2D(2), CONV2D(6, 3, 1, 2), BATCH_NORM(0.1f, 1e-5f), FLATTEN,
      HE(CLASSES)},
     7,
     PYNN_PATH_DENSE},
};

/* The chain, with those of its layers frozen whose bits are set. */
static pynn_network *create(const chain *it, unsigned frozen) {
    pynn_layer layers[9];
    memcpy(layers, it->layers, sizeof layers);
    for (size_t l = 0; l < it->layer_count; l++) layers[l].frozen = (int)(frozen >> l & 1);
    pynn_network *network = create_shaped(it->inputs, layers, it->layer_count, SOFTMAX_CROSS_ENTROPY);
    if (!CHECK(pynn_network_parameter_count(network) <= MOST_PARAMETERS)) exit(check_failures());
    return network;
}

/* Memory that is full of NaN, and not of what an earlier test has computed there. */
static void *allocate_nan(void *context, size_t nbytes) {
    (void)context;
    void *memory = malloc(nbytes);
    if (memory != NULL) memset(memory, 0xFF, nbytes);
    return memory;
}

static pynn_workspace *create_poisoned(const pynn_network *network, pynn_team *team, size_t max_batch) {
    static const pynn_allocator allocator = {allocate_nan, plain_release, NULL};
    pynn_workspace *workspace;
    if (!CHECK_EQ(pynn_workspace_create(&allocator, network, team, max_batch, &workspace), PYNN_OK))
        exit(check_failures());
    return workspace;
}

/* The number of floats of view number `v`. */
static size_t size_of(const pynn_network *network, size_t v) {
    size_t next = v + 1 < network->view_count ? network->views[v + 1].offset : network->parameter_count;
    return next - network->views[v].offset;
}

static bool is_frozen(const pynn_network *network, size_t v) {
    return network->layers[network->views[v].layer].layer.frozen;
}

/* ---------------------------------------------------------------- gradients */

static void find_gradient(const chain *it, unsigned frozen, pynn_team *team, float *gradients) {
    const pynn_data data = examples(it->path);
    static float parameters[MOST_PARAMETERS];
    pynn_network *network = create(it, frozen);
    pynn_workspace *workspace = create_poisoned(network, team, ROWS);
    pynn_state state = {.seed = 5};
    pynn_sums sums = {0};
    CHECK_EQ(pynn_network_initialize(network, 1, parameters), PYNN_OK);
    for (size_t i = 0; i < network->parameter_count; i++) gradients[i] = 9.0f; /* rubbish */
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, &state, parameters, gradients, &sums), PYNN_OK);
    destroy(workspace, network);
}

/* The gradients of trained layers have the bits that they have without frozen layers, those of frozen
 * layers are 0. A frozen batch_norm, bit 4 of the last chain, computes something else, so it is not frozen
 * here. */
static void test_gradients(const chain *it, unsigned frozen, size_t threads) {
    static float expected[MOST_PARAMETERS], actual[MOST_PARAMETERS];
    static const float zeros[MOST_PARAMETERS];
    pynn_team *team = create_team(threads);
    pynn_network *network = create(it, frozen);
    find_gradient(it, 0, team, expected);
    find_gradient(it, frozen, team, actual);
    for (size_t v = 0; v < network->view_count; v++) {
        size_t offset = network->views[v].offset;
        const float *right = is_frozen(network, v) ? zeros : expected + offset;
        CHECK_BYTES(actual + offset, right, size_of(network, v) * sizeof(float));
    }
    pynn_network_destroy(network);
    pynn_team_destroy(team);
}

/* Nothing goes backward below the first layer that is trained, and there is no memory for it. */
static void test_less_is_done(void) {
    pynn_network *whole = create(&chains[0], 0), *frozen = create(&chains[0], 1 << 0 | 1 << 2);
    CHECK_EQ(whole->first_trained, 0);
    CHECK_EQ(frozen->first_trained, 2);
    CHECK_EQ(frozen->step_count, whole->step_count - 2);
    CHECK(!whole->has_frozen && frozen->has_frozen);
    pynn_workspace *more = create_poisoned(whole, NULL, ROWS), *less = create_poisoned(frozen, NULL, ROWS);
    CHECK(pynn_workspace_nbytes(less) < pynn_workspace_nbytes(more));
    pynn_workspace_destroy(more);
    destroy(less, frozen);
    pynn_network_destroy(whole);
    pynn_network *none = create(&chains[0], 1 << 1); /* a ReLU has nothing to freeze */
    CHECK(!none->has_frozen);
    pynn_network_destroy(none);
}

/* A view of a frozen layer is not trained. */
static void test_views(void) {
    pynn_network *network = create(&chains[0], 1 << 2);
    pynn_parameter_view view;
    for (size_t v = 0; v < pynn_network_view_count(network); v++) {
        CHECK_EQ(pynn_network_view(network, v, &view), PYNN_OK);
        CHECK_EQ(view.trained, view.layer != 2);
    }
    pynn_network_destroy(network);
}

/* ---------------------------------------------------------------- training */

typedef struct trained {
    float parameters[MOST_PARAMETERS];
    float gradients[MOST_PARAMETERS];
    float first[MOST_PARAMETERS];
    float second[MOST_PARAMETERS];
    pynn_sums sums;
} trained;

static const pynn_optimizer optimizers[] = {
    SGD(0.05f),
    {.kind = PYNN_SGD,
     .learning_rate = 0.05,
     .weight_decay = 0.1,
     .max_norm = 0.5,
     .sgd = {.momentum = 0.9}},
    {.kind = PYNN_ADAM, .learning_rate = 0.01, .adam = {0.9, 0.999, 1e-8}},
    {.kind = PYNN_ADAMW, .learning_rate = 0.01, .weight_decay = 0.1, .adamw = {0.9, 0.999, 1e-8}},
};

/* Train two epochs from parameters, moments and gradients that are not zero. */
static void train(const chain *it, unsigned frozen, const pynn_optimizer *optimizer, size_t threads,
                  trained *out) {
    const pynn_data data = examples(it->path);
    pynn_team *team = create_team(threads);
    pynn_network *network = create(it, frozen);
    pynn_workspace *workspace = create_poisoned(network, team, 32);
    pynn_state state = {5, 0, 0, out->gradients, out->first, out->second};
    CHECK_EQ(pynn_network_initialize(network, 1, out->parameters), PYNN_OK);
    for (size_t i = 0; i < network->parameter_count; i++) {
        out->gradients[i] = NAN;
        out->first[i] = out->second[i] = 0.01f;
    }
    out->sums = (pynn_sums){0};
    for (size_t epoch = 0; epoch < 2; epoch++)
        CHECK_EQ(pynn_train(workspace, &data, NULL, ROWS, 32, 0, 3, optimizer, &state, out->parameters,
                            &out->sums),
                 PYNN_OK);
    destroy(workspace, network);
    pynn_team_destroy(team);
}

/* Parameters and moments of frozen layers keep their bits, the others change; the number of threads changes
 * no bit. What the gradients of frozen layers hold, here NaN, is never read. */
static void test_training(const chain *it, unsigned frozen, const pynn_optimizer *optimizer) {
    static trained one, three;
    static float initial[MOST_PARAMETERS], moments[MOST_PARAMETERS];
    train(it, frozen, optimizer, 1, &one);
    train(it, frozen, optimizer, 3, &three);
    pynn_network *network = create(it, frozen);
    CHECK_EQ(pynn_network_initialize(network, 1, initial), PYNN_OK);
    for (size_t i = 0; i < MOST_PARAMETERS; i++) moments[i] = 0.01f;
    size_t nbytes = network->parameter_count * sizeof(float);
    CHECK_BYTES(one.parameters, three.parameters, nbytes);
    CHECK_BYTES(one.first, three.first, nbytes);
    CHECK_BYTES(one.second, three.second, nbytes);
    size_t needs = pynn_optimizer_needs(optimizer);
    for (size_t v = 0; v < network->view_count; v++) {
        size_t offset = network->views[v].offset, part = size_of(network, v) * sizeof(float);
        bool same = memcmp(one.parameters + offset, initial + offset, part) == 0;
        CHECK_EQ(same, is_frozen(network, v));
        if (!is_frozen(network, v)) continue;
        CHECK_BYTES(one.first + offset, moments, needs >= 2 ? part : 0);
        CHECK_BYTES(one.second + offset, moments, needs >= 3 ? part : 0);
    }
    pynn_network_destroy(network);
}

/* With all layers frozen training computes the loss that evaluation does, and changes nothing. */
static void test_all_frozen(const chain *it, const pynn_optimizer *optimizer) {
    static trained out;
    static float initial[MOST_PARAMETERS];
    const pynn_data data = examples(it->path);
    pynn_network *network = create(it, ~0u);
    pynn_workspace *workspace = create_poisoned(network, NULL, ROWS);
    train(it, ~0u, optimizer, 2, &out);
    CHECK_EQ(pynn_network_initialize(network, 1, initial), PYNN_OK);
    CHECK_BYTES(out.parameters, initial, network->parameter_count * sizeof(float));
    CHECK_EQ(out.sums.rows, 2 * ROWS);
    pynn_sums sums = {0};
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, initial, &sums), PYNN_OK);
    bool drops = it == &chains[1];
    if (!drops) CHECK_NEAR(out.sums.loss, 2.0 * sums.loss, 1e-4 * sums.loss);
    destroy(workspace, network);
}

/* max_norm counts the gradients of trained layers alone: one step of SGD, computed from the gradient. */
static void test_max_norm(void) {
    const chain *it = &chains[0];
    static float parameters[MOST_PARAMETERS], gradients[MOST_PARAMETERS], steps[MOST_PARAMETERS];
    const pynn_data data = examples(it->path);
    const pynn_optimizer optimizer = {.kind = PYNN_SGD, .learning_rate = 1.0, .max_norm = 0.01};
    pynn_network *network = create(it, 1 << 2);
    pynn_workspace *workspace = create_poisoned(network, NULL, ROWS);
    pynn_state state = {.gradients = steps};
    pynn_sums sums = {0};
    double squares = 0.0;
    CHECK_EQ(pynn_network_initialize(network, 1, parameters), PYNN_OK);
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, NULL, parameters, gradients, &sums), PYNN_OK);
    for (size_t i = 0; i < network->parameter_count; i++)
        squares += (double)gradients[i] * (double)gradients[i];
    for (size_t i = 0; i < network->parameter_count; i++) gradients[i] *= (float)(0.01 / sqrt(squares));
    for (size_t i = 0; i < network->parameter_count; i++) gradients[i] = parameters[i] - gradients[i];
    for (size_t i = 0; i < MOST_PARAMETERS; i++) steps[i] = 1e3f; /* those of the frozen layer stay so */
    CHECK_EQ(pynn_train(workspace, &data, NULL, ROWS, ROWS, 0, 1, &optimizer, &state, parameters, &sums),
             PYNN_OK);
    for (size_t i = 0; i < network->parameter_count; i++)
        CHECK_NEAR((double)parameters[i], (double)gradients[i], 1e-6);
    destroy(workspace, network);
}

/* ---------------------------------------------------------------- batch normalization */

/* A frozen batch_norm is the linear layer that it is in use: y = s x + t with s = g / sqrt(v' + eps). So
 * the layer below gets the gradient that a dense layer with these weights, frozen too, gives to it. */
static void test_batch_norm(void) {
    enum { WIDTH = 4 };
    const float eps = 1e-3f;
    const pynn_layer norm[] = {
        HE(WIDTH), {.kind = PYNN_BATCH_NORM, .frozen = 1, .batch_norm = {0.1f, eps}}, HE(CLASSES)};
    const pynn_layer dense[] = {
        HE(WIDTH), {.kind = PYNN_DENSE, .frozen = 1, .dense = {WIDTH, PYNN_INIT_HE}}, HE(CLASSES)};
    const pynn_data data = examples(PYNN_PATH_DENSE);
    float a[80] = {0}, b[80] = {0}, of_a[80], of_b[80];
    pynn_sums of_norm = {0}, of_dense = {0}, of_use = {0};
    pynn_network *network = create_network(6, norm, 3, SOFTMAX_CROSS_ENTROPY);
    pynn_network *linear = create_network(6, dense, 3, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_poisoned(network, NULL, ROWS),
                   *other = create_poisoned(linear, NULL, ROWS);
    const size_t at = 6 * WIDTH + WIDTH, last = WIDTH * CLASSES + CLASSES;
    float *own = a + at, *as_dense = b + at;
    CHECK_EQ(pynn_network_initialize(network, 2, a), PYNN_OK);
    pynn_random_uniform(4, 0, 0, 4 * WIDTH, 0.5f, 1.5f, own);
    memcpy(b, a, at * sizeof(float));
    memcpy(as_dense + WIDTH * WIDTH + WIDTH, own + 4 * WIDTH, last * sizeof(float));
    for (size_t c = 0; c < WIDTH; c++) {
        float scale = own[c] / sqrtf(own[3 * WIDTH + c] + eps);
        as_dense[c * WIDTH + c] = scale;
        as_dense[WIDTH * WIDTH + c] = own[WIDTH + c] - scale * own[2 * WIDTH + c];
    }
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, ROWS, NULL, a, of_a, &of_norm), PYNN_OK);
    CHECK_EQ(pynn_gradient(other, &data, NULL, ROWS, NULL, b, of_b, &of_dense), PYNN_OK);
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, a, &of_use), PYNN_OK);
    CHECK_NEAR(of_norm.loss, of_dense.loss, 1e-4);
    CHECK_NEAR(of_norm.loss, of_use.loss, 1e-4);
    double size = 0.0;
    for (size_t i = 0; i < at; i++) {
        CHECK_NEAR((double)of_a[i], (double)of_b[i], 1e-6);
        size += fabs((double)of_a[i]);
    }
    CHECK(size > 0.1); /* there is something to compare */
    for (size_t i = 0; i < last; i++)
        CHECK_NEAR((double)of_a[at + 4 * WIDTH + i], (double)of_b[at + WIDTH * WIDTH + WIDTH + i], 1e-6);
    destroy(workspace, network);
    destroy(other, linear);
}

int main(void) {
    static const unsigned sets[COUNT_OF(chains)][4] = {
        {1 << 0, 1 << 2, 1 << 0 | 1 << 2 | 1 << 4, 1 << 4 | 1 << 6},
        {1 << 0, 1 << 3, 1 << 0 | 1 << 4, 1 << 5},
        {1 << 0, 1 << 2, 0, 1 << 1},
        {1 << 0, 1 << 3, 1 << 0 | 1 << 3, 1 << 6},
    };
    for (size_t c = 0; c < COUNT_OF(chains); c++) {
        for (size_t s = 0; s < COUNT_OF(*sets); s++) test_gradients(&chains[c], sets[c][s], 1 + s % 2 * 2);
        for (size_t o = 0; o < COUNT_OF(optimizers); o++) {
            test_training(&chains[c], sets[c][o], &optimizers[o]);
            test_all_frozen(&chains[c], &optimizers[o]);
        }
    }
    test_training(&chains[3], 1 << 4, &optimizers[0]); /* the running means of a frozen batch_norm stay */
    test_training(&chains[3], 1 << 0 | 1 << 3 | 1 << 4, &optimizers[2]);
    test_less_is_done();
    test_views();
    test_max_norm();
    test_batch_norm();
    return check_failures();
}
