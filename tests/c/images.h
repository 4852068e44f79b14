/* images.h: what the tests of layers on images share: a layer in its place, with all the memory that its
 * functions work on, and a run of these functions in the order of a pass. */
#ifndef PYNN_IMAGES_H
#define PYNN_IMAGES_H

#include "helpers.h"
#include "internal.h"

/* Behind the arrays that a layer writes to lie so many floats that it must not change. */
enum { GUARDS = 20 };
static const float guard = 42.0f;

typedef struct one_layer {
    pynn_placed_layer at;
    size_t rows;
    float *x, *y, *dy, *dx, *parameters, *target, *block_scratch;
} one_layer;

static inline float *allocate_floats(size_t count) {
    float *memory = malloc((count > 0 ? count : 1) * sizeof(float));
    if (!CHECK(memory != NULL)) exit(check_failures());
    return memory;
}

/* A layer behind inputs of that shape; x, dy and the parameters are drawn. What the layer has to write is
 * NaN before. */
static inline one_layer create_layer(const pynn_layer *layer, pynn_shape in, size_t rows, uint64_t seed) {
    one_layer it = {.rows = rows};
    pynn_layer_place place = {.view_count = 0};
    it.at = (pynn_placed_layer){.type = pynn_layer_type_of(layer->kind), .layer = *layer};
    if (!CHECK(it.at.type != NULL) || !CHECK_EQ(it.at.type->place(layer, in, &place), PYNN_OK))
        exit(check_failures());
    it.at.input_shape = in;
    it.at.output_shape = place.outputs;
    it.at.inputs = pynn_shape_size(in);
    it.at.outputs = pynn_shape_size(place.outputs);
    it.at.block_scratch = place.block_scratch;
    for (size_t v = 0; v < place.view_count; v++) {
        size_t count = 1;
        for (size_t d = 0; d < place.views[v].ndim; d++) count *= place.views[v].dims[d];
        it.at.parameter_count += count;
    }
    size_t inputs = rows * it.at.inputs, outputs = rows * it.at.outputs;
    size_t scratch = pynn_most_blocks(rows) * place.block_scratch;
    it.x = allocate_floats(inputs);
    it.dx = allocate_floats(inputs + GUARDS);
    it.y = allocate_floats(outputs + GUARDS);
    it.dy = allocate_floats(outputs);
    it.parameters = allocate_floats(it.at.parameter_count);
    it.target = allocate_floats(it.at.parameter_count);
    it.block_scratch = allocate_floats(scratch);
    pynn_random_normal(seed, 0, 0, inputs, 0.0f, 1.0f, it.x);
    pynn_random_normal(seed, 1, 0, outputs, 0.1f, 1.0f, it.dy);
    pynn_random_uniform(seed, 2, 0, it.at.parameter_count, 0.5f, 1.5f, it.parameters);
    for (size_t i = 0; i < inputs + GUARDS; i++) it.dx[i] = i < inputs ? NAN : guard;
    for (size_t i = 0; i < outputs + GUARDS; i++) it.y[i] = i < outputs ? NAN : guard;
    for (size_t i = 0; i < scratch; i++) it.block_scratch[i] = NAN;
    return it;
}

static inline void destroy_layer(one_layer *it) {
    float *all[] = {it->x, it->y, it->dy, it->dx, it->parameters, it->target, it->block_scratch};
    for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
}

static inline pynn_layer_call call_of_layer(const one_layer *it, size_t block, bool has_backward) {
    return (pynn_layer_call){.layer = &it->at,
                             .rows = it->rows,
                             .parameters = it->parameters,
                             .x = it->x,
                             .y = it->y,
                             .dy = it->dy,
                             .dx = it->dx,
                             .block_scratch = it->block_scratch,
                             .block = block,
                             .blocks = pynn_cut_rows(it->rows).row_cuts,
                             .has_backward = has_backward};
}

/* One of a layer's functions for each block of rows. */
typedef enum work { OBSERVE, FORWARD, SUM, BACKWARD } work;

static inline void do_blocks(const one_layer *it, work what, bool has_backward) {
    const pynn_grid grid = pynn_cut_rows(it->rows);
    const pynn_layer_type *type = it->at.type;
    for (size_t b = 0; b < grid.row_cuts; b++) {
        pynn_tile tile = pynn_grid_tile(&grid, b);
        const pynn_layer_call call = call_of_layer(it, b, has_backward);
        tile.column_end = what == BACKWARD ? it->at.inputs : it->at.outputs;
        if (what == OBSERVE && type->observe != NULL) type->observe(&call, tile);
        if (what == FORWARD) type->forward(&call, tile);
        if (what == SUM && type->sum != NULL) type->sum(&call, tile);
        if (what == BACKWARD) type->backward(&call, tile);
    }
}

/* Everything that a step of training asks of the layer. The target was 2: it becomes 2 beta - dP / 2, or,
 * with beta 0, was NaN. */
static inline void run_layer(const one_layer *it, float beta) {
    do_blocks(it, OBSERVE, true);
    do_blocks(it, FORWARD, true);
    do_blocks(it, SUM, true);
    do_blocks(it, BACKWARD, true);
    for (size_t i = 0; i < it->at.parameter_count; i++) it->target[i] = beta == 0.0f ? NAN : 2.0f;
    const pynn_target target = {-0.5f, beta, it->target};
    const pynn_layer_call call = call_of_layer(it, 0, true);
    if (it->at.type->cut != NULL) {
        const pynn_grid grid = it->at.type->cut(&call);
        for (size_t t = 0; t < pynn_grid_count(&grid); t++) it->at.type->accumulate(&call, t, &target);
    }
    for (size_t i = 0; i < GUARDS; i++) {
        CHECK_NEAR(it->y[it->rows * it->at.outputs + i], guard, 0.0);
        CHECK_NEAR(it->dx[it->rows * it->at.inputs + i], guard, 0.0);
    }
}

/* The largest difference from what is expected, as a part of the largest number expected. */
static inline double error_of(size_t count, const float *actual, const double *expected) {
    double most = 1e-3, error = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double apart = fabs((double)actual[i] - expected[i]);
        most = fmax(most, fabs(expected[i]));
        error = apart <= error ? error : apart; /* NaN is no small difference */
    }
    return error / most;
}

/* A whole number, least <= number <= most, from a sequence that `state` stands for. */
static inline size_t draw(uint64_t *state, size_t least, size_t most) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return least + (size_t)(*state >> 33) % (most - least + 1);
}

#endif
