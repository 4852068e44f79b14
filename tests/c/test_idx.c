/* test_idx.c: the IDX parser reads valid files and refuses every kind of damage; its decoder gives the
 * values. */
#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "pynn.h"

/* Parse a copy that ends where its allocation ends, so that a sanitizer sees a read past the end. */
static pynn_status parse(const uint8_t *data, size_t nbytes, pynn_idx *idx) {
    uint8_t *copy = malloc(nbytes ? nbytes : 1);
    if (!CHECK(copy != NULL)) return PYNN_OUT_OF_MEMORY;
    memcpy(copy, data, nbytes);
    const pynn_status status = pynn_idx_parse(nbytes ? copy : NULL, nbytes, idx);
    free(copy);
    return status;
}

/* The parser returns this status and leaves *out as it was. */
static void refuses(const uint8_t *data, size_t nbytes, pynn_status expected) {
    pynn_idx idx, before;
    memset(&idx, 0xA5, sizeof idx);
    memcpy(&before, &idx, sizeof idx);
    CHECK_EQ(parse(data, nbytes, &idx), expected);
    CHECK_BYTES(&idx, &before, sizeof idx);
}

/* The header of MNIST's test images. The file has 16 + 10000 * 28 * 28 = 7840016 bytes. */
static void test_worked_example(void) {
    static const uint8_t header[16] = {
        0, 0, 0x08, 3,    /* uint8, three dimensions */
        0, 0, 0x27, 0x10, /* 0x2710 = 10000 */
        0, 0, 0,    28,   /* rows */
        0, 0, 0,    28,   /* columns */
    };
    const size_t nbytes = 7840016;
    uint8_t *file = calloc(nbytes, 1);
    pynn_idx idx;
    if (!CHECK(file != NULL)) return;
    memcpy(file, header, sizeof header);
    CHECK_EQ(pynn_idx_parse(file, nbytes, &idx), PYNN_OK);
    CHECK_EQ(idx.type, PYNN_IDX_UINT8);
    CHECK_EQ(idx.item_nbytes, 1);
    CHECK_EQ(idx.item_count, 7840000);
    CHECK_EQ(idx.payload_offset, 16);
    CHECK_EQ(idx.ndim, 3);
    CHECK_EQ(idx.dims[0], 10000);
    CHECK_EQ(idx.dims[1], 28);
    CHECK_EQ(idx.dims[2], 28);
    free(file);
}

/* Every value of the type byte: the six types have the right element size, all other values are refused. */
static void test_type(void) {
    static const struct {
        uint8_t type;
        size_t nbytes;
    } known[] = {{0x08, 1}, {0x09, 1}, {0x0B, 2}, {0x0C, 4}, {0x0D, 4}, {0x0E, 8}};
    for (unsigned type = 0; type < 256; type++) {
        uint8_t file[8 + 2 * 8] = {0, 0, (uint8_t)type, 1, 0, 0, 0, 2};
        size_t nbytes = 0;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            if (known[k].type == type) nbytes = known[k].nbytes;
        }
        if (nbytes == 0) {
            refuses(file, sizeof file, PYNN_IDX_UNKNOWN_TYPE);
            continue;
        }
        pynn_idx idx;
        CHECK_EQ(parse(file, 8 + 2 * nbytes, &idx), PYNN_OK);
        CHECK_EQ(idx.type, type);
        CHECK_EQ(idx.item_nbytes, nbytes);
        CHECK_EQ(idx.item_count, 2);
    }
}

/* A scalar (no dimensions, one element), and every number of dimensions that the byte can hold. */
static void test_ndim(void) {
    for (size_t ndim = 0; ndim <= PYNN_IDX_MAX_DIMS; ndim++) {
        uint8_t file[4 + 4 * 255 + 2] = {0, 0, 0x0B, (uint8_t)ndim};
        pynn_idx idx;
        for (size_t i = 0; i < ndim; i++) file[4 + 4 * i + 3] = 1;
        CHECK_EQ(parse(file, 4 + 4 * ndim + 2, &idx), PYNN_OK);
        CHECK_EQ(idx.ndim, ndim);
        CHECK_EQ(idx.item_count, 1);
        CHECK_EQ(idx.payload_offset, 4 + 4 * ndim);
        for (size_t i = 0; i < ndim; i++) CHECK_EQ(idx.dims[i], 1);
        refuses(file, 4 + 4 * ndim - 1, PYNN_IDX_SHORT_HEADER);
    }
}

/* A small file is cut at every byte, and made one byte longer: 8 + 4 * 2 header bytes, 2 * 3 * 4 of
 * payload. */
static void test_length(void) {
    const uint8_t file[12 + 24 + 1] = {0, 0, 0x0C, 2, 0, 0, 0, 2, 0, 0, 0, 3};
    for (size_t nbytes = 0; nbytes < 12; nbytes++) refuses(file, nbytes, PYNN_IDX_SHORT_HEADER);
    for (size_t nbytes = 12; nbytes <= sizeof file; nbytes++) {
        pynn_idx idx;
        const pynn_status expected = nbytes < 36    ? PYNN_IDX_TRUNCATED
                                     : nbytes == 36 ? PYNN_OK
                                                    : PYNN_IDX_TRAILING_BYTES;
        memset(&idx, 0xA5, sizeof idx);
        CHECK_EQ(parse(file, nbytes, &idx), expected);
        /* The header is reported, whatever follows it. */
        CHECK_EQ(idx.type, PYNN_IDX_INT32);
        CHECK_EQ(idx.item_count, 6);
        CHECK_EQ(idx.payload_offset, 12);
        CHECK_EQ(idx.ndim, 2);
        CHECK_EQ(idx.dims[0], 2);
        CHECK_EQ(idx.dims[1], 3);
    }
}

/* The first defect is the one reported. */
static void test_wrong_fields(void) {
    refuses((const uint8_t[]){1, 0, 0x08, 0, 7}, 5, PYNN_IDX_BAD_MAGIC);
    refuses((const uint8_t[]){0, 1, 0x08, 0, 7}, 5, PYNN_IDX_BAD_MAGIC);
    refuses((const uint8_t[]){0x80, 0, 0x08, 0, 7}, 5, PYNN_IDX_BAD_MAGIC);
    refuses((const uint8_t[]){1, 0, 0x08}, 3,
            PYNN_IDX_SHORT_HEADER); /* too short is reported before the magic */
    refuses((const uint8_t[]){1, 0, 0x07, 9}, 4, PYNN_IDX_BAD_MAGIC); /* the magic before the type */
    refuses((const uint8_t[]){0, 0, 0x07, 9}, 4,
            PYNN_IDX_UNKNOWN_TYPE); /* the type before the dimensions */
    refuses((const uint8_t[]){0, 0, 0x08, 9}, 4, PYNN_IDX_SHORT_HEADER);

    pynn_idx idx;
    CHECK_EQ(pynn_idx_parse(NULL, 0, &idx), PYNN_IDX_SHORT_HEADER);
    CHECK_EQ(pynn_idx_parse(NULL, 1, &idx), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_idx_parse((const uint8_t[]){0, 0, 8, 0, 7}, 5, NULL), PYNN_INVALID_ARGUMENT);
}

static const uint32_t MANY = 0xFFFFFFFF;

/* Write the header of an array of `ndim` dimensions; returns its length. */
static size_t write_header(uint8_t *file, uint8_t type, size_t ndim, const uint32_t *dims) {
    memset(file, 0, 4);
    file[2] = type;
    file[3] = (uint8_t)ndim;
    for (size_t i = 0; i < ndim; i++) {
        for (size_t b = 0; b < 4; b++) file[4 + 4 * i + b] = (uint8_t)(dims[i] >> (24 - 8 * b));
    }
    return 4 + 4 * ndim;
}

/* Headers that claim more bytes than there are, and more than there can be. */
static void test_huge_claims(void) {
    uint8_t file[4 + 4 * 255];
    uint32_t dims[255];
    pynn_idx idx;

    /* 2^60 bytes, and the two largest dimensions: the sizes fit 64 bits, but the bytes are not there. */
    const pynn_status large = SIZE_MAX > 0xFFFFFFFF ? PYNN_IDX_TRUNCATED : PYNN_IDX_OVERFLOW;
    size_t nbytes = write_header(file, 0x08, 2, (const uint32_t[]){1u << 30, 1u << 30});
    CHECK_EQ(parse(file, nbytes, &idx), large);
    nbytes = write_header(file, 0x08, 2, (const uint32_t[]){MANY, MANY});
    CHECK_EQ(parse(file, nbytes, &idx), large);

    /* The number of elements fits size_t, the number of their bytes does not. */
    nbytes = write_header(file, 0x0E, 2, (const uint32_t[]){MANY, MANY});
    refuses(file, nbytes, PYNN_IDX_OVERFLOW);

    /* (2^31 * 2)^2 = 2^64, which unchecked arithmetic in 64 bits would take for 0. */
    nbytes = write_header(file, 0x08, 5, (const uint32_t[]){1u << 31, 2, 1u << 31, 2, 1});
    refuses(file, nbytes, PYNN_IDX_OVERFLOW);
    for (size_t i = 0; i < 255; i++) dims[i] = MANY;
    nbytes = write_header(file, 0x08, 255, dims);
    refuses(file, nbytes, PYNN_IDX_OVERFLOW);
}

/* A dimension of zero means no elements, at any place and however large the other dimensions are. */
static void test_zero_dimensions(void) {
    for (size_t zero = 0; zero < 4; zero++) {
        uint8_t file[4 + 4 * 4 + 1] = {0};
        uint32_t dims[4] = {MANY, MANY, MANY, MANY};
        pynn_idx idx;
        dims[zero] = 0;
        const size_t nbytes = write_header(file, 0x0E, 4, dims);
        CHECK_EQ(parse(file, nbytes, &idx), PYNN_OK);
        CHECK_EQ(idx.item_count, 0);
        CHECK_EQ(idx.dims[zero], 0);
        CHECK_EQ(idx.dims[(zero + 1) % 4], MANY);
        CHECK_EQ(parse(file, nbytes + 1, &idx), PYNN_IDX_TRAILING_BYTES);
        pynn_idx_decode(file, &idx, dims);
        CHECK_EQ(dims[zero], 0); /* nothing was written */
    }
}

/* Parse, then decode into an allocation of the exact size and compare with what is expected. */
static void decodes(const uint8_t *file, size_t nbytes, const void *expected, size_t expected_nbytes) {
    pynn_idx idx;
    if (!CHECK_EQ(parse(file, nbytes, &idx), PYNN_OK)) return;
    if (!CHECK_EQ(idx.item_count * idx.item_nbytes, expected_nbytes)) return;
    void *out = malloc(expected_nbytes);
    if (!CHECK(out != NULL)) return;
    pynn_idx_decode(file, &idx, out);
    CHECK_BYTES(out, expected, expected_nbytes);
    free(out);
}

static void test_decode(void) {
    decodes((const uint8_t[]){0, 0, 0x08, 1, 0, 0, 0, 3, 0, 128, 255}, 11, (const uint8_t[]){0, 128, 255},
            3);
    decodes((const uint8_t[]){0, 0, 0x09, 1, 0, 0, 0, 3, 127, 128, 255}, 11,
            (const int8_t[]){127, -128, -1}, 3);
    decodes((const uint8_t[]){0, 0, 0x0B, 1, 0, 0, 0, 3, 0x01, 0x02, 0x80, 0x00, 0xFF, 0xFE}, 14,
            (const int16_t[]){258, INT16_MIN, -2}, 6);
    decodes((const uint8_t[]){0, 0, 0x0C, 1, 0, 0, 0, 2, 0x01, 0x02, 0x03, 0x04, 0x80, 0, 0, 0}, 16,
            (const int32_t[]){16909060, INT32_MIN}, 8);
    /* 1.5 = 1.1b * 2^0: exponent 127, top bit of the fraction. -2.75 = -1.011b * 2^1: exponent 128. */
    decodes((const uint8_t[]){0, 0, 0x0D, 1, 0, 0, 0, 2, 0x3F, 0xC0, 0, 0, 0xC0, 0x30, 0, 0}, 16,
            (const float[]){1.5f, -2.75f}, 8);
    /* pi as in IEEE 754: 0x400921FB54442D18. A scalar. */
    decodes((const uint8_t[]){0, 0, 0x0E, 0, 0x40, 0x09, 0x21, 0xFB, 0x54, 0x44, 0x2D, 0x18}, 12,
            (const double[]){3.141592653589793}, 8);
    /* A signalling NaN keeps its bits. */
    decodes((const uint8_t[]){0, 0, 0x0D, 0, 0x7F, 0x80, 0x00, 0x01}, 8, (const uint32_t[]){0x7F800001}, 4);
}

int main(void) {
    test_worked_example();
    test_type();
    test_ndim();
    test_length();
    test_wrong_fields();
    test_huge_claims();
    test_zero_dimensions();
    test_decode();
    return check_failures();
}
