/* test_instruction_set.c: the level in use is the processor's best, or the one that the environment asks
 * for. Whoever runs the test may say in PYNN_EXPECT_INSTRUCTION_SET which level to expect. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "base/vector.h"
#include "check.h"
#include "pynn.h"

#if defined(PYNN_HAVE_LEVELS)
#include <cpuid.h>

static const char *const levels[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};

/* A bit of ECX, by its number in Intel's manual (volume 2, "CPUID"), for features that the compiler's
 * builtin does not know. */
static bool has_bit(unsigned leaf, unsigned bit) {
    unsigned a, b, c, d;
    return __get_cpuid(leaf, &a, &b, &c, &d) && (c >> bit & 1);
}

/* The best level by the compiler's builtin, which also knows whether the operating system saves the AVX
 * registers. */
static size_t find_best(void) {
    bool has_cx16 = has_bit(1, 13), has_movbe = has_bit(1, 22), has_f16c = has_bit(1, 29);
    bool has_lzcnt = has_bit(0x80000001, 5);
    if (!__builtin_cpu_supports("sse3") || !__builtin_cpu_supports("ssse3") ||
        !__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("sse4.2") ||
        !__builtin_cpu_supports("popcnt") || !has_cx16)
        return 0;
    if (!__builtin_cpu_supports("avx") || !__builtin_cpu_supports("avx2") ||
        !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2") || !has_movbe || !has_f16c || !has_lzcnt)
        return 1;
    bool has_512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl");
    return has_512 ? 3 : 2;
}

/* The level is the best one, or the one that is asked for if the processor has it. Zig has a builtin that
 * knows nothing, not even SSE2, which all have. Then PYNN_EXPECT_INSTRUCTION_SET must say what to expect.
 */
static void test_level(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse2")) {
        CHECK(getenv("PYNN_EXPECT_INSTRUCTION_SET") != NULL);
        return;
    }
    size_t best = find_best(), expected = best;
    const char *wish = getenv("PYNN_INSTRUCTION_SET");
    for (size_t level = 0; wish != NULL && level < best; level++) {
        if (strcmp(wish, levels[level]) == 0) expected = level;
    }
    CHECK_STR(pynn_instruction_set(), levels[expected]);
    CHECK_EQ(pynn_level_in_use(), expected);
}
#else
static void test_level(void) {
    CHECK_EQ(pynn_level_in_use(), PYNN_LEVEL_BASE);
}
#endif

/* The level is the one that PYNN_EXPECT_INSTRUCTION_SET names. */
static void test_expected(void) {
    const char *expected = getenv("PYNN_EXPECT_INSTRUCTION_SET");
    if (expected != NULL) CHECK_STR(pynn_instruction_set(), expected);
}

/* The environment is read once. */
static void test_stays(void) {
    const char *before = pynn_instruction_set();
#if defined(_WIN32)
    _putenv_s("PYNN_INSTRUCTION_SET", "x86-64");
#else
    setenv("PYNN_INSTRUCTION_SET", "x86-64", 1);
#endif
    CHECK(pynn_instruction_set() == before);
}

enum { THREADS = 8 };

static atomic_bool go;

/* A thread: it waits until all are there, then asks for the level. `context` is where it stores its answer.
 */
static void *ask(void *context) {
    const char **answer = context;
    while (!atomic_load(&go)) continue;
    *answer = pynn_instruction_set();
    return NULL;
}

/* Threads that are the first to ask, all at once, get the same level; ThreadSanitizer watches them. So this
 * must come before any other call of the library. */
static void test_first_use_by_many(void) {
    static pynn_thread threads[THREADS];
    const char *answers[THREADS] = {0};
    size_t started = 0;
    while (started < THREADS && pynn_thread_start(&threads[started], ask, &answers[started])) started++;
    CHECK_EQ(started, THREADS);
    atomic_store(&go, true);
    for (size_t t = 0; t < started; t++) {
        pynn_thread_join(&threads[t]);
        CHECK(answers[t] == pynn_instruction_set());
    }
}

/* With --print this prints the level, for scripts/check. */
int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        puts(pynn_instruction_set());
        return 0;
    }
    test_first_use_by_many();
    test_level();
    test_expected();
    test_stays();
    return check_failures();
}
