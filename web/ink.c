/* ink.c: a drawing, and what MNIST would have made of it: the steps of pynn/_pictures/digit.py, for ink
 * alone.
 *
 * The numbers here are those of digit.py and parts.py there, and pictures are scaled as Pillow scales them:
 * first along the rows, then along the columns, rounded to bytes after each. What parts.py does more is for
 * photos: on this paper there are no specks. */
#include "ink.h"

#include <math.h>
#include <string.h>

enum {
    SOLID = 63,     /* fainter ink is an edge */
    BOX = 20,       /* MNIST's digits fit into it */
    WORKING = 200,  /* pixels of the longer side, at most */
    MIN_STROKE = 2, /* the least width of a stroke in the box */
    MOST = 256,     /* pixels of a side in here: those of a drawing, with room for thicker strokes */
};

static const float PEN = 9.0f; /* its radius, in pixels */
static const float PI = 3.14159265f;

/* A grey picture: its first width * height bytes are used, row by row. */
typedef struct picture {
    int width, height;
    uint8_t pixels[MOST * MOST];
} picture;

static int least(int a, int b) {
    return a < b ? a : b;
}

static int most(int a, int b) {
    return a > b ? a : b;
}

/* ---------------------------------------------------------------- the pen */

/* The distance of a point from the line between two others. */
static float distance(float x, float y, float x0, float y0, float x1, float y1) {
    const float dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
    float t = length > 0.0f ? ((x - x0) * dx + (y - y0) * dy) / length : 0.0f;
    t = fminf(fmaxf(t, 0.0f), 1.0f);
    const float across = x - x0 - t * dx, down = y - y0 - t * dy;
    return sqrtf(across * across + down * down);
}

void ink_stroke(uint8_t *ink, float x0, float y0, float x1, float y1) {
    const int reach = (int)PEN + 2;
    const int left = most((int)fminf(x0, x1) - reach, 0), top = most((int)fminf(y0, y1) - reach, 0);
    const int right = least((int)fmaxf(x0, x1) + reach, INK_SIDE);
    const int bottom = least((int)fmaxf(y0, y1) + reach, INK_SIDE);
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++) {
            const float away = distance((float)x + 0.5f, (float)y + 0.5f, x0, y0, x1, y1);
            const float level = fminf(fmaxf(PEN + 0.5f - away, 0.0f), 1.0f);
            uint8_t *pixel = &ink[y * INK_SIDE + x];
            *pixel = (uint8_t)most(*pixel, (int)lrintf(255.0f * level));
        }
    }
}

/* ---------------------------------------------------------------- scaling */

/* The weight of a pixel at a distance from the middle of the new one: Pillow's HAMMING, for smaller
 * pictures, and its BICUBIC, for larger ones. */
static float hamming(float x) {
    x = fabsf(x);
    if (x == 0.0f) return 1.0f;
    if (x >= 1.0f) return 0.0f;
    x *= PI;
    return sinf(x) / x * (0.54f + 0.46f * cosf(x));
}

static float bicubic(float x) {
    x = fabsf(x);
    if (x < 1.0f) return (1.5f * x - 2.5f) * x * x + 1.0f;
    if (x < 2.0f) return ((-0.5f * x + 2.5f) * x - 4.0f) * x + 2.0f;
    return 0.0f;
}

/* Scale a line of `count` pixels, `stride` bytes apart, to `new_count` pixels, `new_stride` apart. */
static void scale_line(const uint8_t *pixels, int count, int stride, uint8_t *out, int new_count,
                       int new_stride, bool smaller) {
    const float scale = (float)count / (float)new_count, wide = fmaxf(scale, 1.0f);
    const float support = (smaller ? 1.0f : 2.0f) * wide;
    for (int place = 0; place < new_count; place++) {
        const float middle = ((float)place + 0.5f) * scale;
        const int first = most((int)(middle - support + 0.5f), 0);
        const int last = least((int)(middle + support + 0.5f), count);
        float sum = 0.0f, weights = 0.0f;
        for (int i = first; i < last; i++) {
            const float away = ((float)i - middle + 0.5f) / wide;
            const float weight = smaller ? hamming(away) : bicubic(away);
            sum += weight * (float)pixels[i * stride];
            weights += weight;
        }
        out[place * new_stride] = (uint8_t)fminf(fmaxf(floorf(sum / weights + 0.5f), 0.0f), 255.0f);
    }
}

/* Scale a picture so that its longer side has `side` pixels. */
static void fit(picture *image, int side) {
    static picture rows, done;
    const double scale = (double)side / (double)most(image->width, image->height);
    done.width = most(1, (int)lrint((double)image->width * scale));
    done.height = most(1, (int)lrint((double)image->height * scale));
    for (int y = 0; y < image->height; y++) {
        scale_line(&image->pixels[y * image->width], image->width, 1, &rows.pixels[y * done.width],
                   done.width, 1, scale < 1.0f);
    }
    for (int x = 0; x < done.width; x++) {
        scale_line(&rows.pixels[x], image->height, done.width, &done.pixels[x], done.height, done.width,
                   scale < 1.0f);
    }
    *image = done;
}

/* ---------------------------------------------------------------- from ink to a digit */

/* Cut out the box around the solid ink. Returns false if there is none. */
static bool crop(const uint8_t *ink, int width, int height, picture *out) {
    int left = width, right = -1, top = height, bottom = -1;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            if (ink[y * width + x] <= SOLID) continue;
            left = least(left, x), right = most(right, x);
            top = least(top, y), bottom = most(bottom, y);
        }
    }
    if (right < 0) return false;
    out->width = right - left + 1, out->height = bottom - top + 1;
    for (int y = 0; y < out->height; y++)
        memcpy(&out->pixels[y * out->width], &ink[(top + y) * width + left], (size_t)out->width);
    return true;
}

/* Whether there is ink at a place, which may be outside. */
static bool inked(const picture *image, int x, int y) {
    const bool inside = x >= 0 && y >= 0 && x < image->width && y < image->height;
    return inside && image->pixels[y * image->width + x] > 127;
}

/* By how many pixels the ink must grow on each side, so that its strokes do not fade in the box. The width
 * of a stroke is twice its area divided by the length of its outline, which is about pi / 4 times the
 * number of steps between ink and paper along all rows and columns (Cauchy-Crofton). */
static int missing_width(const picture *image) {
    int area = 0, steps = 0;
    for (int y = 0; y <= image->height; y++) {
        for (int x = 0; x <= image->width; x++) {
            const bool here = inked(image, x, y);
            area += here;
            steps += (here != inked(image, x - 1, y)) + (here != inked(image, x, y - 1));
        }
    }
    const float width = 2.0f * (float)area / fmaxf(PI / 4.0f * (float)steps, 1.0f);
    const int longest = most(image->width, image->height);
    return (int)lrintf(((float)(MIN_STROKE * longest) / BOX - width) / 2.0f);
}

/* Each pixel becomes the largest of the square around it, `grow` pixels to each side. */
static void thicken(picture *image, int grow) {
    static picture wide;
    if (grow < 1) return;
    wide.width = image->width + 2 * grow, wide.height = image->height + 2 * grow;
    for (int y = 0; y < wide.height; y++) {
        for (int x = 0; x < wide.width; x++) {
            int largest = 0;
            for (int v = most(y - 2 * grow, 0); v < least(y + 1, image->height); v++) {
                for (int u = most(x - 2 * grow, 0); u < least(x + 1, image->width); u++)
                    largest = most(largest, image->pixels[v * image->width + u]);
            }
            wide.pixels[y * wide.width + x] = (uint8_t)largest;
        }
    }
    *image = wide;
}

/* Where a picture of `size` pixels begins in 28, if its centre of mass is to lie in the middle. */
static int beginning(float moment, float mass, int size) {
    const int place = (int)lrintf(DIGIT_SIDE / 2.0f - moment / mass);
    return least(most(place, 0), DIGIT_SIDE - size);
}

/* Make the darkest pixel 255, and put the centre of mass into the middle. */
static void place(const picture *image, uint8_t digit[DIGIT_PIXELS]) {
    const int count = image->width * image->height;
    int largest = 1;
    float mass = 0.0f, along = 0.0f, down = 0.0f;
    for (int i = 0; i < count; i++) {
        const float pixel = image->pixels[i];
        largest = most(largest, image->pixels[i]);
        mass += pixel;
        along += pixel * (float)(i % image->width);
        down += pixel * (float)(i / image->width);
    }
    const int left = beginning(along, mass, image->width), top = beginning(down, mass, image->height);
    for (int i = 0; i < count; i++) {
        const int y = top + i / image->width, x = left + i % image->width;
        const float level = (float)image->pixels[i] * (255.0f / (float)largest);
        digit[y * DIGIT_SIDE + x] = (uint8_t)lrintf(level);
    }
}

bool ink_to_digit(const uint8_t *ink, int width, int height, uint8_t digit[DIGIT_PIXELS]) {
    static picture image;
    memset(digit, 0, DIGIT_PIXELS);
    if (!crop(ink, width, height, &image)) return false;
    if (most(image.width, image.height) > WORKING) fit(&image, WORKING);
    thicken(&image, missing_width(&image));
    fit(&image, BOX);
    place(&image, digit);
    return true;
}
