/* helpers.h: what the C tests share: short names for layers, losses and optimizers, and functions that make
 * handles and examples.
 *
 * Tests write layers, losses and plain optimizers by these names alone. So if the structs change, only this
 * file needs to. */
#ifndef PYNN_HELPERS_H
#define PYNN_HELPERS_H

#include <stdlib.h>

#include "check.h"
#include "pynn.h"

/* ---------------------------------------------------------------- layers and losses */

/* Initializers of a pynn_layer, also for static tables: pynn_layer layers[] = {HE(40), RELU, XAVIER(10)};
 * as an expression: (pynn_layer)HE(40). */
#define DENSE(width, initializer)                                                                          \
    {                                                                                                      \
        .kind = PYNN_DENSE, .dense = {(width), (initializer)}                                              \
    }
#define HE(width) DENSE(width, PYNN_INIT_HE)
#define XAVIER(width) DENSE(width, PYNN_INIT_XAVIER)
#define ACTIVATION(name) {.kind = (name)}
#define RELU ACTIVATION(PYNN_RELU)
#define SIGMOID ACTIVATION(PYNN_SIGMOID)
#define TANH ACTIVATION(PYNN_TANH)
#define GELU ACTIVATION(PYNN_GELU)
#define SILU ACTIVATION(PYNN_SILU)
#define SOFTPLUS ACTIVATION(PYNN_SOFTPLUS)
#define ELU(factor)                                                                                        \
    {                                                                                                      \
        .kind = PYNN_ELU, .elu = {(factor)}                                                                \
    }
#define LEAKY_RELU(factor)                                                                                 \
    {                                                                                                      \
        .kind = PYNN_LEAKY_RELU, .leaky_relu = {(factor)}                                                  \
    }
#define LAYER_NORM(small)                                                                                  \
    {                                                                                                      \
        .kind = PYNN_LAYER_NORM, .layer_norm = {(small)}                                                   \
    }
#define DROPOUT(share)                                                                                     \
    {                                                                                                      \
        .kind = PYNN_DROPOUT, .dropout = {(share)}                                                         \
    }

/* Square filters, with the same padding on all sides. */
#define CONV2D(count, side, padding, parts)                                                                \
    {                                                                                                      \
        .kind = PYNN_CONV2D, .conv2d = {.filters = (count),                                                \
                                        .size = {(side), (side)},                                          \
                                        .stride = 1,                                                       \
                                        .before = {(padding), (padding)},                                  \
                                        .after = {(padding), (padding)},                                   \
                                        .groups = (parts),                                                 \
                                        .init = PYNN_INIT_HE}                                              \
    }
/* Square windows, side by side. */
#define MAX_POOL2D(side)                                                                                   \
    {                                                                                                      \
        .kind = PYNN_MAX_POOL2D, .max_pool2d = {.size = {(side), (side)}, .stride = (side)}                \
    }
#define AVG_POOL2D(side)                                                                                   \
    {                                                                                                      \
        .kind = PYNN_AVG_POOL2D, .avg_pool2d = {.size = {(side), (side)}, .stride = (side)}                \
    }
#define GLOBAL_AVG_POOL ACTIVATION(PYNN_GLOBAL_AVG_POOL)
#define FLATTEN ACTIVATION(PYNN_FLATTEN)
#define BATCH_NORM(share, small)                                                                           \
    {                                                                                                      \
        .kind = PYNN_BATCH_NORM, .batch_norm = {.momentum = (share), .eps = (small)}                       \
    }

#define STANDARDIZE(most, may_miss)                                                                        \
    {                                                                                                      \
        .kind = PYNN_STANDARDIZE, .standardize = {.clip = (most), .missing = (may_miss)}                   \
    }

/* The number of outputs of a dense layer. */
static inline size_t width_of(const pynn_layer *dense) {
    return dense->dense.outputs;
}

#define LOSS(name) ((pynn_loss){.kind = (name)})
#define SOFTMAX_CROSS_ENTROPY LOSS(PYNN_SOFTMAX_CROSS_ENTROPY)
#define SMOOTHED_CROSS_ENTROPY(e)                                                                          \
    ((pynn_loss){.kind = PYNN_SOFTMAX_CROSS_ENTROPY, .softmax_cross_entropy = {(e)}})
#define MEAN_SQUARED_ERROR LOSS(PYNN_MEAN_SQUARED_ERROR)
#define BINARY_CROSS_ENTROPY LOSS(PYNN_BINARY_CROSS_ENTROPY)
#define POISSON LOSS(PYNN_POISSON)

/* The initializer of an optimizer: plain SGD. */
#define SGD(rate) {.kind = PYNN_SGD, .learning_rate = (rate)}

/* ---------------------------------------------------------------- handles */

/* Create a handle. If that fails, the test ends. */
static inline pynn_network *create_network(size_t inputs, const pynn_layer *layers, size_t layer_count,
                                           pynn_loss loss) {
    pynn_network *network = (pynn_network *)&network; /* rubbish: create() must set it */
    if (!CHECK_EQ(pynn_network_create(NULL, inputs, layers, layer_count, &loss, &network), PYNN_OK))
        exit(check_failures());
    return network;
}

static inline pynn_network *create_shaped(pynn_shape inputs, const pynn_layer *layers, size_t layer_count,
                                          pynn_loss loss) {
    pynn_network *network = (pynn_network *)&network;
    if (!CHECK_EQ(pynn_network_create_shaped(NULL, &inputs, layers, layer_count, &loss, &network), PYNN_OK))
        exit(check_failures());
    return network;
}

static inline pynn_workspace *create_workspace(const pynn_network *network, pynn_team *team,
                                               size_t max_batch) {
    pynn_workspace *workspace = (pynn_workspace *)&workspace;
    if (!CHECK_EQ(pynn_workspace_create(NULL, network, team, max_batch, &workspace), PYNN_OK))
        exit(check_failures());
    return workspace;
}

static inline pynn_team *create_team(size_t threads) {
    pynn_team *team = (pynn_team *)&team;
    if (!CHECK_EQ(pynn_team_create(NULL, threads, &team), PYNN_OK)) exit(check_failures());
    return team;
}

static inline void destroy(pynn_workspace *workspace, pynn_network *network) {
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

/* Allocate with malloc(). For allocators of tests, most of which replace only one of these two
 * functions. */
static inline void *plain_allocate(void *context, size_t nbytes) {
    (void)context;
    return malloc(nbytes);
}

static inline void plain_release(void *context, void *memory) {
    (void)context;
    free(memory);
}

/* ---------------------------------------------------------------- examples */

/* Labels of all classes, in a mixed order. */
static inline void fill_labels(size_t rows, size_t classes, int32_t *labels) {
    for (size_t n = 0; n < rows; n++) labels[n] = (int32_t)((n * n + n / 7) % classes);
}

/* ---------------------------------------------------------------- parameters */

/* The sizes of a dense layer, and where its parameters are in the flat array. */
typedef struct dense_place {
    size_t inputs;
    size_t outputs;
    size_t weights; /* (inputs, outputs) */
    size_t bias;    /* (outputs,) */
} dense_place;

/* How many dense layers a network has. Their weights are the only parameters with two dimensions. */
static inline size_t count_dense(const pynn_network *network) {
    size_t count = 0;
    pynn_parameter_view view;
    for (size_t v = 0; pynn_network_view(network, v, &view) == PYNN_OK; v++) count += view.ndim == 2;
    return count;
}

/* The place of dense layer number `index`, from 0. Its bias is the view behind its weight. */
static inline dense_place place_of_dense(const pynn_network *network, size_t index) {
    pynn_parameter_view weight = {0}, bias = {0};
    for (size_t v = 0; pynn_network_view(network, v, &weight) == PYNN_OK; v++) {
        if (weight.ndim != 2 || index-- > 0) continue;
        CHECK_EQ(pynn_network_view(network, v + 1, &bias), PYNN_OK);
        CHECK_EQ(bias.layer, weight.layer);
        return (dense_place){weight.dims[0], weight.dims[1], weight.offset, bias.offset};
    }
    CHECK(false); /* there is no such layer */
    return (dense_place){0};
}

#endif
