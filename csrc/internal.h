/* internal.h: what the files of the top floor share: networks, workspaces, and a batch on its way through
 * the layers. The floors below, layers/ and base/, do not know of it. */
#ifndef PYNN_INTERNAL_H
#define PYNN_INTERNAL_H

#include "base/base.h"
#include "base/cut.h"
#include "layers/layer.h"
#include "layers/loss.h"
#include "layers/sparse.h"

/* ---------------------------------------------------------------- network.c */

/* Layers first .. end - 1, of which only the first may look further than at a value: what one task does to
 * one tile of outputs while it lies in the cache. A dense layer and the activations behind it, as a rule.
 */
typedef struct network_stage {
    size_t first;
    size_t end;
} network_stage;

struct pynn_network {
    pynn_allocator allocator;
    size_t inputs;
    size_t outputs;
    size_t parameter_count;
    size_t first_trained; /* the first stage with parameters: below it no gradient is needed */
    pynn_loss loss;
    const pynn_loss_type *loss_type;
    size_t layer_count;
    pynn_placed_layer *layers;
    size_t view_count;
    pynn_parameter_view *views;
    size_t stage_count;
    network_stage stages[];
};

/* ---------------------------------------------------------------- workspace.c */

typedef struct layer_buffers {
    float *outputs; /* (max_batch, O) */
    float *deltas;  /* (max_batch, O): gradient of the loss with respect to the outputs */
    float *scratch; /* (max_batch, the type's scratch) */
} layer_buffers;

struct pynn_workspace {
    pynn_allocator allocator;
    const pynn_network *network;
    pynn_team *team; /* may be NULL */
    size_t max_batch;
    size_t nbytes;
    void *arena;              /* all that the pointers below point to */
    float *inputs;            /* (max_batch, I): the gathered batch, or, in the same place, */
    pynn_sparse_batch sparse; /* its entries */
    int32_t *labels;          /* (max_batch,): its labels, or, for a loss that has none, */
    float *targets;           /* (max_batch, O) */
    float *weights;           /* (max_batch,) */
    double *squares;          /* (pynn_update_tasks(),): of the gradient, summed task by task */
    bool *sound;              /* (pynn_update_tasks(),): whether what a task looked at is finite */
    bool *finite;             /* (max_batch,): whether the features of each block of rows are */
    pynn_sums *parts;         /* (max_batch,): the sums of each block of rows */
    layer_buffers layers[];
};

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
    bool sparse;        /* the first layer takes sparse rows */
    float *out;         /* (count, C): for logits and probabilities */
    pynn_target target; /* for the gradient, of all parameters: alpha = 1 and beta = 0 give the gradient
                         * itself, -learning_rate and 1 a step on the parameters */
    const pynn_state *state; /* what dropout draws from; NULL: nothing is dropped */
} pynn_batch;

/* Run a batch through the layers, for its purpose, on the team's threads. Adds to *sums unless the
 * purpose is to predict. Whether all features, and then the sum of losses, are finite: if not, there is no
 * gradient and the target stays as it was. Targets and weights that are not finite show in the loss. */
bool pynn_run_batch(const pynn_batch *batch, pynn_sums *sums);

/* ---------------------------------------------------------------- optimizer.c */

/* Whether a kind of optimizer exists, and all numbers are in their ranges. */
bool pynn_optimizer_is_sound(const pynn_optimizer *optimizer);

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

/* Fetch the examples of a block of rows: features as floats, or as sparse rows, and labels, targets and
 * weights where there are any. Whether all the features are finite: the loss would not show it where an
 * activation saturates. */
bool pynn_gather(const pynn_batch *batch, pynn_tile tile);

#endif
