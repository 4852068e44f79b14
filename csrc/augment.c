/* augment.c: images are changed a little, at random, each time that a batch is gathered.
 *
 * A network that sees each image moved, turned and bent anew each time learns what does not change: the
 * digit. For each place (y, x) of the new image there is a place (v, u) of the old one,
 *
 *     (v, u) = center + A ((y, x) - center) + shift + D(y, x)
 *
 * and the new value is interpolated between the four old values around it (bilinear); outside of the image
 * all is `fill`. A turns, scales and shears. D is the elastic part (Simard, Steinkraus and Platt 2003): a
 * grid of points, each moved at random, and between them a smooth curve (a cubic B-spline).
 *
 * The random numbers of a row depend on (seed, epoch, row) alone. So they are the same on any number of
 * threads, in any order of the rows, and in a run that is resumed. */
#include <math.h>
#include <string.h>

#include "base/vector.h"
#include "internal.h"

/* Images are larger than this nowhere where this is of use. It bounds what lies on the stack. */
enum { MOST_LENGTH = 512, MOST_POINTS = 36 };

/* Pixels between two points of the elastic grid, if the image is no larger than MOST_LENGTH / 2. */
static size_t spacing_of(pynn_shape shape) {
    size_t longest = shape.height > shape.width ? shape.height : shape.width;
    return longest <= MOST_LENGTH / 2 ? 8 : 16;
}

bool pynn_augmentation_is_sound(const pynn_augmentation *a, size_t inputs) {
    const float least = 0.0f, values[] = {a->shift, a->rotate, a->scale, a->shear, a->elastic};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (!(values[i] >= least && values[i] <= (float)MOST_LENGTH)) return false;
    }
    if (!(a->rotate <= 180.0f && a->shear < 90.0f && fabsf(a->fill) <= 3.4e38f)) return false;
    size_t size, height = a->shape.height, width = a->shape.width;
    return height >= 1 && height <= MOST_LENGTH && width >= 1 && width <= MOST_LENGTH &&
           pynn_multiply(height * width, a->shape.channels, &size) && size == inputs;
}

/* The old place of a new one: v = v0 + vy y + vx x, and u likewise; and how far the points of the grid are
 * moved. */
typedef struct way {
    float v0, vy, vx, u0, uy, ux;
    size_t spacing, rows, columns; /* of the grid */
    float moved_v[MOST_POINTS * MOST_POINTS], moved_u[MOST_POINTS * MOST_POINTS];
} way;

/* Draw the way of a row of the data. Of its random stream 2^61 + epoch it has the words from row * 4096 on:
 * six for A and the shift, and from word 8 on those of the grid. */
static void draw_way(const pynn_augmentation *a, size_t row, way *w) {
    enum { WORDS_OF_A_ROW = 4096, WORDS_OF_A = 8 };
    uint64_t stream = (UINT64_C(1) << 61) + a->epoch, first = (uint64_t)row * WORDS_OF_A_ROW;
    float drawn[WORDS_OF_A];
    pynn_random_uniform(a->seed, stream, first, WORDS_OF_A, -1.0f, 1.0f, drawn);
    double pi = 3.14159265358979323846;
    double angle = (double)(a->rotate * drawn[0]) * pi / 180.0;
    double tall = pow(1.0 + (double)a->scale, (double)drawn[1]);
    double wide = pow(1.0 + (double)a->scale, (double)drawn[2]);
    double slant = tan((double)(a->shear * drawn[3]) * pi / 180.0);
    double c = cos(angle), s = sin(angle);
    w->vy = (float)(c / tall);
    w->vx = (float)(s / tall);
    w->uy = (float)((slant * c - s) / wide);
    w->ux = (float)((c + slant * s) / wide);
    float y = 0.5f * (float)(a->shape.height - 1), x = 0.5f * (float)(a->shape.width - 1);
    w->v0 = y - w->vy * y - w->vx * x + a->shift * drawn[4];
    w->u0 = x - w->uy * y - w->ux * x + a->shift * drawn[5];
    w->spacing = spacing_of(a->shape);
    w->rows = a->shape.height / w->spacing + 4;
    w->columns = a->shape.width / w->spacing + 4;
    size_t count = w->rows * w->columns;
    if (a->elastic == 0.0f) return;
    pynn_random_uniform(a->seed, stream, first + WORDS_OF_A, count, -a->elastic, a->elastic, w->moved_v);
    pynn_random_uniform(a->seed, stream, first + WORDS_OF_A + count, count, -a->elastic, a->elastic,
                        w->moved_u);
}

/* The weights of the four points around t, from 0 at the second of them to 1 at the third: those of a
 * uniform cubic B-spline. */
PYNN_INLINE void spline(float t, float weights[4]) {
    float rest = 1.0f - t;
    weights[0] = rest * rest * rest / 6.0f;
    weights[1] = (4.0f - 6.0f * t * t + 3.0f * t * t * t) / 6.0f;
    weights[2] = (4.0f - 6.0f * rest * rest + 3.0f * rest * rest * rest) / 6.0f;
    weights[3] = t * t * t / 6.0f;
}

/* Add D(y, x) to the old places of a row of new ones. */
PYNN_INLINE void bend(const way *w, size_t y, size_t width, const float *moved, float *places) {
    float down[4], across[4], column[MOST_POINTS];
    spline((float)(y % w->spacing) / (float)w->spacing, down);
    const float *points = moved + y / w->spacing * w->columns;
    for (size_t p = 0; p < w->columns; p++)
        column[p] = down[0] * points[p] + down[1] * points[w->columns + p] +
                    down[2] * points[2 * w->columns + p] + down[3] * points[3 * w->columns + p];
    for (size_t first = 0; first < width; first += w->spacing) {
        const float *four = column + first / w->spacing;
        size_t end = pynn_least(first + w->spacing, width);
        for (size_t x = first; x < end; x++) {
            spline((float)(x - first) / (float)w->spacing, across);
            places[x] +=
                across[0] * four[0] + across[1] * four[1] + across[2] * four[2] + across[3] * four[3];
        }
    }
}

/* x between 0 and `most`; both are more than -1e6, so that the conversion to an integer is a floor. */
PYNN_INLINE float between(float x, float most) {
    float above = x > 0.0f ? x : 0.0f;
    return above < most ? above : most;
}

/* One row of the new image. `old` has a border: its value (0, 0) is that of the place (-1, -1), and there
 * are two more rows and columns behind the last. */
PYNN_INLINE void take_row(const pynn_augmentation *a, const way *w, size_t y, const float *old,
                          float *new_row) {
    size_t width = a->shape.width, pitch = width + 3;
    float v[MOST_LENGTH], u[MOST_LENGTH];
    for (size_t x = 0; x < width; x++) {
        v[x] = w->v0 + w->vy * (float)y + w->vx * (float)x;
        u[x] = w->u0 + w->uy * (float)y + w->ux * (float)x;
    }
    if (a->elastic > 0.0f) {
        bend(w, y, width, w->moved_v, v);
        bend(w, y, width, w->moved_u, u);
    }
    for (size_t x = 0; x < width; x++) {
        float down = between(v[x] + 1.0f, (float)(a->shape.height + 1));
        float across = between(u[x] + 1.0f, (float)(width + 1));
        int32_t i = (int32_t)down, j = (int32_t)across;
        float s = down - (float)i, t = across - (float)j;
        const float *at = old + i * (int32_t)pitch + j;
        float upper = at[0] + t * (at[1] - at[0]), lower = at[pitch] + t * (at[pitch + 1] - at[pitch]);
        new_row[x] = upper + s * (lower - upper);
    }
}

PYNN_KERNEL(void, take_image,
            (const pynn_augmentation *a, const way *w, const float *old, float *new_image),
            (a, w, old, new_image)) {
    for (size_t y = 0; y < a->shape.height; y++) take_row(a, w, y, old, new_image + y * a->shape.width);
}

size_t pynn_augmentation_scratch(size_t inputs) {
    enum { MOST = (MOST_LENGTH + 3) * (MOST_LENGTH + 3) };
    /* (H + 3) (W + 3), for any H and W with H W = inputs that are no more than MOST_LENGTH. */
    return inputs < MOST / 4 ? 4 * inputs + 12 : MOST;
}

void pynn_augment(const pynn_augmentation *a, size_t row, float *x, float *scratch) {
    size_t height = a->shape.height, width = a->shape.width, pitch = width + 3;
    way w;
    draw_way(a, row, &w);
    for (size_t c = 0; c < a->shape.channels; c++, x += height * width) {
        for (size_t i = 0; i < (height + 3) * pitch; i++) scratch[i] = a->fill;
        for (size_t y = 0; y < height; y++)
            memcpy(scratch + (y + 1) * pitch + 1, x + y * width, width * sizeof(float));
        take_image(a, &w, scratch, x);
    }
}
