/* test_batch_norm.c: batch normalization against its formulas in double: near zero and far from it, of
 * images and of rows, of one value for a channel. */
#include <stdint.h>

#include "images.h"

static const float eps = 1e-3f;

/* What the formulas need of a channel, in double. */
typedef struct channel {
    size_t rows, width, size; /* of the batch, of a row, of a channel in a row */
    size_t first;             /* the channel's first value in a row */
    double count, mean, variance, of_dy, of_dyh;
} channel;

static size_t place_of(const channel *c, size_t i) {
    return i / c->size * c->width + c->first + i % c->size;
}

static double normal(const one_layer *it, const channel *c, size_t i) {
    return ((double)it->x[place_of(c, i)] - c->mean) / sqrt(c->variance + (double)eps);
}

static channel channel_of(const one_layer *it, size_t index) {
    const size_t size = it->at.inputs / it->at.input_shape.channels, count = it->rows * size;
    channel c = {it->rows, it->at.inputs, size, index * size, .count = (double)count};
    for (size_t i = 0; i < count; i++) c.mean += (double)it->x[place_of(&c, i)] / c.count;
    for (size_t i = 0; i < count; i++) {
        const double e = (double)it->x[place_of(&c, i)] - c.mean;
        c.variance += e * e / c.count;
    }
    for (size_t i = 0; i < count; i++) {
        c.of_dy += (double)it->dy[place_of(&c, i)];
        c.of_dyh += (double)it->dy[place_of(&c, i)] * normal(it, &c, i);
    }
    return c;
}

/* Add a constant to all inputs, which floats can hold in steps of a sixteenth up to 2^20. */
static void move(one_layer *it, float by) {
    for (size_t i = 0; i < it->rows * it->at.inputs; i++) it->x[i] = by + roundf(16.0f * it->x[i]) / 16.0f;
}

static void test_formulas(pynn_shape in, size_t rows, float by, float beta, uint64_t seed) {
    const pynn_layer layer = BATCH_NORM(0.1f, eps);
    one_layer it = create_layer(&layer, in, rows, seed);
    const size_t channels = in.channels;
    if (by != 0.0f) move(&it, by);
    run_layer(&it, beta);
    float *running = it.parameters + 2 * channels;
    float before[2] = {running[0], running[channels]};
    const pynn_layer_call call = call_of_layer(&it, 0, true);
    it.at.type->follow(&call, it.parameters);
    for (size_t index = 0; index < channels; index++) {
        const channel c = channel_of(&it, index);
        const double factor = 1.0 / sqrt(c.variance + (double)eps),
                     old = beta == 0.0f ? 0.0 : 2.0 * (double)beta;
        const double gain = (double)it.parameters[index], bias = (double)it.parameters[channels + index];
        for (size_t i = 0; i < rows * c.size; i++) {
            const double h = normal(&it, &c, i), dy = (double)it.dy[place_of(&c, i)];
            const double dx = gain * factor * (dy - c.of_dy / c.count - h * c.of_dyh / c.count);
            CHECK_NEAR(it.y[place_of(&c, i)], gain * h + bias, 1e-5);
            CHECK_NEAR(it.dx[place_of(&c, i)], dx, 2e-5 * fmax(1.0, gain * factor));
        }
        CHECK_NEAR(it.target[index], old - 0.5 * c.of_dyh, 2e-6 * c.count + 1e-4);
        CHECK_NEAR(it.target[channels + index], old - 0.5 * c.of_dy, 1e-6 * c.count + 1e-5);
        CHECK_NEAR(it.target[2 * channels + index], old, 0.0); /* running means have no gradient */
        CHECK_NEAR(it.target[3 * channels + index], old, 0.0);
        if (index > 0) continue;
        const double unbiased = c.count > 1.0 ? c.variance * c.count / (c.count - 1.0) : c.variance;
        CHECK_NEAR(running[0], 0.9 * (double)before[0] + 0.1 * c.mean, 1e-6 * (1.0 + fabs(c.mean)));
        CHECK_NEAR(running[channels], 0.9 * (double)before[1] + 0.1 * unbiased, 1e-5);
    }
    destroy_layer(&it);
}

static void test_all_formulas(void) {
    const struct {
        pynn_shape in;
        size_t rows;
    } cases[] = {
        {{8, 28, 28}, 40}, {{3, 7, 7}, 150}, {{5, 1, 1}, 150}, {{37, 1, 1}, 33},
        {{1, 1, 1}, 2},    {{2, 3, 1}, 1},   {{4, 1, 17}, 65}, {{1, 220, 300}, 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_formulas(cases[i].in, cases[i].rows, 0.0f, 0.0f, i);
        test_formulas(cases[i].in, cases[i].rows, 0.0f, 1.0f, i);
        test_formulas(cases[i].in, cases[i].rows, 1e6f, 0.0f, i);
        test_formulas(cases[i].in, cases[i].rows, -3e5f, 0.0f, i);
    }
}

/* Equal values have the variance 0: they become the bias, and no gradient passes. This holds for one value,
 * too, and for values whose mean no float is. */
static void test_equal_values(float value, size_t rows) {
    const pynn_layer layer = BATCH_NORM(1.0f, eps);
    one_layer it = create_layer(&layer, (pynn_shape){20, 1, 1}, rows, 9);
    for (size_t i = 0; i < rows * 20; i++) {
        it.x[i] = value;
        it.dy[i] = 1.0f;
    }
    run_layer(&it, 0.0f);
    for (size_t i = 0; i < rows * 20; i++) {
        CHECK_NEAR(it.y[i], it.parameters[20 + i % 20], 1e-6);
        CHECK_NEAR(it.dx[i], 0.0, 1e-5);
    }
    const pynn_layer_call call = call_of_layer(&it, 0, true);
    it.at.type->follow(&call, it.parameters);
    CHECK_NEAR(it.parameters[40], value, 2e-7f * value); /* m + 1 (value - m), rounded */
    CHECK_NEAR(it.parameters[60], 0.0, 1e-9);
    destroy_layer(&it);
}

/* In use the running mean and variance stand in the place of the batch's. */
static void test_in_use(void) {
    const pynn_layer layer = BATCH_NORM(0.5f, eps);
    one_layer it = create_layer(&layer, (pynn_shape){6, 5, 4}, 7, 10);
    do_blocks(&it, FORWARD, false);
    for (size_t i = 0; i < 7 * 120; i++) {
        const float *p = it.parameters + i % 120 / 20;
        const double h = ((double)it.x[i] - (double)p[12]) / sqrt((double)p[18] + (double)eps);
        CHECK_NEAR(it.y[i], (double)p[0] * h + (double)p[6], 1e-5);
    }
    destroy_layer(&it);
}

/* A NaN reaches all values of its channel, and no other channel. */
static void test_not_finite(void) {
    const pynn_layer layer = BATCH_NORM(0.5f, eps);
    one_layer it = create_layer(&layer, (pynn_shape){3, 2, 2}, 35, 11);
    it.x[34 * 12 + 5] = NAN;
    do_blocks(&it, OBSERVE, true);
    do_blocks(&it, FORWARD, true);
    for (size_t i = 0; i < 35 * 12; i++) CHECK_EQ(isnan(it.y[i]), i % 12 / 4 == 1);
    destroy_layer(&it);
}

static void test_refusals(void) {
    const pynn_layer bad[] = {BATCH_NORM(0.1f, 0.0f),     BATCH_NORM(0.1f, -1.0f), BATCH_NORM(0.1f, NAN),
                              BATCH_NORM(0.1f, INFINITY), BATCH_NORM(0.0f, eps),   BATCH_NORM(1.5f, eps),
                              BATCH_NORM(NAN, eps)};
    pynn_layer_place place;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK_EQ(pynn_layer_type_of(PYNN_BATCH_NORM)->place(&bad[i], (pynn_shape){1, 2, 2}, &place),
                 PYNN_INVALID_ARGUMENT);
}

int main(void) {
    test_all_formulas();
    test_equal_values(0.1f, 100);
    test_equal_values(1e6f, 33);
    test_equal_values(3.0f, 1);
    test_in_use();
    test_not_finite();
    test_refusals();
    return check_failures();
}
