/* test_workspace.c: the buffers of a workspace, and the sizes that are refused. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

typedef struct span {
    void *begin;
    size_t nbytes;
} span;

/* All buffers of a workspace are aligned, inside the arena, and do not overlap. */
static void check_apart(const span *spans, size_t count, const pynn_workspace *workspace) {
    const uintptr_t arena = (uintptr_t)workspace->arena;
    for (size_t a = 0; a < count; a++) {
        const uintptr_t begin = (uintptr_t)spans[a].begin;
        const uintptr_t end = begin + spans[a].nbytes;
        CHECK_EQ(begin % 64, 0);
        CHECK(begin >= arena && end - arena <= workspace->nbytes);
        for (size_t b = a + 1; b < count; b++) {
            const uintptr_t other = (uintptr_t)spans[b].begin;
            CHECK(end <= other || other + spans[b].nbytes <= begin);
        }
    }
}

/* There is room for a batch as floats or, in the same memory, as entries; for its sparse rows and columns;
 * and for the numbers that go with the rows. Every layer has room for its outputs and, from the first dense
 * layer on, for their gradient; a layer that works in place shares both with the layer below. All of it is
 * written here, so that AddressSanitizer sees a buffer that is too short. */
static void test_buffers(size_t max_batch) {
    static const pynn_layer layers[] = {RELU, RELU, HE(5), RELU, RELU, HE(3), RELU};
    pynn_network *network = create_network(7, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace;
    workspace = create_workspace(network, NULL, max_batch);
    span spans[9 + 2 * COUNT_OF(layers)] = {
        {workspace->sparse.entries, max_batch * 7 * sizeof(pynn_entry)},
        {workspace->sparse.rows, max_batch * PYNN_MAX_COLUMN_BLOCKS * sizeof(pynn_sparse_vector)},
        {workspace->sparse.column_entries, 7 * PYNN_COLUMN_CAPACITY * sizeof(pynn_entry)},
        {workspace->sparse.columns, 7 * sizeof(pynn_sparse_vector)},
        {workspace->sparse.packed_dy,
         max_batch * network->layers[0].outputs * sizeof *workspace->sparse.packed_dy},
        {workspace->labels, max_batch * sizeof *workspace->labels},
        {workspace->weights, max_batch * sizeof *workspace->weights},
        {workspace->parts, max_batch * sizeof(pynn_sums)},
        {workspace->squares, pynn_update_tasks(network) * sizeof *workspace->squares},
    };
    size_t count = 9, nbytes = 0;
    CHECK(workspace->inputs == (float *)workspace->sparse.entries);
    CHECK((int)PYNN_COLUMN_CAPACITY >= (int)PYNN_MAX_TRANSPOSED_ROWS);
    for (size_t l = 0; l < COUNT_OF(layers); l++) {
        const pynn_layer_buffers *buffers = &workspace->layers[l];
        const size_t size = max_batch * network->layers[l].outputs * sizeof(float);
        if (l > 0 && buffers->outputs == buffers[-1].outputs) {
            CHECK(buffers->deltas == buffers[-1].deltas);
            continue;
        }
        spans[count++] = (span){buffers->outputs, size};
        if (!CHECK_EQ(buffers->deltas != NULL, l >= 2) || l < 2) continue;
        spans[count++] = (span){buffers->deltas, size};
    }
    CHECK_EQ(count, 9 + 2 + 2 * 3);
    check_apart(spans, count, workspace);
    for (size_t s = 0; s < count; s++) {
        memset(spans[s].begin, 0xFF, spans[s].nbytes);
        nbytes += spans[s].nbytes;
    }
    CHECK(pynn_workspace_nbytes(workspace) >= nbytes);
    destroy(workspace, network);
}

/* A layer that may work in place does so, unless the layer before it needs its own outputs for backward: it
 * does after a dense layer and GELU, but not after ReLU, and not on the batch. Dropout does not work in
 * place, and neither does a layer whose backward needs its inputs. */
static void test_in_place(void) {
    static const pynn_layer layers[] = {
        RELU,  TANH,          HE(5), RELU,  TANH, GELU, SIGMOID, HE(2), LEAKY_RELU(0.5f),
        HE(2), DROPOUT(0.5f), RELU,  HE(2), GELU};
    static const bool in_place[] = {false, false, false, true,  false, false, true,
                                    false, true,  false, false, true,  false, false};
    pynn_network *network = create_network(3, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
    pynn_workspace *workspace = create_workspace(network, NULL, 4);
    for (size_t l = 1; l < COUNT_OF(layers); l++)
        CHECK_EQ(workspace->layers[l].outputs == workspace->layers[l - 1].outputs, in_place[l]);
    destroy(workspace, network);
}

/* Of every kind, whether a ReLU behind it may overwrite its outputs. */
static void test_overwritten_outputs(void) {
    static const struct {
        pynn_layer layer;
        bool overwritten;
    } kinds[] = {
        {HE(5), true},
        {RELU, false},
        {SIGMOID, false},
        {TANH, false},
        {LEAKY_RELU(0.5f), false},
        {ELU(0.5f), false},
        {SOFTPLUS, false},
        {GELU, true},
        {SILU, true},
        {LAYER_NORM(1e-5f), true},
        {DROPOUT(0.5f), true},
    };
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        const pynn_layer layers[] = {HE(5), kinds[k].layer, RELU, HE(2)};
        pynn_network *network = create_network(3, layers, COUNT_OF(layers), SOFTMAX_CROSS_ENTROPY);
        pynn_workspace *workspace = create_workspace(network, NULL, 4);
        if (!CHECK_EQ(workspace->layers[2].outputs == workspace->layers[1].outputs, kinds[k].overwritten))
            printf("    of kind %d\n", (int)kinds[k].layer.kind);
        destroy(workspace, network);
    }
}

static void refuses(const pynn_network *network, size_t max_batch, pynn_status expected) {
    pynn_workspace *workspace = (pynn_workspace *)&workspace;
    CHECK_EQ(pynn_workspace_create(NULL, network, NULL, max_batch, &workspace), expected);
    CHECK(workspace == NULL);
    pynn_workspace_destroy(workspace);
}

static void test_refusals(void) {
    const pynn_layer dense = HE(2);
    pynn_network *network = create_network(3, &dense, 1, SOFTMAX_CROSS_ENTROPY);
    refuses(NULL, 1, PYNN_INVALID_ARGUMENT);
    refuses(network, 0, PYNN_INVALID_ARGUMENT);
    refuses(network, (size_t)INT_MAX + 1, PYNN_SIZE_OVERFLOW);
    refuses(network, SIZE_MAX, PYNN_SIZE_OVERFLOW);
    CHECK_EQ(pynn_workspace_create(NULL, network, NULL, 1, NULL), PYNN_INVALID_ARGUMENT);
    pynn_network_destroy(network);
}

static void *refuse_memory(void *context, size_t nbytes) {
    size_t *largest = context;
    if (nbytes <= 4096) return malloc(nbytes);
    if (nbytes > *largest) *largest = nbytes;
    return NULL;
}

/* On 64 bits. For a dense layer (2^31 - 3, 2^31 - 1) a row of the batch needs an entry of 8 bytes for each
 * input and three floats for each output: 5 * 2^33 bytes and a little more. Memory that does not depend on
 * the batch is less than 2^52 bytes, most of it for the 2^48 tasks of an update. So 2^31 / 5 rows do not
 * fit 2^64 bytes, and 2^17 rows fewer do. Four more buffers of (2^31 - 1)^2 floats: the number of floats
 * itself passes 2^64. */
static void test_size_overflow(void) {
    if (sizeof(size_t) != 8) return;
    const pynn_layer wide = HE(INT_MAX);
    const pynn_layer five[] = {RELU, RELU, HE(1), HE(INT_MAX)};
    const size_t fits = ((size_t)1 << 31) / 5 - (1 << 17);
    size_t largest = 0;
    const pynn_allocator allocator = {refuse_memory, plain_release, &largest};
    pynn_workspace *workspace;
    pynn_network *network = create_network(INT_MAX - 2, &wide, 1, SOFTMAX_CROSS_ENTROPY);
    CHECK_EQ(pynn_workspace_create(&allocator, network, NULL, fits + (1 << 17), &workspace),
             PYNN_SIZE_OVERFLOW);
    CHECK_EQ(largest, 0);
    CHECK_EQ(pynn_workspace_create(&allocator, network, NULL, fits, &workspace), PYNN_OUT_OF_MEMORY);
    CHECK(workspace == NULL);
    CHECK(largest > SIZE_MAX - SIZE_MAX / 1000);
    pynn_network_destroy(network);

    network = create_network(INT_MAX, five, COUNT_OF(five), SOFTMAX_CROSS_ENTROPY);
    refuses(network, INT_MAX, PYNN_SIZE_OVERFLOW);
    pynn_network_destroy(network);

    /* 2^30 + 1 inputs and 2 (2^30 - 1) rows: their entries take 2^64 - 16 bytes, whole lines of 64 more. */
    const pynn_layer narrow = HE(1);
    network = create_network(((size_t)1 << 30) + 1, &narrow, 1, SOFTMAX_CROSS_ENTROPY);
    refuses(network, ((size_t)1 << 31) - 2, PYNN_SIZE_OVERFLOW);
    pynn_network_destroy(network);
}

int main(void) {
    test_buffers(1);
    test_buffers(13);
    test_buffers(100);
    test_in_place();
    test_overwritten_outputs();
    test_refusals();
    test_size_overflow();
    return check_failures();
}
