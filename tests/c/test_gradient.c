/* test_gradient.c: the gradient of networks of many shapes is compared with a naive implementation in
 * double. */
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

enum { ROWS = 150, INPUTS = 6, CLASSES = 4, MOST_PARAMETERS = 60000, MOST_SUMMED = 530 };

/* ---------------------------------------------------------------- a naive implementation in double */

enum { MOST_LAYERS = 8, MOST_WIDTH = 512 };

typedef struct naive {
    double y[MOST_LAYERS + 1][MOST_WIDTH]; /* y[0] are the inputs, y[l + 1] the outputs of layer l */
    double d[MOST_LAYERS + 1][MOST_WIDTH]; /* the gradient of the loss with respect to y */
    double gradients[MOST_PARAMETERS];
    double loss;
} naive;

static double naive_activation(pynn_layer_kind kind, double x) {
    if (kind == PYNN_RELU) return x > 0 ? x : 0;
    return kind == PYNN_SIGMOID ? 1 / (1 + exp(-x)) : tanh(x);
}

static double naive_slope(pynn_layer_kind kind, double y) {
    if (kind == PYNN_RELU) return y > 0 ? 1 : 0;
    return kind == PYNN_SIGMOID ? y * (1 - y) : 1 - y * y;
}

/* Add the loss of one example, and `scale` times its gradient. The parameters of a layer begin where those
 * of the layer before it end. That order is documented, so nothing here asks the network for it. */
static void naive_example(naive *state, const pynn_layer *layers, size_t layer_count, size_t inputs,
                          const float *parameters, int32_t label, double scale) {
    size_t widths[MOST_LAYERS + 1] = {inputs}, offsets[MOST_LAYERS + 1] = {0};
    for (size_t l = 0; l < layer_count; l++) {
        const bool dense = layers[l].kind == PYNN_DENSE;
        const size_t in = widths[l], outs = dense ? width_of(&layers[l]) : in;
        const float *w = parameters + offsets[l], *b = w + in * outs;
        widths[l + 1] = outs;
        offsets[l + 1] = offsets[l] + (dense ? in * outs + outs : 0);
        for (size_t o = 0; o < outs; o++) {
            double sum = dense ? (double)b[o] : naive_activation(layers[l].kind, state->y[l][o]);
            for (size_t i = 0; dense && i < in; i++) {
                sum += state->y[l][i] * (double)w[i * outs + o];
            }
            state->y[l + 1][o] = sum;
        }
    }
    double sum = 0;
    const double *z = state->y[layer_count];
    for (size_t c = 0; c < widths[layer_count]; c++) {
        sum += exp(z[c]);
    }
    for (size_t c = 0; c < widths[layer_count]; c++) {
        state->d[layer_count][c] = scale * (exp(z[c]) / sum - (c == (size_t)label));
    }
    state->loss += log(sum) - z[label];
    for (size_t l = layer_count; l-- > 0;) {
        const bool dense = layers[l].kind == PYNN_DENSE;
        const size_t in = widths[l], outs = widths[l + 1];
        const float *w = parameters + offsets[l];
        double *dw = state->gradients + offsets[l], *db = dw + in * outs;
        for (size_t i = 0; i < in; i++) {
            double di = dense ? 0 : naive_slope(layers[l].kind, state->y[l + 1][i]) * state->d[l + 1][i];
            for (size_t o = 0; dense && o < outs; o++) {
                di += state->d[l + 1][o] * (double)w[i * outs + o];
                dw[i * outs + o] += state->y[l][i] * state->d[l + 1][o];
            }
            state->d[l][i] = di;
        }
        for (size_t o = 0; dense && o < outs; o++) {
            db[o] += state->d[l + 1][o];
        }
    }
}

/* Features in [-1, 1), labels, and a permutation of the rows. */
static float features[ROWS * 512];
static int32_t labels[ROWS];
static uint32_t order[ROWS];
static float parameters[MOST_PARAMETERS], gradients[MOST_PARAMETERS];

static pynn_data some_data(size_t inputs, pynn_path path) {
    pynn_random_uniform(5, 0, 0, ROWS * inputs, -1.0f, 1.0f, features);
    fill_labels(ROWS, CLASSES, labels);
    pynn_random_permutation(5, 1, ROWS, order);
    return (pynn_data){features, PYNN_FEATURES_FLOAT32, ROWS, labels, path};
}

/* The gradient over the first `count` rows of the order is that of the naive implementation, and so is the
 * loss. The difference is compared with the norm of each dense layer's gradient. */
static void check_path(size_t inputs, const pynn_layer *layers, size_t layer_count, size_t count,
                       pynn_path path) {
    naive *state = calloc(1, sizeof *state);
    const pynn_data data = some_data(inputs, path);
    pynn_network *network = create_network(inputs, layers, layer_count, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, count);
    if (!CHECK(state != NULL)) return;
    const size_t size = pynn_network_parameter_count(network);
    CHECK(size <= MOST_PARAMETERS);
    pynn_random_uniform(6, 0, 0, size, -0.5f, 0.5f, parameters); /* so that biases are not zero either */
    pynn_sums sums = {0};
    CHECK_EQ(pynn_gradient(workspace, &data, order, count, NULL, parameters, gradients, &sums), PYNN_OK);
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < inputs; i++) {
            state->y[0][i] = (double)features[order[n] * inputs + i];
        }
        naive_example(state, layers, layer_count, inputs, parameters, labels[order[n]],
                      1.0 / (double)count);
    }
    for (size_t d = 0; d < count_dense(network); d++) {
        const dense_place at = place_of_dense(network, d);
        double norm = 0, error = 0;
        for (size_t p = at.weights; p < at.bias + at.outputs; p++) {
            norm += state->gradients[p] * state->gradients[p];
            error = fmax(error, fabs((double)gradients[p] - state->gradients[p]));
        }
        if (!CHECK(sqrt(norm) > 1e-3) || !CHECK_NEAR(error / sqrt(norm), 0.0, 2e-6)) {
            printf("    dense layer %zu; %zu layers, %zu rows, path %d\n", d, layer_count, count,
                   (int)path);
        }
    }
    CHECK_NEAR(sums.loss, state->loss, 1e-5 * state->loss);
    CHECK_EQ(sums.rows, count);
    destroy(workspace, network);
    free(state);
}

/* By gemm and by sparse rows, which have an entry for every input here. */
static void check_gradient(size_t inputs, const pynn_layer *layers, size_t layer_count, size_t count) {
    check_path(inputs, layers, layer_count, count, PYNN_PATH_DENSE);
    check_path(inputs, layers, layer_count, count, PYNN_PATH_SPARSE);
}

static void test_gradients(void) {
    static const struct {
        pynn_layer layers[MOST_LAYERS];
        size_t count;
    } networks[] = {
        {{XAVIER(CLASSES)}, 1},
        {{XAVIER(5), RELU, XAVIER(CLASSES)}, 3},
        {{XAVIER(9), SIGMOID, XAVIER(7), TANH, XAVIER(CLASSES)}, 5},
        {{XAVIER(9), XAVIER(70), XAVIER(CLASSES)}, 3},          /* no activation between dense layers */
        {{XAVIER(9), TANH, RELU, SIGMOID, XAVIER(CLASSES)}, 5}, /* several activations in a row */
        {{TANH, SIGMOID, XAVIER(5), TANH, XAVIER(CLASSES)},
         5},                                /* activations before the first dense layer */
        {{RELU, XAVIER(CLASSES), TANH}, 3}, /* an activation after the last dense layer */
        {{TANH, XAVIER(8), RELU, TANH, XAVIER(CLASSES), SIGMOID, TANH, TANH}, 8},
    };
    static const size_t batches[] = {1, 2, 15, 16, 17, 33, 64, 101, 127, 128, 129, ROWS};
    for (size_t k = 0; k < COUNT_OF(networks); k++) {
        for (size_t b = 0; b < COUNT_OF(batches); b++) {
            check_gradient(INPUTS, networks[k].layers, networks[k].count, batches[b]);
        }
    }
    /* Wide enough that the first layer is cut into tiles, and the second layer, too, on both ways. */
    const pynn_layer wide[] = {XAVIER(100), TANH, XAVIER(CLASSES)};
    check_gradient(511, wide, COUNT_OF(wide), ROWS);
    check_gradient(1, wide, COUNT_OF(wide), 33);
    const pynn_layer deep[] = {XAVIER(203), TANH, XAVIER(165), SIGMOID, XAVIER(CLASSES)};
    check_gradient(3, deep, COUNT_OF(deep), ROWS);
}

/* ---------------------------------------------------------------- the bias, to the bit */

/* The sum of a column: up to 256 values are added one after another as floats, and these sums in double. */
static float plain_sum(size_t rows, size_t stride, const float *dy) {
    double total = 0;
    for (size_t begin = 0; begin < rows; begin += 256) {
        float sum = 0.0f;
        for (size_t n = begin; n < rows && n < begin + 256; n++) sum += dy[n * stride];
        total += (double)sum;
    }
    return (float)total;
}

static void check_bias(size_t width, size_t rows) {
    const pynn_layer layers[] = {XAVIER(width)};
    const pynn_data data = some_data(INPUTS, PYNN_PATH_DENSE);
    pynn_network *network = create_network(INPUTS, layers, 1, SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, rows);
    pynn_sums sums = {0};
    static uint32_t repeated[MOST_SUMMED];
    for (size_t n = 0; n < rows; n++) repeated[n] = order[n % ROWS];
    pynn_random_uniform(7, width, 0, pynn_network_parameter_count(network), -0.5f, 0.5f, parameters);
    CHECK_EQ(pynn_gradient(workspace, &data, repeated, rows, NULL, parameters, gradients, &sums), PYNN_OK);
    const size_t bias = place_of_dense(network, 0).bias;
    bool holds = true;
    for (size_t o = 0; o < width && holds; o++) {
        float expected = plain_sum(rows, width, workspace->layers[0].deltas + o);
        holds = CHECK_BYTES(&gradients[bias + o], &expected, sizeof expected);
    }
    if (!holds) printf("    the bias of %zu outputs, %zu rows\n", width, rows);
    destroy(workspace, network);
}

/* The sums are the same at each level of instructions, with any number of rows and columns left over. */
static void test_bias(void) {
    static const size_t widths[] = {4, 7, 8, 17, 31, 64, 100, 255, 256, 257, 300};
    static const size_t batches[] = {1, 2, 3, 4, 5, 6, 7, 8, 127, 255, 256, 257, 259, 513, MOST_SUMMED};
    for (size_t w = 0; w < COUNT_OF(widths); w++) {
        for (size_t b = 0; b < COUNT_OF(batches); b++) check_bias(widths[w], batches[b]);
    }
}

int main(void) {
    test_gradients();
    test_bias();
    return check_failures();
}
