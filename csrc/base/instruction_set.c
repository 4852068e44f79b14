/* instruction_set.c: which instruction sets the processor has, and which of them the library uses. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/vector.h"

#if defined(PYNN_HAVE_LEVELS)
#include <cpuid.h>

/* The bits of CPUID that each level requires, by the names of the x86-64 psABI, "Microarchitecture Levels".
 * What level 4 adds is in leaf 7 alone. LAHF and SAHF, which belong to level 2, are not checked, because
 * vector.h does not allow the compiler to use them. */
enum {
    V2_OF_1_ECX = bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B,
    V3_OF_1_ECX = bit_AVX | bit_FMA | bit_F16C | bit_MOVBE | bit_OSXSAVE,
    V3_OF_7_EBX = bit_AVX2 | bit_BMI | bit_BMI2,
    V3_OF_EXTENDED_1_ECX = bit_LZCNT,
};
static const unsigned V4_OF_7_EBX = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;

/* The bits of the register XCR0: which registers the operating system saves when it switches threads. A
 * register that it does not save must not be used, even if the processor has it. */
enum { KEEPS_AVX = 0x6, KEEPS_AVX512 = 0xE6 };

static bool has_all(unsigned bits, unsigned wanted) {
    return (bits & wanted) == wanted;
}

static unsigned read_xcr0(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* The highest level that both the processor and the operating system support. The code asks for features,
 * not for models: a list of models would not have new ones, and a virtual machine may hide some features of
 * its model.
 *
 * macOS prepares a thread for AVX-512 when the thread first uses it, and XCR0 does not show AVX-512 before.
 * So the result there is level 3. To rely on the processor's bits alone would be wrong on other systems. */
static pynn_level find_level(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_all(c, V2_OF_1_ECX)) return PYNN_LEVEL_BASE;
    if (!has_all(c, V3_OF_1_ECX)) return PYNN_LEVEL_X86_V2;
    unsigned kept = read_xcr0();
    if (!has_all(kept, KEEPS_AVX)) return PYNN_LEVEL_X86_V2;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !has_all(c, V3_OF_EXTENDED_1_ECX))
        return PYNN_LEVEL_X86_V2;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has_all(b, V3_OF_7_EBX)) return PYNN_LEVEL_X86_V2;
    return has_all(b, V4_OF_7_EBX) && has_all(kept, KEEPS_AVX512) ? PYNN_LEVEL_X86_V4 : PYNN_LEVEL_X86_V3;
}

#else
static pynn_level find_level(void) {
    return PYNN_LEVEL_BASE;
}
#endif

#if defined(__x86_64__)
#define BASE_NAME "x86-64"
#elif defined(__aarch64__)
#define BASE_NAME "aarch64"
#else
#define BASE_NAME "portable"
#endif

static const char *const names[] = {
    [PYNN_LEVEL_BASE] = BASE_NAME,
    [PYNN_LEVEL_X86_V2] = "x86-64-v2",
    [PYNN_LEVEL_X86_V3] = "x86-64-v3",
    [PYNN_LEVEL_X86_V4] = "x86-64-v4",
};

/* The level that PYNN_INSTRUCTION_SET names, if the processor has it; otherwise the highest level. */
static pynn_level choose_level(void) {
    pynn_level best = find_level();
#if defined(PYNN_HAVE_LEVELS)
    const char *wish = getenv("PYNN_INSTRUCTION_SET");
    for (pynn_level level = PYNN_LEVEL_BASE; wish != NULL && level < best; level++) {
        if (strcmp(wish, names[level]) == 0) return level;
    }
#endif
    return best;
}

/* `found` is the only variable of the library that outlives a call. It holds a fact about the process: two
 * threads that both find it unset store the same value. */
pynn_level pynn_level_in_use(void) {
    static atomic_int found = -1;
    int level = atomic_load_explicit(&found, memory_order_relaxed);
    if (level < 0) {
        level = (int)choose_level();
        atomic_store_explicit(&found, level, memory_order_relaxed);
    }
    return (pynn_level)level;
}

const char *pynn_instruction_set(void) {
    return names[pynn_level_in_use()];
}
