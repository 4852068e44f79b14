/* loss.h: what the library knows of a kind of loss. All of them are in loss.c. */
#ifndef PYNN_LOSS_H
#define PYNN_LOSS_H

#include "base/base.h"

/* Some rows of a batch: what a loss is computed from, and where its gradient is written. */
typedef struct pynn_loss_rows {
    size_t rows;
    size_t outputs;
    const float *z;        /* (rows, outputs): the last layer's outputs */
    const int32_t *labels; /* (rows,), each below outputs; for a loss with labels */
    const float *targets;  /* (rows, outputs); for a loss without labels */
    const float *weights;  /* (rows,), or NULL for 1 */
    float scale;           /* a factor of the gradient, beside the weight: 1 / N for the mean */
    float *dz;             /* (rows, outputs), overwritten: scale * weight * d loss / dz */
    double *errors;        /* (2, outputs), overwritten: see pynn_sums. NULL if they are not wanted */
} pynn_loss_rows;

/* A kind of loss. */
typedef struct pynn_loss_type {
    pynn_loss_kind kind;
    bool has_labels; /* one label for each row; else one target for each output */
    bool has_errors; /* the outputs stand for numbers, whose distance from the targets is an error */

    /* Check the options. */
    pynn_status (*check)(const pynn_loss *loss);

    /* Compute the gradient of the rows, and set *sums to their losses, correct outputs and number. */
    void (*compute)(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums);

    /* Compute p (rows, outputs), the probabilities of the outputs z. NULL if z stand for values. */
    void (*probabilities)(size_t rows, size_t outputs, const float *z, float *p);
} pynn_loss_type;

/* The type of a kind, or NULL if there is no such kind. */
const pynn_loss_type *pynn_loss_type_of(pynn_loss_kind kind);

#endif
