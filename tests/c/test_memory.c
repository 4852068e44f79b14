/* test_memory.c: checked sizes, aligned memory, and how the handles use the caller's allocator. The
 * allocator of these tests keeps a ledger of its blocks. It gives addresses of every alignment, fills
 * memory with rubbish, notices writes behind a block, and can refuse the n-th request. */
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

enum { MOST_BLOCKS = 64, GUARD_NBYTES = 16, NEVER = 1000 };

typedef struct block {
    unsigned char *given; /* the address that the library got; NULL once it is released */
    unsigned char *base;  /* the address that malloc() gave */
    size_t nbytes;
} block;

typedef struct ledger {
    block blocks[MOST_BLOCKS];
    size_t requests;
    size_t refused; /* the request, from 0, that gets NULL */
    size_t shift;   /* how far `given` is behind `base` */
} ledger;

static void *ledger_allocate(void *context, size_t nbytes) {
    ledger *book = context;
    const size_t request = book->requests++;
    if (request == book->refused || !CHECK(request < MOST_BLOCKS) || nbytes > SIZE_MAX / 2) return NULL;
    unsigned char *base = malloc(nbytes + book->shift + GUARD_NBYTES);
    if (!CHECK(base != NULL)) return NULL;
    memset(base, 0xA5, nbytes + book->shift + GUARD_NBYTES);
    book->blocks[request] = (block){base + book->shift, base, nbytes};
    return base + book->shift;
}

static void ledger_release(void *context, void *memory) {
    ledger *book = context;
    unsigned char guard[GUARD_NBYTES];
    memset(guard, 0xA5, sizeof guard);
    if (!CHECK(memory != NULL)) return;
    for (size_t b = 0; b < book->requests && b < MOST_BLOCKS; b++) {
        block *held = &book->blocks[b];
        if (held->given != memory) continue;
        CHECK_BYTES(held->given + held->nbytes, guard, GUARD_NBYTES);
        free(held->base);
        held->given = NULL;
        return;
    }
    CHECK(false && "memory that nobody allocated, or released before");
}

static pynn_allocator ledger_allocator(ledger *book) {
    return (pynn_allocator){ledger_allocate, ledger_release, book};
}

static size_t blocks_held(const ledger *book) {
    size_t held = 0;
    for (size_t b = 0; b < MOST_BLOCKS; b++) {
        held += book->blocks[b].given != NULL;
    }
    return held;
}

/* ---------------------------------------------------------------- sizes and memory */

static void test_products_and_sums(void) {
    static const struct {
        size_t a, b;
        bool product_fits, sum_fits;
    } cases[] = {
        {0, 0, true, true},
        {0, SIZE_MAX, true, true},
        {1, SIZE_MAX, true, false},
        {SIZE_MAX, SIZE_MAX, false, false},
        {SIZE_MAX / 2, 2, true, true},
        {SIZE_MAX / 2 + 1, 2, false, true},
        {SIZE_MAX / 3, 3, true, true}, /* 3 divides 2^32 - 1 and 2^64 - 1 */
        {SIZE_MAX / 3 + 1, 3, false, true},
        {SIZE_MAX - 7, 7, false, true},
        {SIZE_MAX - 7, 8, false, false},
        {6, 7, true, true},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int swap = 0; swap < 2; swap++) {
            const size_t a = swap ? cases[c].b : cases[c].a;
            const size_t b = swap ? cases[c].a : cases[c].b;
            size_t product = 42, sum = 42;
            CHECK_EQ(pynn_multiply(a, b, &product), cases[c].product_fits);
            CHECK_EQ(product, cases[c].product_fits ? a * b : 42);
            CHECK_EQ(pynn_add(a, b, &sum), cases[c].sum_fits);
            CHECK_EQ(sum, cases[c].sum_fits ? a + b : 42);
        }
    }
}

/* Whatever address the allocator gives, the memory is aligned, zero, and inside the block. */
static void test_alignment(void) {
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1000};
    for (size_t shift = 0; shift <= 64; shift++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            ledger book = {.refused = NEVER, .shift = shift};
            const pynn_allocator allocator = ledger_allocator(&book);
            unsigned char *memory = pynn_allocate(&allocator, sizes[s]);
            if (!CHECK(memory != NULL)) continue;
            CHECK_EQ((uintptr_t)memory % 64, 0);
            size_t zeros = 0;
            while (zeros < sizes[s] && memory[zeros] == 0) {
                zeros++;
            }
            CHECK_EQ(zeros, sizes[s]);
            CHECK(memory >= book.blocks[0].given);
            CHECK(memory + sizes[s] <= book.blocks[0].given + book.blocks[0].nbytes);
            memset(memory, 0xFF, sizes[s]); /* must not overwrite the pointer that release() needs */
            pynn_release(&allocator, memory);
            CHECK_EQ(blocks_held(&book), 0);
        }
    }
}

/* Sizes that overflow when the alignment is added: the allocator is not even asked. */
static void test_sizes_that_do_not_fit(void) {
    ledger book = {.refused = NEVER};
    const pynn_allocator allocator = ledger_allocator(&book);
    CHECK(pynn_allocate(&allocator, SIZE_MAX) == NULL);
    CHECK(pynn_allocate(&allocator, SIZE_MAX - 63) == NULL);
    CHECK_EQ(book.requests, 0);
    CHECK(pynn_allocate(&allocator, SIZE_MAX - 200) == NULL); /* the allocator is asked, and refuses */
    CHECK_EQ(book.requests, 1);
    pynn_release(&allocator, NULL);
}

static void test_default_allocator(void) {
    const pynn_allocator allocator = pynn_allocator_or_default(NULL);
    void *memory = pynn_allocate(&allocator, 100);
    CHECK(memory != NULL);
    pynn_release(&allocator, memory);

    ledger book = {0};
    const pynn_allocator given = ledger_allocator(&book);
    const pynn_allocator used = pynn_allocator_or_default(&given);
    CHECK(used.allocate == ledger_allocate && used.release == ledger_release && used.context == &book);
}

/* ---------------------------------------------------------------- handles */

static const pynn_layer layers[] = {HE(5), TANH, HE(3)};

typedef pynn_status make_handle(const pynn_allocator *allocator, void **out);
typedef void destroy_handle(void *handle);

static pynn_network *some_network; /* the network of the workspaces; made by malloc() */

static pynn_status make_network(const pynn_allocator *allocator, void **out) {
    pynn_network *network = (void *)out;
    const pynn_status status =
        pynn_network_create(allocator, 4, layers, 3, &SOFTMAX_CROSS_ENTROPY, &network);
    *out = network;
    return status;
}

static void destroy_network(void *handle) {
    pynn_network_destroy(handle);
}

static pynn_status make_workspace(const pynn_allocator *allocator, void **out) {
    pynn_workspace *workspace = (void *)out;
    const pynn_status status = pynn_workspace_create(allocator, some_network, NULL, 33, &workspace);
    *out = workspace;
    return status;
}

static void destroy_workspace(void *handle) {
    pynn_workspace_destroy(handle);
}

static pynn_status make_team(const pynn_allocator *allocator, void **out) {
    pynn_team *team = (void *)out;
    const pynn_status status = pynn_team_create(allocator, 3, &team);
    *out = team;
    return status;
}

static void destroy_team(void *handle) {
    pynn_team_destroy(handle);
}

/* All memory comes from the allocator and goes back to it. Whichever request it refuses, the call returns
 * an error, gives no handle and keeps no memory. */
static void test_handle(make_handle *make, destroy_handle *end) {
    ledger book = {.refused = NEVER, .shift = 24};
    pynn_allocator allocator = ledger_allocator(&book);
    void *handle;
    if (!CHECK_EQ(make(&allocator, &handle), PYNN_OK)) return;
    CHECK_EQ(blocks_held(&book), book.requests);
    const size_t requests = book.requests;
    CHECK(requests > 0);
    memset(&allocator, 0, sizeof allocator); /* the struct was copied */
    end(handle);
    CHECK_EQ(blocks_held(&book), 0);
    CHECK_EQ(book.requests, requests);

    for (size_t refused = 0; refused < requests; refused++) {
        ledger poor = {.refused = refused};
        allocator = ledger_allocator(&poor);
        CHECK_EQ(make(&allocator, &handle), PYNN_OUT_OF_MEMORY);
        CHECK(handle == NULL);
        CHECK(poor.requests > refused);
        CHECK_EQ(blocks_held(&poor), 0);
    }
    end(NULL);
}

/* The memory of a network with invalid layers is released, too. */
static void test_refused_network(void) {
    ledger book = {.refused = NEVER};
    const pynn_allocator allocator = ledger_allocator(&book);
    const pynn_layer relu = RELU;
    pynn_network *network;
    CHECK_EQ(pynn_network_create(&allocator, 4, &relu, 1, &SOFTMAX_CROSS_ENTROPY, &network),
             PYNN_NO_DENSE_LAYER);
    CHECK_EQ(blocks_held(&book), 0);
}

static void count_task(void *context, size_t index) {
    int *counts = context;
    counts[index]++;
}

/* A team that gets no memory for its threads still does its work, and asks again the next time. */
static void test_team_without_memory(void) {
    ledger book = {.refused = 1};
    const pynn_allocator allocator = ledger_allocator(&book);
    pynn_team *team;
    int counts[20] = {0};
    if (!CHECK_EQ(pynn_team_create(&allocator, 3, &team), PYNN_OK)) return;
    for (int run = 1; run <= 3; run++) {
        pynn_team_run(team, 20, count_task, counts);
        for (size_t i = 0; i < 20; i++) {
            CHECK_EQ(counts[i], run);
        }
    }
    CHECK_EQ(book.requests, 3); /* the team; the threads, refused; the threads */
    CHECK_EQ(blocks_held(&book), 2);
    CHECK_EQ(pynn_team_resize(team, 2), PYNN_OK);
    CHECK_EQ(blocks_held(&book), 1);
    pynn_team_run(team, 20, count_task, counts);
    CHECK_EQ(blocks_held(&book), 2);
    pynn_team_destroy(team);
    CHECK_EQ(blocks_held(&book), 0);
}

/* Steps, evaluation and prediction allocate nothing. */
static void test_steps_allocate_nothing(void) {
    ledger book = {.refused = NEVER};
    const pynn_allocator allocator = ledger_allocator(&book);
    pynn_network *network;
    pynn_workspace *workspace;
    float parameters[4 * 5 + 5 + 5 * 3 + 3], gradients[43], out[40 * 3];
    const uint8_t features[40 * 4] = {1, 2, 3};
    const int32_t labels[40] = {2, 1};
    const pynn_data data = {features, PYNN_FEATURES_UINT8, 40, labels, PYNN_PATH_AUTO};
    pynn_sums sums = {0};
    if (!CHECK_EQ(make_network(&allocator, (void **)&network), PYNN_OK)) return;
    if (!CHECK_EQ(pynn_workspace_create(&allocator, network, NULL, 16, &workspace), PYNN_OK)) return;
    const size_t requests = book.requests;
    CHECK_EQ(pynn_network_parameter_count(network), 43);
    CHECK_EQ(pynn_network_initialize(network, 1, parameters), PYNN_OK);
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, 16, 0, 3, &(pynn_optimizer)SGD(0.1f), NULL,
                        parameters, &sums),
             PYNN_OK);
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, 16, NULL, parameters, gradients, &sums), PYNN_OK);
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, 40, parameters, &sums), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, 40, parameters, PYNN_LOGITS, out), PYNN_OK);
    CHECK_EQ(book.requests, requests);
    destroy(workspace, network);
    CHECK_EQ(blocks_held(&book), 0); /* and nothing was written behind a block */
}

int main(void) {
    test_products_and_sums();
    test_alignment();
    test_sizes_that_do_not_fit();
    test_default_allocator();
    test_handle(make_network, destroy_network);
    if (CHECK_EQ(make_network(NULL, (void **)&some_network), PYNN_OK)) {
        test_handle(make_workspace, destroy_workspace);
        pynn_network_destroy(some_network);
    }
    test_handle(make_team, destroy_team);
    test_refused_network();
    test_team_without_memory();
    test_steps_allocate_nothing();
    return check_failures();
}
