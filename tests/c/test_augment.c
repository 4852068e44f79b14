/* test_augment.c: images that are changed at random: held against the same formulas in double, and what the
 * random numbers depend on. */
#include <float.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

enum { MOST = 2 * 300 * 40 };

static float image[MOST], changed[MOST], scratch[4 * MOST + 12];

static void fill_image(size_t count) {
    pynn_random_uniform(7, 1, 0, count, 0.0f, 1.0f, image);
}

/* ---------------------------------------------------------------- the plain twin */

/* The cubic B-spline around 0, which is 0 beyond 2. */
static double spline(double t) {
    double a = fabs(t);
    if (a >= 2.0) return 0.0;
    return a < 1.0 ? (4.0 - 6.0 * a * a + 3.0 * a * a * a) / 6.0 : (2.0 - a) * (2.0 - a) * (2.0 - a) / 6.0;
}

/* How far (y, x) is moved: the sum over all points of the grid. The first point lies one spacing before the
 * image. */
static double moved(const float *points, size_t rows, size_t columns, double spacing, double y, double x) {
    double sum = 0.0;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++)
            sum += (double)points[r * columns + c] * spline(y / spacing + 1.0 - (double)r) *
                   spline(x / spacing + 1.0 - (double)c);
    }
    return sum;
}

static double value_at(const pynn_augmentation *a, const float *x, long v, long u) {
    bool inside = v >= 0 && u >= 0 && v < (long)a->shape.height && u < (long)a->shape.width;
    return inside ? (double)x[(size_t)v * a->shape.width + (size_t)u] : (double)a->fill;
}

/* The value of the new image at (y, x), from the first channel. */
static double expected_at(const pynn_augmentation *a, uint64_t row, const float *x, size_t y_at,
                          size_t x_at) {
    enum { MOST_POINTS = 36 * 36 };
    static float drawn[8], grid[2 * MOST_POINTS];
    uint64_t stream = (UINT64_C(1) << 61) + a->epoch, first = row * 4096;
    pynn_random_uniform(a->seed, stream, first, 8, -1.0f, 1.0f, drawn);
    double pi = 3.14159265358979323846, angle = (double)a->rotate * (double)drawn[0] * pi / 180.0;
    double tall = pow(1.0 + (double)a->scale, (double)drawn[1]);
    double wide = pow(1.0 + (double)a->scale, (double)drawn[2]);
    double slant = tan((double)a->shear * (double)drawn[3] * pi / 180.0);
    double middle_y = ((double)a->shape.height - 1.0) / 2.0,
           middle_x = ((double)a->shape.width - 1.0) / 2.0;
    double y = (double)y_at - middle_y, u = (double)x_at - middle_x;
    double turned_y = cos(angle) * y + sin(angle) * u, turned_x = -sin(angle) * y + cos(angle) * u;
    double v = turned_y / tall + middle_y + (double)(a->shift * drawn[4]);
    u = (turned_x + slant * turned_y) / wide + middle_x + (double)(a->shift * drawn[5]);
    size_t longest = a->shape.height > a->shape.width ? a->shape.height : a->shape.width;
    size_t spacing = longest <= 256 ? 8 : 16;
    size_t rows = a->shape.height / spacing + 4, columns = a->shape.width / spacing + 4;
    if (a->elastic > 0.0f) {
        pynn_random_uniform(a->seed, stream, first + 8, 2 * rows * columns, -a->elastic, a->elastic, grid);
        v += moved(grid, rows, columns, (double)spacing, (double)y_at, (double)x_at);
        u += moved(grid + rows * columns, rows, columns, (double)spacing, (double)y_at, (double)x_at);
    }
    long i = (long)floor(v), j = (long)floor(u);
    double s = v - (double)i, t = u - (double)j;
    double upper = (1.0 - t) * value_at(a, x, i, j) + t * value_at(a, x, i, j + 1);
    double lower = (1.0 - t) * value_at(a, x, i + 1, j) + t * value_at(a, x, i + 1, j + 1);
    return (1.0 - s) * upper + s * lower;
}

/* ---------------------------------------------------------------- the tests */

static pynn_augmentation of_shape(size_t channels, size_t height, size_t width) {
    return (pynn_augmentation){.shape = {channels, height, width}, .seed = 5, .epoch = 3};
}

/* Change a row. */
static void change(const pynn_augmentation *a, size_t row) {
    size_t count = a->shape.channels * a->shape.height * a->shape.width;
    memcpy(changed, image, count * sizeof(float));
    pynn_augment(a, row, changed, scratch);
}

/* All channels have the values of the twin. Their places are rounded to floats, by some 1e-5 pixels. */
static void check_image(const pynn_augmentation *a, size_t row) {
    size_t height = a->shape.height, width = a->shape.width;
    change(a, row);
    for (size_t c = 0; c < a->shape.channels; c++) {
        const float *from = image + c * height * width, *to = changed + c * height * width;
        for (size_t i = 0; i < height * width; i++) {
            double expected = expected_at(a, row, from, i / width, i % width);
            if (!CHECK_NEAR(to[i], expected, 3e-4)) return;
        }
    }
}

/* Each change alone, and all of them. */
static void test_formulas(void) {
    static const size_t shapes[][3] = {{1, 28, 28}, {2, 1, 9}, {1, 9, 1}, {2, 17, 30}, {1, 300, 40}};
    for (size_t k = 0; k < COUNT_OF(shapes); k++) {
        fill_image(shapes[k][0] * shapes[k][1] * shapes[k][2]);
        for (int change_of = 0; change_of < 6; change_of++) {
            pynn_augmentation a = of_shape(shapes[k][0], shapes[k][1], shapes[k][2]);
            bool all = change_of == 5;
            if (all || change_of == 0) a.shift = 3.0f;
            if (all || change_of == 1) a.rotate = 30.0f;
            if (all || change_of == 2) a.scale = 0.3f;
            if (all || change_of == 3) a.shear = 20.0f;
            if (all || change_of == 4) a.elastic = 3.0f;
            a.fill = all ? -0.5f : 0.0f;
            for (size_t row = 0; row < 5; row++) check_image(&a, row * 1000);
        }
    }
}

/* Nothing to change: the same values, bit for bit. */
static void test_nothing(void) {
    pynn_augmentation a = of_shape(2, 13, 11);
    fill_image(2 * 13 * 11);
    change(&a, 4);
    CHECK_BYTES(changed, image, 2 * 13 * 11 * sizeof(float));
}

/* Far outside of the image all is fill. */
static void test_far_away(void) {
    pynn_augmentation a = of_shape(1, 2, 2);
    a.shift = 512.0f;
    a.fill = 2.5f;
    fill_image(4);
    change(&a, 1);
    for (size_t i = 0; i < 4; i++) CHECK_NEAR(changed[i], 2.5, 0.0);
}

/* The changes depend on seed, epoch and row. */
static void test_random_numbers(void) {
    static float first[28 * 28];
    pynn_augmentation a = of_shape(1, 28, 28);
    a.rotate = 20.0f;
    fill_image(28 * 28);
    change(&a, 9);
    memcpy(first, changed, sizeof first);
    change(&a, 9);
    CHECK_BYTES(changed, first, sizeof first);
    change(&a, 10);
    CHECK(memcmp(changed, first, sizeof first) != 0);
    a.epoch++;
    change(&a, 9);
    CHECK(memcmp(changed, first, sizeof first) != 0);
    a.epoch--;
    a.seed++;
    change(&a, 9);
    CHECK(memcmp(changed, first, sizeof first) != 0);
}

/* Numbers out of range are refused, and images of another size. */
static void test_refusals(void) {
    pynn_augmentation a = of_shape(2, 4, 8);
    CHECK(pynn_augmentation_is_sound(&a, 64));
    CHECK(!pynn_augmentation_is_sound(&a, 32));
    const pynn_augmentation wrong[] = {
        {.shape = {2, 4, 8}, .shift = -1.0f},  {.shape = {2, 4, 8}, .rotate = 181.0f},
        {.shape = {2, 4, 8}, .scale = NAN},    {.shape = {2, 4, 8}, .shear = 90.0f},
        {.shape = {2, 4, 8}, .elastic = 1e6f}, {.shape = {2, 4, 8}, .fill = INFINITY},
        {.shape = {SIZE_MAX / 16, 4, 8}},
    };
    for (size_t k = 0; k < COUNT_OF(wrong); k++) CHECK(!pynn_augmentation_is_sound(&wrong[k], 64));
    const pynn_shape shapes[] = {{3, 0, 5}, {3, 5, 0}, {1, 513, 2}, {1, 2, 513}, {1, 512, 512}};
    for (size_t k = 0; k < COUNT_OF(shapes); k++) {
        const pynn_augmentation of_it = {.shape = shapes[k]};
        const size_t size = shapes[k].channels * shapes[k].height * shapes[k].width;
        CHECK_EQ(pynn_augmentation_is_sound(&of_it, size), size == 512 * 512);
    }
}

/* A gathered batch has the changed images: of bytes, and on the path for dense features. */
static void test_gather(void) {
    enum { ROWS = 40, SIZE = 16 * 8 };
    static uint8_t bytes[ROWS * SIZE];
    const pynn_layer layer = HE(2);
    pynn_network *network = create_network(SIZE, &layer, 1, MEAN_SQUARED_ERROR);
    pynn_workspace *workspace = NULL;
    CHECK_EQ(pynn_workspace_create_keeping(NULL, network, NULL, ROWS, &workspace), PYNN_OK);
    float p[2 * SIZE + 2] = {0};
    static float x[ROWS * SIZE], out[ROWS * 2];
    pynn_augmentation a = of_shape(1, 16, 8);
    a.rotate = 40.0f;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i % 7 == 0 ? i % 256 : 0);
    pynn_data data = {.features = bytes,
                      .feature_type = PYNN_FEATURES_UINT8,
                      .rows = ROWS,
                      .path = PYNN_PATH_SPARSE,
                      .augmentation = &a};
    CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, p, PYNN_LOGITS, out), PYNN_OK);
    CHECK(!pynn_workspace_is_sparse(workspace));
    CHECK_EQ(pynn_workspace_read(workspace, 0, PYNN_VALUE_INPUTS, x), PYNN_OK);
    for (size_t n = 0; n < ROWS; n++) {
        for (size_t i = 0; i < SIZE; i++) image[i] = (float)bytes[n * SIZE + i] / 255.0f;
        change(&a, n);
        if (!CHECK_BYTES(x + n * SIZE, changed, sizeof(float) * SIZE)) break;
    }
    a.rotate = -1.0f;
    CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, p, PYNN_LOGITS, out), PYNN_INVALID_ARGUMENT);
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

/* The scratch is enough for the narrowest and the largest images (the sanitizers look), and does not grow
 * with rows that are no image. */
static void test_scratch(void) {
    const size_t sizes[][2] = {{1, 1}, {1, 512}, {512, 1}, {128, 512}, {130, 512}, {512, 512}};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t count = sizes[i][0] * sizes[i][1], needed = (sizes[i][0] + 3) * (sizes[i][1] + 3);
        pynn_augmentation a = of_shape(1, sizes[i][0], sizes[i][1]);
        a.elastic = 100.0f;
        CHECK(pynn_augmentation_is_sound(&a, count));
        CHECK(pynn_augmentation_scratch(count) >= needed);
        float *x = calloc(count, sizeof(float)),
              *own = malloc(pynn_augmentation_scratch(count) * sizeof(float));
        if (!CHECK(x != NULL && own != NULL)) exit(check_failures());
        pynn_augment(&a, i, x, own);
        for (size_t k = 0; k < count; k++) {
            if (!CHECK_NEAR(x[k], 0.0, 0.0)) break;
        }
        free(x);
        free(own);
    }
    CHECK_EQ(pynn_augmentation_scratch(INT_MAX), 515 * 515);
}

int main(void) {
    test_scratch();
    test_formulas();
    test_nothing();
    test_far_away();
    test_random_numbers();
    test_refusals();
    test_gather();
    return check_failures();
}
