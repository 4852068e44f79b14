/* gemm_cblas.c: gemm by a BLAS. The only file that knows of one. */
#include "base/gemm.h"
#include "pynn.h"

/* Our own copy of OpenBLAS, whose symbols all have a prefix. */
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

/* Keep the next call of BLAS on the calling thread; the result is for restore_threads(). What others in
 * the process use too is left as it was found: Accelerate has a setting for each thread, so it is put
 * back; the system's OpenBLAS has one for all threads, so it is not touched. */
static int use_one_thread(void) {
#if defined(PYNN_SCIPY_OPENBLAS)
    /* Not once, at the start, because tools like threadpoolctl set the threads of every OpenBLAS. */
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
