/* test_pool2d.c: pooling of images against plain loops in double, for many shapes, windows, strides and
 * paddings. */
#include <limits.h>
#include <stdint.h>

#include "images.h"

#define POOL2D(which, ...)                                                                                 \
    (pynn_layer) {                                                                                         \
        .kind = (which), .max_pool2d = {__VA_ARGS__}                                                       \
    }

/* The plain twin of one window: sets its output, and adds to the dX (H, W) of its channel. */
static void pool_plainly(const one_layer *it, size_t channel, size_t y, size_t x, double *out, double *dx) {
    const pynn_pool2d_options *o = &it->at.layer.max_pool2d;
    const pynn_shape in = it->at.input_shape, outs = it->at.output_shape;
    const bool is_max = it->at.layer.kind == PYNN_MAX_POOL2D;
    const double share = 1.0 / (double)(o->size[0] * o->size[1]);
    const double dy = (double)it->dy[(channel * outs.height + y) * outs.width + x];
    size_t best = SIZE_MAX;
    *out = is_max ? -(double)INFINITY : 0.0;
    for (size_t i = 0; i < o->size[0]; i++) {
        for (size_t j = 0; j < o->size[1]; j++) {
            const size_t v = y * o->stride + i, u = x * o->stride + j; /* with the padding */
            if (v < o->padding || v - o->padding >= in.height) continue;
            if (u < o->padding || u - o->padding >= in.width) continue;
            const size_t place = (v - o->padding) * in.width + u - o->padding;
            const double value = (double)it->x[channel * in.height * in.width + place];
            if (!is_max) {
                *out += share * value;
                dx[place] += share * dy;
            } else if (value > *out) {
                *out = value;
                best = place;
            }
        }
    }
    if (best != SIZE_MAX) dx[best] += dy;
}

/* Values of which many are equal, so that the first of several largest ones must be found. */
static void round_values(one_layer *it) {
    for (size_t i = 0; i < it->rows * it->at.inputs; i++) it->x[i] = roundf(2.0f * it->x[i]);
}

static void check_layer(const pynn_layer *layer, pynn_shape in, size_t rows, uint64_t seed) {
    one_layer it = create_layer(layer, in, rows, seed);
    const pynn_shape out = it.at.output_shape;
    const size_t inputs = rows * it.at.inputs, outputs = rows * it.at.outputs;
    double *y = calloc(outputs, sizeof(double)), *dx = calloc(inputs, sizeof(double));
    if (!CHECK(y != NULL && dx != NULL)) exit(check_failures());
    if (seed % 2 == 0) round_values(&it);
    run_layer(&it, 0.0f);
    for (size_t i = 0; i < outputs; i++) {
        const size_t channel = i / (out.height * out.width);
        pool_plainly(&it, channel, i / out.width % out.height, i % out.width, &y[i],
                     dx + channel * in.height * in.width);
    }
    if (!CHECK_NEAR(error_of(outputs, it.y, y), 0.0, 1e-6) ||
        !CHECK_NEAR(error_of(inputs, it.dx, dx), 0.0, 1e-6))
        printf("    case %d: %zux%zux%zu, %zu rows\n", (int)seed, in.channels, in.height, in.width, rows);
    free(y);
    free(dx);
    destroy_layer(&it);
}

static void test_random_shapes(void) {
    uint64_t state = 2;
    for (uint64_t seed = 0; seed < 300; seed++) {
        const pynn_shape in = {draw(&state, 1, 4), draw(&state, 1, 12), draw(&state, 1, 40)};
        pynn_layer layer = POOL2D(seed % 3 == 0 ? PYNN_AVG_POOL2D : PYNN_MAX_POOL2D, .size = {1, 1},
                                  .stride = draw(&state, 1, 4));
        layer.max_pool2d.padding = draw(&state, 0, 2);
        for (size_t d = 0; d < 2; d++) {
            const size_t padding = layer.max_pool2d.padding, length = d == 0 ? in.height : in.width;
            layer.max_pool2d.size[d] = draw(&state, 1, pynn_least(length, 4));
            if (layer.max_pool2d.size[d] < 2 * padding) layer.max_pool2d.padding = 0;
        }
        if (2 * layer.max_pool2d.padding > layer.max_pool2d.size[0]) layer.max_pool2d.padding = 0;
        check_layer(&layer, in, draw(&state, 1, 20), seed);
    }
}

/* Windows of 2 x 2 side by side, with rows of all lengths up to more than two vectors. */
static void test_two_by_two(void) {
    for (size_t width = 1; width <= 36; width++) {
        const pynn_layer layer = POOL2D(PYNN_MAX_POOL2D, .size = {2, 2}, .stride = 2);
        check_layer(&layer, (pynn_shape){3, 4, 2 * width}, 2, width);
        check_layer(&layer, (pynn_shape){1, 2, 2 * width}, 1, width + 1);
    }
}

/* Windows that reach over both edges. */
static void test_wide_windows(void) {
    for (uint64_t seed = 0; seed < 4; seed++) {
        const pynn_layer layer =
            POOL2D(seed < 2 ? PYNN_AVG_POOL2D : PYNN_MAX_POOL2D, .size = {5, 5}, .stride = 1, .padding = 2);
        check_layer(&layer, (pynn_shape){2, 1, 1}, 3, seed);
        check_layer(&layer, (pynn_shape){2, 3, 2}, 3, seed);
    }
}

/* The largest of values with a NaN is NaN. */
static void test_not_finite(void) {
    const pynn_layer four = POOL2D(PYNN_MAX_POOL2D, .size = {2, 2}, .stride = 2);
    const pynn_layer nine = POOL2D(PYNN_MAX_POOL2D, .size = {3, 3}, .stride = 1);
    for (size_t place = 0; place < 36; place++) {
        one_layer it = create_layer(place % 2 == 0 ? &four : &nine, (pynn_shape){1, 6, 6}, 1, place);
        const size_t size = it.at.layer.max_pool2d.size[0], stride = it.at.layer.max_pool2d.stride;
        const size_t width = it.at.output_shape.width;
        it.x[place] = NAN;
        do_blocks(&it, FORWARD, true);
        for (size_t i = 0; i < it.at.outputs; i++) {
            const size_t y = i / width * stride, x = i % width * stride;
            const bool reads =
                place / 6 >= y && place / 6 < y + size && place % 6 >= x && place % 6 < x + size;
            CHECK_EQ(isnan(it.y[i]), reads);
        }
        destroy_layer(&it);
    }
}

static void test_global(void) {
    const pynn_layer layer = {.kind = PYNN_GLOBAL_AVG_POOL};
    one_layer it = create_layer(&layer, (pynn_shape){5, 7, 3}, 19, 6);
    run_layer(&it, 0.0f);
    CHECK_EQ(it.at.outputs, 5);
    for (size_t i = 0; i < 19 * 5; i++) {
        double mean = 0.0;
        for (size_t p = 0; p < 21; p++) {
            mean += (double)it.x[i * 21 + p] / 21.0;
            CHECK_NEAR(it.dx[i * 21 + p], (double)it.dy[i] / 21.0, 1e-7);
        }
        CHECK_NEAR(it.y[i], mean, 1e-6);
    }
    destroy_layer(&it);
}

static pynn_status status_of(pynn_layer layer) {
    pynn_layer_place place = {.view_count = 0};
    return pynn_layer_type_of(layer.kind)->place(&layer, (pynn_shape){1, 5, 4}, &place);
}

static void test_refusals(void) {
    CHECK_EQ(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {5, 4}, .stride = 9)), PYNN_OK);
    CHECK_EQ(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {0, 2}, .stride = 1)), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {2, 0}, .stride = 1)), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(status_of(POOL2D(PYNN_AVG_POOL2D, .size = {2, 2}, .stride = 0)), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(status_of(POOL2D(PYNN_AVG_POOL2D, .size = {6, 1}, .stride = 1)), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(status_of(POOL2D(PYNN_AVG_POOL2D, .size = {1, 5}, .stride = 1)), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {3, 3}, .stride = 1, .padding = 2)),
             PYNN_INVALID_ARGUMENT);
    CHECK_EQ(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {4, 3}, .stride = 1, .padding = 2)),
             PYNN_INVALID_ARGUMENT);
    const size_t hostile[] = {(size_t)INT_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX - 1, SIZE_MAX};
    for (size_t h = 0; h < COUNT_OF(hostile); h++) {
        const size_t n = hostile[h];
        CHECK(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {n, n}, .stride = 1)) != PYNN_OK);
        CHECK(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {2, n}, .stride = 1)) != PYNN_OK);
        CHECK(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {n, n}, .stride = 1, .padding = n / 2)) != PYNN_OK);
        CHECK(status_of(POOL2D(PYNN_MAX_POOL2D, .size = {2, 2}, .stride = 1, .padding = n)) != PYNN_OK);
    }
}

int main(void) {
    test_random_shapes();
    test_two_by_two();
    test_wide_windows();
    test_not_finite();
    test_global();
    test_refusals();
    return check_failures();
}
