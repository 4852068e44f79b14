/* internal.h: what the files of the top floor share: networks, workspaces, and how a batch goes through the
 * layers.
 *
 * The files in csrc itself are the top floor. Below it are layers/, where layers/layer.h says what a kind
 * of layer is and each kind has a file, and base/, which knows nothing of layers. Neither of them includes
 * this file. */
#ifndef PYNN_INTERNAL_H
#define PYNN_INTERNAL_H

#include "base/base.h"
#include "base/cut.h"
#include "layers/layer.h"
#include "layers/loss.h"
#include "layers/sparse.h"

/* ---------------------------------------------------------------- network.c */

/* Layers first .. end - 1, which one task computes for one tile of outputs while the tile lies in the
 * cache. Each of these layers but the first needs, for an output value, only the input value in the same
 * place. As a rule a stage is a dense layer and the activations after it. */
typedef struct pynn_stage {
    size_t first;
    size_t end;
} pynn_stage;

/* The steps of a pass (here never a step of training, which is a whole pass and an update). */
typedef enum pynn_step_kind {
    PYNN_GATHER,
    PYNN_OBSERVE, /* what forward must know of the whole batch, before it */
    PYNN_FORWARD,
    PYNN_OUTPUT,
    PYNN_SUM, /* what the gradient of the parameters, or backward, must know of the whole batch */
    PYNN_BACKWARD,
} pynn_step_kind;

typedef struct pynn_pass_step {
    pynn_step_kind kind;
    size_t stage;
} pynn_pass_step;

struct pynn_network {
    pynn_allocator allocator;
    size_t inputs;
    size_t outputs;
    pynn_shape input_shape;
    pynn_shape output_shape;
    size_t parameter_count;
    size_t first_trained;  /* the first stage that has parameters which are trained, or the last stage if
                            * there is none; the stages below it need no gradient */
    bool has_frozen;       /* whether any parameters are frozen */
    bool has_target_scale; /* whether the targets are standardized: their mean and scale, (O,) each, are the
                            */
    size_t target_offset;  /* parameters from this one on */
    bool takes_missing;    /* whether a feature may be NaN, which stands for a missing value */
    pynn_loss loss;
    const pynn_loss_type *loss_type;
    size_t layer_count;
    pynn_placed_layer *layers;
    size_t view_count;
    pynn_parameter_view *views;
    void *kept_options; /* what the options of the first layer point to */
    size_t step_count;
    size_t
        forward_step_count; /* how many steps end in PYNN_OUTPUT: passes that need no gradient end there */
    pynn_pass_step *steps;
    size_t stage_count;
    pynn_stage stages[];
};

/* The mean and the scale of the targets, (O,) each, among the parameters; NULL if they have none. */
static inline const float *pynn_target_mean(const pynn_network *network, const float *parameters) {
    return network->has_target_scale ? parameters + network->target_offset : NULL;
}

/* ---------------------------------------------------------------- workspace.c */

typedef struct pynn_layer_buffers {
    float *outputs;       /* (max_batch, O) */
    float *deltas;        /* (max_batch, O): gradient of the loss with respect to the outputs */
    float *scratch;       /* (max_batch, the layer's scratch) */
    float *block_scratch; /* (most blocks of rows, the layer's block_scratch) */
} pynn_layer_buffers;

struct pynn_workspace {
    pynn_allocator allocator;
    const pynn_network *network;
    pynn_team *team; /* may be NULL */
    size_t max_batch;
    size_t nbytes;
    bool keeps;               /* whether every value is kept for pynn_workspace_read() */
    size_t rows;              /* of the last batch; 0 before the first */
    bool has_sparse;          /* whether its features are in `sparse`, not in `inputs` */
    bool has_gradients;       /* whether its loss was computed with the gradients */
    bool has_weights;         /* whether its examples have weights */
    void *arena;              /* the memory of all the arrays below */
    float *inputs;            /* (max_batch, I): the gathered batch as floats; or, in the same memory, */
    pynn_sparse_batch sparse; /* the gathered batch as sparse rows */
    int32_t *labels;          /* (max_batch,): its labels; there is room for them whatever the loss */
    float *targets;           /* (max_batch, O): its targets; NULL for a loss that has labels */
    float *weights;           /* (max_batch,) */
    double *squares;          /* (pynn_update_tasks(),): sum of squares of the gradient, for each task */
    bool *sound;              /* (pynn_update_tasks(),): whether what each task has checked is finite */
    float *augmenting;        /* (most blocks of rows, pynn_augmentation_scratch()) */
    bool *finite;             /* (max_batch,): whether the features of each block of rows are finite */
    pynn_sums *parts;         /* (max_batch,): the sums of each block of rows, without their errors */
    double *errors;           /* (most blocks of rows, 2, O): those errors; NULL for a loss without any */
    pynn_layer_buffers layers[];
};

/* ---------------------------------------------------------------- pass.c */

/* Why a batch goes through the layers. */
typedef enum pynn_purpose {
    PYNN_FOR_GRADIENT, /* loss and gradient with respect to the parameters */
    PYNN_FOR_SUMS,     /* loss */
    PYNN_FOR_LOGITS,
    PYNN_FOR_PROBABILITIES,
} pynn_purpose;

/* `count` rows of the data, at most max_batch: those whose indices are in `rows`, or, if that is NULL, the
 * rows `first`, first + 1, ... */
typedef struct pynn_batch {
    pynn_workspace *workspace;
    const pynn_data *data;
    const uint32_t *rows;
    size_t first;
    size_t count;
    const float *parameters;
    pynn_purpose purpose;
    bool sparse;             /* whether the first layer reads sparse rows */
    float *out;              /* (count, C): for logits and probabilities */
    pynn_target target;      /* for the gradient: all parameters. alpha = 1 and beta = 0 give the gradient
                              * itself; alpha = -learning_rate and beta = 1 make a step on the parameters */
    const pynn_state *state; /* what dropout draws from; NULL means that nothing is dropped */
} pynn_batch;

/* Run a batch through the layers, for its purpose, on the team's threads. Adds to *sums, unless the purpose
 * is logits or probabilities. Returns whether all features and the sum of the losses are finite. If they
 * are not, no gradient is computed and the target is left as it was. A target or a weight that is not
 * finite shows in the loss. */
bool pynn_run_batch(const pynn_batch *batch, pynn_sums *sums);

/* After a batch was run for its gradient: change the parameters that follow the data and not a gradient,
 * such as the running means of batch normalization. */
void pynn_follow_batch(const pynn_batch *batch, float *parameters);

/* ---------------------------------------------------------------- optimizer.c */

/* Whether the kind of optimizer exists and all its numbers are in their ranges. */
bool pynn_optimizer_is_sound(const pynn_optimizer *optimizer);

/* How many tasks an update of the parameters is cut into. */
size_t pynn_update_tasks(const pynn_network *network);

/* Whether the parameters, and the moments that the optimizer keeps, are finite. Works on the team's
 * threads. */
bool pynn_state_is_finite(const pynn_workspace *workspace, const pynn_optimizer *optimizer,
                          const pynn_state *state, const float *parameters);

/* Update the parameters once, with the gradients of the state, on the team's threads. Adds 1 to
 * state->updates. */
void pynn_update(const pynn_workspace *workspace, const pynn_optimizer *optimizer, double learning_rate,
                 pynn_state *state, float *parameters);

/* ---------------------------------------------------------------- augment.c */

/* Whether all numbers are in their ranges, and the shape is that of rows of `inputs` values. */
bool pynn_augmentation_is_sound(const pynn_augmentation *augmentation, size_t inputs);

/* How many floats of scratch pynn_augment() needs for rows of `inputs` values. */
size_t pynn_augmentation_scratch(size_t inputs);

/* Change the image x, which is row number `row` of the data, in its place. */
void pynn_augment(const pynn_augmentation *augmentation, size_t row, float *x, float *scratch);

/* ---------------------------------------------------------------- gather.c */

/* The share of the features that are not zero, measured on a sample of the rows. */
double pynn_measure_density(const pynn_data *data, size_t inputs);

/* Copy the examples of block of rows number `block` into the workspace: features as floats or as sparse
 * rows, and labels, targets and weights if there are any. Returns whether all the features are finite. This
 * is checked here, because the loss does not show it if an activation saturates: tanh of infinity is 1. */
bool pynn_gather(const pynn_batch *batch, pynn_tile tile, size_t block);

#endif
