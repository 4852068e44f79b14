/* finite.c: whether numbers are finite: what enters a step, and what leaves it. */
#include <string.h>

#include "base/base.h"
#include "base/vector.h"

/* Infinity and NaN have all bits of the exponent set. Bits, as a sum of floats would be no vector loop. */
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

bool pynn_all_finite(size_t count, const float *x) {
    return all_finite(count, x);
}
