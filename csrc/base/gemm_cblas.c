/* gemm_cblas.c: gemm by a BLAS. This is the only file that includes the header of one. */
#include "base/gemm.h"
#include "pynn.h"

/* The copy of OpenBLAS that comes with pynn. All its symbols have a prefix. */
#if defined(PYNN_SCIPY_OPENBLAS)
#include <cblas.h>
#define SGEMM scipy_cblas_sgemm
#define CONFIG scipy_openblas_get_config()
#define KERNEL scipy_openblas_get_corename()
#define NAME "scipy-openblas"
typedef blasint blas_int;

#elif defined(PYNN_OPENBLAS)
#include <cblas.h>
#define SGEMM cblas_sgemm
#define CONFIG openblas_get_config()
#define KERNEL openblas_get_corename()
#define NAME "openblas"
typedef blasint blas_int;

#elif defined(PYNN_ACCELERATE)
#include <Accelerate/Accelerate.h>
#define SGEMM cblas_sgemm
#define CONFIG ""
#define KERNEL ""
#define NAME "accelerate"
typedef __LAPACK_int blas_int;
#endif

_Static_assert(sizeof(blas_int) == sizeof(int),
               "sizes are checked against int: a BLAS with 32-bit integers");

const char *pynn_blas_name(void) {
    return NAME;
}

const char *pynn_blas_config(void) {
    return CONFIG;
}

const char *pynn_blas_kernel(void) {
    return KERNEL;
}

/* Make the next call of BLAS work on the calling thread alone. Returns what restore_threads() needs.
 *
 * Other code in the process may use the same BLAS, and its setting must not change. Accelerate has a
 * setting for each thread: it is set here and restored after the call. The system's OpenBLAS has one
 * setting for all threads: it is not touched. pynn's own copy of OpenBLAS serves nobody else: it stays at
 * one thread. */
static int use_one_thread(void) {
#if defined(PYNN_SCIPY_OPENBLAS)
    /* At every call, because tools like threadpoolctl set the threads of every OpenBLAS in the process. */
    if (scipy_openblas_get_num_threads() != 1) scipy_openblas_set_num_threads(1);
#elif defined(PYNN_ACCELERATE) && defined(__MAC_15_0)
    if (__builtin_available(macOS 15.0, *)) {
        const BLAS_THREADING before = BLASGetThreading();
        BLASSetThreading(BLAS_THREADING_SINGLE_THREADED);
        return (int)before;
    }
#endif
    return 0;
}

static void restore_threads(int before) {
    (void)before;
#if defined(PYNN_ACCELERATE) && defined(__MAC_15_0)
    if (__builtin_available(macOS 15.0, *)) {
        BLASSetThreading((BLAS_THREADING)before);
    }
#endif
}

void pynn_blas_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc) {
    const int before = use_one_thread();
    SGEMM(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
          (blas_int)m, (blas_int)n, (blas_int)k, alpha, a, (blas_int)lda, b, (blas_int)ldb, beta, c,
          (blas_int)ldc);
    restore_threads(before);
}
