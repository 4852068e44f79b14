/* test_images.c: networks of convolutions, pooling and normalization: finite differences, the same bits for
 * every number of threads, kept values, memory that is refused, and no allocation in a step. */
#include <stdint.h>

#include "helpers.h"

enum { ROWS = 150, INPUTS = 2 * 10 * 9, CLASSES = 3, MOST_LAYERS = 13, MOST_PARAMETERS = 3000 };

static float features[ROWS * INPUTS];
static int32_t labels[ROWS];
static const pynn_shape shape = {2, 10, 9};

typedef struct chain {
    size_t count;
    pynn_layer layers[MOST_LAYERS];
} chain;

static const chain chains[] = {
    {6, {CONV2D(6, 3, 0, 1), RELU, MAX_POOL2D(2), CONV2D(4, 3, 1, 2), TANH, HE(CLASSES)}},
    {8,
     {CONV2D(8, 3, 1, 1), BATCH_NORM(0.1f, 1e-3f), RELU, MAX_POOL2D(2), CONV2D(8, 3, 1, 8),
      BATCH_NORM(0.2f, 1e-3f), GLOBAL_AVG_POOL, HE(CLASSES)}},
    {7,
     {BATCH_NORM(0.1f, 1e-3f), TANH, AVG_POOL2D(3), CONV2D(5, 1, 0, 1), FLATTEN, DROPOUT(0.25f),
      HE(CLASSES)}},
    {6, {HE(40), BATCH_NORM(0.1f, 1e-3f), RELU, HE(20), BATCH_NORM(0.5f, 1e-3f), HE(CLASSES)}},
    {4, {TANH, BATCH_NORM(0.1f, 1e-3f), SILU, HE(CLASSES)}}, /* batch_norm is the first that is trained */
    {4, {CONV2D(4, 5, 2, 1), SIGMOID, CONV2D(CLASSES, 3, 1, 1), HE(CLASSES)}},
};

static pynn_data some_data(void) {
    pynn_random_normal(1, 0, 0, ROWS * INPUTS, 0.5f, 1.0f, features);
    fill_labels(ROWS, CLASSES, labels);
    return (pynn_data){features, PYNN_FEATURES_FLOAT32, ROWS, labels};
}

static pynn_network *create_chain(const chain *of, float *parameters) {
    pynn_network *network = create_shaped(shape, of->layers, of->count, SOFTMAX_CROSS_ENTROPY);
    CHECK(pynn_network_parameter_count(network) <= MOST_PARAMETERS * 10);
    CHECK_EQ(pynn_network_initialize(network, 3, parameters), PYNN_OK);
    return network;
}

static float parameters[MOST_PARAMETERS * 10], gradients[MOST_PARAMETERS * 10],
    others[MOST_PARAMETERS * 10], first[MOST_PARAMETERS * 10], second[MOST_PARAMETERS * 10];

/* ---------------------------------------------------------------- finite differences */

/* The mean loss of the batch in training, and its gradient. */
static double loss_at(pynn_workspace *workspace, const pynn_data *data, size_t rows, const float *p,
                      float *gradient) {
    pynn_sums sums = {0};
    CHECK_EQ(pynn_gradient(workspace, data, NULL, rows, NULL, p, gradient, &sums), PYNN_OK);
    return sums.loss / (double)rows;
}

/* For each array of parameters: a small step along its gradient, forth and back, changes the loss by the
 * step times the square of the gradient. Numbers that are not trained have no gradient. */
static void check_differences(const chain *of, size_t rows) {
    const pynn_data data = some_data();
    pynn_network *network = create_chain(of, parameters);
    pynn_workspace *workspace = create_workspace(network, NULL, rows);
    const size_t count = pynn_network_parameter_count(network);
    loss_at(workspace, &data, rows, parameters, gradients);
    pynn_parameter_view view;
    for (size_t v = 0; pynn_network_view(network, v, &view) == PYNN_OK; v++) {
        double square = 0.0, losses[2];
        size_t size = 1;
        for (size_t d = 0; d < view.ndim; d++) size *= view.dims[d];
        for (size_t i = 0; i < size; i++)
            square += (double)gradients[view.offset + i] * (double)gradients[view.offset + i];
        if (!view.trained) CHECK_NEAR(square, 0.0, 0.0);
        const double step = 2e-3 / sqrt(square + 1e-12);
        for (int side = 0; side < 2; side++) {
            memcpy(others, parameters, count * sizeof(float));
            for (size_t i = 0; i < size; i++)
                others[view.offset + i] +=
                    (float)((side == 0 ? -step : step) * (double)gradients[view.offset + i]);
            losses[side] = loss_at(workspace, &data, rows, others, first);
        }
        const double slope = (losses[1] - losses[0]) / (2.0 * step);
        /* What batch normalization removes, such as the bias before it, has the gradient zero. */
        if (square < 1e-8) continue;
        if (!CHECK_NEAR(slope / square, 1.0, 2e-2)) printf("    %s of layer %zu\n", view.name, view.layer);
    }
    destroy(workspace, network);
}

/* ---------------------------------------------------------------- threads */

static size_t allocations;

static void *count_and_allocate(void *context, size_t nbytes) {
    allocations++;
    return plain_allocate(context, nbytes);
}

/* Train for some steps, in batches of 64 with a smaller one at the end; returns the loss. */
static double train(const chain *of, size_t threads, float *p) {
    const pynn_data data = some_data();
    const pynn_allocator allocator = {count_and_allocate, plain_release, NULL};
    const pynn_optimizer optimizer = {
        .kind = PYNN_ADAM, .learning_rate = 1e-3f, .adam = {0.9f, 0.999f, 1e-8f}};
    pynn_team *team = create_team(threads);
    pynn_network *network = create_chain(of, p);
    pynn_workspace *workspace = NULL;
    CHECK_EQ(pynn_workspace_create(&allocator, network, team, 64, &workspace), PYNN_OK);
    memset(first, 0, sizeof first);
    memset(second, 0, sizeof second);
    pynn_state state = {.gradients = gradients, .first = first, .second = second};
    pynn_sums sums = {0};
    const size_t before = allocations;
    CHECK_EQ(pynn_train(workspace, &data, NULL, ROWS, 64, 0, 3, &optimizer, &state, p, &sums), PYNN_OK);
    CHECK_EQ(allocations, before);
    destroy(workspace, network);
    pynn_team_destroy(team);
    return sums.loss;
}

static void check_threads(const chain *of) {
    memset(parameters, 0, sizeof parameters);
    memset(others, 0, sizeof others);
    const double loss = train(of, 1, parameters);
    for (size_t threads = 2; threads <= 5; threads++) {
        const double other = train(of, threads, others);
        CHECK_BYTES(&other, &loss, sizeof loss);
        CHECK_BYTES(others, parameters, sizeof parameters);
    }
}

/* ---------------------------------------------------------------- kept values, and memory */

/* A workspace that keeps all values gives the same gradient, and one row the same outputs as in a batch. */
static void check_keeping(const chain *of) {
    static float kept[MOST_PARAMETERS * 10];
    const pynn_data data = some_data();
    pynn_network *network = create_chain(of, parameters);
    pynn_workspace *workspace = create_workspace(network, NULL, 40), *keeping = NULL;
    CHECK_EQ(pynn_workspace_create_keeping(NULL, network, NULL, 40, &keeping), PYNN_OK);
    const double loss = loss_at(workspace, &data, 40, parameters, gradients);
    CHECK_NEAR(loss_at(keeping, &data, 40, parameters, kept), loss, 0.0);
    CHECK_BYTES(kept, gradients, pynn_network_parameter_count(network) * sizeof(float));
    float all[40 * CLASSES], one[CLASSES];
    CHECK_EQ(pynn_predict(workspace, &data, 0, 40, parameters, PYNN_PROBABILITIES, all), PYNN_OK);
    for (size_t n = 0; n < 40; n += 13) {
        CHECK_EQ(pynn_predict(workspace, &data, n, n + 1, parameters, PYNN_PROBABILITIES, one), PYNN_OK);
        for (size_t c = 0; c < CLASSES; c++) CHECK_NEAR(one[c], all[n * CLASSES + c], 2e-6);
    }
    pynn_workspace_destroy(keeping);
    destroy(workspace, network);
}

typedef struct supply {
    size_t requests, refused, held;
} supply;

static void *refuse(void *context, size_t nbytes) {
    supply *from = context;
    if (from->requests++ == from->refused) return NULL;
    from->held++;
    return malloc(nbytes);
}

static void take_back(void *context, void *memory) {
    ((supply *)context)->held--;
    free(memory);
}

/* Whichever request for memory is refused: the call says so, and nothing leaks. */
static void check_refused_memory(const chain *of) {
    const pynn_loss loss = SOFTMAX_CROSS_ENTROPY;
    for (size_t refused = 0; refused < 4; refused++) {
        supply from = {.refused = refused};
        const pynn_allocator allocator = {refuse, take_back, &from};
        pynn_network *network;
        pynn_workspace *workspace = NULL;
        pynn_status status =
            pynn_network_create_shaped(&allocator, &shape, of->layers, of->count, &loss, &network);
        if (status == PYNN_OK) status = pynn_workspace_create(&allocator, network, NULL, 8, &workspace);
        CHECK_EQ(status, refused < 3 ? PYNN_OUT_OF_MEMORY : PYNN_OK);
        destroy(workspace, network);
        CHECK_EQ(from.held, 0);
    }
}

int main(void) {
    for (size_t i = 0; i < COUNT_OF(chains); i++) {
        check_differences(&chains[i], 7);
        check_differences(&chains[i], 70);
        check_threads(&chains[i]);
        check_keeping(&chains[i]);
        check_refused_memory(&chains[i]);
    }
    return check_failures();
}
