/* vector.h: code for the instruction set of the machine it runs on, from plain C.
 *
 * PYNN_CLONES begins a static function that the compiler makes several times over, for several instruction
 * sets, of which the loader chooses one when the program starts (GCC's and Clang's target_clones). Where
 * that does not exist there is the one, portable version. */
#ifndef PYNN_VECTOR_H
#define PYNN_VECTOR_H

#if defined(PYNN_HAVE_CLONES)
#define PYNN_CLONES static __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define PYNN_CLONES static
#endif

/* To become part of each clone, what a clone calls has to be inlined. */
#define PYNN_INLINE static inline __attribute__((always_inline))

/* 16 floats that are added and multiplied at once: one register of AVX-512, two of AVX, four of SSE or
 * NEON. May lie at any float's address. */
typedef float floats16 __attribute__((vector_size(64), aligned(4), may_alias));

#endif
