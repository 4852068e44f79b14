/* planes.c: images laid out for a convolution; conv2d.h says how. */
#include <string.h>

#include "base/vector.h"
#include "layers/conv2d.h"

typedef float step __attribute__((vector_size(PYNN_STEP * sizeof(float)), aligned(4), may_alias));
typedef float half_step __attribute__((vector_size(PYNN_STEP / 2 * sizeof(float)), aligned(4), may_alias));

pynn_planes pynn_place_planes(pynn_shape image, pynn_shape outputs, const size_t *size, size_t stride,
                              ptrdiff_t top, ptrdiff_t left) {
    pynn_planes p = {.height = image.height,
                     .width = image.width,
                     .top = top,
                     .left = left,
                     .size = {size[0], size[1]},
                     .stride = stride,
                     .outputs = {outputs.height, outputs.width},
                     .remainders = pynn_least(stride, size[0])};
    p.plane = (outputs.height + (size[0] - 1) / stride) * outputs.width;
    p.channel = p.remainders * size[1] * p.plane;
    return p;
}

/* The columns x of a plane that lie inside the image: begin <= x < end. */
typedef struct span {
    size_t begin, end;
} span;

/* Copy `width` floats, in whole registers that write over what lies behind. `eighths` is width / 8, rounded
 * up, where that is a constant, or 0. */
PYNN_INLINE void copy_row(size_t eighths, size_t width, const float *from, float *to) {
    size_t x = 0, end = eighths > 0 ? eighths * 8 : width;
    for (; x + 8 < end; x += PYNN_STEP) *(step *)(to + x) = *(const step *)(from + x);
    if (x < end) *(half_step *)(to + x) = *(const half_step *)(from + x);
}

/* A row of a plane whose columns in.begin .. in.end - 1 lie in the image, the others beside it. */
PYNN_INLINE void fill_row(size_t stride, size_t width, span in, const float *from, float *to) {
    for (size_t x = 0; x < in.begin; x++) to[x] = 0.0f;
    for (size_t x = in.begin; x < in.end; x++) to[x] = from[(x - in.begin) * stride];
    for (size_t x = in.end; x < width; x++) to[x] = 0.0f;
}

/* Many rows, where the stride is 1 and so much memory may be read that rows can be copied in whole
 * registers. Rows are often shorter than a register. So each row writes over the beginning of the next one,
 * which is laid out after it. As a rule there is at most one zero at each end; of a loop compilers make a
 * call of memset(). */
PYNN_INLINE void fill_rows(size_t eighths, size_t rows, size_t width, span in, size_t from_width,
                           const float *from, float *to) {
    for (size_t v = 0; v < rows; v++, from += from_width, to += width) {
        copy_row(eighths, width, from, to);
        if (in.begin > 0) to[0] = 0.0f;
        if (in.end < width) to[width - 1] = 0.0f;
        for (size_t x = 1; x < in.begin; x++) to[x] = 0.0f;
        for (size_t x = in.end; x + 1 < width; x++) to[x] = 0.0f;
    }
}

PYNN_INLINE void fill_zeros(size_t rows, size_t width, float *to) {
    for (size_t x = 0; x < rows * width; x += PYNN_STEP) *(step *)(to + x) = (step){0};
}

/* How many rows v, from 0 on, there are with first + v * next < limit; at most `rows`. */
PYNN_INLINE size_t rows_below(ptrdiff_t limit, ptrdiff_t first, size_t next, size_t rows) {
    if (first >= limit) return 0;
    return pynn_least((size_t)(limit - first - 1) / next + 1, rows);
}

/* The plane of a channel for one row and column of the filter, and one beginning of rows: column 0 is
 * column `first` of the image and row 0 is its row `row`, both of which may lie outside.
 *   image  the memory of all channels, of `count` floats; the channel begins at `channel` */
PYNN_INLINE void fill_plane(size_t stride, const pynn_planes *p, const float *image, ptrdiff_t count,
                            ptrdiff_t channel, ptrdiff_t row, ptrdiff_t first, float *to) {
    size_t width = p->outputs[1], rows = p->plane / width, next = stride * p->width;
    span in;
    pynn_inside_columns(p, (size_t)(first + p->left), &in.begin, &in.end);
    size_t begin = rows_below(0, row, stride, rows),
           end = rows_below((ptrdiff_t)p->height, row, stride, rows);
    if (in.begin == in.end) begin = end = rows;
    fill_zeros(begin, width, to);
    ptrdiff_t at = channel + row * (ptrdiff_t)p->width + first;
    size_t early = pynn_least(end, begin + rows_below(0, at + (ptrdiff_t)(begin * next), next, rows));
    ptrdiff_t limit = count - (ptrdiff_t)(width + PYNN_STEP);
    size_t safe = stride > 1 ? 0 : pynn_least(end, rows_below(limit, at, next, rows)), v = begin;
    for (; v < end && (v < early || v >= safe); v++)
        fill_row(stride, width, in, image + at + (ptrdiff_t)(v * next + in.begin * stride), to + v * width);
    if (v < safe) {
        const float *from = image + at + (ptrdiff_t)(v * next);
        float *start = to + v * width;
        switch (pynn_divide_up(width, 8)) {
        case 1: fill_rows(1, safe - v, width, in, next, from, start); break;
        case 2: fill_rows(2, safe - v, width, in, next, from, start); break;
        case 3: fill_rows(3, safe - v, width, in, next, from, start); break;
        case 4: fill_rows(4, safe - v, width, in, next, from, start); break;
        default: fill_rows(0, safe - v, width, in, next, from, start); break;
        }
        for (v = safe; v < end; v++)
            fill_row(1, width, in, image + at + (ptrdiff_t)(v * next + in.begin), to + v * width);
    }
    fill_zeros(rows - end, width, to + end * width);
}

PYNN_INLINE void fill(size_t stride, const pynn_planes *p, size_t channels, const float *image,
                      float *planes) {
    ptrdiff_t size = (ptrdiff_t)(p->height * p->width), count = (ptrdiff_t)channels * size;
    float *to = planes;
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < p->remainders; i++) {
            for (size_t j = 0; j < p->size[1]; j++, to += p->plane)
                fill_plane(stride, p, image, count, (ptrdiff_t)c * size, (ptrdiff_t)i - p->top,
                           (ptrdiff_t)j - p->left, to);
        }
    }
    *(step *)to = (step){0};
}

/* Copy the floats begin .. end - 1. Whole registers: the last one may copy some of them again. */
PYNN_INLINE void copy_stretch(ptrdiff_t begin, ptrdiff_t end, const float *from, float *to) {
    ptrdiff_t x = begin;
    for (; x + PYNN_STEP <= end; x += PYNN_STEP) *(step *)(to + x) = *(const step *)(from + x);
    if (x == end) return;
    if (end - begin >= PYNN_STEP)
        *(step *)(to + end - PYNN_STEP) = *(const step *)(from + end - PYNN_STEP);
    else
        for (; x < end; x++) to[x] = from[x];
}

/* Whether planes are as wide as the image, with stride 1, as with padding "same". Then the rows of a plane
 * that lie in the image are one stretch of it, moved by some columns: left is no less than 0, and less than
 * the width of the filter, since all columns beside the image are one less than that. */
static bool is_moved(const pynn_planes *p) {
    return p->stride == 1 && p->outputs[1] == p->width && p->top >= 0 && p->size[1] <= p->width;
}

/* The same as fill(), for planes that are moved images. In the columns beside the image there are values of
 * other rows, until zeros are written over them. */
PYNN_INLINE void fill_moved(const pynn_planes *p, size_t channels, const float *image, float *planes) {
    ptrdiff_t width = (ptrdiff_t)p->width, size = (ptrdiff_t)p->height * width, left = p->left;
    ptrdiff_t rows = (ptrdiff_t)(p->plane / p->width), height = (ptrdiff_t)p->height;
    ptrdiff_t begin = p->top < rows ? p->top : rows, end = height + p->top < rows ? height + p->top : rows;
    ptrdiff_t count = (end - begin) * width, columns = (ptrdiff_t)p->size[1];
    float *to = planes;
    for (size_t c = 0; c < channels; c++, image += size) {
        for (ptrdiff_t first = -left; first < columns - left; first++, to += p->plane) {
            fill_zeros((size_t)begin, (size_t)width, to);
            float *inside = to + begin * width;
            ptrdiff_t limit = size - first;
            copy_stretch(first < 0 ? -first : 0, count < limit ? count : limit, image + first, inside);
            for (ptrdiff_t x = 0; x < -first; x++) {
                for (ptrdiff_t v = 0; v < count; v += width) inside[v + x] = 0.0f;
            }
            for (ptrdiff_t x = width - first; x < width; x++) {
                for (ptrdiff_t v = 0; v < count; v += width) inside[v + x] = 0.0f;
            }
            fill_zeros((size_t)(rows - end), (size_t)width, to + end * width);
        }
    }
    *(step *)to = (step){0};
}

PYNN_KERNEL(void, fill_kernel, (const pynn_planes *p, size_t channels, const float *image, float *planes),
            (p, channels, image, planes)) {
    if (is_moved(p))
        fill_moved(p, channels, image, planes);
    else if (p->stride == 1)
        fill(1, p, channels, image, planes);
    else if (p->stride == 2)
        fill(2, p, channels, image, planes);
    else
        fill(p->stride, p, channels, image, planes);
}

void pynn_fill_planes(const pynn_planes *p, size_t channels, const float *image, float *planes) {
    fill_kernel(p, channels, image, planes);
}
