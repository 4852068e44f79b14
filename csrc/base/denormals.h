/* denormals.h: numbers below the smallest normal one, about 1.2e-38, taken as 0 while the library
 * calculates.
 *
 * Strong weight decay shrinks weights down to them, and many processors take a hundred cycles for an
 * operation with one. As a summand none of them can matter: the smallest normal number is 2^-126, and a
 * float has 24 bits. */
#ifndef PYNN_DENORMALS_H
#define PYNN_DENORMALS_H

#include <stdint.h>

/* Whether it is known how to say so to this kind of processor. */
#if defined(__x86_64__) || defined(__aarch64__)
#define PYNN_FLUSHES_DENORMALS 1
#else
#define PYNN_FLUSHES_DENORMALS 0
#endif

#if defined(__x86_64__)
#include <xmmintrin.h>

/* Of MXCSR: denormal operands are 0, and so are results that would be denormal. */
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

/* Of FPCR: the same, in one bit. */
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
