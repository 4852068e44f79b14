/* test_steps.c: steps on a team give the same bits for any number of threads, and allocate nothing. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "helpers.h"
#include "internal.h"

enum { CLASSES = 10, MOST_ROWS = 428, MOST_FEATURES = 428 * 784, MOST_PARAMETERS = 1100000 };

/* ---------------------------------------------------------------- memory */

static atomic_size_t requests;

static void *count_and_allocate(void *context, size_t nbytes) {
    (void)context;
    atomic_fetch_add(&requests, 1);
    return malloc(nbytes);
}

static const pynn_allocator counting = {count_and_allocate, plain_release, NULL};

#if defined(PYNN_WRAP_MALLOC)
/* The linker makes the library call these in place of malloc() and the others, if it calls them. */
void *__real_malloc(size_t nbytes);
void *__real_calloc(size_t count, size_t nbytes);
void *__real_realloc(void *memory, size_t nbytes);
void *__wrap_malloc(size_t nbytes);
void *__wrap_calloc(size_t count, size_t nbytes);
void *__wrap_realloc(void *memory, size_t nbytes);

void *__wrap_malloc(size_t nbytes) {
    atomic_fetch_add(&requests, 1);
    return __real_malloc(nbytes);
}

void *__wrap_calloc(size_t count, size_t nbytes) {
    atomic_fetch_add(&requests, 1);
    return __real_calloc(count, nbytes);
}

void *__wrap_realloc(void *memory, size_t nbytes) {
    atomic_fetch_add(&requests, 1);
    return __real_realloc(memory, nbytes);
}
#endif

/* ---------------------------------------------------------------- what is run */

typedef struct setup {
    pynn_layer layers[7];
    size_t layer_count;
    size_t inputs;
    size_t rows;
    size_t batch_size; /* not a divisor of rows: the last step has fewer rows */
    pynn_path path;
    size_t threads;
} setup;

static uint8_t features[MOST_FEATURES];
static int32_t labels[MOST_ROWS];
static uint32_t order[MOST_ROWS];

/* A fifth of the features are not zero. */
static pynn_data some_data(const setup *with) {
    size_t count = with->rows * with->inputs;
    if (!CHECK(count <= MOST_FEATURES && with->rows <= MOST_ROWS)) exit(1);
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = (i + 1) * 0x9E3779B97F4A7C15u;
        features[i] = (hash >> 40) % 5 == 0 ? (uint8_t)(hash >> 56 | 1) : 0;
    }
    fill_labels(with->rows, CLASSES, labels);
    pynn_random_permutation(5, 1, (uint32_t)with->rows, order);
    return (pynn_data){features, PYNN_FEATURES_UINT8, with->rows, labels, with->path};
}

typedef struct outcome {
    float gradients[MOST_PARAMETERS];
    float trained[MOST_PARAMETERS];
    float logits[MOST_ROWS * CLASSES];
    float probabilities[MOST_ROWS * CLASSES];
    pynn_sums sums[3];
} outcome;

typedef struct handles {
    pynn_team *team;
    pynn_network *network;
    pynn_workspace *workspace;
} handles;

static handles create(const setup *with) {
    handles made = {0};
    if (!CHECK_EQ(pynn_team_create(&counting, with->threads, &made.team), PYNN_OK) ||
        !CHECK_EQ(pynn_network_create(&counting, with->inputs, with->layers, with->layer_count,
                                      &SOFTMAX_CROSS_ENTROPY, &made.network),
                  PYNN_OK) ||
        !CHECK_EQ(
            pynn_workspace_create(&counting, made.network, made.team, with->batch_size, &made.workspace),
            PYNN_OK) ||
        !CHECK(pynn_network_parameter_count(made.network) <= MOST_PARAMETERS))
        exit(1);
    return made;
}

static void destroy_handles(handles made) {
    pynn_workspace_destroy(made.workspace);
    pynn_network_destroy(made.network);
    pynn_team_destroy(made.team);
}

/* Train an epoch, compute the gradient at its end, evaluate and predict. */
static void run(const setup *with, const handles *made, outcome *out) {
    pynn_workspace *workspace = made->workspace;
    size_t batch = with->batch_size, steps = (with->rows + batch - 1) / batch;
    const pynn_data data = some_data(with);
    float *trained = out->trained;
    memset(out, 0, sizeof *out);
    CHECK_EQ(pynn_network_initialize(made->network, 3, trained), PYNN_OK);
    CHECK_EQ(pynn_train(workspace, &data, order, data.rows, batch, 0, steps, &(pynn_optimizer)SGD(0.05f),
                        NULL, trained, &out->sums[0]),
             PYNN_OK);
    CHECK_EQ(pynn_gradient(workspace, &data, NULL, batch, NULL, trained, out->gradients, &out->sums[1]),
             PYNN_OK);
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, with->rows, trained, &out->sums[2]), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, with->rows, trained, PYNN_LOGITS, out->logits), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, 1, trained, PYNN_PROBABILITIES, out->probabilities),
             PYNN_OK);
}

static outcome one, other;

/* ---------------------------------------------------------------- threads */

static double norm_of(const float *gradients) {
    double squares = 0;
    for (size_t i = 0; i < MOST_PARAMETERS; i++) squares += (double)gradients[i] * (double)gradients[i];
    return sqrt(squares);
}

/* With 1 to 4 threads everything is the same to the bit; and the gradient is not 0. */
static void check_threads(setup with) {
    for (with.threads = 1; with.threads <= 4; with.threads++) {
        outcome *out = with.threads == 1 ? &one : &other;
        handles made = create(&with);
        run(&with, &made, out);
        destroy_handles(made);
        CHECK(isfinite(out->sums[0].loss) && out->sums[0].loss > 0);
        CHECK_EQ(out->sums[0].rows, with.rows);
        CHECK(norm_of(out->gradients) > 1e-3);
        if (with.threads > 1 && !(CHECK_BYTES(&one, out, sizeof one)))
            printf("    %zu inputs, batches of %zu, path %d, %zu threads\n", with.inputs, with.batch_size,
                   (int)with.path, with.threads);
    }
}

static void check_paths(setup with) {
    with.path = PYNN_PATH_DENSE;
    check_threads(with);
    with.path = PYNN_PATH_SPARSE;
    check_threads(with);
}

/* Networks that are small enough for blocks of rows; with layer normalization so wide that the gradient of
 * its parameters has several tasks, first and behind a dense layer; wide enough that some layers are cut
 * into tiles; and, with a BLAS that is fast enough for it, wide enough that all are. */
static void test_threads(void) {
    const setup narrow = {{HE(40), RELU, HE(23), TANH, HE(CLASSES)}, 5, 65, 300, 128, 0, 0};
    const setup wide = {{HE(205), RELU, HE(180), SIGMOID, HE(CLASSES)}, 5, 301, 90, 64, 0, 0};
    const setup normalized = {
        .layers = {HE(600), LAYER_NORM(1e-5f), SILU, HE(20), ELU(0.5f), HE(CLASSES), SOFTPLUS},
        .layer_count = 7,
        .inputs = 65,
        .rows = 150,
        .batch_size = 100};
    const setup normalized_first = {.layers = {LAYER_NORM(1e-5f), SOFTPLUS, HE(CLASSES)},
                                    .layer_count = 3,
                                    .inputs = 700,
                                    .rows = 400,
                                    .batch_size = 300,
                                    .path = PYNN_PATH_DENSE};
    check_paths(narrow);
    check_paths(normalized);
    check_threads(normalized_first);
    check_paths(wide);
    /* A first W of more than half a million floats is cut into tiles for sparse rows, too. */
    setup large = {{HE(201), TANH, HE(CLASSES)}, 3, 4001, 41, 40, PYNN_PATH_SPARSE, 0};
    check_threads(large);
    if (strcmp(pynn_blas_name(), "reference") == 0) return;
    setup widest = {{HE(512), RELU, HE(256), RELU, HE(CLASSES)}, 5, 784, 428, 128, 0, 0};
    check_paths(widest);
    widest.batch_size = 300;
    check_paths(widest);
}

/* ---------------------------------------------------------------- allocations */

static void do_nothing(void *context, size_t index) {
    (void)context;
    (void)index;
}

/* When the workspace exists and the team has started its threads, nothing is allocated, not in the first
 * calls either. */
static void check_allocations(setup with) {
    atomic_store(&requests, 0);
    handles made = create(&with);
    pynn_team_run(made.team, 100, do_nothing, NULL);
    size_t before = atomic_load(&requests);
    CHECK(before >= (with.threads > 1 ? 5 : 4)); /* team, network, workspace, its arena; threads */
    run(&with, &made, &one);
    CHECK_EQ(atomic_load(&requests), before);
    destroy_handles(made);
}

static void test_allocations(void) {
    setup with = {{HE(180), RELU, HE(183), SIGMOID, HE(CLASSES)}, 5, 65, 40, 25, 0, 0};
    for (with.threads = 1; with.threads <= 3; with.threads += 2) {
        for (int path = PYNN_PATH_AUTO; path <= PYNN_PATH_SPARSE; path++) {
            with.path = (pynn_path)path;
            check_allocations(with);
        }
    }
}

int main(void) {
    test_threads();
    test_allocations();
    return check_failures();
}
