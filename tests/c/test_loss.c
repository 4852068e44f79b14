/* test_loss.c: the losses, by hand, with extreme values, and compared with sums in double. */
#include "helpers.h"
#include "internal.h"

static void softmax_cross_entropy(size_t rows, size_t outputs, const float *z, const int32_t *labels,
                                  float smoothing, const float *weights, float scale, float *dz,
                                  pynn_sums *sums) {
    const pynn_loss loss = SMOOTHED_CROSS_ENTROPY(smoothing);
    const pynn_loss_rows it = {rows, outputs, z, labels, NULL, weights, scale, dz, NULL};
    pynn_loss_type_of(loss.kind)->compute(&loss, &it, sums);
}

static void softmax(size_t rows, size_t classes, const float *z, float *p) {
    pynn_loss_type_of(PYNN_SOFTMAX_CROSS_ENTROPY)->probabilities(rows, classes, z, p);
}

enum { ROWS = 50, CLASSES = 7 };

/* With p = softmax(z): log 1, log 2, log 5 give p = 1/8, 2/8, 5/8; the label is 1.
 *     loss = -log(2/8) = log 4        dz = scale * (1/8, 2/8 - 1, 5/8), and scale is 8
 * Three times log 7 give 1/3 each, and the first class is taken; the label is 0.
 *     loss = log 3                    dz = 8 * (1/3 - 1, 1/3, 1/3)                        */
static void test_by_hand(void) {
    const float logits[] = {0.0f, logf(2.0f), logf(5.0f), logf(7.0f), logf(7.0f), logf(7.0f)};
    const int32_t labels[] = {1, 0};
    const double expected[] = {1, -6, 5, -16.0 / 3, 8.0 / 3, 8.0 / 3};
    float deltas[7] = {[6] = 42.0f};
    pynn_sums sums = {100.0, 10, 20}; /* overwritten */
    softmax_cross_entropy(2, 3, logits, labels, 0.0f, NULL, 8.0f, deltas, &sums);
    CHECK_NEAR(sums.loss, log(4.0) + log(3.0), 1e-6);
    CHECK_EQ(sums.correct, 1);
    CHECK_EQ(sums.rows, 2);
    for (size_t i = 0; i < 6; i++) {
        CHECK_NEAR(deltas[i], expected[i], 2e-6);
    }
    CHECK_NEAR(deltas[6], 42.0, 0.0);

    float p[7] = {[6] = 42.0f};
    const double probabilities[] = {1.0 / 8, 2.0 / 8, 5.0 / 8, 1.0 / 3, 1.0 / 3, 1.0 / 3, 42.0};
    softmax(2, 3, logits, p);
    for (size_t i = 0; i < 7; i++) {
        CHECK_NEAR(p[i], probabilities[i], 1e-7);
    }
}

/* Logits of 1e4 do not overflow: the loss is the distance between the largest logit and the label's. */
static void test_extremes(void) {
    static const struct {
        float logits[3];
        int32_t label;
        double loss;
        size_t correct;
        double deltas[3];
    } cases[] = {
        {{1e4f, 0, -1e4f}, 0, 0, 1, {0, 0, 0}},
        {{1e4f, 0, -1e4f}, 1, 1e4, 0, {1, -1, 0}},
        {{1e4f, 0, -1e4f}, 2, 2e4, 0, {1, 0, -1}},
        {{1e4f, 1e4f, 1e4f}, 2, 1.0986122886681098, 0, {1.0 / 3, 1.0 / 3, -2.0 / 3}},
        {{-1e4f, -1e4f, -1e4f}, 0, 1.0986122886681098, 1, {-2.0 / 3, 1.0 / 3, 1.0 / 3}},
        {{0, 5, 5},
         1,
         0.6965109,
         1,
         {0.0033580, -0.5016790, 0.4983210}}, /* all equal: the first class counts as the prediction */
        {{0, 5, 5}, 2, 0.6965109, 0, {0.0033580, 0.4983210, -0.5016790}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float deltas[3];
        pynn_sums sums = {0};
        softmax_cross_entropy(1, 3, cases[c].logits, &cases[c].label, 0.0f, NULL, 1.0f, deltas, &sums);
        CHECK_NEAR(sums.loss, cases[c].loss, 1e-6);
        CHECK_EQ(sums.correct, cases[c].correct);
        for (size_t i = 0; i < 3; i++) {
            CHECK_NEAR(deltas[i], cases[c].deltas[i], 1e-6);
        }
    }
}

/* With a single class the prediction is always right, and the gradient is 0. */
static void test_one_class(void) {
    const float logit = -3.0f;
    const int32_t label = 0;
    float delta = 42.0f;
    pynn_sums sums = {0};
    softmax_cross_entropy(1, 1, &logit, &label, 0.0f, NULL, 1.0f, &delta, &sums);
    CHECK_NEAR(sums.loss, 0.0, 0.0);
    CHECK_EQ(sums.correct, 1);
    CHECK_NEAR(delta, 0.0, 0.0);
}

/* Many rows are compared with the definition in double. Softmax may also overwrite its input. */
static void test_against_double(void) {
    float logits[ROWS * CLASSES], deltas[ROWS * CLASSES], p[ROWS * CLASSES];
    int32_t labels[ROWS];
    double loss = 0.0;
    size_t correct = 0;
    pynn_random_uniform(1, 0, 0, ROWS * CLASSES, -6.0f, 6.0f, logits);
    for (size_t n = 0; n < ROWS; n++) {
        labels[n] = (int32_t)(n * n % CLASSES);
    }
    pynn_sums sums;
    softmax_cross_entropy(ROWS, CLASSES, logits, labels, 0.0f, NULL, 0.25f, deltas, &sums);
    softmax(ROWS, CLASSES, logits, p);

    for (size_t n = 0; n < ROWS; n++) {
        const float *z = logits + n * CLASSES;
        double sum = 0.0;
        size_t largest = 0;
        for (size_t c = 0; c < CLASSES; c++) {
            sum += exp((double)z[c]);
            if (z[c] > z[largest]) largest = c;
        }
        for (size_t c = 0; c < CLASSES; c++) {
            const double probability = exp((double)z[c]) / sum;
            const double onehot = (size_t)labels[n] == c;
            CHECK_NEAR(p[n * CLASSES + c], probability, 1e-6);
            CHECK_NEAR(deltas[n * CLASSES + c], 0.25 * (probability - onehot), 1e-6);
        }
        loss += log(sum) - (double)z[labels[n]];
        correct += largest == (size_t)labels[n];
    }
    CHECK_NEAR(sums.loss, loss, 1e-5 * loss);
    CHECK_EQ(sums.correct, correct);
    CHECK(correct > 0 && correct < ROWS);
    CHECK_EQ(sums.rows, ROWS);

    softmax(ROWS, CLASSES, logits, logits);
    CHECK_BYTES(logits, p, sizeof p);
}

/* A million classes: one has e = 1 and all others 1/10. A sum of floats would be wrong by a percent. The
 * mean of label smoothing is a sum of as many values. */
static void test_many_classes(void) {
    enum { MANY = 1 << 20, LABEL = 12345 };
    static float z[MANY], p[MANY], deltas[MANY];
    const int32_t label = LABEL;
    const double other = exp((double)logf(0.1f)), total = 1.0 + (MANY - 1) * other;
    for (size_t c = 0; c < MANY; c++) z[c] = c == LABEL ? 0.0f : logf(0.1f);
    softmax(1, MANY, z, p);
    double all = 0.0;
    for (size_t c = 0; c < MANY; c++) all += (double)p[c];
    CHECK_NEAR(all, 1.0, 1e-6);
    CHECK_NEAR((double)p[LABEL] * total, 1.0, 1e-6);
    for (int smoothed = 0; smoothed < 2; smoothed++) {
        const double e = smoothed ? 0.5 : 0.0, mean = (double)logf(0.1f) * (MANY - 1) / MANY;
        pynn_sums sums = {0};
        softmax_cross_entropy(1, MANY, z, &label, (float)e, NULL, 1.0f, deltas, &sums);
        CHECK_NEAR(sums.loss, log(total) - e * mean, 2e-6);
        CHECK_NEAR((double)deltas[0] * MANY, (other / total - e / MANY) * MANY, 1e-6);
        CHECK_NEAR(deltas[LABEL], 1.0 / total - (1.0 - e) - e / MANY, 1e-6);
    }
}

/* Numbers of classes around MANY, from which on sums are made in lanes, with values left over after the
 * lanes: compared with sums in double. */
static void test_widths(void) {
    enum { LEAST = 60, MOST = 84 };
    float z[MOST], p[MOST], deltas[MOST];
    for (size_t width = LEAST; width <= MOST; width++) {
        const int32_t label = (int32_t)width - 1; /* a class that is left over after the lanes */
        const double e = 0.125;
        double all = 0.0, mean = 0.0;
        pynn_random_uniform(7, width, 0, width, -3.0f, 3.0f, z);
        for (size_t c = 0; c < width; c++) all += exp((double)z[c]), mean += (double)z[c] / (double)width;
        pynn_sums sums = {0};
        softmax(1, width, z, p);
        softmax_cross_entropy(1, width, z, &label, (float)e, NULL, 1.0f, deltas, &sums);
        bool holds = CHECK_NEAR(sums.loss, log(all) - (1.0 - e) * (double)z[label] - e * mean, 2e-6);
        for (size_t c = 0; c < width; c++) {
            const double probability = exp((double)z[c]) / all, is_label = c == (size_t)label;
            const double expected = probability - (1.0 - e) * is_label - e / (double)width;
            holds = CHECK_NEAR(p[c], probability, 1e-7) && CHECK_NEAR(deltas[c], expected, 2e-7) && holds;
        }
        if (!holds) printf("    %zu classes\n", width);
    }
}

/* Sums are made in lanes from 64 classes on. With fewer classes each logit of -2^-15 is lost when it is
 * added to the first logit, W * -2^34. In lanes these small logits are added to each other first, so their
 * sum is kept. The mean of all logits, which label smoothing needs, is then not midway between two floats
 * but beyond: half of it is 2^33 + 2^10, not 2^33. */
static void test_first_width_of_lanes(void) {
    float z[64], deltas[64];
    for (size_t width = 63; width <= 64; width++) {
        const int32_t label = (int32_t)width - 1;
        pynn_sums sums = {0};
        for (size_t c = 0; c < width; c++) z[c] = -0x1p-15f;
        z[0] = (float)width * -0x1p34f;
        z[1] = (float)width * -0x1p10f;
        z[label] = 0.0f;
        softmax_cross_entropy(1, width, z, &label, 0.5f, NULL, 1.0f, deltas, &sums);
        CHECK_NEAR(sums.loss, width < 64 ? 0x1p33 : 0x1p33 + 0x1p10, 0.0);
    }
}

/* How many predictions are correct for one row with `classes` logits and this label. */
static size_t correct_predictions(size_t classes, const float *z, size_t label) {
    static float deltas[200];
    const int32_t labels[] = {(int32_t)label};
    pynn_sums sums;
    softmax_cross_entropy(1, classes, z, labels, 0.0f, NULL, 1.0f, deltas, &sums);
    return sums.correct;
}

/* The prediction is the first of the largest logits, at any place. A NaN is skipped unless it is the first.
 * Also with so many classes that they are compared in lanes. */
static void test_predictions(void) {
    enum { MOST = 200 };
    static const size_t counts[] = {2, 3, 10, 31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 131, MOST};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        float z[MOST];
        size_t classes = counts[k], wrong = 0;
        for (size_t place = 0; place < classes; place++) {
            for (size_t c = 0; c < classes; c++) z[c] = c < place ? -1.0f - (float)(c % 3) : (float)(c % 2);
            z[place] = 1.0f; /* every other logit after it is as large */
            wrong += correct_predictions(classes, z, place) != 1;
            if (place + 2 < classes) wrong += correct_predictions(classes, z, place + 2) != 0;
            if (place > 0) z[place - 1] = NAN;
            wrong += correct_predictions(classes, z, place == 1 ? 0 : place) != 1;
        }
        if (!CHECK_EQ(wrong, 0)) printf("    of %zu classes\n", classes);
    }
}

/* A row among many gives the same bits as by itself, although rows are taken some at a time. */
static void test_rows_apart(void) {
    enum { MANY_ROWS = 71, MOST = 130 };
    static const size_t counts[] = {1, 5, 63, 64, MOST};
    static float z[MANY_ROWS * MOST], deltas[MANY_ROWS * MOST], alone[MOST];
    float weights[MANY_ROWS];
    int32_t labels[MANY_ROWS];
    pynn_random_uniform(2, 0, 0, MANY_ROWS * MOST, -6.0f, 6.0f, z);
    pynn_random_uniform(2, 1, 0, MANY_ROWS, 0.0f, 2.0f, weights);
    for (size_t k = 0; k < 2 * sizeof counts / sizeof *counts; k++) {
        size_t classes = counts[k / 2];
        const float smoothing = k % 2 ? 0.25f : 0.0f;
        pynn_sums all, some = {0};
        for (size_t n = 0; n < MANY_ROWS; n++) labels[n] = (int32_t)(n * n % classes);
        softmax_cross_entropy(MANY_ROWS, classes, z, labels, smoothing, weights, 0.5f, deltas, &all);
        for (size_t n = 0; n < MANY_ROWS; n++) {
            pynn_sums one;
            softmax_cross_entropy(1, classes, z + n * classes, labels + n, smoothing, weights + n, 0.5f,
                                  alone, &one);
            CHECK_BYTES(deltas + n * classes, alone, classes * sizeof(float));
            some.loss += one.loss;
            some.correct += one.correct;
        }
        CHECK_NEAR(all.loss, some.loss, 0.0);
        CHECK_EQ(all.correct, some.correct);
        CHECK_EQ(all.rows, MANY_ROWS);
    }
}

/* The binary cross-entropy of one row. */
static void binary_cross_entropy(size_t outputs, const float *z, const float *targets, float *dz,
                                 pynn_sums *sums) {
    const pynn_loss loss = BINARY_CROSS_ENTROPY;
    const pynn_loss_rows it = {1, outputs, z, NULL, targets, NULL, 1.0f, dz, NULL};
    pynn_loss_type_of(loss.kind)->compute(&loss, &it, sums);
}

/* More outputs than are multiplied before a logarithm is taken. */
static void test_wide_binary_cross_entropy(void) {
    enum { OUTPUTS = 1100 };
    float z[OUTPUTS], targets[OUTPUTS], deltas[OUTPUTS];
    double expected = 0.0;
    for (size_t o = 0; o < OUTPUTS; o++) {
        z[o] = (float)o / 50.0f - 11.0f;
        targets[o] = (float)(o % 5) / 4.0f;
        expected +=
            fmax((double)z[o], 0.0) - (double)z[o] * (double)targets[o] + log1p(exp(-fabs((double)z[o])));
    }
    pynn_sums sums = {0};
    binary_cross_entropy(OUTPUTS, z, targets, deltas, &sums);
    CHECK_NEAR(sums.loss, expected / OUTPUTS, 1e-6);
    for (size_t o = 0; o < OUTPUTS; o++)
        CHECK_NEAR(deltas[o], (1 / (1 + exp(-(double)z[o])) - (double)targets[o]) / OUTPUTS, 1e-9);
}

/* All z are 0, so each factor is 2: a product of 1,024 factors would be infinite. */
static void test_product_of_factors(void) {
    enum { MOST = 2500 };
    static float z[MOST], targets[MOST], deltas[MOST];
    for (size_t outputs = 1; outputs <= MOST; outputs++) {
        pynn_sums sums = {0};
        binary_cross_entropy(outputs, z, targets, deltas, &sums);
        if (!CHECK_NEAR(sums.loss, log(2.0), 1e-12)) return;
    }
}

/* Logits of 1e4: nothing overflows, the loss is their distance from the right side, and the probabilities
 * are 0 and 1. */
static void test_binary_extremes(void) {
    const float z[] = {-1e4f, 1e4f, -1e4f, 1e4f}, targets[] = {0.0f, 1.0f, 1.0f, 0.0f};
    const double expected[] = {0.0, 0.0, -0.25, 0.25}, probabilities[] = {0.0, 1.0, 0.0, 1.0};
    float dz[4], p[4];
    pynn_sums sums = {0};
    binary_cross_entropy(4, z, targets, dz, &sums);
    pynn_loss_type_of(PYNN_BINARY_CROSS_ENTROPY)->probabilities(1, 4, z, p);
    CHECK_NEAR(sums.loss, 5000.0, 0.0);
    CHECK_EQ(sums.correct, 2);
    for (size_t o = 0; o < 4; o++) {
        CHECK_NEAR(dz[o], expected[o], 0.0);
        CHECK_NEAR(p[o], probabilities[o], 0.0);
    }
}

/* The Poisson loss of a row. */
static void poisson(size_t outputs, const float *z, const float *targets, float *dz, pynn_sums *sums) {
    const pynn_loss loss = POISSON;
    const pynn_loss_rows it = {1, outputs, z, NULL, targets, NULL, 1.0f, dz, NULL};
    pynn_loss_type_of(loss.kind)->compute(&loss, &it, sums);
}

/* Rates of 1, e, 0 and 0, and targets that fit them or do not: exp(z) - t + t (log t - z). */
static void test_poisson_by_hand(void) {
    const float z[] = {0.0f, 1.0f, -1e4f, -1e4f}, targets[] = {3.0f, 0.0f, 2.0f, 0.0f};
    const double e = exp(1.0), losses[] = {3 * log(3.0) - 2, e, 2 * (log(2.0) + 1e4) - 2, 0};
    const double gradients[] = {-2, e, -2, 0};
    float dz[4];
    for (size_t o = 0; o < 4; o++) {
        pynn_sums sums = {0};
        poisson(1, z + o, targets + o, dz, &sums);
        CHECK_NEAR(sums.loss, losses[o], 1e-6);
        CHECK_NEAR(dz[0], gradients[o], 1e-6);
        CHECK_EQ(sums.correct, 0);
    }
    pynn_sums all = {0};
    poisson(4, z, targets, dz, &all);
    CHECK_NEAR(all.loss, (losses[0] + losses[1] + losses[2] + losses[3]) / 4, 1e-6);
    for (size_t o = 0; o < 4; o++) CHECK_NEAR(dz[o], gradients[o] / 4, 1e-6);
}

/* Rates that are near their large targets: the loss, whose terms cancel, is never below 0. A rate that is
 * no float gives an infinite loss, not a finite one with an infinite gradient; a z that is no number, or
 * minus infinity, gives none. */
static void test_poisson_extremes(void) {
    for (int power = 0; power <= 30; power++) {
        const float target = powf(10.0f, (float)power), z = logf(target);
        float dz;
        pynn_sums sums = {0};
        poisson(1, &z, &target, &dz, &sums);
        const double error = (double)z - log((double)target), expected = (double)target * error * error / 2;
        CHECK(sums.loss >= 0.0);
        CHECK_NEAR(sums.loss, expected, 1e-5 * expected + 1e-14 * (double)target);
    }
    const float overflowing[] = {88.8f, 1e4f, INFINITY, NAN, -INFINITY};
    for (size_t i = 0; i < 10; i++) {
        const float target = (float)(i / 5), wrong = overflowing[i % 5];
        float dz;
        pynn_sums sums = {0};
        poisson(1, &wrong, &target, &dz, &sums);
        CHECK(!isfinite(sums.loss) && (wrong < 0.0f || !isfinite(dz)));
    }
}

/* Two outputs of three rows, z = 1, 2 and 3, and their exponentials in the Poisson loss. The errors are
 * set, not added to, and the weights have no part in them. Without a place for them there are none. */
static void test_errors(void) {
    static const struct {
        pynn_loss_kind kind;
        double y[3];
    } cases[] = {{PYNN_MEAN_SQUARED_ERROR, {1, 2, 3}},
                 {PYNN_POISSON, {2.718281828459045, 7.38905609893065, 20.085536923187668}}};
    const float z[] = {1, 1, 2, 2, 3, 3}, targets[] = {1, 0, 4, 0, 2, 0}, weights[] = {5, 0, 7};
    for (size_t k = 0; k < 2; k++) {
        const pynn_loss loss = {.kind = cases[k].kind};
        const double *y = cases[k].y;
        double errors[5] = {-1, -2, -3, -4, 42};
        float dz[6];
        pynn_sums sums;
        pynn_loss_rows it = {3, 2, z, NULL, targets, weights, 1.0f, dz, errors};
        pynn_loss_type_of(loss.kind)->compute(&loss, &it, &sums);
        const double distances[] = {fabs(y[0] - 1), fabs(y[1] - 4), fabs(y[2] - 2)};
        double squares = 0.0, squares_of_y = 0.0;
        for (size_t n = 0; n < 3; n++) squares += distances[n] * distances[n], squares_of_y += y[n] * y[n];
        CHECK_NEAR(errors[0], distances[0] + distances[1] + distances[2], 1e-5);
        CHECK_NEAR(errors[1], y[0] + y[1] + y[2], 1e-5);
        CHECK_NEAR(errors[2], squares, 1e-4);
        CHECK_NEAR(errors[3], squares_of_y, 1e-4);
        CHECK_NEAR(errors[4], 42.0, 0.0);
        const double with_errors = sums.loss;
        it.errors = NULL;
        pynn_loss_type_of(loss.kind)->compute(&loss, &it, &sums);
        CHECK_NEAR(sums.loss, with_errors, 0.0);
    }
}

/* The errors of more outputs than are summed at a time, beside sums in plain loops. */
static void test_errors_of_many_outputs(void) {
    enum { N = 5, O = 2 * 16 + 3 };
    static float y[N * O], targets[N * O], dz[N * O];
    double errors[2 * O + 1];
    errors[2 * O] = 42.0;
    pynn_random_normal(1, 0, 0, N * O, 0.0f, 3.0f, y);
    pynn_random_normal(1, 1, 0, N * O, 1.0f, 2.0f, targets);
    const pynn_loss loss = MEAN_SQUARED_ERROR;
    pynn_sums sums;
    pynn_loss_rows it = {N, O, y, NULL, targets, NULL, 1.0f, dz, errors};
    pynn_loss_type_of(loss.kind)->compute(&loss, &it, &sums);
    for (size_t o = 0; o < O; o++) {
        double absolute = 0.0, squares = 0.0;
        for (size_t n = 0; n < N; n++) {
            double error = (double)(y[n * O + o] - targets[n * O + o]);
            absolute += fabs(error);
            squares += error * error;
        }
        CHECK_NEAR(errors[o], absolute, 1e-12);
        CHECK_NEAR(errors[O + o], squares, 1e-11);
    }
    CHECK_NEAR(errors[2 * O], 42.0, 0.0);
}

int main(void) {
    test_errors();
    test_errors_of_many_outputs();
    test_poisson_by_hand();
    test_poisson_extremes();
    test_by_hand();
    test_extremes();
    test_one_class();
    test_against_double();
    test_many_classes();
    test_widths();
    test_first_width_of_lanes();
    test_predictions();
    test_rows_apart();
    test_wide_binary_cross_entropy();
    test_product_of_factors();
    test_binary_extremes();
    return check_failures();
}
