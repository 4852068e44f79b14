/* finite.c: the check that numbers are finite. It is made on what enters a training step and on what leaves
 * it. */
#include <string.h>

#include "base/base.h"
#include "base/vector.h"

/* Infinity and NaN are the floats whose exponent bits are all 1. The loop looks at the bits, because
 * compilers do not make a vector loop of a sum of floats. */
PYNN_KERNEL(bool, all_finite, (size_t count, const float *x), (count, x)) {
    const uint32_t exponent = 0x7F800000;
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    return found == 0;
}

PYNN_KERNEL(bool, none_infinite, (size_t count, const float *x), (count, x)) {
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & 0x7FFFFFFF) == 0x7F800000;
    }
    return found == 0;
}

bool pynn_none_infinite(size_t count, const float *x) {
    return none_infinite(count, x);
}

bool pynn_all_finite(size_t count, const float *x) {
    return all_finite(count, x);
}
