/* page.h: what the C files of the page share.
 *
 * This is a program, not the library: the page has one drawing, one network and one run, which are the
 * variables below. JavaScript calls the functions marked EXPORT by their names, with numbers, and reads
 * arrays from the memory of the module at the addresses that they return. Such an array is valid until the
 * next call of the same function. */
#ifndef PYNN_PAGE_H
#define PYNN_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "ink.h"
#include "pynn.h"

/* A function that JavaScript can call by this name. */
#define EXPORT(name) __attribute__((export_name(#name)))

enum {
    MOST_LAYERS = 64,
    TERMS = 8, /* of a sum that are written out */
    SUM_NUMBERS = 4 + 4 * TERMS,
};

/* A network, and what looking at one row needs. */
typedef struct page_model {
    pynn_layer layers[MOST_LAYERS];
    pynn_shape shapes[MOST_LAYERS], input_shape; /* of the outputs of each layer, and of a row */
    size_t widths[MOST_LAYERS], layer_count, inputs;
    pynn_loss loss;
    pynn_network *network;
    float *parameters;
    pynn_workspace *looking; /* keeps the values of one row */
    float *values;           /* room for the values of a layer, twice */
} page_model;

/* The examples to train on, or to test with. */
typedef struct examples {
    void *features; /* (rows, columns) */
    int32_t *labels;
    pynn_feature_type type;
    size_t rows, columns, label_count;
    size_t classes;       /* the largest label, and 1 */
    size_t height, width; /* of an image; 0 if the features are none */
} examples;

/* A run: the training of the network. */
typedef struct page_run {
    pynn_workspace *workspace;
    pynn_optimizer optimizer;
    pynn_state state;
    uint32_t *order;
    size_t batch, step, steps, epoch;
    size_t steps_before; /* in all epochs before this one */
    pynn_sums sums;      /* of the epoch */
} page_run;

extern page_model model;
extern examples sets[2]; /* 0 to train on, 1 to test with */
extern page_run run;
extern uint8_t digit[DIGIT_PIXELS];

/* page.c */
size_t width_before(size_t layer);
pynn_shape shape_before(size_t layer);
/* The same as it is painted: 784 plain inputs of a network are a digit, and behind flatten there are
 * images.
 */
pynn_shape image_before(size_t layer);
/* Find an array of a layer's parameters by its number: 0 for the weight, 1 for the bias, and behind these
 * the running mean and variance. Returns 0 if the layer has no such array. */
int find_view(size_t layer, int part, pynn_parameter_view *view);

/* data.c */
int page_usable(size_t set);
pynn_data data_of(const examples *set);

/* training.c */
void forget_run(void);
/* Begin the epoch of the next step, if it is the first of one. */
void begin_step(void);
pynn_status page_train_step(void);

/* explaining.c */
void forget_step(void);

/* looking.c */
/* Go back to the drawing, if an example was looked at. */
void forget_example(void);

/* windows.c */
/* What is multiplied and added up for a value of a layer that looks at windows of images: a convolution or
 * a pool. a, b  (count,); NULL if there is no memory. They are valid until the next call. */
typedef struct products {
    float *a, *b;
    size_t count;
} products;

/* For an output of one row x: the weights and what they see of x, or for a pool ones. */
products list_output(size_t layer, size_t output, const float *x, const float *weights);
/* For an input of one row x: the gradients of the outputs that see it, and the weights that they see it
 * by. For the largest value of a window: 1 where it is this input, or else 0. */
products list_input_gradient(size_t layer, size_t input, const float *x, const float *dy,
                             const float *weights);
/* For a weight: the gradients dy of the outputs of its filter, and what the weight sees for each, in all
 * rows. For a bias, with x = NULL: ones. */
products list_weight_gradient(size_t layer, size_t index, const float *x, const float *dy, size_t rows);
/* For a channel: its gradients dy and its inputs x, in all rows of a shape. */
products list_channel(pynn_shape shape, size_t channel, const float *x, const float *dy, size_t rows);
/* Whether a layer is one of these. */
int has_windows(size_t layer);
/* The places of a window. */
size_t window_size(size_t layer);

/* sums.c */
/* Write out a sum of products a_i b_i. First three numbers: what the terms that are not listed come to,
 * what is added to the sum, and the result. Then the TERMS terms of the largest size, four numbers each: i,
 * a_i, b_i and their product; i is -1 where there are no more. At last the count of all terms. A NULL b
 * stands for ones. a, b  (count,), a_step and b_step floats apart */
void write_sum(const float *a, size_t a_step, const float *b, size_t b_step, size_t count, float added,
               float result, float numbers[SUM_NUMBERS]);

/* The slope of a function that can be saturated or dead, from its output; 1 for other layers. */
float slope_of(pynn_layer_kind kind, float y);
/* The norm of an array; 0 if it is NULL. */
double norm_of(const float *x, size_t count);

/* tiles.c */
/* An array of values, and how it is painted: as a matrix, or in tiles, which are images with a clear line
 * between. */
typedef struct array {
    const float *x;
    size_t rows, columns;
    size_t dims[4], ndim; /* its shape */
    size_t height, width; /* of a tile; 0: no tiles */
    int by_row;           /* whether a tile is a part of a row, or else a column */
    size_t together;      /* tiles that stay side by side, as the channels of an image do */
} array;

/* Make an array of rows of a shape: tiles, if they are images. */
array array_of_rows(const float *x, size_t rows, pynn_shape shape);
/* The pixels of the picture of an array, across and down. */
void measure(const array *it, size_t size[2]);
/* The pixel of a value, from the pixel at the top left on. */
size_t pixel_of(const array *it, size_t index);
/* The number of the value that is painted at a pixel; -1 between tiles. */
int32_t pick(const array *it, size_t x, size_t y);
/* Paint an array, with a mark on one of its values if there is a value of that number. */
const uint8_t *paint_array(const array *it, size_t marked);

/* paint.c */
/* Paint values: the page's colour at 0, red above, blue below; the largest size has the full colour. Four
 * bytes for each value: red, green, blue, 255. */
void paint(const float *x, size_t count, uint8_t *rgba);
/* Get room for a picture, all of it clear; NULL if there is no memory. It is valid until the next call. */
uint8_t *room_for(size_t pixels);

#endif
