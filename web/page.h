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
    SUM_NUMBERS = 3 + 4 * TERMS,
};

/* A network, and what looking at one row needs. */
typedef struct page_model {
    pynn_layer layers[MOST_LAYERS];
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
    size_t classes; /* the largest label, and 1 */
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
/* Find the array of a layer's parameters: its weight (part 0) or its bias (1). Returns 0 if it has none. */
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

/* sums.c */
/* Write out a sum of products a_i b_i. First three numbers: what the terms that are not listed come to,
 * what is added to the sum, and the result. Then the TERMS terms of the largest size, four numbers each: i,
 * a_i, b_i and their product; i is -1 where there are no more. A NULL b stands for ones. a, b  (count,),
 * a_step and b_step floats apart */
void write_sum(const float *a, size_t a_step, const float *b, size_t b_step, size_t count, float added,
               float result, float numbers[SUM_NUMBERS]);

/* The slope of a function that can be saturated or dead, from its output; 1 for other layers. */
float slope_of(pynn_layer_kind kind, float y);
/* The norm of an array; 0 if it is NULL. */
double norm_of(const float *x, size_t count);

/* paint.c */
/* Paint values: the page's colour at 0, red above, blue below; the largest size has the full colour. Four
 * bytes for each value: red, green, blue, 255. */
void paint(const float *x, size_t count, uint8_t *rgba);
/* Get room for a picture, all of it clear; NULL if there is no memory. It is valid until the next call. */
uint8_t *room_for(size_t pixels);

#endif
