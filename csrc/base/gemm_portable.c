/* gemm_portable.c: the product of two matrices without a BLAS, for machines that have none, and for
 * WebAssembly. It is C with the vectors that GCC and Clang have for every processor.
 *
 * Each element of C is a sum over k that is made in order: one register adds product after product. So the
 * bits depend neither on the width of the registers nor on how the work is cut, where a product and a sum
 * are not contracted into one instruction (-ffp-contract=off). A long sum is made in slices, as in gemm.c,
 * so that it makes no difference which of the two files computes a product.
 *
 * B is copied, MOST_DEPTH rows and one panel of columns at a time, so that its values lie in the order in
 * which they are read, while MOST_ROWS rows of A go past. The sums of these rows are kept beside it, until
 * all of k is done. For the next MOST_ROWS rows the panel is copied again. With AVX-512 panel and sums take
 * 48 kB, more than an innermost cache of 32 kB; half of MOST_DEPTH, which would fit, was not faster. */
#include <string.h>

#include "base/base.h"
#include "base/gemm.h"
#include "base/vector.h"

const char *pynn_blas_name(void) {
    return "portable";
}

const char *pynn_blas_config(void) {
    return "";
}

const char *pynn_blas_kernel(void) {
    return "";
}

/* The packed B takes 32 kB and the sums take 16 kB. Both are on the stack of each thread that computes: it
 * must have room for 48 kB and the frames of the callers, as also the 128 kB of musl have. */
enum { MOST_ROWS = 128, MOST_DEPTH = 256, MOST_WIDTH = 32 };

/* What the innermost loops work on: op(A) (rows, depth), and a panel of op(B), packed. */
typedef struct block {
    size_t rows, depth;
    size_t a_below;      /* floats from an element of op(A) to the one below it */
    size_t a_next;       /* floats from an element of op(A) to the next one in its row */
    const float *packed; /* (depth, width of the panel) */
} block;

/* Registers of 4 floats, of which SSE has 16: 12 for sums, 2 for a row of B, 1 for a value of A. NEON has
 * 32 of them. */
#define LANES 4
#define ROWS 6
#define VECTORS 2
#define TARGET
#define NAME(x) x##_4
#include "base/gemm_portable_kernel.h"

#if defined(PYNN_HAVE_LEVELS)
/* AVX2 has 16 registers, AVX-512 has 32. */
#define LANES 8
#define ROWS 6
#define VECTORS 2
#define TARGET PYNN_FOR_V3
#define NAME(x) x##_8
#include "base/gemm_portable_kernel.h"

#define LANES 16
#define ROWS 12
#define VECTORS 2
#define TARGET PYNN_FOR_V4
#define NAME(x) x##_16
#include "base/gemm_portable_kernel.h"
#endif

/* The innermost loops for a panel, and how many columns it has. */
typedef struct loops {
    void (*multiply)(const block *p, const float *a, float *sums);
    size_t width;
} loops;

/* The loops for the level in use. Where few columns are left, the panel is narrower: columns that are not
 * there cost as much as others. */
static loops choose(size_t columns) {
#if defined(PYNN_HAVE_LEVELS)
    pynn_level level = pynn_level_in_use();
    if (level == PYNN_LEVEL_X86_V4 && columns > 16) return (loops){multiply_16, 32};
    if (level >= PYNN_LEVEL_X86_V3) return (loops){multiply_8, 16};
#else
    (void)columns; /* there is one width only */
#endif
    return (loops){multiply_4, 8};
}

/* Copy floats in pieces of constant size, which compilers make a few instructions of. Calls of memcpy()
 * took a tenth to a fifth of the time of products with ten columns. */
static inline void copy_row(size_t count, const float *from, float *to) {
    for (; count >= 8; count -= 8, from += 8, to += 8) memcpy(to, from, 8 * sizeof(float));
    if (count & 4) memcpy(to, from, 4 * sizeof(float)), from += 4, to += 4;
    if (count & 2) memcpy(to, from, 2 * sizeof(float)), from += 2, to += 2;
    if (count & 1) *to = *from;
}

/* Copy `depth` rows and `columns` columns of op(B) to rows of `width` floats; what is missing is zero.
 *   b_below  floats from an element of op(B) to the one below it
 *   b_next   floats from an element of op(B) to the next one in its row */
static void pack(size_t depth, size_t columns, size_t width, const float *b, size_t b_below, size_t b_next,
                 float *packed) {
    if (columns < width) memset(packed, 0, depth * width * sizeof(float));
    if (b_next == 1) {
        for (size_t k = 0; k < depth; k++) copy_row(columns, b + k * b_below, packed + k * width);
    } else {
        /* Eight rows at a time: what is read lies together, and what is written stays in the cache. */
        for (size_t first = 0; first < depth; first += 8) {
            size_t end = pynn_least(first + 8, depth);
            for (size_t j = 0; j < columns; j++) {
                for (size_t k = first; k < end; k++) packed[k * width + j] = b[k * b_below + j * b_next];
            }
        }
    }
}

/* c = alpha sums + beta c, for a row. With beta 0 c is not read. */
static void finish(size_t columns, float alpha, const float *sums, float beta, float *c) {
    for (size_t j = 0; j < columns; j++)
        c[j] = beta == 0.0f ? alpha * sums[j] : alpha * sums[j] + beta * c[j];
}

/* C = alpha op(A) op(B) + beta C, with op(A) (rows, depth), op(B) (depth, columns), C (rows, columns). */
typedef struct product {
    size_t rows, columns, depth;
    size_t a_below, a_next; /* see block */
    size_t b_below, b_next; /* see pack() */
    size_t ldc;
    float alpha, beta;
} product;

/* C = alpha op(A) op(B) + beta C, where each element is one sum of `depth` products. */
static void product_of(const product *p, const float *a, const float *b, float *c) {
    float packed[MOST_DEPTH * MOST_WIDTH], sums[MOST_ROWS * MOST_WIDTH];
    block part = {.a_below = p->a_below, .a_next = p->a_next, .packed = packed};
    for (size_t j = 0, columns; j < p->columns; j += columns) {
        const loops chosen = choose(p->columns - j);
        columns = pynn_least(chosen.width, p->columns - j);
        for (size_t i = 0; i < p->rows; i += MOST_ROWS) {
            part.rows = pynn_least(MOST_ROWS, p->rows - i);
            memset(sums, 0, part.rows * MOST_WIDTH * sizeof(float));
            for (size_t k = 0; k < p->depth; k += MOST_DEPTH) {
                part.depth = pynn_least(MOST_DEPTH, p->depth - k);
                pack(part.depth, columns, chosen.width, b + k * p->b_below + j * p->b_next, p->b_below,
                     p->b_next, packed);
                /* sums += A B, for a block of A and a packed block of B */
                chosen.multiply(&part, a + i * p->a_below + k * p->a_next, sums);
            }
            for (size_t r = 0; r < part.rows; r++)
                finish(columns, p->alpha, sums + r * MOST_WIDTH, p->beta, c + (i + r) * p->ldc + j);
        }
    }
}

void pynn_blas_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc) {
    product p = {.rows = m, .columns = n, .ldc = ldc, .alpha = alpha, .beta = beta};
    p.a_below = transpose_a ? 1 : lda, p.a_next = transpose_a ? lda : 1;
    p.b_below = transpose_b ? 1 : ldb, p.b_next = transpose_b ? ldb : 1;
    do {
        p.depth = pynn_least(k, PYNN_MOST_SUMMED);
        product_of(&p, a, b, c);
        a += p.depth * p.a_next;
        b += p.depth * p.b_below;
        k -= p.depth;
        p.beta = 1.0f; /* the next slice adds to C */
    } while (k > 0);
}
