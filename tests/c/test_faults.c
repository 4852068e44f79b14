/* test_faults.c: for every n the n-th request for memory is refused, or the n-th thread cannot be started.
 * The call that needed it returns an error, or does its work with fewer threads and the same bits. The
 * handles that exist can still be used, and nothing leaks. test_memory.c tests the create functions one by
 * one. */
#include <stdlib.h>

#include "team_tasks.h"

enum { INPUTS = 20, HIDDEN = 33, CLASSES = 10, ROWS = 45, BATCH = 40, THREADS = 3 };
enum { PARAMETERS = INPUTS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES };

/* How many requests a use of the library makes: for the team, the network, the workspace and its arena;
 * then for the threads of the team, and for those of the resized team. */
enum { HANDLE_REQUESTS = 4, ALL_REQUESTS = 6 };
enum { ALL_THREADS = THREADS - 1 + 1 };

/* Refuse the requests number refused <= r < accepted, counted from 0. */
typedef struct quota {
    size_t requests;
    size_t refused;
    size_t accepted;
} quota;

static bool is_refused(quota *of) {
    size_t request = of->requests++;
    return request >= of->refused && request < of->accepted;
}

typedef struct supply {
    quota memory;
    size_t held; /* how many blocks are not released */
} supply;

static void *allocate(void *context, size_t nbytes) {
    supply *from = context;
    if (is_refused(&from->memory)) return NULL;
    void *memory = malloc(nbytes);
    from->held += CHECK(memory != NULL);
    return memory;
}

static void release(void *context, void *memory) {
    supply *to = context;
    CHECK(to->held > 0);
    to->held--;
    free(memory);
}

static quota threads = {0, SIZE_MAX, SIZE_MAX};

#if defined(PYNN_WRAP_THREAD_START)
/* The linker makes team.c call this in place of pynn_thread_start(). */
bool __real_pynn_thread_start(pynn_thread *thread, void *(*work)(void *), void *context);
bool __wrap_pynn_thread_start(pynn_thread *thread, void *(*work)(void *), void *context);

bool __wrap_pynn_thread_start(pynn_thread *thread, void *(*work)(void *), void *context) {
    return !is_refused(&threads) && __real_pynn_thread_start(thread, work, context);
}
#endif

/* ---------------------------------------------------------------- a use of the library */

typedef struct handles {
    pynn_team *team;
    pynn_network *network;
    pynn_workspace *workspace;
} handles;

typedef struct outcome {
    float trained[PARAMETERS];
    float probabilities[ROWS * CLASSES];
    pynn_sums sums[2];
} outcome;

/* Create the handles that do not exist yet, up to the first one that fails. */
static pynn_status create_missing(const pynn_allocator *allocator, handles *made) {
    static const pynn_layer layers[] = {HE(HIDDEN), TANH, XAVIER(CLASSES)};
    pynn_status status = PYNN_OK;
    if (made->team == NULL) status = pynn_team_create(allocator, THREADS, &made->team);
    if (status == PYNN_OK && made->network == NULL)
        status = pynn_network_create(allocator, INPUTS, layers, 3, &SOFTMAX_CROSS_ENTROPY, &made->network);
    if (status == PYNN_OK && made->workspace == NULL)
        status = pynn_workspace_create(allocator, made->network, made->team, BATCH, &made->workspace);
    return status;
}

/* Train two epochs of two steps, the second epoch on a smaller team; then evaluate and predict. Batches of
 * 40 rows are three tasks. */
static void use(const handles *made, outcome *out) {
    static uint8_t features[ROWS * INPUTS];
    static int32_t labels[ROWS];
    for (size_t i = 0; i < ROWS * INPUTS; i++) features[i] = (uint8_t)(i * 37 % 251);
    fill_labels(ROWS, CLASSES, labels);
    const pynn_data data = {features, PYNN_FEATURES_UINT8, ROWS, labels, PYNN_PATH_AUTO};
    const pynn_optimizer sgd = SGD(0.05f);
    pynn_workspace *workspace = made->workspace;
    float *p = out->trained;
    CHECK_EQ(pynn_network_initialize(made->network, 3, p), PYNN_OK);
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, BATCH, 0, 2, &sgd, NULL, p, &out->sums[0]),
             PYNN_OK);
    CHECK_EQ(pynn_team_resize(made->team, THREADS - 1), PYNN_OK);
    CHECK_EQ(pynn_train(workspace, &data, NULL, data.rows, BATCH, 0, 2, &sgd, NULL, p, &out->sums[0]),
             PYNN_OK);
    CHECK_EQ(pynn_evaluate(workspace, &data, 0, ROWS, p, &out->sums[1]), PYNN_OK);
    CHECK_EQ(pynn_predict(workspace, &data, 0, ROWS, p, PYNN_PROBABILITIES, out->probabilities), PYNN_OK);
    CHECK_EQ(pynn_team_threads(made->team), THREADS - 1);
}

/* Create the handles, trying again where that fails once; use them if all exist; destroy them. */
static pynn_status run(supply *from, outcome *out) {
    const pynn_allocator allocator = {allocate, release, from};
    handles made = {0};
    memset(out, 0, sizeof *out);
    pynn_status status = create_missing(&allocator, &made);
    if (status == PYNN_OUT_OF_MEMORY) status = create_missing(&allocator, &made);
    if (status == PYNN_OK) use(&made, out);
    pynn_workspace_destroy(made.workspace);
    pynn_network_destroy(made.network);
    pynn_team_destroy(made.team);
    CHECK_EQ(from->held, 0);
    return status;
}

/* ---------------------------------------------------------------- refusals */

static outcome expected, actual;

static void test_nothing_refused(void) {
    supply rich = {{0, SIZE_MAX, SIZE_MAX}, 0};
    threads = rich.memory;
    CHECK_EQ(run(&rich, &expected), PYNN_OK);
    CHECK_EQ(rich.memory.requests, ALL_REQUESTS);
    CHECK_EQ(expected.sums[0].rows, 2 * ROWS);
    CHECK(expected.sums[1].loss > 0 && expected.probabilities[0] > 0);
#if defined(PYNN_WRAP_THREAD_START)
    CHECK_EQ(threads.requests, ALL_THREADS);
#endif
}

/* If one request is refused, the call that failed works when it is made again. If all further requests are
 * refused, each call that needs memory returns an error, both times. */
static void test_memory_refused(bool for_good) {
    size_t failures = 0;
    for (size_t n = 0; n < ALL_REQUESTS; n++) {
        supply poor = {{0, n, for_good ? SIZE_MAX : n + 1}, 0};
        pynn_status status = run(&poor, &actual);
        CHECK(poor.memory.requests > n);
        if (!CHECK_EQ(status, for_good && n < HANDLE_REQUESTS ? PYNN_OUT_OF_MEMORY : PYNN_OK) ||
            (status == PYNN_OK && !CHECK_BYTES(&actual, &expected, sizeof expected)))
            printf("    request %zu\n", n);
        failures += status != PYNN_OK;
    }
    CHECK_EQ(failures, for_good ? HANDLE_REQUESTS : 0);
}

#if defined(PYNN_WRAP_THREAD_START)
/* If a thread cannot be started, the other threads do the work, and the result is the same. */
static void test_threads_refused(bool for_good) {
    for (size_t n = 0; n < ALL_THREADS; n++) {
        supply rich = {{0, SIZE_MAX, SIZE_MAX}, 0};
        threads = (quota){0, n, for_good ? SIZE_MAX : n + 1};
        CHECK_EQ(run(&rich, &actual), PYNN_OK);
        CHECK(threads.requests > n);
        if (!CHECK_BYTES(&actual, &expected, sizeof expected)) printf("    thread %zu\n", n);
    }
}

/* In a team of five the threads that the system did start all do work, and so does the caller. */
static void test_those_there_come(void) {
    for (size_t n = 0; n < 5; n++) {
        threads = (quota){0, n, SIZE_MAX};
        pynn_team *team = create_team(5);
        tally done = {0};
        pynn_team_run(team, 17, count_task, &done);
        check_tally(&done, 17, 1);
        CHECK_EQ(threads.requests, n < 4 ? n + 1 : 4);
        if (n > 0) meet_all(team, n + 1);
        pynn_team_destroy(team);
    }
}
#endif

int main(void) {
    end_if_it_hangs();
    test_nothing_refused();
    test_memory_refused(false);
    test_memory_refused(true);
#if defined(PYNN_WRAP_THREAD_START)
    test_threads_refused(false);
    test_threads_refused(true);
    test_those_there_come();
#endif
    return check_failures();
}
