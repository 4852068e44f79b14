/* test_network.c: where the parameters lie, how they are drawn, and which networks are refused. */
#include <float.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

/* `out` starts as rubbish, to show whether the call sets it. */
static pynn_status create(size_t inputs, const pynn_layer *layers, size_t count, pynn_network **out) {
    *out = (pynn_network *)out;
    return pynn_network_create(NULL, inputs, layers, count, &SOFTMAX_CROSS_ENTROPY, out);
}

/* 6 -> 4 -> 3 -> 2: weights and biases one behind the other, from 0.
 *     (6, 4) at 0, (4,) at 24; (4, 3) at 28, (3,) at 40; (3, 2) at 43, (2,) at 49; 51 in all */
static void test_places(void) {
    static const pynn_layer layers[] = {HE(4), RELU, TANH, XAVIER(3), HE(2)};
    static const pynn_parameter_view expected[] = {
        {0, "weight", {6, 4}, 2, 0, 1, 1},  {0, "bias", {4}, 1, 24, 0, 1},
        {3, "weight", {4, 3}, 2, 28, 1, 1}, {3, "bias", {3}, 1, 40, 0, 1},
        {4, "weight", {3, 2}, 2, 43, 1, 1}, {4, "bias", {2}, 1, 49, 0, 1},
    };
    pynn_network *network;
    if (!CHECK_EQ(create(6, layers, COUNT_OF(layers), &network), PYNN_OK)) return;
    CHECK_EQ(pynn_network_inputs(network), 6);
    CHECK_EQ(pynn_network_outputs(network), 2);
    CHECK_EQ(pynn_network_view_count(network), COUNT_OF(expected));
    CHECK_EQ(pynn_network_parameter_count(network), 51);
    pynn_parameter_view view = {0};
    for (size_t v = 0; v < COUNT_OF(expected); v++) {
        CHECK_EQ(pynn_network_view(network, v, &view), PYNN_OK);
        CHECK_EQ(view.layer, expected[v].layer);
        CHECK_STR(view.name, expected[v].name);
        CHECK_EQ(view.ndim, expected[v].ndim);
        CHECK_BYTES(view.dims, expected[v].dims, sizeof view.dims);
        CHECK_EQ(view.offset, expected[v].offset);
        CHECK_EQ(view.decays, expected[v].decays);
        CHECK_EQ(view.trained, expected[v].trained);
    }
    const pynn_parameter_view before = view;
    CHECK_EQ(pynn_network_view(network, 6, &view), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_network_view(network, SIZE_MAX, &view), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_network_view(NULL, 0, &view), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_network_view(network, 0, NULL), PYNN_INVALID_ARGUMENT);
    CHECK_BYTES(&view, &before, sizeof view);
    pynn_network_destroy(network);
    pynn_network_destroy(NULL);
}

/* Activations before the first dense layer keep the width. They make a stage without a dense layer. */
static void test_activations_anywhere(void) {
    static const pynn_layer layers[] = {RELU,  TANH, HE(5), RELU, TANH, HE(2), LEAKY_RELU(0.5f),
                                        HE(2), GELU};
    static const size_t widths[] = {3, 3, 5, 5, 5, 2, 2, 2, 2};
    pynn_network *network;
    if (!CHECK_EQ(create(3, layers, COUNT_OF(layers), &network), PYNN_OK)) return;
    CHECK_EQ(network->stage_count, 4);
    CHECK_EQ(network->first_trained, 1);
    static const pynn_stage stages[] = {{0, 2}, {2, 5}, {5, 7}, {7, 9}};
    for (size_t s = 0; s < COUNT_OF(stages); s++) {
        CHECK_EQ(network->stages[s].first, stages[s].first);
        CHECK_EQ(network->stages[s].end, stages[s].end);
    }
    CHECK_EQ(network->layer_count, COUNT_OF(layers));
    CHECK_EQ(pynn_network_parameter_count(network), 3 * 5 + 5 + 5 * 2 + 2 + 2 * 2 + 2);
    for (size_t l = 0; l < COUNT_OF(layers); l++) {
        CHECK_EQ(network->layers[l].outputs, widths[l]);
    }
    pynn_network_destroy(network);
}

/* What pass.c relies on, for every kind: a layer that begins a stage has the functions for the gradient of
 * its parameters, if it has any, and a layer that looks back at a value alone has no parameters. */
static void test_contract(void) {
    static const pynn_layer kinds[] = {HE(2),
                                       RELU,
                                       SIGMOID,
                                       TANH,
                                       LEAKY_RELU(0.0f),
                                       GELU,
                                       ELU(0.0f),
                                       SILU,
                                       SOFTPLUS,
                                       DROPOUT(0.0f),
                                       LAYER_NORM(1e-5f),
                                       CONV2D(2, 1, 0, 1),
                                       MAX_POOL2D(1),
                                       AVG_POOL2D(1),
                                       GLOBAL_AVG_POOL,
                                       FLATTEN,
                                       BATCH_NORM(0.1f, 1e-5f)};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        const pynn_layer_type *type = pynn_layer_type_of(kinds[k].kind);
        pynn_layer_place place = {0};
        if (!CHECK(type != NULL) ||
            !CHECK_EQ(type->place(&kinds[k], (pynn_shape){3, 1, 1}, &place), PYNN_OK))
            continue;
        CHECK(type->forward != NULL && type->backward != NULL);
        if (type->reach == PYNN_REACH_VALUE)
            CHECK_EQ(place.view_count, 0);
        else if (place.view_count > 0)
            CHECK(type->cut != NULL && type->accumulate != NULL);
    }
}

/* The smallest allowed value of each option is accepted, and the largest eps. */
static void test_least_options(void) {
    static const pynn_layer layers[] = {
        HE(1),     RELU, SIGMOID,  TANH,          LEAKY_RELU(0.0f),    GELU,
        ELU(0.0f), SILU, SOFTPLUS, DROPOUT(0.0f), LAYER_NORM(FLT_MIN), XAVIER(1)};
    pynn_network *network;
    if (!CHECK_EQ(create(1, layers, COUNT_OF(layers), &network), PYNN_OK)) return;
    CHECK_EQ(pynn_network_parameter_count(network), 6);
    pynn_network_destroy(network);
    static const pynn_layer largest[] = {LAYER_NORM(FLT_MAX), HE(1)};
    if (CHECK_EQ(create(1, largest, COUNT_OF(largest), &network), PYNN_OK)) pynn_network_destroy(network);
}

static void refuses(size_t inputs, const pynn_layer *layers, size_t count, pynn_status expected) {
    pynn_network *network;
    CHECK_EQ(create(inputs, layers, count, &network), expected);
    CHECK(network == NULL);
    pynn_network_destroy(network);
}

static void refuses_layer(pynn_layer layer, pynn_status expected) {
    refuses(3, (const pynn_layer[]){HE(2), layer, HE(2)}, 3, expected);
}

static void test_refusals(void) {
    const pynn_layer dense = HE(2);
    refuses(0, &dense, 1, PYNN_INVALID_ARGUMENT);
    refuses(3, NULL, 1, PYNN_INVALID_ARGUMENT);
    pynn_network *none = (pynn_network *)&none;
    CHECK_EQ(pynn_network_create(NULL, 3, &dense, 1, NULL, &none), PYNN_INVALID_ARGUMENT);
    CHECK(none == NULL);
    refuses(3, NULL, 0, PYNN_NO_DENSE_LAYER);
    refuses(3, (const pynn_layer[]){RELU, TANH}, 2, PYNN_NO_DENSE_LAYER);
    refuses((size_t)INT_MAX + 1, &dense, 1, PYNN_SIZE_OVERFLOW);

    refuses_layer((pynn_layer)ACTIVATION(0), PYNN_UNKNOWN_LAYER);
    refuses_layer((pynn_layer)ACTIVATION(99), PYNN_UNKNOWN_LAYER);
    refuses_layer((pynn_layer)DENSE(2, 0), PYNN_UNKNOWN_LAYER);
    refuses_layer((pynn_layer)DENSE(2, 3), PYNN_UNKNOWN_LAYER);
    refuses_layer((pynn_layer)HE(0), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)HE((size_t)INT_MAX + 1), PYNN_SIZE_OVERFLOW);
    refuses_layer((pynn_layer)HE(SIZE_MAX), PYNN_SIZE_OVERFLOW);
    refuses_layer((pynn_layer)LEAKY_RELU(-0.1f), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)LEAKY_RELU(INFINITY), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)LEAKY_RELU(NAN), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)LAYER_NORM(-1e-5f), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)LAYER_NORM(0.0f), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)LAYER_NORM(FLT_MIN / 2), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)LAYER_NORM(INFINITY), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)LAYER_NORM(NAN), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)ELU(-0.1f), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)ELU(INFINITY), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)ELU(NAN), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)DROPOUT(1.0f), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)DROPOUT(-0.1f), PYNN_INVALID_ARGUMENT);
    refuses_layer((pynn_layer)DROPOUT(NAN), PYNN_INVALID_ARGUMENT);

    /* On 64 bits: a layer of (2^31 - 1)^2 weights has 2^62 - 2^31 parameters. The bytes of two such layers
     * do not fit size_t. Of five such layers even the number of parameters does not fit; computed without a
     * check it would wrap around to a small number, whose bytes do fit. */
    const pynn_layer wide[] = {HE(INT_MAX), HE(INT_MAX), HE(INT_MAX), HE(INT_MAX), HE(INT_MAX)};
    refuses(INT_MAX, wide, 2, PYNN_SIZE_OVERFLOW);
    refuses(INT_MAX, wide, 5, PYNN_SIZE_OVERFLOW);
    /* After four such layers 2^33 - 1 more parameters fit: 2^33 - 4 weights do, but not the four biases
     * after them. */
    const pynn_layer full[] = {HE(INT_MAX), HE(INT_MAX), HE(INT_MAX), HE(INT_MAX), HE(4)};
    refuses(INT_MAX, full, 5, PYNN_SIZE_OVERFLOW);
    /* Here all layers fit, and leave room for three more, but not for the means of as many targets. */
    const pynn_layer filled[] = {HE(INT_MAX), HE(INT_MAX), HE(INT_MAX),
                                 HE(INT_MAX), HE(3),       HE(INT_MAX / 4)};
    pynn_loss standardized = MEAN_SQUARED_ERROR;
    standardized.mean_squared_error.standardize = 1;
    pynn_network *no_network;
    CHECK_EQ(pynn_network_create(NULL, INT_MAX, filled, 6, &standardized, &no_network), PYNN_SIZE_OVERFLOW);

    const pynn_loss losses[] = {
        SMOOTHED_CROSS_ENTROPY(1.0f),
        SMOOTHED_CROSS_ENTROPY(-0.1f),
        SMOOTHED_CROSS_ENTROPY(NAN),
    };
    for (size_t k = 0; k < COUNT_OF(losses); k++) {
        pynn_network *refused = (pynn_network *)&refused;
        CHECK_EQ(pynn_network_create(NULL, 3, &dense, 1, &losses[k], &refused), PYNN_INVALID_ARGUMENT);
        CHECK(refused == NULL);
    }

    /* A number of layers whose bytes do not fit: the call fails before it reads a layer. */
    const size_t layer_nbytes = sizeof(pynn_placed_layer) + sizeof(pynn_stage) +
                                PYNN_MAX_LAYER_VIEWS * sizeof(pynn_parameter_view) +
                                4 * sizeof(pynn_pass_step);
    refuses(3, &dense, SIZE_MAX, PYNN_SIZE_OVERFLOW);
    refuses(3, &dense, SIZE_MAX / layer_nbytes + 1, PYNN_SIZE_OVERFLOW);
    refuses(3, &dense, SIZE_MAX / layer_nbytes, PYNN_SIZE_OVERFLOW);

    pynn_network *network = (pynn_network *)&network;
    CHECK_EQ(pynn_network_create(NULL, 3, &dense, 1, &LOSS(5), &network), PYNN_UNKNOWN_LAYER);
    CHECK(network == NULL);
    CHECK_EQ(pynn_network_create(NULL, 3, &dense, 1, &SOFTMAX_CROSS_ENTROPY, NULL), PYNN_INVALID_ARGUMENT);
}

static void refuses_shape(const pynn_shape *shape, pynn_layer layer, pynn_status expected) {
    const pynn_layer layers[] = {layer, HE(2)};
    pynn_network *network = (pynn_network *)&network;
    CHECK_EQ(pynn_network_create_shaped(NULL, shape, layers, 2, &SOFTMAX_CROSS_ENTROPY, &network),
             expected);
    CHECK(network == NULL);
    pynn_network_destroy(network);
}

/* Shapes of inputs that are none, or that have more than INT_MAX values; and a layer whose outputs have. */
static void test_shapes(void) {
    refuses_shape(NULL, (pynn_layer)RELU, PYNN_INVALID_ARGUMENT);
    const pynn_shape none[] = {{0, 2, 2}, {2, 0, 2}, {2, 2, 0}};
    for (size_t k = 0; k < COUNT_OF(none); k++)
        refuses_shape(&none[k], (pynn_layer)RELU, PYNN_INVALID_ARGUMENT);
    const pynn_shape large[] = {{2, 2, (size_t)1 << 29},
                                {SIZE_MAX, 2, 1},
                                {2, SIZE_MAX, 1},
                                {2, SIZE_MAX / 2, 2},
                                {1, 1, SIZE_MAX}};
    for (size_t k = 0; k < COUNT_OF(large); k++)
        refuses_shape(&large[k], (pynn_layer)RELU, PYNN_SIZE_OVERFLOW);
    /* 46340 squared is less than 2^31, 46341 squared is more. */
    const pynn_layer pool = {.kind = PYNN_AVG_POOL2D,
                             .avg_pool2d = {.size = {2, 2}, .stride = 1, .padding = 1}};
    refuses_shape(&(pynn_shape){1, 46340, 46340}, pool, PYNN_SIZE_OVERFLOW);
    pynn_network *network = NULL;
    const pynn_layer layers[] = {pool, GLOBAL_AVG_POOL, HE(2)};
    CHECK_EQ(pynn_network_create_shaped(NULL, &(pynn_shape){1, 46339, 46339}, layers, 3,
                                        &SOFTMAX_CROSS_ENTROPY, &network),
             PYNN_OK);
    pynn_network_destroy(network);
}

/* A network has no memory for its weights, so even the largest matrix is accepted. */
static void test_largest(void) {
    const pynn_layer dense = HE(INT_MAX);
    pynn_network *network;
    if (sizeof(size_t) < 8) return;
    if (!CHECK_EQ(create(INT_MAX, &dense, 1, &network), PYNN_OK)) return;
    CHECK_EQ(pynn_network_parameter_count(network), (size_t)INT_MAX * INT_MAX + INT_MAX);
    pynn_network_destroy(network);
}

/* ---------------------------------------------------------------- weights */

enum { INPUTS = 200, HIDDEN = 150, OUTPUTS = 100 };

/* The mean, the mean square and the largest magnitude of `count` values. */
static void moments(const float *x, size_t count, double *mean, double *square, double *largest) {
    *mean = *square = *largest = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double value = (double)x[i];
        *mean += value / (double)count;
        *square += value * value / (double)count;
        *largest = fmax(*largest, fabs(value));
    }
}

/* He: the variance is 2 / I, and some weights are beyond three deviations. Xavier: all weights are within
 * sqrt(6 / (I + O)), and the variance is a third of that squared. The bounds are five standard errors: of a
 * mean s / sqrt(n), of a variance at most s^2 sqrt(2 / n). All parameters are overwritten. */
static void test_initial_weights(void) {
    static const pynn_layer layers[] = {HE(HIDDEN), RELU, XAVIER(OUTPUTS)};
    pynn_network *network;
    if (!CHECK_EQ(create(INPUTS, layers, 3, &network), PYNN_OK)) return;
    const size_t count = pynn_network_parameter_count(network);
    float *p = malloc(count * sizeof *p);
    float *again = malloc(count * sizeof *again);
    if (CHECK(p && again)) {
        for (size_t i = 0; i < count; i++) {
            p[i] = again[i] = NAN;
        }
        CHECK_EQ(pynn_network_initialize(network, 7, p), PYNN_OK);
        for (size_t d = 0; d < 2; d++) {
            const dense_place at = place_of_dense(network, d);
            const size_t n = at.inputs * at.outputs;
            const double limit = sqrt(6.0 / (double)(at.inputs + at.outputs));
            const double variance = d == 0 ? 2.0 / (double)at.inputs : limit * limit / 3;
            double mean, square, largest;
            moments(p + at.weights, n, &mean, &square, &largest);
            CHECK_NEAR(mean, 0.0, 5 * sqrt(variance / (double)n));
            CHECK_NEAR(square, variance, 5 * variance * sqrt(2.0 / (double)n));
            if (d == 0) {
                CHECK(largest > 3 * sqrt(variance));
            } else {
                CHECK(largest <= limit * (1 + 1e-7) && largest > 0.99 * limit);
            }
            for (size_t o = 0; o < at.outputs; o++) {
                CHECK_NEAR(p[at.bias + o], 0.0, 0.0);
            }
        }
        CHECK_EQ(pynn_network_initialize(network, 7, again), PYNN_OK);
        CHECK_BYTES(again, p, count * sizeof *p);
        CHECK_EQ(pynn_network_initialize(network, 8, again), PYNN_OK);
        CHECK(memcmp(again, p, count * sizeof *p) != 0);

        CHECK_EQ(pynn_network_initialize(NULL, 7, p), PYNN_INVALID_ARGUMENT);
        CHECK_EQ(pynn_network_initialize(network, 7, NULL), PYNN_INVALID_ARGUMENT);
    }
    free(p);
    free(again);
    pynn_network_destroy(network);
}

/* Dense layer k draws from stream k, whatever layers are around it: (4, 3) as the second dense layer has
 * the same weights in two networks, those that the generator gives. Two layers of one shape have different
 * weights. */
static void test_streams(void) {
    static const pynn_layer one[] = {RELU, HE(4), TANH, XAVIER(3), HE(3), HE(3)};
    static const pynn_layer other[] = {HE(4), XAVIER(3)};
    pynn_network *a, *b;
    float p[5 * 4 + 4 + 15 + 12 + 12], q[6 * 4 + 4 + 15], drawn[12];
    if (!CHECK_EQ(create(5, one, COUNT_OF(one), &a), PYNN_OK)) return;
    if (!CHECK_EQ(create(6, other, COUNT_OF(other), &b), PYNN_OK)) return;
    CHECK_EQ(pynn_network_initialize(a, 99, p), PYNN_OK);
    CHECK_EQ(pynn_network_initialize(b, 99, q), PYNN_OK);
    CHECK_BYTES(p + 24, q + 28, 12 * sizeof *p);
    const float limit = sqrtf(6.0f / 7.0f);
    pynn_random_uniform(99, 1, 0, 12, -limit, limit, drawn);
    for (size_t i = 0; i < 12; i++) {
        CHECK_NEAR(p[24 + i], drawn[i], 1e-7);
    }
    CHECK(memcmp(p + 39, p + 51, 9 * sizeof *p) != 0); /* the two (3, 3) */
    pynn_network_destroy(a);
    pynn_network_destroy(b);
}

int main(void) {
    test_places();
    test_activations_anywhere();
    test_contract();
    test_least_options();
    test_refusals();
    test_shapes();
    test_largest();
    test_initial_weights();
    test_streams();
    return check_failures();
}
