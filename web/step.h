/* step.h: the step of training that is explained, for the files that show its values. */
#ifndef PYNN_PAGE_STEP_H
#define PYNN_PAGE_STEP_H

#include "page.h"

/* What there is to see: the values of a pynn_value, or an array of a layer's parameters, numbered 10 times
 * one of these plus its number in the layer (see find_view()). */
enum { BEFORE = 1, GRADIENT = 2, AFTER = 3, M_BEFORE = 4, M_AFTER = 5, V_BEFORE = 6, V_AFTER = 7, KINDS };

typedef struct kept_step {
    pynn_workspace *workspace; /* NULL if no step is kept */
    size_t rows;
    int32_t *labels;
    float *flat[KINDS]; /* flat arrays of all parameters; NULL if the optimizer has none */
    pynn_optimizer optimizer;
    pynn_state state; /* before the step; its arrays are not used */
    double loss;
} kept_step;

extern kept_step kept;
extern float *values[2]; /* arrays of a layer: what is shown, and another that belongs to it */

/* Find an array; its x is NULL if the step has none. Values of a batch go into `room`. */
array find(size_t layer, int what, float *room);

#endif
