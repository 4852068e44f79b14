/* vector.h: kernels, which are loops compiled for several instruction sets, of which the best that the
 * processor has is taken while the program runs.
 *
 *     PYNN_KERNEL(void, double_all, (size_t count, float *x), (count, x)) {
 *         for (size_t i = 0; i < count; i++) x[i] *= 2.0f;
 *     }
 *
 * is a static function double_all(count, x). Its loop is compiled once for each level of x86-64, in
 * functions that have the compiler's leave to use that level's instructions, and double_all() calls the one
 * for the level in use (instruction_set.c). Elsewhere, as on aarch64, there is one version, for what every
 * processor of the kind has. No help of the linker or the loader is needed. */
#ifndef PYNN_VECTOR_H
#define PYNN_VECTOR_H

/* To become part of each version, what a kernel calls has to be inlined. */
#define PYNN_INLINE static inline __attribute__((always_inline))

/* Before a loop over sums, whose number is a constant: a loop that is not unrolled keeps them in memory. */
#if defined(__clang__)
#define PYNN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PYNN_UNROLL _Pragma("GCC unroll 16")
#endif

/* x86-64's levels as its ABI defines them, from the least to the most; a level has all of those below. */
typedef enum pynn_level {
    PYNN_LEVEL_BASE,   /* what every processor of the kind has: SSE2, NEON */
    PYNN_LEVEL_X86_V2, /* SSE4.2: registers of 4 floats */
    PYNN_LEVEL_X86_V3, /* AVX2 and FMA: 16 registers of 8 floats */
    PYNN_LEVEL_X86_V4, /* AVX-512: 32 registers of 16 floats */
} pynn_level;

/* The level in use. The same for as long as the process lives. */
pynn_level pynn_level_in_use(void);

#if defined(__x86_64__) && !defined(PYNN_ONE_LEVEL)
#define PYNN_HAVE_LEVELS
#define PYNN_FOR_V2 __attribute__((target("sse4.2,popcnt")))
#define PYNN_FOR_V3 __attribute__((target("avx2,fma,bmi,bmi2,f16c,lzcnt,movbe,popcnt")))
#define PYNN_FOR_V4                                                                                        \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,"                                   \
                          "avx2,fma,bmi,bmi2,f16c,lzcnt,movbe,popcnt")))

/* What stands before the call that gives a kernel's result; C does not return what a void function gives.
 */
#define PYNN_GIVE_void
#define PYNN_GIVE_bool return
#define PYNN_GIVE_double return
#define PYNN_GIVE_size_t return

#define PYNN_KERNEL(type, name, parameters, arguments)                                                     \
    PYNN_INLINE type name##_at_any_level parameters;                                                       \
    PYNN_FOR_V4 static type name##_v4 parameters {                                                         \
        PYNN_GIVE_##type name##_at_any_level arguments;                                                    \
    }                                                                                                      \
    PYNN_FOR_V3 static type name##_v3 parameters {                                                         \
        PYNN_GIVE_##type name##_at_any_level arguments;                                                    \
    }                                                                                                      \
    PYNN_FOR_V2 static type name##_v2 parameters {                                                         \
        PYNN_GIVE_##type name##_at_any_level arguments;                                                    \
    }                                                                                                      \
    static type name##_base parameters {                                                                   \
        PYNN_GIVE_##type name##_at_any_level arguments;                                                    \
    }                                                                                                      \
    static type name parameters {                                                                          \
        pynn_level level = pynn_level_in_use();                                                            \
        if (level == PYNN_LEVEL_X86_V4) {                                                                  \
            PYNN_GIVE_##type name##_v4 arguments;                                                          \
        } else if (level == PYNN_LEVEL_X86_V3) {                                                           \
            PYNN_GIVE_##type name##_v3 arguments;                                                          \
        } else if (level == PYNN_LEVEL_X86_V2) {                                                           \
            PYNN_GIVE_##type name##_v2 arguments;                                                          \
        } else {                                                                                           \
            PYNN_GIVE_##type name##_base arguments;                                                        \
        }                                                                                                  \
    }                                                                                                      \
    PYNN_INLINE type name##_at_any_level parameters
#else
#define PYNN_KERNEL(type, name, parameters, arguments) static type name parameters
#endif

#endif
