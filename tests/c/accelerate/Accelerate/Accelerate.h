/* Accelerate.h: as much of the interface of Apple's Accelerate as csrc/base/gemm_cblas.c uses, written from
 * its documentation, so that `scripts/check --only macos` compiles that file where Apple's header is not.
 *
 * cblas_sgemm is the interface of BLAS for C with ACCELERATE_NEW_LAPACK, which has 32-bit integers unless
 * ACCELERATE_LAPACK_ILP64 is defined, too. BLASSetThreading, from macOS 15 on, sets how many threads the
 * calls of the calling thread use, and returns 0, or -1 where the system has no such choice. */
#ifndef PYNN_TESTS_ACCELERATE_H
#define PYNN_TESTS_ACCELERATE_H
#include <Availability.h>

#if !defined(ACCELERATE_NEW_LAPACK) || defined(ACCELERATE_LAPACK_ILP64)
#error "pynn uses the new interface, with 32-bit integers"
#endif

typedef int __LAPACK_int;

enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans, CblasConjTrans };

void cblas_sgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE transpose_a, enum CBLAS_TRANSPOSE transpose_b,
                 __LAPACK_int m, __LAPACK_int n, __LAPACK_int k, float alpha, const float *a,
                 __LAPACK_int lda, const float *b, __LAPACK_int ldb, float beta, float *c,
                 __LAPACK_int ldc);

typedef enum BLAS_THREADING {
    BLAS_THREADING_MULTI_THREADED,
    BLAS_THREADING_SINGLE_THREADED,
} BLAS_THREADING;

BLAS_THREADING BLASGetThreading(void) __attribute__((availability(macos, introduced = 15.0)));
int BLASSetThreading(BLAS_THREADING threading) __attribute__((availability(macos, introduced = 15.0)));

#endif
