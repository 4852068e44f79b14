/* gemm.h: the product of two matrices. This is the only thing that pynn needs a BLAS for. */
#ifndef PYNN_GEMM_H
#define PYNN_GEMM_H

#include <stdbool.h>
#include <stddef.h>

/* The most products that one register sums up, one after another. With more rows of B than this, B would
 * not stay in a cache, and the sum of so many floats would have too large a rounding error. A longer sum is
 * made in slices of this many products, each of which is added to C. */
enum { PYNN_MOST_SUMMED = 1024 };

/* C = alpha op(A) op(B) + beta C, row-major, with op(X) = X or its transpose.
 *   a  op(A) is (m, k): A is (m, k), or (k, m) to be transposed; its rows start lda floats apart
 *   b  op(B) is (k, n): B is (k, n), or (n, k) to be transposed; its rows start ldb floats apart
 *   c  (m, n); its rows start ldc floats apart. With beta 0 it is not read, so it may be uninitialized
 * All sizes and leading dimensions (lda, ldb, ldc) fit int, and no leading dimension is smaller than the
 * row. C overlaps neither A nor B. With alpha 0 a NaN or an infinity in A or B may reach C or not. The
 * function works on the calling thread alone; several threads may call it at once. */
void pynn_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);

/* The same product by BLAS. gemm_cblas.c passes it on to cblas; gemm_portable.c computes it with vectors,
 * gemm_reference.c in plain C. A build contains one of these three files, which also defines
 * pynn_blas_name(), pynn_blas_config() and pynn_blas_kernel(). */
void pynn_blas_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc);

#endif
