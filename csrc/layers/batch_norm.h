/* batch_norm.h: what the files of batch normalization share. batch_norm.c says what is computed; the sums
 * over the values of a channel are in batch_norm_sums.c. */
#ifndef PYNN_BATCH_NORM_H
#define PYNN_BATCH_NORM_H

#include "layers/layer.h"

/* What a block of rows keeps of a channel. */
typedef struct pynn_channel_part {
    double mean;    /* of the block's values */
    double squares; /* the sum of (x - mean)^2 over the block */
    double of_dy;   /* the sum of dy over the block */
    double of_dyh;  /* the sum of dy h over the block */
    double batch_variance;
    float batch_mean; /* m, rounded; see row_scale in norm.c */
    float rest;       /* m - batch_mean */
    float factor;     /* 1 / sqrt(v + eps) */
    float unused;
} pynn_channel_part;

/* Where the values of a channel lie: `rows` stretches of `size` values, each `stride` after the one before.
 * The stretches of the channels of a row lie side by side. */
typedef struct pynn_channel_values {
    size_t rows, size, stride;
} pynn_channel_values;

/* Find the mean and the squares of each channel. */
void pynn_observe_channels(size_t channels, pynn_channel_values v, const float *x,
                           pynn_channel_part *parts);

/* Find of_dy and of_dyh of each channel, whose batch_mean, rest and factor are known. */
void pynn_sum_channels(size_t channels, pynn_channel_values v, const float *x, const float *dy,
                       pynn_channel_part *parts);

#endif
