/* sums.h: the sum of floats in double, for kernels. */
#ifndef PYNN_SUMS_H
#define PYNN_SUMS_H

#include <stddef.h>

#include "base/vector.h"

/* The sum of `count` values. It is made of eight sums side by side, of which compilers make vectors. They
 * are doubles: of 2^24 floats that are added one after another the sum is off by some percent. */
PYNN_INLINE double pynn_sum(size_t count, const float *values) {
    enum { LANES = 8 };
    double lanes[LANES] = {0}, total = 0.0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t k = 0; k < LANES; k++) lanes[k] += (double)values[i + k];
    }
    for (; i < count; i++) lanes[0] += (double)values[i];
    for (size_t k = 0; k < LANES; k++) total += lanes[k];
    return total;
}

#endif
