/* idx.c: the IDX parser. A file is
 *
 *     zeros       2 bytes, both 0
 *     type        1 byte, the type of an element
 *     ndim        1 byte, the number of dimensions
 *     dimensions  ndim * 4 bytes, unsigned, outermost first
 *     payload     the elements, row-major
 *
 * All numbers are big-endian. Nothing here depends on the byte order of the machine. */
#include <string.h>

#include "base/base.h"

enum { MAGIC_NBYTES = 4, DIMENSION_NBYTES = 4 };

/* Read big-endian numbers. Only these functions know the byte order of the format. */
static uint16_t load_be16(const uint8_t *p) {
    return (uint16_t)((uint16_t)(p[0] << 8) | p[1]);
}

static uint32_t load_be32(const uint8_t *p) {
    return (uint32_t)load_be16(p) << 16 | load_be16(p + 2);
}

static uint64_t load_be64(const uint8_t *p) {
    return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

/* The size of an element with this type byte, or 0 if there is no such type. */
static size_t item_nbytes(uint8_t type) {
    switch (type) {
    case PYNN_IDX_UINT8:
    case PYNN_IDX_INT8: return 1;
    case PYNN_IDX_INT16: return 2;
    case PYNN_IDX_INT32:
    case PYNN_IDX_FLOAT32: return 4;
    case PYNN_IDX_FLOAT64: return 8;
    default: return 0;
    }
}

/* Compute the number of elements and their bytes. Returns false if one of them does not fit size_t. A
 * dimension of zero makes both of them zero, however large the others are. So zeros are looked for first,
 * and the result does not depend on the order of the dimensions. */
static bool payload_size(const pynn_idx *idx, size_t *item_count, size_t *nbytes) {
    size_t count = 1;
    for (size_t i = 0; i < idx->ndim; i++) {
        if (idx->dims[i] == 0) {
            *item_count = *nbytes = 0;
            return true;
        }
    }
    for (size_t i = 0; i < idx->ndim; i++) {
        if (!pynn_multiply(count, idx->dims[i], &count)) return false;
    }
    *item_count = count;
    return pynn_multiply(count, idx->item_nbytes, nbytes);
}

pynn_status pynn_idx_parse(const uint8_t *data, size_t nbytes, pynn_idx *out) {
    pynn_idx idx = {0};

    if ((data == NULL && nbytes > 0) || out == NULL) return PYNN_INVALID_ARGUMENT;
    if (nbytes < MAGIC_NBYTES) return PYNN_IDX_SHORT_HEADER;

    /* zeros */
    if (data[0] != 0 || data[1] != 0) return PYNN_IDX_BAD_MAGIC;

    /* type */
    idx.type = (pynn_idx_type)data[2];
    idx.item_nbytes = item_nbytes(data[2]);
    if (idx.item_nbytes == 0) return PYNN_IDX_UNKNOWN_TYPE;

    /* ndim: every value is legal, but there must be bytes for so many dimensions */
    idx.ndim = data[3];
    idx.payload_offset = MAGIC_NBYTES + DIMENSION_NBYTES * idx.ndim;
    if (nbytes < idx.payload_offset) return PYNN_IDX_SHORT_HEADER;

    /* dimensions */
    for (size_t i = 0; i < idx.ndim; i++) {
        idx.dims[i] = load_be32(data + MAGIC_NBYTES + DIMENSION_NBYTES * i);
    }
    size_t expected_nbytes;
    if (!payload_size(&idx, &idx.item_count, &expected_nbytes)) return PYNN_IDX_OVERFLOW;

    /* payload: the header is valid, so the caller gets it even if the payload has the wrong length */
    *out = idx;
    const size_t payload_nbytes = nbytes - idx.payload_offset;
    if (payload_nbytes < expected_nbytes) return PYNN_IDX_TRUNCATED;
    if (payload_nbytes > expected_nbytes) return PYNN_IDX_TRAILING_BYTES;
    return PYNN_OK;
}

/* Elements are stored with memcpy(), which compilers turn into one store: only their bits matter, not their
 * type. */
void pynn_idx_decode(const uint8_t *data, const pynn_idx *idx, void *out) {
    const uint8_t *in = data + idx->payload_offset;
    uint8_t *to = out;

    switch (idx->item_nbytes) {
    case 1: memcpy(to, in, idx->item_count); break;
    case 2:
        for (size_t i = 0; i < idx->item_count; i++) {
            const uint16_t bits = load_be16(in + 2 * i);
            memcpy(to + 2 * i, &bits, 2);
        }
        break;
    case 4:
        for (size_t i = 0; i < idx->item_count; i++) {
            const uint32_t bits = load_be32(in + 4 * i);
            memcpy(to + 4 * i, &bits, 4);
        }
        break;
    case 8:
        for (size_t i = 0; i < idx->item_count; i++) {
            const uint64_t bits = load_be64(in + 8 * i);
            memcpy(to + 8 * i, &bits, 8);
        }
        break;
    }
}
