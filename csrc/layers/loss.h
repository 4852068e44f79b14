/* loss.h: what a kind of loss is to the library. loss.c has them all. */
#ifndef PYNN_LOSS_H
#define PYNN_LOSS_H

#include "base/base.h"

/* Some rows of a batch: what a loss is computed from, and where its gradient goes. */
typedef struct pynn_loss_rows {
    size_t rows;
    size_t outputs;
    const float *z;        /* (rows, outputs): the last layer's outputs */
    const int32_t *labels; /* (rows,), each below outputs: where the type has labels */
    const float *targets;  /* (rows, outputs): where it has none */
    const float *weights;  /* (rows,), or NULL for 1 */
    float scale;           /* what the gradient is multiplied by, beside the weight: 1 / N for the mean */
    float *dz;             /* (rows, outputs), overwritten: scale * weight * d loss / dz */
} pynn_loss_rows;

/* A kind of loss. */
typedef struct pynn_loss_type {
    pynn_loss_kind kind;
    bool has_labels; /* one for each row; else targets, one for each output */

    /* Check the options. */
    pynn_status (*check)(const pynn_loss *loss);

    /* The losses and the correct outputs of the rows, *sums, which are overwritten, and the gradient. */
    void (*compute)(const pynn_loss *loss, const pynn_loss_rows *it, pynn_sums *sums);

    /* p (rows, outputs), the probabilities that z stand for; NULL where z are values. */
    void (*probabilities)(size_t rows, size_t outputs, const float *z, float *p);
} pynn_loss_type;

/* The type of a kind; NULL where there is none. */
const pynn_loss_type *pynn_loss_type_of(pynn_loss_kind kind);

#endif
