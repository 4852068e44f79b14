/* test_workspace.c: what a workspace holds, and the sizes it refuses. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "internal.h"

#define DENSE(outputs) {PYNN_DENSE, outputs, PYNN_INIT_HE}
#define RELU {PYNN_RELU, 0, PYNN_INIT_NONE}
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static pynn_network *create(size_t inputs, const pynn_layer *layers, size_t count) {
    pynn_network *network;
    CHECK_EQ(pynn_network_create(NULL, inputs, layers, count, PYNN_SOFTMAX_CROSS_ENTROPY, &network),
             PYNN_OK);
    return network;
}

typedef struct span {
    const float *begin;
    size_t count;
} span;

/* All floats of a workspace by buffer: aligned, within the arena, and apart from each other. */
static void check_apart(const span *spans, size_t count, const pynn_workspace *workspace) {
    const uintptr_t arena = (uintptr_t)workspace->arena;
    for (size_t a = 0; a < count; a++) {
        const uintptr_t begin = (uintptr_t)spans[a].begin;
        const uintptr_t end = (uintptr_t)(spans[a].begin + spans[a].count);
        CHECK_EQ(begin % 64, 0);
        CHECK(begin >= arena && end - arena <= workspace->nbytes);
        for (size_t b = a + 1; b < count; b++) {
            const uintptr_t other = (uintptr_t)spans[b].begin;
            CHECK(end <= other || other + spans[b].count * sizeof(float) <= begin);
        }
    }
}

/* Every layer has room for its outputs and, from the first dense one, for their gradient; a layer that
 * works in place shares both with the one below. All of it may be written (ASan sees to the ends). */
static void test_buffers(size_t max_batch) {
    static const pynn_layer layers[] = {RELU, RELU, DENSE(5), RELU, RELU, DENSE(3), RELU};
    pynn_network *network = create(7, layers, COUNT_OF(layers));
    pynn_workspace *workspace;
    if (!CHECK_EQ(pynn_workspace_create(NULL, network, NULL, max_batch, &workspace), PYNN_OK)) return;
    span spans[1 + 2 * COUNT_OF(layers)] = {{workspace->inputs, max_batch * 7}};
    size_t count = 1, floats = max_batch * 7;
    for (size_t l = 0; l < COUNT_OF(layers); l++) {
        const layer_buffers *buffers = &workspace->layers[l];
        const size_t size = max_batch * network->layers[l].outputs;
        if (network->layers[l].in_place) {
            CHECK(buffers->outputs == buffers[-1].outputs && buffers->deltas == buffers[-1].deltas);
            continue;
        }
        spans[count++] = (span){buffers->outputs, size};
        floats += size;
        if (!CHECK_EQ(buffers->deltas != NULL, l >= 2) || l < 2) continue;
        spans[count++] = (span){buffers->deltas, size};
        floats += size;
    }
    CHECK_EQ(count, 1 + 2 + 2 * 3);
    check_apart(spans, count, workspace);
    for (size_t s = 0; s < count; s++) {
        memset((float *)spans[s].begin, 0xFF, spans[s].count * sizeof(float));
    }
    memset(workspace->labels, 0xFF, max_batch * sizeof *workspace->labels);
    CHECK(pynn_workspace_nbytes(workspace) >= (floats + max_batch) * sizeof(float));
    pynn_workspace_destroy(workspace);
    pynn_network_destroy(network);
}

static void refuses(const pynn_network *network, size_t max_batch, pynn_status expected) {
    pynn_workspace *workspace = (pynn_workspace *)&workspace;
    CHECK_EQ(pynn_workspace_create(NULL, network, NULL, max_batch, &workspace), expected);
    CHECK(workspace == NULL);
    pynn_workspace_destroy(workspace);
}

static void test_refusals(void) {
    const pynn_layer dense = DENSE(2);
    pynn_network *network = create(3, &dense, 1);
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

static void release(void *context, void *memory) {
    (void)context;
    free(memory);
}

/* On 64 bits. A dense layer (2^31 - 3, 2^31 - 1) needs three buffers, 3 * 2^31 - 5 floats a row, and
 * 2^62 floats are the first whose bytes do not fit:
 *     N = (2^31 + 1) / 3    (2^31 + 1) 2^31 - 5 N = 2^62 + 2^31 - 5/3 2^31: fits, and is asked for
 *     N = (2^31 + 4) / 3    (2^31 + 4) 2^31 - 5 N = 2^62 + 4 * 2^31 - 5/3 2^31: does not
 * Five buffers of (2^31 - 1)^2 floats: their number itself passes 2^64, by nearly 2^62. */
static void test_size_overflow(void) {
    if (sizeof(size_t) != 8) return;
    const pynn_layer wide = DENSE(INT_MAX);
    const pynn_layer five[] = {RELU, RELU, DENSE(1), DENSE(INT_MAX)};
    const size_t fits = ((size_t)INT_MAX + 2) / 3;
    size_t largest = 0;
    const pynn_allocator allocator = {refuse_memory, release, &largest};
    pynn_workspace *workspace;
    pynn_network *network = create(INT_MAX - 2, &wide, 1);
    CHECK_EQ(pynn_workspace_create(&allocator, network, NULL, fits + 1, &workspace), PYNN_SIZE_OVERFLOW);
    CHECK_EQ(largest, 0);
    CHECK_EQ(pynn_workspace_create(&allocator, network, NULL, fits, &workspace), PYNN_OUT_OF_MEMORY);
    CHECK(workspace == NULL);
    CHECK(largest > SIZE_MAX - SIZE_MAX / 1000);
    pynn_network_destroy(network);

    network = create(INT_MAX, five, COUNT_OF(five));
    refuses(network, INT_MAX, PYNN_SIZE_OVERFLOW);
    pynn_network_destroy(network);
}

int main(void) {
    test_buffers(1);
    test_buffers(13);
    test_buffers(100);
    test_refusals();
    test_size_overflow();
    return check_failures();
}
