/* test_mathematics.c: exp, sigmoid, tanh and the other functions are compared with libm in double: over the
 * whole range, at its ends, and where a function changes from one formula to another. Each function is
 * tested in a loop for this machine's instruction set, as the library uses it, and value by value for the
 * instruction set that every machine has. */
#include <float.h>

#include "base/mathematics.h"
#include "check.h"

PYNN_KERNEL(void, loop_exp, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_exp(x[i]);
}

PYNN_KERNEL(void, loop_sigmoid, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_sigmoid(x[i]);
}

PYNN_KERNEL(void, loop_tanh, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_tanh(x[i]);
}

static float scalar_exp(float x) {
    return pynn_exp(x);
}

static float scalar_sigmoid(float x) {
    return pynn_sigmoid(x);
}

static float scalar_tanh(float x) {
    return pynn_tanh(x);
}

static double exact_sigmoid(double x) {
    return 1.0 / (1.0 + exp(-x));
}

/* Between these exp gives a normal number; the margin is 5e-6 and 8e-6. */
static const float lowest = -87.33654f, highest = 88.72283f;

typedef struct function {
    const char *name;
    void (*loop)(size_t count, const float *x, float *y);
    float (*scalar)(float x);
    double (*exact)(double x);
    double bound; /* the error that the header promises, in ulp */
} function;

enum { EXP, SIGMOID, TANH, FUNCTIONS };

static const function functions[FUNCTIONS] = {
    {"exp", loop_exp, scalar_exp, exp, 2.0},
    {"sigmoid", loop_sigmoid, scalar_sigmoid, exact_sigmoid, 3.0},
    {"tanh", loop_tanh, scalar_tanh, tanh, 2.0},
};

/* Whether the header says that the result is 0 here, whatever the exact value is. */
static bool is_cut_off(const function *f, float x) {
    return (f->exact == exp && x < lowest) || (f->exact == exact_sigmoid && x < -highest);
}

/* The error of a result, in units of the last place of the exact value as a float. */
static double distance(const function *f, float x, float y) {
    if (isnan(x)) return isnan(y) ? 0.0 : (double)INFINITY;
    if (is_cut_off(f, x)) return y == 0.0f && !signbit(y) ? 0.0 : (double)INFINITY;
    double exact = f->exact((double)x);
    if (isinf((float)exact)) return y == (float)exact ? 0.0 : (double)INFINITY;
    int exponent;
    (void)frexp(exact, &exponent);
    double distance = fabs((double)y - exact) / ldexp(1.0, exponent < FLT_MIN_EXP ? -149 : exponent - 24);
    return isnan(distance) ? (double)INFINITY : distance;
}

/* ---------------------------------------------------------------- over the whole range */

/* One of every STRIDE bit patterns is tested, so every exponent, and NaN, is tested 4000 times or more. */
static void test_range(const function *f) {
    enum { STRIDE = 2039, AT_ONCE = 1024 };
    double worst_loop = 0.0, worst_scalar = 0.0;
    float loop_at = 0.0f, scalar_at = 0.0f;
    size_t looked_at = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX;) {
        float x[AT_ONCE], y[AT_ONCE];
        size_t count = 0;
        for (; count < AT_ONCE && bits <= UINT32_MAX; bits += STRIDE) {
            uint32_t pattern = (uint32_t)bits;
            memcpy(&x[count++], &pattern, sizeof pattern);
        }
        f->loop(count, x, y);
        for (size_t i = 0; i < count; i++) {
            double loop = distance(f, x[i], y[i]);
            float value = f->scalar(x[i]);
            double scalar = memcmp(&value, &y[i], sizeof value) == 0 ? loop : distance(f, x[i], value);
            if (loop > worst_loop) worst_loop = loop, loop_at = x[i];
            if (scalar > worst_scalar) worst_scalar = scalar, scalar_at = x[i];
        }
        looked_at += count;
    }
    printf("%s: at worst %.3f ulp at %.9g in a loop, %.3f at %.9g alone\n", f->name, worst_loop,
           (double)loop_at, worst_scalar, (double)scalar_at);
    CHECK(looked_at > 2000000);
    CHECK_NEAR(worst_loop, 0.0, f->bound);
    CHECK_NEAR(worst_scalar, 0.0, f->bound);
    CHECK(worst_loop >
          0.5); /* a smaller error is impossible without exact rounding: then the measure is wrong */
}

/* ---------------------------------------------------------------- at the ends */

typedef struct boundary {
    float x;
    double y[FUNCTIONS]; /* exact results; NaN means: use distance() */
} boundary;

static const double inf = (double)INFINITY, any = (double)NAN;

/* Test one value both ways: in a loop and by itself. */
static void check_boundary(const boundary *at, float x, double sign) {
    for (size_t k = 0; k < FUNCTIONS; k++) {
        const function *f = &functions[k];
        float same[3] = {x, x, x}, y[3];
        f->loop(3, same, y);
        y[2] = f->scalar(x);
        for (size_t i = 0; i < 3; i++) {
            bool holds = CHECK_NEAR(distance(f, x, y[i]), 0.0, f->bound);
            if (!isnan(at->y[k])) {
                float expected = (float)(k == TANH ? sign * at->y[k] : at->y[k]);
                holds = CHECK(y[i] == expected && !signbit(y[i]) == !signbit(expected)) && holds;
            }
            if (!holds) printf("    %s(%.9g) = %.9g\n", f->name, (double)x, (double)y[i]);
        }
    }
}

static void test_boundaries(void) {
    const double tiny = (double)FLT_TRUE_MIN, normal = (double)FLT_MIN;
    const boundary cases[] = {
        {0.0f, {1, 0.5, 0}},
        {FLT_TRUE_MIN, {1, 0.5, tiny}},
        {3 * FLT_TRUE_MIN, {1, 0.5, 3 * tiny}},
        {nextafterf(FLT_MIN, 0.0f), {1, 0.5, normal - tiny}},
        {FLT_MIN, {1, 0.5, normal}},
        {0x1p-26f, {1, 0.5, 0x1p-26}},
        {0.625f, {any, any, any}},
        {20.0f, {any, 1, 1}},
        {highest, {any, 1, 1}},
        {nextafterf(highest, INFINITY), {inf, 1, 1}},
        {1e30f, {inf, 1, 1}},
        {FLT_MAX, {inf, 1, 1}},
        {INFINITY, {inf, 1, 1}},
    };
    const boundary negative[] = {
        {-0.0f, {1, 0.5, 0}},
        {-FLT_TRUE_MIN, {1, 0.5, tiny}},
        {-FLT_MIN, {1, 0.5, normal}},
        {-0.625f, {any, any, any}},
        {nextafterf(lowest, 0.0f), {any, any, 1}},
        {lowest, {any, any, 1}},
        {nextafterf(lowest, -INFINITY), {0, any, 1}},
        {-88.0f, {0, any, 1}},
        {-highest, {0, any, 1}},
        {nextafterf(-highest, -INFINITY), {0, 0, 1}},
        {-104.0f, {0, 0, 1}},
        {-1e30f, {0, 0, 1}},
        {-FLT_MAX, {0, 0, 1}},
        {-INFINITY, {0, 0, 1}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) check_boundary(&cases[c], cases[c].x, 1.0);
    for (size_t c = 0; c < sizeof negative / sizeof *negative; c++)
        check_boundary(&negative[c], negative[c].x, -1.0);
    const boundary not_a_number = {NAN, {any, any, any}};
    check_boundary(&not_a_number, NAN, 1.0);
    check_boundary(&not_a_number, -NAN, 1.0);
}

/* ---------------------------------------------------------------- at the seams */

/* For the floats around x, in order, the result never falls by more than one ulp. */
static void check_rising(const function *f, float x) {
    enum { AROUND = 512 };
    float values[2 * AROUND], y[2 * AROUND];
    values[AROUND] = x;
    for (size_t i = AROUND; i > 0; i--) values[i - 1] = nextafterf(values[i], -INFINITY);
    for (size_t i = AROUND + 1; i < 2 * AROUND; i++) values[i] = nextafterf(values[i - 1], INFINITY);
    f->loop(2 * AROUND, values, y);
    for (size_t i = 1; i < 2 * AROUND; i++) {
        float one_less = nextafterf(y[i - 1], -INFINITY);
        if (!CHECK(y[i] >= one_less)) {
            printf("    %s falls to %.9g at %.9g\n", f->name, (double)y[i], (double)values[i]);
            return;
        }
    }
}

/* exp uses another power of 2 from the odd multiples of ln 2 / 2 on; sigmoid changes with it, and tanh at
 * half of these values. tanh has another formula from 0.625 on. */
static void test_seams(void) {
    const double ln_2 = 0.69314718055994531;
    for (int n = -126; n <= 127; n++) {
        float seam = (float)((n + 0.5) * ln_2);
        check_rising(&functions[EXP], seam);
        check_rising(&functions[SIGMOID], seam);
        if (n >= 0 && n < 32) {
            check_rising(&functions[TANH], seam / 2);
            check_rising(&functions[TANH], -seam / 2);
        }
    }
    for (size_t k = 0; k < FUNCTIONS; k++) {
        const float others[] = {lowest, highest, -highest, 0.625f, -0.625f, 0.0f, 1.0f};
        for (size_t s = 0; s < sizeof others / sizeof *others; s++) check_rising(&functions[k], others[s]);
    }
}

/* ---------------------------------------------------------------- expm1 and log1p */

PYNN_KERNEL(void, loop_expm1, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_expm1(x[i]);
}

PYNN_KERNEL(void, loop_log1p, (size_t count, const float *x, float *y), (count, x, y)) {
    for (size_t i = 0; i < count; i++) y[i] = pynn_log1p(x[i]);
}

static float scalar_expm1(float x) {
    return pynn_expm1(x);
}

static float scalar_log1p(float x) {
    return pynn_log1p(x);
}

static const function near_0[] = {
    {"expm1", loop_expm1, scalar_expm1, expm1, 4.0},
    {"log1p", loop_log1p, scalar_log1p, log1p, 3.0},
};

/* Every 4999th float from `first` to `last`, both of one sign, has no larger error than the header
 * promises. */
static void check_floats(const function *f, float first, float last) {
    enum { COUNT = 1000, STEP = 4999 };
    uint32_t bits, end;
    double worst = 0.0;
    memcpy(&bits, &first, sizeof bits);
    memcpy(&end, &last, sizeof end);
    while (bits <= end) {
        float x[COUNT], y[COUNT];
        size_t count = 0;
        for (; count < COUNT && bits <= end; count++, bits += STEP) memcpy(&x[count], &bits, sizeof bits);
        f->loop(count, x, y);
        for (size_t i = 0; i < count; i++) {
            worst = fmax(worst, distance(f, x[i], y[i]));
            worst = fmax(worst, distance(f, x[i], f->scalar(x[i])));
        }
    }
    if (!CHECK_NEAR(worst, 0.0, f->bound)) printf("    %s\n", f->name);
}

static void test_near_0(void) {
    check_floats(&near_0[0], 1e-30f, 88.7f);
    check_floats(&near_0[0], -1e-30f, -100.0f);
    check_floats(&near_0[1], 1e-30f, 1.0f);
    check_rising(&near_0[0], 0.34657359f);
    check_rising(&near_0[0], -0.34657359f);
    CHECK(pynn_expm1(0.0f) == 0.0f && pynn_log1p(0.0f) == 0.0f);
    CHECK(pynn_expm1(-INFINITY) == -1.0f && pynn_expm1(INFINITY) == INFINITY);
    CHECK(isnan(pynn_expm1(NAN)) && isnan(pynn_log1p(NAN)));
}

/* ---------------------------------------------------------------- GELU */

PYNN_KERNEL(void, loop_gelu, (size_t count, const float *x, float *y, float *slope), (count, x, y, slope)) {
    for (size_t i = 0; i < count; i++) {
        y[i] = pynn_gelu(x[i]);
        slope[i] = pynn_gelu_slope(x[i]);
    }
}

/* GELU and its derivative, over [-20, 20] in steps of 1e-5, have no larger error than the header
 * promises. */
static void test_gelu(void) {
    enum { COUNT = 1000 };
    for (int block = -2000; block < 2000; block++) {
        float x[COUNT], y[COUNT], slope[COUNT];
        for (int i = 0; i < COUNT; i++) x[i] = 0.01f * ((float)block + (float)i / COUNT);
        loop_gelu(COUNT, x, y, slope);
        for (size_t i = 0; i < COUNT; i++) {
            double at = (double)x[i], normal = 0.5 * erfc(-at / sqrt(2.0));
            double density = exp(-0.5 * at * at) / sqrt(2.0 * 3.14159265358979323846);
            bool holds = CHECK_NEAR(y[i], at * normal, 3e-7 * fabs(at)) &&
                         CHECK_NEAR(pynn_gelu(x[i]), at * normal, 3e-7 * fabs(at)) &&
                         CHECK_NEAR(slope[i], normal + at * density, 1e-6);
            if (!holds) {
                printf("    x = %.9g\n", at);
                return;
            }
        }
    }
}

int main(void) {
    test_gelu();
    test_near_0();
    for (size_t k = 0; k < FUNCTIONS; k++) test_range(&functions[k]);
    test_boundaries();
    test_seams();
    return check_failures();
}
