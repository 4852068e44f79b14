/* gemm.h: the product of two matrices, which is the one thing that pynn asks of a BLAS. */
#ifndef PYNN_GEMM_H
#define PYNN_GEMM_H

#include <stdbool.h>
#include <stddef.h>

/* C = alpha op(A) op(B) + beta C, row-major, with op(X) = X or its transpose.
 *   a  op(A) is (m, k): A is (m, k), or (k, m) to be transposed; lda floats from row to row
 *   b  op(B) is (k, n): B is (k, n), or (n, k) to be transposed; ldb floats from row to row
 *   c  (m, n); ldc floats from row to row. With beta 0 it need not be initialized: it is not read
 * All sizes and leading dimensions fit int; no leading dimension is smaller than its row. C overlaps
 * neither A nor B. With alpha 0, NaN and infinity in A and B may reach C, or not. Works on the calling
 * thread alone; several threads may call it at once. */
void pynn_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);

/* The same, by BLAS. gemm_cblas.c gives it to cblas; gemm_reference.c is the same in plain C. A build has
 * one of them, which also defines pynn_blas_name(), pynn_blas_config() and pynn_blas_kernel(). */
void pynn_blas_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc);

#endif
