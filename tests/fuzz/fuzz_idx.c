/* fuzz_idx.c: pynn_idx_parse() and pynn_idx_decode() on any bytes whatever.
 *
 * What they should do is worked out a second time here, another way: where idx.c multiplies and looks for
 * overflow, this divides. Each input is tried twice, beginning right after a page without access and
 * ending right before one, and so is what is decoded: one byte too far is a fault, with any compiler.
 * scripts/fuzz builds it for libFuzzer, meson with replay.c for the tests. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pynn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

/* The condition holds, or the fuzzer has found something; NDEBUG does not switch it off. */
#define REQUIRE(condition) ((condition) ? (void)0 : give_up(__LINE__, #condition))

static void give_up(int line, const char *text) {
    fprintf(stderr, "fuzz_idx.c:%d: failed: %s\n", line, text);
    abort();
}

/* ---------------------------------------------------------------- memory between guard pages */

typedef struct fence {
    uint8_t *begin; /* a page without access ends here */
    uint8_t *end;   /* another begins here */
} fence;

/* Have room for nbytes bytes, and at least a page. */
static void fence_reserve(fence *f, size_t nbytes) {
    if (f->begin != NULL && (size_t)(f->end - f->begin) >= nbytes) return;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inside = (nbytes / page + 1) * page;
    if (f->begin != NULL) munmap(f->begin - page, (size_t)(f->end - f->begin) + 2 * page);
    uint8_t *all = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(all != MAP_FAILED);
    REQUIRE(mprotect(all + page, inside, PROT_READ | PROT_WRITE) == 0);
    f->begin = all + page;
    f->end = f->begin + inside;
}

/* Where nbytes bytes lie that touch the guard page at one end. */
static uint8_t *fence_place(fence *f, size_t nbytes, bool at_end) {
    fence_reserve(f, nbytes);
    return at_end ? f->end - nbytes : f->begin;
}

/* ---------------------------------------------------------------- what is right */

/* The bytes of an element by the file's third byte, 0 where it stands for nothing. */
static size_t item_nbytes_of(uint8_t type) {
    static const uint8_t nbytes[16] = {[8] = 1, [9] = 1, [11] = 2, [12] = 4, [13] = 4, [14] = 8};
    return type < sizeof nbytes ? nbytes[type] : 0;
}

static size_t dimension(const uint8_t *file, size_t i) {
    size_t value = 0;
    for (size_t b = 0; b < 4; b++) value = value * 256 + file[4 + 4 * i + b];
    return value;
}

/* The status of a file; where its header is sound also the bytes of payload that this asks for.
 * floor(floor(a / b) / c) is floor(a / (b c)): what is left of SIZE_MAX after dividing it by all that
 * is to be multiplied is 0 just if the product is greater. */
static pynn_status expect(const uint8_t *file, size_t nbytes, size_t *payload_nbytes) {
    if (nbytes < 4) return PYNN_IDX_SHORT_HEADER;
    if (file[0] != 0 || file[1] != 0) return PYNN_IDX_BAD_MAGIC;
    size_t product = item_nbytes_of(file[2]);
    if (product == 0) return PYNN_IDX_UNKNOWN_TYPE;
    const size_t ndim = file[3];
    if ((nbytes - 4) / 4 < ndim) return PYNN_IDX_SHORT_HEADER;

    size_t left = SIZE_MAX / product;
    bool none = false;
    for (size_t i = 0; i < ndim; i++) {
        const size_t dim = dimension(file, i);
        if (dim == 0) {
            none = true;
        } else {
            left /= dim;
        }
        product *= dim;
    }
    if (!none && left == 0) return PYNN_IDX_OVERFLOW;
    *payload_nbytes = none ? 0 : product;
    const size_t found = nbytes - 4 - 4 * ndim;
    if (found < *payload_nbytes) return PYNN_IDX_TRUNCATED;
    return found > *payload_nbytes ? PYNN_IDX_TRAILING_BYTES : PYNN_OK;
}

/* What the parser says of a sound header is what stands there. */
static void check_header(const pynn_idx *idx, const uint8_t *file, size_t payload_nbytes) {
    REQUIRE(idx->type == (pynn_idx_type)file[2]);
    REQUIRE(idx->item_nbytes == item_nbytes_of(file[2]));
    REQUIRE(idx->ndim == file[3]);
    for (size_t i = 0; i < idx->ndim; i++) REQUIRE(idx->dims[i] == dimension(file, i));
    REQUIRE(idx->payload_offset == 4 + 4 * idx->ndim);
    REQUIRE(idx->item_count == payload_nbytes / idx->item_nbytes);
}

/* The decoder writes each element with its bytes in the machine's order, and not a byte beside them. */
static void check_decoder(const pynn_idx *idx, const uint8_t *file, bool at_end) {
    static fence fenced;
    const size_t item = idx->item_nbytes;
    const bool little = *(const uint8_t *)&(const uint16_t){1} == 1;
    const uint8_t *in = file + idx->payload_offset;
    uint8_t *out = fence_place(&fenced, idx->item_count * item, at_end);

    pynn_idx_decode(file, idx, out);
    for (size_t i = 0; i < idx->item_count; i++) {
        for (size_t b = 0; b < item; b++) {
            REQUIRE(out[item * i + b] == in[item * i + (little ? item - 1 - b : b)]);
        }
    }
}

/* ---------------------------------------------------------------- one input */

static void check(const uint8_t *file, size_t nbytes, bool at_end) {
    size_t payload_nbytes = 0;
    const pynn_status expected = expect(file, nbytes, &payload_nbytes);
    pynn_idx idx, before;
    memset(&before, 0xA5, sizeof before);
    memcpy(&idx, &before, sizeof idx);

    REQUIRE(pynn_idx_parse(file, nbytes, &idx) == expected);
    if (expected == PYNN_OK || expected == PYNN_IDX_TRAILING_BYTES) {
        check_header(&idx, file, payload_nbytes);
        check_decoder(&idx, file, at_end);
    } else if (expected == PYNN_IDX_TRUNCATED) {
        check_header(&idx, file, payload_nbytes);
    } else {
        REQUIRE(memcmp(&idx, &before, sizeof idx) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes) {
    static fence fenced;
    for (int at_end = 0; at_end < 2; at_end++) {
        uint8_t *file = fence_place(&fenced, nbytes, at_end);
        if (nbytes == 0 && !at_end) file = NULL; /* as it may be */
        if (nbytes > 0) memcpy(file, data, nbytes);
        check(file, nbytes, at_end);
        REQUIRE(nbytes == 0 || memcmp(file, data, nbytes) == 0); /* it is only read */
    }
    return 0;
}
