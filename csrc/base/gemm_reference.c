/* gemm_reference.c: gemm in plain C, for tests to compare with and for builds with sanitizers. */
#include "base/gemm.h"
#include "pynn.h"

const char *pynn_blas_name(void) {
    return "reference";
}

const char *pynn_blas_config(void) {
    return "";
}

const char *pynn_blas_kernel(void) {
    return "";
}

/* Every element of C is a sum of k products, which are added in order and in double precision. */
void pynn_blas_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc) {
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t p = 0; p < k; p++) {
                const float a_ip = transpose_a ? a[p * lda + i] : a[i * lda + p];
                const float b_pj = transpose_b ? b[j * ldb + p] : b[p * ldb + j];
                sum += (double)a_ip * (double)b_pj;
            }
            const double old = beta == 0.0f ? 0.0 : (double)beta * (double)c[i * ldc + j];
            c[i * ldc + j] = (float)((double)alpha * sum + old);
        }
    }
}
