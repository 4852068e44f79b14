/* test_status.c: each status has a message, and the library reports its version and its BLAS. */
#include "check.h"
#include "pynn.h"

static const char unknown[] = "unknown status";

static const pynn_status known[] = {
    PYNN_OK,
    PYNN_OUT_OF_MEMORY,
    PYNN_INVALID_ARGUMENT,
    PYNN_SIZE_OVERFLOW,
    PYNN_ROW_OUT_OF_RANGE,
    PYNN_LABEL_OUT_OF_RANGE,
    PYNN_WORKSPACE_MISMATCH,
    PYNN_NOT_FITTED,
    PYNN_NO_DENSE_LAYER,
    PYNN_UNKNOWN_LAYER,
    PYNN_NOT_FINITE,
    PYNN_IDX_SHORT_HEADER,
    PYNN_IDX_BAD_MAGIC,
    PYNN_IDX_UNKNOWN_TYPE,
    PYNN_IDX_OVERFLOW,
    PYNN_IDX_TRUNCATED,
    PYNN_IDX_TRAILING_BYTES,
};

/* A message is a part of a sentence: not empty, different from all other messages, without a full stop. */
static void test_messages(void) {
    for (size_t s = 0; s < COUNT_OF(known); s++) {
        const char *message = pynn_status_message(known[s]);
        if (!CHECK(message != NULL && strlen(message) > 0)) continue;
        CHECK(message[strlen(message) - 1] != '.');
        CHECK(strcmp(message, unknown) != 0);
        for (size_t other = 0; other < s; other++) {
            CHECK(strcmp(message, pynn_status_message(known[other])) != 0);
        }
    }
    CHECK_STR(pynn_status_message(PYNN_OUT_OF_MEMORY), "out of memory"); /* as the header says */
}

/* Numbers between and beyond the statuses. */
static void test_no_status(void) {
    static const int values[] = {2, 9, 19, 29, 39, 99, 1000};
    for (size_t v = 0; v < COUNT_OF(values); v++) {
        CHECK_STR(pynn_status_message((pynn_status)values[v]), unknown);
    }
}

static void test_version(void) {
    CHECK_STR(pynn_version(), EXPECTED_VERSION);
    CHECK(strlen(pynn_version()) >= 5);
}

int main(void) {
    test_messages();
    test_no_status();
    test_version();
    return check_failures();
}
