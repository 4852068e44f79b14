/* test_conv2d.c: convolution against plain loops in double, for many shapes, strides, groups and paddings,
 * and the sizes that it refuses. */
#include <limits.h>
#include <stdint.h>

#include "images.h"

#define FILTERS(...)                                                                                       \
    (pynn_layer) {                                                                                         \
        .kind = PYNN_CONV2D, .conv2d = {.init = PYNN_INIT_HE, __VA_ARGS__}                                 \
    }

/* ---------------------------------------------------------------- a plain twin */

typedef struct plain {
    double *y, *dx, *gradients; /* (N, F, OH, OW), (N, C, H, W), (parameters,) */
} plain;

/* Call what is done for each product W[f,c,i,j] X[n,c,v,u], which belongs to Y[n,f,y,x]. */
static void add_products(const one_layer *it, const plain *to, size_t n, size_t f, size_t y, size_t x) {
    const pynn_conv2d_options *o = &it->at.layer.conv2d;
    const pynn_shape in = it->at.input_shape, out = it->at.output_shape;
    const size_t channels = in.channels / o->groups, group = f / (out.channels / o->groups);
    const size_t place = ((n * out.channels + f) * out.height + y) * out.width + x;
    to->gradients[out.channels * channels * o->size[0] * o->size[1] + f] += (double)it->dy[place];
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < o->size[0]; i++) {
            for (size_t j = 0; j < o->size[1]; j++) {
                const size_t v = y * o->stride + i, u = x * o->stride + j; /* with the padding */
                if (v < o->before[0] || v - o->before[0] >= in.height) continue;
                if (u < o->before[1] || u - o->before[1] >= in.width) continue;
                const size_t k = ((f * channels + c) * o->size[0] + i) * o->size[1] + j;
                const size_t from =
                    ((n * in.channels + group * channels + c) * in.height + v - o->before[0]) * in.width +
                    u - o->before[1];
                to->y[place] += (double)it->parameters[k] * (double)it->x[from];
                to->dx[from] += (double)it->parameters[k] * (double)it->dy[place];
                to->gradients[k] += (double)it->dy[place] * (double)it->x[from];
            }
        }
    }
}

static plain compute_plainly(const one_layer *it) {
    const pynn_shape out = it->at.output_shape;
    const size_t filters = out.channels, bias = it->at.parameter_count - filters;
    plain to = {calloc(it->rows * it->at.outputs, sizeof(double)),
                calloc(it->rows * it->at.inputs, sizeof(double)),
                calloc(it->at.parameter_count, sizeof(double))};
    if (!CHECK(to.y != NULL && to.dx != NULL && to.gradients != NULL)) exit(check_failures());
    for (size_t n = 0; n < it->rows; n++) {
        for (size_t f = 0; f < filters; f++) {
            for (size_t y = 0; y < out.height; y++) {
                for (size_t x = 0; x < out.width; x++) {
                    to.y[((n * filters + f) * out.height + y) * out.width + x] =
                        (double)it->parameters[bias + f];
                    add_products(it, &to, n, f, y, x);
                }
            }
        }
    }
    return to;
}

/* Outputs, and what a step of training needs, are those of the plain twin. */
static bool check_layer(const pynn_layer *layer, pynn_shape in, size_t rows, float beta, uint64_t seed) {
    one_layer it = create_layer(layer, in, rows, seed);
    const size_t parameters = it.at.parameter_count;
    for (size_t i = 0; i < parameters; i++) it.parameters[i] -= 1.0f; /* of both signs */
    run_layer(&it, beta);
    plain expected = compute_plainly(&it);
    for (size_t i = 0; i < parameters; i++) {
        const double old = beta == 0.0f ? 0.0 : 2.0 * (double)beta;
        expected.gradients[i] = old - 0.5 * expected.gradients[i];
    }
    bool holds = CHECK_NEAR(error_of(rows * it.at.outputs, it.y, expected.y), 0.0, 3e-6);
    holds = CHECK_NEAR(error_of(rows * it.at.inputs, it.dx, expected.dx), 0.0, 3e-6) && holds;
    holds = CHECK_NEAR(error_of(parameters, it.target, expected.gradients), 0.0, 1e-5) && holds;
    free(expected.y);
    free(expected.dx);
    free(expected.gradients);
    destroy_layer(&it);
    return holds;
}

/* ---------------------------------------------------------------- the tests */

static void test_random_shapes(void) {
    uint64_t state = 1;
    for (uint64_t seed = 0; seed < 300; seed++) {
        const size_t groups = draw(&state, 1, 4), channels = groups * draw(&state, 1, 4);
        const pynn_shape in = {channels, draw(&state, 1, 13), draw(&state, 1, 36)};
        pynn_layer layer =
            FILTERS(.filters = groups * draw(&state, 1, 9), .stride = draw(&state, 1, 4), .groups = groups);
        for (size_t d = 0; d < 2; d++) {
            const size_t length = d == 0 ? in.height : in.width;
            layer.conv2d.before[d] = draw(&state, 0, 3);
            layer.conv2d.after[d] = draw(&state, 0, 3);
            const size_t most = length + layer.conv2d.before[d] + layer.conv2d.after[d];
            layer.conv2d.size[d] = draw(&state, 1, pynn_least(most, 6));
        }
        const size_t rows = draw(&state, 0, 3) > 0 ? draw(&state, 1, 4) : draw(&state, 16, 40);
        if (!check_layer(&layer, in, rows, seed % 2 == 0 ? 1.0f : 0.0f, seed))
            printf("    case %d: %zux%zux%zu, %zu rows\n", (int)seed, in.channels, in.height, in.width,
                   rows);
    }
}

/* Shapes that have a way of their own, or lie at its edge. */
static void test_chosen_shapes(void) {
    const struct {
        pynn_shape in;
        pynn_layer layer;
        size_t rows;
    } cases[] = {
        {{1, 28, 28}, FILTERS(.filters = 6, .size = {5, 5}, .stride = 1, .groups = 1), 3}, /* LeNet */
        {{6, 12, 12},
         FILTERS(.filters = 16, .size = {5, 5}, .stride = 1, .groups = 1),
         33}, /* dX is added up */
        {{5, 4, 8},
         FILTERS(.filters = 7, .size = {1, 1}, .stride = 1, .groups = 1),
         2}, /* planes not made */
        {{5, 3, 5}, FILTERS(.filters = 7, .size = {1, 1}, .stride = 1, .groups = 1), 2},
        {{5, 8, 8}, FILTERS(.filters = 7, .size = {1, 1}, .stride = 2, .groups = 1), 2},
        {{24, 9, 9},
         FILTERS(.filters = 24, .size = {3, 3}, .stride = 1, .before = {1, 1}, .after = {1, 1},
                 .groups = 24),
         5}, /* depthwise */
        {{3, 9, 9},
         FILTERS(.filters = 9, .size = {3, 3}, .stride = 2, .before = {1, 1}, .after = {1, 1}, .groups = 3),
         5},
        {{2, 8, 8},
         FILTERS(.filters = 3, .size = {1, 1}, .stride = 2, .after = {8, 8}, .groups = 1),
         2}, /* as many places */
        {{2, 1, 1}, FILTERS(.filters = 3, .size = {1, 1}, .stride = 1, .groups = 1), 1}, /* one place */
        {{2, 4, 4}, FILTERS(.filters = 3, .size = {4, 4}, .stride = 1, .groups = 1), 17},
        {{130, 3, 3},
         FILTERS(.filters = 2, .size = {3, 3}, .stride = 1, .before = {1, 1}, .after = {1, 1}, .groups = 1),
         2}, /* a depth of more than PYNN_MOST_SUMMED */
        {{1, 2, 2},
         FILTERS(.filters = 2, .size = {1, 1}, .stride = 3, .before = {5, 7}, .after = {4, 2}, .groups = 1),
         2}, /* padding wider than the filter */
        /* The last places, of outputs and of inputs, are computed together with those of other images. */
        {{16, 7, 7},
         FILTERS(.filters = 32, .size = {3, 3}, .stride = 1, .before = {1, 1}, .after = {1, 1},
                 .groups = 1),
         35},
        {{9, 5, 10},
         FILTERS(.filters = 12, .size = {3, 1}, .stride = 1, .before = {1, 0}, .after = {1, 0},
                 .groups = 1),
         20},
        {{3, 7, 7},
         FILTERS(.filters = 9, .size = {3, 3}, .stride = 1, .before = {1, 1}, .after = {1, 1}, .groups = 1),
         17},
        {{8, 8, 8}, FILTERS(.filters = 10, .size = {2, 2}, .stride = 1, .groups = 1), 1},
        {{8, 7, 7},
         FILTERS(.filters = 8, .size = {3, 3}, .stride = 1, .before = {2, 1}, .after = {1, 1}, .groups = 1),
         18},
        {{1, 160, 140}, FILTERS(.filters = 2, .size = {3, 2}, .stride = 1, .groups = 1), 5}, /* long sums */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (!check_layer(&cases[i].layer, cases[i].in, cases[i].rows, 0.0f, i))
            printf("    chosen case %zu\n", i);
    }
}

/* An image gives the same bits alone and in a batch, and without a backward pass. */
static void test_batch_of_one(void) {
    const pynn_layer layer = FILTERS(.filters = 5, .size = {3, 3}, .stride = 1, .groups = 1);
    one_layer many = create_layer(&layer, (pynn_shape){2, 9, 7}, 40, 3);
    one_layer one = create_layer(&layer, (pynn_shape){2, 9, 7}, 1, 3);
    const size_t inputs = many.at.inputs, outputs = many.at.outputs;
    do_blocks(&many, FORWARD, true);
    memcpy(one.x, many.x + 39 * inputs, inputs * sizeof(float));
    do_blocks(&one, FORWARD, false);
    CHECK_BYTES(one.y, many.y + 39 * outputs, outputs * sizeof(float));
    destroy_layer(&many);
    destroy_layer(&one);
}

/* NaN and infinity reach all outputs that read them, and no others. */
static void test_not_finite(void) {
    const pynn_layer layer = FILTERS(.filters = 2, .size = {3, 3}, .stride = 1, .groups = 2);
    one_layer it = create_layer(&layer, (pynn_shape){2, 8, 8}, 2, 4);
    it.x[64 + 2 * 8 + 3] = NAN;
    it.x[128] = INFINITY;
    do_blocks(&it, FORWARD, true);
    for (size_t i = 0; i < it.rows * it.at.outputs; i++) {
        const size_t image = i / 36, y = i % 36 / 6, x = i % 6;
        const bool is_nan = image == 1 && y <= 2 && x >= 1 && x <= 3, is_infinite = i == 72;
        CHECK_EQ(isnan(it.y[i]), is_nan);
        CHECK_EQ(isinf(it.y[i]), is_infinite);
    }
    destroy_layer(&it);
}

static pynn_status status_of(pynn_layer layer, pynn_shape in) {
    pynn_layer_place place;
    return pynn_layer_type_of(PYNN_CONV2D)->place(&layer, in, &place);
}

/* Options that make no sense, and sizes that fit no memory, are refused before anything is computed. */
static void test_refusals(void) {
    const pynn_shape in = {4, 8, 8}, large = {1, 40000, 40000}, wide = {INT_MAX, 1, 1};
    const pynn_layer good = FILTERS(.filters = 4, .size = {3, 3}, .stride = 1, .groups = 2);
    pynn_layer layer = good;
    CHECK_EQ(status_of(good, in), PYNN_OK);
    size_t *const fields[] = {&layer.conv2d.filters, &layer.conv2d.size[0], &layer.conv2d.size[1],
                              &layer.conv2d.stride,  &layer.conv2d.groups,  &layer.conv2d.before[0],
                              &layer.conv2d.after[1]};
    for (size_t f = 0; f < COUNT_OF(fields); f++) {
        const size_t hostile[] = {
            0, (size_t)INT_MAX / 4 + 1, (size_t)INT_MAX, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX};
        for (size_t h = f < 5 ? 0 : 1; h < COUNT_OF(hostile); h++) {
            layer = good;
            *fields[f] = hostile[h];
            CHECK(status_of(layer, in) != PYNN_OK);
        }
    }
    const size_t odd[][2] = {{0, 3}, {1, 9}, {2, 9}, {4, 3}}; /* which field, and to what */
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        layer = good;
        *fields[odd[i][0]] = odd[i][1];
        CHECK_EQ(status_of(layer, in), PYNN_INVALID_ARGUMENT);
    }
    layer = good;
    layer.conv2d.init = (pynn_init)7;
    CHECK_EQ(status_of(layer, in), PYNN_UNKNOWN_LAYER);
    layer = FILTERS(.filters = 1, .size = {1000, 1000}, .stride = 1, .groups = 1);
    CHECK_EQ(status_of(layer, large), PYNN_SIZE_OVERFLOW);
    layer = FILTERS(.filters = INT_MAX / 8, .size = {1, 1}, .stride = 1, .groups = 1);
    CHECK_EQ(status_of(layer, wide), PYNN_SIZE_OVERFLOW);
    layer = FILTERS(.filters = 1, .size = {1, 1}, .stride = 1, .before = {INT_MAX / 4, INT_MAX / 4},
                    .groups = 1);
    CHECK_EQ(status_of(layer, in), PYNN_SIZE_OVERFLOW);
}

/* The first filters are drawn as a dense layer's weights, for the inputs of an output and the outputs of an
 * input in a group; the bias starts at 0. */
static void test_initialize(pynn_init init) {
    const pynn_layer layer = {
        .kind = PYNN_CONV2D,
        .conv2d = {.filters = 60, .size = {3, 2}, .stride = 1, .groups = 2, .init = init}};
    one_layer it = create_layer(&layer, (pynn_shape){20, 4, 4}, 1, 5);
    const size_t count = 60 * 10 * 6;
    const double inputs = 10 * 6, outputs = 30 * 6;
    const double variance = init == PYNN_INIT_HE ? 2.0 / inputs : 2.0 / (inputs + outputs);
    double sum = 0.0, squares = 0.0, most = 0.0;
    it.at.type->initialize(&it.at, 1, 0, it.parameters);
    for (size_t i = 0; i < count; i++) {
        const double w = (double)it.parameters[i];
        sum += w;
        squares += w * w;
        most = fmax(most, fabs(w));
    }
    CHECK_NEAR(sum / (double)count, 0.0, 4.0 * sqrt(variance / (double)count));
    CHECK_NEAR(squares / (double)count / variance, 1.0, 0.1);
    CHECK((most <= sqrt(6.0 / (inputs + outputs)) + 1e-6) == (init == PYNN_INIT_XAVIER));
    for (size_t f = 0; f < 60; f++) CHECK_NEAR(it.parameters[count + f], 0.0, 0.0);
    destroy_layer(&it);
}

int main(void) {
    test_initialize(PYNN_INIT_HE);
    test_initialize(PYNN_INIT_XAVIER);
    test_random_shapes();
    test_chosen_shapes();
    test_batch_of_one();
    test_not_finite();
    test_refusals();
    return check_failures();
}
