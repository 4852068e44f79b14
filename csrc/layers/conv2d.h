/* conv2d.h: what the files of the convolution share. conv2d.c says how it is computed; its gradients are in
 * conv2d_gradient.c. planes.c lays images out for it, and shifted.c multiplies what lies there. */
#ifndef PYNN_CONV2D_H
#define PYNN_CONV2D_H

#include "layers/layer.h"

/* Memory is read and written in steps of so many floats: the widest register. */
enum { PYNN_STEP = 16 };

static inline size_t pynn_round_up(size_t size) {
    return pynn_divide_up(size, PYNN_STEP) * PYNN_STEP;
}

/* ---------------------------------------------------------------- planes.c */

/* How the images of a convolution lie in planes.
 *
 * Output (y, x) reads, for tap (i, j) of the filter, the image at row s y + i - top and column s x + j -
 * left, or zero where that is outside of the image. So there is a plane for each column j of the filter,
 * whose columns are those that the outputs x = 0 .. OW - 1 read. And there is one for each remainder a of i
 * in the division by s, whose row v is row s v + a - top of the image. What tap (i, j) reads for all
 * outputs is then one stretch of OH * OW floats, in the plane of (i % s, j) from its row i / s on. */
typedef struct pynn_planes {
    size_t height, width; /* of an image */
    ptrdiff_t top, left;  /* rows and columns of zeros before it; if negative, rows and columns not read */
    size_t size[2];       /* KH, KW */
    size_t stride;        /* s */
    size_t outputs[2];    /* OH, OW */
    size_t remainders;    /* how many values a has: the smaller of s and KH */
    size_t plane;         /* floats in a plane */
    size_t channel;       /* floats in all planes of a channel */
} pynn_planes;

pynn_planes pynn_place_planes(pynn_shape image, pynn_shape outputs, const size_t *size, size_t stride,
                              ptrdiff_t top, ptrdiff_t left);

/* The floats of the planes of so many channels. Behind the last plane there are PYNN_STEP zeros. */
static inline size_t pynn_planes_size(const pynn_planes *p, size_t channels) {
    return channels * p->channel + PYNN_STEP;
}

/* Where the stretch of tap (i, j) begins in the planes of a channel. */
static inline size_t pynn_tap_offset(const pynn_planes *p, size_t i, size_t j) {
    return (i % p->stride * p->size[1] + j) * p->plane + i / p->stride * p->outputs[1];
}

/* The outputs x of a row for which column j of the filter lies inside the image: *begin <= x < *end. */
static inline void pynn_inside_columns(const pynn_planes *p, size_t j, size_t *begin, size_t *end) {
    ptrdiff_t stride = (ptrdiff_t)p->stride, width = (ptrdiff_t)p->width, first = (ptrdiff_t)j - p->left;
    size_t most = first < width ? (size_t)((width - first + stride - 1) / stride) : 0;
    size_t least = first < 0 ? (size_t)((stride - 1 - first) / stride) : 0;
    *end = pynn_least(most, p->outputs[1]);
    *begin = pynn_least(least, *end);
}

/* Lay out an image (channels, H, W). */
void pynn_fill_planes(const pynn_planes *p, size_t channels, const float *image, float *planes);

/* ---------------------------------------------------------------- shifted.c */

/* C = b + A B. Row k of B is the memory from offsets[k] on, so rows of B may overlap.
 *   a        (rows, depth)
 *   bias     (rows,): b, which is added to each row of C; NULL for zeros
 *   columns  at least PYNN_STEP
 *   c        (rows, columns); its rows start ldc floats apart */
typedef struct pynn_shifted_product {
    size_t rows, columns, depth;
    const float *a;
    const int32_t *offsets;
    const float *b;
    const float *bias;
    float *c;
    size_t ldc;
} pynn_shifted_product;

void pynn_multiply_shifted(const pynn_shifted_product *product);

/* C[f,k] += the sum over the images and over p < length of dY[f,p] X[offsets[k] + p], and over p < late_row
 * of late_dy[f,p] late_x[k,p].
 *   late_dy  (rows, late_row)
 *   late_x   (columns, late_row)
 *   c        (rows, columns) */
typedef struct pynn_shifted_sums {
    size_t images;
    size_t rows;
    size_t columns;
    size_t length; /* a multiple of PYNN_STEP */
    const float *dy;
    size_t dy_image; /* floats from one image to the next */
    size_t dy_row;   /* floats from one row f to the next */
    const float *x;
    size_t x_image;
    const int32_t *offsets; /* (columns,) */
    size_t late_row;        /* a multiple of PYNN_STEP, or 0 */
    const float *late_dy, *late_x;
    float *c;
} pynn_shifted_sums;

void pynn_add_shifted_products(const pynn_shifted_sums *sums);

/* ---------------------------------------------------------------- conv2d.c */

/* The sizes that follow from a layer's shapes and options. */
typedef struct pynn_conv_sizes {
    size_t groups, channels, filters; /* the channels and filters of a group */
    size_t taps;                      /* KH * KW */
    size_t depth;                     /* channels * taps: the rows of the inputs' matrix */
    size_t size;                      /* height * width of X */
    size_t places;                    /* OH * OW */
    bool is_plain;                    /* whether the inputs' matrix is the image itself: 1 x 1 filters */
    bool is_turned;                   /* whether dX is a convolution of dY */
    pynn_planes planes;               /* of X */
    pynn_planes back;                 /* of dY, where is_turned */
    size_t dy_row;                    /* floats from one filter's part of dY to the next: places, with zeros
                                       * behind them to a whole step, unless `late` of them are summed apart */
    size_t late;                      /* the last places, if they are computed together with those of other
                                       * images; or 0 */
    size_t late_back;                 /* the same for dX */
    size_t images; /* how many images the gradient of the filters is summed over at a time */
    size_t chunk;  /* channels whose sums are added to dX at a time, where not is_turned */
} pynn_conv_sizes;

/* The scratch of a block of rows, in floats from its beginning. */
typedef struct pynn_conv_pieces {
    size_t sums;         /* (F * (depth + 1),): the block's part of dW, and behind it of db */
    size_t turned;       /* (F * depth,): W in the order in which dX needs it */
    size_t offsets;      /* (depth,) int32: where the rows of the inputs' matrix begin */
    size_t back_offsets; /* (filters * taps,) int32: the same for dX */
    size_t x;            /* (images, the planes of X), unless is_plain */
    size_t x_image;      /* floats from one image to the next */
    size_t dy;           /* (images, F, dy_row), unless dY has no zeros to be added */
    size_t dy_image;
    size_t work;         /* the planes of dY of an image; or the sums of a chunk of channels */
    size_t small;        /* (filters or channels of a group, a step): outputs of less than a step */
    size_t late;         /* what the last places of some images read: see pynn_late and add_dw() */
    size_t late_offsets; /* (depth or filters * taps,) int32, if places are late: a step from each row to
                            the next */
    size_t end;
} pynn_conv_pieces;

/* The memory of a call's block of rows, and what is known of it. */
typedef struct pynn_conv_block {
    pynn_conv_sizes g;
    pynn_conv_pieces at;
    float *scratch;
    int32_t *offsets, *back_offsets, *late_offsets;
    const float *weights, *bias;
} pynn_conv_block;

pynn_conv_block pynn_conv_block_of(const pynn_layer_call *call);

/* The last columns of the products of some images. If an image has a column more than whole steps, as 7 x 7
 * places are 48 and one, a step for it alone would be lost work. So these columns of several images are
 * collected, and computed when they fill a step. */
typedef struct pynn_late {
    size_t count;  /* columns of an image; 0 if whole steps are computed for each image */
    size_t images; /* how many of them are collected */
    float *b;      /* (depth, a step): the columns of B */
    const int32_t *offsets;
    float *c;                  /* (rows, a step) */
    float *outputs[PYNN_STEP]; /* where the columns of C of each image belong */
} pynn_late;

pynn_late pynn_late_of(const pynn_conv_block *block, size_t count);

/* A product whose C (rows, columns) has no gaps, but for its last columns, which may come later. If it has
 * less columns than a step, a whole step is computed in late->c, and copied from there. */
void pynn_conv_multiply(const pynn_shifted_product *product, pynn_late *late);

/* Compute the columns that are still missing; `product` is one of those that were given. */
void pynn_conv_finish(const pynn_shifted_product *product, pynn_late *late);

/* to[k * step + i] = from[offsets[k] + i] for i < count. */
void pynn_collect(size_t depth, const int32_t *offsets, size_t count, const float *from, size_t step,
                  float *to);

/* ---------------------------------------------------------------- conv2d_gradient.c */

/* For a block of rows: its part of dW and db, which it leaves in its scratch, and its dX. */
void pynn_conv_sum(const pynn_layer_call *call, pynn_tile tile);

#endif
