/* vector.h: kernels. A kernel is a loop that is compiled for several instruction sets; while the program
 * runs, the best version that the processor can execute is used.
 *
 *     PYNN_KERNEL(void, double_all, (size_t count, float *x), (count, x)) {
 *         for (size_t i = 0; i < count; i++) x[i] *= 2.0f;
 *     }
 *
 * defines a static function double_all(count, x). Its loop is compiled once for each level of x86-64, in a
 * function that allows the compiler to use that level's instructions. double_all() calls the version for
 * the level in use (see instruction_set.c). On other processors, such as aarch64, there is one version, for
 * the instructions that all of them have. No help of the linker or the loader is needed. */
#ifndef PYNN_VECTOR_H
#define PYNN_VECTOR_H

/* For the functions that a kernel calls: they must be inlined to become part of each version. Where there
 * is only one version, as for the measurement of coverage, they need not be: lines and branches are then
 * counted once for each function, not for each place where it is called. */
#if defined(PYNN_ONE_LEVEL)
#define PYNN_INLINE static inline
#else
#define PYNN_INLINE static inline __attribute__((always_inline))
#endif

/* Stands before a loop over an array of sums of constant length. If such a loop is not unrolled, the
 * compiler keeps the sums in memory, not in registers. */
#if defined(__clang__)
#define PYNN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PYNN_UNROLL _Pragma("GCC unroll 16")
#endif

/* The levels of x86-64 as its ABI defines them, from the lowest to the highest. Each includes all levels
 * below it. */
typedef enum pynn_level {
    PYNN_LEVEL_BASE,   /* the instructions that all of them have: SSE2, NEON */
    PYNN_LEVEL_X86_V2, /* SSE4.2: registers of 4 floats */
    PYNN_LEVEL_X86_V3, /* AVX2 and FMA: 16 registers of 8 floats */
    PYNN_LEVEL_X86_V4, /* AVX-512: 32 registers of 16 floats */
} pynn_level;

/* The level in use. It stays the same for as long as the process lives. */
pynn_level pynn_level_in_use(void);

#if defined(__x86_64__) && !defined(PYNN_ONE_LEVEL)
#define PYNN_HAVE_LEVELS
#define PYNN_FOR_V2 __attribute__((target("sse4.2,popcnt")))
#define PYNN_FOR_V3 __attribute__((target("avx2,fma,bmi,bmi2,f16c,lzcnt,movbe,popcnt")))
#define PYNN_FOR_V4                                                                                        \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,"                                   \
                          "avx2,fma,bmi,bmi2,f16c,lzcnt,movbe,popcnt")))

/* The word before the call that gives a kernel's result: `return`, but none for void, because C does not
 * allow a void function to return the result of another. */
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
