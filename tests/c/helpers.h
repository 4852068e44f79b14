/* helpers.h: networks for the C tests: how to describe them, make them and find their parameters.
 *
 * Tests write layers and losses by these names alone, so that the structs can change here. */
#ifndef PYNN_HELPERS_H
#define PYNN_HELPERS_H

#include "check.h"
#include "pynn.h"

/* ---------------------------------------------------------------- layers and losses */

/* Initializers, for tables that are static, too: pynn_layer layers[] = {HE(40), RELU, XAVIER(10)};
 * As an expression: (pynn_layer)HE(40). */
#define DENSE(width, initializer) {.kind = PYNN_DENSE, .outputs = (width), .init = (initializer)}
#define HE(width) DENSE(width, PYNN_INIT_HE)
#define XAVIER(width) DENSE(width, PYNN_INIT_XAVIER)
#define ACTIVATION(name) {.kind = (name)}
#define RELU ACTIVATION(PYNN_RELU)
#define SIGMOID ACTIVATION(PYNN_SIGMOID)
#define TANH ACTIVATION(PYNN_TANH)
#define GELU ACTIVATION(PYNN_GELU)
#define LEAKY_RELU(factor) {.kind = PYNN_LEAKY_RELU, .slope = (factor)}
#define DROPOUT(share) {.kind = PYNN_DROPOUT, .rate = (share)}

/* The width that a dense layer was given. */
static inline size_t width_of(const pynn_layer *dense) {
    return dense->outputs;
}

#define LOSS(name) ((pynn_loss){.kind = (name)})
#define SOFTMAX_CROSS_ENTROPY LOSS(PYNN_SOFTMAX_CROSS_ENTROPY)
#define SMOOTHED_CROSS_ENTROPY(e) ((pynn_loss){.kind = PYNN_SOFTMAX_CROSS_ENTROPY, .label_smoothing = (e)})
#define MEAN_SQUARED_ERROR LOSS(PYNN_MEAN_SQUARED_ERROR)
#define BINARY_CROSS_ENTROPY LOSS(PYNN_BINARY_CROSS_ENTROPY)

/* ---------------------------------------------------------------- parameters */

/* A dense layer's sizes, and where its parameters are in the flat array. */
typedef struct dense_place {
    size_t inputs;
    size_t outputs;
    size_t weights; /* (inputs, outputs) */
    size_t bias;    /* (outputs,) */
} dense_place;

/* That of the index-th dense layer, counted from 0. */
static inline dense_place place_of_dense(const pynn_network *network, size_t index) {
    pynn_dense_view view = {0};
    CHECK_EQ(pynn_network_dense(network, index, &view), PYNN_OK);
    return (dense_place){view.inputs, view.outputs, view.weights_offset, view.bias_offset};
}

#endif
