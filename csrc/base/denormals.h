/* denormals.h: while the library calculates, denormal numbers are taken as 0. These are the numbers below
 * the smallest normal float, about 1.2e-38.
 *
 * Strong weight decay shrinks weights down to them, and many processors need a hundred cycles for one
 * operation on a denormal number. Taking them as 0 loses nothing: the smallest normal number is 2^-126 and
 * a float has 24 bits, so adding a denormal number to a float of usual size does not change it. */
#ifndef PYNN_DENORMALS_H
#define PYNN_DENORMALS_H

#include <stdint.h>

/* 1 if the code below can set this on the processor that it is compiled for. */
#if defined(__x86_64__) || defined(__aarch64__)
#define PYNN_FLUSHES_DENORMALS 1
#else
#define PYNN_FLUSHES_DENORMALS 0
#endif

#if defined(__x86_64__)
#include <xmmintrin.h>

/* Two bits of the register MXCSR: denormal operands are taken as 0, and denormal results are replaced by
 * 0. */
enum { PYNN_FLUSH = 0x8040 };

static inline uint64_t pynn_flush_denormals(void) {
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | PYNN_FLUSH);
    return before;
}

static inline void pynn_restore_denormals(uint64_t before) {
    _mm_setcsr((unsigned)before);
}

#elif defined(__aarch64__)

/* Bit 24 of the register FPCR sets both. */
static inline uint64_t pynn_flush_denormals(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | UINT64_C(1) << 24));
    return before;
}

static inline void pynn_restore_denormals(uint64_t before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}

#else

static inline uint64_t pynn_flush_denormals(void) {
    return 0;
}

static inline void pynn_restore_denormals(uint64_t before) {
    (void)before;
}

#endif

#endif
