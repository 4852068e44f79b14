/* shifted.c: the two products of a convolution. Row k of their matrix B is a stretch of the planes of an
 * image, so it is read where it lies, from an offset on; see conv2d.c. */
#include "base/gemm.h"
#include "base/vector.h"
#include "layers/conv2d.h"

/* Lanes of the sums of products, at every level, so that each adds up the same numbers in the same order.
 */
enum { SUM_LANES = PYNN_STEP };

typedef float four __attribute__((vector_size(4 * sizeof(float)), aligned(4), may_alias));

/* The sums of the lanes of `count` sums, a constant: halves are added until one lane is left. */
PYNN_INLINE void sum_lanes(size_t count, float (*lanes)[SUM_LANES], float *sums) {
    for (size_t i = 0; i < count; i++) {
        four *at = (four *)lanes[i];
        at[0] = (at[0] + at[2]) + (at[1] + at[3]);
    }
    for (size_t i = 0; i < count; i++) sums[i] = (lanes[i][0] + lanes[i][2]) + (lanes[i][1] + lanes[i][3]);
}

/* Registers of 4 floats: SSE has 16, NEON 32. */
#define LANES 4
#define SUMS 12
#define ROWS 2
#define COLUMNS 4
#define TARGET
#define NAME(x) x##_4
#include "layers/shifted_kernel.h"

#if defined(PYNN_HAVE_LEVELS)
/* AVX2 has 16 registers of 8 floats. */
#define LANES 8
#define SUMS 12
#define ROWS 2
#define COLUMNS 6
#define TARGET PYNN_FOR_V3
#define NAME(x) x##_8
#include "layers/shifted_kernel.h"

/* AVX-512 has 32 registers of 16 floats. */
#define LANES 16
#define SUMS 24
#define ROWS 4
#define COLUMNS 6
#define TARGET PYNN_FOR_V4
#define NAME(x) x##_16
#include "layers/shifted_kernel.h"
#endif

void pynn_multiply_shifted(const pynn_shifted_product *product) {
#if defined(PYNN_HAVE_LEVELS)
    pynn_level level = pynn_level_in_use();
    if (level == PYNN_LEVEL_X86_V4) {
        multiply_16(product);
        return;
    }
    if (level == PYNN_LEVEL_X86_V3) {
        multiply_8(product);
        return;
    }
#endif
    multiply_4(product);
}

void pynn_add_shifted_products(const pynn_shifted_sums *sums) {
#if defined(PYNN_HAVE_LEVELS)
    pynn_level level = pynn_level_in_use();
    if (level == PYNN_LEVEL_X86_V4) {
        add_16(sums);
        return;
    }
    if (level == PYNN_LEVEL_X86_V3) {
        add_8(sums);
        return;
    }
#endif
    add_4(sums);
}
