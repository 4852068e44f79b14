/* test_activations.c: the scalar functions are compared with libm in double, and their derivatives with
 * differences. */
#include "helpers.h"
#include "internal.h"

enum { COUNT = 2001 };

static const pynn_layer layers[] = {RELU, SIGMOID, TANH,      LEAKY_RELU(0.125f),
                                    GELU, SILU,    ELU(0.5f), SOFTPLUS};
enum { KINDS = sizeof layers / sizeof *layers };

static void forward(const pynn_layer *layer, size_t count, const float *x, float *y) {
    pynn_layer_type_of(layer->kind)->value(layer, count, x, y);
}

static void backward(const pynn_layer *layer, size_t count, const float *x, const float *y, float *d) {
    pynn_layer_type_of(layer->kind)->slope(layer, count, x, y, d);
}

static double exact(pynn_layer_kind kind, double x) {
    switch (kind) {
    case PYNN_DENSE:
    case PYNN_DROPOUT:
    case PYNN_LAYER_NORM:
    case PYNN_BATCH_NORM:
    case PYNN_STANDARDIZE:
    case PYNN_COLUMNS:
    case PYNN_CONV2D:
    case PYNN_MAX_POOL2D:
    case PYNN_AVG_POOL2D:
    case PYNN_GLOBAL_AVG_POOL:
    case PYNN_FLATTEN: break;
    case PYNN_RELU: return x > 0.0 ? x : 0.0;
    case PYNN_SIGMOID: return 1.0 / (1.0 + exp(-x));
    case PYNN_TANH: return tanh(x);
    case PYNN_LEAKY_RELU: return x > 0.0 ? x : 0.125 * x;
    case PYNN_GELU: return 0.5 * x * erfc(-x / sqrt(2.0));
    case PYNN_ELU: return x > 0.0 ? x : 0.5 * expm1(x);
    case PYNN_SOFTPLUS: return fmax(x, 0.0) + log1p(exp(-fabs(x)));
    case PYNN_SILU: return x / (1.0 + exp(-x));
    }
    return NAN;
}

/* COUNT values from -20 to 20, none of them 0, where relu has its kink. */
static void fill(float *x) {
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = 0.02f * ((float)i - (float)(COUNT / 2)) + 0.007f;
    }
}

/* The functions are right to a few units in the last place, also where the result is small. */
static void test_forward(void) {
    static float x[COUNT], y[COUNT + 1];
    fill(x);
    for (size_t k = 0; k < KINDS; k++) {
        y[COUNT] = 42.0f;
        forward(&layers[k], COUNT, x, y);
        for (size_t i = 0; i < COUNT; i++) {
            const double expected = exact(layers[k].kind, (double)x[i]);
            /* For very negative x GELU is small in relation to x, and is only as exact as x. */
            const double size = layers[k].kind == PYNN_GELU ? fabs((double)x[i]) : fabs(expected);
            if (!CHECK_NEAR(y[i], expected, 4e-7 * size)) {
                printf("    kind %d, x = %g\n", (int)layers[k].kind, (double)x[i]);
            }
        }
        CHECK_NEAR(y[COUNT], 42.0, 0.0);

        float in_place[COUNT];
        memcpy(in_place, x, sizeof in_place);
        forward(&layers[k], COUNT, in_place, in_place);
        CHECK_BYTES(in_place, y, sizeof in_place);
    }
}

/* The backward functions multiply d by f'(x): compared with (f(x + h) - f(x - h)) / 2h in double. */
static void test_backward(void) {
    static float x[COUNT], y[COUNT], d[COUNT + 1];
    const double h = 1e-4;
    fill(x);
    for (size_t k = 0; k < KINDS; k++) {
        double norm = 0.0;
        forward(&layers[k], COUNT, x, y);
        for (size_t i = 0; i <= COUNT; i++) {
            d[i] = i % 2 == 0 ? 3.0f : -0.5f;
        }
        backward(&layers[k], COUNT, x, y, d);
        for (size_t i = 0; i < COUNT; i++) {
            const double xi = (double)x[i];
            const double slope = (exact(layers[k].kind, xi + h) - exact(layers[k].kind, xi - h)) / (2 * h);
            CHECK_NEAR(d[i], (i % 2 == 0 ? 3.0 : -0.5) * slope, 1e-6);
            norm += slope * slope;
        }
        CHECK(norm > 1.0);
        CHECK_NEAR(d[COUNT], COUNT % 2 == 0 ? 3.0 : -0.5, 0.0);
    }
}

#define INF ((double)INFINITY)
#define TINY ((double)1e-30f)
#define LOG_2 ((double)0.693147181f)

/* For x far from 0 the values are the limits, all derivatives are finite, and a NaN appears only where x is
 * NaN. */
static void test_extremes(void) {
    static const struct {
        float x;
        double y[KINDS], slope[KINDS]; /* for relu, sigmoid, tanh, leaky relu, gelu, silu, elu, softplus */
    } cases[] = {
        {-1e4f, {0, 0, -1, -1250, 0, 0, -0.5, 0}, {0, 0, 0, 0.125, 0, 0, 0, 0}},
        {1e4f, {1e4, 1, 1, 1e4, 1e4, 1e4, 1e4, 1e4}, {1, 0, 0, 1, 1, 1, 1, 1}},
        {-INFINITY, {0, 0, -1, -INF, 0, 0, -0.5, 0}, {0, 0, 0, 0.125, 0, 0, 0, 0}},
        {INFINITY, {INF, 1, 1, INF, INF, INF, INF, INF}, {1, 0, 0, 1, 1, 1, 1, 1}},
        /* at a kink the derivative from the left */
        {0.0f, {0, 0.5, 0, 0, 0, 0, 0, LOG_2}, {0, 0.25, 1, 0.125, 0.5, 0.5, 0.5, 0.5}},
        {-0.0f, {0, 0.5, 0, 0, 0, 0, 0, LOG_2}, {0, 0.25, 1, 0.125, 0.5, 0.5, 0.5, 0.5}},
        {1e-30f,
         {TINY, 0.5, TINY, TINY, TINY / 2, TINY / 2, TINY, LOG_2},
         {1, 0.25, 1, 1, 0.5, 0.5, 1, 0.5}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (size_t k = 0; k < KINDS; k++) {
            float y = 42.0f, d = 1.0f;
            forward(&layers[k], 1, &cases[c].x, &y);
            backward(&layers[k], 1, &cases[c].x, &y, &d);
            const double expected = cases[c].y[k];
            const bool is_gelu = layers[k].kind == PYNN_GELU; /* for GELU the header promises less */
            CHECK((double)y == expected || (is_gelu && fabs((double)y - expected) <= 3e-7 * expected));
            CHECK_NEAR(d, cases[c].slope[k], is_gelu ? 1e-6 : 0.0);
        }
    }
    for (size_t k = 0; k < KINDS; k++) {
        float y = NAN;
        forward(&layers[k], 1, &y, &y);
        CHECK(isnan(y));
    }
}

int main(void) {
    test_forward();
    test_backward();
    test_extremes();
    return check_failures();
}
