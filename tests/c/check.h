/* check.h: the macros and functions that the C tests check with.
 *
 * A test is a program whose exit status says whether anything failed:
 *
 *     int main(void)
 *     {
 *         CHECK(answer() > 0);
 *         CHECK_EQ(answer(), 42);
 *         return check_failures();
 *     }
 *
 * A failed check prints its place, its text and the values. The test then goes on, so one run shows
 * everything that is wrong. Every macro is true if its check holds, so that a test can leave a loop
 * early. */
#ifndef PYNN_CHECK_H
#define PYNN_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static int check_count;
static int check_failed;

/* The condition holds. */
#define CHECK(condition) check_true(__FILE__, __LINE__, #condition, (condition))

/* Integers (also sizes, enums, statuses) are equal. */
#define CHECK_EQ(actual, expected)                                                                         \
    check_equal(__FILE__, __LINE__, #actual " == " #expected, (long long)(actual), (long long)(expected))

/* |actual - expected| <= tolerance. This is false if one of them is NaN. */
#define CHECK_NEAR(actual, expected, tolerance)                                                            \
    check_near(__FILE__, __LINE__, #actual " ~ " #expected, (double)(actual), (double)(expected),          \
               (double)(tolerance))

/* Strings are equal. */
#define CHECK_STR(actual, expected)                                                                        \
    check_string(__FILE__, __LINE__, #actual " == " #expected, (actual), (expected))

/* The first nbytes bytes are equal. */
#define CHECK_BYTES(actual, expected, nbytes)                                                              \
    check_bytes(__FILE__, __LINE__, #actual " == " #expected, (actual), (expected), (nbytes))

static inline bool check_record(bool holds, const char *file, int line, const char *text) {
    check_count++;
    if (!holds) {
        check_failed++;
        printf("%s:%d: failed: %s\n", file, line, text);
    }
    return holds;
}

static inline bool check_true(const char *file, int line, const char *text, bool condition) {
    return check_record(condition, file, line, text);
}

static inline bool check_equal(const char *file, int line, const char *text, long long actual,
                               long long expected) {
    const bool holds = check_record(actual == expected, file, line, text);
    if (!holds) {
        printf("    got %lld (0x%llx), expected %lld (0x%llx)\n", actual, (unsigned long long)actual,
               expected, (unsigned long long)expected);
    }
    return holds;
}

static inline bool check_near(const char *file, int line, const char *text, double actual, double expected,
                              double tolerance) {
    const bool holds = check_record(fabs(actual - expected) <= tolerance, file, line, text);
    if (!holds) {
        printf("    got %.9g, expected %.9g within %.3g\n", actual, expected, tolerance);
    }
    return holds;
}

static inline bool check_string(const char *file, int line, const char *text, const char *actual,
                                const char *expected) {
    const bool holds = check_record(strcmp(actual, expected) == 0, file, line, text);
    if (!holds) {
        printf("    got \"%s\", expected \"%s\"\n", actual, expected);
    }
    return holds;
}

static inline bool check_bytes(const char *file, int line, const char *text, const void *actual,
                               const void *expected, size_t nbytes) {
    const bool holds = check_record(nbytes == 0 || memcmp(actual, expected, nbytes) == 0, file, line, text);
    if (!holds) {
        const unsigned char *a = actual;
        const unsigned char *e = expected;
        size_t i = 0;
        while (a[i] == e[i]) {
            i++;
        }
        printf("    first difference at byte %zu: got 0x%02x, expected 0x%02x\n", i, a[i], e[i]);
    }
    return holds;
}

/* Print how many checks were made and how many failed. Returns what main() should return: the number of
 * failures, but at most 76, because an exit status has eight bits and meson takes 77 for "skipped". A test
 * that has checked nothing fails. */
static inline int check_failures(void) {
    printf("%d of %d checks failed\n", check_failed, check_count);
    if (check_count == 0) {
        return 1;
    }
    return check_failed < 77 ? check_failed : 76;
}

#endif
