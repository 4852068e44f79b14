/* internal.h: what the files of the library share and the public interface does not show. */
#ifndef PYNN_INTERNAL_H
#define PYNN_INTERNAL_H

#include <stdbool.h>

#include "pynn.h"

/* ---------------------------------------------------------------- memory.c */

/* *out = a * b, or false where that does not fit. */
bool pynn_multiply(size_t a, size_t b, size_t *out);

/* *out = a + b, or false where that does not fit. */
bool pynn_add(size_t a, size_t b, size_t *out);

/* The allocator to use for a caller's choice: malloc() and free() for NULL. */
pynn_allocator pynn_allocator_or_default(const pynn_allocator *allocator);

/* Memory that starts at a multiple of 64 bytes (a cache line, a vector register), filled with zeros.
 * NULL where there is none. pynn_release(NULL) is a no-op. */
void *pynn_allocate(const pynn_allocator *allocator, size_t nbytes);
void pynn_release(const pynn_allocator *allocator, void *memory);

/* ---------------------------------------------------------------- team.c */

/* One task of a piece of work: number `index`. */
typedef void (*pynn_task)(void *context, size_t index);

/* Do tasks 0 .. task_count - 1, in any order, on the threads of the team; returns when all are done.
 * A team that is NULL or works for another thread leaves them all to the calling thread. */
void pynn_team_run(pynn_team *team, size_t task_count, pynn_task task, void *context);

/* ---------------------------------------------------------------- network.c */

typedef struct network_layer {
    pynn_layer_kind kind;
    pynn_init init;
    size_t inputs;
    size_t outputs;
    size_t weights_offset; /* dense: (inputs, outputs) floats in the array of parameters */
    size_t bias_offset;    /* dense: (outputs,) floats */
    bool in_place;         /* its outputs overwrite its inputs, which nobody else needs */
} network_layer;

struct pynn_network {
    pynn_allocator allocator;
    size_t inputs;
    size_t outputs;
    size_t parameter_count;
    size_t dense_count;
    size_t first_dense; /* index of the first dense layer: below it no gradient is needed */
    pynn_loss loss;
    size_t layer_count;
    network_layer layers[];
};

/* ---------------------------------------------------------------- workspace.c */

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
    float *arena;     /* all floats below */
    float *inputs;    /* (max_batch, I): the gathered batch */
    int32_t *labels;  /* (max_batch,): its labels */
    pynn_sums *parts; /* (max_batch,): the sums of each block of rows */
    layer_buffers layers[];
};

/* ---------------------------------------------------------------- activations.c */

/* Y = f(X) for `count` values; y may be x. */
void pynn_activation_forward(pynn_layer_kind kind, size_t count, const float *x, float *y);

/* D = D * f'(X) for `count` values, where f'(x) is computed from y = f(x). */
void pynn_activation_backward(pynn_layer_kind kind, size_t count, const float *y, float *d);

/* ---------------------------------------------------------------- loss.c */

/* Add the loss and the correct answers of a batch to *sums, and write its gradient.
 *   logits  (rows, classes)
 *   labels  (rows,), each below classes
 *   scale   what the gradient is multiplied by: 1 / batch size for the mean
 *   deltas  (rows, classes), overwritten: scale * (softmax(logits) - onehot(labels)); NULL to skip */
void pynn_softmax_cross_entropy(size_t rows, size_t classes, const float *logits, const int32_t *labels,
                                float scale, float *deltas, pynn_sums *sums);

/* P = softmax(Z), row by row; (rows, classes) each. */
void pynn_softmax(size_t rows, size_t classes, const float *z, float *p);

/* ---------------------------------------------------------------- pass.c */

/* A batch on its way through the network. `count` rows of the data, at most max_batch: those that `rows`
 * lists, or `first`, first + 1, ... where it is NULL. */
typedef struct pynn_batch {
    pynn_workspace *workspace;
    const pynn_data *data;
    const uint32_t *rows;
    size_t first;
    size_t count;
    const float *parameters;
} pynn_batch;

/* Rows begin .. end - 1 of a batch. */
typedef struct row_block {
    size_t begin;
    size_t end;
} row_block;

/* Fetch the block's examples into the workspace: features as floats, and labels where there are any. */
void pynn_gather(const pynn_batch *batch, row_block block);

/* Run the gathered block through all layers. Returns its logits, (end - begin, C), in the workspace. */
const float *pynn_forward(const pynn_batch *batch, row_block block);

/* The gradient with respect to every layer's outputs, from the last layer, whose gradient is there
 * already, down to the first dense one. After pynn_forward() of the same block. */
void pynn_backward(const pynn_batch *batch, row_block block);

/* How many tasks pynn_accumulate() is cut into. */
size_t pynn_accumulate_tasks(const pynn_batch *batch);

/* Task number `index` of T = alpha * dP + beta * T, where dP is the gradient with respect to the
 * parameters and T, (parameter_count,), lies where one wants it: alpha = 1 and beta = 0 give the
 * gradient itself, alpha = -learning_rate and beta = 1 on the parameters a step of SGD. After
 * pynn_backward() of all blocks. */
void pynn_accumulate(const pynn_batch *batch, size_t index, float alpha, float beta, float *target);

#endif
