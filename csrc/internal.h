/* internal.h: what the files of the library share and the public interface does not show. */
#ifndef PYNN_INTERNAL_H
#define PYNN_INTERNAL_H

#include <stdbool.h>

#include "pynn.h"

static inline size_t pynn_least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---------------------------------------------------------------- memory.c */

/* *out = a * b, or false where that does not fit. */
bool pynn_multiply(size_t a, size_t b, size_t *out);

/* *out = a + b, or false where that does not fit. */
bool pynn_add(size_t a, size_t b, size_t *out);

/* The allocator to use for a caller's choice: malloc() and free() for NULL. */
pynn_allocator pynn_allocator_or_default(const pynn_allocator *allocator);

/* Memory that starts at a multiple of 64 bytes (a cache line, a vector register), filled with zeros but
 * for the raw kind. NULL where there is none. pynn_release(NULL) is a no-op. */
void *pynn_allocate_raw(const pynn_allocator *allocator, size_t nbytes);
void *pynn_allocate(const pynn_allocator *allocator, size_t nbytes);
void pynn_release(const pynn_allocator *allocator, void *memory);

/* ---------------------------------------------------------------- team.c */

/* One task of a piece of work: number `index`. */
typedef void (*pynn_task)(void *context, size_t index);

/* Do tasks 0 .. task_count - 1, in any order, on the threads of the team; returns when all are done.
 * A team that is NULL or works for another thread leaves them all to the calling thread. */
void pynn_team_run(pynn_team *team, size_t task_count, pynn_task task, void *context);

/* ---------------------------------------------------------------- finite.c */

/* Whether none of `count` floats is infinite or NaN. */
bool pynn_all_finite(size_t count, const float *x);

/* ---------------------------------------------------------------- network.c */

typedef struct network_layer {
    pynn_layer_kind kind;
    pynn_init init;
    float slope; /* of a leaky ReLU */
    size_t inputs;
    size_t outputs;
    size_t weights_offset; /* dense: (inputs, outputs) floats in the array of parameters */
    size_t bias_offset;    /* dense: (outputs,) floats */
    float rate;            /* dropout */
    bool in_place;         /* its outputs overwrite its inputs, which nobody else needs */
} network_layer;

/* A dense layer and the activations behind it, layers first .. end - 1: what one task does to one tile of
 * outputs while it lies in the cache. Activations before the first dense layer make a stage without one. */
typedef struct network_stage {
    size_t first;
    size_t end;
} network_stage;

struct pynn_network {
    pynn_allocator allocator;
    size_t inputs;
    size_t outputs;
    size_t parameter_count;
    size_t dense_count;
    size_t first_dense; /* the first stage with a dense layer, 0 or 1: below it no gradient is needed */
    pynn_loss loss;
    size_t layer_count;
    network_layer *layers;
    size_t stage_count;
    network_stage stages[];
};

/* ---------------------------------------------------------------- sparse.c */

/* A value that is not zero, and where it stands in its row or column. */
typedef struct pynn_entry {
    uint32_t index;
    float value;
} pynn_entry;

typedef struct pynn_list {
    pynn_entry *entries;
    pynn_entry *end;
} pynn_list;

/* From lists by row to lists by column, for columns begin .. end - 1.
 *   rows     for each of row_count rows the list of its entries in these columns, PYNN_MAX_STRIPS apart
 *   entries  room for (end - begin, PYNN_COLUMN_CAPACITY); row_count is at most PYNN_MOST_LISTED_ROWS
 *   columns  (end - begin,), overwritten */
void pynn_list_columns(size_t row_count, const pynn_list *rows, size_t begin, size_t end,
                       pynn_entry *entries, pynn_list *columns);

/* Y[l, :] = alpha * (sum over the entries (k, x) of list l of  x M[k, :]) + beta * Y[l, :]
 *   lists  list l is lists[l * apart]
 *   m  its rows have `columns` floats and start `stride` floats apart
 *   y  (list_count, columns), its rows y_stride floats apart; with beta 0 it is not read */
void pynn_sum_lists(size_t list_count, const pynn_list *lists, size_t apart, size_t columns, const float *m,
                    size_t stride, float alpha, float beta, float *y, size_t y_stride);

/* Whether lists of entries are the cheaper way through a first dense layer, in batches of `rows` rows. */
bool pynn_lists_are_cheaper(double density, size_t rows, size_t inputs, size_t outputs);

/* ---------------------------------------------------------------- workspace.c */

/* At most so many rows of a batch have their entries listed by column at a time: each of the inputs has
 * room for as many, 2 kB. */
enum { PYNN_MOST_LISTED_ROWS = 256 };

/* Room for the entries of a column, a cache line more than needed: at distances of a power of two all
 * columns would fall into the same few sets of the cache. */
enum { PYNN_COLUMN_CAPACITY = PYNN_MOST_LISTED_ROWS + 8 };

/* A (rows, columns) matrix cut into blocks of at most most_rows by most_columns, each in one piece: all of
 * the first most_rows rows, block by block, then those of the next. */
typedef struct pynn_blocks {
    size_t rows;
    size_t columns;
    size_t most_rows;
    size_t most_columns;
} pynn_blocks;

typedef struct layer_buffers {
    float *outputs; /* (max_batch, O) */
    float *deltas;  /* (max_batch, O): gradient of the loss with respect to the outputs */
} layer_buffers;

struct pynn_workspace {
    pynn_allocator allocator;
    const pynn_network *network;
    pynn_team *team; /* may be NULL */
    size_t max_batch;
    size_t nbytes;
    void *arena;                /* all that the pointers below point to */
    float *inputs;              /* (max_batch, I): the gathered batch, or, in the same place, */
    pynn_entry *entries;        /* (max_batch, I): its entries, row by row */
    pynn_entry *column_entries; /* (I, PYNN_COLUMN_CAPACITY): entries by column */
    pynn_list *columns;         /* (I,) */
    float *blocks;              /* (max_batch, O) of the first layer: its deltas, block by block */
    pynn_list *strips; /* (max_batch, PYNN_MAX_STRIPS): the entries of each row in each strip of columns */
    int32_t *labels;   /* (max_batch,): its labels, or, for another loss, */
    float *targets;    /* (max_batch, O) */
    float *weights;    /* (max_batch,) */
    double *squares;   /* (pynn_update_tasks(),): of the gradient, summed task by task */
    bool *sound;       /* (pynn_update_tasks(),): whether what a task looked at is finite */
    bool *finite;      /* (max_batch,): whether the features of each block of rows are */
    pynn_sums *parts;  /* (max_batch,): the sums of each block of rows */
    layer_buffers layers[];
};

/* ---------------------------------------------------------------- activations.c */

/* Y += b, row by row; y (rows, columns), its rows `stride` floats apart, b (columns,). */
void pynn_add_bias(size_t rows, size_t columns, size_t stride, const float *bias, float *y);

/* Y = f(X) for `count` values; where the layer works in place, y is x. */
void pynn_activation_forward(const network_layer *layer, size_t count, const float *x, float *y);

/* D = D * f'(X) for `count` values, where f'(x) is computed from y = f(x); of what is not in place, from x.
 */
void pynn_activation_backward(const network_layer *layer, size_t count, const float *x, const float *y,
                              float *d);

/* Whether an activation's derivative needs its inputs: GELU falls and rises, so y does not tell x. */
static inline bool pynn_needs_inputs(pynn_layer_kind kind) {
    return kind == PYNN_GELU;
}

/* ---------------------------------------------------------------- loss.c */

/* The losses and the correct answers of some rows, and their gradient.
 *   z        (rows, outputs): logits, for the mean squared error values
 *   labels   (rows,), each below outputs
 *   targets  (rows, outputs)
 *   weights  (rows,), or NULL for 1
 *   scale    what the gradient is multiplied by, beside the weight: 1 / batch size for the mean
 *   deltas   (rows, outputs), overwritten: scale * weight * d loss / dz
 *   sums     overwritten */
void pynn_softmax_cross_entropy(size_t rows, size_t outputs, const float *z, const int32_t *labels,
                                float smoothing, const float *weights, float scale, float *deltas,
                                pynn_sums *sums);
void pynn_mean_squared_error(size_t rows, size_t outputs, const float *z, const float *targets,
                             const float *weights, float scale, float *deltas, pynn_sums *sums);
void pynn_binary_cross_entropy(size_t rows, size_t outputs, const float *z, const float *targets,
                               const float *weights, float scale, float *deltas, pynn_sums *sums);

/* P = softmax(Z), row by row; (rows, classes) each. */
void pynn_softmax(size_t rows, size_t classes, const float *z, float *p);

/* p = sigmoid(z), value by value. */
void pynn_sigmoids(size_t count, const float *z, float *p);

/* ---------------------------------------------------------------- cut.c */

/* Rows row_begin .. row_end - 1 and columns column_begin .. column_end - 1 of a matrix. */
typedef struct pynn_tile {
    size_t row_begin;
    size_t row_end;
    size_t column_begin;
    size_t column_end;
} pynn_tile;

/* A matrix cut into row_cuts * column_cuts tiles of about the same size. */
typedef struct pynn_grid {
    size_t rows;
    size_t columns;
    size_t row_cuts;
    size_t column_cuts;
} pynn_grid;

/* Multiplications and additions that are worth another task: some 50 microseconds of them. */
enum { PYNN_TASK_WORK = 2000000 };

/* Cut the (rows, columns) outputs of a product that sums over `depth`. */
pynn_grid pynn_cut_product(size_t rows, size_t columns, size_t depth);

/* Cut rows alone, into blocks; the columns of the tiles mean nothing. */
pynn_grid pynn_cut_rows(size_t rows);

/* Cut the deltas of the layer that takes lists of entries, so that a block fits the innermost cache and is
 * as wide as registers can hold sums of. */
pynn_blocks pynn_cut_deltas(size_t rows, size_t columns);

/* Where a block lies: that of row n and column o, its first ones. */
static inline float *pynn_block_at(const pynn_workspace *workspace, const pynn_blocks *blocks, size_t n,
                                   size_t o) {
    return workspace->blocks + n * blocks->columns + pynn_least(blocks->most_rows, blocks->rows - n) * o;
}

/* Whether the W of lists of entries is too large for the cache of one core: 2 MB. Then a task keeps to a
 * part of it, which is worth more passes over the outputs. */
static inline bool pynn_is_large_for_lists(size_t inputs, size_t outputs) {
    return inputs * outputs > 512 * 1024;
}

/* Cut the columns of an X that is lists of entries into at most PYNN_MAX_STRIPS strips, each a task of the
 * gradient. More than threads, since the middle of an image has more entries than its edge. As the rows of
 * the grid, because they are the rows of W. */
enum { PYNN_MAX_STRIPS = 16 };
pynn_grid pynn_cut_strips(size_t columns, size_t outputs);

static inline size_t pynn_grid_count(const pynn_grid *grid) {
    return grid->row_cuts * grid->column_cuts;
}

/* Tile number `index`, below pynn_grid_count(). */
pynn_tile pynn_grid_tile(const pynn_grid *grid, size_t index);

/* ---------------------------------------------------------------- pass.c */

/* What a batch goes through the layers for. */
typedef enum pynn_purpose {
    PYNN_FOR_GRADIENT, /* loss and gradient with respect to the parameters */
    PYNN_FOR_SUMS,     /* loss */
    PYNN_FOR_LOGITS,
    PYNN_FOR_PROBABILITIES,
} pynn_purpose;

/* `count` rows of the data, at most max_batch: those that `rows` lists, or `first`, first + 1, ... where
 * it is NULL. */
typedef struct pynn_batch {
    pynn_workspace *workspace;
    const pynn_data *data;
    const uint32_t *rows;
    size_t first;
    size_t count;
    const float *parameters;
    pynn_purpose purpose;
    bool sparse; /* the first layer goes by lists of entries */
    float *out;  /* (count, C): for logits and probabilities */
    /* For the gradient: T = alpha * dP + beta * T, where dP is the gradient with respect to the parameters
     * and T, (parameter_count,), lies where one wants it: alpha = 1 and beta = 0 give the gradient itself,
     * -learning_rate and 1 a step on the parameters. */
    float alpha;
    float beta;
    float *target;
    const pynn_state *state; /* what dropout draws from; NULL: nothing is dropped */
} pynn_batch;

/* Whether a stage begins with the dense layer that takes lists of entries. */
static inline bool pynn_takes_lists(const pynn_batch *batch, size_t stage) {
    return batch->sparse && stage == 0;
}

/* The inputs of layer l: the outputs of the layer below, or the gathered batch. */
static inline float *pynn_layer_inputs(const pynn_workspace *workspace, size_t l) {
    return l == 0 ? workspace->inputs : workspace->layers[l - 1].outputs;
}

/* Run a batch through the layers, for its purpose, on the team's threads. Adds to *sums unless the
 * purpose is to predict. Whether all features, and then the sum of losses, are finite: if not, there is no
 * gradient and T stays as it was. Targets and weights that are not finite show in the loss. */
bool pynn_run_batch(const pynn_batch *batch, pynn_sums *sums);

/* ---------------------------------------------------------------- dropout.c */

/* Y = M X for `count` values of layer l, from value number `first` of the batch on. The factors M stay
 * where the gradient with respect to X will be, if there is such a place. Without a state all of them
 * are 1. */
void pynn_dropout_forward(const pynn_batch *batch, size_t l, size_t first, size_t count);

/* dX = M dY, likewise. */
void pynn_dropout_backward(const pynn_workspace *workspace, size_t l, size_t first, size_t count);

/* ---------------------------------------------------------------- optimizer.c */

/* How many tasks the parameters are cut into for an update. */
size_t pynn_update_tasks(const pynn_network *network);

/* Whether the parameters, and what the optimizer keeps beside them, are finite; on the team's threads. */
bool pynn_state_is_finite(const pynn_workspace *workspace, const pynn_optimizer *optimizer,
                          const pynn_state *state, const float *parameters);

/* One update of the parameters with the state's gradients, on the team's threads; counts it. */
void pynn_update(const pynn_workspace *workspace, const pynn_optimizer *optimizer, double learning_rate,
                 pynn_state *state, float *parameters);

/* ---------------------------------------------------------------- gather.c */

/* The share of the features that are not zero, from a sample of the rows. */
double pynn_measure_density(const pynn_data *data, size_t inputs);

/* Fetch the examples of a block of rows: features as floats, or as lists of entries, and answers and
 * weights where there are any. Whether all the features are finite: the loss would not show it where an
 * activation saturates. */
bool pynn_gather(const pynn_batch *batch, pynn_tile tile);

/* ---------------------------------------------------------------- gradient.c */

/* Copy a tile of the first layer's deltas to the workspace's blocks. */
void pynn_pack_deltas(const pynn_batch *batch, pynn_tile tile);

/* T = alpha * dP + beta * T, after the backward of all stages, on the team's threads. */
void pynn_accumulate(const pynn_batch *batch);

#endif
